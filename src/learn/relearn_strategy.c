#include "learn/relearn_strategy.h"

#include "learn/reinit.h"

#include <math.h>
#include <string.h>

typedef void decide(const struct relearn_strategy_config *config, const struct diagnosis *diagnoses,
                    int modalities, struct relearn_action *actions);

/* Every modality by its own diagnosis: the method. */
static void soft_decide(const struct relearn_strategy_config *config,
                        const struct diagnosis *diagnoses, int modalities,
                        struct relearn_action *actions) {
    (void)config;
    for (int m = 0; m < modalities; m++) actions[m].alpha = diagnoses[m].alpha;
}

/* Every modality at one alpha, that of the mean of lambda times the gap: does it matter which
 * modality is pulled back how far? */
static void same_decide(const struct relearn_strategy_config *config,
                        const struct diagnosis *diagnoses, int modalities,
                        struct relearn_action *actions) {
    double sum = 0;
    for (int m = 0; m < modalities; m++) sum += config->lambdas[m] * diagnoses[m].gap;
    for (int m = 0; m < modalities; m++) actions[m].alpha = tanh(sum / modalities);
}

/* One modality drawn at random, by its own diagnosis; the others are left alone. */
static void random_decide(const struct relearn_strategy_config *config,
                          const struct diagnosis *diagnoses, int modalities,
                          struct relearn_action *actions) {
    struct rel_random random;
    rel_random_init(&random, config->seed, REL_RANDOM_METHOD, config->epoch, 0);
    int chosen = (int)rel_random_below(&random, (uint64_t)modalities);
    actions[chosen].alpha = diagnoses[chosen].alpha;
}

/* Every modality at the alpha that was asked for. */
static void fixed_decide(const struct relearn_strategy_config *config,
                         const struct diagnosis *diagnoses, int modalities,
                         struct relearn_action *actions) {
    (void)diagnoses;
    for (int m = 0; m < modalities; m++) actions[m].alpha = config->alpha;
}

/* Back to the initial weights altogether. */
static void hard_decide(const struct relearn_strategy_config *config,
                        const struct diagnosis *diagnoses, int modalities,
                        struct relearn_action *actions) {
    (void)config;
    (void)diagnoses;
    for (int m = 0; m < modalities; m++) actions[m].alpha = 1;
}

/* Shrink and perturb (Ash, Adams 2020). */
static void shrink_perturb_decide(const struct relearn_strategy_config *config,
                                  const struct diagnosis *diagnoses, int modalities,
                                  struct relearn_action *actions) {
    (void)diagnoses;
    for (int m = 0; m < modalities; m++)
        actions[m] = (struct relearn_action){
            .perturb = true, .shrink = config->shrink, .noise = config->noise};
}

/* In the order of RELEARN_STRATEGY_CHOICES. */
static const struct {
    const char *name;
    decide *decide;
} strategies[] = {
    {"soft", soft_decide},   {"same", same_decide}, {"random", random_decide},
    {"fixed", fixed_decide}, {"hard", hard_decide}, {"shrink_perturb", shrink_perturb_decide},
};

const char *relearn_strategy_name(const struct relearn_strategy_config *config) {
    return strategies[config->strategy].name;
}

void relearn_strategy_decide(const struct relearn_strategy_config *config,
                             const struct diagnosis *diagnoses, int modalities,
                             struct relearn_action *actions) {
    memset(actions, 0, (size_t)modalities * sizeof *actions);
    strategies[config->strategy].decide(config, diagnoses, modalities, actions);
}

bool relearn_action_changes(const struct relearn_action *action) {
    return action->perturb || action->alpha > 0;
}

/* Fresh weights come from the streams of initial ones, under a seed that seed and epoch make. */
static uint64_t fresh_seed(const struct relearn_strategy_config *config) {
    struct rel_random random;
    rel_random_init(&random, config->seed, REL_RANDOM_METHOD, config->epoch, 1);
    uint64_t high = rel_random_u32(&random);
    return high << 32 | rel_random_u32(&random);
}

static rel_status perturb(const struct relearn_strategy_config *config,
                          const struct relearn_action *action, struct param_arena *encoder,
                          int modality) {
    float *drawn = rel_alloc(encoder->size, sizeof *drawn);
    if (!drawn) return REL_ERR_MEMORY;
    struct param_arena fresh = *encoder;
    memset(fresh.planes, 0, sizeof fresh.planes);
    fresh.planes[PLANE_VALUE] = drawn;
    param_arena_draw(&fresh, fresh_seed(config), (uint64_t)modality << 32);
    float *value = encoder->planes[PLANE_VALUE];
    float shrink = (float)action->shrink, noise = (float)action->noise;
    for (size_t i = 0; i < encoder->size; i++) value[i] = shrink * value[i] + noise * drawn[i];
    rel_free(drawn);
    return REL_OK;
}

rel_status relearn_strategy_apply(const struct relearn_strategy_config *config,
                                  const struct relearn_action *action, struct param_arena *encoder,
                                  int modality) {
    if (!relearn_action_changes(action)) return REL_OK;
    if (action->perturb)
        REL_TRY(perturb(config, action, encoder, modality));
    else
        REL_TRY(reinit_soft(encoder->planes[PLANE_VALUE], encoder->planes[PLANE_INITIAL],
                            encoder->size, (float)action->alpha));
    param_arena_changed(encoder);
    return REL_OK;
}
