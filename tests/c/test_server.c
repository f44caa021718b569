// The server as a queue of events: what arrives is what was sent, answers reach the client by recipient, TLS and AUTH hold, and
// the end of it is told. TLS certificates come from tests/c/pki, by the environment variable PKI.
#include "check.h"
#include "listener.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void a_message_with_everything(void) {
    static const char content[] = "Subject: x\r\n\r\n.dots\r\n..\r\nnul:\0:\r\n";
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    struct sender s = {.recipients = {"b@example.net", "nobody@example.net", "c@example.net"},
                       .count = 3,
                       .content = content,
                       .length = sizeof content - 1};
    char more[4200];
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    mailwire_scram_keys *keys = NULL;
    CHECK_OK(mailwire_scram_keys_new(NULL, "secret", 6, 4096, &keys, &err));
    CHECK(strncmp(mailwire_scram_keys_text(keys), "SCRAM-SHA-256$4096:", 19) == 0);
    CHECK_OK(mailwire_server_options_add_user_keys(options, "user", mailwire_scram_keys_text(keys), &err));
    mailwire_scram_keys_free(keys);
    CHECK_OK(mailwire_server_options_set_require_tls(options, true, &err));
    CHECK_OK(mailwire_server_options_set_require_auth(options, true, &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_MAIL | MAILWIRE_HOOK_RCPT, &err));
    mailwire_server *server = start(options);
    snprintf(more, sizeof more, "tls=required&local_hostname=client.example&ca=%s", ca);
    begin(&s, server, "user:secret@", more);

    mailwire_event *event = next(server, MAILWIRE_EVENT_MAIL);
    CHECK_TEXT(mailwire_event_sender(event), "a@example.org");
    CHECK_INT(mailwire_event_owed(event), 1);
    CHECK_INT(mailwire_event_size(event), sizeof content - 1);
    CHECK_OK(mailwire_event_accept(event, &err));
    CHECK_INT(mailwire_event_owed(event), 0);
    CHECK_FAILS(mailwire_event_reply(event, 550, NULL, "too late", &err), MAILWIRE_ERR_MISUSE);
    CHECK_FAILS(mailwire_event_reject(event, &err), MAILWIRE_ERR_MISUSE);
    uint64_t session = mailwire_event_session_id(event);
    mailwire_event_free(event);

    for (size_t seen = 0; seen < 3;) {
        event = next(server, MAILWIRE_EVENT_RECIPIENTS);
        size_t count = mailwire_event_recipient_count(event);
        CHECK(count > 0);
        CHECK_INT(mailwire_event_owed(event), count);
        CHECK_INT(mailwire_event_session_id(event), session);
        CHECK_FAILS(mailwire_event_accept_at(event, 99, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        for (size_t i = 0; i < count; i++, seen++) {
            if (strncmp(mailwire_event_recipient_at(event, i), "nobody@", 7) == 0)
                CHECK_OK(mailwire_event_reply_at(event, i, 550, "5.1.1", "No such user", &err));
            else if (i + 1 < count)
                CHECK_OK(mailwire_event_accept_at(event, i, &err));
        }
        CHECK_OK(mailwire_event_accept(event, &err));
        mailwire_event_free(event);
        if (count == 0)
            break;
    }

    event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_HAS(mailwire_event_peer(event), "127.0.0.1:");
    CHECK_TEXT(mailwire_event_tls_version(event), "TLSv1.3");
    CHECK_HAS(mailwire_event_tls_cipher(event), "TLS_");
    CHECK_TEXT(mailwire_event_user(event), "user");
    CHECK_TEXT(mailwire_event_hello_name(event), "client.example");
    CHECK_TEXT(mailwire_event_sender(event), "a@example.org");
    CHECK_INT(mailwire_event_recipient_count(event), 2);
    CHECK_TEXT(mailwire_event_recipient_at(event, 1), "c@example.net");
    CHECK_TEXT(mailwire_event_recipient_at(event, 2), "");
    CHECK_INT(mailwire_event_content_length(event), sizeof content - 1);
    CHECK(memcmp(mailwire_event_content(event), content, sizeof content - 1) == 0);
    // What is no reply is refused, and the answer is still owed.
    CHECK_FAILS(mailwire_event_reply(event, 99, NULL, "x", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_event_reply(event, 70000, NULL, "x", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_event_reply(event, 250, "5.1.1", "x", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_event_reply(event, 250, "2.0", "x", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_event_reply(event, 250, NULL, "a\r\n250 b", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_event_reply(event, 354, NULL, "go on", &err), MAILWIRE_ERR_MISUSE);
    CHECK_INT(mailwire_event_owed(event), 1);
    CHECK_OK(mailwire_event_reply(event, 250, "2.6.0", "Kept\nqueued as XYZ", &err));
    mailwire_event_free(event);

    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_ERR_PARTIAL);
    CHECK_INT(mailwire_report_outcome(s.report, 0), MAILWIRE_DELIVERY_ACCEPTED);
    CHECK_INT(mailwire_report_outcome(s.report, 1), MAILWIRE_DELIVERY_REFUSED);
    CHECK_TEXT(mailwire_report_text(s.report, 1), "No such user");
    CHECK_INT(mailwire_report_outcome(s.report, 2), MAILWIRE_DELIVERY_ACCEPTED);
    CHECK_HAS(mailwire_report_reply_text(s.report), "queued as XYZ");
    CHECK_TEXT(mailwire_report_tls_version(s.report), "TLSv1.3");
    CHECK_HAS(mailwire_report_tls_cipher(s.report), "TLS_");
    finish(&s);
    end(server);
}

// Messages go to a disposition, and hooks are asked all the same.
static void a_disposition_takes_the_messages(void) {
    static const char content[] = "Subject: x\r\n\r\nHello.\r\n";
    char folder[] = "/tmp/mailwire-XXXXXX", text[64];
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = content, .length = sizeof content - 1};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(text, sizeof text, "folder:%s", folder);
    CHECK_FAILS(mailwire_server_options_set_disposition(options, "mbox:/x", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_server_options_set(options, "disposition", "maildir:", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set(options, "disposition", "discard", &err));
    CHECK_OK(mailwire_server_options_set_disposition(options, text, &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_MAIL, &err));
    mailwire_server *server = start(options);
    begin(&s, server, "", "tls=none");
    mailwire_event *event = next(server, MAILWIRE_EVENT_MAIL);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    CHECK_INT(pthread_join(s.thread, NULL), 0);
    CHECK_INT(s.status, MAILWIRE_OK);
    finish(&s);

    char path[512];
    DIR *files = opendir(folder);
    CHECK(files != NULL);
    int count = 0;
    for (struct dirent *file; (file = readdir(files)) != NULL;) {
        if (file->d_name[0] == '.')
            continue;
        count++;
        CHECK_HAS(file->d_name, ".eml");
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        char kept[256];
        FILE *stream = fopen(path, "r");
        size_t length = fread(kept, 1, sizeof kept - 1, stream);
        kept[length] = '\0';
        fclose(stream);
        CHECK_TEXT(kept, "Return-Path: <a@example.org>\r\nSubject: x\r\n\r\nHello.\r\n");
        CHECK_INT(unlink(path), 0);
    }
    closedir(files);
    CHECK_INT(count, 1);
    CHECK_INT(rmdir(folder), 0);
    end(server);

    // A relay does not start where strangers could use it.
    options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_disposition(options, "relay:smtp://127.0.0.1:1", &err));
    CHECK_FAILS(mailwire_server_start(options, &server, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(server == NULL);
    CHECK_OK(mailwire_server_options_set(options, "domains", "example.org", &err));
    server = start(options);
    end(server);
}

// What a client is told whose message a disposition cannot take; gives the event that says why.
static mailwire_event *fault_of(const mailwire_server *server, int code) {
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    begin(&s, server, "", "tls=none");
    CHECK_INT(pthread_join(s.thread, NULL), 0);
    CHECK_INT(mailwire_error_smtp_code(s.err), code);
    finish(&s);
    mailwire_event *event = next(server, MAILWIRE_EVENT_FAULT);
    CHECK_INT(mailwire_event_owed(event), 0);
    CHECK_HAS(mailwire_event_peer(event), "127.0.0.1:");
    return event;
}

// A server whose messages go to a disposition, that tells of its faults and of nothing else.
static mailwire_server *disposing(const char *disposition) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_disposition(options, disposition, &err));
    CHECK_OK(mailwire_server_options_set(options, "domains", "example.net", &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_FAULT, &err));
    return start(options);
}

static void a_disposition_that_cannot_take_a_message(void) {
    char folder[] = "/tmp/mailwire-XXXXXX", text[64], path[64];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(text, sizeof text, "maildir:%s", folder);
    mailwire_server *server = disposing(text);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, ((const char *[]){"tmp", "new", "cur"})[i]);
        CHECK_INT(rmdir(path), 0);
    }
    CHECK_INT(rmdir(folder), 0);
    mailwire_event *event = fault_of(server, 451);
    const mailwire_error *fault = mailwire_event_fault(event);
    CHECK_INT(mailwire_error_status(fault), MAILWIRE_ERR_IO);
    CHECK_INT(mailwire_error_os_errno(fault), ENOENT);
    CHECK(!mailwire_error_is_transient(fault));
    CHECK_HAS(mailwire_error_message(fault), "maildir: cannot make a file in /tmp/mailwire-");
    CHECK_HAS(mailwire_error_cause_message(fault), "No such file");
    CHECK_INT(mailwire_error_phase(fault), MAILWIRE_PHASE_NONE);
    mailwire_event_free(event);

    // A file in the place of the folder.
    FILE *file = fopen(folder, "w");
    CHECK(file != NULL && fclose(file) == 0);
    event = fault_of(server, 451);
    CHECK_INT(mailwire_error_os_errno(mailwire_event_fault(event)), ENOTDIR);
    mailwire_event_free(event);
    CHECK_INT(unlink(folder), 0);
    end(server);
}

// The next server of a relay is down; it refuses a sender, which is told, and a recipient, which is not.
static void a_relay_that_cannot_hand_on(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_MAIL, &err));
    mailwire_server *inbox = start(options);
    char text[64];
    snprintf(text, sizeof text, "relay:smtp://127.0.0.1:%d?tls=none", mailwire_server_port(inbox, 0));
    mailwire_server *server = disposing(text);
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    begin(&s, server, "", "tls=none");
    mailwire_event *event = next(inbox, MAILWIRE_EVENT_MAIL);
    CHECK_OK(mailwire_event_reply(event, 550, "5.7.1", "not from you", &err));
    mailwire_event_free(event);
    CHECK_INT(pthread_join(s.thread, NULL), 0);
    CHECK_INT(mailwire_error_smtp_code(s.err), 550);
    finish(&s);
    event = next(server, MAILWIRE_EVENT_FAULT);
    const mailwire_error *fault = mailwire_event_fault(event);
    CHECK_INT(mailwire_error_status(fault), MAILWIRE_ERR_PERMANENT);
    CHECK_INT(mailwire_error_phase(fault), MAILWIRE_PHASE_MAIL);
    CHECK_INT(mailwire_error_smtp_code(fault), 550);
    CHECK_TEXT(mailwire_error_reply_line(fault, 0), "not from you");
    CHECK_HAS(text, mailwire_error_peer(fault));
    mailwire_event_free(event);

    struct sender again = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    begin(&again, server, "", "tls=none");
    event = next(inbox, MAILWIRE_EVENT_MAIL);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    event = next(inbox, MAILWIRE_EVENT_MESSAGE);
    CHECK(mailwire_event_fault(event) == NULL);
    CHECK_OK(mailwire_event_reply(event, 554, "5.7.1", "spam", &err));
    mailwire_event_free(event);
    CHECK_INT(pthread_join(again.thread, NULL), 0);
    CHECK_INT(mailwire_error_smtp_code(again.err), 554);
    finish(&again);
    end(inbox);

    event = fault_of(server, 451);
    fault = mailwire_event_fault(event);
    CHECK(mailwire_error_status(fault) == MAILWIRE_ERR_CONNECTION_REFUSED ||
          mailwire_error_status(fault) == MAILWIRE_ERR_CONNECTION_LOST);
    CHECK_HAS(text, mailwire_error_peer(fault));
    mailwire_event_free(event);
    mailwire_statistics *numbers = NULL;
    uint64_t faults = 0;
    CHECK_OK(mailwire_server_statistics(server, &numbers, &err));
    CHECK_OK(mailwire_statistics_value(numbers, "faults", &faults, &err));
    CHECK_INT(faults, 2);
    mailwire_statistics_free(numbers);
    end(server);
}

static void unanswered_is_451(void) {
    mailwire_server *server = start(mailwire_server_options_new());
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    begin(&s, server, "", "tls=none");
    mailwire_event_free(next(server, MAILWIRE_EVENT_MESSAGE));
    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_ERR_TRANSIENT);
    CHECK_INT(mailwire_error_smtp_code(s.err), 451);
    CHECK_INT(mailwire_report_retry_count(s.report), 1);
    finish(&s);
    end(server);
}

