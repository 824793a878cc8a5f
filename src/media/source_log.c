#include "media/source.h"

#include <libavutil/log.h>
#include <libavutil/mem.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 256 };

/* Decoders run in the thread that calls them (thread_count is 1), so a message belongs to it. */
static _Thread_local char last_message[MESSAGE_MAX];

static void collect(void *object, int level, const char *format, va_list arguments) {
    if (level > AV_LOG_ERROR) return;
    char text[MESSAGE_MAX];
    vsnprintf(text, sizeof text, format, arguments);
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ')) text[--length] = 0;
    if (length == 0) return;
    /* FFmpeg's own prefix holds an address, which would differ from run to run. */
    const AVClass *class = object ? *(AVClass **)object : NULL;
    const char *name = class && class->item_name ? class->item_name(object) : NULL;
    size_t used = 0;
    if (name) {
        snprintf(last_message, sizeof last_message, "%.60s: ", name);
        used = strlen(last_message);
    }
    snprintf(last_message + used, sizeof last_message - used, "%s", text);
}

static void setup_once(void) {
    av_log_set_callback(collect);
    av_max_alloc(SOURCE_PIECE_MAX);
}

void source_setup(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, setup_once);
}

void source_log_clear(void) { last_message[0] = 0; }

bool source_log_any(void) { return last_message[0] != 0; }

const char *source_log_text(int code) {
    if (last_message[0] == 0 && av_strerror(code, last_message, sizeof last_message) != 0)
        snprintf(last_message, sizeof last_message, "FFmpeg's error %d", code);
    return last_message;
}
