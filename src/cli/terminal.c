#include "cli/terminal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_MIN = 10, BAR_MAX = 30 };
static const double show_after = 2.0;   /* seconds: shorter work needs no bar */
static const double goes_on = 1.0;      /* seconds: a bar so soon behind another shows at once */
static const double plain_every = 30.0; /* seconds between lines where there is no terminal */
static const double settle = 10.0;      /* seconds over which the rate is smoothed */

static struct {
    pthread_mutex_t lock;
    bool is_terminal, colour, quiet, debug, silent;
    bool drawn;     /* a bar stands on the last line */
    char label[64]; /* of the work under way; "" when there is none */
    double begun, last_seen, last_plain, last_drawn;
    uint64_t last_done;
    double rate; /* units a second, smoothed */
    char line[PROGRESS_LINE_MAX];
} terminal = {.lock = PTHREAD_MUTEX_INITIALIZER};

int terminal_columns(int descriptor) {
    const char *text = getenv("COLUMNS");
    char *end;
    long columns = text ? strtol(text, &end, 10) : 0;
    if (text && *text && !*end && columns > 0 && columns < 10000) return (int)columns;
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

/* --- composing --- */

/* Characters of UTF-8, taken as one column each. */
static int text_width(const char *text) {
    int width = 0;
    for (; *text; text++)
        if (((unsigned char)*text & 0xC0) != 0x80) width++;
    return width;
}

/* Cuts UTF-8 text to `width` characters. */
static void text_cut(char *text, int width) {
    for (; *text; text++) {
        if (((unsigned char)*text & 0xC0) == 0x80) continue;
        if (width-- == 0) {
            *text = 0;
            return;
        }
    }
}

static void format_rate(double rate, const char *unit, char *text, size_t size) {
    int decimals = rate >= 100 ? 0 : rate >= 10 ? 1 : 2;
    snprintf(text, size, "%.*f%s%s/s", decimals, rate, unit ? " " : "", unit ? unit : "");
}

static void format_left(double seconds, char *text, size_t size) {
    char duration[DURATION_BYTES];
    duration_text(seconds, duration);
    snprintf(text, size, "%s left", duration);
}

enum field { FIELD_LABEL, FIELD_PERCENT, FIELD_COUNT, FIELD_RATE, FIELD_LEFT, FIELD_NOTE, FIELDS };
enum { FIELD_MAX = 96 };

static void compose_fields(const struct progress_event *event, double rate,
                           char fields[FIELDS][FIELD_MAX]) {
    memset(fields, 0, FIELDS * FIELD_MAX);
    const char *unit = event->unit ? event->unit : "";
    snprintf(fields[FIELD_LABEL], FIELD_MAX, "%s", event->label ? event->label : "");
    if (event->total > 0) {
        uint64_t done = event->done < event->total ? event->done : event->total;
        snprintf(fields[FIELD_PERCENT], FIELD_MAX, "%3d%%",
                 (int)(100.0 * (double)done / (double)event->total));
        snprintf(fields[FIELD_COUNT], FIELD_MAX, "%llu/%llu %s", (unsigned long long)done,
                 (unsigned long long)event->total, unit);
        uint64_t left = event->total - done + event->scale.following;
        if (rate > 0 && left > 0) format_left((double)left / rate, fields[FIELD_LEFT], FIELD_MAX);
    } else {
        snprintf(fields[FIELD_COUNT], FIELD_MAX, "%llu %s", (unsigned long long)event->done, unit);
    }
    if (rate > 0)
        format_rate(event->scale.unit ? rate * event->scale.per_unit : rate, event->scale.unit,
                    fields[FIELD_RATE], FIELD_MAX);
    if (event->note) snprintf(fields[FIELD_NOTE], FIELD_MAX, "%s", event->note);
}

/* Appends to line, which has room for it. */
static void append(char line[PROGRESS_LINE_MAX], size_t *length, const char *text) {
    size_t size = strlen(text);
    if (*length + size >= PROGRESS_LINE_MAX) size = PROGRESS_LINE_MAX - 1 - *length;
    for (size_t i = 0; i < size; i++) /* names of files may hold anything */
        line[*length + i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    *length += size;
    line[*length] = 0;
}

static void append_bar(char line[PROGRESS_LINE_MAX], size_t *length,
                       const struct progress_event *event, int width) {
    char bar[BAR_MAX + 4] = "";
    int inside = width - 2;
    int filled = (int)((double)inside * (double)event->done / (double)event->total);
    if (filled > inside) filled = inside;
    bar[0] = '[';
    memset(bar + 1, '#', (size_t)filled);
    memset(bar + 1 + filled, '.', (size_t)(inside - filled));
    bar[1 + inside] = ']';
    append(line, length, bar);
    append(line, length, "  ");
}

/* Cuts off what stands behind the last two blanks; false if there are none. */
static bool drop_last_part(char *text, int *width) {
    char *last = NULL;
    for (char *at = text; (at = strstr(at, "  ")) != NULL; at += 2) last = at;
    if (!last) return false;
    *width -= text_width(last);
    *last = 0;
    return true;
}

int progress_compose(const struct progress_event *event, double rate, bool bar, int columns,
                     char line[PROGRESS_LINE_MAX]) {
    static const enum field expendable[] = {FIELD_COUNT, FIELD_RATE, FIELD_NOTE, FIELD_LEFT,
                                            FIELD_PERCENT};
    char fields[FIELDS][FIELD_MAX];
    compose_fields(event, rate, fields);
    if (columns > PROGRESS_LINE_MAX / 4) columns = PROGRESS_LINE_MAX / 4;

    int width = -2;
    for (int f = 0; f < FIELDS; f++)
        if (fields[f][0]) width += text_width(fields[f]) + 2;
    for (size_t i = 0; i < sizeof expendable / sizeof *expendable && width > columns; i++) {
        char *field = fields[expendable[i]];
        if (!field[0]) continue;
        while (width > columns && drop_last_part(field, &width)) {
        }
        if (width <= columns) break;
        width -= text_width(field) + 2;
        field[0] = 0;
    }
    if (width > columns) {
        text_cut(fields[FIELD_LABEL], columns);
        width = columns;
    }
    int bar_width = columns - width - 2;
    if (bar_width > BAR_MAX) bar_width = BAR_MAX;
    bool with_bar = bar && event->total > 0 && bar_width >= BAR_MIN;

    size_t length = 0;
    line[0] = 0;
    for (int f = 0; f < FIELDS; f++) {
        if (f == FIELD_COUNT && with_bar) append_bar(line, &length, event, bar_width);
        if (!fields[f][0]) continue;
        append(line, &length, fields[f]);
        append(line, &length, "  ");
    }
    while (length > 0 && line[length - 1] == ' ') line[--length] = 0;
    return text_width(line);
}

/* --- showing --- */

/* Terminals wrap a line anew that has become wider than they are: it is taken away from its first
 * row on. */
static void clear_bar(void) {
    if (!terminal.drawn) return;
    int columns = terminal_columns(STDERR_FILENO);
    int rows = (text_width(terminal.line) - 1) / columns;
    if (rows > 0)
        fprintf(stderr, "\r\033[%dA\033[J", rows);
    else
        fputs("\r\033[K", stderr);
}

static void draw_bar(void) {
    if (!terminal.drawn) return;
    fputs(terminal.line, stderr);
    fflush(stderr);
}

static void follow_rate(const struct progress_event *event, double now) {
    double elapsed = now - terminal.begun, step = now - terminal.last_seen;
    if (elapsed < settle) {
        terminal.rate = elapsed > 0 ? (double)event->done / elapsed : 0;
    } else if (step > 0 && event->done >= terminal.last_done) {
        double current = (double)(event->done - terminal.last_done) / step;
        terminal.rate += (1 - exp(-step / settle)) * (current - terminal.rate);
    }
    terminal.last_seen = now;
    terminal.last_done = event->done;
}

/* Work that failed never says that it ended: the next label, or a count that falls, says it. */
static bool is_same_work(const struct progress_event *event) {
    return terminal.label[0] && event->done >= terminal.last_done &&
           strncmp(terminal.label, event->label, sizeof terminal.label - 1) == 0;
}

static void on_progress(const struct progress_event *event, void *context) {
    (void)context;
    pthread_mutex_lock(&terminal.lock);
    double now = clock_seconds();
    if (!is_same_work(event)) {
        snprintf(terminal.label, sizeof terminal.label, "%s", event->label);
        terminal.begun = terminal.last_seen = terminal.last_plain = now;
        terminal.last_done = 0;
        terminal.rate = 0;
    }
    follow_rate(event, now);
    if (event->finished) {
        clear_bar();
        terminal.drawn = false;
        terminal.label[0] = 0;
        fflush(stderr);
    } else if (terminal.quiet) {
        /* nothing */
    } else if (terminal.is_terminal &&
               (now - terminal.begun >= show_after ||
                (terminal.last_drawn > 0 && now - terminal.last_drawn < goes_on))) {
        clear_bar();
        /* The last column stays free: some terminals wrap when it is written. */
        progress_compose(event, terminal.rate, true, terminal_columns(STDERR_FILENO) - 1,
                         terminal.line);
        terminal.drawn = true;
        terminal.last_drawn = now;
        draw_bar();
    } else if (!terminal.is_terminal && now - terminal.last_plain >= plain_every) {
        char line[PROGRESS_LINE_MAX];
        progress_compose(event, terminal.rate, false, PROGRESS_LINE_MAX, line);
        fprintf(stderr, "relearn: %s\n", line);
        terminal.last_plain = now;
    }
    pthread_mutex_unlock(&terminal.lock);
}

static void print_line(const char *colour, const char *kind, const char *message) {
    if (terminal.silent) return;
    clear_bar();
    if (terminal.colour)
        fprintf(stderr, "\033[%smrelearn:%s\033[0m %s\n", colour, kind, message);
    else
        fprintf(stderr, "relearn:%s %s\n", kind, message);
    draw_bar();
    fflush(stderr);
}

/* On a terminal a stage is one line, with what fits. */
static void print_stage(const char *message) {
    char line[PROGRESS_LINE_MAX];
    snprintf(line, sizeof line, "%s", message);
    int columns = terminal_columns(STDERR_FILENO) - (int)sizeof "relearn:";
    int width = text_width(line);
    while (terminal.is_terminal && width > columns && drop_last_part(line, &width)) {
    }
    print_line("0", "", line);
}

static void on_log(enum rel_log_level level, const char *message, void *context) {
    (void)context;
    pthread_mutex_lock(&terminal.lock);
    if (level == REL_LOG_WARNING)
        print_line("33", " warning:", message);
    else if (level == REL_LOG_STAGE && !terminal.quiet)
        print_stage(message);
    else if ((level == REL_LOG_NOTE && !terminal.quiet) || terminal.debug)
        print_line("0", "", message);
    pthread_mutex_unlock(&terminal.lock);
}

void terminal_error(const char *message) {
    terminal_finish();
    pthread_mutex_lock(&terminal.lock);
    print_line("31", "", message);
    pthread_mutex_unlock(&terminal.lock);
}

void terminal_finish(void) {
    pthread_mutex_lock(&terminal.lock);
    clear_bar();
    terminal.drawn = false;
    fflush(stderr);
    pthread_mutex_unlock(&terminal.lock);
}

void terminal_set_silent(bool silent) {
    terminal.silent = silent;
    if (silent) terminal.quiet = true;
}

void terminal_set_quiet(void) { terminal.quiet = true; }

void terminal_init(void) {
    const char *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    const char *debug = getenv("RELEARN_DEBUG");
    terminal.is_terminal = isatty(STDERR_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
    terminal.colour = terminal.is_terminal && !(no_colour && *no_colour);
    terminal.debug = debug && *debug;
    rel_log_set_sink(on_log, NULL);
    progress_set_sink(on_progress, NULL);
}
