// CR, LF, NUL and what is no UTF-8 in every text that a C program can give: refused when it is given, by an error that names the
// parameter, and nothing is sent. injection_rows.py compares the rows with the header: a new parameter needs one.
#include "check.h"
#include "peer.h"

static peer no_one = {.cut_after = -1};
static char url[64];

static mailwire_client_options *client;
static mailwire_server_options *server;
static mailwire_message *message;
static mailwire_event *event;
static mailwire_scram_keys *keys;
static mailwire_statistics *statistics;
static uint64_t value;

static const char content[] = "Subject: x\r\n\r\nHello\r\n";

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEYS "SCRAM-SHA-1$4096:c2FsdA==$" KEY ":" KEY

// ROW: a parameter of a function, a good text with % where the bad octets go, what the error says, and the call.
#define ROW(function, parameter, good, word, call)                                                                     \
    static mailwire_status function##_##parameter(const char *text, size_t length, mailwire_error **err) {             \
        (void)length;                                                                                                  \
        return call;                                                                                                   \
    }

#define ROWS                                                                                                           \
    ROW(mailwire_message_set_sender, sender, "a%b@c.example", "sender",                                                \
        mailwire_message_set_sender(message, text, err))                                                               \
    ROW(mailwire_message_add_recipient, recipient, "a@b%.example", "recipient",                                        \
        mailwire_message_add_recipient(message, text, err))                                                            \
    ROW(mailwire_client_options_set_local_hostname, name, "a%b.example", "name",                                       \
        mailwire_client_options_set_local_hostname(client, text, err))                                                 \
    ROW(mailwire_client_options_set_source_address, address, "127.0%.0.1", "address",                                  \
        mailwire_client_options_set_source_address(client, text, err))                                                 \
    ROW(mailwire_client_options_from_url, url, "smtp://a%b.example", "url", open_url(text, err))                       \
    ROW(mailwire_client_options_set, name, "t%ls", "name", mailwire_client_options_set(client, text, "none", err))     \
    ROW(mailwire_client_options_set, value, "no%ne", "value|tls",                                                      \
        mailwire_client_options_set(client, "tls", text, err))                                                         \
    ROW(mailwire_client_options_set_server, host, "a%b.example", "host",                                               \
        mailwire_client_options_set_server(client, text, 25, err))                                                     \
    ROW(mailwire_client_options_set_credentials, user, "us%er", "user",                                                \
        mailwire_client_options_set_credentials(client, text, "secret", 6, err))                                       \
    ROW(mailwire_client_options_set_credentials, secret, "sec%ret", "secret|password",                                 \
        mailwire_client_options_set_credentials(client, "user", text, length, err))                                    \
    ROW(mailwire_client_options_set_mechanism, mechanism, "PLA%IN", "mechanism",                                       \
        mailwire_client_options_set_mechanism(client, text, err))                                                      \
    ROW(mailwire_send, url, "smtp://a%b.example", "url",                                                               \
        mailwire_send(text, "a@b.example", &to, 1, content, sizeof content - 1, NULL, err))                            \
    ROW(mailwire_send, sender, "a%b@c.example", "sender",                                                              \
        mailwire_send(url, text, &to, 1, content, sizeof content - 1, NULL, err))                                      \
    ROW(mailwire_send, recipients, "a%b@c.example", "recipient",                                                       \
        mailwire_send(url, "a@b.example", &text, 1, content, sizeof content - 1, NULL, err))                           \
    ROW(mailwire_send_text, url, "smtp://a%b.example", "url",                                                          \
        mailwire_send_text(text, "a@b.example", &to, 1, "x", "y", NULL, err))                                          \
    ROW(mailwire_send_text, sender, "a%b@c.example", "sender",                                                         \
        mailwire_send_text(url, text, &to, 1, "x", "y", NULL, err))                                                    \
    ROW(mailwire_send_text, recipients, "a%b@c.example", "recipient",                                                  \
        mailwire_send_text(url, "a@b.example", &text, 1, "x", "y", NULL, err))                                         \
    ROW(mailwire_send_text, subject, "a%b", "subject",                                                                 \
        mailwire_send_text(url, "a@b.example", &to, 1, text, "y", NULL, err))                                          \
    ROW(mailwire_server_options_set_hostname, name, "a%b.example", "name",                                             \
        mailwire_server_options_set_hostname(server, text, err))                                                       \
    ROW(mailwire_server_options_set_disposition, disposition, "relay:smtp://h%.example", "disposition",                \
        mailwire_server_options_set_disposition(server, text, err))                                                    \
    ROW(mailwire_server_options_set, name, "str%eam", "name", mailwire_server_options_set(server, text, "true", err))  \
    ROW(mailwire_server_options_set, value, "a%b.example", "value|domains",                                            \
        mailwire_server_options_set(server, "domains", text, err))                                                     \
    ROW(mailwire_server_options_add_listener, address, "127.0%.0.1:0", "address",                                      \
        mailwire_server_options_add_listener(server, text, err))                                                       \
    ROW(mailwire_server_options_add_user, name, "us%er", "name",                                                       \
        mailwire_server_options_add_user(server, text, "secret", 6, err))                                              \
    ROW(mailwire_server_options_add_user, secret, "sec%ret", "secret|password",                                        \
        mailwire_server_options_add_user(server, "user", text, length, err))                                           \
    ROW(mailwire_server_options_add_user_keys, name, "us%er", "name",                                                  \
        mailwire_server_options_add_user_keys(server, text, KEYS, err))                                                \
    ROW(mailwire_server_options_add_user_keys, keys, "SCRAM-SHA-1$40%96:c2FsdA==$" KEY ":" KEY, "keys",                \
        mailwire_server_options_add_user_keys(server, "user", text, err))                                              \
    ROW(mailwire_scram_keys_new, mechanism, "SCRAM%-SHA-1", "mechanism",                                               \
        mailwire_scram_keys_new(text, "secret", 6, 1, &keys, err))                                                     \
    ROW(mailwire_scram_keys_new, secret, "sec%ret", "secret|password",                                                 \
        mailwire_scram_keys_new(NULL, text, length, 1, &keys, err))                                                    \
    ROW(mailwire_statistics_value, name, "mess%ages", "name",                                                          \
        mailwire_statistics_value(statistics, text, &value, err))                                                      \
    ROW(mailwire_event_supply_password, secret, "sec%ret", "secret|password",                                          \
        mailwire_event_supply_password(event, text, length, err))                                                      \
    ROW(mailwire_event_supply_keys, keys, "SCRAM-SHA-1$40%96:c2FsdA==$" KEY ":" KEY, "keys",                           \
        mailwire_event_supply_keys(event, text, err))                                                                  \
    ROW(mailwire_event_reply, enhanced, "5.1%.1", "enhanced", mailwire_event_reply(event, 550, text, "x", err))        \
    ROW(mailwire_event_reply, text, "a%b", "text", mailwire_event_reply(event, 550, NULL, text, err))                  \
    ROW(mailwire_event_reply_at, enhanced, "5.1%.1", "enhanced",                                                       \
        mailwire_event_reply_at(event, 0, 550, text, "x", err))                                                        \
    ROW(mailwire_event_reply_at, text, "a%b", "text", mailwire_event_reply_at(event, 0, 550, NULL, text, err))

