#include "train/run_kernels.h"

enum { KERNELS_BYTES_MAX = 4 << 20 };

static char *kernels_path(const char *folder) { return fs_join(folder, "kernels.json"); }

rel_status run_kernels_follow(struct session *session, const char *folder, bool *found) {
    char *path = kernels_path(folder);
    json_t *document = NULL;
    if (!path) return REL_ERR_MEMORY;
    *found = fs_exists(path);
    rel_status status = REL_OK;
    if (*found) status = json_read(path, KERNELS_BYTES_MAX, &document);
    if (*found && status == REL_OK)
        status = nn_runtime_follow_kernels(session->runtime, document, path);
    json_decref(document);
    rel_free(path);
    return status;
}

static rel_status plan(struct session *session, enum nn_mode mode, int64_t batch) {
    struct model_plan *ignored;
    return model_plan_get(&session->model, mode, (int)batch, &ignored);
}

rel_status run_kernels_plan(struct session *session) {
    const struct train_options *options = &session->config.options;
    int64_t rest = session_last_batch(session, options->batch);
    REL_TRY(plan(session, NN_TRAINING, session_share(session, options->batch)));
    if (rest > 0) REL_TRY(plan(session, NN_TRAINING, session_share(session, rest)));
    return plan(session, NN_INFERENCE, options->evaluation_batch);
}

rel_status run_kernels_settle(struct session *session, const char *folder) {
    json_t *document = NULL;
    REL_TRY(run_kernels_plan(session));
    REL_TRY(nn_runtime_kernels(session->runtime, &document));
    char *path = kernels_path(folder);
    rel_status status = path ? json_write(path, document) : REL_ERR_MEMORY;
    rel_free(path);
    json_decref(document);
    return status;
}
