/* Kernels of the tiled convolution on activations stored as float. */
#define TILED_KERNELS tiled_kernels
#define NN_BF16       0
#include "nn/tiled_body.h"
