/* A stratified, seeded split. */
#include "data/split.h"

#include <math.h>

struct class_share {
    uint64_t count, quota;
    double remainder; /* of fraction * count behind the point */
};

/* Gives one more sample to the class with the largest remainder; false when no class can give. */
static bool give_one(struct class_share *shares, int classes) {
    struct class_share *best = NULL;
    for (int c = 0; c < classes; c++) {
        struct class_share *share = &shares[c];
        if (share->quota + 1 >= share->count) continue;
        if (!best || share->remainder > best->remainder) best = share;
    }
    if (!best) return false;
    best->quota++;
    best->remainder -= 1;
    return true;
}

static void set_quotas(struct class_share *shares, int classes, uint64_t count, double fraction) {
    uint64_t total = (uint64_t)llround(fraction * (double)count), given = 0;
    for (int c = 0; c < classes; c++) {
        double exact = fraction * (double)shares[c].count;
        shares[c].quota = (uint64_t)floor(exact + 1e-9); /* 0.1 * 30 is 3, whatever its last bit */
        shares[c].remainder = exact - (double)shares[c].quota;
        given += shares[c].quota;
    }
    while (given < total && give_one(shares, classes)) given++;
}

/* Fills positions[count] with the indices of all samples, class after class. */
static void group_by_class(const int32_t *labels, uint64_t count, const struct class_share *shares,
                           int classes, uint64_t *next, uint64_t *positions) {
    uint64_t start = 0;
    for (int c = 0; c < classes; c++) {
        next[c] = start;
        start += shares[c].count;
    }
    for (uint64_t i = 0; i < count; i++) positions[next[labels[i]]++] = i;
}

rel_status split_stratified(const int32_t *labels, uint64_t count, int classes, double fraction,
                            uint64_t seed, uint8_t *chosen) {
    rel_status status = REL_OK;
    struct class_share *shares = rel_alloc((size_t)classes, sizeof *shares);
    uint32_t *order = rel_alloc(count, sizeof *order);
    uint64_t *positions = rel_alloc(count, sizeof *positions);
    uint64_t *next = rel_alloc((size_t)classes, sizeof *next);
    uint64_t total = 0;
    if (!shares || !order || !positions || !next) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    for (uint64_t i = 0; i < count; i++) {
        shares[labels[i]].count++;
        chosen[i] = 0;
    }
    set_quotas(shares, classes, count, fraction);
    group_by_class(labels, count, shares, classes, next, positions);
    const uint64_t *members = positions;
    for (int c = 0; c < classes; c++) {
        struct rel_random random;
        rel_random_init(&random, seed, REL_RANDOM_SPLIT, 0, (uint64_t)c);
        rel_random_permute(&random, order, shares[c].count);
        for (uint64_t i = 0; i < shares[c].quota; i++) chosen[members[order[i]]] = 1;
        members += shares[c].count;
        total += shares[c].quota;
    }
    if (total == 0 || total == count)
        status = rel_fail(REL_ERR_USAGE,
                          "val_fraction: %g of %llu training samples leaves a split empty (choose "
                          "another)",
                          fraction, (unsigned long long)count);
cleanup:
    rel_free(shares);
    rel_free(order);
    rel_free(positions);
    rel_free(next);
    return status;
}
