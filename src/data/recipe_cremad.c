/* The recipe `cremad`: CREMA-D (Cao et al. 2014), acted emotions, with the split that D&R published
 * or splits of our own that share no actor.
 *
 *   downloaded  DIR/AudioWAV/NAME.wav, DIR/VideoFlash/NAME.flv
 *   prepared    DIR/audio/NAME.pt, DIR/visual/NAME/frame_00001.jpg: what the published code reads
 *
 * A name is ACTOR_SENTENCE_EMOTION_LEVEL. */
#include "data/prepare.h"

#include <limits.h>
#include <string.h>

enum { SPLITS_PUBLISHED, SPLITS_BY_ACTOR };
enum { VALIDATION_LIST, VALIDATION_ACTOR, VALIDATION_CLIP };
enum { AUDIO_LOGMEL, AUDIO_STFT };

struct cremad_options {
    int layout; /* enum prepare_layout */
    char *lists;
    int splits, validation, audio;
};

#define OFFSET(field) offsetof(struct cremad_options, field)
static const struct rel_option option_table[] = {
    {.key = "layout",
     .type = OPTION_CHOICE,
     .offset = OFFSET(layout),
     .default_value = "auto",
     .choices = PREPARE_LAYOUT_CHOICES,
     .help = "downloaded: AudioWAV/ and VideoFlash/; prepared: audio/ and visual/, as the "
             "published code reads them. auto looks which there is."},
    {.key = "splits",
     .type = OPTION_CHOICE,
     .offset = OFFSET(splits),
     .default_value = "published",
     .choices = "published|by-actor",
     .help = "published: train.csv, my_train.csv, val.csv, test.csv, which share actors; by-actor: "
             "no actor in two splits, sized by --test-fraction and --val-fraction."},
    {.key = "validation",
     .type = OPTION_CHOICE,
     .offset = OFFSET(validation),
     .default_value = "list",
     .choices = "list|actor|clip",
     .help = "Of the published split. list: my_train.csv and val.csv; actor, clip: train.csv, of "
             "which --val-fraction sets apart whole actors or single clips (0: none)."},
    {.key = "audio",
     .type = OPTION_CHOICE,
     .offset = OFFSET(audio),
     .default_value = "logmel",
     .choices = "logmel|stft",
     .help = "Sound as 256 frames of 128 log-mel bins, or as OGM-GE's log-STFT of 257 x 188."},
    {.key = "lists",
     .type = OPTION_TEXT,
     .offset = OFFSET(lists),
     .unit = "DIR",
     .help = "Folder of the published lists and stat.csv; --from if not given."},
};
#undef OFFSET

struct cremad {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    const struct cremad_options *own;
    const char *root; /* of the media, relative to DIR */
    bool prepared;
};

/* --- where things are --- */

static rel_status find_root(struct cremad *cremad) {
    static const char *const roots[] = {"", "CREMA-D", "cremad", NULL};
    static const char *const downloaded[] = {"AudioWAV", "VideoFlash", NULL};
    static const char *const prepared[] = {"audio", "visual", NULL};
    int layout = cremad->own->layout;
    if (layout != LAYOUT_PREPARED &&
        prepare_find_folders(cremad->plan, roots, downloaded, &cremad->root))
        return REL_OK;
    cremad->prepared = layout != LAYOUT_DOWNLOADED &&
                       prepare_find_folders(cremad->plan, roots, prepared, &cremad->root);
    if (cremad->prepared) return REL_OK;
    return rel_fail(REL_ERR_NOT_FOUND,
                    "%s: neither AudioWAV and VideoFlash (the downloaded repository) nor audio and "
                    "visual (prepared) are there%s",
                    cremad->plan->folder,
                    layout == LAYOUT_AUTO ? "" : " as --layout says they should be");
}

static const char *folder_of(const struct cremad *cremad, const char *name) {
    return prepare_path(cremad->plan, cremad->root, name);
}

/* The list `name` beside the other lists; *path is NULL when it is not there. */
static rel_status find_list(const struct cremad *cremad, const char *name, const char **path) {
    const char *folder = cremad->own->lists ? cremad->own->lists : cremad->plan->folder;
    *path = NULL;
    if (!fs_has(folder, name)) return REL_OK;
    *path = prepare_path(cremad->plan, folder, name);
    return *path ? REL_OK : REL_ERR_MEMORY;
}

/* --- samples --- */

