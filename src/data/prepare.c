/* Recipes and their shared options. To add a recipe: write recipe_NAME.c that fills a plan, declare
 * it in prepare.h, and name it in the table below. */
#include "data/prepare.h"

#include <string.h>

const struct prepare_recipe *const prepare_recipes[] = {&prepare_recipe_manifest,
                                                        &prepare_recipe_folders,
                                                        &prepare_recipe_features,
                                                        &prepare_recipe_cremad,
                                                        &prepare_recipe_kinetics_sounds,
                                                        &prepare_recipe_ucf101,
                                                        NULL};

const char *const prepare_note_names[NOTE_COUNT] = {"missing", "unreadable", "dropped", "filled"};

#define OFFSET(field) offsetof(struct prepare_options, field)
/* What the store depends on comes first: see RECORDED. */
const struct rel_option prepare_option_table[] = {
    {.key = "val_fraction",
     .type = OPTION_REAL,
     .offset = OFFSET(val_fraction),
     .default_value = "0",
     .minimum = 0,
     .maximum = 0.99,
     .help = "Share of the training split that becomes the validation split, class by class; "
             "samples of one group stay together."},
    {.key = "test_fraction",
     .type = OPTION_REAL,
     .offset = OFFSET(test_fraction),
     .default_value = "0",
     .minimum = 0,
     .maximum = 0.99,
     .help = "The same for the test split, which is split off first."},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = OFFSET(seed),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9007199254740992.0,
     .help = "Decides which samples the fractions take."},
    {.key = "set",
     .type = OPTION_TEXTS,
     .offset = OFFSET(set),
     .unit = "MODALITY.KEY=VALUE",
     .help = "Changes an option of a modality that the recipe has chosen; may be repeated."},
    {.key = "from",
     .type = OPTION_TEXT,
     .offset = OFFSET(from),
     .unit = "DIR",
     .help = "Folder of the source media.",
     .required = true},
    {.key = "to",
     .type = OPTION_TEXT,
     .offset = OFFSET(to),
     .unit = "STORE",
     .help = "Store to write.",
     .required = true},
    {.key = "jobs",
     .type = OPTION_INT,
     .offset = OFFSET(jobs),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1024,
     .unit = "threads",
     .help = "Worker threads; 0 uses all CPUs. The store does not depend on it."},
    {.key = "allow_missing",
     .type = OPTION_BOOL,
     .offset = OFFSET(allow_missing),
     .default_value = "false",
     .help = "Leave out samples whose media are missing or unreadable, and report how many."},
    {.key = "force",
     .type = OPTION_BOOL,
     .offset = OFFSET(force),
     .default_value = "false",
     .help = "Replace the store if there is one."},
};
const size_t prepare_option_count = sizeof prepare_option_table / sizeof *prepare_option_table;
#undef OFFSET

enum { RECORDED = 4 };

const struct prepare_recipe *prepare_recipe_find(const char *name) {
    for (size_t i = 0; prepare_recipes[i]; i++)
        if (strcmp(prepare_recipes[i]->name, name) == 0) return prepare_recipes[i];
    return NULL;
}

static rel_status check_paths(const struct prepare_options *options) {
    if (!options->from || !options->to)
        return rel_fail(REL_ERR_USAGE, "prepare needs --from and --to");
    if (!fs_is_folder(options->from))
        return rel_fail(REL_ERR_NOT_FOUND, "%s: no such folder", options->from);
    return REL_OK;
}

/* A --set for a modality that there is not would else change nothing, in silence. */
static rel_status check_set(const struct prepare_plan *plan,
                            const struct prepare_options *options) {
    for (int i = 0; i < options->set.count; i++) {
        const char *given = options->set.values[i];
        bool known = false;
        for (int m = 0; m < plan->modalities && !known; m++) {
            size_t length = strlen(plan->list[m].name);
            known = strncmp(given, plan->list[m].name, length) == 0 && given[length] == '.';
        }
        if (!known)
            return rel_fail(REL_ERR_USAGE,
                            "--set %s: no such modality (write MODALITY.KEY=VALUE; the first is "
                            "'%s')",
                            given, plan->list[0].name);
    }
    return REL_OK;
}

static rel_status run(const struct prepare_recipe *recipe, const struct prepare_options *options,
                      const void *own, struct prepare_report *report) {
    struct prepare_plan plan = {
        .recipe = recipe->name, .folder = options->from, .list_path = options->from};
    struct rel_text recorded = {0};
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(recipe->make(&plan, options, own));
    REL_TRY_CLEANUP(check_set(&plan, options));
    REL_TRY_CLEANUP(options_write_yaml(prepare_option_table, RECORDED, options, 0, &recorded));
    if (recipe->option_count > 0)
        REL_TRY_CLEANUP(
            options_write_yaml(recipe->options, recipe->option_count, own, 0, &recorded));
    status = prepare_run(&plan, options, recorded.data, report);
cleanup:
    rel_text_release(&recorded);
    prepare_plan_release(&plan);
    return status;
}

rel_status prepare_recipe_run(const struct prepare_recipe *recipe,
                              const struct prepare_options *options, const void *own,
                              struct prepare_report *report) {
    void *defaults = NULL;
    rel_status status = REL_OK;
    *report = (struct prepare_report){0};
    REL_TRY(check_paths(options));
    if (!own && recipe->option_count > 0) {
        defaults = rel_alloc(1, recipe->options_size);
        if (!defaults) return REL_ERR_MEMORY;
        status = options_default(recipe->options, recipe->option_count, defaults);
    }
    if (status == REL_OK) status = run(recipe, options, own ? own : defaults, report);
    if (defaults) options_release(recipe->options, recipe->option_count, defaults);
    rel_free(defaults);
    return status;
}
