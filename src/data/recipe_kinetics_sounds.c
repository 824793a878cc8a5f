/* The recipe `kinetics-sounds`: the 31 classes of Kinetics that can be seen and heard (Arandjelovic
 * and Zisserman 2017), in clips of ten seconds, with lists NAME,10,LABEL.
 *
 *   downloaded  NAME.mp4 anywhere below DIR
 *   prepared    NAME.npy (log-mel 1024 x 128) and NAME/frame_00001.jpg anywhere below DIR
 *
 * A name begins with the 11 characters of the video it was cut from: clips of one video are kept
 * together when a split is divided. */
#include "data/prepare.h"

#include <string.h>

enum { FOLDER_DEPTH = 3, VIDEO_ID_LENGTH = 11 };

struct kinetics_options {
    int layout;     /* enum prepare_layout */
    int incomplete; /* enum prepare_absent */
    char *lists, *classes;
};

#define OFFSET(field) offsetof(struct kinetics_options, field)
static const struct rel_option option_table[] = {
    {.key = "layout",
     .type = OPTION_CHOICE,
     .offset = OFFSET(layout),
     .default_value = "auto",
     .choices = PREPARE_LAYOUT_CHOICES,
     .help =
         "downloaded: NAME.mp4; prepared: NAME.npy and folders NAME of frames, as the published "
         "code reads them. auto takes the prepared ones if there are .npy files."},
    {.key = "incomplete",
     .type = OPTION_CHOICE,
     .offset = OFFSET(incomplete),
     .default_value = "drop",
     .choices = PREPARE_ABSENT_CHOICES,
     .help = "Clips without a sound or a picture track: stop, leave them out, or keep them with "
             "silence or a black picture. They are reported in any case."},
    {.key = "lists",
     .type = OPTION_TEXT,
     .offset = OFFSET(lists),
     .unit = "DIR",
     .help = "Folder of my_train.txt, my_test.txt and perhaps my_val.txt (or train.txt ..., or "
             ".csv); --from if not given."},
    {.key = "classes",
     .type = OPTION_TEXT,
     .offset = OFFSET(classes),
     .unit = "FILE",
     .help = "Names of the classes, one a line, in the order of the numbers in the lists; without "
             "it the numbers are the names."},
};
#undef OFFSET

struct kinetics {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    const struct kinetics_options *own;
    struct prepare_files files;
    bool prepared;
};

/* --- lists --- */

/* my_train.txt and its other names; *path is NULL when none is there. */
static rel_status find_list(struct kinetics *kinetics, const char *split, const char **path) {
    static const char *const forms[] = {"my_%s.txt", "%s.txt", "my_%s.csv", "%s.csv"};
    const char *folder = kinetics->own->lists ? kinetics->own->lists : kinetics->plan->folder;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char name[32];
        const char *mark = strchr(forms[i], '%');
        snprintf(name, sizeof name, "%.*s%s%s", (int)(mark - forms[i]), forms[i], split, mark + 2);
        if (!fs_has(folder, name)) continue;
        *path = prepare_path(kinetics->plan, folder, name);
        return *path ? REL_OK : REL_ERR_MEMORY;
    }
    *path = NULL;
    return REL_OK;
}

/* Class names for the numbers of the lists, if there is a file of them. */
static rel_status class_name(const struct csv_table *classes, const char *path,
                             const struct csv_row *row, const char **name) {
    int number = prepare_parse_count(row->fields[2]);
    if (number < 0 || (classes && (size_t)number >= classes->count))
        return rel_fail(REL_ERR_FORMAT, "%s:%d: label '%s' is no number of a class", path,
                        row->line, row->fields[2]);
    *name = classes ? classes->rows[number].fields[0] : row->fields[2];
    return REL_OK;
}

