/* Private to comm: the transports, one per file. */
#ifndef REL_COMM_TRANSPORTS_H
#define REL_COMM_TRANSPORTS_H

#include "comm/comm.h"

extern const struct comm_transport comm_transport_alone;

#endif
