// What holds without any network: versions, statuses, errors, setters, ownership, and misuse.
#include "check.h"

static void versions(void) {
    CHECK_INT(mailwire_version_number(), MAILWIRE_VERSION_NUMBER);
    CHECK_INT(MAILWIRE_VERSION_NUMBER,
              MAILWIRE_VERSION_MAJOR * 65536 + MAILWIRE_VERSION_MINOR * 256 + MAILWIRE_VERSION_PATCH);
    CHECK_TEXT(mailwire_version_string(), MAILWIRE_VERSION_STRING);
    CHECK_TEXT(mailwire_version_string(), CRATE_VERSION);
    CHECK(mailwire_version_check(MAILWIRE_VERSION_NUMBER));
    CHECK(!mailwire_version_check(MAILWIRE_VERSION_NUMBER + 0x10000));
    CHECK(!mailwire_version_check(MAILWIRE_VERSION_NUMBER + 0x100));
    CHECK(MAILWIRE_VERSION_AT_LEAST(0, 1, 0));
    CHECK(!MAILWIRE_VERSION_AT_LEAST(MAILWIRE_VERSION_MAJOR, MAILWIRE_VERSION_MINOR, MAILWIRE_VERSION_PATCH + 1));
    CHECK(!MAILWIRE_VERSION_AT_LEAST(MAILWIRE_VERSION_MAJOR, MAILWIRE_VERSION_MINOR + 1, 0));
    CHECK(mailwire_has_feature("starttls"));
    CHECK(mailwire_has_feature("auth-scram-sha-256-plus"));
    CHECK(mailwire_has_feature("chunking"));
    CHECK(!mailwire_has_feature("teleport"));
    CHECK(!mailwire_has_feature(NULL));
}

static void statuses(void) {
    CHECK_TEXT(mailwire_status_name(MAILWIRE_OK), "MAILWIRE_OK");
    CHECK_TEXT(mailwire_status_name(MAILWIRE_ERR_TIMEOUT), "MAILWIRE_ERR_TIMEOUT");
    CHECK_TEXT(mailwire_status_name(12345), "MAILWIRE_ERR_UNKNOWN");
    CHECK(strlen(mailwire_status_text(MAILWIRE_ERR_PARTIAL)) > 10);
    CHECK(strlen(mailwire_status_text(-1)) > 10);
}

static void errors_without_anything(void) {
    int32_t parts[3] = {7, 7, 7};
    CHECK_INT(mailwire_error_status(NULL), MAILWIRE_OK);
    CHECK_TEXT(mailwire_error_message(NULL), "");
    CHECK_INT(mailwire_error_recipient_index(NULL), SIZE_MAX);
    CHECK_INT(mailwire_error_tls_alert(NULL), -1);
    CHECK(!mailwire_error_enhanced(NULL, &parts[0], &parts[1], &parts[2]));
    CHECK_INT(parts[0] + parts[1] + parts[2], 0);
    CHECK_TEXT(mailwire_error_tls_reason_name(NULL), "MAILWIRE_TLS_REASON_NONE");
    mailwire_error_free(NULL);
}

