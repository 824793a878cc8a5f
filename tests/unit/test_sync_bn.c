/* Synchronised batch norm: ranks that share a batch train as one rank does on the whole of it.
 * Every rank trains both ways; this process computes nothing: OpenMP does not survive a fork. */
#include "model/model.h"
#include "support/socket_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 7, CLASSES = 3, STEPS = 6, SIDE = 12, CHANNELS = 3 };
enum { PICTURE = CHANNELS * SIDE * SIDE };

static float pictures[BATCH * PICTURE];
static int32_t labels[BATCH];

struct variant {
    enum nn_kernels kernels;
    enum nn_precision precision;
    double tolerance; /* of the losses */
};

struct training {
    struct nn_runtime *runtime;
    struct model model;
    double losses[STEPS]; /* of the whole batch */
};

static struct model_config small_resnet(void) {
    struct model_config config = {
        .modalities = 1, .classes = CLASSES, .training = true, .extra_planes = NN_SGD_PLANES};
    config.inputs[0] = (struct model_input){
        .name = "visual", .frames = 1, .channels = CHANNELS, .height = SIDE, .width = SIDE};
    assert_int_equal(
        options_default(encoder_option_table, encoder_option_count, &config.encoders[0]), REL_OK);
    config.encoders[0].blocks = (struct option_ints){2, {1, 1}};
    config.encoders[0].width = 16;
    config.encoders[0].stem = 1;
    return config;
}

/* One step on this rank's rows; the gradient of all ranks together is that of the mean loss. */
static rel_status step(struct training *training, struct comm *comm, const float *inputs,
                       double *loss) {
    uint64_t first, count;
    struct model *model = &training->model;
    struct model_plan *plan;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    const struct nn_sgd sgd = {.learning_rate = 0.1, .momentum = 0.9};
    comm_share(comm, comm->rank, BATCH, &first, &count);
    float share = (float)count / BATCH;
    REL_TRY(model_plan_get(model, NN_TRAINING, (int)count, &plan));
    REL_TRY(model_forward(plan, &inputs, 1));
    REL_TRY(nn_softmax_cross_entropy(model_logits(plan), labels + first, NULL, (int)count, CLASSES,
                                     share, loss, model_logits_gradient(plan)));
    REL_TRY(model_backward(plan, MODEL_HEAD_JOINT, 1, PLANE_GRADIENT, false));
    *loss *= (double)count / BATCH;
    REL_TRY(comm_sum_doubles(comm, loss, 1));
    int arena_count = model_arenas(model, arenas);
    for (int a = 0; a < arena_count; a++) {
        REL_TRY(comm_sum_floats(comm, arenas[a]->planes[PLANE_GRADIENT], arenas[a]->size));
        nn_sgd_step(&sgd, arenas[a], 1);
    }
    return REL_OK;
}

/* STEPS steps by the ranks of `comm`. */
static rel_status train(struct training *training, const struct variant *variant, struct comm *comm,
                        bool synchronised) {
    const struct model_config config = small_resnet();
    const struct nn_runtime_config compute = {.threads = 1 + comm->rank % 2,
                                              .kernels = variant->kernels,
                                              .precision = variant->precision};
    uint64_t first, count;
    *training = (struct training){0};
    comm_share(comm, comm->rank, BATCH, &first, &count);
    REL_TRY(nn_runtime_init(&training->runtime, &compute));
    if (synchronised) nn_runtime_synchronize(training->runtime, comm);
    REL_TRY(model_init(&training->model, training->runtime, &config));
    model_draw(&training->model, 3);
    float *inputs = rel_alloc(count, PICTURE * sizeof *inputs);
    if (!inputs) return REL_ERR_MEMORY;
    memcpy(inputs, pictures + first * PICTURE, count * PICTURE * sizeof *inputs);
    rel_status status = REL_OK;
    for (int s = 0; status == REL_OK && s < STEPS; s++)
        status = step(training, comm, inputs, &training->losses[s]);
    rel_free(inputs);
    return status;
}

static void training_release(struct training *training) {
    model_release(&training->model);
    nn_runtime_release(training->runtime);
}

static double distance(const struct param_arena *a, const struct param_arena *b) {
    double largest = 0;
    for (size_t i = 0; i < a->size; i++) {
        double one = fabs((double)a->planes[PLANE_VALUE][i] - (double)b->planes[PLANE_VALUE][i]);
        if (!(one <= largest)) largest = one;
    }
    return largest;
}

