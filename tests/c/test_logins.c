// What a server counts, and who logs in to it: users that the program judges by event, that it looks up for SCRAM, and that show a
// certificate.
#include "check.h"
#include "listener.h"

static uint64_t counted(const mailwire_server *server, const char *name) {
    mailwire_error *err = NULL;
    mailwire_statistics *statistics = NULL;
    uint64_t value = 99;
    CHECK_OK(mailwire_server_statistics(server, &statistics, &err));
    CHECK_OK(mailwire_statistics_value(statistics, name, &value, &err));
    mailwire_statistics_free(statistics);
    return value;
}

// Each number by its name, and all of them in one text; a snapshot stays what it was, also behind the end of its server.
static void what_was_done_is_counted(void) {
    mailwire_error *err = NULL;
    mailwire_statistics *before = NULL, *after = NULL;
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    mailwire_server *server = start(mailwire_server_options_new());
    CHECK_OK(mailwire_server_statistics(server, &before, &err));
    begin(&s, server, "", "tls=none");
    mailwire_event *event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_INT(counted(server, "open_sessions"), 1);
    CHECK_INT(counted(server, "unanswered_events"), 1);
    CHECK_INT(counted(server, "messages"), 0);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_OK);
    finish(&s);
    CHECK_OK(mailwire_server_shutdown(server, 1000, &err));
    CHECK_OK(mailwire_server_statistics(server, &after, &err));
    end(server);

    static const struct {
        const char *name;
        uint64_t before, after;
    } wanted[] = {{"sessions", 0, 1},
                  {"messages", 0, 1},
                  {"octets", 0, 3},
                  {"refused_messages", 0, 0},
                  {"unanswered_events", 0, 0}};
    uint64_t value = 99;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        CHECK_OK(mailwire_statistics_value(before, wanted[i].name, &value, &err));
        CHECK_INT(value, wanted[i].before);
        CHECK_OK(mailwire_statistics_value(after, wanted[i].name, &value, &err));
        CHECK_INT(value, wanted[i].after);
    }
    CHECK_HAS(mailwire_statistics_prometheus(before), "\nmailwire_messages_total 0\n");
    CHECK_HAS(mailwire_statistics_prometheus(after), "\nmailwire_messages_total 1\n");
    CHECK_TEXT(mailwire_statistics_prometheus(NULL), "");

    value = 99;
    CHECK_FAILS(mailwire_statistics_value(after, "colours", &value, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_INT(value, 0);
    size_t names = 0;
    for (const char *name; (name = mailwire_statistics_name(names)) != NULL; names++)
        CHECK_OK(mailwire_statistics_value(after, name, &value, &err));
    CHECK(names > 20);
    CHECK(mailwire_statistics_name(SIZE_MAX) == NULL);
    mailwire_statistics_free(before);
    mailwire_statistics_free(after);
}

static void users_by_event(void) {
    mailwire_error *err = NULL;
    for (int right = 0; right < 2; right++) {
        mailwire_server_options *options = mailwire_server_options_new();
        struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
        CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_AUTH, &err));
        CHECK_OK(mailwire_server_options_set_allow_plaintext_auth(options, true, &err));
        mailwire_server *server = start(options);
        begin(&s, server, "me:word@", "tls=none&allow_plaintext_auth=true");
        mailwire_event *event = next(server, MAILWIRE_EVENT_AUTH);
        CHECK_TEXT(mailwire_event_auth_user(event), "me");
        CHECK_INT(mailwire_event_auth_secret_length(event), 4);
        CHECK_INT(mailwire_event_auth_proof(event), MAILWIRE_PROOF_PASSWORD);
        CHECK_TEXT(mailwire_event_auth_identity(event), "");
        CHECK_TEXT(mailwire_event_tls_server_name(event), "");
        CHECK_INT(mailwire_event_tls_peer_certificate_length(event), 0);
        CHECK(memcmp(mailwire_event_auth_secret(event), "word", 4) == 0);
        CHECK_TEXT(mailwire_event_user(event), "");
        CHECK_TEXT(mailwire_event_tls_version(event), "");
        if (right)
            CHECK_OK(mailwire_event_accept(event, &err));
        else
            CHECK_OK(mailwire_event_reject(event, &err));
        mailwire_event_free(event);
        if (right) {
            event = next(server, MAILWIRE_EVENT_MESSAGE);
            CHECK_TEXT(mailwire_event_user(event), "me");
            CHECK_OK(mailwire_event_reject(event, &err));
            mailwire_event_free(event);
        }
        pthread_join(s.thread, NULL);
        CHECK_INT(s.status, right ? MAILWIRE_ERR_PERMANENT : MAILWIRE_ERR_AUTH_REJECTED);
        CHECK_INT(mailwire_error_smtp_code(s.err), right ? 554 : 535);
        CHECK_INT(mailwire_error_phase(s.err), right ? MAILWIRE_PHASE_END_OF_DATA : MAILWIRE_PHASE_AUTH);
        finish(&s);
        end(server);
    }
}

enum supply { PASSWORD, KEYS, OTHER_KEYS, NOBODY, REFUSED };

