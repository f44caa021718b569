// The options of a server: what is wrong with them is told, certificates are checked, and may be renewed while the server runs. TLS
// certificates come from tests/c/pki, by the environment variable PKI.
#include "check.h"
#include "listener.h"
#include <pthread.h>

static void wrong_certificate(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    char more[4200];
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    mailwire_server *server = start(options);
    // Nobody has signed for the server in this file but the server itself.
    snprintf(more, sizeof more, "tls=required&ca=%s", certificate);
    begin(&s, server, "", more);
    pthread_join(s.thread, NULL);
    CHECK_INT(s.status, MAILWIRE_ERR_CERTIFICATE_UNTRUSTED);
    CHECK_INT(mailwire_error_tls_reason(s.err), MAILWIRE_TLS_REASON_UNTRUSTED);
    CHECK_TEXT(mailwire_error_tls_reason_name(s.err), "MAILWIRE_TLS_REASON_UNTRUSTED");
    CHECK_INT(mailwire_error_phase(s.err), MAILWIRE_PHASE_TLS);
    CHECK(s.report == NULL);
    finish(&s);
    end(server);
}

// A renewed certificate: the session that runs goes on, and the next handshake shows the new one. It has signed for itself, so that only
// who trusts it by name gets through.
static void a_certificate_is_renewed(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    mailwire_server_options *renewed = mailwire_server_options_new();
    struct sender old = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
    struct sender late = old, fresh = old;
    char more[4200];
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    CHECK_OK(mailwire_server_options_set_require_tls(options, true, &err));
    mailwire_server *server = start(options);
    snprintf(more, sizeof more, "tls=required&deadline=20&ca=%s", ca);
    begin(&old, server, "", more);
    mailwire_event *event = next(server, MAILWIRE_EVENT_MESSAGE);

    CHECK_FAILS(mailwire_server_reload_tls(server, renewed, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_options_set_certificate(renewed, renewed_certificate, key, &err));
    CHECK_FAILS(mailwire_server_reload_tls(NULL, renewed, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_server_reload_tls(server, renewed, &err));
    mailwire_server_options_free(renewed);

    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(old.thread, NULL);
    CHECK_INT(old.status, MAILWIRE_OK);
    begin(&late, server, "", more);
    pthread_join(late.thread, NULL);
    CHECK_INT(late.status, MAILWIRE_ERR_CERTIFICATE_UNTRUSTED);
    snprintf(more, sizeof more, "tls=required&ca=%s", renewed_certificate);
    begin(&fresh, server, "", more);
    event = next(server, MAILWIRE_EVENT_MESSAGE);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    pthread_join(fresh.thread, NULL);
    CHECK_INT(fresh.status, MAILWIRE_OK);
    finish(&old);
    finish(&late);
    finish(&fresh);
    end(server);

    options = mailwire_server_options_new();
    server = start(options);
    renewed = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_certificate(renewed, renewed_certificate, key, &err));
    CHECK_FAILS(mailwire_server_reload_tls(server, renewed, &err), MAILWIRE_ERR_MISUSE);
    mailwire_server_options_free(renewed);
    end(server);
}

// TLS from the first octet, and a certificate of its own for a name: who asks for that name is shown it, and who asks for none the first.
static void implicit_tls_and_names(void) {
    static const struct {
        const char *host, *trusted, *server_name;
        mailwire_status status;
    } cases[] = {{"localhost", renewed_certificate, "localhost", MAILWIRE_OK},
                 {"127.0.0.1", ca, "", MAILWIRE_OK},
                 {"localhost", ca, NULL, MAILWIRE_ERR_CERTIFICATE_UNTRUSTED},
                 {"127.0.0.1", renewed_certificate, NULL, MAILWIRE_ERR_CERTIFICATE_UNTRUSTED}};
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    char named[8300], octet;
    snprintf(named, sizeof named, "localhost,%s,%s", renewed_certificate, key);
    CHECK_FAILS(mailwire_server_options_set(options, "tls_sni", named, &err), MAILWIRE_ERR_TLS_CONFIGURATION);
    CHECK_OK(mailwire_server_options_set_certificate(options, certificate, key, &err));
    CHECK_OK(mailwire_server_options_set(options, "tls_sni", named, &err));
    CHECK_OK(mailwire_server_options_set_implicit_tls(options, true, &err));
    mailwire_server *server = start(options);
    // A client that does not begin TLS hears no word of SMTP, only an alert of TLS.
    int fd = dial(server);
    say(fd, "EHLO client.example\r\n");
    const char alert = 0x15; // The type of the record (RFC 8446 section 5.1).
    CHECK(recv(fd, &octet, 1, 0) != 1 || octet == alert);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sender s = {.recipients = {"b@example.net"}, .count = 1, .content = "x\r\n", .length = 3};
        snprintf(s.url, sizeof s.url, "smtps://%s:%d?ca=%s", cases[i].host, mailwire_server_port(server, 0),
                 cases[i].trusted);
        CHECK_INT(pthread_create(&s.thread, NULL, send_one, &s), 0);
        if (cases[i].status == MAILWIRE_OK) {
            mailwire_event *event = next(server, MAILWIRE_EVENT_MESSAGE);
            CHECK_TEXT(mailwire_event_tls_version(event), "TLSv1.3");
            CHECK_HAS(mailwire_event_tls_cipher(event), "TLS_");
            CHECK_TEXT(mailwire_event_tls_server_name(event), cases[i].server_name);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        pthread_join(s.thread, NULL);
        CHECK_INT(s.status, cases[i].status);
        finish(&s);
    }
    end(server);
}

static void options_are_checked(void) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    mailwire_server *server = (mailwire_server *)&err; // Anything but NULL: the call must overwrite it.
    CHECK_OK(mailwire_server_options_set_require_auth(options, true, &err));
    CHECK_FAILS(mailwire_server_start(options, &server, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(server == NULL);
    CHECK_OK(mailwire_server_options_set_require_auth(options, false, &err));
    CHECK_OK(mailwire_server_options_set_require_tls(options, true, &err));
    CHECK_FAILS(mailwire_server_start(options, &server, &err), MAILWIRE_ERR_TLS_CONFIGURATION);
    CHECK_OK(mailwire_server_options_set_require_tls(options, false, &err));
    CHECK_FAILS(mailwire_server_options_add_listener(options, "nonsense", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_server_options_set_certificate(options, "/does/not/exist", key, &err),
                MAILWIRE_ERR_TLS_CONFIGURATION);
    CHECK_FAILS(mailwire_server_options_set_certificate(options, ca, key, &err), MAILWIRE_ERR_TLS_CONFIGURATION);
    CHECK_FAILS(mailwire_server_options_set_hooks(options, 1u << 31, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_server_options_add_user(options, "us\r\ner", "x", 1, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_INT(mailwire_server_options_set(options, "colour", "red", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_HAS(mailwire_error_message(err), ", disposition");
    mailwire_error_free(err);
    static const char *const told[][3] = {
        {"domains", "example.org.", "leave it out"},
        {"disposition", "relay:", "the scheme is missing; the form is smtp://"},
        {"tls", "a,b,c", "tls: \"a,b,c\" is not certificate.pem,key.pem"},
        {"idle_timeout", "0", "idle_timeout: 0 seconds are no useful time"},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        CHECK_INT(mailwire_server_options_set(options, told[i][0], told[i][1], &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK_HAS(mailwire_error_message(err), told[i][2]);
        mailwire_error_free(err);
    }
    CHECK_INT(mailwire_server_options_set_idle_timeout(options, MAILWIRE_NO_TIMEOUT, &err),
              MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_HAS(mailwire_error_message(err), "must have an end");
    mailwire_error_free(err);
    size_t names = 0;
    for (const char *name; (name = mailwire_server_option_name(names)) != NULL; names++) {
        mailwire_status status = mailwire_server_options_set(options, name, "\x01", &err);
        CHECK(status == MAILWIRE_ERR_INVALID_ARGUMENT || status == MAILWIRE_ERR_TLS_CONFIGURATION);
        mailwire_error_free(err);
    }
    err = NULL;
    CHECK(names > 10);
    // Passwords in clear need to be asked for.
    CHECK_OK(mailwire_server_options_add_listener(options, "127.0.0.1:0", &err));
    CHECK_OK(mailwire_server_options_add_user(options, "user", "secret", 6, &err));
    CHECK_FAILS(mailwire_server_start(options, &server, &err), MAILWIRE_ERR_AUTH_INSECURE);
    CHECK(server == NULL);
    mailwire_server_options_free(options);
}

int main(void) {
    if (!find_pki())
        return 2;
    options_are_checked();
    wrong_certificate();
    a_certificate_is_renewed();
    implicit_tls_and_names();
    return check_result();
}
