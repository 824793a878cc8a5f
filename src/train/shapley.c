#include "train/shapley.h"

/* Of the orders of n players the share in which exactly the `before` players of one set come before
 * one player: before! (n - before - 1)! / n!. */
static double order_share(int before, int n) {
    double share = 1.0 / n;
    for (int i = 1; i <= before; i++) share *= (double)i / (n - i);
    return share;
}

void shapley_values(const double *worth, int players, double *parts) {
    const unsigned sets = 1u << players;
    for (int p = 0; p < players; p++) parts[p] = 0;
    for (unsigned set = 0; set < sets; set++) {
        double share = order_share(__builtin_popcount(set), players);
        for (int p = 0; p < players; p++)
            if (!(set & 1u << p)) parts[p] += share * (worth[set | 1u << p] - worth[set]);
    }
}
