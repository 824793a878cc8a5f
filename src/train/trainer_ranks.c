#include "train/trainer_ranks.h"
#include "train/run_kernels.h"

#include <string.h>

enum { COUNT_STOP, COUNT_SAVE, COUNT_SAMPLES, COUNT_CORRECT, COUNT_LOSSES };

rel_status trainer_ranks_check(const struct trainer *trainer) {
    int64_t batch = trainer_options(trainer)->batch;
    int ranks = comm_size(trainer->comm);
    if (batch < ranks)
        return rel_fail(REL_ERR_USAGE,
                        "batch: %lld samples for %d processes, which share them (start fewer, or "
                        "raise batch)",
                        (long long)batch, ranks);
    uint64_t rest = session_samples(&trainer->session, SPLIT_TRAIN) % (uint64_t)batch;
    if (trainer_options(trainer)->sync_bn && !trainer_options(trainer)->drop_last && rest > 0 &&
        rest < (uint64_t)ranks)
        return rel_fail(REL_ERR_USAGE,
                        "sync_bn: the last batch of an epoch has %llu samples for %d processes "
                        "(set drop_last=true, or start fewer)",
                        (unsigned long long)rest, ranks);
    return REL_OK;
}

/* --- beginning --- */

rel_status trainer_ranks_precision(struct trainer *trainer) {
    int *precision = &trainer->session.config.options.precision;
    REL_TRY(comm_broadcast(trainer->comm, precision, sizeof *precision, 0));
    nn_runtime_set_precision(trainer->session.runtime, (enum nn_precision) * precision);
    return REL_OK;
}

/* Rank 0's document (which the others have NULL) on every rank. */
static rel_status json_broadcast(struct comm *comm, json_t **document) {
    struct rel_text text = {0};
    uint64_t length = 0;
    char *bytes = NULL;
    rel_status status = REL_OK;
    if (comm_is_root(comm)) {
        status = json_append_line(*document, false, &text);
        length = text.length;
    }
    if (status == REL_OK) status = comm_broadcast(comm, &length, sizeof length, 0);
    if (status == REL_OK) bytes = rel_alloc((size_t)length + 1, 1);
    if (status == REL_OK && !bytes) status = REL_ERR_MEMORY;
    if (status == REL_OK && text.data) memcpy(bytes, text.data, (size_t)length);
    if (status == REL_OK) status = comm_broadcast(comm, bytes, (size_t)length, 0);
    if (status == REL_OK && !comm_is_root(comm)) {
        *document = json_loadb(bytes, (size_t)length, 0, NULL);
        if (!*document) status = rel_fail(REL_ERR_MEMORY, "what rank 0 sent is no JSON");
    }
    rel_free(bytes);
    rel_text_release(&text);
    return status;
}

rel_status trainer_ranks_kernels(struct trainer *trainer) {
    struct session *session = &trainer->session;
    json_t *document = NULL;
    if (comm_size(trainer->comm) == 1) return REL_OK;
    if (comm_is_root(trainer->comm)) REL_TRY(nn_runtime_kernels(session->runtime, &document));
    rel_status status = json_broadcast(trainer->comm, &document);
    if (status == REL_OK && !comm_is_root(trainer->comm))
        status = nn_runtime_follow_kernels(session->runtime, document, "rank 0");
    if (status == REL_OK && !comm_is_root(trainer->comm)) status = run_kernels_plan(session);
    json_decref(document);
    return status;
}

