/* Soft re-initialisation of the weights in a file, whoever trained them. */
#ifndef REL_LEARN_REINIT_WEIGHTS_H
#define REL_LEARN_REINIT_WEIGHTS_H

#include "base/base.h"

/* Whose weights move how far. A pattern with one of *?[ is a shell pattern for the whole name;
 * another means the tensor of this name and all whose name goes on with a dot behind it ("net" and
 * "net." mean the same). A "module." in front of pattern or names does not matter. */
struct reinit_rule {
    const char *pattern;
    double alpha; /* 0 .. 1 */
};

struct reinit_request {
    const char *weights, *initial; /* safetensors, or what torch.save wrote */
    const char *key, *initial_key; /* dictionaries in them; NULL: see weights_state_open */
    const char *out;               /* see weights_write; may be `weights` */
    const struct reinit_rule
        *rules; /* [rule_count]; of those that match a tensor the last counts */
    int rule_count;
    bool buffers; /* running means and variances as well */
    bool dry_run; /* check everything, write nothing; `out` may be NULL */
};

/* theta' = alpha * theta_initial + (1 - alpha) * theta for every tensor of real numbers that a rule
 * names, in its own type: computed in float64 for F64, in float32 for the others, rounded once. All
 * other tensors of the state dict, and running statistics (unless `buffers`) and integers in any
 * case, are copied bit for bit; what else the file holds is left out. A few tensors are in memory
 * at a time.
 *
 * *report: {"weights", "initial", "out", "dry_run", "key", "initial_key", "changed", "kept",
 * "values_changed", "rules": [{"pattern", "alpha", "changed", "kept"}], "tensors": [{"name",
 * "dtype", "shape", "alpha"}]}, the last of those that change. Before anything is written:
 * ERR_USAGE for a rule that matches nothing (with near names), an alpha out of range; ERR_FORMAT
 * for tensors that are missing in `initial`, or have another shape or type there; ERR_LIMIT. */
rel_status reinit_weights(const struct reinit_request *request, json_t **report);

#endif
