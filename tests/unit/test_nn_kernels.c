/* Choice of convolution kernels: every kind agrees with every other one, in training and in folded
 * inference; what was measured is kept in a file, and a damaged file does no harm. */
#include "nn/conv_cache.h"
#include "nn/conv_choice.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

static struct nn_runtime *runtime_of(enum nn_kernels kernels) {
    struct nn_runtime_config config = {.threads = 2, .kernels = kernels};
    struct nn_runtime *runtime;
    OK(nn_runtime_init(&runtime, &config));
    return runtime;
}

static struct nn_conv_task task_of(const struct nn_runtime *runtime, enum nn_conv_pass pass) {
    struct nn_conv_shape shape = {2,    32, 9, 12, 48, 9, 12, 3, 1, 1, nn_runtime_block(runtime),
                                  false};
    bool folded = pass == NN_CONV_FOLDED;
    return (struct nn_conv_task){.pass = pass, .shape = shape, .add = folded, .relu = folded};
}

static float *noise(size_t count, uint64_t seed) {
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    float *values = rel_alloc(count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = (float)rel_random_normal(&random);
    return values;
}

enum { IN = 2 * 32 * 9 * 12, OUT = 2 * 48 * 9 * 12, WEIGHTS = 48 * 32 * 9 };

/* What a kind makes of the same operands, which are large enough for every stride. */
static float *result_of(struct nn_runtime *runtime, const struct nn_conv_task *task,
                        enum nn_conv_kind kind, size_t *count) {
    const struct nn_conv_shape *s = &task->shape;
    enum nn_conv_pass pass = task->pass;
    struct nn_convolution *c;
    OK(nn_convolution_init_kind(&c, runtime, task, kind));
    float *x = noise(IN, 1), *y = noise(OUT, 2), *w = noise(WEIGHTS, 3), *bias = noise(48, 4);
    void *scratch = rel_alloc(nn_convolution_scratch_bytes(c), 1);
    size_t weight_bytes = nn_convolution_weight_bytes(c);
    float *loaded = weight_bytes ? rel_alloc(weight_bytes, 1) : w;
    if (weight_bytes) OK(nn_convolution_load(c, w, loaded, scratch));
    float *result = pass == NN_CONV_BACKWARD_DATA ? x : pass == NN_CONV_BACKWARD_WEIGHTS ? w : y;
    size_t outputs = (size_t)s->batch * s->out_channels * s->out_height * s->out_width;
    *count = pass == NN_CONV_BACKWARD_DATA      ? IN
             : pass == NN_CONV_BACKWARD_WEIGHTS ? WEIGHTS
                                                : outputs;
    if (pass == NN_CONV_BACKWARD_WEIGHTS)
        OK(nn_convolution_run_gradient(c, x, NULL, y, true, w, scratch));
    else
        OK(nn_convolution_run(c, pass == NN_CONV_BACKWARD_DATA ? y : x, loaded, bias, result,
                              scratch));
    if (result != x) rel_free(x);
    if (result != y) rel_free(y);
    if (weight_bytes) rel_free(loaded);
    if (result != w) rel_free(w);
    rel_free(bias);
    rel_free(scratch);
    nn_convolution_release(c);
    return result;
}

static void check_kinds(struct nn_runtime *runtime, const struct nn_conv_task *task) {
    size_t count;
    float *direct = result_of(runtime, task, NN_CONV_DIRECT, &count);
    for (enum nn_conv_kind kind = NN_CONV_LIBRARY; kind < NN_CONV_KINDS; kind++) {
        if (!nn_convolution_can(runtime, task, kind)) continue;
        float *other = result_of(runtime, task, kind, &count);
        double wrong = 0, size = 0;
        for (size_t i = 0; i < count; i++) {
            wrong += pow((double)other[i] - direct[i], 2);
            size += pow(direct[i], 2);
        }
        assert_true(sqrt(wrong / size) < 5e-6); /* all Winograds: 1e-6 to 3e-6 */
        rel_free(other);
    }
    rel_free(direct);
}

static void kinds_agree(void **state) {
    (void)state;
    struct nn_runtime *runtime = runtime_of(NN_KERNELS_FIXED);
    for (enum nn_conv_pass pass = NN_CONV_FORWARD; pass <= NN_CONV_BACKWARD_WEIGHTS; pass++) {
        struct nn_conv_task task = task_of(runtime, pass);
        check_kinds(runtime, &task);
        task.shape.stride = 2;
        task.shape.out_height = 5;
        task.shape.out_width = 6;
        check_kinds(runtime, &task);
        assert_true(nn_convolution_can(runtime, &task, NN_CONV_TILED)); /* on any CPU */
    }
    nn_runtime_release(runtime);
}

static void forced_and_fixed(void **state) {
    (void)state;
    static const struct {
        enum nn_kernels kernels;
        enum nn_conv_kind kind;
    } rows[] = {
        {NN_KERNELS_DIRECT, NN_CONV_DIRECT},     {NN_KERNELS_LIBRARY, NN_CONV_LIBRARY},
        {NN_KERNELS_WINOGRAD, NN_CONV_WINOGRAD}, {NN_KERNELS_TILED, NN_CONV_TILED},
        {NN_KERNELS_AMX, NN_CONV_AMX},           {NN_KERNELS_WINOGRAD_AMX, NN_CONV_WINOGRAD_AMX},
        {NN_KERNELS_FIXED, NN_CONV_WINOGRAD}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nn_runtime *runtime = runtime_of(rows[i].kernels);
        struct nn_conv_task task = task_of(runtime, NN_CONV_FORWARD);
        bool can = nn_convolution_can(runtime, &task, rows[i].kind);
        enum nn_conv_kind kind, wanted = can ? rows[i].kind : NN_CONV_LIBRARY;
        if (rows[i].kernels == NN_KERNELS_FIXED &&
            nn_convolution_can(runtime, &task, NN_CONV_WINOGRAD_AMX))
            wanted = NN_CONV_WINOGRAD_AMX; /* with so few channels */
        OK(nn_conv_choose(runtime, &task, &kind));
        assert_int_equal(kind, wanted);
        if (rows[i].kernels == NN_KERNELS_FIXED && wanted == NN_CONV_WINOGRAD_AMX) {
            task.shape.in_channels = task.shape.out_channels = 128;
            OK(nn_conv_choose(runtime, &task, &kind));
            assert_int_equal(kind, NN_CONV_WINOGRAD);
            task = task_of(runtime, NN_CONV_FORWARD);
        }
        /* One output has nothing to save, another stride no Winograd at all. */
        bool fixed = rows[i].kernels == NN_KERNELS_FIXED;
        bool amx = nn_convolution_can(runtime, &task, NN_CONV_AMX);
        task.shape.in_height = task.shape.out_height = task.shape.in_width = task.shape.out_width =
            1;
        if (fixed) {
            OK(nn_conv_choose(runtime, &task, &kind));
            assert_int_equal(kind, amx ? NN_CONV_AMX : NN_CONV_LIBRARY);
        }
        task.shape.stride = 2;
        can = nn_convolution_can(runtime, &task, rows[i].kind);
        OK(nn_conv_choose(runtime, &task, &kind));
        if (!fixed) assert_int_equal(kind, can ? rows[i].kind : NN_CONV_DIRECT);
        if (fixed) assert_int_equal(kind, amx ? NN_CONV_AMX : NN_CONV_DIRECT);
        task.pass = NN_CONV_BACKWARD_WEIGHTS;
        bool tiled = nn_convolution_can(runtime, &task, NN_CONV_TILED);
        OK(nn_conv_choose(runtime, &task, &kind));
        if (fixed)
            assert_int_equal(kind, amx ? NN_CONV_AMX : tiled ? NN_CONV_TILED : NN_CONV_DIRECT);
        nn_runtime_release(runtime);
    }
}

static void read_cache(char **text) {
    size_t size;
    OK(fs_read(scratch_path("relearn/kernels.json"), 1 << 20, text, &size));
}

static enum nn_conv_kind choose_automatically(void) {
    struct nn_runtime *runtime = runtime_of(NN_KERNELS_AUTO);
    struct nn_conv_task task = task_of(runtime, NN_CONV_FORWARD);
    enum nn_conv_kind kind = NN_CONV_KINDS;
    OK(nn_conv_choose(runtime, &task, &kind));
    assert_true(nn_convolution_can(runtime, &task, kind));
    nn_conv_choices_save(runtime);
    nn_runtime_release(runtime);
    return kind;
}

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *result = rel_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_non_null(result);
    return result;
}

