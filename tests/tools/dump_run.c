/* For shell tests: dump_run RUN SPLIT FOLDER
 *
 * Writes FOLDER/MODALITY.f32, the float32 values that each encoder of the run is fed for the
 * split's samples, FOLDER/expected.txt, the probabilities of every sample by a pass of the
 * program's own, and FOLDER/labels.txt, their classes. */
#include "train/train.h"

#include <stdio.h>
#include <string.h>

static FILE *file_open(const char *folder, const char *name, const char *extension) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, extension);
    return fopen(path, "wb");
}

static rel_status inputs_write(struct session *session, enum data_split split, FILE **files) {
    struct loader *loader;
    const struct batch *batch = NULL;
    const float *inputs[MODEL_MODALITIES_MAX];
    REL_TRY(session_loader(session, split, false, &loader));
    rel_status status = loader_start(loader, 0, 0);
    while (status == REL_OK && (status = loader_next(loader, &batch)) == REL_OK && batch) {
        session_inputs(session, batch, inputs);
        for (int m = 0; m < session->config.modalities; m++)
            fwrite(inputs[m], sizeof(float),
                   (size_t)batch->count * model_input_count(&session->model.config.inputs[m]),
                   files[m]);
        loader_give_back(loader, batch);
    }
    loader_close(loader);
    return status;
}

static rel_status expected_write(struct session *session, enum data_split split, FILE *expected,
                                 FILE *labels) {
    REL_TRY(session_pass(session, split, "split"));
    const struct feature_set *set = &session->features[split].set;
    int classes = session->info->classes;
    size_t cells = set->samples * (size_t)classes;
    float *logits = rel_alloc(2 * cells, sizeof *logits);
    if (!logits) return REL_ERR_MEMORY;
    rel_status status =
        model_head_logits(&session->model, set->features, (int)set->samples, logits);
    if (status == REL_OK) {
        float *probabilities = logits + cells;
        nn_softmax(logits, (int)set->samples, classes, probabilities);
        for (size_t i = 0; i < cells; i++)
            fprintf(expected, "%.9g%s", (double)probabilities[i],
                    (i + 1) % (size_t)classes ? " " : "\n");
        for (size_t i = 0; i < set->samples; i++)
            fprintf(labels, "%s\n", session->info->class_names[set->labels[i]]);
    }
    rel_free(logits);
    return status;
}

static enum data_split split_of(const char *name) {
    for (int split = 0; split < SPLIT_COUNT; split++)
        if (strcmp(data_split_names[split], name) == 0) return (enum data_split)split;
    return SPLIT_COUNT;
}

int main(int argc, char **argv) {
    struct run run = {0};
    FILE *files[MODEL_MODALITIES_MAX + 2] = {NULL};
    enum data_split split = argc == 4 ? split_of(argv[2]) : SPLIT_COUNT;
    if (split == SPLIT_COUNT) {
        fprintf(stderr, "usage: dump_run RUN train|val|test FOLDER\n");
        return 2;
    }
    rel_status status = run_open(argv[1], NULL, "best", 0, &run);
    int count = run.session.config.modalities;
    for (int m = 0; status == REL_OK && m < count; m++)
        files[m] = file_open(argv[3], run.session.model.config.inputs[m].name, "f32");
    files[count] = file_open(argv[3], "expected", "txt");
    files[count + 1] = file_open(argv[3], "labels", "txt");
    for (int f = 0; f < count + 2; f++)
        if (status == REL_OK && !files[f]) status = rel_fail(REL_ERR_IO, "cannot write: %m");
    if (status == REL_OK) status = inputs_write(&run.session, split, files);
    if (status == REL_OK)
        status = expected_write(&run.session, split, files[count], files[count + 1]);
    for (int f = 0; f < count + 2; f++)
        if (files[f] && fclose(files[f]) != 0) status = rel_fail(REL_ERR_IO, "cannot write: %m");
    if (status != REL_OK) fprintf(stderr, "dump_run: %s\n", rel_error_message());
    run_close(&run);
    return status != REL_OK;
}
