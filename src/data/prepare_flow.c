/* Optical flow for a store: computed from a video, or read from pictures that others extracted. The
 * cell's items are gray pictures of u and v by turns. */
#include "base/base.h"
#include "data/prepare.h"

#include <string.h>

/* --- pictures --- */

/* Where u and v of a clip lie. */
struct flow_folders {
    char *u, *v;
};

static void flow_folders_release(struct flow_folders *folders) {
    rel_free(folders->u);
    rel_free(folders->v);
}

/* `path` with the last folder named u in it renamed to v; NULL if there is none. */
static rel_status sibling_path(const char *path, char **sibling) {
    const char *found = NULL;
    for (const char *at = path; *at; at++)
        if (at[0] == 'u' && (at == path || at[-1] == '/') && (at[1] == '/' || at[1] == '\0'))
            found = at;
    *sibling = found ? rel_strdup(path) : NULL;
    if (*sibling) (*sibling)[found - path] = 'v';
    return *sibling || !found ? REL_OK : REL_ERR_MEMORY;
}

/* u/ and v/ below a path, if below; else the path and its sibling. */
static rel_status name_folders(const char *path, bool below, struct flow_folders *folders) {
    folders->u = below ? fs_join(path, "u") : rel_strdup(path);
    if (!below) REL_TRY(sibling_path(path, &folders->v));
    if (below) folders->v = fs_join(path, "v");
    return folders->u && (folders->v || !below) ? REL_OK : REL_ERR_MEMORY;
}

static rel_status find_folders(const char *path, bool *below, struct flow_folders *folders) {
    *below = true;
    REL_TRY(name_folders(path, true, folders));
    if (fs_is_folder(folders->u) && fs_is_folder(folders->v)) return REL_OK;
    flow_folders_release(folders);
    *below = false;
    REL_TRY(name_folders(path, false, folders));
    if (folders->v && fs_is_folder(folders->v)) return REL_OK;
    return rel_fail(REL_ERR_FORMAT,
                    "%s: no folder of flow (name one that has u and v in it, or a clip's own below "
                    "a folder u that has a v beside it)",
                    path);
}

static rel_status list_pictures(const char *folder, struct fs_names *names) {
    size_t kept = 0;
    REL_TRY(fs_list(folder, names));
    for (size_t i = 0; i < names->count; i++) {
        if (prepare_file_type(names->names[i]) == PREPARE_PICTURE)
            names->names[kept++] = names->names[i];
        else
            rel_free(names->names[i]);
    }
    names->count = kept;
    if (kept > 0) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s: no .jpg, .jpeg or .png in this folder", folder);
}

