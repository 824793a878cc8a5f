/* Initial weights from files: a checkpoint that PyTorch wrote (tests/oracle/make_init_from.py), and
 * safetensors files with everything that can be wrong in them. */
#include "io/io.h"
#include "support/hash_fill.h"
#include "support/scratch.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

static struct nn_runtime *runtime;
static struct model model; /* audio: 1 channel, visual: 3 channels */
enum { AUDIO, VISUAL };

static int setup(void **state) {
    const struct nn_runtime_config config = {.threads = 1, .kernels = NN_KERNELS_FIXED};
    return scratch_setup(state) == 0 && nn_runtime_init(&runtime, &config) == REL_OK ? 0 : -1;
}
static int teardown(void **state) {
    nn_runtime_release(runtime);
    return scratch_teardown(state);
}

static int model_make(void **state) {
    (void)state;
    struct model_config config = {
        .modalities = 2, .classes = 4, .training = true, .extra_planes = 1};
    for (int m = 0; m < 2; m++) {
        struct encoder_options *options = &config.encoders[m];
        OK(options_default(encoder_option_table, encoder_option_count, options));
        options->blocks = (struct option_ints){2, {1, 1}};
        options->width = 16;
        config.inputs[m] = (struct model_input){
            .frames = 1, .channels = m == AUDIO ? 1 : 3, .height = 16, .width = 16};
        snprintf(config.inputs[m].name, sizeof config.inputs[m].name, "%s",
                 m == AUDIO ? "audio" : "visual");
    }
    OK(model_init(&model, runtime, &config));
    model_draw(&model, 1);
    return 0;
}
static int model_free(void **state) {
    (void)state;
    model_release(&model);
    return 0;
}

static rel_status load(const char *path, const char *modality) {
    struct option_texts only = {0};
    json_t *found = NULL;
    if (modality) only = (struct option_texts){1, {(char *)modality}};
    rel_status status = init_from_file(&model, path, &only, &found);
    json_decref(found);
    return status;
}

static void refused(const char *path, const char *modality, rel_status code, const char *says) {
    rel_status status = load(path, modality);
    if (status != code || !strstr(rel_error_message(), says))
        fail_msg("%s: %s, instead of %s: %s", rel_status_name(status), rel_error_message(),
                 rel_status_name(code), says);
}

/* The value that the checkpoint has for element `i` of a parameter: hash of the name, where a
 * convolution's ends before ".weight". */
static void expected_fill(const char *name, float *values, size_t count) {
    char key[160];
    size_t length = strlen(name);
    bool norm = strstr(name, "bn") || strstr(name, "downsample.1");
    if (!norm && length > 7) length -= strlen(".weight");
    snprintf(key, sizeof key, "init.%.*s", (int)length, name);
    hash_fill(key, values, count, 1, 0);
    for (size_t i = 0; strstr(name, "running_var") && i < count; i++)
        values[i] = fabsf(values[i]) + 0.5F;
}

static void arena_is_the_checkpoint(const struct param_arena *arena) {
    for (size_t i = 0; i < arena->count; i++) {
        size_t count = arena->params[i].count;
        float *expected = rel_alloc(count, sizeof *expected);
        assert_non_null(expected);
        expected_fill(arena->params[i].name, expected, count);
        const float *values = param_data(arena, PLANE_VALUE, i),
                    *initial = param_data(arena, PLANE_INITIAL, i);
        for (size_t v = 0; v < count; v++)
            if (values[v] != expected[v] || (initial && initial[v] != expected[v]))
                fail_msg("%s[%zu]: %g instead of %g", arena->params[i].name, v, (double)values[v],
                         (double)expected[v]);
        rel_free(expected);
    }
}

static const char *const checkpoint = "tests/golden/data/init_resnet.pt";

static void checkpoint_of_pytorch(void **state) {
    (void)state;
    uint64_t audio = param_arena_checksum(&model.encoders[AUDIO], PLANE_VALUE),
             head = param_arena_checksum(&model.head, PLANE_VALUE);
    uint64_t version = model.encoders[VISUAL].version;
    if (load(checkpoint, "visual") != REL_OK) fail_msg("%s", rel_error_message());
    arena_is_the_checkpoint(&model.encoders[VISUAL]);
    arena_is_the_checkpoint(&model.buffers[VISUAL]);
    assert_true(model.encoders[VISUAL].version > version);
    assert_true(param_arena_checksum(&model.encoders[AUDIO], PLANE_VALUE) == audio);
    assert_true(param_arena_checksum(&model.head, PLANE_VALUE) == head);
}

static void other_shapes(void **state) {
    (void)state;
    refused(checkpoint, "audio", REL_ERR_FORMAT,
            "\"state_dict.module.encoder.conv1.weight\" is 16x3x7x7, the encoder of audio needs "
            "16x1x7x7");
    refused(checkpoint, NULL, REL_ERR_FORMAT, "audio");
    refused(checkpoint, "visuol", REL_ERR_USAGE, "did you mean \"visual\"");
}

/* --- safetensors files, made from the model's own values --- */

struct spoiled {
    const char *name;             /* of the tensor to spoil, with its prefix */
    enum safetensors_dtype dtype; /* written instead */
    bool left_out, reshaped, not_a_number;
};

