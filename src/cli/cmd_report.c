/* relearn report: what finished runs did, as one HTML file. */
#include "cli/command.h"
#include "report/report.h"

struct report_flags {
    char *out, *truth;
};

static const struct rel_option report_flag_table[] = {
    {.key = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct report_flags, out),
     .unit = "FILE",
     .help = "The HTML file to write; one that is there is replaced.",
     .required = true},
    {.key = "truth",
     .type = OPTION_TEXT,
     .offset = offsetof(struct report_flags, truth),
     .unit = "FILE",
     .help = "The truth.json of generated media: shows the ceilings of its test split."},
};
static const size_t report_flag_count = sizeof report_flag_table / sizeof *report_flag_table;

static void print_report(const json_t *result) {
    const json_t *finding;
    size_t i;
    json_array_foreach(json_object_get(result, "findings"), i, finding)
        output_text("%s\n\n", json_string_value(json_object_get(finding, "text")));
    output_text("%s: %.2f MB\n", json_string_value(json_object_get(result, "out")),
                (double)json_integer_value(json_object_get(result, "bytes")) / 1e6);
}

static rel_status run(const struct invocation *invocation) {
    const struct report_flags *flags = invocation->options;
    const struct report_request request = {
        .paths = invocation->positionals,
        .count = invocation->positional_count,
        .truth = flags->truth,
        .out = flags->out,
    };
    json_t *result = NULL;
    REL_TRY(report_write(&request, &result));
    if (invocation->json) return output_json(result);
    print_report(result);
    json_decref(result);
    return REL_OK;
}

const struct command cmd_report = {
    .name = "report",
    .summary = "write what finished runs did as one HTML file",
    .usage = "RUN... [-- RUN...] --out FILE [--truth FILE]",
    .description =
        "Runs are grouped as by relearn compare. The page opens with sentences made from the "
        "numbers (which are also printed): which modality was starved and how that shows, when "
        "encoders were re-initialised and by how much, what that changed, and how sure one can "
        "be. Below stand tables and charts. It needs neither network nor other files, and prints "
        "well.",
    .examples = "relearn report runs/joint-* runs/relearn-* --out report.html\n"
                "relearn report runs/joint runs/relearn --out report.html --json",
    .options = report_flag_table,
    .option_count = &report_flag_count,
    .options_size = sizeof(struct report_flags),
    .min_positionals = 1,
    .max_positionals = COMMAND_POSITIONALS_MAX,
    .divided = true,
    .json = true,
    .run = run,
};
