/* Which kind of kernel a convolution gets.
 *
 * NN_KERNELS_AUTO measures the candidates when it meets a task for the first time on this machine
 * and keeps the answer in $XDG_CACHE_HOME/relearn/kernels.json (~/.cache by default), by CPU,
 * versions, instruction sets and threads. A damaged file is ignored with a warning; one that cannot
 * be written means that the next run measures again. */
#ifndef REL_NN_CONV_CHOICE_H
#define REL_NN_CONV_CHOICE_H

#include "nn/convolution.h"

rel_status nn_conv_choose(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind);

/* Without measuring, from the shape alone. */
enum nn_conv_kind nn_conv_choose_fixed(const struct nn_runtime *runtime,
                                       const struct nn_conv_task *task);

/* What was measured, between runs. */
struct nn_conv_choices;
void nn_conv_choices_save(struct nn_runtime *runtime); /* if there is anything new */
void nn_conv_choices_release(struct nn_runtime *runtime);

#endif
