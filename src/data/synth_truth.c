/* What can be known from a synthetic data set, and the tables written beside its media. */
#include "data/synth.h"

#include <math.h>

static const char *const modality_names[SYNTH_MODALITIES] = {"audio", "visual"};

enum { AUDIO_VISIBLE = 1 << SYNTH_AUDIO, VISUAL_VISIBLE = 1 << SYNTH_VISUAL };

/* --- ceilings --- */

/* Probability that a sample labelled `label` shows `shown`. */
static double likelihood(const struct synth_options *options, int modality, int shown, int label) {
    double wrong = modality == SYNTH_AUDIO ? options->audio_wrong : options->visual_wrong;
    double empty = modality == SYNTH_AUDIO ? options->audio_empty : options->visual_empty;
    if (shown == SYNTH_NOTHING) return empty;
    if (shown == label) return 1 - wrong - empty;
    return wrong / (double)(options->classes - 1);
}

static double joint_likelihood(const struct synth_options *options, unsigned visible,
                               const int *shown, int label) {
    double product = 1;
    for (int m = 0; m < SYNTH_MODALITIES; m++)
        if (visible >> m & 1) product *= likelihood(options, m, shown[m], label);
    return product;
}

static double largest_likelihood(const struct synth_options *options, unsigned visible,
                                 const int *shown) {
    double largest = 0;
    for (int label = 0; label < options->classes; label++)
        largest = fmax(largest, joint_likelihood(options, visible, shown, label));
    return largest;
}

/* Labels are equally likely, so the best guess is the label of the largest likelihood, and its
 * accuracy the sum of that likelihood over all that can be shown, divided by the classes. */
double synth_ceiling(const struct synth_options *options, unsigned visible) {
    int classes = (int)options->classes;
    int audio_end = visible & AUDIO_VISIBLE ? classes : 0;
    int visual_end = visible & VISUAL_VISIBLE ? classes : 0;
    double sum = 0;
    for (int a = visible & AUDIO_VISIBLE ? SYNTH_NOTHING : 0; a < audio_end + !audio_end; a++)
        for (int v = visible & VISUAL_VISIBLE ? SYNTH_NOTHING : 0; v < visual_end + !visual_end;
             v++)
            sum += largest_likelihood(options, visible, (int[]){a, v});
    return sum / classes;
}

double synth_realised_ceiling(const struct synth_plan *plan, enum data_split split,
                              unsigned visible) {
    const struct synth_options *options = plan->options;
    double sum = 0;
    uint64_t count = 0;
    for (uint64_t i = 0; i < plan->count; i++) {
        const struct synth_sample *sample = &plan->samples[i];
        if (sample->split != split) continue;
        double largest = largest_likelihood(options, visible, sample->shown);
        double bound = largest * (1 - 1e-9); /* equal but for rounding */
        int ties = 0;
        for (int label = 0; label < options->classes; label++)
            ties += joint_likelihood(options, visible, sample->shown, label) >= bound;
        if (joint_likelihood(options, visible, sample->shown, sample->label) >= bound)
            sum += 1.0 / ties;
        count++;
    }
    return count > 0 ? sum / (double)count : NAN;
}

/* --- truth.json --- */

/* Passes ownership of `value` on; ERR_MEMORY for a NULL one, as jansson gives without memory. */
static rel_status put(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) == 0) return REL_OK;
    return rel_fail(REL_ERR_MEMORY, "truth.json: out of memory");
}

static json_t *option_value(const struct rel_option *row, const struct synth_options *options) {
    const void *field = (const char *)options + row->offset;
    return row->type == OPTION_REAL ? json_real(*(const double *)field)
                                    : json_integer(*(const int64_t *)field);
}

/* Every option that the files depend on, by walking the table. */
static rel_status put_options(json_t *root, const struct synth_options *options) {
    json_t *object = json_object();
    REL_TRY(put(root, "options", object));
    for (size_t i = 0; i < synth_option_count; i++) {
        const struct rel_option *row = &synth_option_table[i];
        if (row->type != OPTION_INT && row->type != OPTION_REAL) continue;
        if (row->offset == offsetof(struct synth_options, jobs)) continue;
        REL_TRY(put(object, row->key, option_value(row, options)));
    }
    return REL_OK;
}

static rel_status put_ceilings(json_t *root, const struct synth_plan *plan) {
    static const struct {
        const char *name;
        unsigned visible;
    } rows[] = {{"audio", AUDIO_VISIBLE},
                {"visual", VISUAL_VISIBLE},
                {"joint", AUDIO_VISIBLE | VISUAL_VISIBLE}};
    json_t *ceilings = json_object();
    REL_TRY(put(root, "ceilings", ceilings));
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        json_t *row = json_object();
        REL_TRY(put(ceilings, rows[r].name, row));
        REL_TRY(put(row, "theory", json_number(synth_ceiling(plan->options, rows[r].visible))));
        for (int split = 0; split < SPLIT_COUNT; split++) {
            double share = synth_realised_ceiling(plan, (enum data_split)split, rows[r].visible);
            REL_TRY(put(row, data_split_names[split], json_number(share)));
        }
    }
    return REL_OK;
}

