/* The limit of a client: what sending mail costs when the bytes lie ready and of a reply only the first digit is read.
 *
 *   limit_client --port P [--messages N] [--size BYTES] [--connections C] [--mode 0|1|2] [--fresh] [--seconds S]
 *
 * Sends N messages of BYTES to 127.0.0.1 over C connections at a time. They are kept, or with --fresh there is one for
 * each message.
 *   mode 0  one command a round trip
 *   mode 1  MAIL, RCPT and DATA in one write
 *   mode 2  a body and the next MAIL, RCPT and DATA in one write (RFC 2920 3.1); only with kept connections
 *
 * Prints one line of JSON: messages, connections, seconds and cpu_seconds, all from the first connection to the last
 * reply. Ends with status 1 and a line on standard error if any reply is 4yz or 5yz, or after S seconds. */
#include "limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    LINE = 74, /* bytes of a line of a body, with its CRLF */
};

/* What was sent last on a connection. */
enum step { CONNECT, HELLO, MAIL, RECIPIENT, DATA, ENVELOPE, BODY, CHAIN, QUIT };

/* Bytes that lie ready. */
struct slice {
    const char *at;
    size_t length;
};

struct connection {
    int fd;
    enum step step;
    int awaited;         /* replies that are still to come */
    size_t column;       /* bytes of the current reply line that were read */
    bool more;           /* this reply line is not the reply's last */
    struct slice unsent; /* what the socket would not take yet */
};

struct client {
    int epoll;
    struct sockaddr_in address;
    long mode;
    long fresh;
    long to_start; /* messages that no connection has begun */
    long to_open;  /* connections that were not opened yet */
    long finished;
    long connections;
    long open;
    struct slice mail, recipient, data, envelope, body, chain;
};

static void build_bytes(struct client *client, size_t size);
static void open_connection(struct client *client, struct connection *connection);
static void proceed(struct client *client, struct connection *connection, uint32_t events);

int main(int argc, char **argv) {
    static struct client client;
    long port = 0;
    long messages = 10000;
    long size = 1024;
    long connections = 1;
    long seconds = 60;
    const struct option options[] = {
        {"--port", &port, 1, 65535},      {"--messages", &messages, 1, 100000000},
        {"--size", &size, 2, 1L << 30},   {"--connections", &connections, 1, 10000},
        {"--mode", &client.mode, 0, 2},   {"--fresh", &client.fresh, 0, 0},
        {"--seconds", &seconds, 1, 3600},
    };
    read_options(argc, argv, options, sizeof options / sizeof options[0]);
    if (port == 0 || (client.mode == 2 && client.fresh)) {
        fprintf(stderr, "%s: %s\n", argv[0], port == 0 ? "--port is missing" : "mode 2 needs kept connections");
        return 2;
    }
    if (connections > messages) {
        connections = messages;
    }
    client.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    client.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client.to_start = messages;
    build_bytes(&client, (size_t)size);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (all == NULL || client.epoll < 0) {
        fail("cannot begin");
    }

    double start = seconds_now();
    double deadline = start + (double)seconds;
    double cpu_before = cpu_seconds();
    client.to_open = client.fresh ? messages : connections;
    for (long i = 0; i < connections; i++) {
        open_connection(&client, &all[i]);
    }
    while (client.open > 0) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(client.epoll, events, EVENTS, milliseconds_to(deadline));
        if (count < 0 && errno != EINTR) {
            fail("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            proceed(&client, events[i].data.ptr, events[i].events);
        }
        if (seconds_now() >= deadline) {
            errno = 0;
            fail("the time limit has passed");
        }
    }
    printf("{\"messages\": %ld, \"connections\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", client.finished,
           client.connections, seconds_now() - start, cpu_seconds() - cpu_before);
    return client.finished == messages ? 0 : 1;
}

/* Lays out MAIL RCPT DATA body MAIL RCPT DATA in one piece, of which every write is a slice. */
static void build_bytes(struct client *client, size_t size) {
    static const char mail[] = "MAIL FROM:<sender@client.example>\r\n";
    static const char recipient[] = "RCPT TO:<recipient@server.example>\r\n";
    static const char data[] = "DATA\r\n";
    static const char header[] = "Subject: limit\r\n\r\n";
    static const char end_mark[] = ".\r\n";
    const size_t envelope = sizeof mail + sizeof recipient + sizeof data - 3;
    const size_t marked = size + sizeof end_mark - 1;
    char *bytes = malloc(2 * envelope + marked);
    if (bytes == NULL) {
        fail("out of memory");
    }
    memcpy(bytes, mail, sizeof mail - 1);
    memcpy(bytes + sizeof mail - 1, recipient, sizeof recipient - 1);
    memcpy(bytes + sizeof mail + sizeof recipient - 2, data, sizeof data - 1);

    char *body = bytes + envelope;
    size_t text = size >= sizeof header - 1 ? sizeof header - 1 : 0;
    memcpy(body, header, text);
    for (size_t i = text; i < size; i++) {
        size_t column = (i - text) % LINE;
        body[i] = "abcdefghijklmnopqrstuvwxyz"[column % 26];
        if (column == LINE - 1 && body[i - 1] == '\r') {
            body[i] = '\n';
        } else if (column == LINE - 2 && i + 1 < size) {
            body[i] = '\r';
        }
    }
    memcpy(body + size - 2, "\r\n", 2);
    if (size > 2 && body[size - 3] == '\r') {
        body[size - 3] = 'x'; /* else the last line would end in CR CR LF */
    }
    memcpy(body + size, end_mark, sizeof end_mark - 1);
    memcpy(body + marked, bytes, envelope);

    client->mail = (struct slice){bytes, sizeof mail - 1};
    client->recipient = (struct slice){bytes + sizeof mail - 1, sizeof recipient - 1};
    client->data = (struct slice){bytes + sizeof mail + sizeof recipient - 2, sizeof data - 1};
    client->envelope = (struct slice){bytes, envelope};
    client->body = (struct slice){body, marked};
    client->chain = (struct slice){body, marked + envelope};
}

