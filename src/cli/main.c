/* relearn: balanced multimodal training by Diagnosing & Re-learning. See command.h for how the
 * commands are organised. */
#include "cli/command.h"
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

/* The first Ctrl-C asks; long work saves and returns. The second ends the process at once. */
static void on_interrupt(int signal_number) {
    (void)signal_number;
    static const char message[] =
        "\nrelearn: stopping as soon as what is done is saved (again to stop at once)\n";
    const int error = errno; /* of whatever was just at work */
    if (interrupt_request()) _exit(EXIT_INTERRUPTED);
    if (isatty(STDERR_FILENO)) {
        ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        (void)written; /* nothing to be done about it here */
    }
    errno = error;
}

/* The terminal has gone: shell and kernel may both say so, so that twice means no more than once.
 */
static void on_hangup(int signal_number) {
    (void)signal_number;
    interrupt_request();
}

static void install_signals(void) {
    struct sigaction interrupt = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, before;
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &interrupt, NULL);
    struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    /* A scheduler's notice before the end; mpirun passes it on. */
    sigaction(SIGUSR1, &hangup, NULL);
    /* nohup's wish is kept. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &hangup, NULL);
    /* A run must survive the death of whatever reads its messages; stdout is looked at in
     * output_close. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

static void show_overview(FILE *stream) {
    struct rel_text text = {0};
    manual_overview(&text, terminal_columns(fileno(stream)));
    if (text.data) fputs(text.data, stream);
    rel_text_release(&text);
}

static rel_status dispatch(int argc, char **argv) {
    if (argc < 2) {
        show_overview(stderr);
        return rel_fail(REL_ERR_USAGE, "no command given (see the list above)");
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        show_overview(stdout);
        return REL_OK;
    }
    if (strcmp(name, "--version") == 0) {
        output_text("relearn %s\n", REL_VERSION);
        return REL_OK;
    }
    const struct command *command = command_find(name);
    if (!command) return command_unknown(name);
    return command_run(command, argc - 2, argv + 2);
}

int main(int argc, char **argv) {
    install_signals();
    terminal_init();
    rel_status status = dispatch(argc, argv);
    terminal_finish();
    if (status != REL_OK) terminal_error(rel_error_message());
    rel_status closed = output_close();
    if (status == REL_OK && closed != REL_OK) terminal_error(rel_error_message());
    return rel_status_exit_code(status != REL_OK ? status : closed);
}
