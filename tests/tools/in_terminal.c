/* For shell tests: in_terminal COLUMNS[,COLUMNS@SECONDS]... COMMAND [ARGUMENT]...
 *
 * Runs the command on a terminal of its own, that is resized when so many seconds have passed; 0
 * columns stand for Ctrl-C.
 * Prints what appears, a line for every state of a line that was ended or overwritten: the
 * columns that the terminal had, those that the text takes (characters of UTF-8), the text without
 * escape codes, and "live" before what was overwritten, "kept" before what stays. Ends with the
 * command's exit code. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, SIZES_MAX = 8 };

static struct {
    int columns;
    double at;
} sizes[SIZES_MAX];
static int size_count, size_now;
static double resized; /* when */

static char line[LINE_MAX_BYTES];
static size_t length;
static bool in_escape, in_sequence;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool parse_sizes(char *text) {
    for (char *rest, *part = strtok_r(text, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        char *end;
        if (size_count == SIZES_MAX) return false;
        sizes[size_count].columns = (int)strtol(part, &end, 10);
        if (*end == '@') sizes[size_count].at = strtod(end + 1, &end);
        if (*end || sizes[size_count].columns < 0) return false;
        size_count++;
    }
    return size_count > 0;
}

/* What is on its way when the size changes was made for the old one. */
static int columns_for_text(void) {
    int columns = sizes[size_now].columns;
    if (size_now > 0 && now() - resized < 0.5 && sizes[size_now - 1].columns > columns)
        return sizes[size_now - 1].columns;
    return columns;
}

static void line_print(const char *kind) {
    int width = 0;
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)line[i] & 0xC0) != 0x80) width++;
    if (length > 0) printf("%s %d %d %.*s\n", kind, columns_for_text(), width, (int)length, line);
    length = 0;
}

static void take(char c) {
    if (in_escape) {
        if (in_sequence ? c >= '@' : c != '[')
            in_escape = in_sequence = false;
        else if (c == '[')
            in_sequence = true;
    } else if (c == '\033') {
        in_escape = true;
    } else if (c == '\r') {
        /* A terminal ends lines with "\r\n": which of both it is, the next character says. */
        if (length < sizeof line) line[length++] = '\r';
    } else {
        bool returned = length > 0 && line[length - 1] == '\r';
        while (length > 0 && line[length - 1] == '\r') length--;
        if (c == '\n') {
            line_print("kept");
            return;
        }
        if (returned) line_print("live");
        if (length < sizeof line) line[length++] = c;
    }
}

static void resize(int terminal) {
    const struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)sizes[size_now].columns};
    ioctl(terminal, TIOCSWINSZ, &size);
    resized = now();
}

static void follow(int terminal) {
    double begun = now();
    for (;;) {
        struct pollfd input = {.fd = terminal, .events = POLLIN};
        char bytes[4096];
        poll(&input, 1, 50);
        if (size_now + 1 < size_count && now() - begun >= sizes[size_now + 1].at) {
            size_now++;
            if (sizes[size_now].columns > 0)
                resize(terminal);
            else if (write(terminal, "\003", 1) == 1)
                sizes[size_now].columns = sizes[size_now - 1].columns;
        }
        if (!(input.revents & (POLLIN | POLLHUP))) continue;
        ssize_t got = read(terminal, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return; /* EIO: the command has gone */
        for (ssize_t i = 0; i < got; i++) take(bytes[i]);
    }
}

int main(int argc, char **argv) {
    int terminal, status;
    if (argc < 3 || !parse_sizes(argv[1])) {
        fprintf(stderr, "in_terminal: COLUMNS[,COLUMNS@SECONDS]... COMMAND...\n");
        return 2;
    }
    const struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)sizes[0].columns};
    pid_t child = forkpty(&terminal, NULL, NULL, &size);
    if (child < 0) return 3;
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    follow(terminal);
    line_print("kept");
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
