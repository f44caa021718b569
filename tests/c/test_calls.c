// Calls in any order: bytes say what is made, used and freed. Every call has to say what it did, and nothing may crash or hang.
//
// As a test it replays tests/fuzz/corpus/c_calls and mutations of it that are the same in each run; with FUZZING defined it has no
// main and is a target for libFuzzer. What C forbids is not done: a freed handle is not used, text ends with NUL.

#include <arpa/inet.h>
#include <dirent.h>
#include <mailwire.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS 3
#define PROMISE(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *promise, int line) {
    fprintf(stderr, "tests/c/test_calls.c:%d: not so: %s\n", line, promise);
    abort();
}

// What an input has made; NULL where it was not, or was freed.
struct world {
    mailwire_client_options *client_options[SLOTS];
    mailwire_client *client[SLOTS];
    mailwire_message *message[SLOTS];
    mailwire_report *report[SLOTS];
    mailwire_cancel *cancel[SLOTS];
    mailwire_server_options *server_options[SLOTS];
    mailwire_server *server[SLOTS];
    mailwire_event *event[SLOTS];
    int dialled[SLOTS];
    const uint8_t *bytes;
    size_t left;
    // Servers and sends take time, so an input has a few.
    int servers, sends;
};

static unsigned next(struct world *w) {
    if (w->left == 0)
        return 0;
    w->left--;
    return *w->bytes++;
}

static const char *text(struct world *w) {
    static const char *const texts[] = {
        NULL,
        "",
        "a@b.example",
        "c@d.example, e@f.example",
        "127.0.0.1:0",
        "localhost",
        "hello\r\nRCPT TO:<x@y>",
        "smtp://h",
        "timeout",
        "0.05",
        "true",
        "plain",
        "\xff\xfe",
        "smtps://u:p@[::1]:1?tls=none",
        "postmaster",
        "5.1.1",
        "unix:/",
        "/nonexistent",
        "all_or_nothing",
        "\"q q\"@z.example",
        "lmtp://[::1",
        "hostname",
        "99999999999",
        "x@xn--bcher-kva.example",
    };
    return texts[next(w) % (sizeof texts / sizeof *texts)];
}

// A text that a getter gave: never NULL, and fit to be printed on one line.
static void shown(const char *given) {
    PROMISE(given != NULL);
    PROMISE(strpbrk(given, "\r\n") == NULL);
}

// What a call returned, and the error that it left.
static void judge(mailwire_status status, mailwire_error *err) {
    PROMISE(status == mailwire_error_status(err));
    PROMISE((err == NULL) == (status == MAILWIRE_OK));
    // What a caught panic comes out as.
    PROMISE(status != MAILWIRE_ERR_INTERNAL);
    shown(mailwire_error_message(err));
    PROMISE((*mailwire_error_message(err) == '\0') == (err == NULL));
    shown(mailwire_error_cause_message(err));
    shown(mailwire_error_peer(err));
    shown(mailwire_error_command(err));
    PROMISE(mailwire_status_name(status) != NULL && *mailwire_status_name(status) != '\0');
    mailwire_error_reply_line(err, mailwire_error_reply_count(err));
    mailwire_error_is_transient(err);
    mailwire_error_free(err);
}

#define JUDGE(call)                                                                                                    \
    do {                                                                                                               \
        mailwire_error *err = NULL;                                                                                    \
        mailwire_status status = (call);                                                                               \
        judge(status, err);                                                                                            \
    } while (0)

static void use_report(const mailwire_report *report) {
    size_t count = mailwire_report_count(report);
    PROMISE(count <= 100);
    for (size_t i = 0; i <= count; i++) {
        mailwire_report_outcome(report, i);
        shown(mailwire_report_address(report, i));
        shown(mailwire_report_text(report, i));
    }
    PROMISE(mailwire_report_retry_at(report, mailwire_report_retry_count(report)) == SIZE_MAX);
    shown(mailwire_report_queue_id(report));
    shown(mailwire_report_tls_version(report));
    shown(mailwire_report_reply_text(report));
}

