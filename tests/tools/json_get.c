/* For shell tests: json_get [KEY]... < DOCUMENT
 *
 * Fails unless standard input is exactly one JSON document. Prints what KEYs lead to (numbers index
 * arrays): texts as they are, "keys" as the last KEY the keys of an object in order, anything else
 * as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_keys(json_t *object) {
    const char *key, *separator = "";
    json_t *value;
    json_object_foreach(object, key, value) {
        printf("%s%s", separator, key);
        separator = " ";
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    json_error_t error;
    json_t *document = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
    if (!document) {
        fprintf(stderr, "json_get: line %d: %s\n", error.line, error.text);
        return 1;
    }
    json_t *value = document;
    int result = 0;
    for (int i = 1; i < argc && value; i++) {
        if (i == argc - 1 && strcmp(argv[i], "keys") == 0 && json_is_object(value)) {
            result = print_keys(value);
            json_decref(document);
            return result;
        }
        value = json_is_array(value) ? json_array_get(value, strtoul(argv[i], NULL, 10))
                                     : json_object_get(value, argv[i]);
    }
    if (!value) {
        fprintf(stderr, "json_get: no such entry\n");
        result = 1;
    } else if (argc > 1 && json_is_string(value)) {
        printf("%s\n", json_string_value(value));
    } else if (argc > 1) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("%s\n", text ? text : "?");
        free(text);
    }
    json_decref(document);
    return result;
}
