// A call that is cut short before there is a session: while the name is looked up, while connecting, and in the TLS handshake.
#include "check.h"
#include "peer.h"
#include <netdb.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int asked, answered, let_go;

// Stands before the C library's own, and tells nothing before the test is over.
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    (void)name, (void)service, (void)hints, (void)found;
    pthread_mutex_lock(&lock);
    asked++;
    while (!let_go)
        pthread_cond_wait(&changed, &lock);
    answered++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return EAI_AGAIN;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *cancel_soon(void *cancel) {
    struct timespec wait = {2, 0};
    nanosleep(&wait, NULL);
    mailwire_cancel_signal((const mailwire_cancel *)cancel);
    return NULL;
}

static mailwire_client *client_of(const char *url) {
    mailwire_error *err = NULL;
    mailwire_client_options *options = NULL;
    mailwire_client *client = NULL;
    CHECK_OK(mailwire_client_options_from_url(url, &options, &err));
    CHECK_OK(mailwire_client_new(options, &client, &err));
    mailwire_client_options_free(options);
    return client;
}

// Neither the call nor freeing the client waits for what was begun. Slow machines get more than the 50 ms that are aimed at.
static void is_cancelled(const char *url, const char *where) {
    mailwire_error *err = NULL;
    mailwire_report *report = NULL;
    mailwire_message *message = mailwire_message_new();
    mailwire_cancel *cancel = mailwire_cancel_new();
    mailwire_client *client = client_of(url);
    pthread_t thread;
    CHECK_OK(mailwire_message_set_sender(message, "a@example.org", &err));
    CHECK_OK(mailwire_message_add_recipient(message, "b@example.net", &err));
    CHECK_OK(mailwire_message_set_content(message, "x\r\n", 3, &err));
    int64_t start = now_ms();
    CHECK_INT(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
    CHECK_INT(mailwire_client_send(client, message, cancel, &report, &err), MAILWIRE_ERR_CANCELLED);
    mailwire_client_free(client);
    CHECK(now_ms() - start >= 1990 && now_ms() - start < 20000);
    pthread_join(thread, NULL);
    CHECK_TEXT(mailwire_error_peer(err), where);
    CHECK_INT(mailwire_error_delivery(err), MAILWIRE_DELIVERY_NOT_TRIED);
    CHECK(report == NULL);
    mailwire_error_free(err);
    mailwire_message_free(message);
    mailwire_cancel_unref(cancel);
}

static void in_the_look_up(void) {
    is_cancelled("smtp://mail.example:25?tls=none", "mail.example:25");
    pthread_mutex_lock(&lock);
    CHECK_INT(asked, 1);
    let_go = 1;
    pthread_cond_broadcast(&changed);
    while (answered < asked)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

// A listener whose queue is full does not answer who connects.
static void while_connecting(void) {
    enum { QUEUE = 1 };
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int waiting[QUEUE + 1], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mailwire_error *err = NULL;
    const char *to[] = {"b@example.net"};
    char url[64], where[32];
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(listener, QUEUE), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (size_t i = 0; i < QUEUE + 1; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(waiting[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    snprintf(where, sizeof where, "127.0.0.1:%d", ntohs(address.sin_port));
    snprintf(url, sizeof url, "smtp://%s?tls=none", where);
    is_cancelled(url, where);
    // So it is with a deadline.
    snprintf(url, sizeof url, "smtp://%s?tls=none&deadline=2", where);
    CHECK_INT(mailwire_send(url, "a@example.org", to, 1, "x\r\n", 3, NULL, &err), MAILWIRE_ERR_TIMEOUT);
    CHECK_INT(mailwire_error_phase(err), MAILWIRE_PHASE_CONNECT);
    CHECK_TEXT(mailwire_error_peer(err), where);
    mailwire_error_free(err);
    for (size_t i = 0; i < QUEUE + 1; i++)
        close(waiting[i]);
    close(listener);
}

static void in_the_handshake(void) {
    peer p = {.cut_after = -1, .silent_at = "greeting"};
    char url[64], where[32];
    peer_start(&p);
    snprintf(where, sizeof where, "127.0.0.1:%d", p.port);
    snprintf(url, sizeof url, "smtps://%s?verify=false", where);
    is_cancelled(url, where);
    peer_stop(&p);
}

int main(void) {
    in_the_look_up();
    while_connecting();
    in_the_handshake();
    return check_result();
}
