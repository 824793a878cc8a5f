#include "support/socket_ranks.h"

#include "comm/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GOODBYE = -1, LEAVE_SECONDS = 10 };

struct header {
    int32_t channel, unused;
    uint64_t size;
    double due; /* clock_seconds at which it has arrived */
};

struct node { /* a message that was posted, or one that came before anybody asked */
    struct node *next;
    struct header header;
    char *bytes;
    size_t moved; /* of header and bytes when sent, of bytes when received */
    bool done, owned;
};

struct queue {
    struct node *first, **end;
};

struct peer {
    int fd;
    struct queue out;
    struct queue posted[COMM_CHANNELS], early[COMM_CHANNELS];
    struct header header; /* of what comes in */
    size_t header_read;
    struct node *incoming;
    bool left, broken;
};

struct ranks {
    int rank, size;
    struct socket_ranks_config config;
    struct peer peers[SOCKET_RANKS_MAX];
    double departs; /* when what was sent so far has left */
    volatile int *abort_code;
    uint64_t sent[COMM_CHANNELS];
};
static struct ranks here;

static void queue_add(struct queue *queue, struct node *node) {
    node->next = NULL;
    *queue->end = node;
    queue->end = &node->next;
}
static struct node *queue_take(struct queue *queue) {
    struct node *node = queue->first;
    if (!node) return NULL;
    queue->first = node->next;
    if (!queue->first) queue->end = &queue->first;
    return node;
}
static void queue_remove(struct queue *queue, const struct node *node) {
    struct node **at = &queue->first;
    while (*at && *at != node) at = &(*at)->next;
    if (!*at) return;
    *at = node->next;
    if (queue->end == &node->next) queue->end = at;
}

static struct node *node_make(int channel, const void *bytes, size_t size) {
    struct node *node = calloc(1, sizeof *node);
    if (!node) abort();
    node->header.channel = channel;
    node->header.size = size;
    node->bytes = (char *)bytes;
    return node;
}

/* --- moving bytes --- */

