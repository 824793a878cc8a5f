#include "learn/reinit_weights.h"

#include "io/io.h"
#include "learn/reinit.h"

#include <fnmatch.h>
#include <string.h>

/* A file may show its numbers in many views: what is written may be larger, but not without end. */
enum { GROWTH_MAX = 16, GROWTH_FREE = 16 << 20, PREFIXES_SHOWN = 6, PREFIXES_BACK = 256 };

/* What becomes of one tensor. */
struct task {
    int rule;          /* that names it; -1: none */
    bool changes;      /* else copied */
    size_t initial_at; /* in the initial file, of one that changes */
};

struct plan {
    const struct reinit_request *request;
    struct weights_state weights, initial;
    struct task *tasks;            /* [weights.count] */
    struct weights_entry *entries; /* [weights.count] */
    void *buffer;                  /* initial values of one tensor: as many as the largest has */
    uint64_t done;
};

/* --- names --- */

static bool pattern_matches(const char *pattern, const char *name) {
    if (strpbrk(pattern, "*?[")) return fnmatch(pattern, name, 0) == 0;
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '.') length--;
    return length > 0 && strncmp(name, pattern, length) == 0 &&
           (name[length] == 0 || name[length] == '.');
}

static bool rule_matches(const struct reinit_rule *rule, const char *plain) {
    return pattern_matches(rule->pattern, plain) ||
           pattern_matches(weights_plain_name(rule->pattern), plain);
}

static int rule_of(const struct reinit_request *request, const char *plain) {
    int rule = request->rule_count - 1;
    while (rule >= 0 && !rule_matches(&request->rules[rule], plain)) rule--;
    return rule;
}

/* Prefixes of names, each once while they stand near each other. */
struct prefixes {
    struct rel_arena arena;
    const char **list;
    size_t count, capacity;
    char shown[PREFIXES_SHOWN * 48]; /* the first components */
};

static rel_status prefix_add(struct prefixes *prefixes, const char *name, size_t length) {
    for (size_t i = prefixes->count; i-- > 0 && i + PREFIXES_BACK > prefixes->count;)
        if (strncmp(prefixes->list[i], name, length) == 0 && prefixes->list[i][length] == 0)
            return REL_OK;
    char *copy = rel_arena_alloc(&prefixes->arena, length + 1, 1);
    if (!copy) return REL_ERR_MEMORY;
    memcpy(copy, name, length);
    REL_TRY(rel_reserve((void **)&prefixes->list, &prefixes->capacity, prefixes->count,
                        sizeof *prefixes->list));
    prefixes->list[prefixes->count++] = copy;
    size_t used = strlen(prefixes->shown);
    if (!strchr(name, '.') || strchr(name, '.') == name + length - 1)
        snprintf(prefixes->shown + used, sizeof prefixes->shown - used, "%s%.40s", used ? ", " : "",
                 copy);
    return REL_OK;
}

static rel_status prefixes_gather(const struct weights_state *state, struct prefixes *prefixes) {
    for (size_t i = 0; i < state->count; i++) {
        const char *name = state->tensors[i].plain;
        for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
            REL_TRY(prefix_add(prefixes, name, (size_t)(dot - name) + 1));
        REL_TRY(prefix_add(prefixes, name, strlen(name)));
    }
    return REL_OK;
}

static rel_status nothing_matches(const struct plan *plan, const struct reinit_rule *rule) {
    struct prefixes prefixes = {.count = 0};
    rel_status status = prefixes_gather(&plan->weights, &prefixes);
    const char *near = NULL;
    if (status == REL_OK)
        near = rel_nearest(weights_plain_name(rule->pattern), prefixes.list, prefixes.count);
    if (status == REL_OK)
        status =
            rel_fail(REL_ERR_USAGE, "%s: no tensor is called \"%s\" (%s%s%snames begin with %s)",
                     plan->request->weights, rule->pattern, near ? "did you mean \"" : "",
                     near ? near : "", near ? "\"? " : "", prefixes.shown);
    rel_free(prefixes.list);
    rel_arena_release(&prefixes.arena);
    return status;
}

/* --- the plan --- */

static rel_status initial_find(const struct plan *plan, const struct weights_state_tensor *named,
                               const struct weights_tensor *tensor, struct task *task) {
    const char *path = plan->request->initial;
    const struct weights_state_tensor *found = weights_state_find(&plan->initial, named->plain);
    if (!found)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has no tensor \"%s\" (the initial weights of the same network are "
                        "needed)",
                        path, named->plain);
    const struct weights_tensor initial = weights_file_tensor(&plan->initial.file, found->index);
    if (!rel_shape_equal(&initial.shape, &tensor->shape) || initial.dtype != tensor->dtype) {
        char here[64], there[64];
        rel_shape_text(&tensor->shape, here, sizeof here);
        rel_shape_text(&initial.shape, there, sizeof there);
        return rel_fail(REL_ERR_FORMAT, "%s: \"%s\" is %s %s, in %s it is %s %s (%s)", path,
                        named->plain, safetensors_dtype_name(initial.dtype), there,
                        plan->request->weights, safetensors_dtype_name(tensor->dtype), here,
                        initial.dtype == tensor->dtype ? "another network?"
                                                       : "save both in one type");
    }
    task->initial_at = found->index;
    return REL_OK;
}

