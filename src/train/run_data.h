/* data.json of a run folder: the description of the store that the run was trained on
 * (store_describe), so that raw media can be taken as the store's were when the store is gone. */
#ifndef REL_TRAIN_RUN_DATA_H
#define REL_TRAIN_RUN_DATA_H

#include "data/data.h"

char *run_data_path(const char *folder); /* rel_free it; NULL: no memory */
rel_status run_data_keep(const struct store *store, const char *folder);

#endif
