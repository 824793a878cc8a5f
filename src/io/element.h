/* Numbers as files hold them: element types of tensors and their conversion. */
#ifndef REL_IO_ELEMENT_H
#define REL_IO_ELEMENT_H

#include "io/safetensors.h"

double element_half(uint16_t half); /* of an IEEE binary16 */

/* Element `index` of little-endian `data`, which may be unaligned. 64-bit integers are rounded. */
double element_load(enum safetensors_dtype dtype, const void *data, size_t index);
/* `count` elements one behind the other to float32. */
void element_floats(enum safetensors_dtype dtype, const void *data, size_t count, float *floats);

#endif