static rel_status task_plan(struct plan *plan, size_t i) {
    const struct weights_state_tensor *named = &plan->weights.tensors[i];
    const struct weights_tensor tensor = weights_file_tensor(&plan->weights.file, named->index);
    struct task *task = &plan->tasks[i];
    plan->entries[i] = (struct weights_entry){named->name, tensor.dtype, tensor.shape};
    task->rule = rule_of(plan->request, named->plain);
    if (task->rule < 0 || !safetensors_dtype_is_real(tensor.dtype)) return REL_OK;
    bool is_buffer = weights_is_statistic(named->plain) || weights_is_counter(named->plain);
    if (is_buffer && !plan->request->buffers) return REL_OK;
    REL_TRY(initial_find(plan, named, &tensor, task));
    task->changes = plan->request->rules[task->rule].alpha > 0;
    return REL_OK;
}

static rel_status rules_check(const struct plan *plan) {
    const struct reinit_request *request = plan->request;
    for (int r = 0; r < request->rule_count; r++) {
        bool found = false;
        for (size_t i = 0; i < plan->weights.count && !found; i++)
            found = rule_matches(&request->rules[r], plan->weights.tensors[i].plain);
        if (!found) return nothing_matches(plan, &request->rules[r]);
    }
    return REL_OK;
}

static rel_status growth_check(const struct plan *plan) {
    const char *path = plan->request->weights;
    uint64_t there, written = 0;
    REL_TRY(fs_file_size(path, &there));
    for (size_t i = 0; i < plan->weights.count; i++)
        written += weights_file_tensor(&plan->weights.file, plan->weights.tensors[i].index).bytes;
    if (written / GROWTH_MAX <= there || written <= GROWTH_FREE) return REL_OK;
    return rel_fail(
        REL_ERR_LIMIT,
        "%s: its tensors share so many numbers that each by itself they would take %llu "
        "MB (the file has %llu)",
        path, (unsigned long long)(written >> 20), (unsigned long long)(there >> 20));
}

static rel_status plan_make(struct plan *plan) {
    const struct reinit_request *request = plan->request;
    for (int r = 0; r < request->rule_count; r++)
        if (!(request->rules[r].alpha >= 0 && request->rules[r].alpha <= 1))
            return rel_fail(REL_ERR_USAGE, "alpha of \"%s\" is %g (must be in 0 .. 1)",
                            request->rules[r].pattern, request->rules[r].alpha);
    REL_TRY(weights_state_open(request->weights, request->key, &plan->weights));
    REL_TRY(weights_state_open(request->initial, request->initial_key, &plan->initial));
    plan->tasks = rel_alloc(plan->weights.count + 1, sizeof *plan->tasks);
    plan->entries = rel_alloc(plan->weights.count + 1, sizeof *plan->entries);
    if (!plan->tasks || !plan->entries) return REL_ERR_MEMORY;
    REL_TRY(rules_check(plan));
    REL_TRY(growth_check(plan));
    for (size_t i = 0; i < plan->weights.count; i++) REL_TRY(task_plan(plan, i));
    return REL_OK;
}

/* --- numbers --- */

/* value and initial [count] of one type; `value` is replaced. */
static rel_status mix(enum safetensors_dtype dtype, void *value, const void *initial, size_t count,
                      double alpha) {
    if (dtype == SAFETENSORS_F64) return reinit_soft_double(value, initial, count, alpha);
    if (dtype == SAFETENSORS_F32) return reinit_soft(value, initial, count, (float)alpha);
    if (alpha == 1.0) { /* the same bits, also of a NaN */
        memcpy(value, initial, count * safetensors_dtype_size(dtype));
        return REL_OK;
    }
    float *wide = rel_alloc(2 * count + 1, sizeof *wide);
    if (!wide) return REL_ERR_MEMORY;
    element_floats(dtype, value, count, wide);
    element_floats(dtype, initial, count, wide + count);
    rel_status status = reinit_soft(wide, wide + count, count, (float)alpha);
    if (status == REL_OK) element_from_floats(dtype, wide, count, value);
    rel_free(wide);
    return status;
}