// HARMLESS: what is never sent, and why.
#define HARMLESS(function, parameter, reason)

HARMLESS(mailwire_has_feature, name, "it is looked for in a list")
HARMLESS(mailwire_client_options_set_unix_socket, path, "a path is never sent")
HARMLESS(mailwire_client_options_set_ca_file, path, "a path is never sent")
HARMLESS(mailwire_client_options_set_certificate, path, "a path is never sent")
HARMLESS(mailwire_server_options_set_certificate, certificate, "a path is never sent")
HARMLESS(mailwire_server_options_set_certificate, key, "a path is never sent")
HARMLESS(mailwire_send_text, text, "line ends are what a text has; they are made canonical")

static const char *to = "a@b.example";

static mailwire_status open_url(const char *text, mailwire_error **err) {
    mailwire_client_options *options = NULL;
    mailwire_status status = mailwire_client_options_from_url(text, &options, err);
    mailwire_client_options_free(options);
    return status;
}

ROWS

#undef ROW
#define ROW(function, parameter, good, word, call) {#function, #parameter, good, word, function##_##parameter},

    static const struct row {
    const char *function, *parameter, *good, *word;
    mailwire_status (*call)(const char *text, size_t length, mailwire_error **err);
} rows[] = {ROWS};

// A row's text with these octets in the place of its %, at its start or at its end.
static size_t spoilt(char *out, const char *good, const char *bad, size_t length, int place) {
    const char *mark = strchr(good, '%');
    size_t before = place == 0 ? (size_t)(mark - good) : 0, filled = 0;
    char whole[128];
    snprintf(whole, sizeof whole, "%.*s%s", (int)(mark - good), good, mark + 1);
    if (place == 2)
        before = strlen(whole);
    memcpy(out, whole, before);
    filled = before;
    memcpy(out + filled, bad, length);
    filled += length;
    strcpy(out + filled, whole + before);
    return filled + strlen(whole) - before;
}

