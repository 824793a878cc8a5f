/* Media files to what a store keeps: pictures as they are, video frames as JPEG, sound as
 * spectrograms, vectors as float32. */
#include "data/prepare.h"
#include "data/transform.h"
#include "io/io.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* SQLite's own bound on a cell is 1e9 bytes. */
enum { CELL_BYTES_MAX = 1000000000, PICTURE_BYTES_MAX = 256 << 20, VECTOR_BYTES_MAX = 64 << 20 };

/* --- sources --- */

void prepare_hash_text(XXH128_hash_t hash, char text[STORE_HASH_MAX]) {
    snprintf(text, STORE_HASH_MAX, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

static rel_status add_source(struct prepare_sources *sources, const char *shown, const char *name,
                             uint64_t bytes, XXH128_hash_t hash) {
    if (!sources) return REL_OK;
    REL_TRY(rel_reserve((void **)&sources->list, &sources->capacity, sources->count,
                        sizeof *sources->list));
    char *path = NULL;
    if (name) {
        char *joined = fs_join(shown, name);
        if (!joined) return REL_ERR_MEMORY;
        path = rel_arena_strdup(&sources->paths, joined);
        rel_free(joined);
    } else {
        path = rel_arena_strdup(&sources->paths, shown);
    }
    if (!path) return REL_ERR_MEMORY;
    struct store_source *source = &sources->list[sources->count++];
    source->path = path;
    source->bytes = bytes;
    source->modality = sources->modality;
    prepare_hash_text(hash, source->hash);
    return REL_OK;
}

rel_status prepare_add_source_file(struct prepare_sources *sources, const char *path,
                                   const char *shown) {
    enum { BLOCK = 1 << 16 };
    if (!sources) return REL_OK;
    rel_status status = REL_OK;
    uint64_t bytes = 0;
    XXH3_state_t *state = XXH3_createState();
    char *block = rel_alloc(BLOCK, 1);
    FILE *file = fopen(path, "rb");
    if (!state || !block) {
        status = rel_fail(REL_ERR_MEMORY, "%s: out of memory", path);
    } else if (!file) {
        status = rel_fail(REL_ERR_IO, "%s: %s", path, strerror(errno));
    } else {
        size_t got;
        XXH3_128bits_reset(state);
        while ((got = fread(block, 1, BLOCK, file)) > 0) {
            XXH3_128bits_update(state, block, got);
            bytes += got;
        }
        if (ferror(file)) status = rel_fail(REL_ERR_IO, "%s: cannot be read", path);
    }
    if (status == REL_OK)
        status = add_source(sources, shown, NULL, bytes, XXH3_128bits_digest(state));
    if (file) fclose(file);
    rel_free(block);
    XXH3_freeState(state);
    return status;
}

/* --- cells --- */

static void clear_cell(struct prepare_cell *cell) {
    cell->data.length = 0;
    cell->items = 0;
    cell->frames = 0;
    cell->audio_seconds = 0;
}

rel_status prepare_add_item(struct prepare_cell *cell, const void *bytes, size_t size) {
    if (size > CELL_BYTES_MAX - cell->data.length)
        return rel_fail(REL_ERR_LIMIT, "more than 1 GB for one sample (take fewer frames)");
    REL_TRY(rel_reserve((void **)&cell->sizes, &cell->capacity, cell->items, sizeof *cell->sizes));
    REL_TRY(rel_text_append_bytes(&cell->data, bytes, size));
    cell->sizes[cell->items++] = (uint32_t)size;
    return REL_OK;
}

/* A picture is decoded once here, so that one that is damaged shows now and not while training. */
rel_status prepare_add_picture(struct prepare_decoder *decoder, const char *path, const char *shown,
                               const char *name, struct prepare_cell *cell,
                               struct prepare_sources *sources) {
    char *bytes;
    size_t size;
    REL_TRY(fs_read(path, PICTURE_BYTES_MAX, &bytes, &size));
    rel_status status = picture_read_memory(bytes, size, NULL, &decoder->picture);
    if (status == REL_OK) status = prepare_add_item(cell, bytes, size);
    if (status != REL_OK) status = rel_fail_in(status, "%s", path);
    if (status == REL_OK)
        status = add_source(sources, shown, name, size, XXH3_128bits(bytes, size));
    rel_free(bytes);
    cell->frames += status == REL_OK;
    return status;
}

static rel_status add_folder(struct prepare_decoder *decoder, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources) {
    struct fs_names names = {0};
    REL_TRY(fs_list(path, &names));
    rel_status status = REL_OK;
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        if (prepare_file_type(names.names[i]) != PREPARE_PICTURE) continue;
        char *file = fs_join(path, names.names[i]);
        status = file ? prepare_add_picture(decoder, file, shown, names.names[i], cell, sources)
                      : REL_ERR_MEMORY;
        rel_free(file);
    }
    if (status == REL_OK && cell->items == 0)
        status = rel_fail(REL_ERR_FORMAT, "%s: no .jpg, .jpeg or .png in this folder", path);
    fs_names_release(&names);
    return status;
}

struct video_options prepare_video_limits(const struct prepare_decoder *decoder) {
    if (!decoder->needed_only) return (struct video_options){.max_seconds = 0};
    return (struct video_options){
        .max_seconds = 24 * 3600.0, .max_file_bytes = (uint64_t)1 << 40, .deadline = 6 * 3600.0};
}

struct video_taker {
    struct prepare_decoder *decoder;
    const struct frames_options *options;
    struct prepare_cell *cell;
    int64_t frames; /* seen */
    int64_t total;  /* of the video, once known; only those needed are kept then */
    bool counting;  /* too many to keep: none is */
};

static int scaled(int side, int64_t wanted, int shorter) {
    int64_t size = (side * wanted + shorter / 2) / shorter;
    return size > 0 ? (int)size : 1;
}

/* OGM-GE's rule: within every `rate` frames those whose number is a multiple of rate / fps. */
static bool choose_by_index(int64_t index, const struct video_info *info, void *context) {
    const struct video_taker *taker = context;
    double fps = taker->options->fps;
    int64_t rate = (int64_t)info->frame_rate, interval = (int64_t)((double)rate / fps);
    if (interval < 1) return true;
    int64_t within = index % rate;
    return within % interval == 0 && (double)within < (double)interval * fps;
}

static rel_status keep_video_frame(struct video_taker *taker, const struct video_frame *frame) {
    const struct picture *picture = &frame->picture;
    int shorter = picture->width < picture->height ? picture->width : picture->height;
    int64_t wanted = taker->options->stored_side;
    struct rel_text jpeg = {0};
    if (wanted > 0 && wanted < shorter) {
        REL_TRY(picture_resize(&taker->decoder->resize, picture, NULL,
                               scaled(picture->width, wanted, shorter),
                               scaled(picture->height, wanted, shorter), &taker->decoder->resized));
        picture = &taker->decoder->resized;
    }
    rel_status status = picture_write_jpeg(picture, (int)taker->options->jpeg_quality, &jpeg);
    if (status == REL_OK) status = prepare_add_item(taker->cell, jpeg.data, jpeg.length);
    taker->cell->frames += status == REL_OK;
    rel_text_release(&jpeg);
    return status;
}

static bool frame_is_needed(const struct video_taker *taker, int64_t number) {
    int64_t wanted = taker->decoder->frames_needed;
    for (int64_t i = 0; i < wanted; i++)
        if (transform_frame_index(taker->total, wanted, i, NULL) == number) return true;
    return false;
}

static rel_status take_video_frame(const struct video_frame *frame, int64_t number, void *context) {
    struct video_taker *taker = context;
    if (interrupt_requested()) return rel_fail(REL_ERR_INTERRUPTED, "interrupted");
    taker->frames++;
    if (taker->counting || (taker->total > 0 && !frame_is_needed(taker, number))) return REL_OK;
    REL_TRY(keep_video_frame(taker, frame));
    taker->counting = taker->decoder->needed_only && taker->total == 0 &&
                      taker->cell->data.length > taker->decoder->frames_bytes_max;
    return REL_OK;
}

static rel_status walk_video(struct video_taker *taker, const char *path, struct video_info *info) {
    const struct video_options limits = prepare_video_limits(taker->decoder);
    if (taker->options->rule == FRAMES_BY_INDEX)
        return video_frames_chosen(path, &limits, choose_by_index, take_video_frame, taker, info);
    return video_frames_at(path, &limits, taker->options->fps, take_video_frame, taker, info);
}

static rel_status add_video(struct prepare_decoder *decoder, const struct frames_options *options,
                            const char *path, const char *shown, struct prepare_cell *cell,
                            struct prepare_sources *sources) {
    struct video_taker taker = {.decoder = decoder, .options = options, .cell = cell};
    struct video_info info = {0};
    REL_TRY(walk_video(&taker, path, &info));
    if (taker.counting) {
        clear_cell(cell);
        taker = (struct video_taker){
            .decoder = decoder, .options = options, .cell = cell, .total = taker.frames};
        REL_TRY(walk_video(&taker, path, &info));
    }
    if (info.damaged > 0)
        rel_log(REL_LOG_WARNING, "%s: %d damaged packets were left out: %s", path, info.damaged,
                info.complaint);
    return prepare_add_source_file(sources, path, shown);
}

/* Contents decide, not names; but a file named like a picture is to be one. */
static rel_status is_picture_file(const char *path, bool *picture) {
    unsigned char head[8];
    FILE *file = fopen(path, "rb");
    if (!file) return rel_fail(REL_ERR_IO, "%s: %s", path, strerror(errno));
    size_t got = fread(head, 1, sizeof head, file);
    fclose(file);
    if (got == 0) return rel_fail(REL_ERR_FORMAT, "%s: the file is empty", path);
    *picture = prepare_file_type(path) == PREPARE_PICTURE ||
               (got >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0) ||
               (got == 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0);
    return REL_OK;
}

static rel_status add_frames(struct prepare_decoder *decoder, const struct data_modality *modality,
                             const char *path, const char *shown, struct prepare_cell *cell,
                             struct prepare_sources *sources) {
    bool picture = false;
    if (fs_is_folder(path)) return add_folder(decoder, path, shown, cell, sources);
    REL_TRY(is_picture_file(path, &picture));
    if (picture) return prepare_add_picture(decoder, path, shown, NULL, cell, sources);
    return add_video(decoder, &modality->frames_source, path, shown, cell, sources);
}

static rel_status add_clip(struct prepare_decoder *decoder, const struct data_modality *modality,
                           int number, const struct audio_clip *clip, struct prepare_cell *cell) {
    size_t values = (size_t)modality->height * (size_t)modality->width;
    REL_TRY(modality->kind == DATA_LOGMEL
                ? logmel_compute(decoder->logmel[number], clip, decoder->features)
                : stft_compute(decoder->stft[number], clip, decoder->features));
    return prepare_add_item(cell, decoder->features, values * sizeof *decoder->features);
}

/* How much of a clip its features are made of. */
static double sound_seconds(const struct data_modality *modality) {
    const struct logmel_options *options = &modality->logmel;
    if (modality->kind == DATA_STFT) return modality->stft.seconds;
    return (options->frame_length + options->frame_shift * (double)options->frames) / 1e3;
}

static rel_status add_sound(struct prepare_decoder *decoder, const struct data_modality *modality,
                            int number, const char *path, const char *shown,
                            struct prepare_cell *cell, struct prepare_sources *sources) {
    bool mel = modality->kind == DATA_LOGMEL;
    struct audio_options options = {
        .sample_rate = (int)(mel ? modality->logmel.sample_rate : modality->stft.sample_rate)};
    struct audio_clip clip = {0};
    if (prepare_file_type(path) == PREPARE_ARRAY)
        return prepare_add_array(modality, path, shown, cell, sources);
    if (decoder->needed_only) {
        /* What lies a second behind is beyond the reach of the resampler's filter. */
        options.stop_after = sound_seconds(modality) + 1;
        options.max_file_bytes = prepare_video_limits(decoder).max_file_bytes;
    }
    REL_TRY(audio_read(path, &options, &clip));
    if (clip.damaged > 0)
        rel_log(REL_LOG_WARNING, "%s: %d damaged packets were left out: %s", path, clip.damaged,
                clip.complaint);
    rel_status status = add_clip(decoder, modality, number, &clip, cell);
    if (status != REL_OK) status = rel_fail_in(status, "%s", path);
    cell->audio_seconds = (double)clip.samples / clip.sample_rate;
    audio_clip_release(&clip);
    return status == REL_OK ? prepare_add_source_file(sources, path, shown) : status;
}

/* A vector of any number type, [n], [1][n] or [n][1]. rel_free *values. */
static rel_status read_vector(const char *path, float **values, size_t *count) {
    struct npy_array array = {0};
    size_t rows;
    REL_TRY(npy_read(path, VECTOR_BYTES_MAX, &array));
    rel_status status = REL_OK;
    size_t longest = 1;
    for (int d = 0; d < array.ndims; d++)
        if (array.shape[d] > longest) longest = array.shape[d];
    if (array.ndims < 1 || array.ndims > 2 || array.count == 0 || longest != array.count) {
        status =
            rel_fail(REL_ERR_FORMAT, "%s: %d dimensions, %zu values (give one vector per sample)",
                     path, array.ndims, array.count);
    } else {
        array.ndims = 2;
        array.shape[0] = 1;
        array.shape[1] = array.count;
        array.fortran_order = false; /* the same for one row */
        status = npy_as_floats(&array, values, &rows, count);
    }
    npy_release(&array);
    return status;
}

rel_status prepare_vector_width(const char *path, int *features) {
    float *values = NULL;
    size_t count = 0;
    REL_TRY(read_vector(path, &values, &count));
    rel_free(values);
    *features = (int)count; /* at most VECTOR_BYTES_MAX */
    return REL_OK;
}

static rel_status add_vector(const struct data_modality *modality, const char *path,
                             const char *shown, struct prepare_cell *cell,
                             struct prepare_sources *sources) {
    float *values = NULL;
    size_t count = 0;
    REL_TRY(read_vector(path, &values, &count));
    rel_status status = REL_OK;
    if (count != (size_t)modality->features)
        status = rel_fail(REL_ERR_FORMAT, "%s: %zu values, but other samples have %d", path, count,
                          modality->features);
    else
        status = prepare_add_item(cell, values, count * sizeof *values);
    rel_free(values);
    return status == REL_OK ? prepare_add_source_file(sources, path, shown) : status;
}

rel_status prepare_value_cell(const struct data_modality *modality, const float *values,
                              struct prepare_cell *cell) {
    clear_cell(cell);
    for (int i = 0; i < modality->features; i++)
        if (!isfinite(values[i]))
            return rel_fail(REL_ERR_NUMERIC, "value %d is not a finite number", i + 1);
    return prepare_add_item(cell, values, (size_t)modality->features * sizeof *values);
}

/* What a track of digital silence, as long as the features, would give. */
static rel_status fill_sound(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, struct prepare_cell *cell) {
    int64_t wanted =
        modality->kind == DATA_STFT ? modality->stft.sample_rate : modality->logmel.sample_rate;
    int rate = wanted > 0 ? (int)wanted : 16000;
    struct audio_clip clip = {.sample_rate = rate, .channels = 1};
    clip.samples = (size_t)(sound_seconds(modality) * rate) + 1;
    clip.waveform = rel_alloc(clip.samples, sizeof *clip.waveform);
    if (!clip.waveform) return REL_ERR_MEMORY;
    rel_status status = add_clip(decoder, modality, number, &clip, cell);
    audio_clip_release(&clip);
    return status;
}

/* A picture of one level. */
static rel_status fill_picture(struct prepare_decoder *decoder, int channels, int level,
                               struct prepare_cell *cell) {
    enum { SIDE = 16, QUALITY = 95 };
    struct rel_text jpeg = {0};
    REL_TRY(picture_reshape(&decoder->picture, SIDE, SIDE, channels));
    memset(decoder->picture.pixels, level, (size_t)(SIDE * SIDE * channels));
    rel_status status = picture_write_jpeg(&decoder->picture, QUALITY, &jpeg);
    if (status == REL_OK) status = prepare_add_item(cell, jpeg.data, jpeg.length);
    rel_text_release(&jpeg);
    return status;
}

rel_status prepare_fill_cell(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, struct prepare_cell *cell) {
    clear_cell(cell);
    if (data_kind_is_sound(modality->kind)) return fill_sound(decoder, modality, number, cell);
    if (modality->kind != DATA_FLOW) return fill_picture(decoder, 3, 0, cell);
    REL_TRY(fill_picture(decoder, 1, FLOW_NO_MOTION, cell));
    return fill_picture(decoder, 1, FLOW_NO_MOTION, cell);
}

rel_status prepare_read_cell(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources) {
    clear_cell(cell);
    if (sources) sources->modality = number;
    switch (modality->kind) {
    case DATA_LOGMEL:
    case DATA_STFT:
        return add_sound(decoder, modality, number, path, shown, cell, sources);
    case DATA_FRAMES:
        return add_frames(decoder, modality, path, shown, cell, sources);
    case DATA_FLOW:
        return prepare_read_flow(decoder, modality, number, path, shown, cell, sources);
    default:
        return add_vector(modality, path, shown, cell, sources);
    }
}

static rel_status make_front_end(struct prepare_decoder *decoder,
                                 const struct data_modality *modality, int number) {
    switch (modality->kind) {
    case DATA_LOGMEL:
        return logmel_create(&decoder->logmel[number], &modality->logmel);
    case DATA_STFT:
        return stft_create(&decoder->stft[number], &modality->stft);
    case DATA_FLOW:
        return flow_create(&decoder->flow[number], &modality->flow);
    default:
        return REL_OK;
    }
}

rel_status prepare_decoder_init(struct prepare_decoder *decoder, const struct data_modality *list,
                                int modalities) {
    size_t largest = 0;
    for (int m = 0; m < modalities; m++) {
        const struct data_modality *modality = &list[m];
        rel_status status = make_front_end(decoder, modality, m);
        if (status != REL_OK) return rel_fail_in(status, "modality %s", modality->name);
        size_t values = (size_t)modality->height * (size_t)modality->width;
        if (data_kind_is_sound(modality->kind) && values > largest) largest = values;
    }
    if (largest == 0) return REL_OK;
    decoder->features = rel_alloc(largest, sizeof *decoder->features);
    return decoder->features ? REL_OK : REL_ERR_MEMORY;
}

void prepare_decoder_release(struct prepare_decoder *decoder) {
    for (int m = 0; m < DATA_MODALITIES_MAX; m++) {
        logmel_destroy(decoder->logmel[m]);
        stft_destroy(decoder->stft[m]);
        flow_destroy(decoder->flow[m]);
    }
    rel_free(decoder->features);
    picture_release(&decoder->picture);
    picture_release(&decoder->resized);
    resize_workspace_release(&decoder->resize);
    *decoder = (struct prepare_decoder){0};
}
