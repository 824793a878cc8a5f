/* Kernels for activations in blocks of 8 channels. */
#define NN_BLOCK         8
#define NN_BLOCK_KERNELS nn_block8_kernels
#define NN_BF16          0
#include "nn/block_kernels_body.h"
