#include "nn/runtime.h"

#include "comm/comm.h"
#include "nn/conv_choice.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 1024 };

const char *const nn_precision_names[NN_PRECISIONS] = {"f32", "bf16"};

void nn_runtime_set_precision(struct nn_runtime *runtime, enum nn_precision precision) {
    runtime->precision = precision;
}

void nn_runtime_synchronize(struct nn_runtime *runtime, struct comm *ranks) {
    runtime->ranks = ranks && comm_size(ranks) > 1 ? ranks : NULL;
    /* Its sums are waited for while those of the gradients travel. */
    if (ranks) comm_keep_short(ranks, true);
}

int nn_runtime_threads(const struct nn_runtime *runtime) { return runtime->threads; }
int nn_runtime_block(const struct nn_runtime *runtime) { return runtime->block; }

bool nn_runtime_is_sizes_only(const struct nn_runtime *runtime) { return runtime->sizes_only; }

void nn_runtime_enter(const struct nn_runtime *runtime) {
    if (omp_get_max_threads() != runtime->threads) omp_set_num_threads(runtime->threads);
}

static enum nn_kernels kernels_wanted(enum nn_kernels configured) {
    static const char *const names[] = {"auto",     "fixed", "direct", "library",
                                        "winograd", "tiled", "amx",    "winograd-amx"};
    const char *name = getenv("RELEARN_KERNELS");
    for (int i = NN_KERNELS_AUTO; name && i <= NN_KERNELS_WINOGRAD_AMX; i++)
        if (strcmp(name, names[i]) == 0) return (enum nn_kernels)i;
    return configured;
}

rel_status nn_runtime_init(struct nn_runtime **out, const struct nn_runtime_config *config) {
    *out = NULL;
    if (config->threads < 0 || config->threads > THREADS_MAX)
        return rel_fail(REL_ERR_USAGE, "threads: %d is not in 0..%d (0: one per usable CPU)",
                        config->threads, THREADS_MAX);
    struct nn_runtime *runtime = rel_alloc(1, sizeof *runtime);
    if (!runtime) return REL_ERR_MEMORY;
    runtime->threads = config->threads ? config->threads : rel_cpu_count();
    runtime->choose = kernels_wanted(config->kernels);
    nn_library_limit_isa(rel_cpu_isa());
    runtime->block = nn_library_block();
    bool wide = runtime->block == 16;
    runtime->kernels =
        wide ? REL_ISA_PICK(nn_block16_kernels)() : REL_ISA_PICK(nn_block8_kernels)();
    runtime->bf16_kernels = wide ? REL_ISA_PICK(nn_block16_bf16)() : REL_ISA_PICK(nn_block8_bf16)();
    runtime->precision = config->precision;
    runtime->sizes_only = config->sizes_only;
    nn_runtime_enter(runtime);
    rel_status status = nn_library_init(&runtime->library);
    if (status != REL_OK) {
        nn_runtime_release(runtime);
        return status;
    }
    *out = runtime;
    return REL_OK;
}

void nn_runtime_release(struct nn_runtime *runtime) {
    if (!runtime) return;
    nn_conv_choices_release(runtime);
    nn_library_release(runtime->library);
    rel_free(runtime->workspace);
    rel_free(runtime);
}

rel_status nn_runtime_reserve(struct nn_runtime *runtime, size_t bytes,
                              const struct nn_graph *graph) {
    if (bytes <= runtime->workspace_bytes) return REL_OK;
    /* Nothing in it needs saving, and both at a time might not fit. After a failure the next run
     * of any graph asks again. */
    rel_free(runtime->workspace);
    runtime->workspace_bytes = 0;
    runtime->workspace = runtime->sizes_only ? NULL : rel_alloc(bytes, 1);
    if (!runtime->workspace && !runtime->sizes_only) return REL_ERR_MEMORY;
    runtime->workspace_bytes = bytes;
    runtime->workspace_owner = graph;
    return REL_OK;
}