static rel_status add_part(struct prepare_decoder *decoder, const char *folder, const char *shown,
                           const char *name, struct prepare_cell *cell,
                           struct prepare_sources *sources) {
    char *path = fs_join(folder, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = prepare_add_picture(decoder, path, shown, name, cell, sources);
    rel_free(path);
    return status;
}

static rel_status add_parts(struct prepare_decoder *decoder, const struct flow_folders *folders,
                            const struct flow_folders *shown, const struct fs_names *u,
                            const struct fs_names *v, struct prepare_cell *cell,
                            struct prepare_sources *sources) {
    if (u->count != v->count)
        return rel_fail(REL_ERR_FORMAT, "%s: %zu pictures, but %zu in %s", folders->u, u->count,
                        v->count, folders->v);
    for (size_t i = 0; i < u->count; i++) {
        if (strcmp(u->names[i], v->names[i]) != 0)
            return rel_fail(REL_ERR_FORMAT, "%s/%s: not in %s, which has %s there", folders->u,
                            u->names[i], folders->v, v->names[i]);
        REL_TRY(add_part(decoder, folders->u, shown->u, u->names[i], cell, sources));
        int width = decoder->picture.width, height = decoder->picture.height;
        REL_TRY(add_part(decoder, folders->v, shown->v, v->names[i], cell, sources));
        if (decoder->picture.width != width || decoder->picture.height != height)
            return rel_fail(REL_ERR_FORMAT, "%s/%s: it has %d x %d pixels, but u has %d x %d",
                            folders->v, v->names[i], decoder->picture.width,
                            decoder->picture.height, width, height);
        cell->frames--; /* the two are one */
    }
    return REL_OK;
}

static rel_status add_flow_folder(struct prepare_decoder *decoder, const char *path,
                                  const char *shown_path, struct prepare_cell *cell,
                                  struct prepare_sources *sources) {
    struct flow_folders folders = {0}, shown = {0};
    struct fs_names u = {0}, v = {0};
    bool below;
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(find_folders(path, &below, &folders));
    REL_TRY_CLEANUP(name_folders(shown_path, below, &shown));
    if (!shown.v && !(shown.v = rel_strdup(folders.v))) { /* the u is above what the list names */
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    REL_TRY_CLEANUP(list_pictures(folders.u, &u));
    REL_TRY_CLEANUP(list_pictures(folders.v, &v));
    status = add_parts(decoder, &folders, &shown, &u, &v, cell, sources);
cleanup:
    fs_names_release(&u);
    fs_names_release(&v);
    flow_folders_release(&folders);
    flow_folders_release(&shown);
    return status;
}

/* --- videos --- */

struct flow_taker {
    struct prepare_decoder *decoder;
    struct flow *flow;
    const struct flow_source_options *options;
    struct prepare_cell *cell;
    int64_t pairs;  /* wanted, of `frames` - 1 */
    int64_t frames; /* of the video */
    int64_t next;   /* pair that is looked for */
    struct picture before, now, level;
    int64_t before_index;
    float *u, *v; /* [height][width] */
    size_t pixels;
};

static void flow_taker_release(struct flow_taker *taker) {
    picture_release(&taker->before);
    picture_release(&taker->now);
    picture_release(&taker->level);
    rel_free(taker->u);
    rel_free(taker->v);
}

/* Frame that pair `i` begins with: the middle of the i-th of equal parts. */
static int64_t pair_begin(const struct flow_taker *taker, int64_t i) {
    return (2 * i + 1) * (taker->frames - 1) / (2 * taker->pairs);
}

/* Called for every index in turn, so the pair at hand is enough to remember. */
static bool choose_pairs(int64_t index, const struct video_info *info, void *context) {
    struct flow_taker *taker = context;
    (void)info;
    while (taker->next < taker->pairs && pair_begin(taker, taker->next) + 1 < index) taker->next++;
    if (taker->next == taker->pairs) return false;
    int64_t begin = pair_begin(taker, taker->next);
    return index == begin || index == begin + 1;
}

/* Gray, and no larger than wanted. */
static rel_status reduce(struct flow_taker *taker, const struct picture *rgb, struct picture *out) {
    struct prepare_decoder *decoder = taker->decoder;
    int64_t side = taker->options->side;
    int shorter = rgb->width < rgb->height ? rgb->width : rgb->height;
    if (side == 0 || shorter <= side) return picture_to_gray(rgb, out);
    REL_TRY(picture_to_gray(rgb, &decoder->picture));
    return picture_resize(&decoder->resize, &decoder->picture, NULL,
                          (int)((rgb->width * side + shorter / 2) / shorter),
                          (int)((rgb->height * side + shorter / 2) / shorter), out);
}

static rel_status add_level(struct flow_taker *taker, const float *values) {
    struct rel_text jpeg = {0};
    struct picture *level = &taker->level;
    REL_TRY(picture_reshape(level, taker->now.width, taker->now.height, 1));
    flow_quantize(values, (size_t)level->width * (size_t)level->height, taker->options->bound,
                  level->pixels);
    rel_status status = picture_write_jpeg(level, (int)taker->options->jpeg_quality, &jpeg);
    if (status == REL_OK) status = prepare_add_item(taker->cell, jpeg.data, jpeg.length);
    rel_text_release(&jpeg);
    return status;
}

static rel_status compute_pair(struct flow_taker *taker) {
    size_t pixels = (size_t)taker->now.width * (size_t)taker->now.height;
    if (taker->now.width != taker->before.width || taker->now.height != taker->before.height)
        return rel_fail(REL_ERR_FORMAT, "its frames change their size from %d x %d to %d x %d",
                        taker->before.width, taker->before.height, taker->now.width,
                        taker->now.height);
    if (pixels > taker->pixels) {
        rel_free(taker->u);
        rel_free(taker->v);
        taker->u = rel_alloc(pixels, sizeof *taker->u);
        taker->v = rel_alloc(pixels, sizeof *taker->v);
        taker->pixels = taker->u && taker->v ? pixels : 0;
        if (taker->pixels == 0) return REL_ERR_MEMORY;
    }
    REL_TRY(flow_compute(taker->flow, &taker->before, &taker->now, taker->u, taker->v));
    REL_TRY(add_level(taker, taker->u));
    REL_TRY(add_level(taker, taker->v));
    taker->cell->frames++;
    return REL_OK;
}

static rel_status take_flow_frame(const struct video_frame *frame, int64_t number, void *context) {
    struct flow_taker *taker = context;
    if (interrupt_requested()) return rel_fail(REL_ERR_INTERRUPTED, "interrupted");
    REL_TRY(reduce(taker, &frame->picture, &taker->now));
    if (number > 0 && taker->before_index + 1 == frame->index &&
        frame->index == pair_begin(taker, taker->next) + 1) {
        REL_TRY(compute_pair(taker));
    }
    struct picture swapped = taker->before;
    taker->before = taker->now;
    taker->now = swapped;
    taker->before_index = frame->index;
    return REL_OK;
}

static rel_status add_flow_video(struct prepare_decoder *decoder,
                                 const struct data_modality *modality, int number, const char *path,
                                 struct prepare_cell *cell) {
    const struct flow_source_options *options = &modality->flow_source;
    struct flow_taker taker = {
        .decoder = decoder, .flow = decoder->flow[number], .options = options, .cell = cell};
    const struct video_options limits = prepare_video_limits(decoder);
    struct video_info info = {0};
    REL_TRY(video_count_frames(path, &limits, &taker.frames));
    if (taker.frames < 2)
        return rel_fail(REL_ERR_FORMAT, "%s: a single frame shows no motion", path);
    taker.pairs = options->pairs_per_clip;
    if (taker.pairs == 0 || taker.pairs > taker.frames - 1) taker.pairs = taker.frames - 1;
    rel_status status =
        video_frames_chosen(path, &limits, choose_pairs, take_flow_frame, &taker, &info);
    flow_taker_release(&taker);
    /* Errors of the decoder name the file already. */
    if (status != REL_OK)
        return strstr(rel_error_message(), path) ? status : rel_fail_in(status, "%s", path);
    if (info.damaged > 0)
        rel_log(REL_LOG_WARNING, "%s: %d damaged packets were left out: %s", path, info.damaged,
                info.complaint);
    return REL_OK;
}

rel_status prepare_read_flow(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources) {
    if (fs_is_folder(path)) return add_flow_folder(decoder, path, shown, cell, sources);
    REL_TRY(add_flow_video(decoder, modality, number, path, cell));
    return prepare_add_source_file(sources, path, shown);
}

/* --- how long it will take --- */

static void format_duration(double seconds, char *text, size_t size) {
    long long minutes = (long long)(seconds / 60 + 0.5);
    if (seconds < 90)
        snprintf(text, size, "%.0f s", seconds);
    else if (minutes < 90)
        snprintf(text, size, "%lld min", minutes);
    else
        snprintf(text, size, "%lld h %lld min", minutes / 60, minutes % 60);
}

/* Seconds that one video takes, and its pairs. */
static rel_status try_video(struct prepare_decoder *decoder, const struct data_modality *modality,
                            int number, const char *path, double *seconds, int64_t *pairs) {
    struct prepare_cell cell = {0};
    struct data_modality one = *modality;
    int64_t wanted = modality->flow_source.pairs_per_clip;
    double start = clock_seconds();
    REL_TRY(video_count_frames(path, NULL, pairs));
    double walk = clock_seconds() - start;
    *pairs -= 1;
    if (wanted > 0 && wanted < *pairs) *pairs = wanted;
    one.flow_source.pairs_per_clip = 1;
    rel_status status = add_flow_video(decoder, &one, number, path, &cell);
    /* It walks through the video twice, whatever the number of pairs. */
    double pair = clock_seconds() - start - 3 * walk;
    *seconds = 2 * walk + (double)*pairs * (pair > 0 ? pair : 0);
    rel_text_release(&cell.data);
    rel_free(cell.sizes);
    return status;
}

static void announce(struct prepare_decoder *decoder, const struct prepare_plan *plan, int number,
                     uint64_t first, int workers) {
    const struct data_modality *modality = &plan->list[number];
    uint64_t videos = 0;
    double seconds = 0;
    int64_t pairs = 0;
    for (uint64_t i = first; i < plan->count; i++) {
        if (plan->items[i].missing) continue;
        char *path = fs_join(plan->folder, plan->items[i].paths[number]);
        bool video = path && !fs_is_folder(path);
        if (video && videos == 0 &&
            try_video(decoder, modality, number, path, &seconds, &pairs) != REL_OK)
            seconds = 0;
        videos += video;
        rel_free(path);
    }
    if (seconds == 0) return;
    char time[48];
    if ((uint64_t)workers > videos) workers = (int)videos;
    format_duration((double)videos * seconds / workers, time, sizeof time);
    rel_log(REL_LOG_NOTE,
            "%s: optical flow of %llu videos; the first takes %.1f s for %lld pairs, so it will be "
            "about %s with %d threads (pairs_per_clip bounds it)",
            modality->name, (unsigned long long)videos, seconds, (long long)pairs, time, workers);
}

void prepare_announce_flow(struct prepare_decoder *decoder, const struct prepare_plan *plan,
                           uint64_t first, int workers) {
    for (int m = 0; m < plan->modalities; m++)
        if (plan->list[m].kind == DATA_FLOW) announce(decoder, plan, m, first, workers);
}
