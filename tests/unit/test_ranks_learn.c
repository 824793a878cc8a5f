/* k-means, silhouettes, probes and diagnosis by several ranks: on each the bits of one that does it
 * alone. Every rank checks for itself, and this process computes nothing: OpenMP does not survive a
 * fork. */
#include "learn/diagnose.h"
#include "learn/kmeans.h"
#include "learn/probe.h"
#include "learn/silhouette.h"
#include "support/socket_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { SAMPLES = 700, DIMS = 170, CLUSTERS = 9, VALIDATION = 130 };

struct features {
    float train[SAMPLES * DIMS], val[VALIDATION * DIMS];
    int32_t labels[SAMPLES];
    float centers[CLUSTERS * DIMS];
};

/* Noise, with class k raised in some columns, more so in training. */
static struct features *features_make(void) {
    struct features *features = rel_alloc(1, sizeof *features);
    struct rel_random random;
    assert_non_null(features);
    rel_random_init(&random, 2, REL_RANDOM_TEST, 0, 0);
    for (int i = 0; i < SAMPLES; i++) features->labels[i] = i % CLUSTERS;
    for (int i = 0; i < SAMPLES * DIMS; i++)
        features->train[i] = (float)(rel_random_normal(&random) +
                                     (i % DIMS % CLUSTERS == i / DIMS % CLUSTERS ? 0.8 : 0));
    for (int i = 0; i < VALIDATION * DIMS; i++)
        features->val[i] = (float)(rel_random_normal(&random) +
                                   (i % DIMS % CLUSTERS == i / DIMS % CLUSTERS ? 0.4 : 0));
    for (int i = 0; i < CLUSTERS * DIMS; i++)
        features->centers[i] = (float)rel_random_normal(&random);
    return features;
}

/* --- k-means --- */

struct clustering {
    const float *data;
    size_t samples, dims;
    struct kmeans_config config;
    int distinct;                                                /* expected */
    enum { ANY_MESSAGES, FEW_MESSAGES, MANY_MESSAGES } messages; /* each rank is to send */
};

/* As many as a rank may send to tell all of one result: its error and figures, labels and centres,
 * each down a tree, and whether anybody was interrupted. */
enum { FEW = 4 * 4 };

static bool same_result(const struct clustering *clustering, const struct kmeans_result *a,
                        const struct kmeans_result *b) {
    size_t clusters = (size_t)clustering->config.clusters;
    return memcmp(a->labels, b->labels, clustering->samples * sizeof *a->labels) == 0 &&
           memcmp(a->centers, b->centers, clusters * clustering->dims * sizeof *a->centers) == 0 &&
           memcmp(&a->inertia, &b->inertia, sizeof a->inertia) == 0 &&
           a->iterations == b->iterations && a->distinct_clusters == clustering->distinct &&
           b->distinct_clusters == clustering->distinct;
}

static int cluster_as_rank(struct comm *comm, void *context) {
    const struct clustering *clustering = context;
    struct kmeans_config config = clustering->config;
    struct kmeans_result alone = {0}, shared = {0};
    config.threads = 1;
    rel_status status =
        kmeans_fit(clustering->data, clustering->samples, clustering->dims, &config, &alone);
    config.comm = comm;
    config.threads = 1 + comm->rank % 2;
    uint64_t before = socket_ranks_sent();
    if (status == REL_OK)
        status =
            kmeans_fit(clustering->data, clustering->samples, clustering->dims, &config, &shared);
    uint64_t sent = socket_ranks_sent() - before;
    bool good = status == REL_OK && same_result(clustering, &alone, &shared) && sent > 0 &&
                (clustering->messages == ANY_MESSAGES ||
                 (sent <= FEW) == (clustering->messages == FEW_MESSAGES));
    kmeans_result_release(&alone);
    kmeans_result_release(&shared);
    return good ? 0 : 1;
}

static void check_clustering(struct clustering clustering) {
    for (int ranks = 2; ranks <= 5; ranks++)
        if (socket_ranks_run(ranks, NULL, cluster_as_rank, &clustering, NULL) != 0)
            fail_msg("%d ranks: not what one finds", ranks);
}

static struct kmeans_config config_of(int n_init) {
    struct kmeans_config config = kmeans_config_default();
    config.clusters = CLUSTERS;
    config.n_init = n_init;
    config.share_from = 0;
    return config;
}

static void clusters_are_those_of_one_rank(void **state) {
    struct features *features = *state;
    check_clustering(
        (struct clustering){features->train, SAMPLES, DIMS, config_of(3), CLUSTERS, ANY_MESSAGES});
    /* restarts in two batches */
    check_clustering(
        (struct clustering){features->train, 200, 40, config_of(20), CLUSTERS, ANY_MESSAGES});
    /* of one tile of samples and one chunk of columns most ranks get nothing */
    check_clustering(
        (struct clustering){features->train, 40, 7, config_of(3), CLUSTERS, ANY_MESSAGES});
}

