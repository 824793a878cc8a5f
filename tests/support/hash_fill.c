#include "support/hash_fill.h"

/* FNV-1a of the name, then the finalizer of SplitMix64 (Steele, Lea, Flood 2014) over a counter. */
uint64_t hash_name(const char *name) {
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3U;
    return hash;
}

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

uint64_t hash_at(uint64_t name_hash, uint64_t index) {
    return mix(name_hash + (index + 1) * 0x9e3779b97f4a7c15U);
}

uint64_t hash_bits(const char *name, uint64_t index) { return hash_at(hash_name(name), index); }

void hash_fill(const char *name, float *values, size_t count, float scale, float offset) {
    hash_fill_from(name, 0, values, count, scale, offset);
}

void hash_fill_from(const char *name, uint64_t first, float *values, size_t count, float scale,
                    float offset) {
    uint64_t start = hash_name(name);
    for (size_t i = 0; i < count; i++) {
        float uniform = (float)(int32_t)(hash_at(start, first + i) >> 40) / 8388608.0F - 1.0F;
        float scaled = scale * uniform;
        values[i] = offset + scaled;
    }
}
