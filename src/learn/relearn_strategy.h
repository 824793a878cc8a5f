/* Private to method_relearn: what is done to the encoders once they are diagnosed. Diagnosing &
 * Re-learning is `soft`; the others are what one would compare it with. */
#ifndef REL_LEARN_RELEARN_STRATEGY_H
#define REL_LEARN_RELEARN_STRATEGY_H

#include "learn/diagnose.h"
#include "model/model.h"

#define RELEARN_STRATEGY_CHOICES "soft|same|random|fixed|hard|shrink_perturb"

struct relearn_strategy_config {
    int strategy;                         /* index into RELEARN_STRATEGY_CHOICES */
    double lambdas[MODEL_MODALITIES_MAX]; /* that the diagnoses were made with; of same */
    double alpha;                         /* of fixed */
    double shrink, noise;                 /* of shrink_perturb */
    uint64_t seed;
    uint32_t epoch;
};

/* What happens to one encoder: theta <- (1 - alpha) theta + alpha theta_initial; or, when it is
 * perturbed, theta <- shrink theta + noise theta_fresh, theta_fresh drawn as theta_initial was. */
struct relearn_action {
    bool perturb;
    double alpha;         /* 0: nothing happens */
    double shrink, noise; /* with perturb */
};

const char *relearn_strategy_name(const struct relearn_strategy_config *config);
/* Decides for every modality from all their diagnoses; random numbers depend on seed and epoch. */
void relearn_strategy_decide(const struct relearn_strategy_config *config,
                             const struct diagnosis *diagnoses, int modalities,
                             struct relearn_action *actions);
bool relearn_action_changes(const struct relearn_action *action);
/* Carries one decision out. `modality` names the random streams of a perturbation. */
rel_status relearn_strategy_apply(const struct relearn_strategy_config *config,
                                  const struct relearn_action *action, struct param_arena *encoder,
                                  int modality);

#endif
