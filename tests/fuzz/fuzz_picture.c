/* JPEG and PNG, decoded, made gray, resized and written again. */
#include "fuzz.h"

#include "media/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct picture picture, gray, small; /* kept, as a loader's are */
    static struct resize_workspace workspace;
    struct fuzz_input input = {data, size};
    const struct picture_options options = {.channels = (fuzz_byte(&input) % 3) / 2 * 2 + 1,
                                            .max_pixels = 1 << 20};
    if (!fuzz_sane(picture_read_memory(input.data, input.size, &options, &picture))) return 0;
    const struct picture_box box = {0, 0, (float)picture.width, (float)picture.height};
    fuzz_sane(picture_to_gray(&picture, &gray));
    fuzz_sane(picture_resize(&workspace, &picture, &box, 16, 12, &small));
    return 0;
}
