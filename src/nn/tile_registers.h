/* AMX's tiles of 16 rows of 64 bytes: 16 x 32 bf16, 16 pairs of k x 16 x 2 bf16, or 16 x 16 floats.
 * For files compiled for AVX-512, run only where rel_cpu_amx_bf16.
 *
 * The instructions are assembly: gcc 12's intrinsics do not say what memory they read (its
 * ldtilecfg loads a configuration that was never stored), and compilers want other flags for them.
 * What TILE_LOAD reads was stored by another function, called through a pointer, or by TILE_STORE.
 */
#ifndef REL_NN_TILE_REGISTERS_H
#define REL_NN_TILE_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

#define TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile ::)
#define TILE_LOAD(tile, base, stride)                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(base), "r"((ptrdiff_t)(stride)))
#define TILE_STORE(tile, base, stride)                                                             \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(base), "r"((ptrdiff_t)(stride))  \
                     : "memory")
/* sum += a * b */
#define TILE_MULTIPLY(sum, a, b)                                                                   \
    __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::)

enum { ROW = 64 }; /* bytes of a tile's row */

static inline void tiles_configure(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } const config = {
        .palette = 1,
        .bytes = {ROW, ROW, ROW, ROW, ROW, ROW, ROW, ROW},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
}

static inline void tiles_release(void) { __asm__ volatile("tilerelease" ::); }

#endif
