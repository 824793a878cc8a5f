/* Training steps of the two-tower ResNet-18 on preloaded data, driven by bench/run.
 * bench/step [--batch 16] [--threads 0] [--precision f32] */
#include "support/towers.h"
#include "support/train_step.h"
#include "support/worker.h"

struct step {
    struct towers towers;
    double loss; /* of the last step, before its update */
};

static rel_status step_run(void *context) {
    struct step *step = context;
    struct towers *towers = &step->towers;
    const float *inputs[TOWERS] = {towers->inputs[0], towers->inputs[1]};
    return train_step(&towers->model, towers->plan, inputs, towers->labels, towers->threads,
                      &step->loss);
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
