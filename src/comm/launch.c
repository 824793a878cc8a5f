/* Whether this process is one of several, and the plug-in that connects them.
 *
 * Only relearn-mpi.so is compiled and linked with MPI, and it is loaded only where the environment
 * says that there are other ranks: the program runs where there is no MPI, a run of one rank does
 * not pay for its start, and one build serves machines with and without it. */
#include "comm/comm.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RANKS_MAX = 1 << 20, PATH_BYTES = 4096 };
static const char file_name[] = "relearn-mpi.so", symbol_name[] = "relearn_mpi_transport";

/* A positive number; 0: not set, or none. */
static long number_of(const char *variable) {
    const char *text = getenv(variable);
    char *end;
    if (!text || !*text) return 0;
    errno = 0;
    long value = strtol(text, &end, 10);
    return *end || errno || value < 1 || value > RANKS_MAX ? 0 : value;
}

/* mpirun of Open MPI says how many in OMPI_COMM_WORLD_SIZE; srun --mpi=pmi2 and MPICH's mpiexec in
 * PMI_SIZE; under srun --mpi=pmix there is PMIX_RANK, and Slurm knows the number. Slurm's number
 * alone says nothing: a batch script sees it too, and is one process. */
static int ranks_started(void) {
    long ranks = number_of("OMPI_COMM_WORLD_SIZE");
    if (ranks == 0) ranks = number_of("PMI_SIZE");
    if (ranks == 0 && getenv("PMIX_RANK")) ranks = number_of("SLURM_STEP_NUM_TASKS");
    return ranks > 0 ? (int)ranks : 1;
}

int comm_started_rank(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
    long rank = 0;
    for (size_t i = 0; ranks_started() > 1 && rank == 0 && i < 3; i++)
        rank = number_of(variables[i]);
    return (int)rank;
}

/* Beside the program, or where `make install` puts it; RELEARN_MPI names another one. */
static void *plugin_open(const char **path, char buffer[PATH_BYTES]) {
    static const char *const places[] = {"", "../lib/relearn/"};
    const char *named = secure_getenv("RELEARN_MPI");
    if (named && *named) return *path = named, dlopen(named, RTLD_NOW | RTLD_GLOBAL);
    char program[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash) slash[1] = 0;
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        int written = snprintf(buffer, PATH_BYTES, "%s%s%s", program, places[i], file_name);
        if (written >= PATH_BYTES || access(buffer, F_OK) != 0) continue;
        return *path = buffer, dlopen(buffer, RTLD_NOW | RTLD_GLOBAL);
    }
    *path = NULL;
    return NULL;
}

static rel_status plugin_load(int ranks, const struct comm_transport **transport) {
    char buffer[PATH_BYTES];
    const char *path = NULL;
    void *plugin = plugin_open(&path, buffer);
    if (!path)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "started as one of %d ranks, but %s is not beside the program (build it "
                        "where MPI is installed: docs/comm.md; or start one process alone)",
                        ranks, file_name);
    if (!plugin)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "started as one of %d ranks, but %s cannot be loaded: %s", ranks, path,
                        dlerror());
    /* It stays loaded: MPI cannot be started twice. */
    const struct comm_transport *found = dlsym(plugin, symbol_name);
    if (!found || found->abi != COMM_TRANSPORT_ABI)
        return rel_fail(REL_ERR_VERSION,
                        "%s: belongs to another version of this program (install "
                        "both together)",
                        path);
    *transport = found;
    return REL_OK;
}

rel_status comm_join(struct comm *comm, const struct comm_config *config) {
    const struct comm_transport *transport = NULL;
    *comm = (struct comm){.size = 1};
    int ranks = ranks_started();
    if (ranks == 1) return REL_OK;
    REL_TRY(plugin_load(ranks, &transport));
    REL_TRY(comm_join_by(comm, transport, config));
    if (comm->size == ranks) return REL_OK;
    rel_status status = rel_fail(
        REL_ERR_UNSUPPORTED,
        "started as one of %d ranks, but MPI sees %d (%s was built with another MPI than the one "
        "that started it: use that one's mpirun, or build with this one's mpicc)",
        ranks, comm->size, file_name);
    comm_leave(comm);
    return status;
}
