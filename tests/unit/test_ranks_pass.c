/* A split passed by several ranks: features, measures and diagnosis are to the bit those of one.
 * Every rank checks for itself, and this process computes nothing: OpenMP does not survive a fork.
 */
#include "learn/diagnose.h"
#include "support/hashed_store.h"
#include "support/socket_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { TRAIN = 50, VAL = 23, CLASSES = 5, EVALUATION_BATCH = 4 /* 13 and 6 batches */ };

static char *folder;

static rel_status open_session(struct session *session) {
    static const char yaml[] = "{method: joint, evaluation_batch: 4, threads: 1, loader_threads: 1,"
                               " encoder: {width: 16, blocks: [1], stem: small, hidden: [8]}}";
    struct settings settings = {0};
    char *store = fs_join(folder, "store");
    rel_status status = settings_parse_yaml(&settings, "test", yaml, strlen(yaml));
    if (status == REL_OK) status = session_open(session, store, &settings, false, NULL);
    if (status == REL_OK) model_draw(&session->model, 4);
    settings_release(&settings);
    rel_free(store);
    return status;
}

/* What is computed from the features; free it. */
static char *measure(struct session *session) {
    struct feature_mask mask;
    struct evaluation evaluation;
    char *text = NULL;
    if (feature_mask_init(&mask, session) != REL_OK) return NULL;
    feature_mask_set_means(&mask, session);
    if (evaluate_features(session, SPLIT_VAL, &mask, &evaluation) == REL_OK) {
        json_t *json = evaluation_json(&evaluation, session, EVALUATION_FULL);
        text = json_dumps(json, JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
        json_decref(json);
        evaluation_release(&evaluation);
    }
    feature_mask_release(&mask);
    return text;
}

static rel_status diagnose(struct session *session, struct comm *comm,
                           struct diagnosis diagnoses[2]) {
    const struct feature_set *train = &session->features[SPLIT_TRAIN].set;
    const struct feature_set *val = &session->features[SPLIT_VAL].set;
    struct diagnose_config config = diagnose_config_default();
    config.classes = CLASSES;
    config.threads = 1;
    config.comm = comm;
    for (int m = 0; m < 2; m++) {
        const struct diagnose_split a = {train->features[m], train->labels, TRAIN, "train"};
        const struct diagnose_split b = {val->features[m], val->labels, VAL, "val"};
        config.modality = (uint64_t)m;
        REL_TRY(diagnose_features(&a, &b, (size_t)session->model.dimensions[m], &config,
                                  &diagnoses[m]));
    }
    return REL_OK;
}

static bool same_features(const struct session *a, const struct session *b, enum data_split split) {
    const struct feature_set *x = &a->features[split].set, *y = &b->features[split].set;
    bool same = x->samples == y->samples && x->samples > 0 &&
                memcmp(x->labels, y->labels, x->samples * sizeof *x->labels) == 0;
    for (int m = 0; m < 2; m++)
        same = same && memcmp(x->features[m], y->features[m],
                              x->samples * (size_t)a->model.dimensions[m] * sizeof(float)) == 0;
    return same;
}

/* Bytes that a rank sends to every other: its part of the features at least. */
static uint64_t expected_bytes(const struct session *session, const struct comm *comm) {
    uint64_t first, batches, row = 0;
    comm_share(comm, comm->rank, (TRAIN + EVALUATION_BATCH - 1) / EVALUATION_BATCH, &first,
               &batches);
    for (int m = 0; m < 2; m++) row += (uint64_t)session->model.dimensions[m] * sizeof(float);
    return (batches > 0 ? batches - 1 : 0) * EVALUATION_BATCH * row;
}

static int passes_agree(struct comm *comm, struct session *alone, struct session *shared) {
    struct diagnosis one[2], many[2];
    for (int split = SPLIT_TRAIN; split <= SPLIT_VAL; split++)
        if (session_pass(alone, (enum data_split)split, "alone") != REL_OK) return 2;
    shared->comm = comm;
    for (int split = SPLIT_TRAIN; split <= SPLIT_VAL; split++)
        if (session_pass(shared, (enum data_split)split, "shared") != REL_OK) return 3;
    if (comm_sent(comm) < expected_bytes(shared, comm)) return 4; /* it was not divided */
    if (!same_features(alone, shared, SPLIT_TRAIN) || !same_features(alone, shared, SPLIT_VAL))
        return 5;
    char *a = measure(alone), *b = measure(shared);
    bool same = a && b && strcmp(a, b) == 0;
    free(a);
    free(b);
    if (!same) return 6;
    if (diagnose(alone, NULL, one) != REL_OK || diagnose(shared, comm, many) != REL_OK) return 7;
    return memcmp(one, many, sizeof one) == 0 && one[0].alpha + one[1].alpha > 0 ? 0 : 8;
}

static int pass_as_rank(struct comm *comm, void *context) {
    (void)context;
    struct session alone = {0}, shared = {0};
    int result = 1;
    if (open_session(&alone) == REL_OK && open_session(&shared) == REL_OK)
        result = passes_agree(comm, &alone, &shared);
    if (result != 0) fprintf(stderr, "rank %d: fault %d\n", comm->rank, result);
    session_close(&shared);
    session_close(&alone);
    return result;
}

/* With 8 ranks two have no batch of the validation split. */
static void ranks_pass_as_one(void **state) {
    (void)state;
    static const int ranks[] = {2, 3, 8};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        assert_int_equal(socket_ranks_run(ranks[i], NULL, pass_as_rank, NULL, NULL), 0);
}

/* One rank alone is asked to stop: all do. */
static int interrupt_one(struct comm *comm, void *context) {
    (void)context;
    struct session session = {0};
    if (open_session(&session) != REL_OK) return 1;
    session.comm = comm;
    if (comm->rank == 1) interrupt_request();
    rel_status status = session_pass(&session, SPLIT_TRAIN, "train");
    uint64_t kept = session.features[SPLIT_TRAIN].set.samples;
    session_close(&session);
    return status == REL_ERR_INTERRUPTED && kept == 0 ? 0 : 2;
}

static void one_interrupted_rank_stops_all(void **state) {
    (void)state;
    assert_int_equal(socket_ranks_run(3, NULL, interrupt_one, NULL, NULL), 0);
}

static int setup(void **state) {
    (void)state;
    const struct hashed_data data = {.modalities = 2,
                                     .list = {{"sound", 12, 1, false}, {"view", 16, 1, true}},
                                     .train = TRAIN,
                                     .val = VAL,
                                     .classes = CLASSES};
    folder = scratch_make("ranks");
    hashed_store_make(folder, &data);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_pass_as_one),
        cmocka_unit_test(one_interrupted_rank_stops_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
