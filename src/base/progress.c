#include "base/progress.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static const double interval = 0.1; /* seconds between reports */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static progress_sink current_sink;
static void *current_context;
static struct progress_event current;
static char label_kept[128], unit_kept[32], rate_unit_kept[32], note_kept[128];
static double reported;

static _Atomic uint64_t ticks;
static _Atomic bool interrupted; /* lock-free, so a signal handler may set it */

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }
double clock_wall_seconds(void) { return seconds_of(CLOCK_REALTIME); }
double clock_process_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

void progress_tick(void) { atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed); }
uint64_t progress_ticks(void) { return atomic_load_explicit(&ticks, memory_order_relaxed); }

void progress_set_sink(progress_sink sink, void *context) {
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_context = context;
    pthread_mutex_unlock(&lock);
}

static void report(const char *note) {
    progress_tick();
    current.note = NULL;
    if (note) {
        snprintf(note_kept, sizeof note_kept, "%s", note);
        current.note = note_kept;
    }
    reported = clock_seconds();
    if (current_sink) current_sink(&current, current_context);
}

void progress_begin(const char *label, const char *unit, uint64_t total) {
    progress_begin_scaled(label, unit, total, &(struct progress_scale){.per_unit = 1});
}

void progress_begin_scaled(const char *label, const char *unit, uint64_t total,
                           const struct progress_scale *scale) {
    pthread_mutex_lock(&lock);
    snprintf(label_kept, sizeof label_kept, "%s", label);
    snprintf(unit_kept, sizeof unit_kept, "%s", unit);
    current = (struct progress_event){
        .label = label_kept, .unit = unit_kept, .total = total, .scale = *scale};
    if (scale->unit) {
        snprintf(rate_unit_kept, sizeof rate_unit_kept, "%s", scale->unit);
        current.scale.unit = rate_unit_kept;
    }
    report(NULL);
    pthread_mutex_unlock(&lock);
}

void progress_update(uint64_t done, const char *note) {
    progress_tick();
    pthread_mutex_lock(&lock);
    current.done = done;
    if (current.label && current_sink && clock_seconds() - reported >= interval) report(note);
    pthread_mutex_unlock(&lock);
}

void progress_end(const char *note) {
    pthread_mutex_lock(&lock);
    current.finished = true;
    if (current.label) report(note);
    current = (struct progress_event){0};
    pthread_mutex_unlock(&lock);
}

void duration_text(double seconds, char text[DURATION_BYTES]) {
    int whole = seconds < 35999999 ? (int)ceil(seconds) : 35999999; /* 9999:59:59 */
    if (whole >= 3600)
        snprintf(text, DURATION_BYTES, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, DURATION_BYTES, "%d:%02d", whole / 60, whole % 60);
}

bool interrupt_request(void) { return atomic_exchange(&interrupted, true); }
bool interrupt_requested(void) { return interrupted; }
void interrupt_clear(void) { interrupted = false; }
