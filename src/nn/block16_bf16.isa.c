/* Kernels for activations in blocks of 16 channels, stored as bf16. */
#define NN_BLOCK         16
#define NN_BLOCK_KERNELS nn_block16_bf16
#define NN_BF16          1
#include "nn/block_kernels_body.h"
