/* For shell tests: store_predictions RUN prints a line of commas for each sample of the test split:
 * the probabilities of all classes, as evaluation finds them from the store. */
#include "train/train.h"

#include <stdio.h>

static rel_status predictions_print(struct run *run) {
    struct session *session = &run->session;
    struct feature_set *set = &session->features[SPLIT_TEST].set;
    int classes = session->info->classes;
    REL_TRY(session_pass(session, SPLIT_TEST, "test"));
    float *rows = rel_alloc(set->samples, (size_t)classes * sizeof *rows);
    if (!rows) return REL_ERR_MEMORY;
    rel_status status = model_head_logits(&session->model, set->features, (int)set->samples, rows);
    nn_softmax(rows, (int)set->samples, classes, rows);
    for (size_t i = 0; i < set->samples * (size_t)classes && status == REL_OK; i++)
        printf("%.9g%s", (double)rows[i], (i + 1) % (size_t)classes ? "," : "\n");
    rel_free(rows);
    return status;
}

int main(int argc, char **argv) {
    struct run run;
    if (argc != 2 || run_open(argv[1], NULL, "best", 0, &run) != REL_OK) {
        fprintf(stderr, "store_predictions: %s\n", rel_error_message());
        return 1;
    }
    rel_status status = predictions_print(&run);
    if (status != REL_OK) fprintf(stderr, "store_predictions: %s\n", rel_error_message());
    run_close(&run);
    return status != REL_OK;
}