static rel_status add_list(struct kinetics *kinetics, const char *path, enum data_split split,
                           const struct csv_table *classes) {
    struct prepare_plan *plan = kinetics->plan;
    const struct csv_table *table;
    REL_TRY(prepare_read_table(plan, path, true, &table));
    for (size_t r = 0; r < table->count; r++) {
        const struct csv_row *row = &table->rows[r];
        struct prepare_item *item = prepare_add_sample(plan);
        if (!item) return REL_ERR_MEMORY;
        if (row->count != 3 || !prepare_name_good(row->fields[0]))
            return rel_fail(REL_ERR_FORMAT, "%s:%d: a line is NAME,SECONDS,LABEL", path, row->line);
        *item = (struct prepare_item){
            .id = row->fields[0], .list = path, .line = row->line, .split = split};
        REL_TRY(class_name(classes, path, row, &item->label_name));
        item->group = prepare_text(plan, "%.*s", VIDEO_ID_LENGTH, item->id);
        if (!item->group) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

static rel_status add_lists(struct kinetics *kinetics) {
    struct prepare_plan *plan = kinetics->plan;
    const struct csv_table *classes = NULL;
    plan->list_path = kinetics->own->lists ? kinetics->own->lists : plan->folder;
    if (kinetics->own->classes) {
        REL_TRY(prepare_read_table(plan, kinetics->own->classes, false, &classes));
        char **names = rel_arena_alloc(&plan->arena, classes->count, sizeof *names);
        if (!names) return REL_ERR_MEMORY;
        for (size_t c = 0; c < classes->count; c++) names[c] = classes->rows[c].fields[0];
        REL_TRY(prepare_set_classes(plan, kinetics->own->classes, names, classes->count, false));
    }
    for (int split = 0; split < SPLIT_COUNT; split++) {
        const char *path;
        REL_TRY(find_list(kinetics, data_split_names[split], &path));
        if (path)
            REL_TRY(add_list(kinetics, path, (enum data_split)split, classes));
        else if (split != SPLIT_VAL)
            return rel_fail(REL_ERR_NOT_FOUND,
                            "%s/my_%s.txt: no such list (name the folder of the lists with "
                            "--lists)",
                            plan->list_path, data_split_names[split]);
    }
    return REL_OK;
}

/* --- media --- */

static bool has_arrays(const struct prepare_files *files) {
    for (size_t f = 0; f < files->count; f++)
        if (files->list[f].type == PREPARE_ARRAY) return true;
    return false;
}

static const char *path_of(const struct kinetics *kinetics, const struct prepare_item *item,
                           int type, int otherwise, const char *extension) {
    const struct prepare_file *file = prepare_find_file(&kinetics->files, item->id, type);
    if (!file) file = prepare_find_file(&kinetics->files, item->id, otherwise);
    return file ? file->path : prepare_text(kinetics->plan, "%s%s", item->id, extension);
}

static rel_status set_paths(struct kinetics *kinetics) {
    struct prepare_plan *plan = kinetics->plan;
    bool prepared = kinetics->prepared;
    for (size_t i = 0; i < plan->count; i++) {
        struct prepare_item *item = &plan->items[i];
        item->paths[0] = prepared ? path_of(kinetics, item, PREPARE_ARRAY, PREPARE_SOUND, ".npy")
                                  : path_of(kinetics, item, PREPARE_SOUND, PREPARE_VIDEO, ".mp4");
        item->paths[1] = prepared ? path_of(kinetics, item, PREPARE_FRAMES, PREPARE_PICTURE, "")
                                  : path_of(kinetics, item, PREPARE_VIDEO, PREPARE_FRAMES, ".mp4");
        if (!item->paths[0] || !item->paths[1]) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

static rel_status make_all(struct kinetics *kinetics) {
    static const char *const frames[] = {"fps=1", "clip_frames=3", NULL};
    static const char *const logmel[] = {"frames=1024", "mel_bins=128", NULL};
    struct prepare_plan *plan = kinetics->plan;
    int layout = kinetics->own->layout;
    plan->absent = kinetics->own->incomplete;
    REL_TRY(add_lists(kinetics));
    REL_TRY(prepare_list_files(plan, "", FOLDER_DEPTH, &kinetics->files));
    kinetics->prepared =
        layout == LAYOUT_PREPARED || (layout == LAYOUT_AUTO && has_arrays(&kinetics->files));
    REL_TRY(set_paths(kinetics));
    REL_TRY(prepare_add_sound(plan, "audio", DATA_LOGMEL, logmel, kinetics->options));
    REL_TRY(prepare_add_modality(plan, "visual", DATA_FRAMES, frames, kinetics->options));
    return prepare_label(plan);
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    struct kinetics kinetics = {.plan = plan, .options = options, .own = own};
    rel_status status = make_all(&kinetics);
    rel_free(kinetics.files.list);
    return status;
}

const struct prepare_recipe prepare_recipe_kinetics_sounds = {
    .name = "kinetics-sounds",
    .summary = "Kinetics-Sounds: 31 actions, sound and video",
    .description =
        "Clips NAME.mp4 anywhere below DIR, or prepared NAME.npy and folders of frames;\n"
        "lists my_train.txt and my_test.txt of lines NAME,10,LABEL.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof *option_table,
    .options_size = sizeof(struct kinetics_options),
    .make = make,
};
