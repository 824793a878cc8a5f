/* Protocols: presets of options that say what is trained on and how the best epoch is chosen.
 *
 * `default` is the options' own defaults. `published` reproduces the published code of Diagnosing &
 * Re-learning, flaws included: a method that needs validation data trains on `train` without
 * augmentation and on fixed frames, any other method (the baseline) on train and val with both; the
 * best epoch is chosen on the test split; the last, smaller batch is trained on; k-means starts
 * once. Keys that a configuration names come before the preset's. */
#ifndef REL_TRAIN_PROTOCOL_H
#define REL_TRAIN_PROTOCOL_H

#include "train/train_config.h"

enum protocol_kind { PROTOCOL_DEFAULT, PROTOCOL_PUBLISHED };

/* Sets what `settings` do not name; the method must be known and its options resolved. */
rel_status protocol_apply(struct train_config *config, struct settings *settings);
/* {"name", "train_on", "augment", "select", "drop_last", "deviations": [keys that differ from the
 * preset]}; NULL: no memory. */
json_t *protocol_json(const struct train_config *config);
/* The same in a line: "published: trained on train, not augmented, best epoch by test", from what
 * protocol_json made; nothing is appended when it is none. */
rel_status protocol_text(const json_t *protocol, struct rel_text *text);

#endif
