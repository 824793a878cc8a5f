#include "nn/convolution.h"

#include "nn/amx.h"
#include "nn/bf16.h"
#include "nn/conv_choice.h"
#include "nn/tiled.h"
#include "nn/winograd.h"

struct nn_convolution {
    struct nn_conv_task task;
    enum nn_conv_kind kind;
    const struct nn_runtime *runtime;
    struct winograd_plan *winograd; /* or: */
    struct tiled_plan *tiled;       /* or: */
    struct amx_plan *amx;           /* or: */
    struct nn_kernel *kernel;
    struct nn_kernel *load;              /* plain weights to its order */
    struct nn_kernel *store, *store_add; /* its weight gradient to plain order */
};

enum { ALIGNMENT = 64 };

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static const enum winograd_direction directions[] = {
    [NN_CONV_FORWARD] = WINOGRAD_FORWARD,
    [NN_CONV_FOLDED] = WINOGRAD_FORWARD,
    [NN_CONV_BACKWARD_DATA] = WINOGRAD_BACKWARD_DATA,
    [NN_CONV_BACKWARD_WEIGHTS] = WINOGRAD_BACKWARD_WEIGHTS,
};

static struct winograd_shape winograd_shape(const struct nn_runtime *runtime,
                                            const struct nn_conv_task *task, bool amx) {
    const struct nn_conv_shape *shape = &task->shape;
    return (struct winograd_shape){
        .batch = shape->batch,
        .in_channels = shape->in_channels,
        .out_channels = shape->out_channels,
        .height = shape->in_height,
        .width = shape->in_width,
        .block = shape->block,
        .threads = runtime->threads,
        .bf16 = task->bf16,
        .amx = amx,
    };
}

bool nn_convolution_can(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                        enum nn_conv_kind kind) {
    const struct nn_conv_shape *s = &task->shape;
    bool three = s->kernel == 3 && s->stride == 1;
    if (kind == NN_CONV_DIRECT) return true;
    if (kind == NN_CONV_LIBRARY) return three; /* elsewhere it knows nothing but direct */
    if (kind == NN_CONV_TILED) return tiled_supported(s, task->pass);
    if (kind == NN_CONV_AMX) return amx_supported(s, task->pass);
    struct winograd_shape shape = winograd_shape(runtime, task, kind == NN_CONV_WINOGRAD_AMX);
    return three && s->padding == 1 && !s->plain_input &&
           winograd_supported(&shape, directions[task->pass]);
}

static rel_status init_library(struct nn_convolution *c, struct nn_library *library, bool direct) {
    const struct nn_conv_task *t = &c->task;
    REL_TRY(nn_conv_kernel_init(&c->kernel, library, t->pass, &t->shape, direct, t->add, t->relu));
    if (t->pass != NN_CONV_BACKWARD_WEIGHTS)
        return nn_weight_load_init(&c->load, library, c->kernel);
    REL_TRY(nn_weight_store_init(&c->store, library, c->kernel, false));
    return nn_weight_store_init(&c->store_add, library, c->kernel, true);
}

static rel_status init_winograd(struct nn_convolution *c, const struct nn_runtime *runtime,
                                bool amx) {
    struct winograd_shape shape = winograd_shape(runtime, &c->task, amx);
    return winograd_plan_create(&c->winograd, &shape, directions[c->task.pass], NULL);
}

rel_status nn_convolution_init_kind(struct nn_convolution **convolution, struct nn_runtime *runtime,
                                    const struct nn_conv_task *task, enum nn_conv_kind kind) {
    *convolution = NULL;
    struct nn_convolution *c = rel_alloc(1, sizeof *c);
    if (!c) return REL_ERR_MEMORY;
    c->task = *task;
    c->kind = kind;
    c->runtime = runtime;
    rel_status status;
    if (kind == NN_CONV_WINOGRAD || kind == NN_CONV_WINOGRAD_AMX)
        status = init_winograd(c, runtime, kind == NN_CONV_WINOGRAD_AMX);
    else if (kind == NN_CONV_TILED)
        status =
            tiled_plan_create(&c->tiled, &task->shape, task->pass, task->bf16, runtime->threads);
    else if (kind == NN_CONV_AMX)
        status = amx_plan_create(&c->amx, &task->shape, task->pass, &task->pool, task->bf16,
                                 runtime->threads);
    else
        status = init_library(c, runtime->library, kind == NN_CONV_DIRECT);
    if (status != REL_OK) {
        nn_convolution_release(c);
        return status;
    }
    *convolution = c;
    return REL_OK;
}

rel_status nn_convolution_init(struct nn_convolution **convolution, struct nn_runtime *runtime,
                               const struct nn_conv_task *task) {
    enum nn_conv_kind kind;
    *convolution = NULL;
    REL_TRY(nn_conv_choose(runtime, task, &kind));
    return nn_convolution_init_kind(convolution, runtime, task, kind);
}

