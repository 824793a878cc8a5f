/* Commands that mpirun may start as several processes (command.h, `ranks`). */
#ifndef REL_CLI_RANKS_H
#define REL_CLI_RANKS_H

#include "comm/comm.h"

/* `patience`: as in struct comm_config. Ranks on one machine then count its CPUs as divided among
 * them. Alone there is nothing to join. */
rel_status ranks_join(struct comm *comm, double patience);
/* Success and an interruption are the same on all ranks; a failure ends all, and is told once.
 * Returns `status`. */
rel_status ranks_leave(struct comm *comm, rel_status status);

#endif
