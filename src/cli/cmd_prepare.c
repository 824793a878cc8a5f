#include "cli/command.h"
#include "data/data.h"

#include <string.h>

static rel_status find_recipe(const char *name, const struct prepare_recipe **recipe) {
    const char *names[64];
    size_t count = 0;
    *recipe = prepare_recipe_find(name);
    if (*recipe) return REL_OK;
    for (; prepare_recipes[count] && count < 64; count++)
        names[count] = prepare_recipes[count]->name;
    const char *nearest = rel_nearest(name, names, count);
    if (nearest)
        return rel_fail(REL_ERR_USAGE, "%s: there is no such recipe (did you mean `%s`?)", name,
                        nearest);
    return rel_fail(REL_ERR_USAGE,
                    "%s: there is no such recipe (`relearn help prepare` lists them)", name);
}

static json_t *account_json(const char *recipe, const char *store,
                            const struct prepare_report *report) {
    json_t *samples = json_object(), *classes = json_object(), *notes = json_object();
    for (int s = 0; s < SPLIT_COUNT; s++) {
        json_object_set_new(samples, data_split_names[s],
                            json_integer((json_int_t)report->samples[s]));
        json_object_set_new(classes, data_split_names[s], json_integer(report->split_classes[s]));
    }
    for (int n = 0; n < NOTE_COUNT; n++)
        json_object_set_new(notes, prepare_note_names[n],
                            json_integer((json_int_t)report->notes[n]));
    return json_pack("{s:s, s:o, s:i, s:o, s:o, s:I, s:o, s:f, s:I, s:I}", "recipe", recipe,
                     "store", json_text(store), "classes", report->classes, "samples", samples,
                     "split_classes", classes, "missing", (json_int_t)report->missing, "notes",
                     notes, "audio_seconds", report->audio_seconds, "frames",
                     (json_int_t)report->frames, "bytes", (json_int_t)report->bytes);
}

static void print_notes(const struct prepare_report *report) {
    static const char *const texts[NOTE_COUNT] = {
        "left out: a file is missing", "left out: a file cannot be read",
        "left out, as told: no sound or no picture", "kept, as told: silence or a black picture"};
    for (int n = 0; n < NOTE_COUNT; n++)
        if (report->notes[n] > 0)
            output_text("  %-16s%10llu samples %s\n", prepare_note_names[n],
                        (unsigned long long)report->notes[n], texts[n]);
}

static rel_status print_account(const struct invocation *invocation,
                                const struct prepare_report *report) {
    const struct prepare_options *options = invocation->options;
    uint64_t all = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) all += report->samples[s];
    if (invocation->json)
        return output_json(account_json(invocation->positionals[0], options->to, report));
    output_text("%s: %llu samples of %d classes, %.1f MB\n", options->to, (unsigned long long)all,
                report->classes, (double)report->bytes / 1e6);
    for (int s = 0; s < SPLIT_COUNT; s++)
        output_text("  %-16s%10llu samples, %d classes\n", data_split_names[s],
                    (unsigned long long)report->samples[s], report->split_classes[s]);
    if (report->audio_seconds > 0)
        output_text("  %-16s%10.2f hours\n", "sound", report->audio_seconds / 3600);
    if (report->frames > 0)
        output_text("  %-16s%10llu\n", "frames", (unsigned long long)report->frames);
    print_notes(report);
    return REL_OK;
}

static rel_status run(const struct invocation *invocation) {
    const struct prepare_recipe *recipe = NULL;
    struct prepare_report report = {.missing = 0};
    REL_TRY(find_recipe(invocation->positionals[0], &recipe));
    REL_TRY(prepare_recipe_run(recipe, invocation->options, invocation->extension, &report));
    return print_account(invocation, &report);
}

static bool extend(const char *argument, struct command_extension *extension) {
    const struct prepare_recipe *recipe = prepare_recipe_find(argument);
    if (recipe)
        *extension = (struct command_extension){.options = recipe->options,
                                                .count = recipe->option_count,
                                                .size = recipe->options_size};
    return recipe != NULL;
}

static void append_recipes(struct rel_text *text) {
    rel_text_append(text, "Recipes:\n");
    for (size_t i = 0; prepare_recipes[i]; i++) {
        const char *line = prepare_recipes[i]->description;
        rel_text_append(text, "  %-17s%s\n", prepare_recipes[i]->name, prepare_recipes[i]->summary);
        for (; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n'))
            rel_text_append(text, "    %.*s\n", (int)strcspn(line, "\n"), line);
    }
}

static void add_sections(struct command_sections *sections) {
    for (size_t i = 0; prepare_recipes[i]; i++) {
        const struct prepare_recipe *recipe = prepare_recipes[i];
        if (recipe->option_count == 0) continue;
        command_add_flags(sections, recipe->options, recipe->option_count,
                          "More flags of the recipe %s", recipe->name);
        sections->list[sections->count - 1].word = recipe->name;
    }
    for (int kind = 0; data_kind_name(kind); kind++) {
        const struct rel_option *table;
        size_t count;
        for (int t = 0; data_kind_options(kind, t, &table, &count); t++)
            if (count > 0)
                command_add_section(
                    sections, table, count, "%s of %s (in manifest.yaml, or by --set)",
                    t == 0 ? "Keys of modalities" : "More keys", data_kind_name(kind));
    }
}

static void append_names(struct rel_text *text) {
    for (size_t i = 0; prepare_recipes[i]; i++)
        rel_text_append(text, "%s%s", i ? " " : "", prepare_recipes[i]->name);
}

const struct command cmd_prepare = {
    .name = "prepare",
    .summary = "turn raw media into a store to train from",
    .usage = "RECIPE --from DIR --to STORE [--FLAG VALUE]...",
    .description =
        "Reads every file once, checks it, computes what training needs and writes one SQLite "
        "file. It appears under its name only when it is complete; run again after a stop, the "
        "same command goes on. Bad files are all found before it fails and names them; with "
        "--allow-missing their samples are left out and counted.",
    .examples = "relearn prepare manifest --from media --to media.store\n"
                "relearn prepare manifest --from media --to media.store --val-fraction 0.1\n"
                "relearn prepare folders --from clips --to clips.store --set visual.clip_frames=3",
    .options = prepare_option_table,
    .option_count = &prepare_option_count,
    .options_size = sizeof(struct prepare_options),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .extend = extend,
    .sections = add_sections,
    .append_help = append_recipes,
    .words = append_names,
    .run = run,
};
