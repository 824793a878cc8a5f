#include "support/hashed_store.h"

#include "media/media.h"
#include "support/hash_fill.h"
#include "support/model_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH_MAX = 256 };

static void succeed(rel_status status) {
    if (status != REL_OK) fail_msg("%s", rel_error_message());
}

static void vector_write(const char *folder, const struct hashed_modality *modality, int sample,
                         int label) {
    float mean[WIDTH_MAX], values[WIDTH_MAX];
    char name[96];
    assert_true(modality->width <= WIDTH_MAX);
    snprintf(name, sizeof name, "mean.%s.%d", modality->name, label);
    hash_fill(name, mean, (size_t)modality->width, 1, 0);
    snprintf(name, sizeof name, "noise.%s.%d", modality->name, sample);
    hash_fill(name, values, (size_t)modality->width, modality->spread, 0);
    for (int i = 0; i < modality->width; i++) values[i] += mean[i];
    snprintf(name, sizeof name, "%s/%04d.npy", modality->name, sample);
    write_vector(folder, name, values, (size_t)modality->width);
}

static void picture_write(const char *folder, const struct hashed_modality *modality, int sample,
                          int label) {
    struct picture picture = {0};
    struct rel_text png = {0};
    char of_class[96], of_sample[96];
    int side = modality->width;
    snprintf(of_class, sizeof of_class, "mean.%s.%d", modality->name, label);
    snprintf(of_sample, sizeof of_sample, "noise.%s.%d", modality->name, sample);
    succeed(picture_reshape(&picture, side, side, 3));
    for (int i = 0; i < side * side * 3; i++)
        picture.pixels[i] = (uint8_t)(hash_bits(of_class, (uint64_t)i) % 128 +
                                      hash_bits(of_sample, (uint64_t)i) % 128);
    succeed(picture_write_png(&picture, &png));
    snprintf(of_sample, sizeof of_sample, "%s/%04d.png", modality->name, sample);
    char *path = fs_join(folder, of_sample);
    succeed(fs_write_atomic(path, png.data, png.length));
    picture_release(&picture);
    rel_text_release(&png);
    rel_free(path);
}

static void modality_describe(const struct hashed_modality *modality, struct rel_text *settings) {
    if (modality->picture)
        succeed(rel_text_append(settings,
                                "  %s: {kind: frames, height: %d, width: %d, crop: none, flip: 0, "
                                "mean: [0.5], deviation: [0.25]}\n",
                                modality->name, modality->width, modality->width));
    else
        succeed(rel_text_append(settings, "  %s: {kind: vector, standardize: false}\n",
                                modality->name));
}

void hashed_store_make(const char *folder, const struct hashed_data *data) {
    struct rel_text table = {0}, settings = {0};
    succeed(rel_text_append(&table, "id,split,label"));
    succeed(rel_text_append(&settings, "modalities:\n"));
    for (int m = 0; m < data->modalities; m++) {
        succeed(rel_text_append(&table, ",%s", data->list[m].name));
        modality_describe(&data->list[m], &settings);
        char *media = fs_join(folder, data->list[m].name);
        succeed(fs_make_folders(media));
        rel_free(media);
    }
    for (int i = 0; i < data->train + data->val; i++) {
        bool training = i < data->train;
        int label = (training ? i : i - data->train) % data->classes;
        succeed(rel_text_append(&table, "\ns%04d,%s,%d", i, training ? "train" : "val", label));
        for (int m = 0; m < data->modalities; m++) {
            const struct hashed_modality *modality = &data->list[m];
            succeed(rel_text_append(&table, ",%s/%04d.%s", modality->name, i,
                                    modality->picture ? "png" : "npy"));
            (modality->picture ? picture_write : vector_write)(folder, modality, i, label);
        }
    }
    succeed(rel_text_append(&table, "\n"));
    write_text(folder, "manifest.csv", table.data);
    write_text(folder, "manifest.yaml", settings.data);
    rel_text_release(&table);
    rel_text_release(&settings);
    succeed(prepare_folder(folder, NULL, NULL));
}

void hashed_trainer_start(struct hashed_trainer *made, const char *folder, const char *name,
                          const char *const *sets) {
    *made =
        (struct hashed_trainer){.store = fs_join(folder, "store"), .out = fs_join(folder, name)};
    int count = 0;
    while (sets[count]) count++;
    made->request = (struct train_request){
        .sets = sets, .set_count = count, .data = made->store, .out = made->out};
    succeed(trainer_init(&made->trainer, &made->request));
    model_fill(&made->trainer.session.model);
    succeed(loader_start(made->trainer.loader, 0, 0));
}

void hashed_trainer_step(struct hashed_trainer *made) {
    const struct batch *batch;
    succeed(loader_next(made->trainer.loader, &batch));
    assert_non_null(batch);
    succeed(trainer_step(&made->trainer, batch));
    loader_give_back(made->trainer.loader, batch);
}

void hashed_trainer_stop(struct hashed_trainer *made) {
    run_process_end(&made->trainer.process, REL_OK);
    trainer_release(&made->trainer);
    rel_free(made->store);
    rel_free(made->out);
}

json_t *hashed_trainer_events(struct hashed_trainer *made, const char *kind) {
    char *path = fs_join(made->out, "log.jsonl"), *text, *rest = NULL;
    size_t size;
    json_t *events = json_array();
    succeed(run_log_sync(&made->trainer.log));
    succeed(fs_read(path, 1 << 24, &text, &size));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *event = json_loads(line, 0, NULL);
        assert_non_null(event);
        if (strcmp(json_string_value(json_object_get(event, "event")), kind) == 0)
            json_array_append(events, event);
        json_decref(event);
    }
    rel_free(text);
    rel_free(path);
    return events;
}
