/* Where the time goes: every operation of the two-tower ResNet-18 with its kernel and milliseconds.
 * bench/profile [--mode step|eval] [--iterations 10] [--batch 16] [--threads 0] [--precision f32]
 */
#include "support/towers.h"
#include "support/train_step.h"
#include "support/worker.h"

#include <string.h>

static rel_status run(struct towers *towers, bool training, int64_t iterations) {
    const float *inputs[TOWERS] = {towers->inputs[0], towers->inputs[1]};
    struct rel_text text = {0};
    double started = clock_seconds(), loss;
    for (int64_t i = 0; i < iterations; i++)
        REL_TRY(training ? train_step(&towers->model, towers->plan, inputs, towers->labels,
                                      towers->threads, &loss)
                         : towers_forward(towers));
    double seconds = (clock_seconds() - started) / (double)iterations;
    rel_status status = model_plan_describe(towers->plan, &text);
    if (status == REL_OK)
        printf("%sall: %.1f ms, %.2f samples/s, %d threads\n", text.data, seconds * 1e3,
               towers->batch / seconds, nn_runtime_threads(towers->runtime));
    rel_text_release(&text);
    return status;
}

int main(int argc, char **argv) {
    bool training = strcmp(worker_option_text(argc, argv, "mode", "step"), "eval") != 0;
    int64_t iterations = worker_option(argc, argv, "iterations", 10);
    struct towers towers;
    rel_status status = towers_init(&towers, training ? NN_TRAINING : NN_INFERENCE,
                                    (int)worker_option(argc, argv, "batch", 16),
                                    (int)worker_option(argc, argv, "threads", 0),
                                    worker_option_text(argc, argv, "precision", "f32"));
    if (status != REL_OK) return worker_finish(status);
    status = run(&towers, training, iterations > 0 ? iterations : 1);
    towers_release(&towers);
    return worker_finish(status);
}
