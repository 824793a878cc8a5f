/* The recipe `ucf101`: UCF-101 (Soomro et al. 2012), 101 actions, as RGB frames and optical flow,
 * by one of its three official splits.
 *
 *   downloaded  DIR/UCF-101/CLASS/v_CLASS_g08_c01.avi
 *   prepared    a folder of frames per clip, and its flow in folders u/CLIP and v/CLIP
 *
 * Clips of one group (g08) of a class were cut from one film: they are kept together when a
 * validation split is divided off. */
#include "data/prepare.h"

#include <string.h>

enum { MODALITIES_BOTH, MODALITIES_VISUAL, MODALITIES_FLOW };

struct ucf_options {
    int layout;    /* enum prepare_layout */
    int64_t split; /* 1 to 3 */
    int modalities;
    char *lists;
};

#define OFFSET(field) offsetof(struct ucf_options, field)
static const struct rel_option option_table[] = {
    {.key = "layout",
     .type = OPTION_CHOICE,
     .offset = OFFSET(layout),
     .default_value = "auto",
     .choices = PREPARE_LAYOUT_CHOICES,
     .help = "downloaded: .avi clips, flow is computed from them; prepared: folders of frames, and "
             "flow in u/ and v/. auto takes what is there, frames and flow each for itself."},
    {.key = "split",
     .type = OPTION_INT,
     .offset = OFFSET(split),
     .default_value = "1",
     .minimum = 1,
     .maximum = 3,
     .help = "Official split: trainlist0N.txt and testlist0N.txt."},
    {.key = "modalities",
     .type = OPTION_CHOICE,
     .offset = OFFSET(modalities),
     .default_value = "both",
     .choices = "both|visual|flow",
     .help = "RGB frames, optical flow, or both."},
    {.key = "lists",
     .type = OPTION_TEXT,
     .offset = OFFSET(lists),
     .unit = "DIR",
     .help = "Folder of classInd.txt and the lists; if not given, --from or ucfTrainTestlist in "
             "it."},
};
#undef OFFSET

struct ucf {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    const struct ucf_options *own;
    const char *lists;
};

/* --- lists --- */

static rel_status find_lists(struct ucf *ucf) {
    static const char *const places[] = {"", "ucfTrainTestlist",
                                         "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist"};
    const char *folder = ucf->plan->folder;
    for (size_t i = 0; i < sizeof places / sizeof *places && !ucf->own->lists; i++) {
        const char *place = prepare_path(ucf->plan, folder, places[i]);
        const char *list = place ? prepare_path(ucf->plan, place, "classInd.txt") : NULL;
        if (!list) return REL_ERR_MEMORY;
        ucf->lists = place;
        if (fs_exists(list)) return REL_OK;
    }
    ucf->lists = ucf->own->lists ? ucf->own->lists : folder;
    return REL_OK;
}

static rel_status read_list(struct ucf *ucf, const char *name, const char **path,
                            const struct csv_table **table) {
    *path = prepare_path(ucf->plan, ucf->lists, name);
    if (!*path) return REL_ERR_MEMORY;
    if (!fs_exists(*path))
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s: no such list (name the folder of the official lists with --lists)",
                        *path);
    return prepare_read_table(ucf->plan, *path, true, table);
}

/* Lines "1 ApplyEyeMakeup", numbered from 1 without a gap. */
static rel_status read_classes(struct ucf *ucf) {
    struct prepare_plan *plan = ucf->plan;
    const char *path;
    const struct csv_table *table;
    REL_TRY(read_list(ucf, "classInd.txt", &path, &table));
    char **names = rel_arena_alloc(&plan->arena, table->count, sizeof *names);
    if (!names) return REL_ERR_MEMORY;
    for (size_t r = 0; r < table->count; r++) {
        const struct csv_row *row = &table->rows[r];
        if (row->count != 2 || prepare_parse_count(row->fields[0]) != (int)r + 1)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: a line is NUMBER CLASS, numbered from 1", path,
                            row->line);
        names[r] = row->fields[1];
    }
    return prepare_set_classes(plan, path, names, table->count, false);
}

/* CLASS/v_CLASS_g08_c01.avi, in training lists with the number of the class behind it. */
static rel_status add_row(struct ucf *ucf, const char *path, const struct csv_row *row,
                          enum data_split split) {
    struct prepare_plan *plan = ucf->plan;
    const char *clip = row->fields[0], *slash = strchr(clip, '/');
    const char *name = slash ? slash + 1 : "", *dot = strrchr(name, '.');
    struct prepare_item *item = prepare_add_sample(plan);
    if (!item) return REL_ERR_MEMORY;
    *item = (struct prepare_item){.list = path, .line = row->line, .split = split};
    if (row->count > 2 || !slash || !prepare_name_good(name) || !dot || *clip == '.')
        return rel_fail(REL_ERR_FORMAT, "%s:%d: a line is CLASS/CLIP.avi and perhaps a number",
                        path, row->line);
    item->id = prepare_text(plan, "%.*s", (int)(dot - name), name);
    item->label_name = prepare_text(plan, "%.*s", (int)(slash - clip), clip);
    if (!item->id || !item->label_name) return REL_ERR_MEMORY;
    const char *cut = strstr(item->id, "_c");
    for (const char *next = cut; next; next = strstr(next + 1, "_c")) cut = next;
    item->group = cut ? prepare_text(plan, "%.*s", (int)(cut - item->id), item->id) : item->id;
    if (!item->group) return REL_ERR_MEMORY;
    if (row->count == 1) return REL_OK;
    int number = prepare_parse_count(row->fields[1]);
    if (number >= 1 && number <= plan->classes &&
        strcmp(plan->class_names[number - 1], item->label_name) == 0)
        return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s:%d: class %s is not number %s of classInd.txt", path,
                    row->line, item->label_name, row->fields[1]);
}

