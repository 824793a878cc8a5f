/* A training step allocates nothing through our allocator, and nothing of 64 KiB or more by
 * anybody, the compute library included: every allocation of the process is counted here. */
#include "model/model.h"
#include "support/model_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

enum { BATCH = 2, CLASSES = 3, LARGE = 64 << 10 };

#define OK(expression) assert_int_equal(expression, REL_OK)

static _Atomic int large; /* allocations of LARGE bytes or more so far */

/* glibc's own entries. The program's malloc comes before the C library's for all libraries; under
 * the address sanitizer, which does the same, nothing is counted. */
#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__
#define COUNTS true
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static size_t counted(size_t size) {
    if (size >= LARGE) large++;
    return size;
}
void *malloc(size_t size) { return __libc_malloc(counted(size)); }
void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (rel_size_multiply(count, size, &bytes)) counted(bytes);
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) { return __libc_realloc(memory, counted(size)); }
void *memalign(size_t alignment, size_t size) { return __libc_memalign(alignment, counted(size)); }
void *aligned_alloc(size_t alignment, size_t size) {
    return __libc_memalign(alignment, counted(size));
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = __libc_memalign(alignment, counted(size));
    return *memory || size == 0 ? 0 : ENOMEM;
}
#else
#define COUNTS false
#endif

static void counting_works(void **state) {
    (void)state;
    if (!COUNTS) skip();
    int before = large;
    void *volatile blocks[] = {malloc(LARGE), calloc(LARGE, 1), aligned_alloc(64, LARGE),
                               rel_alloc(LARGE, 1), malloc(LARGE - 1)};
    assert_int_equal(large, before + 4);
    for (int i = 0; i < 5; i++) free(blocks[i]);
}

static void towers_make(struct model *model, struct nn_runtime *runtime) {
    struct model_config config = {
        .modalities = 2,
        .classes = CLASSES,
        .training = true,
        .extra_planes = NN_SGD_PLANES,
        .inputs = {{.name = "a", .frames = 1, .channels = 1, .height = 64, .width = 96},
                   {.name = "b", .frames = 2, .channels = 3, .height = 64, .width = 64}}};
    for (int m = 0; m < 2; m++) {
        OK(options_default(encoder_option_table, encoder_option_count, &config.encoders[m]));
        config.encoders[m].blocks.count = 2; /* of the 4 stages, for speed */
    }
    OK(model_init(model, runtime, &config));
    model_fill(model);
}

static void step(struct model *model, const float *const *inputs, int threads) {
    static const int32_t labels[BATCH] = {0, 2};
    static const struct nn_sgd sgd = {.learning_rate = 1e-3, .momentum = 0.9};
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    struct model_plan *plan;
    double loss;
    OK(model_plan_get(model, NN_TRAINING, BATCH, &plan));
    OK(model_forward(plan, inputs, 3));
    OK(nn_softmax_cross_entropy(model_logits(plan), labels, NULL, BATCH, CLASSES, 1, &loss,
                                model_logits_gradient(plan)));
    OK(model_backward(plan, MODEL_HEAD_JOINT, 3, PLANE_GRADIENT, false));
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) nn_sgd_step(&sgd, arenas[a], threads);
    OK(model_plan_get(model, NN_INFERENCE, BATCH, &plan));
    OK(model_forward(plan, inputs, 3));
}

/* Without AVX2 the library's gradients are reference code, of a minute a step. */
static bool counts_quickly(const char *kernels) {
    if (rel_cpu_isa() != REL_ISA_BASELINE) return true;
    if (strcmp(kernels, "tiled") == 0 || strcmp(kernels, "fixed") == 0) return true;
    fprintf(stderr, "SKIPPED: %s without AVX2 takes a minute a step\n", kernels);
    return false;
}

/* Two towers, the first half of a ResNet-18 each, with the kernels that this name forces. */
static void steps_allocate_nothing(const char *kernels, enum nn_precision precision) {
    enum { THREADS = 2 };
    struct nn_runtime *runtime;
    struct model model;
    float *inputs[2];
    if (!counts_quickly(kernels)) skip();
    setenv("RELEARN_KERNELS", kernels, 1);
    OK(nn_runtime_init(&runtime,
                       &(struct nn_runtime_config){.threads = THREADS, .precision = precision}));
    towers_make(&model, runtime);
    for (int m = 0; m < 2; m++) {
        inputs[m] = rel_alloc(BATCH * model_input_count(&model.config.inputs[m]), sizeof(float));
        assert_non_null(inputs[m]);
    }
    step(&model, (const float *const *)inputs, THREADS);
    uint64_t calls = rel_alloc_calls();
    int before = large;
    for (int i = 0; i < 3; i++) step(&model, (const float *const *)inputs, THREADS);
    assert_int_equal(rel_alloc_calls(), calls);
    assert_int_equal(large, before);
    for (int m = 0; m < 2; m++) rel_free(inputs[m]);
    model_release(&model);
    nn_runtime_release(runtime);
}

static void with_direct_kernels(void **state) {
    (void)state;
    steps_allocate_nothing("direct", NN_F32);
}
static void with_the_librarys_choice(void **state) {
    (void)state;
    steps_allocate_nothing("library", NN_F32);
}
static void with_our_own_kernels(void **state) {
    (void)state;
    steps_allocate_nothing("fixed", NN_F32);
}
static void with_maps_as_bf16(void **state) {
    (void)state;
    steps_allocate_nothing("tiled", NN_BF16);
}
static void with_tiles(void **state) {
    (void)state;
    steps_allocate_nothing("amx", NN_BF16);
}
static void with_split_floats(void **state) {
    (void)state;
    steps_allocate_nothing("winograd-amx", NN_F32);
}
static void with_copies_for_the_library(void **state) {
    (void)state;
    steps_allocate_nothing("direct", NN_BF16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_works),
        cmocka_unit_test(with_direct_kernels),
        cmocka_unit_test(with_the_librarys_choice),
        cmocka_unit_test(with_our_own_kernels),
        cmocka_unit_test(with_maps_as_bf16),
        cmocka_unit_test(with_copies_for_the_library),
        cmocka_unit_test(with_tiles),
        cmocka_unit_test(with_split_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
