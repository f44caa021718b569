// The convention sheet in one piece of C. run.sh compiles it with -Werror and runs it, with host and port replaced.
#include <mailwire.h>
#include <stdio.h>

int main(void) {
    mailwire_error *err = NULL;
    static const char body[] = "Subject: hello\r\n\r\nHello.\r\n";
    mailwire_client_options *opt = mailwire_client_options_new();
    mailwire_client *cli = NULL;
    mailwire_message *msg = mailwire_message_new();
    mailwire_report *rep = NULL;
    int rc = 1;

    if (mailwire_client_options_set_server(opt, "mail.example.org", 587, &err) != MAILWIRE_OK ||
        mailwire_client_options_set_credentials(opt, "user", "secret", 6, &err) != MAILWIRE_OK ||
        mailwire_message_set_sender(msg, "a@example.org", &err) != MAILWIRE_OK ||
        mailwire_message_add_recipient(msg, "b@example.net", &err) != MAILWIRE_OK ||
        mailwire_message_set_content(msg, body, sizeof body - 1, &err) != MAILWIRE_OK)
        goto done; /* setters validate at once and copy */

    if (mailwire_client_new(opt, &cli, &err) != MAILWIRE_OK)
        goto done;
    /* cancel may be signalled from any thread or a signal handler; NULL = none */
    if (mailwire_client_send(cli, msg, NULL, &rep, &err) == MAILWIRE_OK)
        rc = 0;

    for (size_t i = 0; i < mailwire_report_count(rep); i++) /* NULL report: 0 */
        printf("%s: %d %s\n", mailwire_report_address(rep, i), mailwire_report_smtp_code(rep, i),
               mailwire_report_text(rep, i));
    if (mailwire_report_delivery(rep) == MAILWIRE_DELIVERY_UNKNOWN)
        puts("server may or may not have accepted the message; do not resend blindly");
done:
    if (err)
        fprintf(stderr, "%s (%s)\n", mailwire_error_message(err), mailwire_status_name(mailwire_error_status(err)));
    mailwire_report_free(rep); /* all free functions take NULL */
    mailwire_message_free(msg);
    mailwire_client_free(cli);
    mailwire_client_options_free(opt);
    mailwire_error_free(err);
    return rc;
}