static void peer_write(struct peer *peer) {
    while (peer->out.first && !peer->broken) {
        struct node *node = peer->out.first;
        size_t head = sizeof node->header;
        bool in_head = node->moved < head;
        const char *from = in_head ? (const char *)&node->header + node->moved
                                   : node->bytes + (node->moved - head);
        size_t left = in_head ? head - node->moved : node->header.size + head - node->moved;
        if (left > 0) {
            ssize_t sent = send(peer->fd, from, left, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (sent < 0) {
                peer->broken = true;
                return;
            }
            node->moved += (size_t)sent;
        }
        if (node->moved < head + node->header.size) continue;
        node->done = true;
        queue_take(&peer->out);
    }
}

/* False: nothing came. */
static bool bytes_read(struct peer *peer, char *to, size_t left, size_t *moved) {
    ssize_t got = recv(peer->fd, to, left, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        peer->broken = true;
        return false;
    }
    *moved += (size_t)got;
    return true;
}

static void peer_read(struct peer *peer) {
    while (!peer->left && !peer->broken) {
        if (!peer->incoming) {
            if (!bytes_read(peer, (char *)&peer->header + peer->header_read,
                            sizeof peer->header - peer->header_read, &peer->header_read))
                return;
            if (peer->header_read < sizeof peer->header) continue;
            peer->header_read = 0;
            int channel = peer->header.channel;
            if (channel == GOODBYE) {
                peer->left = true;
                return;
            }
            peer->incoming = queue_take(&peer->posted[channel]);
            if (peer->incoming && peer->incoming->header.size != peer->header.size) abort();
            if (!peer->incoming) {
                peer->incoming = node_make(channel, malloc(peer->header.size), peer->header.size);
                if (!peer->incoming->bytes) abort();
                peer->incoming->owned = true;
            }
            peer->incoming->header = peer->header;
        }
        struct node *node = peer->incoming;
        if (node->moved < node->header.size &&
            !bytes_read(peer, node->bytes + node->moved, node->header.size - node->moved,
                        &node->moved))
            return;
        if (node->moved < node->header.size) continue;
        node->done = true;
        peer->incoming = NULL;
        if (node->owned) queue_add(&peer->early[node->header.channel], node);
    }
}

static void all_move(void) {
    for (int r = 0; r < here.size; r++) {
        if (r == here.rank) continue;
        peer_write(&here.peers[r]);
        peer_read(&here.peers[r]);
    }
}

/* --- the transport --- */

static const char *ranks_join(void **state, int *rank, int *size) {
    *state = &here;
    *rank = here.rank;
    *size = here.size;
    return NULL;
}

static const char *ranks_send(void *state, int peer, int channel, const void *bytes, size_t size,
                              struct comm_message *message) {
    (void)state;
    struct node *node = node_make(channel, bytes, size);
    double now = clock_seconds();
    here.sent[channel]++;
    if (here.departs < now) here.departs = now;
    if (here.config.bytes_per_second > 0)
        here.departs += (double)size / here.config.bytes_per_second;
    node->header.due = here.departs + here.config.latency;
    message->words[0] = node;
    message->words[1] = &here.peers[peer].out;
    queue_add(&here.peers[peer].out, node);
    message->words[2] = &here.peers[peer];
    peer_write(&here.peers[peer]);
    return NULL;
}

static const char *ranks_receive(void *state, int from, int channel, void *bytes, size_t size,
                                 struct comm_message *message) {
    (void)state;
    struct peer *peer = &here.peers[from];
    struct node *early = queue_take(&peer->early[channel]);
    struct node *node = node_make(channel, bytes, size);
    message->words[0] = node;
    message->words[1] = &peer->posted[channel];
    message->words[2] = peer;
    if (early) {
        if (early->header.size != size) abort();
        memcpy(bytes, early->bytes, size);
        node->header = early->header;
        node->done = true;
        free(early->bytes);
        free(early);
    } else if (peer->incoming && peer->incoming->owned &&
               peer->incoming->header.channel == channel && !peer->posted[channel].first) {
        /* It is just coming in: let it go on into the caller's memory. */
        struct node *half = peer->incoming;
        if (half->header.size != size) abort();
        memcpy(bytes, half->bytes, half->moved);
        node->header = half->header;
        node->moved = half->moved;
        peer->incoming = node;
        free(half->bytes);
        free(half);
    } else {
        queue_add(&peer->posted[channel], node);
    }
    return NULL;
}

static const char *ranks_test(void *state, struct comm_message *message, bool *done) {
    (void)state;
    struct node *node = message->words[0];
    const struct peer *peer = message->words[2];
    all_move();
    *done = node->done && (message->words[1] == &peer->out || clock_seconds() >= node->header.due);
    if (*done) {
        free(node);
        message->words[0] = NULL;
        return NULL;
    }
    if (!node->done && peer->broken) return "has ended";
    return NULL;
}

static void ranks_cancel(void *state, struct comm_message *message) {
    (void)state;
    struct node *node = message->words[0];
    struct peer *peer = message->words[2];
    if (!node) return;
    queue_remove(message->words[1], node);
    if (peer->incoming == node) peer->broken = true, peer->incoming = NULL;
    free(node);
}

static void queue_free(struct queue *queue) {
    for (struct node *node; (node = queue_take(queue)) != NULL;) {
        if (node->owned) free(node->bytes);
        free(node);
    }
}

/* As MPI_Finalize does: not before the others are here too. */
static void ranks_leave(void *state, bool orderly) {
    (void)state;
    static struct node goodbyes[SOCKET_RANKS_MAX];
    double until = clock_seconds() + LEAVE_SECONDS;
    bool all = !orderly;
    for (int r = 0; orderly && r < here.size; r++) {
        goodbyes[r] = (struct node){.header.channel = GOODBYE};
        if (r != here.rank) queue_add(&here.peers[r].out, &goodbyes[r]);
    }
    while (!all && clock_seconds() < until) {
        all = true;
        all_move();
        for (int r = 0; r < here.size; r++)
            if (r != here.rank && !here.peers[r].broken)
                all = all && here.peers[r].left && !here.peers[r].out.first;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    for (int r = 0; r < here.size; r++) {
        struct peer *peer = &here.peers[r];
        for (int c = 0; c < COMM_CHANNELS; c++) queue_free(&peer->early[c]);
        if (peer->incoming && peer->incoming->owned) free(peer->incoming->bytes);
        if (peer->incoming && peer->incoming->owned) free(peer->incoming);
        if (r != here.rank) close(peer->fd);
    }
}

static void ranks_abort(void *state, int code) {
    (void)state;
    *here.abort_code = code;
    _exit(code);
}

static const struct comm_transport socket_transport = {
    .name = "sockets",
    .abi = COMM_TRANSPORT_ABI,
    .join = ranks_join,
    .send = ranks_send,
    .receive = ranks_receive,
    .test = ranks_test,
    .cancel = ranks_cancel,
    .leave = ranks_leave,
    .abort = ranks_abort,
};

uint64_t socket_ranks_sent(void) {
    uint64_t sent = 0;
    for (int c = 0; c < CHANNEL_PULSE; c++) sent += here.sent[c];
    return sent;
}

/* --- processes --- */

static void here_make(int rank, int ranks, int (*pairs)[SOCKET_RANKS_MAX],
                      const struct socket_ranks_config *config, volatile int *abort_code) {
    here = (struct ranks){.rank = rank, .size = ranks, .abort_code = abort_code};
    if (config) here.config = *config;
    for (int a = 0; a < ranks; a++)
        for (int b = 0; b < ranks; b++)
            if (a != b && a != rank) close(pairs[a][b]);
    for (int r = 0; r < ranks; r++) {
        struct peer *peer = &here.peers[r];
        peer->fd = r == rank ? -1 : pairs[rank][r];
        peer->out.end = &peer->out.first;
        for (int c = 0; c < COMM_CHANNELS; c++) {
            peer->posted[c].end = &peer->posted[c].first;
            peer->early[c].end = &peer->early[c].first;
        }
    }
}

static int rank_main(int (*body)(struct comm *comm, void *context), void *context) {
    struct comm comm;
    const struct comm_config config = {.patience = here.config.patience,
                                       .grace = here.config.grace,
                                       .on_lost = here.config.on_lost,
                                       .context = &comm};
    if (comm_join_by(&comm, &socket_transport, &config) != REL_OK) return 99;
    int code = body(&comm, context);
    comm_leave(&comm);
    return code;
}

/* Waits for all; kills the rest when one aborts. */
static void processes_wait(int ranks, const pid_t *processes, const volatile int *abort_code,
                           int *codes) {
    for (int left = ranks; left > 0;) {
        int status;
        pid_t ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) return;
        for (int r = 0; r < ranks; r++) {
            if (processes[r] != ended) continue;
            left--;
            codes[r] =
                WIFEXITED(status) ? WEXITSTATUS(status) : SOCKET_RANK_KILLED + WTERMSIG(status);
        }
        for (int r = 0; *abort_code && r < ranks; r++)
            if (codes[r] < 0) kill(processes[r], SIGKILL);
    }
}

int socket_ranks_run(int ranks, const struct socket_ranks_config *config,
                     int (*body)(struct comm *comm, void *context), void *context, int *codes) {
    int pairs[SOCKET_RANKS_MAX][SOCKET_RANKS_MAX], own[SOCKET_RANKS_MAX], bad = 0;
    pid_t processes[SOCKET_RANKS_MAX];
    int *abort_code =
        mmap(NULL, sizeof *abort_code, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ranks > SOCKET_RANKS_MAX || abort_code == MAP_FAILED) return -1;
    if (!codes) codes = own;
    for (int a = 0; a < ranks; a++)
        for (int b = a + 1; b < ranks; b++) {
            int pair[2];
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return -1;
            pairs[a][b] = pair[0];
            pairs[b][a] = pair[1];
        }
    fflush(NULL);
    for (int r = 0; r < ranks; r++) {
        codes[r] = -1;
        processes[r] = fork();
        if (processes[r] == 0) {
            here_make(r, ranks, pairs, config, abort_code);
            int code = rank_main(body, context);
            fflush(NULL);
            _exit(code);
        }
    }
    for (int a = 0; a < ranks; a++)
        for (int b = 0; b < ranks; b++)
            if (a != b) close(pairs[a][b]);
    processes_wait(ranks, processes, abort_code, codes);
    munmap(abort_code, sizeof *abort_code);
    for (int r = 0; r < ranks; r++) bad |= codes[r] != 0;
    return bad;
}