static void add_encoder(struct safetensors_writer *writer, const char *prefix, int m,
                        const struct spoiled *spoiled) {
    static float not_a_number[16 * 16 * 64];
    not_a_number[3] = NAN;
    for (int a = 0; a < 2; a++) {
        const struct param_arena *arena = a ? &model.buffers[m] : &model.encoders[m];
        for (size_t i = 0; i < arena->count; i++) {
            char name[128];
            struct rel_shape shape = arena->params[i].shape;
            snprintf(name, sizeof name, "%s%s", prefix, arena->params[i].name);
            bool mine = spoiled && strcmp(name, spoiled->name) == 0;
            if (mine && spoiled->left_out) continue;
            if (mine && spoiled->reshaped) shape = rel_shape_make(1, (int)arena->params[i].count);
            OK(safetensors_add(writer, name, mine ? spoiled->dtype : SAFETENSORS_F32, &shape,
                               mine && spoiled->not_a_number ? not_a_number
                                                             : param_data(arena, PLANE_VALUE, i)));
        }
    }
}

struct prefixed {
    const char *prefix;
    int m;
};

static const char *file_write(const struct prefixed *encoders, int count,
                              const struct spoiled *spoiled, const char *extra) {
    static const float one[1] = {1};
    const struct rel_shape shape = rel_shape_make(1, 1);
    struct safetensors_writer writer;
    const char *path = scratch_path("weights.safetensors");
    OK(safetensors_writer_init(&writer));
    for (int i = 0; i < count; i++)
        add_encoder(&writer, encoders[i].prefix, encoders[i].m, spoiled);
    if (extra) OK(safetensors_add(&writer, extra, SAFETENSORS_F32, &shape, one));
    OK(safetensors_write(&writer, path));
    safetensors_writer_release(&writer);
    return path;
}

static void prefixes(void **state) {
    (void)state;
    static const struct prefixed plain = {"", VISUAL},
                                 both[] = {{"audio.", AUDIO}, {"visual.", VISUAL}},
                                 nested[] = {{"net.visual.", VISUAL}, {"net.other.", VISUAL}},
                                 strange[] = {{"a.", VISUAL}, {"b.", VISUAL}},
                                 own[] = {{"visual.", VISUAL}, {"initial:visual.", VISUAL}};
    uint64_t drawn = param_arena_checksum(&model.encoders[VISUAL], PLANE_VALUE);
    static const struct {
        const struct prefixed *encoders;
        int count;
        const char *modality;
    } good[] = {{&plain, 1, "visual"},
                {both, 2, "visual"},
                {both, 2, NULL},
                {nested, 2, "visual"},
                {own, 2, "visual"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const char *path = file_write(good[i].encoders, good[i].count, NULL, "fc.weight");
        memset(param_data(&model.encoders[VISUAL], PLANE_VALUE, 0), 0, 64);
        if (load(path, good[i].modality) != REL_OK) fail_msg("%zu: %s", i, rel_error_message());
        assert_true(param_arena_checksum(&model.encoders[VISUAL], PLANE_VALUE) == drawn);
        assert_true(param_arena_checksum(&model.encoders[VISUAL], PLANE_INITIAL) == drawn);
    }
    refused(file_write(strange, 2, NULL, NULL), "visual", REL_ERR_FORMAT,
            "holds 2 networks that fit the encoder of visual, behind \"a.\", \"b.\"");
}

static void wrong_files(void **state) {
    (void)state;
    static const struct prefixed one = {"m.", VISUAL};
    struct spoiled spoiled = {.name = "m.layer1.0.bn2.running_var", .left_out = true};
    refused(file_write(&one, 1, &spoiled, NULL), "visual", REL_ERR_FORMAT,
            "has \"m.conv1.weight\" but no \"m.layer1.0.bn2.running_var\"");
    spoiled = (struct spoiled){.name = "m.layer2.0.conv1.weight", .reshaped = true};
    refused(file_write(&one, 1, &spoiled, NULL), "visual", REL_ERR_FORMAT,
            "\"m.layer2.0.conv1.weight\" is 4608, the encoder of visual needs 32x16x3x3");
    spoiled = (struct spoiled){.name = "m.bn1.bias", .not_a_number = true};
    refused(file_write(&one, 1, &spoiled, NULL), "visual", REL_ERR_NUMERIC, "\"m.bn1.bias\"");
    model_draw(&model, 1); /* what was refused may have been read in part */
    spoiled = (struct spoiled){.name = "m.bn1.bias", .dtype = SAFETENSORS_I32};
    refused(file_write(&one, 1, &spoiled, NULL), "visual", REL_ERR_FORMAT, "holds I32");
    refused(file_write(&one, 1, NULL, "m.layer2.1.conv1.weight"), "visual", REL_ERR_FORMAT,
            "\"m.layer2.1.conv1.weight\", which the encoder of visual has not");
    OK(load(file_write(&one, 1, NULL, "m.bn1.num_batches_tracked"), "visual"));
    refused(file_write(&one, 0, NULL, "head.weight"), "visual", REL_ERR_FORMAT,
            "no tensor \"conv1.weight\"");
    refused("/nonexistent/weights.pt", "visual", REL_ERR_NOT_FOUND, "weights.pt");
    scratch_write("text.pth", "hello, world", 12);
    refused(scratch_path("text.pth"), "visual", REL_ERR_FORMAT, "text.pth");
    refused("tests/golden/data/torch_complex.pt", "visual", REL_ERR_UNSUPPORTED, "Complex");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(checkpoint_of_pytorch, model_make, model_free),
        cmocka_unit_test_setup_teardown(other_shapes, model_make, model_free),
        cmocka_unit_test_setup_teardown(prefixes, model_make, model_free),
        cmocka_unit_test_setup_teardown(wrong_files, model_make, model_free),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
