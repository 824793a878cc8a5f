/* Winograd on activations stored as float. */
#define WINOGRAD_KERNELS winograd_kernels
#define NN_BF16          0
#include "nn/winograd_body.h"