/* The extension that the sounds of a prepared folder have: that of the first sample's. */
static const char *sound_extension(const struct cremad *cremad, const char *folder,
                                   const char *name) {
    static const char *const extensions[] = {"pt", "npy", "wav"};
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s.%s", folder, name, extensions[i]);
        if (fs_has(cremad->plan->folder, path)) return extensions[i];
    }
    return extensions[0];
}

static rel_status set_paths(struct cremad *cremad) {
    struct prepare_plan *plan = cremad->plan;
    const char *audio = folder_of(cremad, cremad->prepared ? "audio" : "AudioWAV");
    const char *visual = folder_of(cremad, cremad->prepared ? "visual" : "VideoFlash");
    if (!audio || !visual) return REL_ERR_MEMORY;
    for (size_t i = 0; i < plan->count; i++) {
        struct prepare_item *item = &plan->items[i];
        const char *extension = cremad->prepared ? sound_extension(cremad, audio, item->id) : "wav";
        item->paths[0] = prepare_text(plan, "%s/%s.%s", audio, item->id, extension);
        item->paths[1] =
            prepare_text(plan, "%s/%s%s", visual, item->id, cremad->prepared ? "" : ".flv");
        if (!item->paths[0] || !item->paths[1]) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

static rel_status add_sample(struct cremad *cremad, const char *list, int line, const char *name,
                             const char *label, enum data_split split, bool grouped) {
    struct prepare_plan *plan = cremad->plan;
    struct prepare_item *item = prepare_add_sample(plan);
    if (!item) return REL_ERR_MEMORY;
    *item = (struct prepare_item){
        .id = name, .label_name = label, .list = list, .line = line, .split = split};
    if (!prepare_name_good(name) || !*label)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: '%s' is no name of a clip, or has no class", list,
                        line, name);
    if (!grouped) return REL_OK;
    item->group = prepare_text(plan, "%.*s", (int)strcspn(name, "_"), name);
    return item->group ? REL_OK : REL_ERR_MEMORY;
}

/* --- the published split --- */

/* NAME,CLASS on every line, under a header name,label or none. */
static rel_status add_list(struct cremad *cremad, const char *name, enum data_split split,
                           bool grouped) {
    const struct csv_table *table;
    const char *path;
    REL_TRY(find_list(cremad, name, &path));
    if (!path)
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s/%s: no such list (name the folder of the published lists with --lists, "
                        "or make splits with --splits by-actor)",
                        cremad->own->lists ? cremad->own->lists : cremad->plan->folder, name);
    REL_TRY(prepare_read_table(cremad->plan, path, false, &table));
    for (size_t r = 0; r < table->count; r++) {
        const struct csv_row *row = &table->rows[r];
        if (row->count != 2)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: %d columns (a line is NAME,CLASS)", path,
                            row->line, row->count);
        if (r == 0 && strcmp(row->fields[0], "name") == 0) continue;
        REL_TRY(
            add_sample(cremad, path, row->line, row->fields[0], row->fields[1], split, grouped));
    }
    return REL_OK;
}

/* stat.csv holds a class a line; without it the classes are those of the samples. */
static rel_status read_classes(struct cremad *cremad) {
    struct prepare_plan *plan = cremad->plan;
    const struct csv_table *table;
    const char *path;
    REL_TRY(find_list(cremad, "stat.csv", &path));
    if (!path) return REL_OK;
    REL_TRY(prepare_read_table(plan, path, false, &table));
    char **names = rel_arena_alloc(&plan->arena, table->count, sizeof *names);
    if (!names) return REL_ERR_MEMORY;
    for (size_t r = 0; r < table->count; r++) names[r] = table->rows[r].fields[0];
    return prepare_set_classes(plan, path, names, table->count, true);
}

static rel_status add_published(struct cremad *cremad) {
    int validation = cremad->own->validation;
    bool grouped = validation == VALIDATION_ACTOR;
    cremad->plan->list_path = cremad->own->lists ? cremad->own->lists : cremad->plan->folder;
    if (cremad->options->test_fraction > 0)
        return rel_fail(REL_ERR_USAGE,
                        "--test-fraction: the published split has a test list (leave "
                        "it out, or use --splits by-actor)");
    if (validation == VALIDATION_LIST) {
        REL_TRY(add_list(cremad, "my_train.csv", SPLIT_TRAIN, false));
        REL_TRY(add_list(cremad, "val.csv", SPLIT_VAL, false));
    } else {
        REL_TRY(add_list(cremad, "train.csv", SPLIT_TRAIN, grouped));
    }
    REL_TRY(add_list(cremad, "test.csv", SPLIT_TEST, false));
    return read_classes(cremad);
}

