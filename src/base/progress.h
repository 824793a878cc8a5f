/* Progress events. Work reports; the command line decides what to show. */
#ifndef REL_BASE_PROGRESS_H
#define REL_BASE_PROGRESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct progress_event {
    const char *label;    /* "train epoch 3/90" */
    const char *unit;     /* "samples" */
    uint64_t done, total; /* total 0: unknown */
    bool finished;
    const char
        *note; /* "loss 1.234", or NULL; fields divided by two blanks, as in a stage's line */
    struct progress_scale {
        const char *unit;   /* that the rate is in, "samples"; NULL: `unit` of the event */
        double per_unit;    /* of those in one of the event's */
        uint64_t following; /* units of like work behind `total`: the time left is that of all */
    } scale;
};

typedef void (*progress_sink)(const struct progress_event *event, void *context);
void progress_set_sink(progress_sink sink, void *context);

/* Reports are cheap and may be frequent: the sink is called at most ten times a second and at begin
 * and end. One at a time per process; any thread. */
void progress_begin(const char *label, const char *unit, uint64_t total);
void progress_begin_scaled(const char *label, const char *unit, uint64_t total,
                           const struct progress_scale *scale);
void progress_update(uint64_t done, const char *note);
void progress_end(const char *note);

/* Says that work goes on, to those who wait for this process (comm's signs of life). To be called
 * by whatever may compute for more than some seconds, once for each part that takes less; reports
 * do. An atomic addition; any thread. */
void progress_tick(void);
uint64_t progress_ticks(void); /* so far */

/* Ctrl-C: the signal handler requests, long work asks at every step and returns ERR_INTERRUPTED
 * after saving. */
/* Async-signal-safe. Tells whether it was requested before: of two signals that two threads get at
 * the same moment one is the second. */
bool interrupt_request(void);
bool interrupt_requested(void);
void interrupt_clear(void);

enum { DURATION_BYTES = 16 };
/* "1:15", "2:00:00"; whole seconds, upwards; at most 9999:59:59. */
void duration_text(double seconds, char text[DURATION_BYTES]);

double clock_seconds(void);         /* monotonic */
double clock_wall_seconds(void);    /* since 1970 */
double clock_process_seconds(void); /* of CPUs that this process has used */

#endif