static void use_event(struct world *w, mailwire_event *event) {
    size_t owed = mailwire_event_owed(event);
    PROMISE(owed <= 1000);
    shown(mailwire_event_peer(event));
    shown(mailwire_event_hello_name(event));
    shown(mailwire_event_sender(event));
    shown(mailwire_event_recipient_at(event, next(w)));
    PROMISE(mailwire_event_content_length(event) == 0 || mailwire_event_content(event) != NULL);
    switch (next(w) % 5) {
    case 0:
        JUDGE(mailwire_event_accept(event, &err));
        break;
    case 1:
        JUDGE(mailwire_event_reject(event, &err));
        break;
    case 2:
        JUDGE(mailwire_event_reply(event, (int32_t)(next(w) * 3), text(w), text(w), &err));
        break;
    case 3:
        JUDGE(mailwire_event_accept_at(event, next(w) % 4, &err));
        break;
    default:
        JUDGE(mailwire_event_reply_at(event, next(w) % 4, 550, text(w), text(w), &err));
    }
    PROMISE(mailwire_event_owed(event) <= owed);
}

// A client of the server's that says all at once.
static void dial(struct world *w, unsigned slot) {
    static const char said[] = "EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT "
                               "TO:<e@f.example>\r\nDATA\r\nx\r\n.\r\nVRFY x\r\nQUIT\r\n";
    uint16_t port = mailwire_server_port(w->server[slot], 0);
    if (port == 0 || w->dialled[slot] != 0)
        return;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        w->dialled[slot] = send(fd, said, sizeof said - 1, MSG_NOSIGNAL) > 0 ? fd : 0;
    if (fd >= 0 && w->dialled[slot] == 0)
        close(fd);
}

static void use_client(struct world *w, unsigned op, unsigned slot) {
    mailwire_client_options *options = w->client_options[slot];
    unsigned other = next(w) % SLOTS;
    switch (op) {
    case 0:
        if (options == NULL && next(w) % 2)
            JUDGE(mailwire_client_options_from_url(text(w), &w->client_options[slot], &err));
        else if (options == NULL)
            w->client_options[slot] = mailwire_client_options_new();
        break;
    case 1:
        JUDGE(mailwire_client_options_set(options, text(w), text(w), &err));
        break;
    case 2: {
        uint16_t port = mailwire_server_port(w->server[other], 0);
        JUDGE(mailwire_client_options_set_server(options, "127.0.0.1", port ? port : 1, &err));
        break;
    }
    case 3: {
        const char *secret = text(w);
        JUDGE(mailwire_client_options_set_credentials(options, text(w), secret, secret ? strlen(secret) : 0, &err));
        break;
    }
    case 4:
        JUDGE(mailwire_client_options_set_tls(options, (mailwire_tls_policy)(next(w) % 8), &err));
        break;
    case 5:
        if (w->client[slot] == NULL) {
            // Nothing that is sent here may wait for long.
            mailwire_error *err = NULL;
            if (mailwire_client_options_set_timeout(options, 20, &err) != MAILWIRE_OK ||
                mailwire_client_options_set_deadline(options, 20, &err) != MAILWIRE_OK)
                mailwire_error_free(err);
            JUDGE(mailwire_client_new(options, &w->client[slot], &err));
        }
        break;
    case 6:
        if (w->sends++ < 2 && w->report[slot] == NULL)
            JUDGE(mailwire_client_send(w->client[slot], w->message[other], w->cancel[other], &w->report[slot], &err));
        break;
    case 7:
        JUDGE(mailwire_client_close(w->client[slot], &err));
        break;
    case 8:
        mailwire_client_free(w->client[slot]);
        w->client[slot] = NULL;
        break;
    default:
        mailwire_client_options_free(options);
        w->client_options[slot] = NULL;
    }
}

static void use_message(struct world *w, unsigned op, unsigned slot) {
    mailwire_message *message = w->message[slot];
    const char *content = text(w);
    switch (op) {
    case 0:
        if (message == NULL)
            w->message[slot] = mailwire_message_new();
        break;
    case 1:
        JUDGE(mailwire_message_set_sender(message, content, &err));
        break;
    case 2:
        JUDGE(mailwire_message_add_recipient(message, content, &err));
        break;
    case 3:
        JUDGE(mailwire_message_clear_recipients(message, &err));
        break;
    case 4:
        JUDGE(mailwire_message_set_content(message, content, content ? strlen(content) : next(w) % 2, &err));
        break;
    case 5:
        mailwire_message_free(message);
        w->message[slot] = NULL;
        break;
    case 6:
        use_report(w->report[slot]);
        break;
    case 7:
        mailwire_report_free(w->report[slot]);
        w->report[slot] = NULL;
        break;
    case 8:
        if (w->cancel[slot] == NULL)
            w->cancel[slot] = mailwire_cancel_new();
        mailwire_cancel_unref(mailwire_cancel_ref(w->cancel[slot]));
        break;
    case 9:
        mailwire_cancel_signal(w->cancel[slot]);
        break;
    default:
        mailwire_cancel_unref(w->cancel[slot]);
        w->cancel[slot] = NULL;
    }
}