// The id of a message is the same in the event, in its Received field and in what the client is told.
static void the_id_of_a_message(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    CHECK_OK(mailwire_server_options_set(options, "received", "true", &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_MAIL, &err));
    mailwire_server *server = start(options);
    begin(&s, server, "", "tls=none");
    mailwire_event *event = next(server, MAILWIRE_EVENT_MAIL);
    CHECK_TEXT(mailwire_event_queue_id(event), "");
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    event = next(server, MAILWIRE_EVENT_MESSAGE);
    char id[64], content[1024] = "";
    snprintf(id, sizeof id, "%s", mailwire_event_queue_id(event));
    CHECK_INT(strspn(id, "0123456789abcdef"), 32);
    CHECK(mailwire_event_content_length(event) < sizeof content);
    memcpy(content, mailwire_event_content(event), mailwire_event_content_length(event));
    CHECK_HAS(content, id);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(s.thread, NULL);
    CHECK_TEXT(mailwire_report_queue_id(s.report), id);
    finish(&s);
    end(server);
}

enum { LARGE = 4000000 };

// Begins to send a large message to a server that tells it in pieces. Gives the event of its beginning, which owes an answer.
static mailwire_event *large(struct sender *s, mailwire_server **server) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    static char content[LARGE];
    for (size_t i = 0; i < LARGE; i++)
        content[i] = i % 80 == 78 ? '\r' : i % 80 == 79 ? '\n' : '.';
    *s = (struct sender){.recipients = {"b@example.net"}, .count = 1, .content = content, .length = LARGE};
    CHECK_OK(mailwire_server_options_set_stream(options, true, &err));
    *server = start(options);
    begin(s, *server, "", "tls=none");
    return next(*server, MAILWIRE_EVENT_BODY);
}

