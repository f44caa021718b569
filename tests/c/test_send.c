// Sending to a peer of our own: results by recipient, reports, time, cancelling, and a connection cut at every octet.
#include "check.h"
#include "peer.h"
#include <signal.h>
#include <time.h>

static const char body[] = "Subject: hello\r\n\r\n.Hello\r\n";

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static mailwire_client *client_of(const peer *p, const char *more) {
    char url[256];
    mailwire_error *err = NULL;
    mailwire_client_options *options = NULL;
    mailwire_client *client = NULL;
    snprintf(url, sizeof url, "smtp://127.0.0.1:%d?%s", p->port, more);
    CHECK_OK(mailwire_client_options_from_url(url, &options, &err));
    CHECK_OK(mailwire_client_new(options, &client, &err));
    mailwire_client_options_free(options);
    return client;
}

static mailwire_message *message_to(const char *first, const char *second) {
    mailwire_error *err = NULL;
    mailwire_message *message = mailwire_message_new();
    CHECK_OK(mailwire_message_set_sender(message, "a@example.org", &err));
    CHECK_OK(mailwire_message_add_recipient(message, first, &err));
    if (second)
        CHECK_OK(mailwire_message_add_recipient(message, second, &err));
    CHECK_OK(mailwire_message_set_content(message, body, sizeof body - 1, &err));
    return message;
}

static void accepted(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    mailwire_report *report = NULL;
    peer_start(&p);
    mailwire_client *client = client_of(&p, "tls=none");
    mailwire_message *message = message_to("b@example.net", "c@example.net");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mailwire_client_send(client, message, NULL, &report, &err));
        CHECK_INT(mailwire_report_count(report), 2);
        CHECK_INT(mailwire_report_delivery(report), MAILWIRE_DELIVERY_ACCEPTED);
        CHECK_TEXT(mailwire_report_address(report, 1), "c@example.net");
        CHECK_INT(mailwire_report_outcome(report, 0), MAILWIRE_DELIVERY_ACCEPTED);
        CHECK_INT(mailwire_report_smtp_code(report, 0), 250);
        CHECK_TEXT(mailwire_report_queue_id(report), "4A1B2C");
        CHECK_INT(mailwire_report_reply_code(report), 250);
        CHECK_INT(mailwire_report_retry_count(report), 0);
        mailwire_report_free(report);
    }
    // Neither a report nor an error need be asked for.
    CHECK_INT(mailwire_client_send(client, message, NULL, NULL, NULL), MAILWIRE_OK);
    CHECK_TEXT(p.last, "Subject: hello\r\n\r\n..Hello\r\n");
    CHECK_INT(p.connections, 1);
    CHECK_OK(mailwire_client_close(client, &err));
    CHECK_FAILS(mailwire_client_send(client, message, NULL, NULL, &err), MAILWIRE_ERR_CLOSED);
    mailwire_client_free(client);
    mailwire_message_free(message);
    peer_stop(&p);
}

static void refused(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    mailwire_report *report = NULL;
    int32_t parts[3];
    peer_start(&p);
    mailwire_client *client = client_of(&p, "tls=none");

    mailwire_message *message = message_to("b@example.net", "nobody@example.net");
    CHECK_INT(mailwire_client_send(client, message, NULL, &report, &err), MAILWIRE_ERR_PARTIAL);
    CHECK_INT(mailwire_error_status(err), MAILWIRE_ERR_PARTIAL);
    CHECK_INT(mailwire_error_delivery(err), MAILWIRE_DELIVERY_PARTIAL);
    CHECK_HAS(mailwire_error_message(err), "mailwire_client_send: ");
    CHECK_INT(mailwire_report_delivery(report), MAILWIRE_DELIVERY_PARTIAL);
    CHECK_INT(mailwire_report_outcome(report, 0), MAILWIRE_DELIVERY_ACCEPTED);
    CHECK_INT(mailwire_report_outcome(report, 1), MAILWIRE_DELIVERY_REFUSED);
    CHECK_INT(mailwire_report_smtp_code(report, 1), 550);
    CHECK_TEXT(mailwire_report_text(report, 1), "No such user");
    CHECK_INT(mailwire_report_phase(report, 1), MAILWIRE_PHASE_RCPT);
    CHECK(mailwire_report_enhanced(report, 1, &parts[0], &parts[1], &parts[2]));
    CHECK_INT(parts[0] * 100 + parts[1] * 10 + parts[2], 511);
    mailwire_report_free(report);
    mailwire_error_free(err);
    mailwire_message_free(message);

    message = message_to("nobody@example.net", NULL);
    CHECK_INT(mailwire_client_send(client, message, NULL, &report, &err), MAILWIRE_ERR_PERMANENT);
    CHECK_INT(mailwire_error_smtp_code(err), 550);
    CHECK_INT(mailwire_error_phase(err), MAILWIRE_PHASE_RCPT);
    CHECK_TEXT(mailwire_error_command(err), "RCPT");
    CHECK_INT(mailwire_error_reply_count(err), 1);
    CHECK_TEXT(mailwire_error_reply_line(err, 0), "No such user");
    CHECK_TEXT(mailwire_error_reply_line(err, 1), "");
    CHECK(mailwire_error_enhanced(err, &parts[0], &parts[1], &parts[2]));
    CHECK(!mailwire_error_is_transient(err));
    mailwire_report_free(report);
    mailwire_error_free(err);
    mailwire_message_free(message);

    message = message_to("later@example.net", NULL);
    CHECK_INT(mailwire_client_send(client, message, NULL, &report, &err), MAILWIRE_ERR_TRANSIENT);
    CHECK(mailwire_error_is_transient(err));
    CHECK_INT(mailwire_error_reply_count(err), 2);
    CHECK_INT(mailwire_report_retry_count(report), 1);
    CHECK_INT(mailwire_report_retry_at(report, 0), 0);
    mailwire_report_free(report);
    mailwire_error_free(err);
    mailwire_message_free(message);
    CHECK_INT(p.connections, 1);
    mailwire_client_free(client);
    peer_stop(&p);
}

