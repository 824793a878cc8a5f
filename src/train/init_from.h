/* Initial weights of encoders from a file: torchvision's ResNet, another network of the same names,
 * or a run's own checkpoint. */
#ifndef REL_TRAIN_INIT_FROM_H
#define REL_TRAIN_INIT_FROM_H

#include "model/model.h"

/* Reads values and running statistics of every encoder that `only` names (none named: all) from a
 * safetensors or torch.save file, and makes them the initial values as well, to which
 * re-initialisation pulls.
 *
 * An encoder's tensors may stand behind a prefix ("module.", "state_dict.visual."), the same for
 * all of them; of several networks in the file the one called like the modality is taken. Tensors
 * that the encoder does not have are passed over (fc.weight), unless they belong to a part that it
 * has: then the file is of a deeper network. ERR_USAGE, ERR_FORMAT, ERR_NUMERIC name file, tensor,
 * shapes. *found gets a line a modality: {"modality", "prefix", "tensors"}. */
rel_status init_from_file(struct model *model, const char *path, const struct option_texts *only,
                          json_t **found);

#endif
