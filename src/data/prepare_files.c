/* What lies in a folder of media, for recipes that go by names. */
#include "data/prepare.h"

#include <stdlib.h>
#include <string.h>

int prepare_split_of(const char *word) {
    static const struct {
        const char *word;
        enum data_split split;
    } words[] = {{"train", SPLIT_TRAIN}, {"training", SPLIT_TRAIN}, {"val", SPLIT_VAL},
                 {"valid", SPLIT_VAL},   {"validation", SPLIT_VAL}, {"dev", SPLIT_VAL},
                 {"test", SPLIT_TEST},   {"testing", SPLIT_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i].word) == 0) return (int)words[i].split;
    return -1;
}

int prepare_file_type(const char *name) {
    static const struct {
        const char *extension;
        int type;
    } known[] = {
        {"wav", PREPARE_SOUND},   {"mp3", PREPARE_SOUND},    {"flac", PREPARE_SOUND},
        {"ogg", PREPARE_SOUND},   {"opus", PREPARE_SOUND},   {"m4a", PREPARE_SOUND},
        {"aac", PREPARE_SOUND},   {"wma", PREPARE_SOUND},    {"aiff", PREPARE_SOUND},
        {"mp4", PREPARE_VIDEO},   {"avi", PREPARE_VIDEO},    {"mkv", PREPARE_VIDEO},
        {"webm", PREPARE_VIDEO},  {"mov", PREPARE_VIDEO},    {"flv", PREPARE_VIDEO},
        {"mpg", PREPARE_VIDEO},   {"mpeg", PREPARE_VIDEO},   {"wmv", PREPARE_VIDEO},
        {"m4v", PREPARE_VIDEO},   {"3gp", PREPARE_VIDEO},    {"ts", PREPARE_VIDEO},
        {"jpg", PREPARE_PICTURE}, {"jpeg", PREPARE_PICTURE}, {"png", PREPARE_PICTURE},
        {"npy", PREPARE_ARRAY},   {"pt", PREPARE_ARRAY},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (fs_has_extension(name, known[i].extension)) return known[i].type;
    return PREPARE_OTHER;
}

static int compare_files(const void *a, const void *b) {
    const struct prepare_file *x = a, *y = b;
    int order = strcmp(x->stem, y->stem);
    if (order == 0) order = x->type - y->type;
    return order != 0 ? order : strcmp(x->path, y->path);
}

static rel_status keep(struct prepare_plan *plan, struct prepare_files *files, const char *path,
                       int type) {
    const char *name = fs_base_name(path), *dot = strrchr(name, '.');
    int length = dot && type != PREPARE_FRAMES ? (int)(dot - name) : (int)strlen(name);
    REL_TRY(
        rel_reserve((void **)&files->list, &files->capacity, files->count, sizeof *files->list));
    const char *stem = prepare_text(plan, "%.*s", length, name);
    if (!stem) return REL_ERR_MEMORY;
    files->list[files->count++] = (struct prepare_file){stem, path, type};
    return REL_OK;
}

static bool has_pictures(const struct fs_names *names) {
    for (size_t i = 0; i < names->count; i++)
        if (prepare_file_type(names->names[i]) == PREPARE_PICTURE) return true;
    return false;
}

/* Bounded by `depth`, so a loop of links ends too. */
static rel_status walk(struct prepare_plan *plan, const char *folder, // NOLINT(misc-no-recursion)
                       int depth, bool top, struct prepare_files *files) {
    struct fs_names names = {0};
    rel_status status = REL_OK;
    char *full = fs_join(plan->folder, *folder ? folder : ".");
    if (!full) return REL_ERR_MEMORY;
    status = fs_list(full, &names);
    rel_free(full);
    REL_TRY(status);
    if (!top && has_pictures(&names)) {
        fs_names_release(&names);
        return keep(plan, files, folder, PREPARE_FRAMES);
    }
    for (size_t i = 0; i < names.count && status == REL_OK && depth >= 0; i++) {
        if (names.names[i][0] == '.') continue; /* hidden: of an editor, of a file manager */
        const char *path = prepare_path(plan, folder, names.names[i]);
        char *inside = path ? fs_join(plan->folder, path) : NULL;
        int type = prepare_file_type(names.names[i]);
        if (!inside)
            status = REL_ERR_MEMORY;
        else if (fs_is_folder(inside))
            status = walk(plan, path, depth - 1, false, files);
        else if (type != PREPARE_OTHER)
            status = keep(plan, files, path, type);
        rel_free(inside);
    }
    fs_names_release(&names);
    return status;
}

rel_status prepare_list_files(struct prepare_plan *plan, const char *folder, int depth,
                              struct prepare_files *files) {
    files->count = 0;
    REL_TRY(walk(plan, folder, depth, true, files));
    if (files->count > 0) qsort(files->list, files->count, sizeof *files->list, compare_files);
    return REL_OK;
}

const struct prepare_file *prepare_find_file(const struct prepare_files *files, const char *stem,
                                             int type) {
    size_t low = 0, high = files->count;
    const struct prepare_file key = {stem, "", type};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_files(&files->list[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == files->count || files->list[low].type != type) return NULL;
    return strcmp(files->list[low].stem, stem) == 0 ? &files->list[low] : NULL;
}
