/* io: files in formats that other programs read and write. Knows no model and no data set.
 *
 *   element.h       what single numbers are: float16, bfloat16, ...
 *   npy.h           NumPy arrays: features and labels
 *   npz.h           archives of them
 *   safetensors.h   named tensors: weights
 *   torch_file.h    what torch.save wrote: tensors, checkpoints
 *   weights_file.h  either of the two; weights_state.h: the state dict in a checkpoint
 *   weights_writer.h  either of the two, written tensor by tensor
 *   feature_file.h  features and labels in any of these or a .csv
 *   tfevents.h      what TensorBoard reads: events, written
 *   projector.h     and the files of its projector
 *
 * Every reader treats its file as hostile: sizes are checked against the bytes that are there
 * before anything is allocated. */
#ifndef REL_IO_H
#define REL_IO_H

#include "io/element.h"
#include "io/feature_file.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/projector.h"
#include "io/safetensors.h"
#include "io/tfevents.h"
#include "io/torch_file.h"
#include "io/weights_file.h"
#include "io/weights_state.h"
#include "io/weights_writer.h"

#endif
