/* relearn runs: what runs there are and what has become of them. */
#include "cli/command.h"
#include "report/report.h"
#include "train/train.h"

enum { LEFT_COLUMNS = 3 }; /* flush left: run, method, data */

static rel_status time_left_add(struct table *table, double seconds) {
    char text[DURATION_BYTES] = "-";
    if (seconds >= 0) duration_text(seconds, text);
    return table_add(table, "%s", text);
}

static rel_status row_add(struct table *table, const struct run_status *run) {
    bool known = run->state != RUN_UNREADABLE;
    REL_TRY(table_add(table, "%s", run->path));
    REL_TRY(table_add(table, "%s", known ? run->method : "-"));
    REL_TRY(table_add(table, "%s", known && *run->data ? fs_base_name(run->data) : "-"));
    REL_TRY(known ? table_add(table, "%lld", (long long)run->seed) : table_add(table, "-"));
    REL_TRY(known
                ? table_add(table, "%lld/%lld", (long long)run->epochs_done, (long long)run->epochs)
                : table_add(table, "-"));
    REL_TRY(run->measured ? table_add(table, "%.2f", 100 * run->best_accuracy)
                          : table_add(table, "-"));
    REL_TRY(table_add(table, "%s", run_state_names[run->state]));
    return time_left_add(table, run->seconds_left);
}

static rel_status print_table(const struct run_status *runs, size_t count) {
    static const char *const headings[] = {"run",    "method", "data",  "seed",
                                           "epochs", "best %", "state", "left"};
    struct table table = {.columns = sizeof headings / sizeof *headings};
    struct rel_text text = {0};
    rel_status status = REL_OK;
    for (int c = 0; c < table.columns && status == REL_OK; c++)
        status = table_add(&table, "%s", headings[c]);
    for (size_t i = 0; i < count && status == REL_OK; i++) status = row_add(&table, &runs[i]);
    if (status == REL_OK) status = table_write(&table, LEFT_COLUMNS, 0, &text);
    if (status == REL_OK) output_text("%s", text.data);
    for (size_t i = 0; i < count && status == REL_OK; i++)
        if (runs[i].reason) output_text("%s: %s\n", run_state_names[runs[i].state], runs[i].reason);
    rel_text_release(&text);
    table_release(&table);
    return status;
}

static json_t *best_json(const struct run_status *run) {
    return run->measured ? json_pack("{s:I, s:f}", "epoch", (json_int_t)run->best_epoch, "accuracy",
                                     run->best_accuracy)
                         : json_null();
}

static json_t *run_json(const struct run_status *run) {
    if (run->state == RUN_UNREADABLE)
        return json_pack("{s:o, s:s, s:o}", "run", json_text(run->path), "state",
                         run_state_names[run->state], "reason", json_text(run->reason));
    json_t *json =
        json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "run", json_text(run->path), "state",
                  run_state_names[run->state], "method", run->method, "data", json_text(run->data),
                  "seed", (json_int_t)run->seed, "epochs", (json_int_t)run->epochs, "epochs_done",
                  (json_int_t)run->epochs_done, "best", best_json(run));
    if (run->reason) json_object_set_new(json, "reason", json_text(run->reason));
    if (run->state != RUN_RUNNING) return json;
    json_object_set_new(json, "pid", json_integer((json_int_t)run->pid));
    json_object_set_new(json, "host", json_string(run->host));
    json_object_set_new(json, "seconds_left",
                        run->seconds_left < 0 ? json_null() : json_real(run->seconds_left));
    return json;
}

static rel_status print_json(const struct run_status *runs, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, run_json(&runs[i]));
    return output_json(list ? json_pack("{s:o}", "runs", list) : NULL);
}

/* Runs of all the folders given, one behind the other. */
static rel_status runs_gather(const struct invocation *invocation, struct run_status **runs,
                              size_t *count) {
    size_t capacity = 0;
    const char *const here[] = {"."};
    int folders = invocation->positional_count;
    for (int f = 0; f < (folders ? folders : 1); f++) {
        struct fs_names found;
        REL_TRY(run_find(folders ? invocation->positionals[f] : here[0], &found));
        rel_status status = REL_OK;
        for (size_t i = 0; i < found.count && status == REL_OK; i++) {
            status = rel_reserve((void **)runs, &capacity, *count, sizeof **runs);
            if (status == REL_OK) status = run_status_read(found.names[i], &(*runs)[*count]);
            if (status == REL_OK) (*count)++;
        }
        fs_names_release(&found);
        REL_TRY(status);
    }
    return REL_OK;
}

static rel_status run(const struct invocation *invocation) {
    struct run_status *runs = NULL;
    size_t count = 0;
    rel_status status = runs_gather(invocation, &runs, &count);
    if (status == REL_OK)
        status = invocation->json ? print_json(runs, count) : print_table(runs, count);
    for (size_t i = 0; i < count; i++) run_status_release(&runs[i]);
    rel_free(runs);
    return status;
}

const struct command cmd_runs = {
    .name = "runs",
    .summary = "list the runs in a folder and what has become of them",
    .usage = "[DIR]...",
    .description =
        "Lists every run in and below the folders (default: this one), one per line: method, data, "
        "seed, epochs done of those wanted, the best accuracy on the split that selects, and the "
        "state: running (a process holds its lock), finished, stopped (by Ctrl-C, with a "
        "checkpoint), killed (its process has gone without a word), diverged (the loss was not a "
        "number) and failed, with the error; unreadable with the reason. A running one has the "
        "time left at its pace so far.",
    .examples = "relearn runs\n"
                "relearn runs runs --json",
    .max_positionals = COMMAND_POSITIONALS_MAX,
    .json = true,
    .run = run,
};
