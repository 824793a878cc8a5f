/* Private to data: the options of one modality, by kind. */
#ifndef REL_DATA_MODALITY_H
#define REL_DATA_MODALITY_H

#include "base/base.h"
#include "data/data.h"

/* Index of a name in data_kind_choices; -1 if it is none. */
int modality_kind_parse(const char *text);

/* Lower-case letters, digits, '_' and '-', a letter first, shorter than DATA_NAME_MAX: a modality's
 * name becomes a settings key and a flag. */
bool modality_name_good(const char *name);

/* Defaults of modality->kind, then what `settings` say under PREFIX, checked; then the delivered
 * shape. ERR_USAGE. */
rel_status modality_configure(struct data_modality *modality, const char *prefix,
                              struct settings *settings);
/* Appends every key under PREFIX that modality_configure takes for this kind. */
rel_status modality_known_keys(int kind, const char *prefix, struct rel_arena *arena,
                               const char ***keys, size_t *count);
/* Appends the resolved options as YAML, one key a line. modality_parse reads them back into a
 * modality whose name, kind and features are set. ERR_FORMAT. */
rel_status modality_write(const struct data_modality *modality, struct rel_text *text);
rel_status modality_parse(struct data_modality *modality, const char *text, size_t size);

/* Values that the loader delivers for one sample with these transform options. */
rel_status modality_sample_size(const struct data_modality *modality,
                                const struct transform_options *transform, size_t *values);

#endif
