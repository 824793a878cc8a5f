/* Joint training: one cross-entropy loss of the fused features, nothing else. The baseline. */
#include "learn/method.h"

extern const struct method method_joint;
const struct method method_joint = {
    .name = "joint",
    .summary = "One joint loss, no balancing: the baseline.",
};
