/* For LD_PRELOAD: an odd world around the program.
 *
 *   WORLD_LOCALE=1      the locale of the environment, as a library of the program may set it
 *   WORLD_CLOCK=SECONDS the time of day goes by so many seconds with each second that passes, so
 *                       that a negative number sets it back ever further; timers are not touched
 *   WORLD_PAGES=N       the machine has so many pages of memory */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);

static double seconds_of(const struct timespec *time) {
    return (double)time->tv_sec + 1e-9 * (double)time->tv_nsec;
}

/* The time of day when the process began, and what timers said then. */
static double day_begun, timer_begun;

__attribute__((constructor)) static void world_begin(void) {
    struct timespec day, timer;
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_gettime(CLOCK_REALTIME, &day);
    real_gettime(CLOCK_MONOTONIC, &timer);
    day_begun = seconds_of(&day);
    timer_begun = seconds_of(&timer);
    if (getenv("WORLD_LOCALE")) setlocale(LC_ALL, "");
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *time) {
    const char *rate = getenv("WORLD_CLOCK");
    if (!real_gettime) *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME || !rate || day_begun == 0) return real_gettime(clock, time);
    struct timespec timer;
    real_gettime(CLOCK_MONOTONIC, &timer);
    double now = day_begun + (seconds_of(&timer) - timer_begun) * strtod(rate, NULL);
    time->tv_sec = (time_t)now;
    time->tv_nsec = (long)((now - (double)time->tv_sec) * 1e9);
    return 0;
}

__attribute__((visibility("default"))) time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict out,
                                                        void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

__attribute__((visibility("default"))) long sysconf(int name) {
    static long (*real)(int);
    const char *pages = getenv("WORLD_PAGES");
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return name == _SC_PHYS_PAGES && pages ? strtol(pages, NULL, 10) : real(name);
}