static void in_one_call(void) {
    peer p = {.cut_after = -1};
    char url[64];
    mailwire_error *err = NULL;
    mailwire_report *report = NULL;
    const char *to[] = {"b@example.net", "c@example.net"};
    const char *bad[] = {"b@example.net", NULL};
    peer_start(&p);
    snprintf(url, sizeof url, "smtp://127.0.0.1:%d?tls=none", p.port);
    CHECK_OK(mailwire_send(url, "a@example.org", to, 2, body, sizeof body - 1, &report, &err));
    CHECK_INT(mailwire_report_count(report), 2);
    mailwire_report_free(report);
    CHECK_OK(mailwire_send_text(url, "a@example.org", to, 1,
                                "Gr\xc3\xbc\xc3\x9f"
                                "e",
                                "One\nTwo\n", NULL, &err));
    CHECK_HAS(p.last, "From: ");
    CHECK_HAS(p.last, "Subject: =?utf-8?");
    CHECK_HAS(p.last, "One\r\nTwo\r\n");
    CHECK_INT(p.messages, 2);
    /* To zo\xc3\xab, whose name stands in the header, which this peer cannot take. */
    to[1] = "zo\xc3\xab@example.net";
    CHECK_FAILS(mailwire_send_text(url, "a@example.org", to, 2, "x", "y", NULL, &err), MAILWIRE_ERR_NOT_SUPPORTED);
    CHECK_INT(p.messages, 2);
    CHECK_FAILS(mailwire_send(url, "a@example.org", bad, 2, body, 1, &report, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(report == NULL);
    CHECK_FAILS(mailwire_send(url, "a@example.org", NULL, 0, body, 1, NULL, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_send_text(url, "a@example.org", to, 1, "two\r\nBcc: x@y", "", NULL, &err),
                MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_INT(p.messages, 2);
    peer_stop(&p);
    CHECK_INT(mailwire_send(url, "a@example.org", to, 1, body, 1, &report, &err), MAILWIRE_ERR_CONNECTION_REFUSED);
    CHECK_INT(mailwire_error_phase(err), MAILWIRE_PHASE_CONNECT);
    CHECK(mailwire_error_os_errno(err) != 0);
    CHECK(mailwire_error_is_transient(err));
    CHECK(report == NULL);
    mailwire_error_free(err);
}

static void incomplete(void) {
    peer p = {.cut_after = -1};
    mailwire_error *err = NULL;
    peer_start(&p);
    mailwire_client *client = client_of(&p, "tls=none");
    mailwire_message *message = mailwire_message_new();
    CHECK_FAILS(mailwire_client_send(client, message, NULL, NULL, &err), MAILWIRE_ERR_MISUSE);
    CHECK_OK(mailwire_message_set_sender(message, "a@example.org", &err));
    CHECK_FAILS(mailwire_client_send(client, message, NULL, NULL, &err), MAILWIRE_ERR_MISUSE);
    CHECK_OK(mailwire_message_add_recipient(message, "b@example.net", &err));
    CHECK_FAILS(mailwire_client_send(client, message, NULL, NULL, &err), MAILWIRE_ERR_MISUSE);
    CHECK_INT(p.connections, 0);
    mailwire_message_free(message);
    mailwire_client_free(client);
    peer_stop(&p);
}

static void time_is_limited(void) {
    peer p = {.cut_after = -1, .silent_at = "MAIL"};
    mailwire_error *err = NULL;
    peer_start(&p);
    mailwire_client *client = client_of(&p, "tls=none&deadline=3");
    mailwire_message *message = message_to("b@example.net", NULL);
    int64_t start = now_ms();
    CHECK_INT(mailwire_client_send(client, message, NULL, NULL, &err), MAILWIRE_ERR_TIMEOUT);
    CHECK(now_ms() - start >= 2950 && now_ms() - start < 30000);
    CHECK_INT(mailwire_error_phase(err), MAILWIRE_PHASE_MAIL);
    mailwire_error_free(err);
    mailwire_client_free(client);
    mailwire_message_free(message);
    peer_stop(&p);
}

static mailwire_cancel *signalled;
static pthread_t who_waits;
static int by_handler;
static int64_t signalled_at;

// When the peer has fallen silent.
static void *cancel_it(void *argument) {
    const peer *p = argument;
    struct timespec moment = {0, 50 * 1000 * 1000};
    do
        nanosleep(&moment, NULL);
    while (!p->silent);
    signalled_at = now_ms();
    if (by_handler)
        pthread_kill(who_waits, SIGALRM);
    else
        mailwire_cancel_signal(signalled);
    return NULL;
}

static void on_alarm(int number) {
    (void)number;
    mailwire_cancel_signal(signalled);
}

// At each phase: by another thread, and by a signal handler. Slow machines get more than the 50 ms that are aimed at.
static void cancelling(void) {
    static const char *const phases[] = {"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."};
    mailwire_error *err = NULL;
    signal(SIGALRM, on_alarm);
    who_waits = pthread_self();
    for (size_t i = 0; i < 2 * sizeof phases / sizeof *phases; i++) {
        peer p = {.cut_after = -1, .silent_at = phases[i / 2]};
        pthread_t thread;
        mailwire_report *report = NULL;
        peer_start(&p);
        signalled = mailwire_cancel_new();
        mailwire_client *client = client_of(&p, "tls=none");
        mailwire_message *message = message_to("b@example.net", NULL);
        by_handler = i % 2;
        CHECK_INT(pthread_create(&thread, NULL, cancel_it, &p), 0);
        CHECK_INT(mailwire_client_send(client, message, signalled, &report, &err), MAILWIRE_ERR_CANCELLED);
        int64_t end = now_ms();
        pthread_join(thread, NULL);
        CHECK(end - signalled_at < 20000);
        mailwire_delivery expected =
            strcmp(phases[i / 2], ".") == 0 ? MAILWIRE_DELIVERY_UNKNOWN : MAILWIRE_DELIVERY_NOT_TRIED;
        CHECK_INT(mailwire_error_delivery(err), expected);
        CHECK_INT(mailwire_report_delivery(report), expected);
        mailwire_error_free(err);
        err = NULL;
        mailwire_report_free(report);
        // A later call with the same token ends at once.
        CHECK_FAILS(mailwire_client_send(client, message, signalled, NULL, &err), MAILWIRE_ERR_CANCELLED);
        mailwire_client_free(client);
        mailwire_message_free(message);
        mailwire_cancel_unref(signalled);
        peer_stop(&p);
    }
}

// The peer closes after every octet of its side of the session, in turn. The state of delivery is always right: never accepted
// without the last reply, unknown only once the end mark was sent.
static void cut_at_every_octet(void) {
    mailwire_error *err = NULL;
    int seen_unknown = 0;
    long cut = 0;
    for (;; cut++) {
        peer p = {.cut_after = cut};
        mailwire_report *report = NULL;
        peer_start(&p);
        mailwire_client *client = client_of(&p, "tls=none");
        mailwire_message *message = message_to("b@example.net", NULL);
        mailwire_status status = mailwire_client_send(client, message, NULL, &report, &err);
        mailwire_delivery delivery = mailwire_report_delivery(report);
        mailwire_client_free(client);
        peer_stop(&p);
        CHECK_INT(mailwire_error_status(err), status);
        if (status == MAILWIRE_OK)
            CHECK_INT(delivery, MAILWIRE_DELIVERY_ACCEPTED);
        else {
            CHECK(status == MAILWIRE_ERR_CONNECTION_LOST || status == MAILWIRE_ERR_IO ||
                  status == MAILWIRE_ERR_PROTOCOL);
            // Once invited we send the end mark, unless we learn before it that the connection is gone.
            CHECK(delivery == MAILWIRE_DELIVERY_UNKNOWN || (delivery == MAILWIRE_DELIVERY_NOT_TRIED && !p.messages));
            CHECK(delivery == MAILWIRE_DELIVERY_NOT_TRIED || p.invited);
        }
        seen_unknown += delivery == MAILWIRE_DELIVERY_UNKNOWN;
        mailwire_report_free(report);
        mailwire_message_free(message);
        mailwire_error_free(err);
        err = NULL;
        if (status == MAILWIRE_OK || cut > 1000)
            break;
    }
    CHECK(cut > 100 && cut < 1000);
    CHECK(seen_unknown > 10);
}

int main(void) {
    accepted();
    refused();
    in_one_call();
    incomplete();
    time_is_limited();
    cancelling();
    cut_at_every_octet();
    return check_result();
}
