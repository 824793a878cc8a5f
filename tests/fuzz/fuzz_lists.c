/* Lists of classes and splits as they are published: a byte for the recipe, then its lists with a
 * zero byte between. */
#include "fuzz.h"

#include "data/prepare.h"

#include <stdlib.h>

enum { LISTS_MAX = 4 };

static const struct {
    const struct prepare_recipe *recipe;
    const char *media[2]; /* one sample's, which the seeds name */
    const char *lists[LISTS_MAX];
} cases[] = {
    {&prepare_recipe_ucf101,
     {"UCF-101/Archery/v_Archery_g08_c01.avi"},
     {"classInd.txt", "trainlist01.txt", "testlist01.txt"}},
    {&prepare_recipe_kinetics_sounds,
     {"abcdefghijk_1_11.mp4"},
     {"my_train.txt", "my_test.txt", "my_val.txt"}},
    {&prepare_recipe_cremad,
     {"AudioWAV/1001_DFA_ANG_XX.wav", "VideoFlash/1001_DFA_ANG_XX.flv"},
     {"my_train.csv", "val.csv", "test.csv", "stat.csv"}},
};

/* FOLDER/NAME, empty, with the folders above it. */
static void make_media(const char *folder, const char *name) {
    char *path = fs_join(folder, name);
    if (path && fs_exists(path)) {
        rel_free(path);
        return;
    }
    char *parent = path ? rel_format("%.*s", (int)(fs_base_name(path) - path), path) : NULL;
    if (!parent || fs_make_folders(parent) != REL_OK || fs_write_atomic(path, "", 0) != REL_OK)
        abort();
    rel_free(parent);
    rel_free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    size_t c = fuzz_byte(&input) % (sizeof cases / sizeof *cases);
    const struct prepare_recipe *recipe = cases[c].recipe;
    struct prepare_options options = {.allow_missing = true};
    char identity[STORE_HASH_MAX];
    void *own = rel_alloc(1, recipe->options_size);
    if (!own || options_default(recipe->options, recipe->option_count, own) != REL_OK) abort();
    options.from = (char *)fuzz_folder();
    options.to = (char *)"out.store";
    for (int i = 0; i < 2 && cases[c].media[i]; i++) make_media(options.from, cases[c].media[i]);
    for (int i = 0; i < LISTS_MAX && cases[c].lists[i]; i++) {
        struct fuzz_input part = fuzz_part(&input);
        fuzz_file(cases[c].lists[i], part.data, part.size);
    }
    struct prepare_plan plan = {
        .recipe = recipe->name, .folder = options.from, .list_path = options.from};
    if (fuzz_sane(recipe->make(&plan, &options, own)))
        fuzz_sane(prepare_survey(&plan, &options, "", identity));
    prepare_plan_release(&plan);
    options_release(recipe->options, recipe->option_count, own);
    rel_free(own);
    return 0;
}
