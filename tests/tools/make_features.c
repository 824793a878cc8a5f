/* For shell tests: make_features FEATURES.npy LABELS.npy SAMPLES DIMS CLASSES WRONG STREAM
 *
 * Writes [SAMPLES][DIMS] float32 points, tightly around one far-apart centre per class, and int64
 * labels. The label of every sample is its centre's class, except that every WRONG-th (0: none)
 * sample of each class has the next one: so the purity of the clusters is known. */
#include "base/base.h"
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header that numpy.save writes, for [count] int64. */
static int write_labels(const char *path, const int64_t *labels, size_t count) {
    char header[118], description[128];
    int length = snprintf(description, sizeof description,
                          "{'descr': '<i8', 'fortran_order': False, 'shape': (%zu,), }", count);
    memset(header, ' ', sizeof header);
    memcpy(header, description, (size_t)length);
    header[sizeof header - 1] = '\n';
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fwrite(header, 1, sizeof header, file);
    fwrite(labels, sizeof *labels, count, file);
    return fclose(file);
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: make_features FEATURES.npy LABELS.npy SAMPLES DIMS CLASSES WRONG "
                        "STREAM\n");
        return 2;
    }
    size_t samples = strtoul(argv[3], NULL, 10), dims = strtoul(argv[4], NULL, 10);
    size_t classes = strtoul(argv[5], NULL, 10), wrong = strtoul(argv[6], NULL, 10);
    float *features = rel_alloc(samples * dims, sizeof *features);
    int64_t *labels = rel_alloc(samples, sizeof *labels);
    if (!features || !labels) return 1;
    struct rel_random random;
    rel_random_init(&random, 0, REL_RANDOM_TEST, 0, strtoul(argv[7], NULL, 10));
    for (size_t i = 0; i < samples; i++) {
        size_t centre = i % classes;
        labels[i] = (int64_t)(wrong && i / classes % wrong == 0 ? (centre + 1) % classes : centre);
        for (size_t d = 0; d < dims; d++)
            features[i * dims + d] =
                (float)((d % classes == centre ? 10.0 : 0.0) + 0.1 * rel_random_normal(&random));
    }
    rel_status status = npy_write_floats(argv[1], features, 2, (size_t[]){samples, dims});
    if (status != REL_OK) fprintf(stderr, "make_features: %s\n", rel_error_message());
    int failed = status != REL_OK || write_labels(argv[2], labels, samples) != 0;
    rel_free(features);
    rel_free(labels);
    return failed;
}
