/* Training steps of the two-tower ResNet-18 by several ranks, driven by bench/run scale.
 * bench/ranks [--ranks 2] [--megabits 0] [--microseconds 0] [--batch 16] [--threads 1] [--steps 2]
 *             [--rounds 3] [--sync 0]
 *   --ranks N        processes of this machine, joined by sockets as slow as --megabits (that a
 * rank sends in a second; 0: no limit) and --microseconds (that a message takes) say; 0: those that
 * mpirun started
 *   --batch, --threads  of a rank
 *   --sync 1         with batch norm over all ranks
 * Every rank has samples of its own: together they have those that one rank with the whole batch
 * has. The first steps are the trainer's, and their losses, means over all samples, are printed:
 * one rank's with --sync 1. Then a round does --steps steps in each of three ways: computing
 * without exchanging gradients, exchanging them without computing, and as the trainer does it. Rank
 * 0 prints seconds of a step, for every round. */
#include "comm/comm.h"
#include "support/socket_ranks.h"
#include "support/towers.h"
#include "support/train_step.h"
#include "support/worker.h"

#include <sys/resource.h>

struct options {
    int batch, threads, steps, rounds;
    bool sync;
};

struct rank {
    struct towers towers;
    struct comm *comm;
    double loss; /* of the last step, this rank's samples */
};

enum { CHECKED_STEPS = 4 };

enum { WAY_COMPUTE, WAY_EXCHANGE, WAY_STEP, WAYS };
static const char *const way_names[WAYS] = {"compute", "exchange", "step"};

static rel_status one(struct rank *rank, int way) {
    struct towers *towers = &rank->towers;
    const float *inputs[TOWERS] = {towers->inputs[0], towers->inputs[1]};
    if (way == WAY_EXCHANGE) return train_exchange(&towers->model, rank->comm);
    if (way == WAY_COMPUTE)
        return train_step(&towers->model, towers->plan, inputs, towers->labels, towers->threads,
                          &rank->loss);
    return train_step_shared(&towers->model, towers->plan, inputs, towers->labels, towers->threads,
                             rank->comm, &rank->loss);
}

/* Seconds of a step until all ranks are done, and of them those that this one waited. */
static rel_status measure(struct rank *rank, int way, int steps, json_t *account) {
    struct comm *comm = rank->comm;
    char waited[32];
    REL_TRY(comm_barrier(comm));
    double started = clock_seconds(), before = comm_waited(comm);
    for (int i = 0; i < steps; i++) REL_TRY(one(rank, way));
    double wait = comm_waited(comm) - before;
    REL_TRY(comm_barrier(comm));
    snprintf(waited, sizeof waited, "%s_waited", way_names[way]);
    json_array_append_new(json_object_get(account, way_names[way]),
                          json_real((clock_seconds() - started) / steps));
    json_array_append_new(json_object_get(account, waited), json_real(wait / steps));
    return REL_OK;
}

static json_t *account_make(const struct rank *rank, const struct options *options) {
    json_t *account =
        json_pack("{s:i, s:i, s:i, s:b, s:I}", "ranks", comm_size(rank->comm), "threads",
                  options->threads, "batch", options->batch, "sync_bn", options->sync, "parameters",
                  (json_int_t)model_parameter_count(&rank->towers.model));
    for (int way = 0; way < WAYS; way++) {
        char waited[32];
        snprintf(waited, sizeof waited, "%s_waited", way_names[way]);
        json_object_set_new(account, way_names[way], json_array());
        json_object_set_new(account, waited, json_array());
    }
    return account;
}

static rel_status print_line(const json_t *account) {
    struct rel_text text = {0};
    rel_status status = json_append_line(account, true, &text);
    if (status == REL_OK && (puts(text.data) < 0 || fflush(stdout) != 0))
        status = rel_fail(REL_ERR_IO, "standard output: cannot write");
    rel_text_release(&text);
    return status;
}

