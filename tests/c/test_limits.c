// The limits of a server, each set by its own function and seen at its edge and beyond, and what its end is for a client that is idle
// and for one whose message is on its way.
#include "check.h"
#include "listener.h"
#include <dirent.h>
#include <stdatomic.h>
#include <time.h>

static const char begin_message[] =
    "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n";

static void hear_an_invitation(int fd) {
    hear(fd, "220 ");
    hear(fd, "\r\n250 ");
    hear(fd, "250 2.1.0");
    hear(fd, "250 2.1.5");
    hear(fd, "354 ");
}

// Two connections are served, the third is turned away with these words, and the others do not notice.
static void two_connections(mailwire_status (*set)(mailwire_server_options *, size_t, mailwire_error **),
                            const char *words) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_FAILS(set(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(set(options, 2, &err));
    mailwire_server *server = start(options);
    int served[2];
    for (int i = 0; i < 2; i++) {
        served[i] = dial(server);
        hear(served[i], "220 ");
    }
    int third = dial(server);
    hear(third, words);
    hear_the_end(third);
    for (int i = 0; i < 2; i++) {
        say(served[i], "NOOP\r\n");
        hear(served[i], "250 ");
        close(served[i]);
    }
    end(server);
}

// What is declared is judged at MAIL, and what comes at its end.
static void the_size_of_a_message(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_FAILS(mailwire_server_options_set_max_message_size(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_max_message_size(options, 10, &err));
    mailwire_server *server = start(options);
    int fd = dial(server);
    hear(fd, "220 ");
    say(fd, "EHLO client.example\r\n");
    hear(fd, "\r\n250-SIZE 10\r\n");
    say(fd, "MAIL FROM:<a@example.org> SIZE=11\r\n");
    hear(fd, "552 5.3.4");
    for (int over = 0; over < 2; over++) {
        say(fd, "MAIL FROM:<a@example.org> SIZE=10\r\nRCPT TO:<b@example.net>\r\nDATA\r\n");
        hear(fd, "250 2.1.0");
        hear(fd, "250 2.1.5");
        hear(fd, "354 ");
        say(fd, over ? "123456789\r\n.\r\n" : "12345678\r\n.\r\n");
        if (!over) {
            mailwire_event *event = next(server, MAILWIRE_EVENT_MESSAGE);
            CHECK_INT(mailwire_event_size(event), 10);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        hear(fd, over ? "552 5.3.4" : "250 2.");
    }
    close(fd);
    end(server);
}

static void the_recipients_of_a_message(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_FAILS(mailwire_server_options_set_max_recipients(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_max_recipients(options, 2, &err));
    mailwire_server *server = start(options);
    int fd = dial(server);
    hear(fd, "220 ");
    say(fd, "EHLO client.example\r\n");
    hear(fd, "250");
    say(fd, "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nRCPT "
            "TO:<d@example.net>\r\n");
    hear(fd, "250 2.1.0");
    hear(fd, "250 2.1.5");
    hear(fd, "250 2.1.5");
    hear(fd, "452 4.5.3");
    close(fd);
    end(server);
}

// A message for which there is no memory is refused for now, and one that comes when there is some again is taken.
static void the_memory_for_messages(void) {
    static char content[60000];
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    memset(content, '\n', sizeof content);
    for (size_t i = 0; i < sizeof content; i += 2)
        content[i] = '\r';
    struct sender first = {.recipients = {"b@example.net"}, .count = 1, .content = content, .length = sizeof content};
    struct sender second = first, third = first;
    CHECK_FAILS(mailwire_server_options_set_body_memory(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_body_memory(options, 100000, &err));
    mailwire_server *server = start(options);
    begin(&first, server, "", "tls=none&deadline=20");
    mailwire_event *event = next(server, MAILWIRE_EVENT_MESSAGE);
    begin(&second, server, "", "tls=none&deadline=20");
    pthread_join(second.thread, NULL);
    CHECK_INT(second.status, MAILWIRE_ERR_TRANSIENT);
    CHECK_INT(mailwire_error_smtp_code(second.err), 452);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(first.thread, NULL);
    CHECK_INT(first.status, MAILWIRE_OK);
    begin(&third, server, "", "tls=none&deadline=20");
    accept_next(server, MAILWIRE_EVENT_MESSAGE);
    pthread_join(third.thread, NULL);
    CHECK_INT(third.status, MAILWIRE_OK);
    finish(&first);
    finish(&second);
    finish(&third);
    end(server);
}

// How many threads of this process do the I/O of a server.
static int io_threads(void) {
    char path[300], name[32];
    int count = 0;
    DIR *threads = opendir("/proc/self/task");
    CHECK(threads != NULL);
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        count += fgets(name, sizeof name, file) && strncmp(name, "mailwire-io-", 12) == 0;
        fclose(file);
    }
    closedir(threads);
    return count;
}

// So many of them come to be: one that was just made has no name yet, and one that has just ended may still be seen. Waits 20 seconds at the
// most.
static void io_threads_are(int wanted) {
    const struct timespec pause = {0, 10 * 1000 * 1000};
    for (int i = 0; i < 2000 && io_threads() != wanted; i++)
        nanosleep(&pause, NULL);
    CHECK_INT(io_threads(), wanted);
}

static void the_threads(void) {
    mailwire_error *err = NULL;
    for (int wanted = 1; wanted <= 3; wanted++) {
        mailwire_server_options *options = mailwire_server_options_new();
        CHECK_FAILS(mailwire_server_options_set_threads(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK_OK(mailwire_server_options_set_threads(options, (size_t)wanted, &err));
        mailwire_server *server = start(options);
        int fd = dial(server);
        hear(fd, "220 ");
        io_threads_are(wanted);
        close(fd);
        end(server);
        io_threads_are(0);
    }
}

// An answer that comes too late reaches nobody: the client was told 451 and goes on. One in time is heard.
static void the_time_for_an_answer(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_FAILS(mailwire_server_options_set_answer_timeout(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_server_options_set_answer_timeout(options, MAILWIRE_NO_TIMEOUT, &err),
                MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_answer_timeout(options, 500, &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_VERIFY, &err));
    mailwire_server *server = start(options);
    int fd = dial(server);
    hear(fd, "220 ");
    say(fd, "EHLO client.example\r\n");
    hear(fd, "250");
    say(fd, "VRFY a\r\n");
    mailwire_event *event = next(server, MAILWIRE_EVENT_VERIFY);
    hear(fd, "451 4.3.0");
    CHECK_FAILS(mailwire_event_accept(event, &err), MAILWIRE_ERR_CLOSED);
    mailwire_event_free(event);
    say(fd, "VRFY b\r\n");
    accept_next(server, MAILWIRE_EVENT_VERIFY);
    hear(fd, "252 2.5.0");
    close(fd);
    end(server);
}

// The time of a client that says nothing is not that of the program, which may take longer.
static void the_time_for_a_command(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_FAILS(mailwire_server_options_set_idle_timeout(options, 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_idle_timeout(options, 500, &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_HELLO, &err));
    mailwire_server *server = start(options);
    int asked = dial(server), silent;
    say(asked, "EHLO client.example\r\n");
    mailwire_event *event = next(server, MAILWIRE_EVENT_HELLO);
    silent = dial(server);
    hear(silent, "220 ");
    hear(silent, "421 4.4.2 Timeout");
    hear_the_end(silent);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    hear(asked, "220 ");
    hear(asked, "250");
    close(asked);
    end(server);
}

struct ending {
    pthread_t thread;
    const mailwire_server *server;
    mailwire_status status;
    atomic_int over;
};

static void *shut_down(void *argument) {
    struct ending *ending = argument;
    ending->status = mailwire_server_shutdown(ending->server, 60000, NULL);
    ending->over = 1;
    return NULL;
}

// Shut down, a server tells idle clients 421, waits for a message that is on its way, and tells its client too. Then its threads have
// ended, no event is left, and another server can listen in its place at once.
static void an_end_with_grace(void) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    char address[32];
    mailwire_server *server = start(mailwire_server_options_new());
    snprintf(address, sizeof address, "%s", mailwire_server_address_at(server, 0));
    CHECK_FAILS(mailwire_server_shutdown(server, MAILWIRE_NO_TIMEOUT, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    int idle = dial(server), busy = dial(server);
    hear(idle, "220 ");
    say(idle, "EHLO client.example\r\n");
    hear(idle, "250");
    say(busy, begin_message);
    hear_an_invitation(busy);

    struct ending ending = {.server = server};
    CHECK_INT(pthread_create(&ending.thread, NULL, shut_down, &ending), 0);
    hear(idle, "421 4.3.2 Shutting down");
    hear_the_end(idle);
    say(busy, "x\r\n.\r\n");
    event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_INT(ending.over, 0);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    hear(busy, "250 2.");
    hear(busy, "421 4.3.2 Shutting down");
    hear_the_end(busy);
    CHECK_INT(pthread_join(ending.thread, NULL), 0);
    CHECK_INT(ending.status, MAILWIRE_OK);
    io_threads_are(0);
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 5000, &event, &err), MAILWIRE_END);

    mailwire_server *another = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_add_listener(options, address, &err));
    CHECK_OK(mailwire_server_start(options, &another, &err));
    mailwire_server_options_free(options);
    int fd = dial(another);
    hear(fd, "220 ");
    close(fd);
    end(another);
    mailwire_server_free(server);
}

// Once the grace is over nobody is waited for: neither a client whose message is on its way, nor an answer that does not come.
static void an_end_of_the_grace(void) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    // Of the option by this name a server that is a queue of events takes no notice: the call's own time counts.
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set(options, "grace", "3600", &err));
    mailwire_server *server = start(options);
    int sending = dial(server), waiting = dial(server);
    say(sending, begin_message);
    hear_an_invitation(sending);
    say(waiting, begin_message);
    hear_an_invitation(waiting);
    say(waiting, "x\r\n.\r\n");
    event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_OK(mailwire_server_shutdown(server, 100, &err));
    io_threads_are(0);
    CHECK_FAILS(mailwire_event_accept(event, &err), MAILWIRE_ERR_CLOSED);
    mailwire_event_free(event);
    hear(sending, "421 4.3.2 Shutting down");
    hear_the_end(sending);
    hear_the_end(waiting);
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 5000, &event, &err), MAILWIRE_END);
    mailwire_server_free(server);
}

// A program of one thread begins the end, and answers until it comes.
static void an_end_by_one_thread(void) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    mailwire_server *server = start(mailwire_server_options_new());
    CHECK_FAILS(mailwire_server_begin_shutdown(server, MAILWIRE_NO_TIMEOUT, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    int busy = dial(server);
    say(busy, begin_message);
    hear_an_invitation(busy);
    CHECK_OK(mailwire_server_begin_shutdown(server, 60000, &err));
    CHECK_OK(mailwire_server_begin_shutdown(server, 0, &err));
    say(busy, "x\r\n.\r\n");
    event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    hear(busy, "250 2.");
    hear(busy, "421 4.3.2 Shutting down");
    hear_the_end(busy);
    CHECK_FAILS(mailwire_server_next_event(server, NULL, 20000, &event, &err), MAILWIRE_END);
    mailwire_server_free(server);
}

// A server whose socket somebody else has shut down is over, and whoever waits for events hears of it, and that nobody meant it to be.
static void an_end_by_itself(void) {
    mailwire_error *err = NULL;
    mailwire_event *event = NULL;
    mailwire_server *server = NULL;
    char address[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(listen(fd, 1), 0);
    snprintf(address, sizeof address, "fd:%d", fd);
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_add_listener(options, address, &err));
    CHECK_OK(mailwire_server_start(options, &server, &err));
    mailwire_server_options_free(options);
    CHECK_INT(shutdown(fd, SHUT_RDWR), 0);
    for (int again = 0; again < 2; again++) {
        CHECK_INT(mailwire_server_next_event(server, NULL, 20000, &event, &err), MAILWIRE_ERR_IO);
        CHECK_HAS(mailwire_error_message(err), "the server has ended by itself: no more connections can be accepted: ");
        mailwire_error_free(err);
        err = NULL;
    }
    CHECK_OK(mailwire_server_shutdown(server, 0, &err));
    mailwire_server_free(server);
    close(fd);
}

int main(void) {
    two_connections(mailwire_server_options_set_max_connections, "421 4.3.2 Too many connections\r\n");
    two_connections(mailwire_server_options_set_connections_per_address,
                    "421 4.7.0 Too many connections from your address\r\n");
    the_size_of_a_message();
    the_recipients_of_a_message();
    the_memory_for_messages();
    the_threads();
    the_time_for_an_answer();
    the_time_for_a_command();
    an_end_with_grace();
    an_end_of_the_grace();
    an_end_by_one_thread();
    an_end_by_itself();
    return check_result();
}
