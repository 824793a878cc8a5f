/* Private to media: the two inner loops of picture_resize, compiled per instruction set. */
#ifndef REL_MEDIA_RESIZE_KERNELS_H
#define REL_MEDIA_RESIZE_KERNELS_H

#include <stdint.h>

enum {
    /* 8 bits of value, 2 bits of head room for the sum, the rest is the weights' fraction. */
    RESIZE_BITS = 32 - 8 - 2,
};

/* One row: from [..][channels] to to [width][channels]; weights [width][taps]. */
typedef void resize_row_kernel(const uint8_t *from, int channels, const int *first,
                               const int *count, const int32_t *weights, int taps, int width,
                               uint8_t *to);
/* One output row of `values` bytes from `count` source rows, `stride` bytes apart; sums [values].
 */
typedef void resize_column_kernel(const uint8_t *from, int64_t stride, const int32_t *weights,
                                  int count, int values, int32_t *sums, uint8_t *to);

resize_row_kernel resize_row_baseline, resize_row_avx2, resize_row_avx512;
resize_column_kernel resize_column_baseline, resize_column_avx2, resize_column_avx512;

#endif