static void in_pieces(void) {
    mailwire_error *err = NULL;
    mailwire_server *server;
    struct sender s;
    mailwire_event *event = large(&s, &server);
    char *got = malloc(LARGE);
    size_t filled = 0;
    CHECK_INT(mailwire_event_recipient_count(event), 1);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    for (;;) {
        CHECK_OK(mailwire_server_next_event(server, NULL, 10000, &event, &err));
        if (mailwire_event_kind(event) != MAILWIRE_EVENT_CHUNK)
            break;
        size_t length = mailwire_event_content_length(event);
        CHECK_INT(mailwire_event_owed(event), 0);
        if (filled + length <= LARGE)
            memcpy(got + filled, mailwire_event_content(event), length);
        filled += length;
        mailwire_event_free(event);
    }
    CHECK_INT(mailwire_event_kind(event), MAILWIRE_EVENT_END_OF_DATA);
    CHECK_INT(mailwire_event_size(event), LARGE);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_OK);
    CHECK_INT(filled, LARGE);
    CHECK(memcmp(got, s.content, LARGE) == 0);
    finish(&s);
    free(got);
    end(server);
}

static void a_node_asks_for_its_queue(void) {
    static const char session[] = "EHLO a.example\r\nETRN node.example\r\n";
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_ETRN, &err));
    mailwire_server *server = start(options);
    int fd = dial(server);
    CHECK_INT(send(fd, session, sizeof session - 1, MSG_NOSIGNAL), sizeof session - 1);
    mailwire_event *event = next(server, MAILWIRE_EVENT_ETRN);
    CHECK_TEXT(mailwire_event_argument(event), "node.example");
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    close(fd);
    end(server);
}

