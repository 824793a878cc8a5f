/* Between graph.c and graph_plan.c. */
#ifndef REL_NN_GRAPH_PRIVATE_H
#define REL_NN_GRAPH_PRIVATE_H

#include "nn/nn_op.h"
#include "nn/runtime.h"

/* Edges of one value in the order in which backward writes them. Starts with *op = op_count;
 * false when there is no further one. */
bool nn_graph_next_use(const struct nn_graph *graph, nn_value value, size_t *op, int *input);

#endif
