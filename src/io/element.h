/* Numbers as files hold them: element types of tensors and their conversion. */
#ifndef REL_IO_ELEMENT_H
#define REL_IO_ELEMENT_H

#include "io/safetensors.h"

double element_half(uint16_t half); /* of an IEEE binary16 */

/* Elements of a shape, a dimension of which may be 0; ERR_LIMIT when their bytes overflow. */
rel_status element_count(const struct rel_shape *shape, enum safetensors_dtype dtype,
                         size_t *count);

/* Element `index` of little-endian `data`, which may be unaligned. 64-bit integers are rounded. */
double element_load(enum safetensors_dtype dtype, const void *data, size_t index);
/* `count` elements one behind the other to float32. */
void element_floats(enum safetensors_dtype dtype, const void *data, size_t count, float *floats);
/* And back, to the nearest number of F32, F16 or BF16, ties to even: as PyTorch rounds. */
void element_from_floats(enum safetensors_dtype dtype, const float *floats, size_t count,
                         void *data);

#endif
