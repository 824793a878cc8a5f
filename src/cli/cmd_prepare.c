#include "cli/command.h"
#include "data/data.h"

#include <string.h>

static rel_status find_recipe(const char *name, const struct prepare_recipe **recipe) {
    const char *names[64];
    size_t count = 0;
    for (; prepare_recipes[count] && count < 64; count++) {
        *recipe = prepare_recipes[count];
        names[count] = (*recipe)->name;
        if (strcmp(names[count], name) == 0) return REL_OK;
    }
    const char *nearest = rel_nearest(name, names, count);
    if (nearest)
        return rel_fail(REL_ERR_USAGE, "%s: there is no such recipe (did you mean `%s`?)", name,
                        nearest);
    return rel_fail(REL_ERR_USAGE,
                    "%s: there is no such recipe (`relearn help prepare` lists them)", name);
}

static rel_status print_account(const struct invocation *invocation,
                                const struct prepare_report *report) {
    const struct prepare_options *options = invocation->options;
    uint64_t all = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) all += report->samples[s];
    if (invocation->json)
        return output_json(json_pack(
            "{s:s, s:s, s:i, s:{s:I, s:I, s:I}, s:I, s:f, s:I, s:I}", "recipe",
            invocation->positionals[0], "store", options->to, "classes", report->classes, "samples",
            data_split_names[0], (json_int_t)report->samples[0], data_split_names[1],
            (json_int_t)report->samples[1], data_split_names[2], (json_int_t)report->samples[2],
            "missing", (json_int_t)report->missing, "audio_seconds", report->audio_seconds,
            "frames", (json_int_t)report->frames, "bytes", (json_int_t)report->bytes));
    output_text("%s: %llu samples of %d classes, %.1f MB\n", options->to, (unsigned long long)all,
                report->classes, (double)report->bytes / 1e6);
    for (int s = 0; s < SPLIT_COUNT; s++)
        output_text("  %-16s%10llu samples\n", data_split_names[s],
                    (unsigned long long)report->samples[s]);
    if (report->audio_seconds > 0)
        output_text("  %-16s%10.1f minutes\n", "sound", report->audio_seconds / 60);
    if (report->frames > 0)
        output_text("  %-16s%10llu\n", "frames", (unsigned long long)report->frames);
    if (report->missing > 0)
        output_text("  %-16s%10llu samples, for want of readable media\n", "left out",
                    (unsigned long long)report->missing);
    return REL_OK;
}

static rel_status run(const struct invocation *invocation) {
    const struct prepare_recipe *recipe = NULL;
    struct prepare_report report = {.missing = 0};
    REL_TRY(find_recipe(invocation->positionals[0], &recipe));
    REL_TRY(recipe->run(invocation->options, &report));
    return print_account(invocation, &report);
}

static void append_recipes(struct rel_text *text) {
    rel_text_append(text, "Recipes:\n");
    for (size_t i = 0; prepare_recipes[i]; i++)
        rel_text_append(text, "  %-16s%s\n", prepare_recipes[i]->name, prepare_recipes[i]->summary);
}

const struct command cmd_prepare = {
    .name = "prepare",
    .summary = "turn raw media into a store to train from",
    .usage = "RECIPE --from DIR --to STORE [--FLAG VALUE]...",
    .description =
        "Reads every file once, checks it, computes what training needs and writes one SQLite "
        "file. It appears under its name only when it is complete.\n\n"
        "The recipe `manifest` reads DIR/manifest.csv, whose header is id,split,label and one "
        "column "
        "per modality that names a file or a folder of frames, and DIR/manifest.yaml, which says "
        "what kind each modality is: logmel, frames or vector.",
    .examples = "relearn prepare manifest --from media --to media.store\n"
                "relearn prepare manifest --from media --to media.store --val-fraction 0.1",
    .options = prepare_option_table,
    .option_count = &prepare_option_count,
    .options_size = sizeof(struct prepare_options),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .append_help = append_recipes,
    .run = run,
};
