// listener.h: a server of this library for the tests, and clients that send to it on threads of their own or by hand. TLS certificates
// come from tests/c/pki, by the environment variable PKI.
#ifndef LISTENER_H
#define LISTENER_H

#include "check.h"
#include "peer.h"

static char certificate[4096], renewed_certificate[4096], key[4096], ca[4096], client_ca[4096],
    client_certificate[4096];

static inline mailwire_server *start(mailwire_server_options *options) {
    mailwire_error *err = NULL;
    mailwire_server *server = NULL;
    CHECK_OK(mailwire_server_options_add_listener(options, "127.0.0.1:0", &err));
    CHECK_OK(mailwire_server_start(options, &server, &err));
    mailwire_server_options_free(options);
    CHECK(mailwire_server_port(server, 0) != 0);
    CHECK_HAS(mailwire_server_address_at(server, 0), "127.0.0.1:");
    CHECK_INT(mailwire_server_address_count(server), 1);
    CHECK_TEXT(mailwire_server_address_at(server, 1), "");
    CHECK_INT(mailwire_server_port(server, 1), 0);
    return server;
}

// Ends a server: what is left is told, then the end.
static inline void end(mailwire_server *server) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    CHECK_OK(mailwire_server_shutdown(server, 1000, &err));
    for (int i = 0; i < 100; i++) {
        mailwire_status status = mailwire_server_next_event(server, NULL, 5000, &event, &err);
        mailwire_error_free(err);
        err = NULL;
        mailwire_event_free(event);
        if (status == MAILWIRE_END)
            break;
        CHECK_INT(status, MAILWIRE_OK);
    }
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 5000, &event, &err), MAILWIRE_END);
    CHECK(event == NULL);
    mailwire_server_free(server);
}

static inline mailwire_event *next(const mailwire_server *server, mailwire_kind kind) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    CHECK_OK(mailwire_server_next_event(server, NULL, 10000, &event, &err));
    CHECK_INT(mailwire_event_kind(event), kind);
    return event;
}

// A client on a thread of its own: sends one message and remembers how it went.
struct sender {
    pthread_t thread;
    char url[512];
    const char *recipients[3];
    size_t count;
    const char *content;
    size_t length;
    mailwire_status status;
    mailwire_report *report;
    mailwire_error *err;
};

static inline void *send_one(void *argument) {
    struct sender *s = (struct sender *)argument;
    s->status =
        mailwire_send(s->url, "a@example.org", s->recipients, s->count, s->content, s->length, &s->report, &s->err);
    return NULL;
}

static inline void begin(struct sender *s, const mailwire_server *server, const char *user, const char *more) {
    snprintf(s->url, sizeof s->url, "smtp://%slocalhost:%d?%s", user, mailwire_server_port(server, 0), more);
    CHECK_INT(pthread_create(&s->thread, NULL, send_one, s), 0);
}

static inline void finish(struct sender *s) {
    mailwire_report_free(s->report);
    mailwire_error_free(s->err);
}

// A client of its own that says what a test wants. It waits 20 seconds for a reply at the most.
static inline int dial(const mailwire_server *server) {
    struct sockaddr_in address;
    struct timeval patience = {20, 0};
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(mailwire_server_port(server, 0));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void say(int fd, const char *text) {
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

// The next reply, with all its lines, has this part in it.
static inline void hear(int fd, const char *part) {
    char reply[2048];
    size_t filled = 0, line = 0;
    while (filled < sizeof reply - 1 && recv(fd, reply + filled, 1, 0) == 1) {
        if (reply[filled++] != '\n')
            continue;
        if (filled - line > 3 && reply[line + 3] == ' ')
            break;
        line = filled;
    }
    reply[filled] = '\0';
    CHECK_HAS(reply, part);
}

// Nothing more comes: the server has closed the connection.
static inline void hear_the_end(int fd) {
    char octet;
    CHECK_INT(recv(fd, &octet, 1, 0), 0);
    close(fd);
}

static inline void accept_next(const mailwire_server *server, mailwire_kind kind) {
    mailwire_error *err = NULL;
    mailwire_event *event = next(server, kind);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
}

// Where the certificates are. Nowhere, if nobody has said it.
static inline int find_pki(void) {
    const char *pki = getenv("PKI");
    if (!pki)
        return 0;
    snprintf(certificate, sizeof certificate, "%s/server.pem", pki);
    snprintf(renewed_certificate, sizeof renewed_certificate, "%s/renewed.pem", pki);
    snprintf(key, sizeof key, "%s/key.pem", pki);
    snprintf(ca, sizeof ca, "%s/ca.pem", pki);
    snprintf(client_ca, sizeof client_ca, "%s/client_ca.pem", pki);
    snprintf(client_certificate, sizeof client_certificate, "%s/client.pem", pki);
    return 1;
}

#endif
