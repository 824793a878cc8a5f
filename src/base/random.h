/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).
 *
 * A stream is named by (seed, purpose, epoch, index) and nothing else, so the numbers that a sample
 * gets do not depend on threads, order or on whether a run was resumed. */
#ifndef REL_BASE_RANDOM_H
#define REL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum rel_random_purpose { /* values are part of the promise "same seed, same bits": append only */
                          REL_RANDOM_INITIALISATION = 1, /* index: parameter number */
                          REL_RANDOM_SHUFFLE = 2,        /* order of an epoch */
                          REL_RANDOM_AUGMENT = 3,        /* index: sample * 64 + modality */
                          REL_RANDOM_SPLIT = 4,
                          REL_RANDOM_KMEANS = 5, /* epoch: restart, index: modality * 2 + split */
                          REL_RANDOM_SYNTH = 6,
                          REL_RANDOM_METHOD = 7,
                          REL_RANDOM_TEST = 8,
                          REL_RANDOM_BOOTSTRAP = 9, /* index: number of values */
                          REL_RANDOM_TSNE = 10,     /* index: number of samples */
};

struct rel_random {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t output[4];
    int used; /* of output */
};

void rel_random_init(struct rel_random *random, uint64_t seed, enum rel_random_purpose purpose,
                     uint32_t epoch, uint64_t index);
uint32_t rel_random_u32(struct rel_random *random);
double rel_random_uniform(struct rel_random *random); /* [0, 1), 53 bits */
uint64_t rel_random_below(struct rel_random *random,
                          uint64_t bound); /* [0, bound) without bias; 0 when bound is 0 */
double rel_random_normal(struct rel_random *random); /* mean 0, deviation 1 (Box-Muller) */
/* Many of them, several times as fast: of 24 random bits each, so none is larger than 5.8. */
void rel_random_normals(struct rel_random *random, float *values, size_t count);
void rel_random_permute(struct rel_random *random, uint32_t *order,
                        size_t count); /* fills 0..count-1, shuffled */

#endif