rel_status trainer_ranks_state(struct trainer *trainer) {
    struct comm *comm = trainer->comm;
    struct session *session = &trainer->session;
    uint8_t going_on = trainer->going_on;
    json_t *state = NULL;
    if (comm_size(comm) == 1) return REL_OK;
    REL_TRY(comm_broadcast(comm, &going_on, sizeof going_on, 0));
    trainer->going_on = going_on;
    REL_TRY(
        model_broadcast(&session->model, comm, going_on ? session_optimizer(session)->planes : 0));
    if (!going_on) return REL_OK;
    if (comm_is_root(comm)) REL_TRY(trainer_state_json(trainer, &state));
    rel_status status = json_broadcast(comm, &state);
    uint64_t ignored;
    if (status == REL_OK && !comm_is_root(comm))
        status = trainer_state_apply(trainer, "rank 0's checkpoint", state, &ignored);
    json_decref(state);
    REL_TRY(status);
    for (int m = 0; m < session->config.modalities; m++)
        REL_TRY(comm_broadcast(comm, trainer->feature_sums[m],
                               (size_t)session->model.dimensions[m] * sizeof(double), 0));
    return REL_OK;
}

/* --- a step --- */

rel_status trainer_ranks_share(struct trainer *trainer, struct method_step *step, int whole) {
    step->share = 1;
    if (comm_size(trainer->comm) == 1) return REL_OK;
    /* Cross-entropy is divided by the sum of the weights, so that sum is what is shared. */
    double mine = step->samples, all = whole;
    if (trainer->method.method->before_step) {
        mine = 0;
        for (int i = 0; i < step->samples; i++) mine += step->weights[i];
        all = mine;
        REL_TRY(comm_sum_doubles(trainer->comm, &all, 1));
    }
    step->share = all > 0 ? mine / all : 0;
    return REL_OK;
}

/* What this rank has to add; returns the number of values. */
static size_t counts_fill(struct trainer *trainer, const struct method_step *step) {
    const struct session *session = &trainer->session;
    double *counts = trainer->counts;
    size_t used = COUNT_LOSSES;
    counts[COUNT_STOP] = interrupt_requested();
    counts[COUNT_SAVE] = comm_is_root(trainer->comm) && trainer_checkpoint_is_due(trainer);
    counts[COUNT_SAMPLES] = step->samples;
    counts[COUNT_CORRECT] = (double)trainer_step_correct(trainer, step);
    for (int l = 0; l < step->loss_count; l++) counts[used++] = step->losses[l].value * step->share;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        memset(counts + used, 0, dimension * sizeof *counts);
        trainer_step_features(step, m, dimension, counts + used);
        used += dimension;
    }
    return used;
}

rel_status trainer_ranks_step(struct trainer *trainer, struct method_step *step) {
    const struct session *session = &trainer->session;
    struct trainer_state *state = &trainer->state;
    if (comm_size(trainer->comm) == 1) return REL_OK;
    size_t used = counts_fill(trainer, step);
    double *counts = trainer->counts;
    REL_TRY(comm_sum_doubles(trainer->comm, counts, used));
    REL_TRY(comm_sum_wait(trainer->comm));
    trainer->stop_agreed = counts[COUNT_STOP] > 0;
    trainer->save_agreed = counts[COUNT_SAVE] > 0;
    state->seen += (uint64_t)counts[COUNT_SAMPLES];
    state->correct += (uint64_t)counts[COUNT_CORRECT];
    used = COUNT_LOSSES;
    for (int l = 0; l < step->loss_count; l++) {
        step->losses[l].value = counts[used++];
        if (step->losses[l].head == MODEL_HEAD_JOINT)
            state->loss_sum += step->losses[l].value * counts[COUNT_SAMPLES];
    }
    for (int m = 0; m < session->config.modalities; m++)
        for (int d = 0; d < session->model.dimensions[m]; d++)
            trainer->feature_sums[m][d] += counts[used++];
    return REL_OK;
}

rel_status trainer_ranks_agree(struct trainer *trainer, rel_status status) {
    bool interrupted = status == REL_ERR_INTERRUPTED;
    if (comm_size(trainer->comm) == 1 || (status != REL_OK && !interrupted)) return status;
    struct rel_error error;
    rel_error_save(&error, status);
    REL_TRY(comm_any(trainer->comm, &interrupted));
    if (status != REL_OK) return rel_error_restore(&error);
    return interrupted ? rel_fail(REL_ERR_INTERRUPTED, "interrupted") : REL_OK;
}
