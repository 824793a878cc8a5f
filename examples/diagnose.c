/* Diagnoses two encoders by their features and pulls back the weights of each:
 *
 *   cc diagnose.c $(pkg-config --cflags --libs relearn) -o diagnose && ./diagnose
 *
 * The features are made here, so that what comes out is known: "memorised" separates the classes of
 * training samples and not of others, "honest" separates both alike. In a program of yours they are
 * what your encoders give, without dropout or augmentation, before fusion. */
#include <relearn.h>
#include <stdint.h>
#include <stdio.h>

enum { TRAIN = 600, VAL = 200, DIMS = 16, CLASSES = 4, WEIGHTS = 1000 };

/* A number in -1 .. 1 that depends on `index` alone. */
static float noise(uint32_t index) {
    index = (index ^ index >> 16) * 0x7feb352dU;
    index = (index ^ index >> 15) * 0x846ca68bU;
    return (float)(index ^ index >> 16) / 2147483648.0F - 1.0F;
}

static void features_make(float *features, int32_t *labels, size_t samples, float separation,
                          uint32_t seed) {
    for (size_t i = 0; i < samples; i++) {
        labels[i] = (int32_t)(i % CLASSES);
        for (size_t d = 0; d < DIMS; d++)
            features[i * DIMS + d] = noise((uint32_t)(i * DIMS + d) + seed) +
                                     (d % CLASSES == i % CLASSES ? separation : 0);
    }
}

/* Returns how far the encoder is to be pulled back, or -1. */
static double diagnose(const char *name, float separation_train, float separation_val) {
    static float train[TRAIN * DIMS], val[VAL * DIMS];
    static int32_t train_labels[TRAIN], val_labels[VAL];
    features_make(train, train_labels, TRAIN, separation_train, 1u << 20);
    features_make(val, val_labels, VAL, separation_val, 1u << 24);

    struct relearn_diagnose_options options;
    relearn_diagnose_options_init(&options, sizeof options);
    options.classes = CLASSES;
    options.lambda = 3;
    struct relearn_diagnosis diagnosis = {.size = sizeof diagnosis};
    struct relearn_diagnosis spread = {.size = sizeof spread};
    if (relearn_diagnose(train, train_labels, TRAIN, val, val_labels, VAL, DIMS, &options,
                         &diagnosis, &spread) != RELEARN_OK) {
        fprintf(stderr, "%s: %s\n", name, relearn_error_message());
        return -1;
    }
    printf("%-10s purity %.3f (train) %.3f (val), alpha %.3f +- %.3f\n", name,
           diagnosis.purity_train, diagnosis.purity_val, diagnosis.alpha, spread.alpha);
    return diagnosis.alpha;
}

int main(void) {
    static const struct {
        const char *name;
        float separation_train, separation_val;
    } encoders[] = {{"memorised", 3, 0}, {"honest", 3, 3}};
    printf("relearn %s\n", relearn_version());
    for (size_t e = 0; e < sizeof encoders / sizeof *encoders; e++) {
        float weights[WEIGHTS], initial[WEIGHTS];
        double alpha =
            diagnose(encoders[e].name, encoders[e].separation_train, encoders[e].separation_val);
        if (alpha < 0) return 1;
        for (size_t i = 0; i < WEIGHTS; i++) {
            initial[i] = 0;
            weights[i] = 1;
        }
        if (relearn_reinit(weights, initial, WEIGHTS, alpha) != RELEARN_OK) {
            fprintf(stderr, "%s: %s\n", encoders[e].name, relearn_error_message());
            return 1;
        }
        printf("%-10s a weight of 1 that began at 0 is now %.3f\n", encoders[e].name,
               (double)weights[0]);
    }
    return 0;
}
