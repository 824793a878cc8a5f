/* Shapley values: how much of a result each player carried. */
#ifndef REL_TRAIN_SHAPLEY_H
#define REL_TRAIN_SHAPLEY_H

#include "base/base.h"

enum { SHAPLEY_PLAYERS_MAX = 16 };

/* worth [2^players]: what the players in the bit set of the index reach together. parts [players]:
 * the mean, over all orders in which they may come, of what a player adds to those that came before
 * it (Shapley 1953); exact. They add up to the worth of all minus the worth of none. */
void shapley_values(const double *worth, int players, double *parts);

#endif