static void messages(void) {
    mailwire_error *err = NULL;
    mailwire_message *message = mailwire_message_new();
    CHECK(message != NULL);
    CHECK_OK(mailwire_message_set_sender(message, "a@example.org", &err));
    CHECK_OK(mailwire_message_set_sender(message, "", &err));
    CHECK_OK(mailwire_message_add_recipient(message, "b@example.net", &err));
    CHECK_OK(mailwire_message_set_content(message, NULL, 0, &err));
    CHECK_OK(mailwire_message_set_content(message, "", 0, &err));
    CHECK_FAILS(mailwire_message_set_content(message, NULL, 1, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_message_set_content(message, "x", SIZE_MAX, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    // Nothing that could smuggle a command, or is not UTF-8, is taken.
    static const char *const bad[] = {"a@b\r\nRSET", "a@b\n", "a", "a@", "@b", "a b@c", "\xff\xfe@c", "a@b>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAILS(mailwire_message_add_recipient(message, bad[i], &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK_FAILS(mailwire_message_set_sender(message, bad[i], &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    }
    CHECK_FAILS(mailwire_message_add_recipient(message, "", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    // The error names the function and the parameter, on one line.
    CHECK_INT(mailwire_message_set_sender(message, "x\r\ny@z", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_HAS(mailwire_error_message(err), "mailwire_message_set_sender: sender");
    CHECK(strpbrk(mailwire_error_message(err), "\r\n") == NULL);
    mailwire_error_free(err);
    err = NULL;
    // An error may be left out.
    CHECK_INT(mailwire_message_set_sender(message, NULL, NULL), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_message_clear_recipients(message, &err));
    mailwire_message_free(message);
    mailwire_message_free(NULL);
}

static void client_options(void) {
    mailwire_error *err = NULL;
    mailwire_client_options *options = mailwire_client_options_new();
    mailwire_client *client = (mailwire_client *)&err; // Anything but NULL: the call must overwrite it.
    CHECK_FAILS(mailwire_client_new(options, &client, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(client == NULL);
    CHECK_OK(mailwire_client_options_set_server(options, "localhost", 0, &err));
    CHECK_OK(mailwire_client_options_set_server(options, "::1", 2525, &err));
    CHECK_FAILS(mailwire_client_options_set_server(options, "a\r\nb", 25, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set_server(options, "", 25, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_client_options_set_credentials(options, "user", "secret", 6, &err));
    CHECK_FAILS(mailwire_client_options_set_credentials(options, "user", NULL, 6, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set_credentials(options, "user", "s\0t", 3, &err),
                MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set_credentials(options, "us\ner", "secret", 6, &err),
                MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_client_options_set_tls(options, MAILWIRE_TLS_REQUIRED, &err));
    CHECK_FAILS(mailwire_client_options_set_tls(options, 99, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set_ca_file(options, "/does/not/exist", &err), MAILWIRE_ERR_TLS_CONFIGURATION);
    CHECK_OK(mailwire_client_options_set_timeout(options, MAILWIRE_NO_TIMEOUT, &err));
    CHECK_FAILS(mailwire_client_options_set_timeout(options, -2, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set_connect_timeout(options, MAILWIRE_NO_TIMEOUT, &err),
                MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_OK(mailwire_client_options_set(options, "timeout", "2.5", &err));
    CHECK_FAILS(mailwire_client_options_set(options, "timeout", "soon", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_FAILS(mailwire_client_options_set(options, "colour", "red", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
    // Each name that is told can be set: what is wrong is the value.
    size_t names = 0;
    for (const char *name; (name = mailwire_client_option_name(names)) != NULL; names++) {
        mailwire_status status = mailwire_client_options_set(options, name, "\x01", &err);
        CHECK(status == MAILWIRE_ERR_INVALID_ARGUMENT || status == MAILWIRE_ERR_TLS_CONFIGURATION);
        CHECK(strstr(mailwire_error_message(err), "no option") == NULL);
        mailwire_error_free(err);
        err = NULL;
    }
    CHECK(names > 10);
    CHECK(mailwire_client_option_name(SIZE_MAX) == NULL);
    CHECK_OK(mailwire_client_new(options, &client, &err));
    mailwire_client_options_free(options); // The client has a copy.
    CHECK_OK(mailwire_client_close(client, &err));
    mailwire_client_free(client);
}

static void urls(void) {
    mailwire_error *err = NULL;
    mailwire_client_options *options = NULL;
    CHECK_OK(
        mailwire_client_options_from_url("smtp://u%40x:p%3As@localhost:2525?tls=required&timeout=5", &options, &err));
    CHECK(options != NULL);
    mailwire_client_options_free(options);
    static const char *const bad[] = {"",           "http://x",       "smtp://",        "smtp://x?no=1", "smtp://x/y",
                                      "smtp://u@x", "smtp://x:70000", "smtp://x?tls=2", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAILS(mailwire_client_options_from_url(bad[i], &options, &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK(options == NULL);
    }
    // The password is in no error.
    CHECK_INT(mailwire_client_options_from_url("smtp://user:hunter2@x?tls=2", &options, &err),
              MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(strstr(mailwire_error_message(err), "hunter2") == NULL);
    mailwire_error_free(err);
}

static void cancels(void) {
    mailwire_cancel *cancel = mailwire_cancel_new();
    CHECK(cancel != NULL);
    CHECK(mailwire_cancel_ref(cancel) == cancel);
    mailwire_cancel_signal(cancel);
    mailwire_cancel_signal(cancel);
    mailwire_cancel_unref(cancel);
    mailwire_cancel_unref(cancel);
    CHECK(mailwire_cancel_ref(NULL) == NULL);
    mailwire_cancel_signal(NULL);
    mailwire_cancel_unref(NULL);
}

int main(void) {
    versions();
    statuses();
    errors_without_anything();
    messages();
    client_options();
    urls();
    cancels();
    return check_result();
}
