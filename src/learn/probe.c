#include "learn/probe.h"

#include "comm/comm.h"
#include "learn/lbfgs.h"

#include <math.h>
#include <omp.h>

struct probe_config probe_config_default(void) {
    return (struct probe_config){
        .l2 = 1, .max_iterations = 1000, .tolerance = 1e-6, .share_from = 1e6};
}

/* What the objective looks at. */
struct task {
    const struct probe *probe;
    const float *features; /* [samples][dims] standardised */
    const int32_t *labels;
    size_t samples;
    double l2;
    int threads;
    double *residuals; /* [samples][classes + 1]: probabilities, less 1 at the label, over samples;
                          then the sample's cross-entropy */
    struct comm *comm; /* ranks that share samples, then dimensions */
    rel_status status; /* of exchanging with them */
    bool stop;         /* a rank was interrupted */
};

static void standardise(const struct probe *probe, const float *row, float *out) {
    for (size_t d = 0; d < probe->dims; d++)
        out[d] = (float)((row[d] - probe->mean[d]) / probe->scale[d]);
}

static rel_status check(const float *features, const int32_t *labels, size_t samples, size_t dims,
                        int classes) {
    if (samples == 0 || classes < 1) return rel_fail(REL_ERR_USAGE, "probe: no samples");
    for (size_t i = 0; i < samples; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return rel_fail(REL_ERR_NUMERIC, "probe: label %d of sample %zu is not in 0 to %d",
                            labels[i], i, classes - 1);
    for (size_t i = 0; i < samples * dims; i++)
        if (!isfinite(features[i]))
            return rel_fail(REL_ERR_NUMERIC, "probe: a feature of sample %zu is not a number",
                            i / dims);
    return REL_OK;
}

static void measure_columns(struct probe *probe, const float *features, size_t samples) {
    size_t dims = probe->dims;
    for (size_t i = 0; i < samples; i++)
        for (size_t d = 0; d < dims; d++) probe->mean[d] += features[i * dims + d];
    for (size_t d = 0; d < dims; d++) probe->mean[d] /= (double)samples;
    for (size_t i = 0; i < samples; i++)
        for (size_t d = 0; d < dims; d++) {
            double off = features[i * dims + d] - probe->mean[d];
            probe->scale[d] += off * off;
        }
    for (size_t d = 0; d < dims; d++) {
        double variance = probe->scale[d] / (double)samples;
        double noise = 1e-12 * probe->mean[d] * probe->mean[d]; /* rounding of a constant column */
        probe->scale[d] = variance > noise && variance > 0 ? sqrt(variance) : 1;
    }
}

/* out[classes] = weights^T row + intercept; one chain of additions over the dimensions. */
static void row_logits(const struct probe *probe, const double *weights, const float *row,
                       double *out) {
    size_t classes = (size_t)probe->classes, dims = probe->dims;
    for (size_t k = 0; k < classes; k++) out[k] = weights[dims * classes + k];
    for (size_t d = 0; d < dims; d++) {
        double x = row[d];
        const double *column = weights + d * classes;
        for (size_t k = 0; k < classes; k++) out[k] += x * column[k];
    }
}

/* Turns logits into residuals, and adds the cross-entropy. */
static void row_residuals(double *row, int classes, int label, double samples) {
    double largest = row[0], sum = 0, at_label = row[label];
    for (int k = 1; k < classes; k++)
        if (row[k] > largest) largest = row[k];
    for (int k = 0; k < classes; k++) {
        row[k] = exp(row[k] - largest);
        sum += row[k];
    }
    for (int k = 0; k < classes; k++) row[k] = (row[k] / sum - (k == label)) / samples;
    row[classes] = largest + log(sum) - at_label;
}

/* Residuals of this rank's samples, then of all. */
static rel_status samples_pass(struct task *task, const double *weights) {
    const struct probe *probe = task->probe;
    size_t width = (size_t)probe->classes + 1;
    uint64_t begin, count;
    comm_share(task->comm, task->comm->rank, task->samples, &begin, &count);
#pragma omp parallel for num_threads(task->threads) schedule(static)
    for (size_t i = begin; i < begin + count; i++) {
        double *row = task->residuals + i * width;
        row_logits(probe, weights, task->features + i * probe->dims, row);
        row_residuals(row, probe->classes, task->labels[i], (double)task->samples);
        progress_tick();
    }
    return comm_gather_shares(task->comm, task->residuals, task->samples, 1,
                              width * sizeof(double));
}

/* The gradient's rows of this rank's dimensions, then all. */
static rel_status dimensions_pass(struct task *task, const double *weights, double *gradient) {
    size_t classes = (size_t)task->probe->classes, dims = task->probe->dims;
    double penalty = task->l2 / (double)task->samples;
    uint64_t begin, count;
    comm_share(task->comm, task->comm->rank, dims + 1, &begin, &count);
#pragma omp parallel for num_threads(task->threads) schedule(static)
    for (size_t d = begin; d < begin + count; d++) {
        double *out = gradient + d * classes;
        for (size_t k = 0; k < classes; k++)
            out[k] = d < dims ? penalty * weights[d * classes + k] : 0;
        for (size_t i = 0; i < task->samples; i++) {
            double x = d < dims ? task->features[i * dims + d] : 1;
            const double *residual = task->residuals + i * (classes + 1);
            for (size_t k = 0; k < classes; k++) out[k] += x * residual[k];
        }
        progress_tick();
    }
    return comm_gather_shares(task->comm, gradient, dims + 1, 1, classes * sizeof *gradient);
}

/* Mean of the objective and its gradient. Threads and ranks share samples, then dimensions: every
 * sum is taken by one of them in one order. Not a number when exchanging fails. */
static double objective(void *context, const double *weights, double *gradient) {
    struct task *task = context;
    size_t classes = (size_t)task->probe->classes;
    double penalty = task->l2 / (double)task->samples, loss = 0, squares = 0;
    if (task->status == REL_OK) task->status = samples_pass(task, weights);
    if (task->status == REL_OK) task->status = dimensions_pass(task, weights, gradient);
    task->stop = interrupt_requested();
    if (task->status == REL_OK) task->status = comm_any(task->comm, &task->stop);
    if (task->status != REL_OK) return (double)NAN;
    for (size_t i = 0; i < task->samples; i++) loss += task->residuals[i * (classes + 1) + classes];
    for (size_t j = 0; j < task->probe->dims * classes; j++) squares += weights[j] * weights[j];
    return loss / (double)task->samples + penalty / 2 * squares;
}

static rel_status minimise(struct probe *probe, struct task *task,
                           const struct probe_config *config) {
    const struct lbfgs lbfgs = {.count = (probe->dims + 1) * (size_t)probe->classes,
                                .objective = objective,
                                .context = task,
                                .max_iterations = config->max_iterations,
                                .tolerance = config->tolerance,
                                .label = config->label,
                                .stop = &task->stop};
    rel_status status =
        lbfgs_minimise(&lbfgs, probe->weights, &probe->iterations, &probe->converged);
    return task->status != REL_OK ? task->status : status;
}

/* Where each rank did it all, one may have been interrupted. */
static rel_status interruption_agree(struct comm *comm, rel_status status) {
    bool interrupted = status == REL_ERR_INTERRUPTED;
    if (status != REL_OK && !interrupted) return status;
    REL_TRY(comm_any(comm, &interrupted));
    return interrupted ? rel_fail(REL_ERR_INTERRUPTED, "interrupted") : REL_OK;
}

rel_status probe_fit(struct probe *probe, const float *features, const int32_t *labels,
                     size_t samples, size_t dims, const struct probe_config *config) {
    *probe = (struct probe){.classes = config->classes, .dims = dims};
    REL_TRY(check(features, labels, samples, dims, config->classes));
    size_t classes = (size_t)config->classes;
    struct comm *comm = comm_or_alone(config->comm);
    bool shared = (double)samples * (double)dims * (double)classes >= config->share_from;
    float *standardised = rel_alloc(samples, dims * sizeof *standardised);
    struct task task = {.probe = probe,
                        .features = standardised,
                        .labels = labels,
                        .samples = samples,
                        .l2 = config->l2,
                        .threads = config->threads > 0 ? config->threads : omp_get_num_procs(),
                        .residuals = rel_alloc(samples, (classes + 1) * sizeof(double)),
                        .comm = shared ? comm : comm_or_alone(NULL)};
    probe->mean = rel_alloc(dims, sizeof *probe->mean);
    probe->scale = rel_alloc(dims, sizeof *probe->scale);
    probe->weights = rel_alloc(dims + 1, classes * sizeof *probe->weights);
    rel_status status =
        standardised && task.residuals && probe->mean && probe->scale && probe->weights
            ? REL_OK
            : REL_ERR_MEMORY;
    if (status == REL_OK) {
        measure_columns(probe, features, samples);
        for (size_t i = 0; i < samples; i++)
            standardise(probe, features + i * dims, standardised + i * dims);
        status = interruption_agree(comm, minimise(probe, &task, config));
    }
    rel_free(standardised);
    rel_free(task.residuals);
    if (status != REL_OK) probe_release(probe);
    return status;
}

rel_status probe_logits(const struct probe *probe, const float *features, size_t samples,
                        float *logits) {
    size_t classes = (size_t)probe->classes;
    float *row = rel_alloc(probe->dims, sizeof *row);
    double *out = rel_alloc(classes, sizeof *out);
    rel_status status = row && out ? REL_OK : REL_ERR_MEMORY;
    for (size_t i = 0; i < samples && status == REL_OK; i++) {
        standardise(probe, features + i * probe->dims, row);
        row_logits(probe, probe->weights, row, out);
        for (size_t k = 0; k < classes; k++) logits[i * classes + k] = (float)out[k];
    }
    rel_free(row);
    rel_free(out);
    return status;
}

void probe_release(struct probe *probe) {
    rel_free(probe->mean);
    rel_free(probe->scale);
    rel_free(probe->weights);
    *probe = (struct probe){0};
}
