#include "base/cpu.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[] = {"baseline", "avx2", "avx512"};

static enum rel_isa best_of_cpu(void) {
    /* The levels of the x86-64 psABI, spelled out: clang 14 does not know them by name. */
    unsigned a, b, c = 0, d, extended = 0;
    __get_cpuid(1, &a, &b, &c, &d);
    __get_cpuid(0x80000001, &a, &b, &extended, &d);
    bool v3 = (c & bit_MOVBE) && (c & bit_F16C) && (extended & bit_LZCNT) &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    return v4 ? REL_ISA_AVX512 : v3 ? REL_ISA_AVX2 : REL_ISA_BASELINE;
}

enum rel_isa rel_cpu_isa(void) {
    enum rel_isa best = best_of_cpu();
    const char *wanted = secure_getenv("RELEARN_ISA");
    for (int isa = 0; wanted && isa < (int)best; isa++)
        if (strcmp(wanted, names[isa]) == 0) return (enum rel_isa)isa;
    return best;
}

static bool amx_granted;

static void ask_for_amx(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5, TILE_DATA = 18 };
    unsigned a = 0, b, c, d = 0, more = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE)) return;
    if (!__get_cpuid_count(7, 1, &more, &b, &c, &d) || !(more & AVX512_BF16)) return;
    /* Refused by kernels before 5.16, and where the system keeps tiles switched off. */
    amx_granted = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

bool rel_cpu_amx_bf16(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (rel_cpu_isa() != REL_ISA_AVX512) return false;
    pthread_once(&once, ask_for_amx);
    return amx_granted;
}

const char *rel_isa_name(enum rel_isa isa) { return names[isa]; }

const char *rel_cpu_isa_name(void) {
    return rel_cpu_amx_bf16() ? "avx512+amx" : names[rel_cpu_isa()];
}

void rel_cpu_name(char *name, unsigned size) {
    char line[256];
    snprintf(name, size, "unknown CPU");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon += 1 + strspn(colon + 1, " ");
        snprintf(name, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    fclose(file);
}

size_t rel_cpu_cache_bytes(int level) {
    const long least = level == 2 ? 512L << 10 : 8L << 20, most = level == 2 ? 2L << 20 : 32L << 20;
    long bytes = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
    return (size_t)(bytes < least ? least : bytes > most ? most : bytes);
}

static int dividing = 1; /* processes */

void rel_cpu_divide(int processes) { dividing = processes > 1 ? processes : 1; }

int rel_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set) / dividing;
    return count > 0 ? count : 1;
}
