/* Warnings and notes. Nothing below the command line prints: it installs a sink. */
#ifndef REL_BASE_LOG_H
#define REL_BASE_LOG_H

enum rel_log_level {
    REL_LOG_DEBUG,
    REL_LOG_NOTE,
    REL_LOG_STAGE, /* what a stage of long work came to: fields divided by two blanks, the least
                      important last */
    REL_LOG_WARNING
};

typedef void (*rel_log_sink)(enum rel_log_level level, const char *message, void *context);

/* May be called from any thread; the sink is called under a lock. Without a sink messages are
 * dropped. */
void rel_log(enum rel_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void rel_log_set_sink(rel_log_sink sink, void *context);

#endif
