/* For comparisons with PyTorch: run_logits RUN OUT.safetensors writes what the network of a run
 * gets for the first batch of its test split ("input.NAME") and what it makes of it ("logits"). */
#include "train/train.h"

#include <stdio.h>

static struct rel_shape input_shape(const struct model_input *input, int batch) {
    return input->is_vector ? rel_shape_make(2, batch, input->features)
                            : rel_shape_make(5, batch, input->frames, input->channels,
                                             input->height, input->width);
}

static rel_status batch_write(struct session *session, const struct batch *batch,
                              const char *path) {
    const float *inputs[MODEL_MODALITIES_MAX];
    struct safetensors_writer writer;
    struct model_plan *plan;
    const struct rel_shape logits = rel_shape_make(2, batch->count, session->info->classes);
    REL_TRY(model_plan_get(&session->model, NN_INFERENCE,
                           (int)session->config.options.evaluation_batch, &plan));
    session_inputs(session, batch, inputs);
    REL_TRY(model_forward(plan, inputs, (1u << session->config.modalities) - 1));
    REL_TRY(safetensors_writer_init(&writer));
    rel_status status =
        safetensors_add(&writer, "logits", SAFETENSORS_F32, &logits, model_logits(plan));
    for (int m = 0; m < session->config.modalities && status == REL_OK; m++) {
        const struct model_input *input = &session->model.config.inputs[m];
        const struct rel_shape shape = input_shape(input, batch->count);
        char name[MODEL_NAME_MAX + 8];
        snprintf(name, sizeof name, "input.%s", input->name);
        status = safetensors_add(&writer, name, SAFETENSORS_F32, &shape, inputs[m]);
    }
    if (status == REL_OK) status = safetensors_write(&writer, path);
    safetensors_writer_release(&writer);
    return status;
}

static rel_status logits_write(const char *folder, const char *path) {
    struct run run;
    struct loader *loader = NULL;
    const struct batch *batch = NULL;
    REL_TRY(run_open(folder, NULL, "best", 0, &run));
    rel_status status = session_loader(&run.session, SPLIT_TEST, false, &loader);
    if (status == REL_OK) status = loader_start(loader, 0, 0);
    if (status == REL_OK) status = loader_next(loader, &batch);
    if (status == REL_OK && !batch) status = rel_fail(REL_ERR_STATE, "no test samples");
    if (status == REL_OK) status = batch_write(&run.session, batch, path);
    if (batch) loader_give_back(loader, batch);
    loader_close(loader);
    run_close(&run);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 3 || logits_write(argv[1], argv[2]) != REL_OK) {
        fprintf(stderr, "run_logits: %s\n",
                argc == 3 ? rel_error_message() : "usage: run_logits RUN OUT.safetensors");
        return 1;
    }
    return 0;
}