/* Just below where sharing begins, and there: a pass of 200 x 40 x 9 x 3 products. */
static void small_ones_are_rank_0s(void **state) {
    struct features *features = *state;
    struct clustering clustering = {features->train, 200, 40, config_of(3), CLUSTERS, FEW_MESSAGES};
    clustering.config.share_from = 200 * 40 * 9 * 3 + 1;
    check_clustering(clustering);
    clustering.config.share_from--;
    clustering.messages = MANY_MESSAGES;
    check_clustering(clustering);
    assert_true(kmeans_config_default().share_from == KMEANS_SHARE_FROM);
}

/* What rank 0 finds wrong, all say. */
static int fail_as_rank(struct comm *comm, void *context) {
    const struct clustering *clustering = context;
    struct kmeans_config config = clustering->config;
    struct kmeans_result result;
    config.comm = comm;
    rel_status status =
        kmeans_fit(clustering->data, clustering->samples, clustering->dims, &config, &result);
    return status == REL_ERR_NUMERIC && !result.labels && strstr(rel_error_message(), "sample 3,")
               ? 0
               : 1;
}

static void an_error_is_that_of_all(void **state) {
    struct features *features = *state;
    struct clustering clustering = {features->train, 20, 4, config_of(1), CLUSTERS, FEW_MESSAGES};
    float kept = features->train[13];
    features->train[13] = (float)INFINITY;
    clustering.config.share_from = KMEANS_SHARE_FROM;
    assert_int_equal(socket_ranks_run(3, NULL, fail_as_rank, &clustering, NULL), 0);
    features->train[13] = kept;
}

static void empty_clusters_are_filled_alike(void **state) {
    struct features *features = *state;
    struct kmeans_config config = config_of(1);
    for (int j = 0; j < 2 * DIMS; j++) features->centers[j] = 1e3F; /* two that no sample is near */
    config.initial_centers = features->centers;
    check_clustering(
        (struct clustering){features->train, SAMPLES, DIMS, config, CLUSTERS, ANY_MESSAGES});
    /* and where there is nothing to fill them with */
    float *copies = rel_alloc(SAMPLES, DIMS * sizeof *copies);
    assert_non_null(copies);
    for (size_t i = 0; i < SAMPLES; i++)
        memcpy(copies + i * DIMS, features->train + i % 4 * DIMS, DIMS * sizeof *copies);
    check_clustering((struct clustering){copies, SAMPLES, DIMS, config_of(3), 4, ANY_MESSAGES});
    rel_free(copies);
}

/* One rank alone is asked to stop: all do. */
static int interrupt_one(struct comm *comm, void *context) {
    const struct clustering *clustering = context;
    struct kmeans_config config = clustering->config;
    struct kmeans_result result;
    config.comm = comm;
    config.threads = 1;
    if (comm->rank == 1) interrupt_request();
    rel_status status =
        kmeans_fit(clustering->data, clustering->samples, clustering->dims, &config, &result);
    return status == REL_ERR_INTERRUPTED ? 0 : 1;
}

static void one_interrupted_rank_stops_all(void **state) {
    struct features *features = *state;
    struct kmeans_config given = config_of(1);
    given.initial_centers = features->centers; /* no seeding, which asks too */
    struct clustering seeded = {features->train, SAMPLES,  DIMS,
                                config_of(3),    CLUSTERS, ANY_MESSAGES};
    struct clustering placed = {features->train, SAMPLES, DIMS, given, CLUSTERS, ANY_MESSAGES};
    assert_int_equal(socket_ranks_run(3, NULL, interrupt_one, &seeded, NULL), 0);
    assert_int_equal(socket_ranks_run(3, NULL, interrupt_one, &placed, NULL), 0);
    seeded.config.share_from = placed.config.share_from = 1e12; /* rank 0 alone computes */
    assert_int_equal(socket_ranks_run(3, NULL, interrupt_one, &seeded, NULL), 0);
    assert_int_equal(socket_ranks_run(3, NULL, interrupt_one, &placed, NULL), 0);
}

/* --- diagnosis --- */