/* The kind in the file rules, whatever a new measurement would say. */
static void file_is_believed(void **state) {
    (void)state;
    /* With the direction: what the file says of the machine has a "library" too. */
    static const char *const names[] = {
        "\"forward\": \"direct\"", "\"forward\": \"library\"", "\"forward\": \"winograd\"",
        "\"forward\": \"tiled\"",  "\"forward\": \"amx\"",     "\"forward\": \"winograd-amx\""};
    enum nn_conv_kind first = choose_automatically();
    char *text;
    read_cache(&text);
    enum nn_conv_kind other = first == NN_CONV_DIRECT ? NN_CONV_LIBRARY : NN_CONV_DIRECT;
    char *changed = replaced(text, names[first], names[other]);
    scratch_write("relearn/kernels.json", changed, strlen(changed));
    assert_int_equal(choose_automatically(), other);
    /* A word that it does not know is measured again, and other machines' entries are kept. */
    const char *foreign = "{\"another machine\": {\"a\": \"b\"}, \"odd\": 3}";
    scratch_write("relearn/kernels.json", foreign, strlen(foreign));
    choose_automatically();
    rel_free(text);
    read_cache(&text);
    assert_non_null(strstr(text, "another machine"));
    assert_non_null(strstr(text, "2x32x9x12 -> 48"));
    rel_free(text);
    rel_free(changed);
}

static int warnings;
static void count_warning(enum rel_log_level level, const char *message, void *context) {
    (void)message;
    (void)context;
    warnings += level == REL_LOG_WARNING;
}

