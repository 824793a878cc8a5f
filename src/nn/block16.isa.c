/* Kernels for activations in blocks of 16 channels. */
#define NN_BLOCK         16
#define NN_BLOCK_KERNELS nn_block16_kernels
#include "nn/block_kernels_body.h"
