/* Numbers that C and Python make alike: tests/oracle/hash_fill.py. Golden tests fill weights and
 * inputs with them, so that nothing large is committed. */
#ifndef TESTS_HASH_FILL_H
#define TESTS_HASH_FILL_H

#include <stddef.h>
#include <stdint.h>

/* 64 bits from a name and an index. */
uint64_t hash_bits(const char *name, uint64_t index);
/* The same in two steps, for many indices: hash_bits(name, i) is hash_at(hash_name(name), i). */
uint64_t hash_name(const char *name);
uint64_t hash_at(uint64_t name_hash, uint64_t index);
/* values[i] = offset + scale * u, u uniform in [-1, 1) with 24 bits, from (name, i). Products and
 * sums round to float once each, as NumPy's do. */
void hash_fill(const char *name, float *values, size_t count, float scale, float offset);
/* Likewise values[i] from (name, first + i). */
void hash_fill_from(const char *name, uint64_t first, float *values, size_t count, float scale,
                    float offset);

#endif
