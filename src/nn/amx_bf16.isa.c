/* Kernels of the convolution by tiles on activations stored as bf16. */
#define AMX_KERNELS amx_bf16
#define NN_BF16     1
#include "nn/amx_body.h"
