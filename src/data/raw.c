/* Raw media to the network's numbers, by the functions that `prepare` and the loader use. */
#include "data/prepare.h"
#include "data/sample.h"

#include <string.h>

/* Of one video, before only those that are needed are kept. */
enum { FRAMES_BYTES_MAX = 64 << 20 };

struct raw_reader {
    const struct store *store;
    struct prepare_decoder decoder;
    struct prepare_cell cell;
    struct transform_workspace workspace;
    struct sample_plan plans[DATA_MODALITIES_MAX]; /* of those asked for */
};

rel_status raw_reader_open(struct raw_reader **out, const struct store *store,
                           const struct transform_options *transforms, unsigned modalities) {
    const struct store_info *info = store_info(store);
    struct raw_reader *reader = rel_alloc(1, sizeof *reader);
    *out = NULL;
    if (!reader) return REL_ERR_MEMORY;
    reader->store = store;
    rel_status status = prepare_decoder_init(&reader->decoder, info->list, info->modalities);
    reader->decoder.needed_only = true;
    reader->decoder.frames_bytes_max = FRAMES_BYTES_MAX;
    for (int m = 0; m < info->modalities && status == REL_OK; m++)
        if (modalities & 1u << m)
            status =
                sample_plan_init(&reader->plans[m], store, m, transforms ? &transforms[m] : NULL);
    if (status == REL_OK)
        *out = reader;
    else
        raw_reader_close(reader);
    return status;
}

void raw_reader_close(struct raw_reader *reader) {
    if (!reader) return;
    for (int m = 0; m < DATA_MODALITIES_MAX; m++) sample_plan_release(&reader->plans[m]);
    prepare_decoder_release(&reader->decoder);
    rel_text_release(&reader->cell.data);
    rel_free(reader->cell.sizes);
    transform_workspace_release(&reader->workspace);
    rel_free(reader);
}

rel_status raw_reader_read(struct raw_reader *reader, int modality, const char *path,
                           float *values) {
    const struct data_modality *info = &store_info(reader->store)->list[modality];
    struct prepare_cell *cell = &reader->cell;
    if (!fs_exists(path)) return rel_fail(REL_ERR_NOT_FOUND, "%s: no such file", path);
    reader->decoder.frames_needed = reader->plans[modality].transform.clip_frames;
    REL_TRY(prepare_read_cell(&reader->decoder, info, modality, path, path, cell, NULL));
    const struct store_media media = {.items = (uint32_t)cell->items,
                                      .sizes = cell->sizes,
                                      .data = cell->data.data,
                                      .bytes = cell->data.length};
    rel_status status =
        sample_make(&reader->workspace, &reader->plans[modality], &media, NULL, values);
    return status == REL_OK ? status : rel_fail_in(status, "%s", path);
}
