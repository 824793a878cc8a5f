/* relearn compare: finished runs side by side. */
#include "cli/command.h"
#include "report/report.h"

struct compare_flags {
    char *truth;
};

static const struct rel_option compare_flag_table[] = {
    {"truth", OPTION_TEXT, offsetof(struct compare_flags, truth), NULL, 0, 0, NULL, "FILE",
     "The truth.json of generated media: shows the ceilings of its test split.", false},
};
static const size_t compare_flag_count = sizeof compare_flag_table / sizeof *compare_flag_table;

static rel_status print_comparison(const struct compare *compare, bool json) {
    if (json) {
        json_t *document = NULL;
        REL_TRY(compare_to_json(compare, &document));
        return output_json(document);
    }
    struct rel_text text = {0};
    rel_status status = compare_write_text(compare, &text);
    if (status == REL_OK) output_text("%s", text.data);
    rel_text_release(&text);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    const struct compare_flags *flags = invocation->options;
    struct compare compare;
    REL_TRY(compare_open(&compare, invocation->positionals, invocation->positional_count,
                         flags->truth));
    rel_status status = print_comparison(&compare, invocation->json);
    compare_close(&compare);
    return status;
}

const struct command cmd_compare = {
    .name = "compare",
    .summary = "show finished runs side by side",
    .usage = "RUN... [--truth FILE]",
    .description =
        "Runs that differ in nothing but their seed form one row: mean and standard deviation. "
        "Below stand the differences from the first row's runs, seed by seed, and what every "
        "diagnosis found.\n\n"
        "\"NAME only\" is the test accuracy with all other modalities switched off.",
    .examples = "relearn compare runs/joint-* runs/relearn-*",
    .options = compare_flag_table,
    .option_count = &compare_flag_count,
    .options_size = sizeof(struct compare_flags),
    .min_positionals = 1,
    .max_positionals = COMMAND_POSITIONALS_MAX,
    .json = true,
    .run = run,
};
