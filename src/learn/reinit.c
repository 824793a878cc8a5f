#include "learn/reinit.h"

#include <string.h>

rel_status reinit_soft(float *value, const float *initial, size_t count, float alpha) {
    if (!(alpha >= 0.0F && alpha <= 1.0F))
        return rel_fail(REL_ERR_NUMERIC, "soft re-initialisation: alpha is %g (must be in 0 .. 1)",
                        (double)alpha);
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
