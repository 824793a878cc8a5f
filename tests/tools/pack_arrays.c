/* For shell tests: pack_arrays OUT.npz|OUT.safetensors NAME=FILE.npy...
 *
 * Puts arrays into one file: deflated members of an .npz, or tensors of a .safetensors. Arrays of
 * float32 and int64 alone. */
#include "base/base.h"
#include "io/io.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

static int complain(const char *what, const char *why) {
    fprintf(stderr, "pack_arrays: %s: %s\n", what, why);
    return 1;
}

static int pack_npz(const char *path, int count, char **arguments) {
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    if (!archive) return complain(path, "cannot be made");
    for (int i = 0; i < count; i++) {
        char name[256];
        const char *file = strchr(arguments[i], '=') + 1;
        snprintf(name, sizeof name, "%.*s.npy", (int)(file - 1 - arguments[i]), arguments[i]);
        zip_source_t *source = zip_source_file(archive, file, 0, 0);
        if (!source || zip_file_add(archive, name, source, 0) < 0)
            return complain(file, zip_strerror(archive));
    }
    return zip_close(archive) == 0 ? 0 : complain(path, zip_strerror(archive));
}

static int pack_safetensors(const char *path, int count, char **arguments) {
    struct safetensors_writer writer;
    struct npy_array arrays[16] = {{0}};
    rel_status status = safetensors_writer_init(&writer);
    for (int i = 0; i < count && i < 16 && status == REL_OK; i++) {
        char name[256];
        const char *file = strchr(arguments[i], '=') + 1;
        struct rel_shape shape = {0};
        snprintf(name, sizeof name, "%.*s", (int)(file - 1 - arguments[i]), arguments[i]);
        status = npy_read(file, (size_t)1 << 30, &arrays[i]);
        shape.ndims = arrays[i].ndims;
        for (int d = 0; d < arrays[i].ndims; d++) shape.dims[d] = (int64_t)arrays[i].shape[d];
        if (status == REL_OK)
            status = safetensors_add(
                &writer, name, arrays[i].type == NPY_INT64 ? SAFETENSORS_I64 : SAFETENSORS_F32,
                &shape, arrays[i].data);
    }
    if (status == REL_OK) status = safetensors_write(&writer, path);
    for (int i = 0; i < 16; i++) npy_release(&arrays[i]);
    safetensors_writer_release(&writer);
    return status == REL_OK ? 0 : complain(path, rel_error_message());
}

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++)
        if (!strchr(argv[i], '=')) return complain(argv[i], "is not NAME=FILE.npy");
    if (argc < 3) return complain("usage", "pack_arrays OUT NAME=FILE.npy...");
    return fs_has_extension(argv[1], "npz") ? pack_npz(argv[1], argc - 2, argv + 2)
                                            : pack_safetensors(argv[1], argc - 2, argv + 2);
}
