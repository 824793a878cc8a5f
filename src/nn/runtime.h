/* What the graphs of one runtime share. */
#ifndef REL_NN_RUNTIME_H
#define REL_NN_RUNTIME_H

#include "nn/block_kernels.h"
#include "nn/dnnl_api.h"
#include "nn/nn.h"

struct nn_runtime {
    struct nn_library *library;
    const struct nn_block_kernels *kernels, *bf16_kernels; /* by how activations are stored */
    enum nn_precision precision;
    struct comm *ranks; /* of synchronised batch norm, or NULL */
    int threads, block;
    struct comm *summing; /* ranks over which backward sums gradients, or NULL */
    bool sizes_only;      /* nothing is allocated, workspace_bytes says what would be */
    enum nn_kernels choose;
    struct nn_conv_choices *choices; /* conv_choice.h */
    /* Temporaries of whichever graph runs: graphs run one at a time, and nothing in here outlives
     * a call of forward or backward. Grows when a graph is planned that needs more. */
    char *workspace;
    size_t workspace_bytes;
    const struct nn_graph *workspace_owner; /* the graph that made it this large */
};

/* Makes this thread's parallel regions, the library's included, as wide as the runtime says. */
void nn_runtime_enter(const struct nn_runtime *runtime);
rel_status nn_runtime_reserve(struct nn_runtime *runtime, size_t bytes,
                              const struct nn_graph *graph);

#endif
