/* The recipe `folders`: one folder per class, for whoever has nothing but folders.
 *
 *   DIR/CLASS/...  or  DIR/{train,val,test}/CLASS/...
 *
 * What has the same name but for its extension is one sample: a sound and a video, a sound and a
 * folder of frames. A video alone gives both its sound and its pictures. */
#include "data/prepare.h"

#include <string.h>

enum { MODALITIES_AUTO, MODALITIES_AUDIO, MODALITIES_VISUAL, MODALITIES_BOTH };

struct folders_options {
    int modalities;
};

static const struct rel_option option_table[] = {
    {.key = "modalities",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct folders_options, modalities),
     .default_value = "auto",
     .choices = "auto|audio|visual|both",
     .help = "What to take. auto: pictures if there are any, and sound if there are sound files or "
             "the first video has a sound track."},
};

struct folders {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    const struct folders_options *own;
    struct prepare_files files; /* of the class under way */
    bool any[PREPARE_ARRAY];    /* types seen */
    const char *first_video;
    int audio, visual; /* index of the modality, -1: not taken */
};

/* A sample until it is known which modalities there are: paths by type. */
struct found {
    const char *paths[PREPARE_ARRAY];
};

static rel_status add_sample(struct folders *folders, const char *id, const char *label,
                             enum data_split split, struct found **found, size_t *capacity) {
    struct prepare_plan *plan = folders->plan;
    REL_TRY(rel_reserve((void **)found, capacity, plan->count, sizeof **found));
    struct prepare_item *item = prepare_add_sample(plan);
    if (!*found || !item || !id) return REL_ERR_MEMORY;
    (*found)[plan->count - 1] = (struct found){{NULL}};
    *item = (struct prepare_item){.id = id, .split = split, .label_name = label};
    return REL_OK;
}

/* Reads a class' folder; `found` is [plan->count], as long as the plan's items. */
static rel_status add_class(struct folders *folders, const char *folder, const char *name,
                            enum data_split split, struct found **found, size_t *capacity) {
    struct prepare_plan *plan = folders->plan;
    REL_TRY(prepare_list_files(plan, folder, 0, &folders->files));
    const char *stem = NULL;
    for (size_t f = 0; f < folders->files.count; f++) {
        const struct prepare_file *file = &folders->files.list[f];
        if (file->type == PREPARE_ARRAY) continue;
        if (!stem || strcmp(file->stem, stem) != 0) {
            stem = file->stem;
            REL_TRY(add_sample(folders, prepare_path(plan, folder, stem), name, split, found,
                               capacity));
        }
        struct found *sample = *found ? &(*found)[plan->count - 1] : NULL;
        if (!sample) return REL_ERR_MEMORY;
        if (sample->paths[file->type])
            return rel_fail(REL_ERR_FORMAT, "%s/%s: %s is there too (give them different names)",
                            plan->folder, file->path, fs_base_name(sample->paths[file->type]));
        sample->paths[file->type] = file->path;
        folders->any[file->type] = true;
        if (file->type == PREPARE_VIDEO && !folders->first_video) folders->first_video = file->path;
    }
    return REL_OK;
}

static rel_status add_classes(struct folders *folders, const char *folder, enum data_split split,
                              struct found **found, size_t *capacity) {
    struct prepare_plan *plan = folders->plan;
    struct fs_names names = {0};
    char *full = fs_join(plan->folder, *folder ? folder : ".");
    rel_status status = full ? fs_list(full, &names) : REL_ERR_MEMORY;
    rel_free(full);
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        const char *path = prepare_path(plan, folder, names.names[i]);
        const char *name = path ? fs_base_name(path) : NULL;
        char *inside = path ? fs_join(plan->folder, path) : NULL;
        if (!inside)
            status = REL_ERR_MEMORY;
        else if (fs_is_folder(inside) && *name != '.')
            status = add_class(folders, path, name, split, found, capacity);
        rel_free(inside);
    }
    fs_names_release(&names);
    return status;
}

