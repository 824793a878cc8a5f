/* Training steps of the two-tower ResNet-18 on preloaded data, driven by bench/run.
 * bench/step [--batch 16] [--threads 0] [--precision f32] */
#include "support/towers.h"
#include "support/worker.h"

static const struct nn_sgd step_sgd = {
    .learning_rate = 2e-3, .momentum = 0.9, .weight_decay = 1e-4};

struct step {
    struct towers towers;
    double loss; /* of the last step, before its update */
};

static rel_status step_run(void *context) {
    struct step *step = context;
    struct towers *towers = &step->towers;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    REL_TRY(towers_forward(towers));
    REL_TRY(nn_softmax_cross_entropy(model_logits(towers->plan), towers->labels, NULL,
                                     towers->batch, TOWERS_CLASSES, 1, &step->loss,
                                     model_logits_gradient(towers->plan)));
    REL_TRY(
        model_backward(towers->plan, MODEL_HEAD_JOINT, (1u << TOWERS) - 1, PLANE_GRADIENT, false));
    int count = model_arenas(&towers->model, arenas);
    for (int a = 0; a < count; a++) nn_sgd_step(&step_sgd, arenas[a], towers->threads);
    return REL_OK;
}

/* Three steps, as the peer makes them: logits of the first, losses of all. */
static rel_status step_check(struct step *step, json_t **ready) {
    json_t *logits = NULL, *losses = json_array();
    for (int i = 0; i < 3; i++) {
        rel_status status = step_run(step);
        if (status != REL_OK) {
            json_decref(logits);
            json_decref(losses);
            return status;
        }
        if (i == 0) logits = towers_logits_json(&step->towers, step->towers.batch);
        json_array_append_new(losses, json_number(step->loss));
    }
    *ready = json_pack("{s:o, s:o}", "logits", logits, "losses", losses);
    return *ready ? REL_OK : REL_ERR_MEMORY;
}

int main(int argc, char **argv) {
    struct step step = {.loss = 0};
    json_t *ready = NULL;
    rel_status status =
        towers_init(&step.towers, NN_TRAINING, (int)worker_option(argc, argv, "batch", 16),
                    (int)worker_option(argc, argv, "threads", 0),
                    worker_option_text(argc, argv, "precision", "f32"));
    if (status != REL_OK) return worker_finish(status);
    const struct worker worker = {.iteration = step_run, .context = &step};
    status = step_check(&step, &ready);
    if (status == REL_OK) status = worker_serve(&worker, ready);
    towers_release(&step.towers);
    return worker_finish(status);
}
