#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"baseline", "avx2", "avx512"};

static enum rel_isa best_of_cpu(void) {
    if (__builtin_cpu_supports("x86-64-v4")) return REL_ISA_AVX512;
    if (__builtin_cpu_supports("x86-64-v3")) return REL_ISA_AVX2;
    return REL_ISA_BASELINE;
}

enum rel_isa rel_cpu_isa(void) {
    enum rel_isa best = best_of_cpu();
    const char *wanted = getenv("RELEARN_ISA");
    for (int isa = 0; wanted && isa < (int)best; isa++)
        if (strcmp(wanted, names[isa]) == 0) return (enum rel_isa)isa;
    return best;
}

const char *rel_isa_name(enum rel_isa isa) { return names[isa]; }

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

int rel_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
