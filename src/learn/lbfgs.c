#include "learn/lbfgs.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 10, HALVINGS = 40 };

struct state {
    size_t count;
    double *x, *gradient;         /* [count] where we are; x is the caller's */
    double *next, *next_gradient; /* [count] a step further */
    double *direction;            /* [count] */
    double *steps, *changes;      /* [PAIRS][count] of x and of the gradient */
    double curvature[PAIRS];      /* 1 / (step . change) */
    int pairs, newest;
};

static double dot(const double *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(const double *a, size_t count) {
    double found = 0;
    for (size_t i = 0; i < count; i++)
        if (fabs(a[i]) > found) found = fabs(a[i]);
    return found;
}

static rel_status state_init(struct state *state, size_t count, double *x) {
    *state = (struct state){.count = count, .x = x};
    state->gradient = rel_alloc(count, sizeof(double));
    state->next = rel_alloc(count, sizeof(double));
    state->next_gradient = rel_alloc(count, sizeof(double));
    state->direction = rel_alloc(count, sizeof(double));
    state->steps = rel_alloc(count, PAIRS * sizeof(double));
    state->changes = rel_alloc(count, PAIRS * sizeof(double));
    bool all = state->gradient && state->next && state->next_gradient && state->direction &&
               state->steps && state->changes;
    return all ? REL_OK : REL_ERR_MEMORY;
}

static void state_release(struct state *state) {
    rel_free(state->gradient);
    rel_free(state->next);
    rel_free(state->next_gradient);
    rel_free(state->direction);
    rel_free(state->steps);
    rel_free(state->changes);
}

/* The two loops: direction = - (inverse Hessian as the pairs show it) * gradient. */
static void choose_direction(struct state *state) {
    size_t count = state->count;
    double *q = state->direction, factors[PAIRS];
    for (size_t i = 0; i < count; i++) q[i] = -state->gradient[i];
    for (int p = 0; p < state->pairs; p++) {
        int at = (state->newest - p + PAIRS) % PAIRS;
        const double *step = state->steps + (size_t)at * count,
                     *change = state->changes + (size_t)at * count;
        factors[at] = state->curvature[at] * dot(step, q, count);
        for (size_t i = 0; i < count; i++) q[i] -= factors[at] * change[i];
    }
    if (state->pairs > 0) {
        const double *change = state->changes + (size_t)state->newest * count;
        double scale = 1 / (state->curvature[state->newest] * dot(change, change, count));
        for (size_t i = 0; i < count; i++) q[i] *= scale;
    }
    for (int p = state->pairs; p-- > 0;) {
        int at = (state->newest - p + PAIRS) % PAIRS;
        const double *step = state->steps + (size_t)at * count,
                     *change = state->changes + (size_t)at * count;
        double factor = factors[at] - state->curvature[at] * dot(change, q, count);
        for (size_t i = 0; i < count; i++) q[i] += factor * step[i];
    }
}

/* Has the value fallen enough for the step? Near a minimum rounding hides the fall: there a smaller
 * slope says so (Hager and Zhang 2005). */
static bool falls_enough(const struct state *state, double value, double reached, double length,
                         double slope) {
    if (reached <= value + 1e-4 * length * slope) return true;
    return reached <= value + 1e-14 * fabs(value) &&
           fabs(dot(state->next_gradient, state->direction, state->count)) <= -0.9 * slope;
}

/* Goes along the direction until the value falls enough; false where it does not. */
static bool search_line(struct state *state, const struct lbfgs *lbfgs, double *value) {
    size_t count = state->count;
    double slope = dot(state->gradient, state->direction, count);
    double length = state->pairs ? 1 : 1 / fmax(1, sqrt(-slope));
    if (!(slope < 0)) return false;
    for (int h = 0; h < HALVINGS; h++) {
        for (size_t i = 0; i < count; i++)
            state->next[i] = state->x[i] + length * state->direction[i];
        double reached = lbfgs->objective(lbfgs->context, state->next, state->next_gradient);
        if (falls_enough(state, *value, reached, length, slope)) {
            *value = reached;
            return true;
        }
        length /= 2;
    }
    return false;
}

/* Moves to the point found and remembers the pair, unless its curvature says nothing. */
static void accept_step(struct state *state) {
    size_t count = state->count;
    int at = (state->newest + 1) % PAIRS;
    double *step = state->steps + (size_t)at * count, *change = state->changes + (size_t)at * count;
    for (size_t i = 0; i < count; i++) {
        step[i] = state->next[i] - state->x[i];
        change[i] = state->next_gradient[i] - state->gradient[i];
    }
    double product = dot(step, change, count);
    if (product > 1e-16 * dot(change, change, count)) {
        state->curvature[at] = 1 / product;
        state->newest = at;
        if (state->pairs < PAIRS) state->pairs++;
    }
    memcpy(state->x, state->next, count * sizeof(double));
    memcpy(state->gradient, state->next_gradient, count * sizeof(double));
}

static rel_status iterate(struct state *state, const struct lbfgs *lbfgs, int *iterations,
                          bool *converged) {
    double value = lbfgs->objective(lbfgs->context, state->x, state->gradient);
    if (!isfinite(value))
        return rel_fail(REL_ERR_NUMERIC, "the function to minimise is not finite");
    while (!(*converged = largest(state->gradient, state->count) <= lbfgs->tolerance) &&
           *iterations < lbfgs->max_iterations) {
        choose_direction(state);
        if (!search_line(state, lbfgs, &value)) {
            if (state->pairs == 0) return REL_OK;
            state->pairs = 0; /* once more, along the gradient itself */
            continue;
        }
        accept_step(state);
        ++*iterations;
        if (lbfgs->label) progress_update((uint64_t)*iterations, NULL);
        if (*lbfgs->stop) return rel_fail(REL_ERR_INTERRUPTED, "interrupted");
    }
    return REL_OK;
}

rel_status lbfgs_minimise(const struct lbfgs *lbfgs, double *x, int *iterations, bool *converged) {
    struct state state;
    *iterations = 0;
    *converged = false;
    rel_status status = state_init(&state, lbfgs->count, x);
    if (status == REL_OK) {
        if (lbfgs->label)
            progress_begin(lbfgs->label, "iterations", (uint64_t)lbfgs->max_iterations);
        status = iterate(&state, lbfgs, iterations, converged);
        if (lbfgs->label) progress_end(NULL);
    }
    state_release(&state);
    return status;
}