// A message that is refused while it comes: the client goes on sending, and is told at its end.
static void in_pieces_and_refused(void) {
    mailwire_error *err = NULL;
    mailwire_server *server;
    struct sender s;
    mailwire_event *event = large(&s, &server);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    event = next(server, MAILWIRE_EVENT_CHUNK);
    CHECK_FAILS(mailwire_event_reply(event, 250, NULL, "fine", &err), MAILWIRE_ERR_MISUSE);
    CHECK_OK(mailwire_event_reply(event, 554, "5.6.0", "no dots please", &err));
    mailwire_event_free(event);
    size_t after = 0;
    for (;;) {
        CHECK_OK(mailwire_server_next_event(server, NULL, 10000, &event, &err));
        if (mailwire_event_kind(event) != MAILWIRE_EVENT_CHUNK)
            break;
        after += mailwire_event_content_length(event);
        mailwire_event_free(event);
    }
    CHECK_INT(mailwire_event_kind(event), MAILWIRE_EVENT_DISCARDED);
    mailwire_event_free(event);
    CHECK(after < LARGE / 2);
    pthread_join(s.thread, NULL);
    CHECK_INT(mailwire_report_smtp_code(s.report, 0), 554);
    finish(&s);
    end(server);
}

// A client that goes away in the middle of a message which is told in pieces.
static void in_pieces_and_broken_off(void) {
    static const char session[] = "EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n";
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_stream(options, true, &err));
    mailwire_server *server = start(options);
    int fd = dial(server);
    CHECK_INT(send(fd, session, sizeof session - 1, MSG_NOSIGNAL), sizeof session - 1);
    mailwire_event *event = next(server, MAILWIRE_EVENT_BODY);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    CHECK_INT(send(fd, "half", 4, MSG_NOSIGNAL), 4);
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    CHECK_OK(mailwire_server_next_event(server, NULL, 10000, &event, &err));
    if (mailwire_event_kind(event) == MAILWIRE_EVENT_CHUNK) {
        mailwire_event_free(event);
        event = next(server, MAILWIRE_EVENT_DISCARDED);
    }
    CHECK_INT(mailwire_event_kind(event), MAILWIRE_EVENT_DISCARDED);
    CHECK_INT(mailwire_event_owed(event), 0);
    mailwire_event_free(event);
    close(fd);
    end(server);
}

