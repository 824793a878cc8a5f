/* k-means of a .npy file [samples][dims], driven by bench/run.
 * bench/kmeans --features F.npy --clusters K [--n-init 10] [--threads 0]; iteration i has seed i.
 */
#include "io/io.h"
#include "learn/learn.h"
#include "support/worker.h"

enum { FEATURE_BYTES_MAX = 1 << 30 };

struct clustering {
    float *features; /* [samples][dims] */
    size_t samples, dims;
    struct kmeans_config config;
    double inertia; /* of the last fit */
};

static rel_status cluster(void *context) {
    struct clustering *clustering = context;
    struct kmeans_result result;
    REL_TRY(kmeans_fit(clustering->features, clustering->samples, clustering->dims,
                       &clustering->config, &result));
    clustering->inertia = result.inertia;
    clustering->config.seed++;
    kmeans_result_release(&result);
    return REL_OK;
}

static json_t *account(void *context) {
    const struct clustering *clustering = context;
    return json_pack("{s:f}", "inertia", clustering->inertia);
}

static rel_status features_read(const char *path, struct clustering *clustering) {
    struct npy_array array = {0};
    if (!path) return rel_fail(REL_ERR_USAGE, "no features (give --features F.npy)");
    REL_TRY(npy_read(path, FEATURE_BYTES_MAX, &array));
    rel_status status =
        npy_as_floats(&array, &clustering->features, &clustering->samples, &clustering->dims);
    npy_release(&array);
    return status;
}

int main(int argc, char **argv) {
    struct clustering clustering = {.config = kmeans_config_default()};
    clustering.config.clusters = (int)worker_option(argc, argv, "clusters", 6);
    clustering.config.n_init = (int)worker_option(argc, argv, "n-init", 10);
    clustering.config.threads = (int)worker_option(argc, argv, "threads", 0);
    const struct worker worker = {.iteration = cluster, .context = &clustering, .account = account};
    rel_status status =
        features_read(worker_option_text(argc, argv, "features", NULL), &clustering);
    if (status == REL_OK) status = worker_serve(&worker, json_object());
    rel_free(clustering.features);
    return worker_finish(status);
}
