/* MMPareto (Wei, Hu; ICML 2024): the joint loss and one loss per modality, by an auxiliary head on
 * its features, with unit weights. For every encoder on its own, from the gradients g of the joint
 * and u of its own loss:
 *
 *   direction   h = 2 (c g + (1 - c) u); c = 1/2 when they do not conflict (cosine >= 0), else the
 *               c that makes |c g + (1 - c) u| least
 *   magnitude   h is scaled up to |g + u| where it is shorter, then by gamma
 *
 * The paper writes the magnitude for an encoder's whole gradient, the published code restores it
 * tensor by tensor: `rescale`. Heads get the plain gradients of their losses. */
#include "learn/method.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { RESCALE_ENCODER, RESCALE_TENSOR, RESCALE_NONE };

struct mmpareto_options {
    double gamma;
    int rescale;
};

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct mmpareto_options, field), __VA_ARGS__ }

static const struct rel_option mmpareto_options[] = {
    OPTION("gamma", OPTION_REAL, gamma, .default_value = "1.5", .minimum = 0, .maximum = 1000,
           .help = "Factor of every encoder's combined gradient."),
    OPTION("rescale", OPTION_CHOICE, rescale, .default_value = "encoder",
           .choices = "encoder|tensor|none",
           .help = "What is scaled up to the length that the plain sum of the gradients has: an "
                   "encoder's gradient as a whole (paper), every tensor of it (published code), "
                   "or nothing."),
};

static rel_status mmpareto_after_forward(struct method_run *run, struct method_step *step) {
    for (int m = 0; m < run->services->model->config.modalities; m++)
        step->losses[step->loss_count++] =
            (struct method_loss){.head = 2u << m,
                                 .active = step->active,
                                 .scale = 1,
                                 .plane = (enum param_plane)run->services->first_plane};
    return REL_OK;
}

/* Inner products of two gradients. */
struct products {
    double gg, gu, uu;
};

static struct products products_of(const float *g, const float *u, size_t count) {
    double gg = 0, gu = 0, uu = 0;
#pragma omp simd reduction(+ : gg, gu, uu)
    for (size_t i = 0; i < count; i++) {
        gg += (double)g[i] * g[i];
        gu += (double)g[i] * u[i];
        uu += (double)u[i] * u[i];
    }
    return (struct products){gg, gu, uu};
}

static double cosine(const struct products *p) {
    double norms = sqrt(p->gg) * sqrt(p->uu);
    return norms > 0 ? p->gu / norms : 0;
}

/* The share of g. In conflict (gu < 0) the shortest point between g and u lies strictly inside. */
static double share(const struct products *p) {
    return p->gu >= 0 ? 0.5 : (p->uu - p->gu) / (p->gg + p->uu - 2 * p->gu);
}

/* How much h = 2 (c g + (1 - c) u) falls short of |g + u|; 1 where it does not. */
static double shortfall(const struct products *p, double c) {
    double sum = p->gg + 2 * p->gu + p->uu;
    double h = 4 * (c * c * p->gg + 2 * c * (1 - c) * p->gu + (1 - c) * (1 - c) * p->uu);
    return h > 0 && sum > h ? sqrt(sum / h) : 1;
}

/* g <- factor * 2 (c g + (1 - c) u) */
static void combine(float *g, const float *u, size_t count, double c, double factor) {
    float of_g = (float)(2 * c * factor), of_u = (float)(2 * (1 - c) * factor);
    for (size_t i = 0; i < count; i++) g[i] = of_g * g[i] + of_u * u[i];
}

static json_t *encoder_combine(const struct mmpareto_options *options, struct param_arena *encoder,
                               enum param_plane unimodal) {
    float *g = encoder->planes[PLANE_GRADIENT];
    const float *u = encoder->planes[unimodal];
    struct products whole = products_of(g, u, encoder->size);
    double c = share(&whole), factor = options->gamma;
    if (options->rescale == RESCALE_ENCODER) factor *= shortfall(&whole, c);
    if (options->rescale != RESCALE_TENSOR) {
        combine(g, u, encoder->size, c, factor);
    } else {
        for (size_t i = 0; i < encoder->count; i++) {
            size_t at = encoder->params[i].offset, count = encoder->params[i].count;
            struct products own = products_of(g + at, u + at, count);
            combine(g + at, u + at, count, c, factor * shortfall(&own, c));
        }
    }
    return json_pack("{s:o, s:f}", "cosine", json_number(cosine(&whole)), "joint_share", c);
}

static rel_status mmpareto_after_backward(struct method_run *run, struct method_step *step) {
    struct model *model = run->services->model;
    enum param_plane unimodal = (enum param_plane)run->services->first_plane;
    step->record = json_object();
    for (int m = 0; m < model->config.modalities; m++) {
        const struct param_arena *head = &model->auxiliary[m];
        memcpy(head->planes[PLANE_GRADIENT], head->planes[unimodal], head->size * sizeof(float));
        json_object_set_new(step->record, model->config.inputs[m].name,
                            encoder_combine(run->options, &model->encoders[m], unimodal));
    }
    return step->record ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot record the step");
}

extern const struct method method_mmpareto;
const struct method method_mmpareto = {
    .name = "mmpareto",
    .summary = "MMPareto: joint and unimodal losses, whose gradients are combined so that none "
               "hurts the other.",
    .options = mmpareto_options,
    .option_count = sizeof mmpareto_options / sizeof mmpareto_options[0],
    .options_size = sizeof(struct mmpareto_options),
    .needs = METHOD_NEEDS_AUXILIARY_HEADS,
    .planes = 1,
    .after_forward = mmpareto_after_forward,
    .after_backward = mmpareto_after_backward,
};
