#include "base/random.h"

#include <math.h>
#include <string.h>

/* Constants of Philox4x32 (Salmon et al. 2011). */
enum { ROUNDS = 10 };
static const uint32_t multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
static const uint32_t weyl[2] = {0x9E3779B9u, 0xBB67AE85u};

static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)multiplier[0] * c[0], b = (uint64_t)multiplier[1] * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += weyl[0];
        k[1] += weyl[1];
    }
    memcpy(out, c, sizeof c);
}

/* The stream's name is hashed into a key by one Philox call, so that the whole 128-bit counter
 * space of that key but its upper half, which tells streams of equal keys apart, is the stream's
 * own. */
void rel_random_init(struct rel_random *random, uint64_t seed, enum rel_random_purpose purpose,
                     uint32_t epoch, uint64_t index) {
    const uint32_t seed_key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t name[4] = {(uint32_t)index, (uint32_t)(index >> 32), epoch, (uint32_t)purpose};
    uint32_t hashed[4];
    philox(name, seed_key, hashed);
    *random = (struct rel_random){
        .key = {hashed[0], hashed[1]}, .counter = {0, 0, hashed[2], hashed[3]}, .used = 4};
}

uint32_t rel_random_u32(struct rel_random *random) {
    if (random->used == 4) {
        philox(random->counter, random->key, random->output);
        if (++random->counter[0] == 0) random->counter[1]++;
        random->used = 0;
    }
    return random->output[random->used++];
}

static uint64_t random_u64(struct rel_random *random) {
    uint64_t high = rel_random_u32(random);
    return high << 32 | rel_random_u32(random);
}

double rel_random_uniform(struct rel_random *random) {
    return (double)(random_u64(random) >> 11) * 0x1p-53;
}

uint64_t rel_random_below(struct rel_random *random, uint64_t bound) {
    if (bound == 0) return 0;
    uint64_t reject =
        (0 - bound) % bound; /* 2^64 mod bound: values under it would be drawn once too often */
    uint64_t value;
    do value = random_u64(random);
    while (value < reject);
    return value % bound;
}

double rel_random_normal(struct rel_random *random) {
    double radius = sqrt(-2 * log(1 - rel_random_uniform(random)));
    return radius * cos(2 * M_PI * rel_random_uniform(random));
}

/* Box-Muller in single precision; both numbers of a pair are used. */
void rel_random_normals(struct rel_random *random, float *values, size_t count) {
    for (size_t i = 0; i < count; i += 2) {
        float share = (float)((rel_random_u32(random) >> 8) + 1) * 0x1p-24F; /* (0, 1] */
        float turn = (float)(rel_random_u32(random) >> 8) * 0x1p-24F;
        float radius = sqrtf(-2 * logf(share)), angle = (float)(2 * M_PI) * turn;
        values[i] = radius * cosf(angle);
        if (i + 1 < count) values[i + 1] = radius * sinf(angle);
    }
}

void rel_random_permute(struct rel_random *random, uint32_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)rel_random_below(random, i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}