// SCRAM by our own client: what the program supplies is what the login is judged by.
static void users_looked_up(void) {
    static const struct {
        enum supply supply;
        const char *keys_of;
        mailwire_status status;
        int code;
    } cases[] = {{PASSWORD, NULL, MAILWIRE_OK, 0},
                 {KEYS, NULL, MAILWIRE_OK, 0},
                 {OTHER_KEYS, "SCRAM-SHA-1", MAILWIRE_ERR_AUTH_REJECTED, 535},
                 {NOBODY, NULL, MAILWIRE_ERR_AUTH_REJECTED, 535},
                 {REFUSED, NULL, MAILWIRE_ERR_AUTH_REJECTED, 454}};
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    char more[4200];
    snprintf(more, sizeof more, "tls=required&ca=%s", ca);
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_LOOKUP, &err));
    CHECK_OK(mailwire_server_options_set_require_auth(options, true, &err));
    CHECK_OK(mailwire_server_options_set(options, "auth_delay", "0", &err));
    mailwire_server *server = start(options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
        begin(&s, server, "me:word@", more);
        mailwire_event *event = next(server, MAILWIRE_EVENT_LOOKUP);
        CHECK_INT(mailwire_event_owed(event), 1);
        CHECK_TEXT(mailwire_event_auth_user(event), "me");
        CHECK_TEXT(mailwire_event_auth_identity(event), "");
        CHECK_INT(mailwire_event_auth_secret_length(event), 0);
        CHECK_INT(mailwire_event_auth_proof(event), MAILWIRE_PROOF_NONE);
        CHECK_TEXT(mailwire_event_wanted_keys(event), "SCRAM-SHA-256");
        CHECK_TEXT(mailwire_event_user(event), "");
        mailwire_scram_keys *keys = NULL;
        switch (cases[i].supply) {
        case PASSWORD:
            CHECK_FAILS(mailwire_event_supply_password(event, "", 0, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
            CHECK_INT(mailwire_event_owed(event), 1);
            CHECK_OK(mailwire_event_supply_password(event, "word", 4, &err));
            CHECK_FAILS(mailwire_event_supply_password(event, "word", 4, &err), MAILWIRE_ERR_MISUSE);
            break;
        case KEYS:
        case OTHER_KEYS:
            CHECK_FAILS(mailwire_event_supply_keys(event, "word", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
            CHECK_OK(mailwire_scram_keys_new(cases[i].keys_of, "word", 4, 4096, &keys, &err));
            CHECK_OK(mailwire_event_supply_keys(event, mailwire_scram_keys_text(keys), &err));
            mailwire_scram_keys_free(keys);
            break;
        case NOBODY:
            CHECK_OK(mailwire_event_accept(event, &err));
            break;
        case REFUSED:
            CHECK_OK(mailwire_event_reject(event, &err));
            break;
        }
        CHECK_INT(mailwire_event_owed(event), 0);
        mailwire_event_free(event);
        if (cases[i].status == MAILWIRE_OK) {
            event = next(server, MAILWIRE_EVENT_MESSAGE);
            CHECK_TEXT(mailwire_event_user(event), "me");
            CHECK_TEXT(mailwire_event_wanted_keys(event), "");
            CHECK_FAILS(mailwire_event_supply_password(event, "word", 4, &err), MAILWIRE_ERR_MISUSE);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        pthread_join(s.thread, NULL);
        CHECK_INT(s.status, cases[i].status);
        CHECK_INT(mailwire_error_smtp_code(s.err), cases[i].code);
        finish(&s);
    }
    CHECK_INT(counted(server, "logins"), 2);
    end(server);
}

// EXTERNAL: the client shows a certificate of ours, and the program knows it by its fingerprint. Without one it is let in no
// further, and what a session knows of TLS is told either way.
static void users_by_certificate(void) {
    static const char fingerprint[] = "sha256:6fa60e0ef7d1acef07c5fa4521649b2964caf75d1bf836d2a1463f2e2b52f271";
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    char more[12600];
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    CHECK_OK(mailwire_server_options_set(options, "client_ca", client_ca, &err));
    CHECK_OK(mailwire_server_options_set(options, "mechanisms", "EXTERNAL", &err));
    CHECK_OK(mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_AUTH | MAILWIRE_HOOK_MAIL, &err));
    mailwire_server *server = start(options);
    for (int shown = 0; shown < 2; shown++) {
        struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
        if (shown)
            snprintf(more, sizeof more, "tls=required&ca=%s&client_cert=%s&login=external", ca, client_certificate);
        else
            snprintf(more, sizeof more, "tls=required&ca=%s", ca);
        begin(&s, server, "", more);
        mailwire_event *event = NULL;
        if (shown) {
            event = next(server, MAILWIRE_EVENT_AUTH);
            CHECK_TEXT(mailwire_event_auth_user(event), fingerprint);
            CHECK_INT(mailwire_event_auth_proof(event), MAILWIRE_PROOF_CERTIFICATE);
            CHECK_INT(mailwire_event_auth_secret_length(event), 0);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        event = next(server, MAILWIRE_EVENT_MAIL);
        const unsigned char *der = mailwire_event_tls_peer_certificate(event);
        CHECK_TEXT(mailwire_event_user(event), shown ? fingerprint : "");
        CHECK_TEXT(mailwire_event_tls_server_name(event), "localhost");
        CHECK_INT(mailwire_event_tls_peer_certificate_length(event), shown ? 416 : 0);
        CHECK(der != NULL);
        // A SEQUENCE of as many octets as there are behind its own head.
        CHECK(!shown || (der[0] == 0x30 && der[1] == 0x82 && der[2] * 256 + der[3] == 416 - 4));
        CHECK_OK(mailwire_event_reject(event, &err));
        mailwire_event_free(event);
        pthread_join(s.thread, NULL);
        CHECK_INT(s.status, MAILWIRE_ERR_PERMANENT);
        finish(&s);
    }
    end(server);
}

int main(void) {
    if (!find_pki())
        return 2;
    what_was_done_is_counted();
    users_by_event();
    users_looked_up();
    users_by_certificate();
    return check_result();
}
