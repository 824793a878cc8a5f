/* Which kind of kernel a convolution gets: what the file says that the runtime follows
 * (nn_runtime_follow_kernels); else, with NN_KERNELS_AUTO, the fastest candidate, measured when a
 * task is met for the first time on this machine and kept in the user's cache (conv_cache.h), and
 * with NN_KERNELS_FIXED what a rule says. */
#ifndef REL_NN_CONV_CHOICE_H
#define REL_NN_CONV_CHOICE_H

#include "nn/convolution.h"

rel_status nn_conv_choose(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind);

/* Without measuring, from the shape alone. */
enum nn_conv_kind nn_conv_choose_fixed(const struct nn_runtime *runtime,
                                       const struct nn_conv_task *task);

/* What was chosen by this runtime. */
struct nn_conv_choices;
void nn_conv_choices_save(struct nn_runtime *runtime); /* what was measured, if anything */
void nn_conv_choices_release(struct nn_runtime *runtime);

#endif