static int diagnose_as_rank(struct comm *comm, void *context) {
    const struct features *features = context;
    const struct diagnose_split train = {features->train, features->labels, SAMPLES, "train"};
    const struct diagnose_split val = {features->val, features->labels, VALIDATION, "val"};
    struct diagnose_config config = diagnose_config_default();
    struct diagnosis alone, shared;
    config.classes = CLUSTERS;
    config.threads = 1;
    for (int matched = 0; matched < 2; matched++) {
        config.match_size = matched;
        config.comm = NULL;
        if (diagnose_features(&train, &val, DIMS, &config, &alone) != REL_OK) return 1;
        config.comm = comm;
        if (diagnose_features(&train, &val, DIMS, &config, &shared) != REL_OK) return 2;
        if (memcmp(&alone, &shared, sizeof alone) != 0 || !(alone.alpha > 0.05)) return 3;
    }
    return 0;
}

/* The silhouette of all samples, and of some. */
static int silhouette_as_rank(struct comm *comm, void *context) {
    const struct features *features = context;
    struct silhouette_config config = {.threads = 1};
    double alone, shared;
    for (size_t size = 0; size <= 600; size += 300) {
        config.sample_size = size;
        config.comm = NULL;
        if (silhouette_measure(features->train, SAMPLES, DIMS, features->labels, CLUSTERS, &config,
                               &alone) != REL_OK)
            return 1;
        config.comm = comm;
        uint64_t before = socket_ranks_sent();
        if (silhouette_measure(features->train, SAMPLES, DIMS, features->labels, CLUSTERS, &config,
                               &shared) != REL_OK)
            return 2;
        if (memcmp(&alone, &shared, sizeof alone) != 0 || !(alone > 0)) return 3;
        if (socket_ranks_sent() == before) return 4;
    }
    config.comm = comm;
    if (comm->rank == 1) interrupt_request();
    return silhouette_measure(features->train, SAMPLES, DIMS, features->labels, CLUSTERS, &config,
                              &shared) == REL_ERR_INTERRUPTED
               ? 0
               : 5;
}

static void silhouettes_are_those_of_one_rank(void **state) {
    for (int ranks = 2; ranks <= 4; ranks++)
        assert_int_equal(socket_ranks_run(ranks, NULL, silhouette_as_rank, *state, NULL), 0);
}

static bool same_probe(const struct probe *a, const struct probe *b) {
    return memcmp(a->weights, b->weights, (DIMS + 1) * CLUSTERS * sizeof *a->weights) == 0 &&
           a->iterations == b->iterations && a->iterations > 3 && a->converged && b->converged;
}

/* Divided, and each rank by itself: the bits of one; an interrupted rank stops all. */
static int probe_as_rank(struct comm *comm, void *context) {
    const struct features *features = context;
    struct probe_config config = probe_config_default();
    struct probe alone, shared;
    config.classes = CLUSTERS;
    config.threads = 1;
    if (probe_fit(&alone, features->train, features->labels, SAMPLES, DIMS, &config) != REL_OK)
        return 1;
    config.comm = comm;
    for (int divided = 0; divided < 2; divided++) {
        config.share_from = SAMPLES * DIMS * CLUSTERS + !divided;
        uint64_t before = socket_ranks_sent();
        if (probe_fit(&shared, features->train, features->labels, SAMPLES, DIMS, &config) != REL_OK)
            return 2;
        if (!same_probe(&alone, &shared)) return 3;
        if ((socket_ranks_sent() - before > (uint64_t)alone.iterations) != divided) return 4;
        probe_release(&shared);
    }
    probe_release(&alone);
    if (comm->rank == 1) interrupt_request();
    for (int divided = 0; divided < 2; divided++) {
        config.share_from = SAMPLES * DIMS * CLUSTERS + !divided;
        if (probe_fit(&shared, features->train, features->labels, SAMPLES, DIMS, &config) !=
            REL_ERR_INTERRUPTED)
            return 5;
    }
    return 0;
}

static void probes_are_those_of_one_rank(void **state) {
    for (int ranks = 2; ranks <= 4; ranks++)
        assert_int_equal(socket_ranks_run(ranks, NULL, probe_as_rank, *state, NULL), 0);
}

static void diagnosis_is_that_of_one_rank(void **state) {
    for (int ranks = 2; ranks <= 3; ranks++)
        assert_int_equal(socket_ranks_run(ranks, NULL, diagnose_as_rank, *state, NULL), 0);
}

static int setup(void **state) {
    *state = features_make();
    return 0;
}

static int teardown(void **state) {
    rel_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_are_those_of_one_rank),
        cmocka_unit_test(small_ones_are_rank_0s),
        cmocka_unit_test(an_error_is_that_of_all),
        cmocka_unit_test(empty_clusters_are_filled_alike),
        cmocka_unit_test(one_interrupted_rank_stops_all),
        cmocka_unit_test(diagnosis_is_that_of_one_rank),
        cmocka_unit_test(silhouettes_are_those_of_one_rank),
        cmocka_unit_test(probes_are_those_of_one_rank),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
