// The process around the library: SIGPIPE, forks, descriptors, threads, and what is written where.
#include "check.h"
#include "peer.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static const char body[] = "Subject: hello\r\n\r\nHello.\r\n";

static int entries(const char *folder) {
    int count = 0;
    DIR *open = opendir(folder);
    while (open && readdir(open))
        count++;
    if (open)
        closedir(open);
    return count;
}

static mailwire_client *client_of(unsigned short port) {
    mailwire_error *err = NULL;
    mailwire_client_options *options = mailwire_client_options_new();
    mailwire_client *client = NULL;
    CHECK_OK(mailwire_client_options_set_server(options, "127.0.0.1", port, &err));
    CHECK_OK(mailwire_client_options_set_tls(options, MAILWIRE_TLS_NONE, &err));
    CHECK_OK(mailwire_client_new(options, &client, &err));
    mailwire_client_options_free(options);
    return client;
}

static mailwire_message *message_of(size_t length) {
    mailwire_error *err = NULL;
    mailwire_message *message = mailwire_message_new();
    char *content = malloc(length + sizeof body);
    memcpy(content, body, sizeof body - 1);
    memset(content + sizeof body - 1, 'x', length);
    CHECK_OK(mailwire_message_set_sender(message, "a@example.org", &err));
    CHECK_OK(mailwire_message_add_recipient(message, "b@example.net", &err));
    CHECK_OK(mailwire_message_set_content(message, content, sizeof body - 1 + length, &err));
    free(content);
    return message;
}

// The peer resets every connection while we write. SIGPIPE would end this program.
static void no_sigpipe(void) {
    peer p = {.cut_after = -1, .rude = 1};
    peer cut = {.cut_after = 24 + 71};
    mailwire_error *err = NULL;
    signal(SIGPIPE, SIG_DFL);
    peer_start(&p);
    peer_start(&cut);
    mailwire_message *message = message_of(50000);
    for (int i = 0; i < 20; i++) {
        mailwire_client *client = client_of(p.port);
        CHECK(mailwire_client_send(client, message, NULL, NULL, &err) != MAILWIRE_OK);
        mailwire_error_free(err);
        mailwire_client_free(client);
        client = client_of(cut.port);
        CHECK(mailwire_client_send(client, message, NULL, NULL, &err) != MAILWIRE_OK);
        mailwire_error_free(err);
        mailwire_client_free(client);
    }
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
    mailwire_message_free(message);
    peer_stop(&p);
    peer_stop(&cut);
}

// An inherited client is of no use in the child, can be freed there, and works on in the parent.
static void forked(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    peer_start(&p);
    mailwire_client *client = client_of(p.port);
    mailwire_message *message = message_of(10);
    CHECK_OK(mailwire_client_send(client, message, NULL, NULL, &err));
    int told[2];
    char good = 0;
    CHECK_INT(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        mailwire_status status = mailwire_client_send(client, message, NULL, NULL, &err);
        good = status == MAILWIRE_ERR_FORKED && mailwire_error_status(err) == MAILWIRE_ERR_FORKED;
        mailwire_error_free(err);
        mailwire_client_free(client);
        mailwire_message_free(message);
        _exit(write(told[1], &good, 1) != 1);
    }
    close(told[1]);
    CHECK_INT(read(told[0], &good, 1), 1);
    CHECK_INT(good, 1);
    close(told[0]);
    CHECK_INT(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 3; i++)
        CHECK_OK(mailwire_client_send(client, message, NULL, NULL, &err));
    CHECK_INT(p.connections, 1);
    mailwire_client_free(client);
    mailwire_message_free(message);
    peer_stop(&p);
}

// No thread runs behind a client, and nothing stays open after it.
static void nothing_is_left(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    peer_start(&p);
    mailwire_message *message = message_of(10);
    int descriptors = 0, threads = entries("/proc/self/task");
    for (int i = 0; i < 200; i++) {
        mailwire_client *client = client_of(p.port);
        mailwire_cancel *cancel = mailwire_cancel_new();
        CHECK_OK(mailwire_client_send(client, message, cancel, NULL, &err));
        CHECK_INT(entries("/proc/self/task"), threads);
        mailwire_cancel_unref(cancel);
        mailwire_client_free(client);
        if (i == 0)
            descriptors = entries("/proc/self/fd");
    }
    // The peer may not have closed its side of the last connection yet.
    CHECK(entries("/proc/self/fd") <= descriptors + 1);
    for (int i = 0; i < 1000; i++)
        mailwire_client_free(client_of(p.port));
    CHECK(entries("/proc/self/fd") <= descriptors + 1);
    mailwire_message_free(message);
    peer_stop(&p);
}

struct share {
    const mailwire_client *client;
    const mailwire_message *message;
};

static void *send_some(void *argument) {
    const struct share *share = argument;
    for (int i = 0; i < 20; i++)
        if (mailwire_client_send(share->client, share->message, NULL, NULL, NULL) != MAILWIRE_OK)
            return argument;
    return NULL;
}

// One client and one message, four threads. The peer takes one connection at a time, and so does this client.
static void shared_by_threads(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    mailwire_client_options *options = mailwire_client_options_new();
    mailwire_client *client = NULL;
    pthread_t threads[4];
    peer_start(&p);
    CHECK_OK(mailwire_client_options_set_server(options, "127.0.0.1", p.port, &err));
    CHECK_OK(mailwire_client_options_set_tls(options, MAILWIRE_TLS_NONE, &err));
    CHECK_OK(mailwire_client_options_set_max_connections(options, 1, &err));
    CHECK_OK(mailwire_client_new(options, &client, &err));
    mailwire_message *message = message_of(10);
    struct share share = {client, message};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, send_some, &share);
    for (int i = 0; i < 4; i++) {
        void *failed = &share;
        pthread_join(threads[i], &failed);
        CHECK(failed == NULL);
    }
    CHECK_INT(p.messages, 80);
    mailwire_client_free(client);
    mailwire_client_options_free(options);
    mailwire_message_free(message);
    peer_stop(&p);
}

int main(void) {
    no_sigpipe();
    forked();
    nothing_is_left();
    shared_by_threads();
    return check_result();
}
