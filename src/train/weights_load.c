#include "train/weights_load.h"

#include <math.h>

rel_status weights_load(const struct weights_target *target, size_t index,
                        struct param_arena *arena, enum param_plane plane, size_t i) {
    const struct param *param = &arena->params[i];
    const struct weights_tensor tensor = weights_file_tensor(target->file, index);
    if (!rel_shape_equal(&tensor.shape, &param->shape)) {
        char there[64], here[64];
        rel_shape_text(&tensor.shape, there, sizeof there);
        rel_shape_text(&param->shape, here, sizeof here);
        return rel_fail(REL_ERR_FORMAT, "%s: \"%s\" is %s, %s needs %s (%s)", target->path,
                        tensor.name, there, target->owner, here, target->hint);
    }
    if (!safetensors_dtype_is_real(tensor.dtype))
        return rel_fail(REL_ERR_FORMAT, "%s: \"%s\" holds %s, not real numbers", target->path,
                        tensor.name, safetensors_dtype_name(tensor.dtype));
    float *values = param_data(arena, plane, i);
    REL_TRY(weights_file_read(target->file, index, values, param->count));
    for (size_t v = 0; v < param->count; v++)
        if (!isfinite(values[v]))
            return rel_fail(REL_ERR_NUMERIC,
                            "%s: \"%s\" holds %g (weights of a run that diverged?)", target->path,
                            tensor.name, (double)values[v]);
    return REL_OK;
}
