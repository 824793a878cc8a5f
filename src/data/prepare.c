/* Recipes and their shared options. To add a recipe: write recipe_NAME.c that fills a plan and
 * calls prepare_run, declare it in prepare.h, and name it in the table below. */
#include "data/prepare.h"

const struct prepare_recipe *const prepare_recipes[] = {&prepare_recipe_manifest, NULL};

#define OFFSET(field) offsetof(struct prepare_options, field)
const struct rel_option prepare_option_table[] = {
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
    {.key = "val_fraction",
     .type = OPTION_REAL,
     .offset = OFFSET(val_fraction),
     .default_value = "0",
     .minimum = 0,
     .maximum = 0.99,
     .help = "Share of the training split that becomes the validation split, class by class."},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = OFFSET(seed),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9007199254740992.0,
     .help = "Decides which samples val_fraction takes."},
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
