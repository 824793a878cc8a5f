/* Every command has examples, and its own parser takes them: flags, values, arguments, and the keys
 * that --set names. */
#include "cli/command.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wordexp.h>

#include <cmocka.h>

/* Whether some section of the command has this key, where the command names keys at all. */
static bool key_is_known(const struct command *command, const char *assignment) {
    struct command_sections sections = {.count = 0};
    size_t length = strcspn(assignment, "=");
    if (command->sections) command->sections(&sections);
    int named = 0;
    for (int s = 0; s < sections.count; s++) {
        const struct command_section *section = &sections.list[s];
        if (!section->keys) continue;
        named++;
        for (size_t i = 0; i < section->count; i++) {
            char key[128];
            snprintf(key, sizeof key, "%s%s%s", section->keys, *section->keys ? "." : "",
                     section->options[i].key);
            if (strlen(key) == length && memcmp(key, assignment, length) == 0) return true;
        }
    }
    return named == 0;
}

/* One example: words as a shell makes them, up to a pipe. */
static void example_check(const struct command *command, const char *line) {
    wordexp_t words;
    char *text = strdup(line), *pipe = strstr(text, " | ");
    if (pipe) *pipe = 0;
    if (wordexp(text, &words, WRDE_NOCMD) != 0) fail_msg("%s: no shell takes it", text);
    if (words.we_wordc < 2 || strcmp(words.we_wordv[0], "relearn") != 0 ||
        strcmp(words.we_wordv[1], command->name) != 0)
        fail_msg("%s: is no example of %s", text, command->name);
    if (command_check(command, (int)words.we_wordc - 2, words.we_wordv + 2) != REL_OK)
        fail_msg("%s: %s", text, rel_error_message());
    for (size_t i = 2; i + 1 < words.we_wordc; i++)
        if (strcmp(words.we_wordv[i], "--set") == 0 &&
            !key_is_known(command, words.we_wordv[i + 1]))
            fail_msg("%s: there is no key %s", text, words.we_wordv[i + 1]);
    wordfree(&words);
    free(text);
}

/* Lines, of which a backslash at the end joins two. */
static int examples_check(const struct command *command) {
    int count = 0;
    char *all = strdup(command->examples), *rest = NULL;
    for (char *joint; (joint = strstr(all, "\\\n")) != NULL;) joint[0] = joint[1] = ' ';
    for (char *line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "eval ", 5) != 0) example_check(command, line);
        count++;
    }
    free(all);
    return count;
}

/* In a folder with the run that examples speak of: which flags `predict` takes follows from it. */
static void examples_are_accepted(void **state) {
    (void)state;
    static const char config[] = "method: joint\nepochs: 1\nfusion: concat\nencoders:\n  audio:\n  "
                                 "  kind: resnet\n  visual:\n    kind: resnet\n";
    assert_int_equal(fs_make_folders(scratch_path("runs/relearn")), REL_OK);
    scratch_write("runs/relearn/config.yaml", config, sizeof config - 1);
    assert_int_equal(chdir(scratch_path("")), 0);
    for (size_t i = 0; i < command_count; i++) {
        if (!command_table[i]->examples) fail_msg("%s has no examples", command_table[i]->name);
        assert_in_range(examples_check(command_table[i]), 2, 20);
    }
}

/* The check itself finds what is wrong. */
static void wrong_arguments_are_found(void **state) {
    (void)state;
    char flag[] = "--no-such-flag", out[] = "--out", run[] = "runs/x", folder[] = "folder";
    char *unknown[] = {out, run, flag}, *missing[] = {folder}, *surplus[] = {out, run, run, run};
    assert_int_equal(command_check(&cmd_train, 3, unknown), REL_ERR_USAGE);
    assert_int_equal(command_check(&cmd_train, 1, missing), REL_ERR_USAGE);
    assert_int_equal(command_check(&cmd_train, 4, surplus), REL_ERR_USAGE);
    assert_int_equal(command_check(&cmd_train, 2, unknown), REL_OK);
    assert_false(key_is_known(&cmd_train, "epochz=3"));
    assert_true(key_is_known(&cmd_train, "relearn.period=3"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_accepted),
        cmocka_unit_test(wrong_arguments_are_found),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
