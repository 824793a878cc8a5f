#include "learn/reinit.h"

#include <string.h>

static rel_status alpha_check(double alpha) {
    if (alpha >= 0 && alpha <= 1) return REL_OK;
    return rel_fail(REL_ERR_NUMERIC, "soft re-initialisation: alpha is %g (must be in 0 .. 1)",
                    alpha);
}

rel_status reinit_soft(float *value, const float *initial, size_t count, float alpha) {
    REL_TRY(alpha_check((double)alpha));
    if (alpha == 0.0F || count == 0) return REL_OK;
    if (alpha == 1.0F) { /* 0 * value would keep an infinity as NaN */
        memcpy(value, initial, count * sizeof *value);
        return REL_OK;
    }
    float kept = 1.0F - alpha;
#pragma omp simd
    for (size_t i = 0; i < count; i++) value[i] = kept * value[i] + alpha * initial[i];
    return REL_OK;
}

rel_status reinit_soft_double(double *value, const double *initial, size_t count, double alpha) {
    REL_TRY(alpha_check(alpha));
    if (alpha == 0.0 || count == 0) return REL_OK;
    if (alpha == 1.0) {
        memcpy(value, initial, count * sizeof *value);
        return REL_OK;
    }
#pragma omp simd
    for (size_t i = 0; i < count; i++) value[i] = (1.0 - alpha) * value[i] + alpha * initial[i];
    return REL_OK;
}
