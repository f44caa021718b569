// peer.h: a small SMTP server for the tests, in the clear and on a thread of its own. It takes one connection after the
// other and can be told to misbehave.
#ifndef PEER_H
#define PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __cplusplus
#include <atomic>
typedef std::atomic<int> peer_count;
#else
#include <stdatomic.h>
typedef atomic_int peer_count;
#endif

typedef struct peer {
    // Set before peer_start.
    const char *silent_at; // Never answers a line that begins with this, or "greeting", or "." for the end of data.
    long cut_after;        // Closes after that many octets sent; -1 never.
    int rude;              // Sends this many octets of greeting and resets the connection.

    int listener;
    unsigned short port;
    pthread_t thread;
    peer_count connections;
    peer_count messages;
    peer_count invited; // Whole replies 354 that were sent.
    peer_count silent;  // Whether it has fallen silent, as it was told to.
    char last[4096];    // The last message, without its end mark.
} peer;

static inline int peer_say(const peer *p, int fd, long *left, const char *text) {
    size_t length = strlen(text);
    size_t allowed = p->cut_after < 0 || (long)length <= *left ? length : (size_t)*left;
    for (size_t sent = 0; sent < allowed;) {
        ssize_t n = send(fd, text + sent, allowed - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        sent += (size_t)n;
    }
    *left -= (long)allowed;
    return allowed == length && (p->cut_after < 0 || *left > 0);
}

// The reply to RCPT, by the local part.
static inline const char *peer_judge(const char *line) {
    if (strstr(line, "<nobody@"))
        return "550 5.1.1 No such user\r\n";
    if (strstr(line, "<later@"))
        return "451-4.3.0 Not now\r\n451 4.3.0 Try again\r\n";
    return "250 2.1.5 Ok\r\n";
}

static inline void peer_talk(peer *p, int fd) {
    char line[2048];
    size_t filled = 0;
    int in_data = 0;
    long left = p->cut_after;
    if (p->silent_at && strcmp(p->silent_at, "greeting") == 0) {
        p->silent = 1;
        while (recv(fd, line, sizeof line, 0) > 0)
            ;
        return;
    }
    if (!peer_say(p, fd, &left, "220 peer.example ESMTP\r\n"))
        return;
    size_t kept = 0;
    for (;;) {
        ssize_t n = recv(fd, line + filled, 1, 0);
        if (n <= 0)
            return;
        filled++;
        if (line[filled - 1] != '\n' && filled < sizeof line - 1)
            continue;
        line[filled] = '\0';
        if (in_data && strcmp(line, ".\r\n") != 0) {
            if (kept + filled < sizeof p->last) {
                memcpy(p->last + kept, line, filled);
                kept += filled;
                p->last[kept] = '\0';
            }
            filled = 0;
            continue;
        }
        const char *reply = "500 5.5.1 What?\r\n";
        if (in_data) {
            in_data = 0;
            p->messages++;
            reply = "250 2.0.0 Ok: queued as 4A1B2C\r\n";
        } else if (strncasecmp(line, "EHLO", 4) == 0)
            reply = "250-peer.example\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
        else if (strncasecmp(line, "MAIL", 4) == 0)
            reply = "250 2.1.0 Ok\r\n";
        else if (strncasecmp(line, "RCPT", 4) == 0)
            reply = peer_judge(line);
        else if (strncasecmp(line, "DATA", 4) == 0) {
            in_data = 1;
            kept = 0;
            reply = "354 Go on\r\n";
            p->invited += p->cut_after < 0 || left >= (long)strlen(reply);
        } else if (strncasecmp(line, "RSET", 4) == 0 || strncasecmp(line, "NOOP", 4) == 0)
            reply = "250 2.0.0 Ok\r\n";
        else if (strncasecmp(line, "QUIT", 4) == 0)
            reply = "221 2.0.0 Bye\r\n";
        if (p->silent_at && strncasecmp(line, p->silent_at, strlen(p->silent_at)) == 0) {
            p->silent = 1;
            while (recv(fd, line, sizeof line, 0) > 0)
                ;
            return;
        }
        int quit = strncasecmp(line, "QUIT", 4) == 0;
        filled = 0;
        if (!peer_say(p, fd, &left, reply) || quit)
            return;
    }
}

static inline void *peer_run(void *argument) {
    peer *p = (peer *)argument;
    for (;;) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        p->connections++;
        if (p->rude) {
            struct linger now = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        } else
            peer_talk(p, fd);
        close(fd);
    }
}

static inline void peer_start(peer *p) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(p->listener, 16) != 0 || getsockname(p->listener, (struct sockaddr *)&address, &length) != 0 ||
        pthread_create(&p->thread, NULL, peer_run, p) != 0) {
        perror("peer");
        exit(2);
    }
    p->port = ntohs(address.sin_port);
}

// The clients must have closed their connections.
static inline void peer_stop(peer *p) {
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
}

#endif