static double loss_distance(const struct training *a, const struct training *b) {
    double largest = 0;
    for (int s = 0; s < STEPS; s++) {
        double one = fabs(a->losses[s] - b->losses[s]);
        if (!(one <= largest)) largest = one;
    }
    return largest;
}

/* Whether rank 0 holds the same bits. */
static bool as_on_root(struct comm *comm, const struct param_arena *arena) {
    size_t bytes = arena->size * sizeof(float);
    float *values = rel_alloc(bytes, 1);
    if (!values) return false;
    memcpy(values, arena->planes[PLANE_VALUE], bytes);
    bool same = comm_broadcast(comm, values, bytes, 0) == REL_OK &&
                memcmp(values, arena->planes[PLANE_VALUE], bytes) == 0;
    rel_free(values);
    return same;
}

static int fault(const char *what, double value) {
    fprintf(stderr, "%s: %g\n", what, value);
    return 1;
}

static int compare(struct comm *comm, const struct variant *variant, const struct training *alone,
                   const struct training *shared, const struct training *apart) {
    double tolerance = variant->tolerance, off = loss_distance(alone, shared);
    const struct model *one = &alone->model, *many = &shared->model;
    if (!(alone->losses[STEPS - 1] < 0.7 * alone->losses[0]))
        return fault("does not learn", alone->losses[STEPS - 1]);
    if (!(off <= tolerance)) return fault("losses are off by", off);
    off = distance(&one->encoders[0], &many->encoders[0]);
    if (!(off <= 10 * tolerance)) return fault("weights are off by", off);
    off = distance(&one->buffers[0], &many->buffers[0]);
    if (!(off <= 10 * tolerance)) return fault("running statistics are off by", off);
    if (!as_on_root(comm, &many->encoders[0]) || !as_on_root(comm, &many->buffers[0]))
        return fault("ranks disagree", comm->rank);
    off = loss_distance(alone, apart);
    return off > 20 * tolerance ? 0 : fault("without synchronising off by only", off);
}

/* All alone, with the others, and with the others but each with its own statistics. */
static int train_as_rank(struct comm *comm, void *context) {
    const struct variant *variant = context;
    struct comm none = {0};
    struct training alone, shared, apart;
    int result = 1;
    rel_status status = train(&alone, variant, &none, true);
    if (status == REL_OK) status = train(&shared, variant, comm, true);
    if (status == REL_OK) status = train(&apart, variant, comm, false);
    if (status == REL_OK) {
        result = compare(comm, variant, &alone, &shared, &apart);
        training_release(&apart);
        training_release(&shared);
        training_release(&alone);
    }
    return result;
}

/* Six steps at a rate of 0.1 make a rounding error of float, 6e-8, no more than some times as large
 * (seen: 5e-8 in losses, 2e-7 in weights). Where maps are stored as bf16, a value that lies between
 * two of its 2^-8 apart may fall either way (seen: 2e-4, 1e-3). Sums are taken by the kernels that
 * convolve or by passes of their own, and gradients applied by either: hence the kinds of kernels.
 */
static void ranks_follow_one(void **state) {
    (void)state;
    struct variant variants[] = {
        {NN_KERNELS_FIXED, NN_F32, 1e-6},  {NN_KERNELS_LIBRARY, NN_F32, 1e-6},
        {NN_KERNELS_TILED, NN_F32, 1e-6},  {NN_KERNELS_WINOGRAD, NN_F32, 1e-6},
        {NN_KERNELS_FIXED, NN_BF16, 2e-3},
    };
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
        for (int ranks = 2; ranks <= 3; ranks++)
            if (socket_ranks_run(ranks, NULL, train_as_rank, &variants[v], NULL) != 0)
                fail_msg("kernels %d, precision %d, %d ranks: see above", variants[v].kernels,
                         variants[v].precision, ranks);
}

static int setup(void **state) {
    (void)state;
    struct rel_random random;
    rel_random_init(&random, 1, REL_RANDOM_TEST, 0, 0);
    for (int i = 0; i < BATCH; i++) {
        labels[i] = i % CLASSES;
        /* Every picture has a mean of its own: the statistics of a part are not those of all. */
        for (int p = 0; p < PICTURE; p++)
            pictures[i * PICTURE + p] = (float)(rel_random_normal(&random) + i % 4);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_follow_one)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
