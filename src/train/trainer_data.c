/* Whether a store can be trained on, and what is to be said of it. */
#include "train/trainer_private.h"

static rel_status splits_check(const struct trainer *trainer) {
    const struct session *session = &trainer->session;
    uint64_t train = session_samples(session, SPLIT_TRAIN);
    if (train == 0)
        return rel_fail(REL_ERR_STATE,
                        "the store has no training samples (its manifest needs a train split)");
    if (trainer->steps_per_epoch == 0)
        return rel_fail(
            REL_ERR_USAGE,
            "%llu training samples are fewer than one batch of %lld (lower batch, or set "
            "drop_last=false)",
            (unsigned long long)train, (long long)trainer_options(trainer)->batch);
    if (trainer_options(trainer)->select == SELECT_TEST &&
        session_samples(session, SPLIT_TEST) == 0)
        return rel_fail(REL_ERR_STATE, "select: test, but the store has no test samples (select "
                                       "val or last)");
    if ((session->config.method->needs & METHOD_NEEDS_VALIDATION) &&
        session_samples(session, SPLIT_VAL) == 0)
        return rel_fail(REL_ERR_STATE,
                        "method %s needs a validation split and the store has none (prepare it "
                        "with --val-fraction 0.1)",
                        session->config.method->name);
    return REL_OK;
}

/* What training does not see is said before it begins; summary.json repeats it. */
static void note_missing(const struct trainer *trainer) {
    const struct store_info *info = trainer->session.info;
    if (info->missing > 0)
        rel_log(REL_LOG_NOTE,
                "%llu samples were left out of the store when it was prepared (see "
                "`relearn inspect`)",
                (unsigned long long)info->missing);
}

/* present[c]: whether class c has a sample in the split. rel_free it. */
static rel_status classes_present(const struct session *session, enum data_split split,
                                  bool **present) {
    *present = rel_alloc((size_t)session->info->classes, sizeof **present);
    if (!*present) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < session->info->samples[split]; i++)
        (*present)[store_label(session->store, split, i)] = true;
    return REL_OK;
}

/* The classes without a sample in `split`, of those that have one in `other` (SPLIT_COUNT: of all):
 * their number, and the first of them. */
static rel_status classes_absent(const struct session *session, enum data_split split,
                                 enum data_split other, int *absent, const char **first) {
    bool *here = NULL, *there = NULL;
    rel_status status = classes_present(session, split, &here);
    if (status == REL_OK && other != SPLIT_COUNT) status = classes_present(session, other, &there);
    *absent = 0;
    for (int c = session->info->classes - 1; c >= 0 && status == REL_OK; c--)
        if (!here[c] && (!there || there[c])) ++*absent, *first = session->info->class_names[c];
    rel_free(here);
    rel_free(there);
    return status;
}

/* What is measured would count a class that cannot be learned. */
static rel_status classes_check(const struct session *session) {
    static const enum data_split measured[] = {SPLIT_VAL, SPLIT_TEST};
    const char *first = NULL;
    int absent = 0;
    if (session->config.options.allow_absent_classes) return REL_OK;
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        REL_TRY(classes_absent(session, SPLIT_TRAIN, measured[i], &absent, &first));
        if (absent > 0)
            return rel_fail(REL_ERR_STATE,
                            "%s: %d of %d classes have samples in the %s split and none in the "
                            "train split, %s%s: no training can learn such a class (prepare the "
                            "store with training samples of it, or --set "
                            "allow_absent_classes=true)",
                            session->config.options.data, absent, session->info->classes,
                            data_split_names[measured[i]], absent > 1 ? "the first of them " : "",
                            first);
    }
    return REL_OK;
}

/* A small split of many classes always lacks some: told, not refused. */
static rel_status note_absent_classes(const struct session *session, enum data_split split,
                                      const char *consequence) {
    const char *first = NULL;
    int absent = 0;
    if (session->info->samples[split] == 0) return REL_OK;
    REL_TRY(classes_absent(session, split, SPLIT_COUNT, &absent, &first));
    if (absent > 0)
        rel_log(REL_LOG_WARNING, "%s: %d of %d classes have no sample in the %s split, %s%s: %s",
                session->config.options.data, absent, session->info->classes,
                data_split_names[split], absent > 1 ? "the first of them " : "", first,
                consequence);
    return REL_OK;
}

static rel_status note_classes(const struct session *session) {
    if (session->info->classes == 1)
        rel_log(REL_LOG_WARNING, "%s: one class: there is nothing to tell apart",
                session->config.options.data);
    REL_TRY(note_absent_classes(session, SPLIT_TRAIN, "training cannot learn such a class"));
    return note_absent_classes(session, SPLIT_VAL,
                               "purities and measures of the two splits are not of the same "
                               "classes");
}

rel_status trainer_data_check(const struct trainer *trainer) {
    REL_TRY(splits_check(trainer));
    return trainer->request->weights ? REL_OK : classes_check(&trainer->session);
}

rel_status trainer_data_note(const struct trainer *trainer) {
    note_missing(trainer);
    return note_classes(&trainer->session);
}