/* Losses of the first steps, before anything sets the ranks' weights apart. */
static rel_status losses_take(struct rank *rank, json_t *losses) {
    for (int i = 0; i < CHECKED_STEPS; i++) {
        REL_TRY(one(rank, WAY_STEP));
        double sum = rank->loss;
        REL_TRY(comm_sum_doubles(rank->comm, &sum, 1));
        json_array_append_new(losses, json_number(sum / comm_size(rank->comm)));
    }
    return REL_OK;
}

/* Seconds of CPU that all ranks have used so far, setting up included. */
static rel_status cpu_seconds(struct comm *comm, double *seconds) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    *seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    return comm_sum_doubles(comm, seconds, 1);
}

static rel_status rounds_run(struct rank *rank, const struct options *options) {
    json_t *account = account_make(rank, options), *discarded = account_make(rank, options);
    rel_status status = account && discarded ? REL_OK : REL_ERR_MEMORY;
    json_t *losses = json_array();
    json_object_set_new(account, "losses", losses);
    if (status == REL_OK) status = losses_take(rank, losses);
    for (int way = 0; status == REL_OK && way < WAYS; way++)
        status = measure(rank, way, 1, discarded);
    uint64_t sent = comm_sent(rank->comm);
    for (int round = 0; status == REL_OK && round < options->rounds; round++)
        for (int way = 0; status == REL_OK && way < WAYS; way++)
            status = measure(rank, way, options->steps, account);
    sent = comm_sent(rank->comm) - sent;
    double used = 0;
    if (status == REL_OK) status = cpu_seconds(rank->comm, &used);
    json_object_set_new(account, "cpu_seconds", json_real(used));
    json_object_set_new(account, "sent_bytes",
                        json_integer((json_int_t)sent / 2 / options->rounds / options->steps));
    if (status == REL_OK && comm_is_root(rank->comm)) status = print_line(account);
    json_decref(account);
    json_decref(discarded);
    return status;
}

static int rank_run(struct comm *comm, void *context) {
    const struct options *options = context;
    struct rank rank = {.comm = comm};
    rel_status status =
        towers_init(&rank.towers, NN_TRAINING, options->batch, options->threads, "f32");
    if (status != REL_OK) return worker_finish(status);
    towers_take_samples(&rank.towers, (size_t)comm->rank * (size_t)options->batch);
    if (options->sync) nn_runtime_synchronize(rank.towers.runtime, comm);
    status = rounds_run(&rank, options);
    towers_release(&rank.towers);
    return worker_finish(status);
}

static int mpi_run(struct options *options) {
    struct comm comm;
    rel_status status = comm_join(&comm, NULL);
    if (status != REL_OK) return worker_finish(status);
    int code = rank_run(&comm, options);
    if (code != 0) comm_abort(&comm, code);
    comm_leave(&comm);
    return code;
}

int main(int argc, char **argv) {
    int ranks = (int)worker_option(argc, argv, "ranks", 2);
    struct options options = {
        .batch = (int)worker_option(argc, argv, "batch", 16),
        .threads = (int)worker_option(argc, argv, "threads", 1),
        .steps = (int)worker_option(argc, argv, "steps", 2),
        .rounds = (int)worker_option(argc, argv, "rounds", 3),
        .sync = worker_option(argc, argv, "sync", 0) != 0,
    };
    const struct socket_ranks_config network = {
        .bytes_per_second = (double)worker_option(argc, argv, "megabits", 0) * 125e3,
        .latency = (double)worker_option(argc, argv, "microseconds", 0) * 1e-6,
    };
    if (ranks > SOCKET_RANKS_MAX || options.steps < 1 || options.rounds < 1)
        return worker_finish(rel_fail(REL_ERR_USAGE, "at most %d ranks, at least 1 step and round",
                                      SOCKET_RANKS_MAX));
    if (ranks == 0) return mpi_run(&options);
    return socket_ranks_run(ranks, &network, rank_run, &options, NULL) == 0 ? 0 : 1;
}
