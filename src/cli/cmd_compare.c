/* relearn compare: finished runs side by side. */
#include "cli/command.h"
#include "report/report.h"

struct compare_flags {
    char *truth;
    bool markdown;
};

static const struct rel_option compare_flag_table[] = {
    {"truth", OPTION_TEXT, offsetof(struct compare_flags, truth), NULL, 0, 0, NULL, "FILE",
     "The truth.json of generated media: shows the ceilings of its test split.", false},
    {"markdown", OPTION_BOOL, offsetof(struct compare_flags, markdown), "false", 0, 0, NULL, NULL,
     "Tables in Markdown, without the diagnoses.", false},
};
static const size_t compare_flag_count = sizeof compare_flag_table / sizeof *compare_flag_table;

static rel_status print_comparison(const struct compare *compare, bool json, bool markdown) {
    if (json) {
        json_t *document = NULL;
        REL_TRY(compare_to_json(compare, &document));
        return output_json(document);
    }
    struct rel_text text = {0};
    rel_status status =
        compare_write_text(compare, markdown ? COMPARE_MARKDOWN : COMPARE_PLAIN, &text);
    if (status == REL_OK) output_text("%s", text.data);
    rel_text_release(&text);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    const struct compare_flags *flags = invocation->options;
    struct compare compare;
    REL_TRY(compare_open(&compare, invocation->positionals, invocation->positional_count,
                         flags->truth));
    rel_status status = print_comparison(&compare, invocation->json, flags->markdown);
    compare_close(&compare);
    return status;
}

const struct command cmd_compare = {
    .name = "compare",
    .summary = "show finished runs side by side",
    .usage = "RUN... [-- RUN...] [--truth FILE] [--markdown]",
    .description =
        "Runs that differ in nothing but their seed form one row: mean and standard deviation. "
        "With \"--\" between them the groups are as given. A folder made by train --seeds counts "
        "as all its runs.\n\n"
        "Below stand the differences from the first row's runs, seed by seed, with a 95 % "
        "bootstrap "
        "interval of their mean; what makes the rows hard to compare, as other data, epochs or "
        "augmentation; and what the diagnoses found.\n\n"
        "\"NAME only\" is the test accuracy with all other modalities switched off, \"NAME probe\" "
        "that of a linear probe on the encoder's features.",
    .examples = "relearn compare runs/joint-* runs/relearn-*\n"
                "relearn compare runs/joint-* -- runs/relearn-* --json",
    .options = compare_flag_table,
    .option_count = &compare_flag_count,
    .options_size = sizeof(struct compare_flags),
    .min_positionals = 1,
    .max_positionals = COMMAND_POSITIONALS_MAX,
    .divided = true,
    .json = true,
    .run = run,
};
