/* The zip format of torch.save: an OrderedDict of tensors. */
#ifndef REL_IO_TORCH_WRITER_H
#define REL_IO_TORCH_WRITER_H

#include "io/weights_writer.h"

/* See weights_write. */
rel_status torch_write(const char *path, const struct weights_source *source);

#endif
