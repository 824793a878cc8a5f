/* Kernels for activations in blocks of 8 channels, stored as bf16. */
#define NN_BLOCK         8
#define NN_BLOCK_KERNELS nn_block8_bf16
#define NN_BF16          1
#include "nn/block_kernels_body.h"
