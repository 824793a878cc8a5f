#include "learn/method.h"

#include <string.h>

extern const struct method method_joint, method_relearn, method_ogm_ge, method_mmpareto;

/* All balancing methods. A new one: src/learn/method_NAME.c ending in its descriptor, and a row
 * here. */
const struct method *const method_table[] = {
    &method_joint, &method_relearn, &method_ogm_ge, &method_mmpareto, NULL,
};

const struct method *method_find(const char *name) {
    for (int i = 0; method_table[i]; i++)
        if (strcmp(method_table[i]->name, name) == 0) return method_table[i];
    return NULL;
}
