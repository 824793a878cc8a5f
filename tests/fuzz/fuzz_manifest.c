/* The recipe `manifest`: manifest.yaml, a zero byte, manifest.csv. Planned and surveyed as prepare
 * does, up to where media would be read. */
#include "fuzz.h"

#include "data/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    struct fuzz_input settings = fuzz_part(&input);
    struct prepare_options options = {.val_fraction = 0.3, .allow_missing = true};
    char identity[STORE_HASH_MAX];
    options.from = (char *)fuzz_folder();
    options.to = (char *)"out.store";
    fuzz_file("manifest.yaml", settings.data, settings.size);
    fuzz_file("manifest.csv", input.data, input.size);
    struct prepare_plan plan = {
        .recipe = "manifest", .folder = options.from, .list_path = options.from};
    if (fuzz_sane(prepare_recipe_manifest.make(&plan, &options, NULL)))
        fuzz_sane(prepare_survey(&plan, &options, "", identity));
    prepare_plan_release(&plan);
    return 0;
}
