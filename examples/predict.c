/* Predicts with a run that `relearn train` made:
 *
 *   cc predict.c $(pkg-config --cflags --libs relearn) -o predict
 *   ./predict RUN                     what the run takes: modalities and their shapes, classes
 *   ./predict RUN FILE...             a file per modality, in that order: the samples' values as
 *                                     float32, one behind the other
 *
 * Prints a line per sample: the likeliest class and the probabilities of all. */
#include <relearn.h>
#include <stdio.h>
#include <stdlib.h>

enum { MODALITIES_MAX = 8 };

static int fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static int describe(const struct relearn_run *run) {
    for (int32_t m = 0; m < relearn_run_modality_count(run); m++) {
        struct relearn_modality modality = {.size = sizeof modality};
        if (relearn_run_modality(run, m, &modality) != RELEARN_OK)
            return fail("modality", relearn_error_message());
        printf("modality %s", modality.name);
        for (int32_t d = 0; d < modality.ndims; d++)
            printf("%s%d", d ? " x " : " ", modality.dims[d]);
        printf("\n");
    }
    for (int32_t c = 0; c < relearn_run_class_count(run); c++)
        printf("class %s\n", relearn_run_class_name(run, c));
    return 0;
}

/* A file's float32 numbers; *samples is how often `values` of them there are. */
static float *values_read(const char *path, size_t values, size_t *samples) {
    FILE *file = fopen(path, "rb");
    float *data = NULL;
    long size = 0;
    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (size_t)size % (values * sizeof *data) == 0)
        data = malloc((size_t)size);
    if (data && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    if (file) fclose(file);
    *samples = (size_t)size / (values * sizeof *data);
    return data;
}

static int print(const struct relearn_run *run, const float *probabilities, size_t samples) {
    int32_t classes = relearn_run_class_count(run);
    for (size_t i = 0; i < samples; i++) {
        const float *row = probabilities + i * (size_t)classes;
        int32_t best = 0;
        for (int32_t c = 1; c < classes; c++)
            if (row[c] > row[best]) best = c;
        printf("%s", relearn_run_class_name(run, best));
        for (int32_t c = 0; c < classes; c++) printf(" %.9g", (double)row[c]);
        printf("\n");
    }
    return 0;
}

static int predict(struct relearn_run *run, int count, char **files) {
    float *inputs[MODALITIES_MAX] = {NULL}, *probabilities = NULL;
    size_t samples = 0, those = 0;
    int failed = 0;
    if (count != relearn_run_modality_count(run) || count > MODALITIES_MAX)
        return fail("predict", "as many files as the run has modalities");
    for (int m = 0; m < count && !failed; m++) {
        struct relearn_modality modality = {.size = sizeof modality};
        failed = relearn_run_modality(run, m, &modality) != RELEARN_OK;
        if (failed) break;
        inputs[m] = values_read(files[m], modality.values, &samples);
        if (!inputs[m] || (m > 0 && samples != those))
            failed = fail(files[m], "cannot be read, or holds another number of samples");
        those = samples;
    }
    if (!failed)
        probabilities = malloc(samples * (size_t)relearn_run_class_count(run) * sizeof(float));
    if (probabilities) {
        failed = relearn_run_predict(run, (const float *const *)inputs, samples, probabilities) !=
                 RELEARN_OK;
        failed =
            failed ? fail("predict", relearn_error_message()) : print(run, probabilities, samples);
    }
    for (int m = 0; m < MODALITIES_MAX; m++) free(inputs[m]);
    free(probabilities);
    return failed || !probabilities;
}

int main(int argc, char **argv) {
    struct relearn_run *run;
    if (argc < 2) return fail("usage", "predict RUN [FILE...]");
    if (relearn_run_open(argv[1], NULL, &run) != RELEARN_OK)
        return fail("run", relearn_error_message());
    int failed = argc == 2 ? describe(run) : predict(run, argc - 2, argv + 2);
    relearn_run_close(run);
    return failed;
}
