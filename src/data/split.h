/* Private to data: choosing a part of a list, class by class, by single samples or whole groups. */
#ifndef REL_DATA_SPLIT_H
#define REL_DATA_SPLIT_H

#include "base/base.h"

/* Marks round(fraction * count) samples in chosen[count] (0 or 1), so that every class gives its
 * share to within one sample (largest remainders; equal ones: the lower class), but no class is
 * used up. Which samples of a class: at random by (seed, REL_RANDOM_SPLIT, class).
 * labels: [count], each in 0..classes-1. ERR_USAGE when that leaves either part empty. */
rel_status split_stratified(const int32_t *labels, uint64_t count, int classes, double fraction,
                            uint64_t seed, uint8_t *chosen);

/* The same for samples that belong together: whole groups are marked, in random order by (seed,
 * REL_RANDOM_SPLIT), as long as each brings the classes' shares nearer to `fraction`; then one
 * group for every class that has several and got none. groups: [count], each in 0..group_count-1.
 */
rel_status split_grouped(const int32_t *labels, const uint32_t *groups, uint64_t count, int classes,
                         uint32_t group_count, double fraction, uint64_t seed, uint8_t *chosen);

#endif