// Whether an error has one of the words, which are parted by |: the engine may have one of its own.
static int names(const char *told, const char *words) {
    for (const char *word = words; word; word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL) {
        char one[32];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(word, "|"), word);
        if (strstr(told, one))
            return 1;
    }
    return 0;
}

static void try_row(const struct row *row, const char *bad, size_t bad_length, int place) {
    char text[256];
    mailwire_error *err = NULL;
    size_t length = spoilt(text, row->good, bad, bad_length, place);
    // LF is what stands between the lines of a reply's text, each of which gets its code.
    int lines = strcmp(row->word, "text") == 0 && strchr(text, '\r') == NULL && strchr(text, '\n') != NULL;
    if (lines)
        return;
    mailwire_status status = row->call(text, length, &err);
    const char *told = mailwire_error_message(err);
    int refused = status == MAILWIRE_ERR_INVALID_ARGUMENT;
    if (!refused || !names(told, row->word) || strpbrk(told, "\r\n"))
        fprintf(stderr, "%s, %s, place %d, %02x: %s: %s\n", row->function, row->parameter, place, (unsigned char)bad[0],
                mailwire_status_name(status), told);
    CHECK(refused);
    CHECK(names(told, row->word));
    CHECK(strpbrk(told, "\r\n") == NULL);
    mailwire_error_free(err);
}

static void every_row(void) {
    static const char *const bad[] = {
        "\r",   "\n",       "\r\n",        "\r\nMAIL FROM:<evil@a.example>\r\n", "\r\n.\r\nRSET\r\n",
        "\xff", "\xc0\x8a", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int secret = strcmp(rows[i].parameter, "secret") == 0;
        for (int place = 0; place < 3; place++) {
            // A password is octets, of which only these are refused.
            for (size_t j = 0; j < (secret ? 5 : sizeof bad / sizeof *bad); j++)
                try_row(&rows[i], bad[j], strlen(bad[j]), place);
            // A text ends with NUL, and cannot hold one; what has a length can.
            if (secret)
                try_row(&rows[i], "\0", 1, place);
        }
    }
}

// A client that has said MAIL, so that there is an event to answer.
static int client_of(const mailwire_server *running) {
    static const char said[] = "HELO a.example\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(mailwire_server_port(running, 0))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(send(fd, said, sizeof said - 1, MSG_NOSIGNAL) == (ssize_t)sizeof said - 1);
    return fd;
}

int main(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    mailwire_server *running = NULL;
    client = mailwire_client_options_new();
    server = mailwire_server_options_new();
    message = mailwire_message_new();
    peer_start(&no_one);
    snprintf(url, sizeof url, "smtp://127.0.0.1:%d?tls=none", no_one.port);
    CHECK_OK(mailwire_server_options_add_listener(options, "127.0.0.1:0", &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_MAIL, &err));
    CHECK_OK(mailwire_server_start(options, &running, &err));
    mailwire_server_options_free(options);
    CHECK_OK(mailwire_server_statistics(running, &statistics, &err));
    int fd = client_of(running);
    CHECK_OK(mailwire_server_next_event(running, NULL, 10000, &event, &err));

    every_row();

    // What was refused has answered nothing, and nobody was connected to.
    CHECK_INT(mailwire_event_owed(event), 1);
    CHECK_OK(mailwire_event_reply(event, 550, "5.1.1", "one\ntwo", &err));
    mailwire_event_free(event);
    char heard[1024];
    size_t filled = 0;
    for (ssize_t n; (n = recv(fd, heard + filled, sizeof heard - 1 - filled, 0)) > 0;)
        filled += (size_t)n;
    heard[filled] = '\0';
    CHECK_HAS(heard, "\r\n550-5.1.1 one\r\n550 5.1.1 two\r\n221 ");
    CHECK(strstr(heard, "evil") == NULL);
    close(fd);
    CHECK_INT(no_one.connections, 0);
    peer_stop(&no_one);
    mailwire_server_free(running);
    mailwire_statistics_free(statistics);
    mailwire_client_options_free(client);
    mailwire_server_options_free(server);
    mailwire_message_free(message);
    return check_result();
}