static rel_status produce(void *context, size_t i, void *data, size_t bytes) {
    struct plan *plan = context;
    const struct task *task = &plan->tasks[i];
    if (interrupt_requested()) return rel_fail(REL_ERR_INTERRUPTED, "reinit: interrupted");
    progress_update(plan->done++, NULL);
    REL_TRY(
        weights_file_read_stored(&plan->weights.file, plan->weights.tensors[i].index, data, bytes));
    if (!task->changes) return REL_OK;
    REL_TRY(weights_file_read_stored(&plan->initial.file, task->initial_at, plan->buffer, bytes));
    enum safetensors_dtype dtype = plan->entries[i].dtype;
    return mix(dtype, data, plan->buffer, bytes / safetensors_dtype_size(dtype),
               plan->request->rules[task->rule].alpha);
}

static rel_status buffer_make(struct plan *plan) {
    size_t most = 0;
    for (size_t i = 0; i < plan->weights.count; i++) {
        size_t bytes =
            weights_file_tensor(&plan->weights.file, plan->weights.tensors[i].index).bytes;
        if (plan->tasks[i].changes && bytes > most) most = bytes;
    }
    plan->buffer = rel_alloc(most + 1, 1);
    return plan->buffer ? REL_OK : REL_ERR_MEMORY;
}

static rel_status plan_carry_out(struct plan *plan) {
    REL_TRY(buffer_make(plan));
    /* What transformers and others ask of a file that PyTorch's tensors went into. */
    json_t *pytorch = json_pack("{s:s}", "format", "pt");
    const json_t *metadata = weights_file_metadata(&plan->weights.file);
    const struct weights_source source = {.entries = plan->entries,
                                          .count = plan->weights.count,
                                          .produce = produce,
                                          .context = plan,
                                          .metadata = metadata ? metadata : pytorch};
    progress_begin("reinit", "tensors", plan->weights.count);
    rel_status status = weights_write(plan->request->out, &source);
    progress_end(NULL);
    json_decref(pytorch);
    return status;
}

/* --- what was done --- */

static json_t *rules_json(const struct plan *plan) {
    json_t *list = json_array();
    for (int r = 0; r < plan->request->rule_count; r++) {
        json_int_t changed = 0, kept = 0;
        for (size_t i = 0; i < plan->weights.count; i++) {
            if (plan->tasks[i].rule != r) continue;
            changed += plan->tasks[i].changes;
            kept += !plan->tasks[i].changes;
        }
        json_array_append_new(list, json_pack("{s:s, s:f, s:I, s:I}", "pattern",
                                              plan->request->rules[r].pattern, "alpha",
                                              plan->request->rules[r].alpha, "changed", changed,
                                              "kept", kept));
    }
    return list;
}

static json_t *tensor_json(const struct plan *plan, size_t i) {
    const struct weights_entry *entry = &plan->entries[i];
    json_t *shape = json_array();
    for (int d = 0; d < entry->shape.ndims; d++)
        json_array_append_new(shape, json_integer(entry->shape.dims[d]));
    return json_pack("{s:s, s:s, s:o, s:f}", "name", entry->name, "dtype",
                     safetensors_dtype_name(entry->dtype), "shape", shape, "alpha",
                     plan->request->rules[plan->tasks[i].rule].alpha);
}

static rel_status report_make(const struct plan *plan, json_t **report) {
    const struct reinit_request *request = plan->request;
    json_t *tensors = json_array();
    json_int_t changed = 0, values = 0;
    for (size_t i = 0; i < plan->weights.count; i++) {
        if (!plan->tasks[i].changes) continue;
        json_array_append_new(tensors, tensor_json(plan, i));
        changed++;
        values +=
            (json_int_t)weights_file_tensor(&plan->weights.file, plan->weights.tensors[i].index)
                .count;
    }
    *report =
        json_pack("{s:s, s:s, s:s?, s:b, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "weights",
                  request->weights, "initial", request->initial, "out", request->out, "dry_run",
                  request->dry_run, "key", plan->weights.key, "initial_key", plan->initial.key,
                  "changed", changed, "kept", (json_int_t)plan->weights.count - changed,
                  "values_changed", values, "rules", rules_json(plan), "tensors", tensors);
    return *report ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot report on the tensors");
}

rel_status reinit_weights(const struct reinit_request *request, json_t **report) {
    struct plan plan = {.request = request};
    *report = NULL;
    rel_status status = request->dry_run ? REL_OK : weights_format_check(request->out);
    if (status == REL_OK) status = plan_make(&plan);
    if (status == REL_OK) status = report_make(&plan, report);
    if (status == REL_OK && !request->dry_run) status = plan_carry_out(&plan);
    if (status != REL_OK) {
        json_decref(*report);
        *report = NULL;
    }
    rel_free(plan.buffer);
    rel_free(plan.tasks);
    rel_free(plan.entries);
    weights_state_close(&plan.initial);
    weights_state_close(&plan.weights);
    return status;
}