/* --- splits of our own --- */

/* The table that names every clip, and the column of names in it. */
static rel_status find_table(const struct cremad *cremad, const char **path, const char **column) {
    static const struct {
        const char *file, *column;
    } tables[] = {{"SentenceFilenames.csv", "Filename"},
                  {"summaryTable.csv", "FileName"},
                  {"processedResults/summaryTable.csv", "FileName"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const char *inside = folder_of(cremad, tables[i].file);
        const char *here = inside ? prepare_path(cremad->plan, cremad->plan->folder, inside) : NULL;
        if (!here) return REL_ERR_MEMORY;
        *path = here;
        if (!fs_exists(here)) REL_TRY(find_list(cremad, tables[i].file, path));
        *column = tables[i].column;
        if (*path) return REL_OK;
    }
    return rel_fail(REL_ERR_NOT_FOUND,
                    "%s: neither SentenceFilenames.csv nor summaryTable.csv, which name the clips",
                    cremad->plan->folder);
}

/* The emotion in ACTOR_SENTENCE_EMOTION_LEVEL, e.g. NEU; NULL: no such name, or no memory. */
static const char *emotion_of(struct prepare_plan *plan, const char *name) {
    const char *sentence = strchr(name, '_');
    const char *emotion = sentence ? strchr(sentence + 1, '_') : NULL;
    if (!emotion || strcspn(emotion + 1, "_") != 3) return NULL;
    return prepare_text(plan, "%.3s", emotion + 1);
}

static rel_status add_by_actor(struct cremad *cremad) {
    struct prepare_plan *plan = cremad->plan;
    const char *path, *column;
    const struct csv_table *table;
    if (cremad->options->test_fraction <= 0)
        return rel_fail(REL_ERR_USAGE, "--splits by-actor: how many? (give --test-fraction 0.1 "
                                       "--val-fraction 0.1, say)");
    REL_TRY(find_table(cremad, &path, &column));
    REL_TRY(prepare_read_table(plan, path, false, &table));
    int at = table->count > 0 ? prepare_find_column(&table->rows[0], column) : -1;
    if (at < 0) return rel_fail(REL_ERR_FORMAT, "%s: no column %s", path, column);
    plan->list_path = path;
    for (size_t r = 1; r < table->count; r++) {
        const struct csv_row *row = &table->rows[r];
        const char *name = at < row->count ? row->fields[at] : "";
        const char *label = emotion_of(plan, name);
        if (!label)
            return rel_fail(REL_ERR_FORMAT,
                            "%s:%d: '%s' is not ACTOR_SENTENCE_EMOTION_LEVEL, as in "
                            "1001_IEO_NEU_XX",
                            path, row->line, name);
        REL_TRY(add_sample(cremad, path, row->line, name, label, SPLIT_TRAIN, true));
    }
    return REL_OK;
}

/* --- together --- */

static rel_status add_modalities(struct cremad *cremad) {
    static const char *const logmel[] = {"frames=256", NULL};
    static const char *const frames[] = {"fps=1", "rule=index", "clip_frames=2", NULL};
    bool stft = cremad->own->audio == AUDIO_STFT;
    REL_TRY(prepare_add_sound(cremad->plan, "audio", stft ? DATA_STFT : DATA_LOGMEL,
                              stft ? NULL : logmel, cremad->options));
    return prepare_add_modality(cremad->plan, "visual", DATA_FRAMES, frames, cremad->options);
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    struct cremad cremad = {.plan = plan, .options = options, .own = own};
    REL_TRY(find_root(&cremad));
    if (cremad.own->splits == SPLITS_BY_ACTOR)
        REL_TRY(add_by_actor(&cremad));
    else
        REL_TRY(add_published(&cremad));
    REL_TRY(set_paths(&cremad));
    REL_TRY(add_modalities(&cremad));
    return prepare_label(plan);
}

const struct prepare_recipe prepare_recipe_cremad = {
    .name = "cremad",
    .summary = "CREMA-D: 6 acted emotions, sound and faces",
    .description =
        "The downloaded repository (AudioWAV/, VideoFlash/) and the published lists, or\n"
        "the published code's own folders (audio/NAME.pt, visual/NAME/).",
    .options = option_table,
    .option_count = sizeof option_table / sizeof *option_table,
    .options_size = sizeof(struct cremad_options),
    .make = make,
};
