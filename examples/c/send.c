/* Sends the message on standard input: send URL SENDER RECIPIENT... < message.eml */
#include <mailwire.h>
#include <stdio.h>
#include <stdlib.h>

static char *read_all(FILE *in, size_t *length) {
    size_t room = 0, n = 0;
    char *bytes = NULL;
    *length = 0;
    do {
        *length += n;
        if (*length == room && !(bytes = realloc(bytes, room = room * 2 + 65536)))
            return NULL;
    } while ((n = fread(bytes + *length, 1, room - *length, in)) > 0);
    return bytes;
}

int main(int argc, char **argv) {
    mailwire_report *report = NULL;
    mailwire_error *err = NULL;
    mailwire_status status;
    size_t length;
    char *message;

    if (argc < 4) {
        fprintf(stderr, "usage: %s URL SENDER RECIPIENT... < message.eml\n", argv[0]);
        return 2;
    }
    if (!(message = read_all(stdin, &length)))
        return 2;
    status = mailwire_send(argv[1], argv[2], (const char *const *)argv + 3, (size_t)argc - 3, message, length, &report,
                           &err);
    for (size_t i = 0; i < mailwire_report_count(report); i++)
        printf("%s: %d %s\n", mailwire_report_address(report, i), (int)mailwire_report_smtp_code(report, i),
               mailwire_report_text(report, i));
    if (status != MAILWIRE_OK)
        fprintf(stderr, "%s\n", mailwire_error_message(err));
    mailwire_report_free(report);
    mailwire_error_free(err);
    free(message);
    return status != MAILWIRE_OK;
}
