/* Kernels for activations in blocks of 16 channels. */
#define NN_BLOCK         16
#define NN_BLOCK_KERNELS nn_block16_kernels
#define NN_BF16          0
#include "nn/block_kernels_body.h"