static rel_status add_list(struct ucf *ucf, const char *form, enum data_split split) {
    char name[32];
    const char *path;
    const struct csv_table *table;
    snprintf(name, sizeof name, "%s0%d.txt", form, (int)ucf->own->split);
    REL_TRY(read_list(ucf, name, &path, &table));
    for (size_t r = 0; r < table->count; r++) REL_TRY(add_row(ucf, path, &table->rows[r], split));
    return REL_OK;
}

/* --- media --- */

/* Where the media of a kind lie: ROOT/CLASS/CLIP or ROOT/CLIP, and what follows the clip's name. */
struct place {
    const char *root, *extension;
    bool by_class;
};

static char *path_at(const struct ucf *ucf, const struct place *place,
                     const struct prepare_item *item) {
    return prepare_text(ucf->plan, "%s%s%s%s%s%s", place->root, *place->root ? "/" : "",
                        place->by_class ? item->label_name : "", place->by_class ? "/" : "",
                        item->id, place->extension);
}

/* The first place that holds one of the first samples; if none does, *found is false. */
static rel_status find_place(const struct ucf *ucf, const char *const *roots, const char *extension,
                             struct place *place, bool *found) {
    enum { TRIED = 20 }; /* samples: some may be missing */
    const struct prepare_plan *plan = ucf->plan;
    for (size_t r = 0; roots[r]; r++)
        for (int by_class = 1; by_class >= 0; by_class--) {
            *place = (struct place){roots[r], extension, by_class};
            for (size_t i = 0; i < plan->count && i < TRIED; i++) {
                const char *path = path_at(ucf, place, &plan->items[i]);
                if (!path) return REL_ERR_MEMORY;
                *found = fs_has(plan->folder, path);
                if (*found) return REL_OK;
            }
        }
    *place = (struct place){roots[0], extension, true};
    *found = false;
    return REL_OK;
}

static const char *const video_roots[] = {"UCF-101", "UCF101", "videos", "", NULL};
static const char *const frame_roots[] = {"rgb",    "RGB",     "frames", "visual",
                                          "images", "UCF-101", "",       NULL};
static const char *const flow_roots[] = {"u", "flow/u", "optical_flow/u", "tvl1_flow/u", NULL};

static rel_status add_modality(struct ucf *ucf, const char *name, int kind,
                               const char *const *roots, const char *const *defaults) {
    struct prepare_plan *plan = ucf->plan;
    struct place place;
    int m = plan->modalities, layout = ucf->own->layout;
    bool prepared = false, found;
    if (layout != LAYOUT_DOWNLOADED) REL_TRY(find_place(ucf, roots, "", &place, &prepared));
    if (!prepared && layout == LAYOUT_PREPARED)
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s: no folders of %s, such as %s/%s (--layout downloaded computes them "
                        "from the clips)",
                        plan->folder, name, roots[0], plan->items[0].id);
    if (!prepared) REL_TRY(find_place(ucf, video_roots, ".avi", &place, &found));
    for (size_t i = 0; i < plan->count; i++) {
        plan->items[i].paths[m] = path_at(ucf, &place, &plan->items[i]);
        if (!plan->items[i].paths[m]) return REL_ERR_MEMORY;
    }
    return prepare_add_modality(plan, name, kind, defaults, ucf->options);
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    static const char *const frames[] = {"fps=1", "clip_frames=3", "crop=none", NULL};
    static const char *const flow[] = {"pairs_per_clip=10", "clip_frames=3", "crop=none", NULL};
    struct ucf ucf = {.plan = plan, .options = options, .own = own};
    int modalities = ucf.own->modalities;
    REL_TRY(find_lists(&ucf));
    plan->list_path = ucf.lists;
    REL_TRY(read_classes(&ucf));
    REL_TRY(add_list(&ucf, "trainlist", SPLIT_TRAIN));
    REL_TRY(add_list(&ucf, "testlist", SPLIT_TEST));
    if (plan->count == 0) return rel_fail(REL_ERR_FORMAT, "%s: empty lists", ucf.lists);
    if (modalities != MODALITIES_FLOW)
        REL_TRY(add_modality(&ucf, "visual", DATA_FRAMES, frame_roots, frames));
    if (modalities != MODALITIES_VISUAL)
        REL_TRY(add_modality(&ucf, "flow", DATA_FLOW, flow_roots, flow));
    return prepare_label(plan);
}

const struct prepare_recipe prepare_recipe_ucf101 = {
    .name = "ucf101",
    .summary = "UCF-101: 101 actions, RGB frames and optical flow",
    .description =
        "The .avi clips and the official lists (classInd.txt, trainlist01.txt ...); flow\n"
        "is computed, or read from folders u/ and v/.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof *option_table,
    .options_size = sizeof(struct ucf_options),
    .make = make,
};