static void damaged_files_are_ignored(void **state) {
    (void)state;
    static const char *const damaged[] = {"", "{\"a\": ", "[1, 2]", "\x00\x01\x02", "{} more"};
    rel_log_set_sink(count_warning, NULL);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        warnings = 0;
        scratch_write("relearn/kernels.json", damaged[i], strlen(damaged[i]));
        choose_automatically();
        assert_true(warnings > 0);
        warnings = 0;
        choose_automatically(); /* it was replaced */
        assert_int_equal(warnings, 0);
    }
    /* A cache that cannot be written is no failure. */
    scratch_write("file", "x", 1);
    setenv("XDG_CACHE_HOME", scratch_path("file"), 1);
    choose_automatically();
    assert_true(warnings > 0);
    setenv("XDG_CACHE_HOME", scratch_path("."), 1);
    rel_log_set_sink(NULL, NULL);
}

/* What a runtime of this policy chooses while it follows a document with one kernel in it. */
static enum nn_conv_kind choose_following(enum nn_kernels kernels, const char *kernel) {
    struct nn_runtime *runtime = runtime_of(kernels);
    struct nn_conv_task task = task_of(runtime, NN_CONV_FORWARD);
    json_t *document;
    OK(nn_runtime_kernels(runtime, &document));
    assert_int_equal(json_object_size(json_object_get(document, "kernels")), 0);
    if (kernel) OK(nn_conv_table_set(json_object_get(document, "kernels"), &task, kernel));
    struct nn_runtime *other = runtime_of(kernels);
    OK(nn_runtime_follow_kernels(other, document, "kernels.json"));
    json_decref(document);
    nn_runtime_release(runtime);
    enum nn_conv_kind kind = NN_CONV_KINDS;
    OK(nn_conv_choose(other, &task, &kind));
    nn_conv_choices_save(other);
    OK(nn_runtime_kernels(other, &document)); /* it says what was done, not what was asked for */
    const char *used = nn_conv_table_find(json_object_get(document, "kernels"), &task);
    static const char *const names[] = {"direct", "library", "winograd",
                                        "tiled",  "amx",     "winograd-amx"};
    assert_string_equal(used, names[kind]);
    json_decref(document);
    nn_runtime_release(other);
    return kind;
}

/* A run's own list comes before cache, measurement and rule; it leaves no trace in the cache. */
static void documents_are_followed(void **state) {
    (void)state;
    static const enum nn_kernels policies[] = {NN_KERNELS_AUTO, NN_KERNELS_FIXED};
    OK(fs_remove(scratch_path("relearn/kernels.json")));
    rel_log_set_sink(count_warning, NULL);
    warnings = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(choose_following(policies[i], "direct"), NN_CONV_DIRECT);
        assert_int_equal(choose_following(policies[i], "library"), NN_CONV_LIBRARY);
        assert_false(fs_exists(scratch_path("relearn/kernels.json")));
        assert_int_equal(warnings, 0);
    }
    /* What it does not name, or names and is not there, is chosen anew and said. */
    enum nn_conv_kind rule = choose_following(NN_KERNELS_FIXED, "no such");
    assert_int_equal(warnings, 1);
    assert_int_equal(choose_following(NN_KERNELS_FIXED, NULL), rule);
    assert_int_equal(warnings, 2);
    choose_following(NN_KERNELS_AUTO, NULL);
    assert_true(fs_exists(scratch_path("relearn/kernels.json")));
    struct nn_runtime *runtime = runtime_of(NN_KERNELS_FIXED);
    json_t *odd = json_pack("{s:i, s:{}}", "kernels", 3, "machine");
    assert_int_equal(nn_runtime_follow_kernels(runtime, odd, "odd.json"), REL_ERR_FORMAT);
    json_decref(odd);
    nn_runtime_release(runtime);
    rel_log_set_sink(NULL, NULL);
}

/* Only well-formed entries of the cache are handed out. */
static void cache_is_listed(void **state) {
    (void)state;
    json_t *cache;
    choose_automatically();
    char *text;
    read_cache(&text);
    char *more = replaced(text, "{", "{\"old\": {\"a\": \"b\"}, \"odd\": {\"machine\": 3},");
    scratch_write("relearn/kernels.json", more, strlen(more));
    OK(nn_kernel_cache_read(&cache));
    json_t *machines = json_object_get(cache, "machines");
    assert_int_equal(json_array_size(machines), 1);
    json_t *entry = json_array_get(machines, 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(entry, "machine"), "threads")), 2);
    assert_int_equal(json_object_size(json_object_get(entry, "kernels")), 1);
    json_decref(cache);
    rel_free(more);
    rel_free(text);
}

static int setup(void **state) {
    if (scratch_setup(state) != 0) return -1;
    unsetenv("RELEARN_KERNELS");
    return setenv("XDG_CACHE_HOME", scratch_path("."), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_agree),
        cmocka_unit_test(forced_and_fixed),
        cmocka_unit_test(file_is_believed),
        cmocka_unit_test(damaged_files_are_ignored),
        cmocka_unit_test(documents_are_followed),
        cmocka_unit_test(cache_is_listed),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