static rel_status put_informative(json_t *root, const struct synth_plan *plan) {
    json_t *informative = json_object();
    REL_TRY(put(root, "informative", informative));
    for (int m = 0; m < SYNTH_MODALITIES; m++) {
        json_t *row = json_object();
        REL_TRY(put(informative, modality_names[m], row));
        uint64_t count[SPLIT_COUNT] = {0}, good[SPLIT_COUNT] = {0};
        for (uint64_t i = 0; i < plan->count; i++) {
            const struct synth_sample *sample = &plan->samples[i];
            count[sample->split]++;
            good[sample->split] += sample->shown[m] == sample->label;
        }
        for (int split = 0; split < SPLIT_COUNT; split++)
            REL_TRY(put(row, data_split_names[split],
                        json_number((double)good[split] / (double)count[split])));
    }
    return REL_OK;
}

static rel_status put_samples(json_t *root, const struct synth_plan *plan) {
    json_t *samples = json_array();
    REL_TRY(put(root, "samples", samples));
    for (uint64_t i = 0; i < plan->count; i++) {
        const struct synth_sample *sample = &plan->samples[i];
        json_t *row = json_object();
        if (json_array_append_new(samples, row) != 0)
            return rel_fail(REL_ERR_MEMORY, "truth.json: out of memory");
        REL_TRY(put(row, "id", json_string(sample->id)));
        REL_TRY(put(row, "label", json_string(synth_class_name(sample->label))));
        for (int m = 0; m < SYNTH_MODALITIES; m++) {
            int shown = sample->shown[m];
            char key[32];
            snprintf(key, sizeof key, "%s_shows", modality_names[m]);
            REL_TRY(
                put(row, key,
                    shown == SYNTH_NOTHING ? json_null() : json_string(synth_class_name(shown))));
            snprintf(key, sizeof key, "%s_true", modality_names[m]);
            REL_TRY(put(row, key, json_boolean(shown == sample->label)));
        }
    }
    return REL_OK;
}

rel_status synth_write_truth(const struct synth_plan *plan, const char *path) {
    json_t *root = json_object();
    rel_status status = root ? REL_OK : rel_fail(REL_ERR_MEMORY, "truth.json: out of memory");
    if (status == REL_OK) status = put_ceilings(root, plan);
    if (status == REL_OK) status = put_informative(root, plan);
    if (status == REL_OK) status = put_options(root, plan->options);
    if (status == REL_OK) status = put_samples(root, plan);
    if (status == REL_OK) status = json_write(path, root);
    json_decref(root);
    return status;
}

/* --- manifest --- */

rel_status synth_write_manifest(const struct synth_plan *plan, const char *path) {
    struct rel_text text = {0};
    rel_status status = rel_text_append(&text, "id,split,label,audio,visual\n");
    for (uint64_t i = 0; i < plan->count && status == REL_OK; i++) {
        const struct synth_sample *sample = &plan->samples[i];
        status = rel_text_append(&text, "%s,%s,%s,audio/%s.wav,visual/%s\n", sample->id,
                                 data_split_names[sample->split], synth_class_name(sample->label),
                                 sample->id, sample->id);
    }
    if (status == REL_OK) status = fs_write_atomic(path, text.data, text.length);
    rel_text_release(&text);
    return status;
}

/* 25 ms windows every 10 ms; crops and flips suit these pictures, not these sounds. */
rel_status synth_write_manifest_settings(const struct synth_plan *plan, const char *path) {
    const struct synth_options *options = plan->options;
    enum { MEL_BINS = 64 };
    double after_first = 1000 * options->seconds - 25; /* ms */
    long frames = 1 + lround(floor(after_first / 10 + 1e-6));
    long side = (long)options->picture_size;
    struct rel_text text = {0};
    rel_status status = rel_text_append(
        &text,
        "# How to read these media; every key here can be changed before preparing.\n"
        "modalities:\n"
        "  audio:\n"
        "    kind: logmel\n"
        "    sample_rate: %lld\n"
        "    mel_bins: %d\n"
        "    frames: %ld\n"
        "  visual:\n"
        "    kind: frames\n"
        "    clip_frames: %lld\n"
        "    height: %ld\n"
        "    width: %ld\n"
        "    crop: padded\n"
        "    pad: %ld\n"
        "    flip: 0.5\n",
        (long long)options->sample_rate, MEL_BINS, frames, (long long)options->frames, side, side,
        side / 16);
    if (status == REL_OK) status = fs_write_atomic(path, text.data, text.length);
    rel_text_release(&text);
    return status;
}
