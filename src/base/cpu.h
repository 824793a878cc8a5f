/* Which instruction set our own kernels use.
 *
 * A source file named NAME.isa.c is compiled once per set, with REL_ISA defined as baseline, avx2
 * or avx512; it names its functions REL_ISA_NAME(thing_verb). Its callers pick with
 * REL_ISA_PICK(thing_verb), once, when a plan is made. */
#ifndef REL_BASE_CPU_H
#define REL_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

enum rel_isa { REL_ISA_BASELINE, REL_ISA_AVX2, REL_ISA_AVX512 };

/* The best set of this CPU, lowered by the environment variable RELEARN_ISA (baseline | avx2 |
 * avx512). */
enum rel_isa rel_cpu_isa(void);
const char *rel_isa_name(enum rel_isa isa);
/* Tiles of bf16 (AMX) with AVX-512's instructions on bf16, unless RELEARN_ISA asks for less. The
 * first call asks the kernel to let this process use tiles; without its leave: false. */
bool rel_cpu_amx_bf16(void);
/* What kernels of this process use: "avx2", "avx512", "avx512+amx", ... */
const char *rel_cpu_isa_name(void);
/* "AMD EPYC ..." as the system calls it, cut to size. */
void rel_cpu_name(char *name, unsigned size);
/* Of the cache of level 2 (of one core) or 3 (of all), as far as the system says: 512 KiB to 2 MiB,
 * 8 to 32 MiB. More is not believed: some CPUs report the caches of all their cores as one. */
size_t rel_cpu_cache_bytes(int level);
/* CPUs usable by this process; its part of them when it shares them (rel_cpu_divide), at least 1.
 */
int rel_cpu_count(void);
void rel_cpu_divide(int processes); /* that work together on the CPUs of this one */

#define REL_ISA_JOIN2(a, b)    a##_##b
#define REL_ISA_JOIN(a, b)     REL_ISA_JOIN2(a, b)
#define REL_ISA_NAME(function) REL_ISA_JOIN(function, REL_ISA)
#define REL_ISA_PICK(function)                                                                     \
    (rel_cpu_isa() == REL_ISA_AVX512                                                               \
         ? function##_avx512                                                                       \
         : (rel_cpu_isa() == REL_ISA_AVX2 ? function##_avx2 : function##_baseline))

#endif
