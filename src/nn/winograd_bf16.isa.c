/* Winograd on activations stored as bf16. */
#define WINOGRAD_KERNELS winograd_bf16
#define NN_BF16          1
#include "nn/winograd_body.h"
