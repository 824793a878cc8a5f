#include "learn/contingency.h"

#include "learn/purity.h"

#include <float.h>
#include <math.h>

rel_status contingency_init(struct contingency *table, const int32_t *assignments, int clusters,
                            const int32_t *labels, int classes, size_t samples) {
    size_t cells;
    *table = (struct contingency){0};
    if (samples == 0 || clusters < 1 || classes < 1)
        return rel_fail(REL_ERR_USAGE,
                        "clusters and classes: %zu samples, %d clusters, %d classes (at least 1 "
                        "each)",
                        samples, clusters, classes);
    REL_TRY(labels_check(labels, samples, classes));
    for (size_t i = 0; i < samples; i++)
        if (assignments[i] < 0 || assignments[i] >= clusters)
            return rel_fail(REL_ERR_NUMERIC, "clusters: sample %zu is in cluster %d of %d", i,
                            assignments[i], clusters);
    if (!rel_size_multiply((size_t)clusters, (size_t)classes, &cells))
        return rel_fail(REL_ERR_LIMIT, "%d clusters x %d classes are too many", clusters, classes);
    *table = (struct contingency){samples, (size_t)clusters, (size_t)classes, NULL, NULL, NULL};
    table->counts = rel_alloc(cells, sizeof *table->counts);
    table->cluster_sizes = rel_alloc(table->clusters, sizeof *table->cluster_sizes);
    table->class_sizes = rel_alloc(table->classes, sizeof *table->class_sizes);
    if (!table->counts || !table->cluster_sizes || !table->class_sizes) {
        contingency_release(table);
        return REL_ERR_MEMORY;
    }
    for (size_t i = 0; i < samples; i++) {
        table->counts[(size_t)assignments[i] * table->classes + (size_t)labels[i]]++;
        table->cluster_sizes[assignments[i]]++;
        table->class_sizes[labels[i]]++;
    }
    return REL_OK;
}

void contingency_release(struct contingency *table) {
    rel_free(table->counts);
    rel_free(table->cluster_sizes);
    rel_free(table->class_sizes);
    *table = (struct contingency){0};
}

/* The lowest of the largest classes of a cluster. */
static size_t largest_class(const struct contingency *table, size_t cluster) {
    const size_t *counts = table->counts + cluster * table->classes;
    size_t largest = 0;
    for (size_t c = 1; c < table->classes; c++)
        if (counts[c] > counts[largest]) largest = c;
    return largest;
}

double contingency_purity(const struct contingency *table) {
    size_t total = 0;
    for (size_t k = 0; k < table->clusters; k++)
        total += table->counts[k * table->classes + largest_class(table, k)];
    return (double)total / (double)table->samples;
}

void contingency_add_class_purity(const struct contingency *table, size_t *pure, size_t *sizes) {
    for (size_t c = 0; c < table->classes; c++) sizes[c] += table->class_sizes[c];
    for (size_t k = 0; k < table->clusters; k++) {
        size_t largest = largest_class(table, k);
        pure[largest] += table->counts[k * table->classes + largest];
    }
}

static double entropy(const size_t *sizes, size_t count, double samples) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        if (sizes[i] > 0) sum -= (double)sizes[i] / samples * log((double)sizes[i] / samples);
    return sum;
}

static size_t used(const size_t *sizes, size_t count) {
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += sizes[i] > 0;
    return sum;
}

double contingency_nmi(const struct contingency *table) {
    size_t clusters = used(table->cluster_sizes, table->clusters);
    size_t classes = used(table->class_sizes, table->classes);
    double samples = (double)table->samples, information = 0;
    if (clusters == 1 || classes == 1) return clusters == classes ? 1 : 0;
    for (size_t k = 0; k < table->clusters; k++)
        for (size_t c = 0; c < table->classes; c++) {
            double count = (double)table->counts[k * table->classes + c];
            if (count == 0) continue;
            double expected =
                (double)table->cluster_sizes[k] / samples * (double)table->class_sizes[c];
            double term = count / samples * log(count / expected);
            if (fabs(term) >= DBL_EPSILON) information += term;
        }
    if (information <= 0) return 0;
    return 2 * information /
           (entropy(table->cluster_sizes, table->clusters, samples) +
            entropy(table->class_sizes, table->classes, samples));
}

static double squares(const size_t *counts, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)counts[i] * (double)counts[i];
    return sum;
}

double contingency_ari(const struct contingency *table) {
    /* Ordered pairs of samples: together in both, in one of the two, in neither. */
    double samples = (double)table->samples;
    double together = squares(table->counts, table->clusters * table->classes);
    double cluster_only = squares(table->cluster_sizes, table->clusters) - together;
    double class_only = squares(table->class_sizes, table->classes) - together;
    double apart = samples * samples - together - cluster_only - class_only;
    together -= samples; /* a sample and itself are no pair */
    if (cluster_only == 0 && class_only == 0) return 1;
    return 2 * (together * apart - class_only * cluster_only) /
           ((together + class_only) * (class_only + apart) +
            (together + cluster_only) * (cluster_only + apart));
}
