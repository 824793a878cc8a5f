/* Configurations: YAML to settings to the options of a training run on a store of three modalities.
 */
#include "fuzz.h"

#include "support.h"
#include "train/train_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct store *store;
    struct settings settings = {0};
    struct train_config config;
    if (!store) store = fuzz_store_open();
    const struct store_info *info = store_info(store);
    rel_status status = settings_parse_yaml(&settings, "input.yaml", (const char *)data, size);
    if (fuzz_sane(status) && fuzz_sane(train_config_resolve(&config, &settings, info)))
        train_config_release(&config);
    settings_release(&settings);
    return 0;
}
