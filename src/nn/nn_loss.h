/* Losses on plain logits. */
#ifndef REL_NN_LOSS_H
#define REL_NN_LOSS_H

#include "base/base.h"

/* Softmax cross-entropy, as torch.nn.functional.cross_entropy with reduction "mean".
 * logits [batch][classes]; labels [batch] in 0..classes-1; weights [batch] (NULL: all 1): the mean
 * is over the weights. *loss gets the mean; gradient [batch][classes] gets d mean / d logits times
 * `scale`; either may be NULL. */
rel_status nn_softmax_cross_entropy(const float *logits, const int32_t *labels,
                                    const float *weights, int batch, int classes, float scale,
                                    double *loss, float *gradient);
/* The same with label smoothing: a share `smoothing` of every target is spread evenly over all
 * classes, as cross_entropy(label_smoothing=) does. */
rel_status nn_smoothed_cross_entropy(const float *logits, const int32_t *labels,
                                     const float *weights, int batch, int classes, double smoothing,
                                     float scale, double *loss, float *gradient);
/* probabilities [batch][classes], rows sum to 1; may be the logits themselves */
void nn_softmax(const float *logits, int batch, int classes, float *probabilities);

#endif
