/* learn: the method. Diagnoses encoders, pulls them back, and holds the registry of balancing
 * methods.
 *
 * In order of use:
 *   kmeans.h       clusters of features, as scikit-learn makes them
 *   contingency.h  clusters against classes: purity, NMI, ARI
 *   purity.h       the first of them alone
 *   silhouette.h   how well separated clusters are
 *   tsne.h         features laid out on a plane, for pictures
 *   diagnose.h     purity on training and validation features, and the alpha that follows
 *   survey.h       the same for several seeds, with every other measure
 *   probe.h        linear probe: logistic regression on frozen features (by lbfgs.h)
 *   reinit.h       theta <- (1 - alpha) theta + alpha theta_initial
 *   method.h       a balancing method's descriptor, its hooks, and the table of all methods
 *
 * learn is handed features, labels and models; it never sees data sets. */
#ifndef REL_LEARN_H
#define REL_LEARN_H

#include "learn/contingency.h"
#include "learn/diagnose.h"
#include "learn/kmeans.h"
#include "learn/method.h"
#include "learn/probe.h"
#include "learn/purity.h"
#include "learn/reinit.h"
#include "learn/reinit_weights.h"
#include "learn/silhouette.h"
#include "learn/survey.h"
#include "learn/tsne.h"

#endif
