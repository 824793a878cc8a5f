/* Kernels of the convolution by tiles on activations stored as float, in three parts each. */
#define AMX_KERNELS amx_kernels
#define NN_BF16     0
#include "nn/amx_body.h"
