/* L-BFGS: minimises a smooth function of many variables from its gradients. */
#ifndef REL_LEARN_LBFGS_H
#define REL_LEARN_LBFGS_H

#include "base/base.h"

struct lbfgs {
    size_t count; /* of variables */
    /* The function's value at x [count]; its gradient into gradient [count]. */
    double (*objective)(void *context, const double *x, double *gradient);
    void *context;
    int max_iterations;
    double tolerance;  /* ends when no entry of the gradient is larger */
    const char *label; /* of the progress bar; NULL: none */
    const bool *stop;  /* set by the objective: ends with ERR_INTERRUPTED */
};

/* From *x to a minimum, in place (Liu and Nocedal 1989; 10 pairs, step halved until the value falls
 * as Armijo wants). *converged is false after max_iterations, or where rounding lets no step fall.
 * ERR_INTERRUPTED, ERR_MEMORY; ERR_NUMERIC when the function is not finite. */
rel_status lbfgs_minimise(const struct lbfgs *lbfgs, double *x, int *iterations, bool *converged);

#endif
