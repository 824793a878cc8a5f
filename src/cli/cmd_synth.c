#include "cli/command.h"
#include "data/data.h"

/* truth.json holds a row per sample: a million of them fit. */
enum { TRUTH_FILE_MAX = 1 << 30 };

static rel_status read_ceilings(const char *out, json_t **ceilings) {
    char *path = fs_join(out, "truth.json");
    if (!path) return REL_ERR_MEMORY;
    json_t *truth = NULL;
    rel_status status = json_read(path, TRUTH_FILE_MAX, &truth);
    if (status == REL_OK) {
        *ceilings = json_incref(json_object_get(truth, "ceilings"));
        json_decref(truth);
        if (!*ceilings) status = rel_fail(REL_ERR_FORMAT, "%s: ceilings are missing", path);
    }
    rel_free(path);
    return status;
}

static void print_ceilings(const struct synth_options *options, json_t *ceilings) {
    output_text("%s: %lld training, %lld validation, %lld test samples of %lld classes\n\n",
                options->out, (long long)options->train, (long long)options->val,
                (long long)options->test, (long long)options->classes);
    output_text("accuracy that no classifier can beat, %%\n%-10s%10s", "", "theory");
    for (int s = 0; s < SPLIT_COUNT; s++) output_text("%10s", data_split_names[s]);
    output_text("\n");
    const char *name;
    json_t *row;
    json_object_foreach(ceilings, name, row) {
        output_text("%-10s%10.1f", name, 100 * json_number_value(json_object_get(row, "theory")));
        for (int s = 0; s < SPLIT_COUNT; s++) {
            json_t *share = json_object_get(row, data_split_names[s]);
            if (json_is_number(share))
                output_text("%10.1f", 100 * json_number_value(share));
            else
                output_text("%10s", "-");
        }
        output_text("\n");
    }
    struct rel_text word = {0};
    if (rel_text_append_word(&word, options->out) == REL_OK)
        output_text("\nNext: relearn prepare manifest --from %s --to STORE\n", word.data);
    rel_text_release(&word);
}

static rel_status run(const struct invocation *invocation) {
    const struct synth_options *options = invocation->options;
    json_t *ceilings = NULL;
    REL_TRY(synth_write(options));
    REL_TRY(read_ceilings(options->out, &ceilings));
    if (invocation->json)
        return output_json(json_pack("{s:o, s:{s:I, s:I, s:I}, s:o}", "out",
                                     json_text(options->out), "samples", "train",
                                     (json_int_t)options->train, "val", (json_int_t)options->val,
                                     "test", (json_int_t)options->test, "ceilings", ceilings));
    print_ceilings(options, ceilings);
    json_decref(ceilings);
    return REL_OK;
}

const struct command cmd_synth = {
    .name = "synth",
    .summary = "generate sounds and pictures whose information is known",
    .usage = "--out DIR [--FLAG VALUE]...",
    .description =
        "Writes DIR/audio/ID.wav, DIR/visual/ID/frame_0000N.jpg, manifest.csv and manifest.yaml, "
        "ready for `relearn prepare manifest`, and truth.json: what each sample really shows, and "
        "the accuracy that no classifier of one or both modalities can beat.\n\n"
        "The shares of samples that show another class, or nothing, limit what a modality can "
        "tell; they are the same in every split.",
    .examples = "relearn synth --out media\n"
                "relearn synth --out media --audio-wrong 0.4 --visual-empty 0 --seed 7",
    .options = synth_option_table,
    .option_count = &synth_option_count,
    .options_size = sizeof(struct synth_options),
    .json = true,
    .run = run,
};
