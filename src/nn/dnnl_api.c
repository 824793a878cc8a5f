#include "nn/dnnl_api.h"

#include "nn/dnnl_version.h"
#include "nn/nn.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 5 };

struct nn_library {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t plain; /* only says that we bring the scratchpad */
};

struct nn_kernel {
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[ARGUMENTS_MAX]; /* scratchpad last, if any */
    int argument_count, data_count;
    struct layout weights;    /* of convolutions */
    dnnl_dims_t weight_sizes; /* out, in, height, width */
    size_t scratch_bytes;
    char name[64];
};

static rel_status check(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return REL_OK;
    if (status == dnnl_out_of_memory)
        return rel_fail(REL_ERR_MEMORY, "%s: the compute library is out of memory", what);
    return rel_fail(REL_ERR_UNSUPPORTED, "%s: the compute library refused (its status %d)", what,
                    (int)status);
}

const char *nn_library_version(void) {
    static char text[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

const char *nn_library_isa(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
#if DNNL_VERSION_MAJOR > 2
    case dnnl_cpu_isa_avx512_core_fp16:
        return "avx512_core_fp16";
#endif
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}

int nn_library_block(void) {
    /* Sets are bit masks: a better one holds the bits of those below it. */
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core
               ? 16
               : 8;
}

void nn_library_limit_isa(enum rel_isa isa) {
    if (isa == REL_ISA_AVX2) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    if (isa == REL_ISA_BASELINE) dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
}

rel_status nn_library_init(struct nn_library **out) {
    *out = NULL;
    struct nn_library *library = rel_alloc(1, sizeof *library);
    if (!library) return REL_ERR_MEMORY;
    rel_status status;
    REL_TRY_CLEANUP(check(dnnl_engine_create(&library->engine, dnnl_cpu, 0), "creating an engine"));
    REL_TRY_CLEANUP(
        check(dnnl_stream_create(&library->stream, library->engine, dnnl_stream_default_flags),
              "creating a stream"));
    REL_TRY_CLEANUP(check(dnnl_primitive_attr_create(&library->plain), "creating attributes"));
    REL_TRY_CLEANUP(
        check(dnnl_primitive_attr_set_scratchpad_mode(library->plain, dnnl_scratchpad_mode_user),
              "setting the scratchpad"));
    *out = library;
    return REL_OK;
cleanup:
    nn_library_release(library);
    return status;
}

void nn_library_release(struct nn_library *library) {
    if (!library) return;
    if (library->plain) dnnl_primitive_attr_destroy(library->plain);
    if (library->stream) dnnl_stream_destroy(library->stream);
    if (library->engine) dnnl_engine_destroy(library->engine);
    rel_free(library);
}

/* --- kernels --- */

void nn_kernel_release(struct nn_kernel *kernel) {
    if (!kernel) return;
    for (int i = 0; i < kernel->argument_count; i++)
        dnnl_memory_destroy(kernel->arguments[i].memory);
    if (kernel->primitive) dnnl_primitive_destroy(kernel->primitive);
    layout_release(&kernel->weights);
    rel_free(kernel);
}

size_t nn_kernel_scratch_bytes(const struct nn_kernel *kernel) { return kernel->scratch_bytes; }
const char *nn_kernel_name(const struct nn_kernel *kernel) { return kernel->name; }

size_t nn_kernel_weight_bytes(const struct nn_kernel *kernel) {
    return dnnl_memory_desc_get_size(layout_of(&kernel->weights));
}

rel_status nn_kernel_run(struct nn_kernel *kernel, void *const *data, void *scratch) {
    for (int i = 0; i < kernel->argument_count; i++) {
        void *memory = i < kernel->data_count ? data[i] : scratch;
        if (dnnl_memory_set_data_handle(kernel->arguments[i].memory, memory) != dnnl_success)
            return rel_fail(REL_ERR_INTERNAL, "%s: argument %d could not be set", kernel->name, i);
    }
    return check(dnnl_primitive_execute(kernel->primitive, kernel->stream, kernel->argument_count,
                                        kernel->arguments),
                 kernel->name);
}

static rel_status add_argument(struct nn_kernel *kernel, struct nn_library *library, int which,
                               const_layout description) {
    dnnl_exec_arg_t *argument = &kernel->arguments[kernel->argument_count];
    REL_TRY(
        check(dnnl_memory_create(&argument->memory, description, library->engine, DNNL_MEMORY_NONE),
              "describing memory"));
    argument->arg = which;
    kernel->argument_count++;
    return REL_OK;
}

/* Makes a kernel from a primitive's description. */
static rel_status kernel_init(struct nn_kernel **out, struct nn_library *library,
                              const_dnnl_primitive_desc_t description, const int *arguments,
                              int count) {
    *out = NULL;
    struct nn_kernel *kernel = rel_alloc(1, sizeof *kernel);
    if (!kernel) return REL_ERR_MEMORY;
    rel_status status;
    const char *name = NULL;
    kernel->stream = library->stream;
    kernel->data_count = count;
    REL_TRY_CLEANUP(
        check(dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name),
              "asking for a kernel's name"));
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    REL_TRY_CLEANUP(check(dnnl_primitive_create(&kernel->primitive, description), kernel->name));
    for (int i = 0; i < count; i++)
        REL_TRY_CLEANUP(add_argument(
            kernel, library, arguments[i],
            dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, arguments[i])));
    const_layout scratch = dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    kernel->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (kernel->scratch_bytes)
        REL_TRY_CLEANUP(add_argument(kernel, library, DNNL_ARG_SCRATCHPAD, scratch));
    *out = kernel;
    return REL_OK;
cleanup:
    nn_kernel_release(kernel);
    return status;
}

