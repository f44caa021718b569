/* The limit of a listener: what receiving mail costs when no SMTP is done at all.
 *
 * Canned replies; a command is told by its first letter, a message by its end (CRLF.CRLF). Nothing is checked, nothing
 * is kept. Replies to commands that came in one read leave in one write. Never a mail server: only a yardstick for one.
 *
 *   limit_server [--port P] [--messages N] [--seconds S] [--read BYTES]
 *
 * Listens on 127.0.0.1 (port 0: any free one) and prints `port P`. Ends when N messages were counted and no connection
 * is open, on SIGTERM or SIGINT, or after S seconds, and prints one line of JSON: messages, connections, seconds (from
 * the first connection to the last message) and cpu_seconds (since `port` was printed). */
#include "limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CARRY = 4,             /* bytes of a body that may begin an end mark: one less than CRLF.CRLF */
    READ_MAX = 64 * 1024,  /* bytes read at a time, unless --read says less */
    REPLY_MAX = 64 * 1024, /* bytes of replies to one read */
    READS_IN_A_ROW = 16,   /* full reads before other connections have their turn */
    EVENTS = 256,
};

struct connection {
    int fd;
    bool in_body;
    bool closing;          /* QUIT was read: close once all replies are out */
    char first;            /* first letter of a command line whose end has not come; 0 at the start of a line */
    unsigned char carried; /* bytes in `carry` */
    char carry[CARRY];     /* the end of the body read so far */
    char *unsent;          /* replies the socket would not take yet, or NULL */
    size_t unsent_len;
    size_t unsent_from;
};

struct server {
    int epoll;
    int listener;
    long messages;
    long connections;
    long open;
    size_t read_size;
    double first_connection;
    double last_message;
    char replies[REPLY_MAX];
    size_t replies_len;
    char input[CARRY + READ_MAX]; /* what is carried over stands right before what is read */
};

static void start_listening(struct server *server, long port);
static int catch_signals(void);
static void watch(struct server *server, int operation, int fd, uint32_t events, void *data);
static void accept_all(struct server *server);
static void serve(struct server *server, struct connection *connection, uint32_t events);

int main(int argc, char **argv) {
    static struct server server;
    long port = 0;
    long messages = 10000;
    long seconds = 60;
    long read_size = READ_MAX;
    const struct option options[] = {
        {"--port", &port, 0, 65535},
        {"--messages", &messages, 1, 100000000},
        {"--seconds", &seconds, 1, 3600},
        {"--read", &read_size, 1, READ_MAX},
    };
    read_options(argc, argv, options, sizeof options / sizeof options[0]);

    server.read_size = (size_t)read_size;
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0) {
        fail("epoll_create1");
    }
    int signals = catch_signals();
    watch(&server, EPOLL_CTL_ADD, signals, EPOLLIN, &signals);
    start_listening(&server, port);

    double deadline = seconds_now() + (double)seconds;
    double cpu_before = cpu_seconds();
    bool stopped = false;
    while (!stopped && (server.messages < messages || server.open > 0)) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(server.epoll, events, EVENTS, milliseconds_to(deadline));
        if (count < 0 && errno != EINTR) {
            fail("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &signals) {
                stopped = true;
            } else if (events[i].data.ptr == &server) {
                accept_all(&server);
            } else {
                serve(&server, events[i].data.ptr, events[i].events);
            }
        }
        stopped = stopped || seconds_now() >= deadline;
    }
    double elapsed = server.messages > 0 ? server.last_message - server.first_connection : 0;
    printf("{\"messages\": %ld, \"connections\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", server.messages,
           server.connections, elapsed, cpu_seconds() - cpu_before);
    return 0;
}

/* Listens on loopback and prints the port. */
static void start_listening(struct server *server, long port) {
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Linux hands TCP_NODELAY of a listening socket on to the accepted ones: one system call less for each. */
    if (server->listener < 0 || setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(server->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 1024) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0) {
        fail("cannot listen on 127.0.0.1");
    }
    watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, server);
    printf("port %d\n", ntohs(address.sin_port));
    if (fflush(stdout) != 0) {
        fail("standard output");
    }
}

/* SIGTERM and SIGINT become a readable descriptor, so that none is lost between two waits. */
static int catch_signals(void) {
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    int fd = sigprocmask(SIG_BLOCK, &caught, NULL) == 0 ? signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (fd < 0) {
        fail("signalfd");
    }
    return fd;
}

