/* Receives mail: listen ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]], with STARTTLS and a login required. Prints a
 * line for each message, keeps it in DIRECTORY, and ends after COUNT messages (0: never) or on Ctrl-C. */
#define _POSIX_C_SOURCE 200809L
#include <mailwire.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mailwire_cancel *stop;
static mailwire_error *err;

static void on_signal(int number) {
    (void)number;
    mailwire_cancel_signal(stop);
}

static int keep(const mailwire_event *event, const char *directory, long number) {
    const char *version = mailwire_event_tls_version(event), *user = mailwire_event_user(event);
    const char *sender = mailwire_event_sender(event);
    size_t length = mailwire_event_content_length(event);
    if (directory) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%ld.eml", directory, number);
        FILE *file = fopen(path, "wb");
        int good = file && fwrite(mailwire_event_content(event), 1, length, file) == length;
        if ((file && fclose(file) != 0) || !good)
            return 0;
    }
    printf("%s %s %s %s ", mailwire_event_peer(event), *version ? version : "-", *user ? user : "-",
           *sender ? sender : "<>");
    for (size_t i = 0; i < mailwire_event_recipient_count(event); i++)
        printf("%s%s", i ? "," : "", mailwire_event_recipient_at(event, i));
    printf(" %zu\n", length);
    fflush(stdout);
    return 1;
}

/* Answers an event, and says whether a message was taken. */
static int answer(mailwire_event *event, const char *directory, long number) {
    mailwire_status status = MAILWIRE_OK;
    int is_message = mailwire_event_kind(event) == MAILWIRE_EVENT_MESSAGE;
    if (is_message && !keep(event, directory, number)) {
        status = mailwire_event_reply(event, 451, "4.3.0", "The message could not be kept", NULL);
        return 0;
    }
    for (size_t i = 0; !is_message && i < mailwire_event_recipient_count(event); i++)
        if (strncmp(mailwire_event_recipient_at(event, i), "nobody@", 7) == 0)
            status = mailwire_event_reply_at(event, i, 550, "5.1.1", "No such user here", NULL);
    if (status == MAILWIRE_OK)
        status = mailwire_event_accept(event, NULL);
    /* MAILWIRE_ERR_CLOSED: the client is gone, and does not know that its message was taken. */
    return is_message && status == MAILWIRE_OK;
}

/* Answers events until COUNT messages were taken (0: never) or there are no more, for a reason that is in err. */
static long serve(mailwire_server *server, mailwire_cancel *until, long count, const char *directory, long taken) {
    mailwire_event *event = NULL;
    while ((count == 0 || taken < count) &&
           mailwire_server_next_event(server, until, MAILWIRE_NO_TIMEOUT, &event, &err) == MAILWIRE_OK) {
        taken += answer(event, directory, taken + 1);
        mailwire_event_free(event);
    }
    return taken;
}

int main(int argc, char **argv) {
    mailwire_server_options *options = mailwire_server_options_new();
    mailwire_server *server = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    long taken = 0, count = argc > 6 ? strtol(argv[6], NULL, 10) : 0;
    const char *directory = argc > 7 ? argv[7] : NULL;

    if (argc < 6) {
        fprintf(stderr, "usage: %s ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]\n", argv[0]);
        return 2;
    }
    stop = mailwire_cancel_new();
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (mailwire_server_options_add_listener(options, argv[1], &err) == MAILWIRE_OK &&
        mailwire_server_options_set_certificate(options, argv[2], argv[3], &err) == MAILWIRE_OK &&
        mailwire_server_options_add_user(options, argv[4], argv[5], strlen(argv[5]), &err) == MAILWIRE_OK &&
        mailwire_server_options_set_require_tls(options, true, &err) == MAILWIRE_OK &&
        mailwire_server_options_set_require_auth(options, true, &err) == MAILWIRE_OK &&
        mailwire_server_options_set_hooks(options, MAILWIRE_HOOK_RCPT, &err) == MAILWIRE_OK &&
        mailwire_server_start(options, &server, &err) == MAILWIRE_OK) {
        printf("listening on %s\n", mailwire_server_address_at(server, 0));
        fflush(stdout);
        taken = serve(server, stop, count, directory, 0);
        if (!err || mailwire_error_status(err) == MAILWIRE_ERR_CANCELLED) {
            mailwire_error_free(err);
            /* What is under way has five seconds, and wants to be answered. */
            if (mailwire_server_begin_shutdown(server, 5000, &err) == MAILWIRE_OK)
                serve(server, NULL, 0, directory, taken);
        }
        if (mailwire_error_status(err) == MAILWIRE_END) {
            mailwire_error_free(err);
            err = NULL;
        }
    }
    int failed = err != NULL;
    if (failed)
        fprintf(stderr, "listen: %s\n", mailwire_error_message(err));
    mailwire_server_free(server);
    mailwire_server_options_free(options);
    mailwire_cancel_unref(stop);
    mailwire_error_free(err);
    return failed;
}
