/* The state dict in a file of weights: which of a checkpoint's dictionaries is the model's, and its
 * tensors by the names that they have in it. */
#ifndef REL_IO_WEIGHTS_STATE_H
#define REL_IO_WEIGHTS_STATE_H

#include "io/weights_file.h"

struct weights_state_tensor {
    const char *name;  /* in the state dict */
    const char *plain; /* the same without "module." in front, if all have that */
    size_t index;      /* in the file */
};

struct weights_state {
    struct weights_file file;
    char *key;       /* the dictionary's place in the file, keys joined by dots; "" for the file */
    bool is_wrapped; /* every name begins with "module.", as torch.nn.DataParallel leaves it */
    struct weights_state_tensor *tensors; /* [count], in the order of the file */
    size_t count;
    size_t *sorted; /* [count] by `plain` */
};

/* Opens the file and chooses. `key` names the dictionary ("ema.state_dict"; "." is the whole file);
 * NULL: the first there is of "state_dict", "model_state_dict", "model" and their like (again in
 * that), else the file itself when tensors lie in it directly, else its only dictionary with
 * tensors that is no optimiser's. In a safetensors file every tensor counts. ERR_USAGE for a key
 * that is not there and ERR_FORMAT when none can be chosen name what there is; besides those,
 * errors of weights_file_open. */
rel_status weights_state_open(const char *path, const char *key, struct weights_state *state);
/* The tensor of a plain name; NULL: there is none. */
const struct weights_state_tensor *weights_state_find(const struct weights_state *state,
                                                      const char *plain);
/* A name without the "module." that it may begin with. */
const char *weights_plain_name(const char *name);
void weights_state_close(struct weights_state *state);

#endif
