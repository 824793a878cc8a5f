/* Evaluation passes of the two-tower ResNet-18 on preloaded data, driven by bench/run.
 * bench/eval [--batch 16] [--samples 64] [--threads 0] [--precision f32]; an iteration is `samples`
 * samples in batches. */
#include "support/towers.h"
#include "support/worker.h"

struct evaluation_pass {
    struct towers towers;
    int batches;
};

static rel_status pass_run(void *context) {
    struct evaluation_pass *pass = context;
    for (int b = 0; b < pass->batches; b++) REL_TRY(towers_forward(&pass->towers));
    return REL_OK;
}

int main(int argc, char **argv) {
    struct evaluation_pass pass = {.batches = 0};
    int batch = (int)worker_option(argc, argv, "batch", 16);
    pass.batches = (int)worker_option(argc, argv, "samples", batch) / (batch > 0 ? batch : 1);
    rel_status status =
        towers_init(&pass.towers, NN_INFERENCE, batch, (int)worker_option(argc, argv, "threads", 0),
                    worker_option_text(argc, argv, "precision", "f32"));
    if (status != REL_OK) return worker_finish(status);
    const struct worker worker = {.iteration = pass_run, .context = &pass};
    status = towers_forward(&pass.towers);
    if (status == REL_OK)
        status = worker_serve(&worker,
                              json_pack("{s:o}", "logits", towers_logits_json(&pass.towers, 16)));
    towers_release(&pass.towers);
    return worker_finish(status);
}
