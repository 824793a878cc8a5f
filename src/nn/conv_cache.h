/* Which kernel computes what, as JSON, and the user's file of what was measured.
 *
 *   table    {SHAPE: {DIRECTION: KERNEL}}
 *   machine  {"cpu": ..., "relearn": ..., "edition": N, "isa": ..., "library": ..., "threads": N};
 *            the edition of our kernels rises with what they can do
 *   steps    {STEP: {PRECISION: seconds}}: how long training steps took
 *   cache    {MACHINE'S NAME: {"machine": MACHINE, "kernels": TABLE, "steps": STEPS}}
 *
 * The cache is $XDG_CACHE_HOME/relearn/kernels.json (~/.cache by default). A damaged file is
 * ignored with a warning; one that cannot be written means that the next run measures again. */
#ifndef REL_NN_CONV_CACHE_H
#define REL_NN_CONV_CACHE_H

#include "nn/convolution.h"

/* NULL: the table has nothing on this task. */
const char *nn_conv_table_find(const json_t *table, const struct nn_conv_task *task);
/* The same where the table only has the task with another batch size. */
const char *nn_conv_table_find_batch(const json_t *table, const struct nn_conv_task *task);
rel_status nn_conv_table_set(json_t *table, const struct nn_conv_task *task, const char *kernel);
/* "forward 16x64x56x56 -> 64 ..." */
void nn_conv_task_text(const struct nn_conv_task *task, char *text, size_t size);

/* What decides about speed and bits; json_decref it. NULL: no memory. */
json_t *nn_conv_machine(const struct nn_runtime *runtime);

struct nn_conv_cache;
rel_status nn_conv_cache_open(struct nn_conv_cache **cache, const struct nn_runtime *runtime);
const char *nn_conv_cache_find(const struct nn_conv_cache *cache, const struct nn_conv_task *task);
rel_status nn_conv_cache_set(struct nn_conv_cache *cache, const struct nn_conv_task *task,
                             const char *kernel);
void nn_conv_cache_save(struct nn_conv_cache *cache);  /* if there is anything new */
void nn_conv_cache_close(struct nn_conv_cache *cache); /* NULL is fine */

#endif
