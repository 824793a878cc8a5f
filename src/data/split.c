/* Stratified, seeded splits. */
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

static rel_status check_share(uint64_t taken, uint64_t count, double fraction) {
    if (taken > 0 && taken < count) return REL_OK;
    return rel_fail(REL_ERR_USAGE,
                    "%g of %llu training samples leaves a split empty (choose another fraction)",
                    fraction, (unsigned long long)count);
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
    status = check_share(total, count, fraction);
cleanup:
    rel_free(shares);
    rel_free(order);
    rel_free(positions);
    rel_free(next);
    return status;
}

/* --- groups --- */

struct grouping {
    const int32_t *labels;      // [count]
    const uint64_t *members;    // [count] samples, group after group
    const uint64_t *begins;     // [groups + 1] in members
    struct class_share *shares; // [classes]; quota counts what was taken
    uint64_t *in_group;         // [classes] samples of the group looked at; zero in between
    double fraction;
    uint8_t *chosen;
};

static double distance(const struct grouping *grouping, int32_t label, uint64_t taken) {
    return fabs((double)taken - grouping->fraction * (double)grouping->shares[label].count);
}

/* How much nearer to the wanted shares all classes come with this group; a group that would use up
 * a class brings nothing. */
static double gain_of(const struct grouping *grouping, uint32_t group) {
    const uint64_t begin = grouping->begins[group], end = grouping->begins[group + 1];
    double gain = 0;
    bool uses_up = false;
    for (uint64_t i = begin; i < end; i++)
        grouping->in_group[grouping->labels[grouping->members[i]]]++;
    for (uint64_t i = begin; i < end; i++) {
        int32_t label = grouping->labels[grouping->members[i]];
        const struct class_share *share = &grouping->shares[label];
        uint64_t more = grouping->in_group[label];
        if (more == 0) continue; /* this class was done */
        uses_up = uses_up || share->quota + more >= share->count;
        gain += distance(grouping, label, share->quota) -
                distance(grouping, label, share->quota + more);
        grouping->in_group[label] = 0;
    }
    return uses_up ? -INFINITY : gain;
}

static void take_group(const struct grouping *grouping, uint32_t group) {
    for (uint64_t i = grouping->begins[group]; i < grouping->begins[group + 1]; i++) {
        uint64_t sample = grouping->members[i];
        grouping->chosen[sample] = 1;
        grouping->shares[grouping->labels[sample]].quota++;
    }
}

static bool helps_an_empty_class(const struct grouping *grouping, uint32_t group) {
    for (uint64_t i = grouping->begins[group]; i < grouping->begins[group + 1]; i++)
        if (grouping->shares[grouping->labels[grouping->members[i]]].quota == 0) return true;
    return false;
}

rel_status split_grouped(const int32_t *labels, const uint32_t *groups, uint64_t count, int classes,
                         uint32_t group_count, double fraction, uint64_t seed, uint8_t *chosen) {
    rel_status status = REL_OK;
    struct class_share *shares = rel_alloc((size_t)classes, sizeof *shares);
    uint64_t *in_group = rel_alloc((size_t)classes, sizeof *in_group);
    uint64_t *members = rel_alloc(count, sizeof *members);
    uint64_t *begins = rel_alloc((size_t)group_count + 2, sizeof *begins);
    uint32_t *order = rel_alloc(group_count, sizeof *order);
    uint64_t taken = 0;
    struct rel_random random;
    if (!shares || !in_group || !members || !begins || !order) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    for (uint64_t i = 0; i < count; i++) {
        shares[labels[i]].count++;
        begins[groups[i] + 2]++;
        chosen[i] = 0;
    }
    for (uint32_t g = 0; g < group_count; g++) begins[g + 2] += begins[g + 1];
    for (uint64_t i = 0; i < count; i++) members[begins[groups[i] + 1]++] = i;
    const struct grouping grouping = {labels, members, begins, shares, in_group, fraction, chosen};
    rel_random_init(&random, seed, REL_RANDOM_SPLIT, 1, 0);
    rel_random_permute(&random, order, group_count);
    for (uint32_t g = 0; g < group_count; g++)
        if (gain_of(&grouping, order[g]) > 0) take_group(&grouping, order[g]);
    for (uint32_t g = 0; g < group_count; g++)
        if (helps_an_empty_class(&grouping, order[g]) && !isinf(gain_of(&grouping, order[g])))
            take_group(&grouping, order[g]);
    for (uint64_t i = 0; i < count; i++) taken += chosen[i];
    status = check_share(taken, count, fraction);
cleanup:
    rel_free(shares);
    rel_free(in_group);
    rel_free(members);
    rel_free(begins);
    rel_free(order);
    return status;
}
