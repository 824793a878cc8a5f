#include "cli/ranks.h"

#include "cli/terminal.h"

static void all_end(struct comm *comm, rel_status code, const char *message) {
    terminal_set_silent(false);
    terminal_error(message);
    comm_abort(comm, rel_status_exit_code(code));
}

/* On a thread of its own, while the others' work does not come back. */
static void on_lost(void *context, rel_status code, const char *message) {
    all_end(context, code, message);
}

rel_status ranks_join(struct comm *comm, double patience) {
    const struct comm_config config = {.patience = patience, .on_lost = on_lost, .context = comm};
    REL_TRY(comm_join(comm, &config));
    rel_cpu_divide(comm_cpu_sharers(comm));
    return REL_OK;
}

rel_status ranks_leave(struct comm *comm, rel_status status) {
    struct rel_error error;
    rel_error_save(&error, status);
    if (comm_size(comm) > 1 && status != REL_OK && status != REL_ERR_INTERRUPTED) {
        if (comm_report(comm, status)) all_end(comm, status, error.message);
        comm_abort(comm, rel_status_exit_code(status));
    }
    comm_leave(comm);
    return rel_error_restore(&error);
}
