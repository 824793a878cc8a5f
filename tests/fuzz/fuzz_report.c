/* Whatever a report reads of a run folder: summary.json, config.yaml, log.jsonl and the features
 * that the run kept, one behind the other with a zero byte between. */
#include "fuzz.h"

#include "report/report.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    char *run = fs_join(fuzz_folder(), "run"), *features = run ? fs_join(run, "features") : NULL;
    char *page = fs_join(fuzz_folder(), "page.html");
    if (!features || !page || fs_make_folders(features) != REL_OK) abort();
    fuzz_part_write(run, "summary.json", fuzz_part(&input));
    fuzz_part_write(run, "config.yaml", fuzz_part(&input));
    fuzz_part_write(run, "log.jsonl", fuzz_part(&input));
    fuzz_part_write(features, "before.safetensors", input);
    const char *paths[] = {run};
    const struct report_request request = {.paths = paths, .count = 1, .out = page};
    json_t *result = NULL;
    if (fuzz_sane(report_write(&request, &result))) json_decref(result);
    rel_free(run);
    rel_free(features);
    rel_free(page);
    return 0;
}