/* --- convolution --- */

static rel_status describe_conv_memory(const struct nn_conv_shape *s, struct conv_memory *m) {
    dnnl_format_tag_t blocked = s->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_dims_t input = {s->batch, s->in_channels, s->in_height, s->in_width};
    dnnl_dims_t output = {s->batch, s->out_channels, s->out_height, s->out_width};
    dnnl_dims_t weights = {s->out_channels, s->in_channels, s->kernel, s->kernel};
    dnnl_dims_t bias = {s->out_channels};
    for (int i = 0; i < 2; i++) {
        m->strides[i] = s->stride;
        m->padding[i] = s->padding;
    }
    REL_TRY(check(layout_init(&m->input, 4, input, dnnl_f32, s->plain_input ? dnnl_nchw : blocked),
                  "describing a convolution's input"));
    REL_TRY(check(layout_init(&m->output, 4, output, dnnl_f32, blocked),
                  "describing a convolution's output"));
    REL_TRY(
        check(layout_init(&m->bias, 1, bias, dnnl_f32, dnnl_x), "describing a convolution's bias"));
    return check(layout_init(&m->weights, 4, weights, dnnl_f32, dnnl_format_tag_any),
                 "describing a convolution's weights");
}

static void release_conv_memory(struct conv_memory *m) {
    layout_release(&m->input);
    layout_release(&m->weights);
    layout_release(&m->bias);
    layout_release(&m->output);
}

/* `auto` takes Winograd where the library has it and its own fixed rule says that it is faster.
 * Kernels of one algorithm may exist in one direction alone: each direction chooses for itself. */
static dnnl_alg_kind_t first_algorithm(const struct nn_conv_shape *shape, bool direct) {
    return shape->kernel == 3 && shape->stride == 1 && !direct ? dnnl_convolution_auto
                                                               : dnnl_convolution_direct;
}

static rel_status create_conv(dnnl_primitive_desc_t *description, struct nn_library *library,
                              enum nn_conv_pass pass, const struct nn_conv_shape *shape,
                              bool direct, const struct conv_memory *memory,
                              dnnl_primitive_attr_t attributes, const_dnnl_primitive_desc_t hint) {
    dnnl_engine_t engine = library->engine;
    if (conv_describe(description, engine, pass, first_algorithm(shape, direct), memory, attributes,
                      hint) == dnnl_success)
        return REL_OK;
    return check(
        conv_describe(description, engine, pass, dnnl_convolution_direct, memory, attributes, hint),
        "choosing a convolution kernel");
}

static rel_status create_attributes(dnnl_primitive_attr_t *attributes, bool add, bool relu) {
    dnnl_post_ops_t after = NULL;
    rel_status status;
    REL_TRY_CLEANUP(check(dnnl_primitive_attr_create(attributes), "creating attributes"));
    REL_TRY_CLEANUP(
        check(dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user),
              "setting the scratchpad"));
    REL_TRY_CLEANUP(check(dnnl_post_ops_create(&after), "creating post-operations"));
    if (add) REL_TRY_CLEANUP(check(post_sum(after), "adding a sum"));
    if (relu) REL_TRY_CLEANUP(check(post_relu(after), "adding a ReLU"));
    status = check(dnnl_primitive_attr_set_post_ops(*attributes, after), "setting post-operations");
