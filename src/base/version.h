/* Which relearn this is: printed, and written into every run and store. */
#ifndef REL_BASE_VERSION_H
#define REL_BASE_VERSION_H

#define REL_VERSION      "0.1.0"
#define REL_VERSION_DATE "2026-11-24"

#endif
