#include "train/exchange.h"

#include <string.h>

static bool starts(const char *text, const char *start, size_t length) {
    return strncmp(text, start, length) == 0 && text[length] == '.';
}

int exchange_modality(const struct exchange_model *model, const char *name) {
    for (int m = 0; m < model->count; m++)
        if (starts(name, model->modalities[m], strlen(model->modalities[m]))) return m;
    return -1;
}

static int sum_name(const struct exchange_model *model, const char *rest, char *theirs,
                    size_t size) {
    static const char *const both[] = {"x", "y"};
    int m = exchange_modality(model, rest);
    const char *modality = m < 0 ? NULL : model->modalities[m];
    if (!modality) return snprintf(theirs, size, "fusion_module.%s", rest);
    return snprintf(theirs, size, "fusion_module.fc_%s%s", model->count == 2 ? both[m] : modality,
                    rest + strlen(modality));
}

rel_status exchange_name(const struct exchange_model *model, const char *ours, char *theirs,
                         size_t size) {
    static const char head[] = "head";
    const char *rest = ours + sizeof head;
    int length, m = exchange_modality(model, ours);
    if (m >= 0)
        length = snprintf(theirs, size, "%s_net%s", model->modalities[m],
                          ours + strlen(model->modalities[m]));
    else if (!starts(ours, head, sizeof head - 1))
        length = snprintf(theirs, size, "%s", ours);
    else if (model->fusion == FUSION_CONCAT)
        length = snprintf(theirs, size, "fusion_module.fc_out.%s", rest);
    else if (model->fusion == FUSION_SUM)
        length = sum_name(model, rest, theirs, size);
    else
        length = snprintf(theirs, size, "fusion_module.%s", rest);
    if (length >= 0 && (size_t)length < size) return REL_OK;
    return rel_fail(REL_ERR_LIMIT, "\"%s\": too long a name", ours);
}