void nn_convolution_release(struct nn_convolution *c) {
    if (!c) return;
    winograd_plan_release(c->winograd);
    tiled_plan_release(c->tiled);
    amx_plan_release(c->amx);
    nn_kernel_release(c->kernel);
    nn_kernel_release(c->load);
    nn_kernel_release(c->store);
    nn_kernel_release(c->store_add);
    rel_free(c);
}

const char *nn_convolution_name(const struct nn_convolution *c) {
    bool wide = c->task.shape.block == 16;
    if (c->kind == NN_CONV_WINOGRAD_AMX) return "winograd_4x3:bf16x3";
    if (c->winograd) return wide ? "winograd_4x3:avx512" : "winograd_4x3:avx2";
    if (c->tiled && rel_cpu_isa() == REL_ISA_BASELINE) return "tiled:baseline";
    if (c->tiled) return wide ? "tiled:avx512" : "tiled:avx2";
    if (c->amx) return c->task.bf16 ? "amx:bf16" : "amx:bf16x3";
    return nn_kernel_name(c->kernel);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t kernel_scratch(const struct nn_kernel *kernel) {
    return kernel ? nn_kernel_scratch_bytes(kernel) : 0;
}

/* The library's gradient in its own order lies behind the kernels' scratch. */
static size_t gradient_offset(const struct nn_convolution *c) {
    size_t bytes = larger(kernel_scratch(c->store), kernel_scratch(c->store_add));
    return aligned(larger(bytes, larger(kernel_scratch(c->kernel), kernel_scratch(c->load))));
}

static size_t library_bytes(const struct nn_convolution *c) {
    return gradient_offset(c) + (c->store ? aligned(nn_kernel_weight_bytes(c->kernel)) : 0);
}

static size_t input_pixels(const struct nn_conv_shape *s) {
    return (size_t)s->batch * (size_t)(s->in_channels / s->block) * (size_t)s->in_height *
           (size_t)s->in_width;
}
static size_t output_pixels(const struct nn_conv_shape *s) {
    return (size_t)s->batch * (size_t)(s->out_channels / s->block) * (size_t)s->out_height *
           (size_t)s->out_width;
}

/* Behind the library's own scratch: the input in float, unless it is a picture, then the output. */
static size_t input_copy_bytes(const struct nn_conv_shape *s) {
    return s->plain_input ? 0 : aligned(input_pixels(s) * (size_t)s->block * sizeof(float));
}

size_t nn_convolution_scratch_bytes(const struct nn_convolution *c) {
    const struct nn_conv_shape *s = &c->task.shape;
    if (c->winograd) return winograd_scratch_bytes(c->winograd);
    if (c->tiled) return tiled_scratch_bytes(c->tiled);
    if (c->amx) return amx_scratch_bytes(c->amx);
    size_t bytes = library_bytes(c);
    if (c->task.bf16)
        bytes += input_copy_bytes(s) + output_pixels(s) * (size_t)s->block * sizeof(float);
    return bytes;
}

struct copies {
    void *input, *output;
};

static struct copies copies_of(const struct nn_convolution *c, void *scratch) {
    char *first = (char *)scratch + library_bytes(c);
    return (struct copies){first, first + input_copy_bytes(&c->task.shape)};
}

/* Between stored activations and floats, by all threads. */
static void convert(const struct nn_convolution *c, bool widen, const void *from, void *to,
                    size_t pixels) {
    const struct nn_block_kernels *kernels = c->runtime->bf16_kernels;
    size_t threads = (size_t)c->runtime->threads, block = (size_t)c->runtime->block;
#pragma omp parallel for schedule(static, 1) num_threads(c->runtime->threads)
    for (size_t t = 0; t < threads; t++) {
        size_t first = pixels * t / threads, count = pixels * (t + 1) / threads - first;
        if (widen)
            kernels->to_float((const bf16 *)from + first * block, (float *)to + first * block,
                              count);
        else
            kernels->from_float((const float *)from + first * block, (bf16 *)to + first * block,
                                count);
    }
}

size_t nn_convolution_weight_bytes(const struct nn_convolution *c) {
    if (c->amx) return amx_weight_bytes(c->amx);
    return c->load ? nn_kernel_weight_bytes(c->kernel) : 0;
}

rel_status nn_convolution_load(struct nn_convolution *c, const float *plain, void *loaded,
                               void *scratch) {
    if (c->amx && amx_weight_bytes(c->amx)) amx_load(c->amx, plain, loaded);
    if (!c->load) return REL_OK;
    void *data[] = {(void *)plain, loaded};
    return nn_kernel_run(c->load, data, scratch);
}

static rel_status run_library(struct nn_convolution *c, const void *from, const float *weights,
                              const float *bias, void *to, void *scratch) {
    void *plain[] = {(void *)from, (void *)weights, to};
    void *biased[] = {(void *)from, (void *)weights, (void *)bias, to};
    return nn_kernel_run(c->kernel, c->task.pass == NN_CONV_FOLDED ? biased : plain, scratch);
}

static rel_status run_library_widened(struct nn_convolution *c, const void *from,
                                      const float *weights, const float *bias, void *to,
                                      void *scratch) {
    const struct nn_conv_shape *s = &c->task.shape;
    struct copies copies = copies_of(c, scratch);
    if (c->task.pass == NN_CONV_BACKWARD_DATA) {
        convert(c, true, from, copies.output, output_pixels(s));
        REL_TRY(run_library(c, copies.output, weights, bias, copies.input, scratch));
        convert(c, false, copies.input, to, input_pixels(s));
        return REL_OK;
    }
    if (!s->plain_input) convert(c, true, from, copies.input, input_pixels(s));
    if (c->task.add) convert(c, true, to, copies.output, output_pixels(s));
    REL_TRY(run_library(c, s->plain_input ? from : copies.input, weights, bias, copies.output,
                        scratch));
    convert(c, false, copies.output, to, output_pixels(s));
    return REL_OK;
}

rel_status nn_convolution_run(struct nn_convolution *c, const void *from, const float *weights,
                              const float *bias, void *to, void *scratch) {
    const struct nn_conv_task *t = &c->task;
    bool folded = t->pass == NN_CONV_FOLDED;
    if (c->tiled) {
        struct tiled_finish finish = {bias, t->add, t->relu};
        tiled_run(c->tiled, from, weights, folded ? &finish : NULL, to, scratch);
        return REL_OK;
    }
    if (c->amx) {
        const struct amx_finish finish = {bias, t->add, t->relu};
        const struct amx_extras extras = {.finish = folded ? &finish : NULL};
        amx_run(c->amx, from, weights, &extras, to, scratch);
        return REL_OK;
    }
    if (!c->winograd)
        return t->bf16 ? run_library_widened(c, from, weights, bias, to, scratch)
                       : run_library(c, from, weights, bias, to, scratch);
    const struct winograd_finish finish = {bias, t->add, t->relu};
    const struct winograd_extras extras = {.finish = folded ? &finish : NULL};
    if (t->pass == NN_CONV_BACKWARD_DATA)
        winograd_backward_data(c->winograd, from, weights, to, scratch);
    else
        winograd_forward(c->winograd, from, weights, &extras, to, scratch);
    return REL_OK;
}

bool nn_convolution_fuses(const struct nn_convolution *c) { return c->winograd || c->amx; }

bool nn_convolution_fuses_gradient(const struct nn_convolution *c) { return c->amx != NULL; }

rel_status nn_convolution_run_fused(struct nn_convolution *c, const void *from,
                                    const struct nn_conv_fusion *fusion, const float *weights,
                                    void *to, void *scratch) {
    if (c->amx) {
        const struct amx_norm norm = {fusion->scale, fusion->shift, fusion->relu};
        const struct amx_extras extras = {.norm = fusion->scale ? &norm : NULL,
                                          .norm_gradient = fusion->norm_gradient,
                                          .sums = fusion->sums};
        amx_run(c->amx, from, weights, &extras, to, scratch);
        return REL_OK;
    }
    const struct winograd_norm norm = {fusion->scale, fusion->shift, fusion->relu};
    const struct winograd_extras extras = {.norm = fusion->scale ? &norm : NULL,
                                           .sums = fusion->sums};
    winograd_forward(c->winograd, from, weights, &extras, to, scratch);
    return REL_OK;
}

rel_status nn_convolution_run_gradient(struct nn_convolution *c, const void *input,
                                       const struct nn_conv_fusion *fusion,
                                       const void *out_gradient, bool add, float *gradient,
                                       void *scratch) {
    bool apply = fusion && fusion->scale;
    if (c->amx) {
        struct amx_norm norm = {NULL, NULL, false};
        if (apply) norm = (struct amx_norm){fusion->scale, fusion->shift, fusion->relu};
        const struct amx_extras extras = {.norm = apply ? &norm : NULL,
                                          .norm_gradient = fusion ? fusion->norm_gradient : NULL};
        amx_run_gradient(c->amx, input, out_gradient, &extras, add, gradient, scratch);
        return REL_OK;
    }
    if (c->winograd) {
        struct winograd_norm norm = {NULL, NULL, false};
        if (apply) norm = (struct winograd_norm){fusion->scale, fusion->shift, fusion->relu};
        winograd_backward_weights(c->winograd, input, apply ? &norm : NULL, out_gradient, add,
                                  gradient, scratch);
        return REL_OK;
    }
    if (c->tiled) {
        tiled_run_gradient(c->tiled, input, out_gradient, add, gradient, scratch);
        return REL_OK;
    }
    if (c->task.bf16) {
        const struct nn_conv_shape *s = &c->task.shape;
        struct copies copies = copies_of(c, scratch);
        if (!s->plain_input) convert(c, true, input, copies.input, input_pixels(s));
        convert(c, true, out_gradient, copies.output, output_pixels(s));
        input = s->plain_input ? input : copies.input;
        out_gradient = copies.output;
    }
    void *own_order = (char *)scratch + gradient_offset(c);
    void *data[] = {(void *)input, (void *)out_gradient, own_order};
    REL_TRY(nn_kernel_run(c->kernel, data, scratch));
    void *stored[] = {own_order, gradient};
    return nn_kernel_run(add ? c->store_add : c->store, stored, scratch);
}
