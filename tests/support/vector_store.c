#include "support/vector_store.h"

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

static void sample_write(const char *folder, const struct vector_modality *modality, int sample,
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

void vector_store_make(const char *folder, const struct vector_data *data) {
    struct rel_text table = {0}, settings = {0};
    succeed(rel_text_append(&table, "id,split,label"));
    succeed(rel_text_append(&settings, "modalities:\n"));
    for (int m = 0; m < data->modalities; m++) {
        succeed(rel_text_append(&table, ",%s", data->list[m].name));
        succeed(rel_text_append(&settings, "  %s: {kind: vector, standardize: false}\n",
                                data->list[m].name));
    }
    for (int i = 0; i < data->train + data->val; i++) {
        bool training = i < data->train;
        int label = (training ? i : i - data->train) % data->classes;
        succeed(rel_text_append(&table, "\ns%04d,%s,%d", i, training ? "train" : "val", label));
        for (int m = 0; m < data->modalities; m++) {
            succeed(rel_text_append(&table, ",%s/%04d.npy", data->list[m].name, i));
            sample_write(folder, &data->list[m], i, label);
        }
    }
    succeed(rel_text_append(&table, "\n"));
    write_text(folder, "manifest.csv", table.data);
    write_text(folder, "manifest.yaml", settings.data);
    rel_text_release(&table);
    rel_text_release(&settings);
    succeed(prepare_folder(folder, NULL, NULL));
}

void vector_trainer_start(struct vector_trainer *made, const char *folder, const char *name,
                          const char *const *sets) {
    *made =
        (struct vector_trainer){.store = fs_join(folder, "store"), .out = fs_join(folder, name)};
    int count = 0;
    while (sets[count]) count++;
    made->request = (struct train_request){
        .sets = sets, .set_count = count, .data = made->store, .out = made->out};
    succeed(trainer_init(&made->trainer, &made->request));
    model_fill(&made->trainer.session.model);
    succeed(loader_start(made->trainer.loader, 0, 0));
}

void vector_trainer_step(struct vector_trainer *made) {
    const struct batch *batch;
    succeed(loader_next(made->trainer.loader, &batch));
    assert_non_null(batch);
    succeed(trainer_step(&made->trainer, batch));
    loader_give_back(made->trainer.loader, batch);
}

void vector_trainer_stop(struct vector_trainer *made) {
    trainer_release(&made->trainer);
    rel_free(made->store);
    rel_free(made->out);
}
