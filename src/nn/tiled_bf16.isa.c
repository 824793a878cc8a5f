/* Kernels of the tiled convolution on activations stored as bf16. */
#define TILED_KERNELS tiled_bf16
#define NN_BF16       1
#include "nn/tiled_body.h"