static void open_connection(struct client *client, struct connection *connection) {
    int on = 1;
    *connection = (struct connection){.step = CONNECT, .awaited = 1};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        fail("socket");
    }
    if (connect(connection->fd, (struct sockaddr *)&client->address, sizeof client->address) != 0 &&
        errno != EINPROGRESS) {
        fail("connect");
    }
    /* The server speaks first: readable means connected, and a failure shows as EPOLLERR. */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        fail("epoll_ctl");
    }
    client->to_open--;
    client->connections++;
    client->open++;
}

/* Sends what is left of a write, and asks to be woken for the rest if the socket is full. */
static void send_unsent(struct client *client, struct connection *connection, bool was_full) {
    ssize_t sent = send(connection->fd, connection->unsent.at, connection->unsent.length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            fail("send");
        }
        sent = 0;
    }
    connection->unsent.at += sent;
    connection->unsent.length -= (size_t)sent;
    bool full = connection->unsent.length > 0;
    if (full != was_full) {
        struct epoll_event event = {.events = full ? EPOLLOUT : EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0) {
            fail("epoll_ctl");
        }
    }
}

static void say(struct client *client, struct connection *connection, enum step step, struct slice bytes, int awaited) {
    connection->step = step;
    connection->awaited = awaited;
    connection->unsent = bytes;
    send_unsent(client, connection, false);
}

static void say_body(struct client *client, struct connection *connection) {
    if (client->mode == 2 && client->to_start > 0) {
        client->to_start--;
        say(client, connection, CHAIN, client->chain, 4);
    } else {
        say(client, connection, BODY, client->body, 1);
    }
}

/* Begins a transaction if one is left and this connection may have it, or leaves. */
static void begin_or_quit(struct client *client, struct connection *connection, bool may_begin) {
    static const char quit[] = "QUIT\r\n";
    if (!may_begin || client->to_start == 0) {
        say(client, connection, QUIT, (struct slice){quit, sizeof quit - 1}, 1);
        return;
    }
    client->to_start--;
    if (client->mode == 0) {
        say(client, connection, MAIL, client->mail, 1);
    } else {
        say(client, connection, ENVELOPE, client->envelope, 3);
    }
}

/* All replies to the last write have come: the next one. */
static void next_step(struct client *client, struct connection *connection) {
    static const char hello[] = "EHLO client.example\r\n";
    switch (connection->step) {
    case CONNECT:
        say(client, connection, HELLO, (struct slice){hello, sizeof hello - 1}, 1);
        break;
    case HELLO:
        begin_or_quit(client, connection, true);
        break;
    case MAIL:
        say(client, connection, RECIPIENT, client->recipient, 1);
        break;
    case RECIPIENT:
        say(client, connection, DATA, client->data, 1);
        break;
    case CHAIN:
        client->finished++;
        say_body(client, connection);
        break;
    case DATA:
    case ENVELOPE:
        say_body(client, connection);
        break;
    case BODY:
        client->finished++;
        begin_or_quit(client, connection, !client->fresh);
        break;
    case QUIT:
        close(connection->fd);
        client->open--;
        if (client->to_open > 0) {
            open_connection(client, connection);
        }
        break;
    }
}

/* Counts the replies in what was read: of a line only the first digit, the mark after the code and the end matter. */
static void count_replies(struct connection *connection, const char *bytes, size_t length) {
    errno = 0;
    for (size_t i = 0; i < length; i++) {
        if (connection->column == 0 && bytes[i] != '2' && bytes[i] != '3') {
            fprintf(stderr, "refused: %.*s", (int)(length - i), bytes + i);
            fail("a reply was neither 2yz nor 3yz");
        }
        if (connection->column == 3) {
            connection->more = bytes[i] == '-';
        }
        connection->column++;
        if (bytes[i] == '\n') {
            connection->column = 0;
            if (!connection->more && --connection->awaited < 0) {
                fail("more replies than commands");
            }
        }
    }
}

static void proceed(struct client *client, struct connection *connection, uint32_t events) {
    if (connection->unsent.length > 0) {
        send_unsent(client, connection, true);
        if ((events & (EPOLLERR | EPOLLHUP)) == 0) {
            return;
        }
    }
    char replies[4096];
    ssize_t length = read(connection->fd, replies, sizeof replies);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (length < 0) {
        fail("read");
    }
    if (length == 0) {
        errno = 0;
        fail("the server closed the connection");
    }
    count_replies(connection, replies, (size_t)length);
    if (connection->awaited == 0) {
        next_step(client, connection);
    }
}
