/* Private to data: choosing a part of a list, class by class. */
#ifndef REL_DATA_SPLIT_H
#define REL_DATA_SPLIT_H

#include "base/base.h"

/* Marks round(fraction * count) samples in chosen[count] (0 or 1), so that every class gives its
 * share to within one sample (largest remainders; equal ones: the lower class), but no class is
 * used up. Which samples of a class: at random by (seed, REL_RANDOM_SPLIT, class).
 * labels: [count], each in 0..classes-1. ERR_USAGE when that leaves either part empty. */
rel_status split_stratified(const int32_t *labels, uint64_t count, int classes, double fraction,
                            uint64_t seed, uint8_t *chosen);

#endif