/* Split folders if one is called so, else the classes themselves. */
static rel_status add_all(struct folders *folders, struct found **found, size_t *capacity) {
    struct fs_names names = {0};
    bool any = false;
    REL_TRY(fs_list(folders->plan->folder, &names));
    rel_status status = REL_OK;
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        int split = prepare_split_of(names.names[i]);
        const char *folder = prepare_text(folders->plan, "%s", names.names[i]);
        if (split < 0) continue;
        any = true;
        status = folder ? add_classes(folders, folder, (enum data_split)split, found, capacity)
                        : REL_ERR_MEMORY;
    }
    fs_names_release(&names);
    if (status == REL_OK && !any) status = add_classes(folders, "", SPLIT_TRAIN, found, capacity);
    if (status == REL_OK && folders->plan->count == 0)
        status = rel_fail(REL_ERR_NOT_FOUND,
                          "%s: no media in folders of classes (put them into DIR/CLASS/, or "
                          "DIR/train/CLASS/ and so on)",
                          folders->plan->folder);
    return status;
}

static rel_status has_sound_track(const struct folders *folders, bool *has) {
    const struct audio_options options = {.stop_after = 0.1};
    struct audio_clip clip = {0};
    char *path = fs_join(folders->plan->folder, folders->first_video);
    if (!path) return REL_ERR_MEMORY;
    /* Only the lack of a track speaks against sound; a damaged file is told of in its turn. */
    *has = audio_read(path, &options, &clip) != REL_ERR_ABSENT;
    audio_clip_release(&clip);
    rel_free(path);
    return REL_OK;
}

static rel_status choose_modalities(struct folders *folders) {
    static const char *const clip[] = {"clip_frames=3", NULL};
    const bool *any = folders->any;
    int wanted = folders->own->modalities;
    bool moving = any[PREPARE_VIDEO] || any[PREPARE_FRAMES];
    bool visual = moving || any[PREPARE_PICTURE], audio = any[PREPARE_SOUND];
    if (!audio && any[PREPARE_VIDEO] && wanted == MODALITIES_AUTO)
        REL_TRY(has_sound_track(folders, &audio));
    if (wanted != MODALITIES_AUTO) {
        audio = wanted != MODALITIES_VISUAL;
        visual = wanted != MODALITIES_AUDIO;
    }
    folders->audio = folders->visual = -1;
    if (audio) {
        folders->audio = folders->plan->modalities;
        REL_TRY(prepare_add_modality(folders->plan, "audio", DATA_LOGMEL, NULL, folders->options));
    }
    if (visual) {
        folders->visual = folders->plan->modalities;
        REL_TRY(prepare_add_modality(folders->plan, "visual", DATA_FRAMES, moving ? clip : NULL,
                                     folders->options));
    }
    return REL_OK;
}

/* Paths of a sample; where there is none, one that will be found missing. */
static rel_status set_paths(const struct folders *folders, const struct found *found,
                            struct prepare_item *item) {
    static const int pictures[] = {PREPARE_FRAMES, PREPARE_VIDEO, PREPARE_PICTURE};
    const char *sound = found->paths[PREPARE_SOUND], *picture = NULL;
    if (!sound) sound = found->paths[PREPARE_VIDEO];
    for (int p = 0; p < 3 && !picture; p++) picture = found->paths[pictures[p]];
    if (!sound) sound = prepare_text(folders->plan, "%s.wav", item->id);
    if (!picture) picture = prepare_text(folders->plan, "%s.mp4", item->id);
    if (!sound || !picture) return REL_ERR_MEMORY;
    if (folders->audio >= 0) item->paths[folders->audio] = sound;
    if (folders->visual >= 0) item->paths[folders->visual] = picture;
    return REL_OK;
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    struct folders folders = {.plan = plan, .options = options, .own = own};
    struct found *found = NULL;
    size_t capacity = 0;
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(add_all(&folders, &found, &capacity));
    REL_TRY_CLEANUP(choose_modalities(&folders));
    for (size_t i = 0; found && i < plan->count; i++)
        REL_TRY_CLEANUP(set_paths(&folders, &found[i], &plan->items[i]));
    status = prepare_label(plan);
cleanup:
    rel_free(found);
    rel_free(folders.files.list);
    return status;
}

const struct prepare_recipe prepare_recipe_folders = {
    .name = "folders",
    .summary = "one folder per class: DIR/CLASS/..., or DIR/train/CLASS/... and so on",
    .description = "Sounds, videos, pictures or folders of frames; what has the same name but for\n"
                   "the extension is one sample. Without splits, --test-fraction and\n"
                   "--val-fraction make them.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof *option_table,
    .options_size = sizeof(struct folders_options),
    .make = make,
};