static void watch(struct server *server, int operation, int fd, uint32_t events, void *data) {
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(server->epoll, operation, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void close_connection(struct server *server, struct connection *connection) {
    close(connection->fd); /* which takes it out of the epoll too */
    free(connection->unsent);
    free(connection);
    server->open--;
}

/* Sends the gathered replies; keeps what the socket does not take. False if the connection is gone. */
static bool send_replies(struct server *server, struct connection *connection) {
    size_t length = server->replies_len;
    ssize_t sent = send(connection->fd, server->replies, length, MSG_NOSIGNAL);
    server->replies_len = 0;
    if (sent < 0) {
        if (errno != EAGAIN) {
            return false;
        }
        sent = 0;
    }
    if ((size_t)sent == length) {
        return true;
    }
    connection->unsent_len = length - (size_t)sent;
    connection->unsent_from = 0;
    connection->unsent = malloc(connection->unsent_len);
    if (connection->unsent == NULL) {
        fail("out of memory");
    }
    memcpy(connection->unsent, server->replies + sent, connection->unsent_len);
    watch(server, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
    return true;
}

/* Sends replies that were left over; reads again once all are out. False if the connection is gone. */
static bool send_unsent(struct server *server, struct connection *connection) {
    size_t left = connection->unsent_len - connection->unsent_from;
    ssize_t sent = send(connection->fd, connection->unsent + connection->unsent_from, left, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN;
    }
    connection->unsent_from += (size_t)sent;
    if (connection->unsent_from == connection->unsent_len) {
        free(connection->unsent);
        connection->unsent = NULL;
        watch(server, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
    }
    return true;
}

static bool gather(struct server *server, const char *reply, size_t length) {
    if (server->replies_len + length > REPLY_MAX) {
        return false; /* thousands of commands in one read: no benchmark's client */
    }
    memcpy(server->replies + server->replies_len, reply, length);
    server->replies_len += length;
    return true;
}

#define GATHER(server, reply) gather(server, reply, sizeof(reply) - 1)

static void accept_all(struct server *server) {
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
                fail("accept4");
            }
            return;
        }
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL) {
            fail("out of memory");
        }
        connection->fd = fd;
        if (server->connections == 0) {
            server->first_connection = seconds_now();
        }
        server->connections++;
        server->open++;
        watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
        if (!GATHER(server, "220 limit.example ESMTP\r\n") || !send_replies(server, connection)) {
            close_connection(server, connection);
        }
    }
}

/* Gathers the answer to a command that ended; knows it by its first letter alone. */
static bool answer(struct server *server, struct connection *connection) {
    switch (connection->first) {
    case 'E':
    case 'e':
        return GATHER(server, "250-limit.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    case 'D':
    case 'd':
        connection->in_body = true;
        return GATHER(server, "354 Go on\r\n");
    case 'Q':
    case 'q':
        connection->closing = true;
        return GATHER(server, "221 2.0.0 Bye\r\n");
    default:
        return GATHER(server, "250 2.0.0 Fine\r\n");
    }
}

/* Goes through `length` bytes that were just read. False if the connection is to be dropped. */
static bool take(struct server *server, struct connection *connection, size_t length) {
    char *at = server->input + CARRY;
    char *const end = at + length;
    if (connection->in_body) {
        at -= connection->carried;
        memcpy(at, connection->carry, connection->carried);
    }
    while (at < end && !connection->closing) {
        if (connection->in_body) {
            char *mark = memmem(at, (size_t)(end - at), "\r\n.\r\n", 5);
            if (mark == NULL) {
                size_t left = (size_t)(end - at);
                connection->carried = (unsigned char)(left < CARRY ? left : CARRY);
                memcpy(connection->carry, end - connection->carried, connection->carried);
                return true;
            }
            at = mark + 5;
            connection->in_body = false;
            server->messages++;
            server->last_message = seconds_now();
            if (!GATHER(server, "250 2.0.0 Taken\r\n")) {
                return false;
            }
            continue;
        }
        if (connection->first == 0) {
            connection->first = *at;
        }
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) {
            return true;
        }
        at = line_end + 1;
        bool fits = answer(server, connection);
        connection->first = 0;
        if (!fits) {
            return false;
        }
        if (connection->in_body) {
            /* The CRLF of the DATA line is the first half of the end mark of an empty body. It was read, so its place
             * may be written to, and the room for carried bytes lies before it if it was split. */
            at -= 2;
            memcpy(at, "\r\n", 2);
        }
    }
    return true;
}

static void serve(struct server *server, struct connection *connection, uint32_t events) {
    bool alive = true;
    if (connection->unsent != NULL) {
        alive = (events & (EPOLLERR | EPOLLHUP)) == 0 && send_unsent(server, connection);
    } else {
        ssize_t length = 0;
        int reads = 0;
        do {
            length = read(connection->fd, server->input + CARRY, server->read_size);
            if (length <= 0) {
                alive = length < 0 && (errno == EAGAIN || errno == EINTR);
                break;
            }
            alive = take(server, connection, (size_t)length);
            if (alive && server->replies_len > 0) {
                alive = send_replies(server, connection);
            }
            server->replies_len = 0;
        } while (alive && !connection->closing && connection->unsent == NULL && (size_t)length == server->read_size &&
                 ++reads < READS_IN_A_ROW);
    }
    if (!alive || (connection->closing && connection->unsent == NULL)) {
        close_connection(server, connection);
    }
}