cleanup:
    if (after) dnnl_post_ops_destroy(after);
    return status;
}

static rel_status keep_weights(struct nn_kernel *kernel, const struct nn_conv_shape *s,
                               const_layout weights) {
    kernel->weight_sizes[0] = s->out_channels;
    kernel->weight_sizes[1] = s->in_channels;
    kernel->weight_sizes[2] = kernel->weight_sizes[3] = s->kernel;
    return check(layout_copy(&kernel->weights, weights), "describing a convolution's weights");
}

rel_status nn_conv_kernel_init(struct nn_kernel **kernel, struct nn_library *library,
                               enum nn_conv_pass pass, const struct nn_conv_shape *shape,
                               bool direct, bool add, bool relu) {
    static const struct {
        int count, arguments[4];
        int weights; /* which argument has the order of weights */
    } passes[] = {
        [NN_CONV_FORWARD] = {3, {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, DNNL_ARG_WEIGHTS},
        [NN_CONV_FOLDED] = {4,
                            {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
                            DNNL_ARG_WEIGHTS},
        [NN_CONV_BACKWARD_DATA] = {3,
                                   {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
                                   DNNL_ARG_WEIGHTS},
        [NN_CONV_BACKWARD_WEIGHTS] = {3,
                                      {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS},
                                      DNNL_ARG_DIFF_WEIGHTS},
    };
    *kernel = NULL;
    rel_status status;
    struct conv_memory memory = {0};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t hint = NULL, description = NULL;
    REL_TRY_CLEANUP(describe_conv_memory(shape, &memory));
    REL_TRY_CLEANUP(create_attributes(&attributes, add, relu));
    if (pass == NN_CONV_BACKWARD_DATA || pass == NN_CONV_BACKWARD_WEIGHTS)
        REL_TRY_CLEANUP(create_conv(&hint, library, NN_CONV_FORWARD, shape, direct, &memory,
                                    library->plain, NULL));
    REL_TRY_CLEANUP(
        create_conv(&description, library, pass, shape, direct, &memory, attributes, hint));
    REL_TRY_CLEANUP(
        kernel_init(kernel, library, description, passes[pass].arguments, passes[pass].count));
    status = keep_weights(
        *kernel, shape,
        dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, passes[pass].weights));
    if (status != REL_OK) {
        nn_kernel_release(*kernel);
        *kernel = NULL;
    }
cleanup:
    if (description) dnnl_primitive_desc_destroy(description);
    if (hint) dnnl_primitive_desc_destroy(hint);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    release_conv_memory(&memory);
    return status;
}

/* --- reordering weights --- */

static rel_status reorder_init(struct nn_kernel **kernel, struct nn_library *library,
                               const_layout from, const_layout to, bool add) {
    static const int arguments[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    *kernel = NULL;
    rel_status status;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t description = NULL;
    REL_TRY_CLEANUP(create_attributes(&attributes, add, false));
    REL_TRY_CLEANUP(check(dnnl_reorder_primitive_desc_create(&description, from, library->engine,
                                                             to, library->engine, attributes),
                          "choosing a reorder of weights"));
    status = kernel_init(kernel, library, description, arguments, 2);
cleanup:
    if (description) dnnl_primitive_desc_destroy(description);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* Between plain order and the convolution's. */
static rel_status weight_reorder_init(struct nn_kernel **kernel, struct nn_library *library,
                                      const struct nn_kernel *convolution, bool load, bool add) {
    struct layout plain = {0};
    const_layout own = layout_of(&convolution->weights);
    *kernel = NULL;
    REL_TRY(check(layout_init(&plain, 4, convolution->weight_sizes, dnnl_f32, dnnl_oihw),
                  "describing plain weights"));
    rel_status status = load ? reorder_init(kernel, library, layout_of(&plain), own, add)
                             : reorder_init(kernel, library, own, layout_of(&plain), add);
    layout_release(&plain);
    return status;
}

rel_status nn_weight_load_init(struct nn_kernel **kernel, struct nn_library *library,
                               const struct nn_kernel *convolution) {
    return weight_reorder_init(kernel, library, convolution, true, false);
}

rel_status nn_weight_store_init(struct nn_kernel **kernel, struct nn_library *library,
                                const struct nn_kernel *convolution, bool add) {
    return weight_reorder_init(kernel, library, convolution, false, add);
}