// Clients that go away after every octet of a session, the next one beginning at once: the server goes on, and only the
// whole sessions bring a message.
static void clients_cut_off_at_every_octet(void) {
    static const char session[] = "EHLO a.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
                                  "Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n";
    const size_t whole = sizeof session - 1 - 6; // The message is taken before QUIT.
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    mailwire_server *server = start(mailwire_server_options_new());
    for (size_t cut = 0; cut < sizeof session; cut++) {
        char reply[512];
        int fd = dial(server);
        CHECK(recv(fd, reply, sizeof reply, 0) > 0);
        CHECK_INT(send(fd, session, cut, MSG_NOSIGNAL), cut);
        if (cut >= whole) {
            CHECK_OK(mailwire_server_next_event(server, NULL, 10000, &event, &err));
            CHECK_INT(mailwire_event_content_length(event), 17);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        close(fd);
    }
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 100, &event, &err), MAILWIRE_ERR_TIMEOUT);
    end(server);
}

static mailwire_cancel *signalled;

static void on_alarm(int number) {
    (void)number;
    mailwire_cancel_signal(signalled);
}

static void waiting(void) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    mailwire_server *server = start(mailwire_server_options_new());
    struct pollfd poll_for = {.fd = mailwire_server_fd(server), .events = POLLIN};
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 0, &event, &err), MAILWIRE_ERR_TIMEOUT);
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 50, &event, &err), MAILWIRE_ERR_TIMEOUT);
    CHECK_FAILS(mailwire_server_next_event(server, NULL, -5, &event, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_INT(poll(&poll_for, 1, 0), 0);

    signalled = mailwire_cancel_new();
    signal(SIGALRM, on_alarm);
    alarm(1);
    CHECK_FAILS(mailwire_server_next_event(server, signalled, MAILWIRE_NO_TIMEOUT, &event, &err),
                MAILWIRE_ERR_CANCELLED);
    mailwire_cancel_unref(signalled);

    begin(&s, server, "", "tls=none");
    while (poll(&poll_for, 1, 10000) < 0 && errno == EINTR)
        ;
    CHECK(poll_for.revents & POLLIN);
    CHECK_OK(mailwire_server_next_event(server, NULL, 0, &event, &err));
    // A fork in the middle of it: of no use in the child, and the parent goes on.
    int told[2];
    char good = 0;
    CHECK_INT(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        mailwire_event *other = NULL;
        alarm(20);
        signal(SIGALRM, SIG_DFL);
        good = mailwire_event_accept(event, NULL) == MAILWIRE_ERR_FORKED &&
               mailwire_server_next_event(server, NULL, 0, &other, NULL) == MAILWIRE_ERR_FORKED &&
               mailwire_server_shutdown(server, 0, NULL) == MAILWIRE_ERR_FORKED;
        mailwire_event_free(event);
        mailwire_server_free(server);
        _exit(write(told[1], &good, 1) != 1);
    }
    close(told[1]);
    while (read(told[0], &good, 1) < 0 && errno == EINTR)
        ;
    CHECK_INT(good, 1);
    close(told[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_OK);
    finish(&s);
    end(server);
}

int main(void) {
    if (!find_pki())
        return 2;
    a_message_with_everything();
    a_disposition_takes_the_messages();
    a_disposition_that_cannot_take_a_message();
    a_relay_that_cannot_hand_on();
    unanswered_is_451();
    the_id_of_a_message();
    in_pieces();
    a_node_asks_for_its_queue();
    in_pieces_and_refused();
    in_pieces_and_broken_off();
    clients_cut_off_at_every_octet();
    waiting();
    return check_result();
}