static void use_server(struct world *w, unsigned op, unsigned slot) {
    mailwire_server_options *options = w->server_options[slot];
    mailwire_server *server = w->server[slot];
    switch (op) {
    case 0:
        if (options == NULL)
            w->server_options[slot] = mailwire_server_options_new();
        break;
    case 1:
        JUDGE(mailwire_server_options_set(options, text(w), text(w), &err));
        break;
    case 2:
        JUDGE(mailwire_server_options_add_listener(options, "127.0.0.1:0", &err));
        break;
    case 3:
        JUDGE(mailwire_server_options_set_hooks(options, (mailwire_hooks)(next(w) * 16), &err));
        break;
    case 4:
        JUDGE(mailwire_server_options_set_max_recipients(options, next(w), &err));
        break;
    case 5:
        if (server == NULL && w->servers++ < 2)
            JUDGE(mailwire_server_start(options, &w->server[slot], &err));
        break;
    case 6:
        dial(w, slot);
        break;
    case 7:
        if (w->event[slot] == NULL)
            JUDGE(mailwire_server_next_event(server, w->cancel[slot], next(w) % 8, &w->event[slot], &err));
        break;
    case 8:
        use_event(w, w->event[slot]);
        break;
    case 9:
        mailwire_event_free(w->event[slot]);
        w->event[slot] = NULL;
        break;
    case 10:
        shown(mailwire_server_address_at(server, next(w)));
        PROMISE((mailwire_server_fd(server) >= 0) == (server != NULL));
        break;
    case 11:
        JUDGE(mailwire_server_shutdown(server, (int64_t)(next(w) % 8) - 1, &err));
        break;
    case 12:
        mailwire_server_free(server);
        w->server[slot] = NULL;
        break;
    default:
        mailwire_server_options_free(options);
        w->server_options[slot] = NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct world w = {.bytes = bytes, .left = length < 256 ? length : 256};
    while (w.left > 0) {
        unsigned slot = next(&w) % SLOTS, op = next(&w);
        switch (op / 16 % 3) {
        case 0:
            use_client(&w, op % 16, slot);
            break;
        case 1:
            use_message(&w, op % 16, slot);
            break;
        default:
            use_server(&w, op % 16, slot);
        }
    }
    // In no order that would be a careful program's: servers before their events, options before what was made of them.
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (w.dialled[slot] != 0)
            close(w.dialled[slot]);
        mailwire_server_options_free(w.server_options[slot]);
        mailwire_client_options_free(w.client_options[slot]);
        mailwire_cancel_unref(w.cancel[slot]);
        mailwire_server_free(w.server[slot]);
        mailwire_event_free(w.event[slot]);
        mailwire_message_free(w.message[slot]);
        mailwire_client_free(w.client[slot]);
        mailwire_report_free(w.report[slot]);
    }
    return 0;
}

#ifndef FUZZING
#define MUTATIONS 2000

// An input, and changes of it: octets that look random and are the same in each run.
static void replay(uint8_t *bytes, size_t length, size_t room, unsigned *seed, int mutations) {
    LLVMFuzzerTestOneInput(bytes, length);
    for (int i = 0; i < mutations; i++) {
        for (int change = 0; change < 6; change++) {
            *seed = *seed * 1664525U + 1013904223U;
            size_t at = (*seed >> 8) % room;
            if (at >= length)
                length = at + 1;
            bytes[at] = (uint8_t)(*seed >> 24);
        }
        LLVMFuzzerTestOneInput(bytes, length);
    }
}

int main(void) {
    const char *folder = "tests/fuzz/corpus/c_calls";
    DIR *corpus = opendir(folder);
    unsigned seed = 1, inputs = 0;
    for (struct dirent *entry; corpus != NULL && (entry = readdir(corpus)) != NULL;) {
        uint8_t bytes[256] = {0};
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file == NULL)
            continue;
        size_t length = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        inputs++;
        replay(bytes, length, 64, &seed, MUTATIONS / 4);
    }
    if (corpus != NULL)
        closedir(corpus);
    if (inputs < 3) {
        fprintf(stderr, "%s holds no inputs\n", folder);
        return 1;
    }
    return 0;
}
#endif
