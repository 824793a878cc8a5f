/* What threads cost and get on this machine, driven by bench/run.
 * bench/machine [--threads 1]: an iteration opens empty parallel regions, reads an array larger
 * than the caches and copies it; the answer's account has the last iteration's rates. */
#include "support/worker.h"

#include <string.h>

/* Bytes of an array, the pieces in which it is copied, and parallel regions timed together. */
enum { BYTES = 256 << 20, PIECES = 64, REGIONS = 5000 };

struct machine {
    int threads;
    uint64_t *from, *to; /* [BYTES / 8] */
    uint64_t sum;        /* keeps reading from being left out */
    double region_seconds, read_seconds, copy_seconds;
};

static double open_regions(const struct machine *machine) {
    double started = clock_seconds();
    for (int i = 0; i < REGIONS; i++) {
#pragma omp parallel num_threads(machine->threads)
        __asm__ volatile("" ::: "memory");
    }
    return (clock_seconds() - started) / REGIONS;
}

static double read_all(struct machine *machine) {
    enum { COUNT = BYTES / sizeof(uint64_t) };
    const uint64_t *from = machine->from;
    uint64_t sum = 0;
    double started = clock_seconds();
#pragma omp parallel for simd num_threads(machine->threads) reduction(+ : sum) schedule(static)
    for (int i = 0; i < COUNT; i++) sum += from[i];
    machine->sum += sum;
    return clock_seconds() - started;
}

/* memcpy goes past the caches with pieces as large as these. */
static double copy_all(struct machine *machine) {
    const char *from = (const char *)machine->from;
    char *to = (char *)machine->to;
    enum { PIECE = BYTES / PIECES };
    double started = clock_seconds();
#pragma omp parallel for num_threads(machine->threads) schedule(static)
    for (int i = 0; i < PIECES; i++)
        memcpy(to + (size_t)i * PIECE, from + (size_t)i * PIECE, PIECE);
    return clock_seconds() - started;
}

static rel_status measure(void *context) {
    struct machine *machine = context;
    machine->region_seconds = open_regions(machine);
    machine->read_seconds = read_all(machine);
    machine->copy_seconds = copy_all(machine);
    return REL_OK;
}

static json_t *account(void *context) {
    const struct machine *machine = context;
    return json_pack("{s:f, s:f, s:f}", "region_us", machine->region_seconds * 1e6, "read_gb_s",
                     BYTES / machine->read_seconds / 1e9, "copy_gb_s",
                     2.0 * BYTES / machine->copy_seconds / 1e9);
}

int main(int argc, char **argv) {
    struct machine machine = {.threads = (int)worker_option(argc, argv, "threads", 1)};
    const struct worker worker = {.iteration = measure, .context = &machine, .account = account};
    rel_status status = REL_OK;
    machine.from = rel_alloc(BYTES, 1);
    machine.to = rel_alloc(BYTES, 1);
    if (!machine.from || !machine.to) status = REL_ERR_MEMORY;
    if (status == REL_OK)
        status = worker_serve(&worker, json_pack("{s:i}", "threads", machine.threads));
    rel_free(machine.from);
    rel_free(machine.to);
    return worker_finish(status);
}
