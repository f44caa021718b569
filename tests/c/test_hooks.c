// Every hook of a server: what its event tells, how each answer reaches the client, and that a bit of the hooks asks for its own event
// and no other. With LMTP each recipient has an answer of its own.
#include "check.h"
#include "listener.h"

// The commands that a program is asked about, what their events tell, and what each answer makes of them.
static const struct {
    const char *line;
    mailwire_hooks hook;
    mailwire_kind kind;
    const char *verb, *argument, *accepted, *rejected;
} commands[] = {
    {"VRFY joe\r\n", MAILWIRE_HOOK_VERIFY, MAILWIRE_EVENT_VERIFY, "", "joe", "252 2.5.0", "550 5.1.1"},
    {"EXPN the list\r\n", MAILWIRE_HOOK_EXPAND, MAILWIRE_EVENT_EXPAND, "", "the list", "252 2.5.0", "550 5.1.1"},
    {"HELP mail\r\n", MAILWIRE_HOOK_HELP, MAILWIRE_EVENT_HELP, "", "mail", "214 2.0.0", "502 5.5.1"},
    {"HELP\r\n", MAILWIRE_HOOK_HELP, MAILWIRE_EVENT_HELP, "", "", "214 2.0.0", "502 5.5.1"},
    {"ETRN node.example\r\n", MAILWIRE_HOOK_ETRN, MAILWIRE_EVENT_ETRN, "", "node.example", "250 2.0.0", "459 4.7.1"},
    {"XFOO one two\r\n", MAILWIRE_HOOK_UNKNOWN, MAILWIRE_EVENT_UNKNOWN, "XFOO", "one two", "250 2.0.0", "500 5.5.1"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static mailwire_server *asking(mailwire_hooks hooks) {
    mailwire_error *err = NULL;
    mailwire_server_options *options = mailwire_server_options_new();
    CHECK_OK(mailwire_server_options_set_hooks(options, hooks, &err));
    CHECK_OK(mailwire_server_options_set_hostname(options, "mx.example", &err));
    return start(options);
}

// What an event of this session tells whatever it is about. It owes as many answers.
static mailwire_event *told(const mailwire_server *server, mailwire_kind kind, const char *hello_name, size_t owed) {
    mailwire_event *event = next(server, kind);
    CHECK_TEXT(mailwire_event_hello_name(event), hello_name);
    CHECK_HAS(mailwire_event_peer(event), "127.0.0.1:");
    CHECK_INT(mailwire_event_owed(event), owed);
    return event;
}

static void informs(const mailwire_server *server, mailwire_kind kind) {
    mailwire_error *err = NULL;
    mailwire_event *event = told(server, kind, "client.example", 0);
    CHECK_FAILS(mailwire_event_reply(event, 250, NULL, "fine", &err), MAILWIRE_ERR_MISUSE);
    CHECK_FAILS(mailwire_event_reject(event, &err), MAILWIRE_ERR_MISUSE);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
}

static void a_session_with_every_hook(void) {
    mailwire_error *err = NULL;
    mailwire_hooks all = MAILWIRE_HOOK_CONNECT | MAILWIRE_HOOK_HELLO | MAILWIRE_HOOK_MAIL | MAILWIRE_HOOK_RESET |
                         MAILWIRE_HOOK_QUIT | MAILWIRE_HOOK_DISCONNECT;
    for (size_t i = 0; i < COMMANDS; i++)
        all |= commands[i].hook;
    mailwire_server *server = asking(all);
    int fd = dial(server);
    mailwire_event *event = told(server, MAILWIRE_EVENT_CONNECT, "", 1);
    uint64_t session = mailwire_event_session_id(event);
    CHECK(session != 0);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    hear(fd, "220 mx.example");
    say(fd, "EHLO client.example\r\n");
    event = told(server, MAILWIRE_EVENT_HELLO, "client.example", 1);
    CHECK_INT(mailwire_event_session_id(event), session);
    CHECK_OK(mailwire_event_accept(event, &err));
    mailwire_event_free(event);
    hear(fd, "\r\n250-ETRN\r\n");

    // Each command is accepted, refused, and given an answer of the program's own.
    for (size_t i = 0; i < COMMANDS; i++)
        for (int way = 0; way < 3; way++) {
            say(fd, commands[i].line);
            event = told(server, commands[i].kind, "client.example", 1);
            CHECK_INT(mailwire_event_session_id(event), session);
            CHECK_TEXT(mailwire_event_verb(event), commands[i].verb);
            CHECK_TEXT(mailwire_event_argument(event), commands[i].argument);
            CHECK_TEXT(mailwire_event_sender(event), "");
            if (way == 0)
                CHECK_OK(mailwire_event_accept(event, &err));
            else if (way == 1)
                CHECK_OK(mailwire_event_reject(event, &err));
            else
                CHECK_OK(mailwire_event_reply(event, 450, "4.2.1", "two\nlines", &err));
            mailwire_event_free(event);
            hear(fd, way == 0   ? commands[i].accepted
                     : way == 1 ? commands[i].rejected
                                : "450-4.2.1 two\r\n450 4.2.1 lines\r\n");
        }

    // A transaction is given up by RSET and by another EHLO. Where there is none, RSET is not told.
    say(fd, "RSET\r\n");
    hear(fd, "250 2.0.0");
    for (int again = 0; again < 2; again++) {
        say(fd, "MAIL FROM:<a@example.org>\r\n");
        accept_next(server, MAILWIRE_EVENT_MAIL);
        hear(fd, "250 2.1.0");
        say(fd, again ? "EHLO client.example\r\n" : "RSET\r\n");
        if (again)
            accept_next(server, MAILWIRE_EVENT_HELLO);
        informs(server, MAILWIRE_EVENT_RESET);
        hear(fd, again ? "250 " : "250 2.0.0");
    }

    say(fd, "QUIT\r\n");
    informs(server, MAILWIRE_EVENT_QUIT);
    hear(fd, "221 2.0.0");
    hear_the_end(fd);
    event = told(server, MAILWIRE_EVENT_DISCONNECT, "client.example", 0);
    CHECK_INT(mailwire_event_session_id(event), session);
    mailwire_event_free(event);
    end(server);
}

// A client that is turned away as it connects, and one as it says its name, who may say another.
static void turned_away(void) {
    mailwire_error *err = NULL;
    mailwire_server *server = asking(MAILWIRE_HOOK_CONNECT | MAILWIRE_HOOK_HELLO);
    int fd = dial(server);
    mailwire_event *event = told(server, MAILWIRE_EVENT_CONNECT, "", 1);
    CHECK_OK(mailwire_event_reply(event, 421, "4.3.2", "not today", &err));
    mailwire_event_free(event);
    hear(fd, "421 not today"); // A greeting has no enhanced code, nor has the reply to EHLO (RFC 2034 section 4).
    hear_the_end(fd);
    fd = dial(server);
    accept_next(server, MAILWIRE_EVENT_CONNECT);
    hear(fd, "220 ");
    for (int right = 0; right < 2; right++) {
        say(fd, right ? "HELO right.example\r\n" : "EHLO wrong.example\r\n");
        event = told(server, MAILWIRE_EVENT_HELLO, right ? "right.example" : "wrong.example", 1);
        if (right)
            CHECK_OK(mailwire_event_accept(event, &err));
        else
            CHECK_OK(mailwire_event_reject(event, &err));
        mailwire_event_free(event);
        hear(fd, right ? "250 mx.example" : "550 Not accepted");
    }
    close(fd);
    end(server);
}

// With one hook alone the same session brings the event of that hook, and no other.
static void each_hook_alone(void) {
    static const char session[] =
        "EHLO client.example\r\nVRFY a\r\nEXPN a\r\nHELP\r\nETRN a.example\r\nXFOO\r\nMAIL FROM:<a@example.org>\r\n"
        "RCPT TO:<b@example.net>\r\nRSET\r\nQUIT\r\n";
    static const struct {
        mailwire_hooks hook;
        mailwire_kind kind;
    } hooks[] = {
        {MAILWIRE_HOOK_CONNECT, MAILWIRE_EVENT_CONNECT}, {MAILWIRE_HOOK_HELLO, MAILWIRE_EVENT_HELLO},
        {MAILWIRE_HOOK_MAIL, MAILWIRE_EVENT_MAIL},       {MAILWIRE_HOOK_RCPT, MAILWIRE_EVENT_RECIPIENTS},
        {MAILWIRE_HOOK_RESET, MAILWIRE_EVENT_RESET},     {MAILWIRE_HOOK_VERIFY, MAILWIRE_EVENT_VERIFY},
        {MAILWIRE_HOOK_EXPAND, MAILWIRE_EVENT_EXPAND},   {MAILWIRE_HOOK_HELP, MAILWIRE_EVENT_HELP},
        {MAILWIRE_HOOK_UNKNOWN, MAILWIRE_EVENT_UNKNOWN}, {MAILWIRE_HOOK_QUIT, MAILWIRE_EVENT_QUIT},
        {MAILWIRE_HOOK_ETRN, MAILWIRE_EVENT_ETRN},       {MAILWIRE_HOOK_DISCONNECT, MAILWIRE_EVENT_DISCONNECT}};
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        mailwire_error *err = NULL;
        mailwire_event *event = NULL;
        char octet;
        mailwire_server *server = asking(hooks[i].hook);
        int fd = dial(server);
        say(fd, session);
        accept_next(server, hooks[i].kind);
        while (recv(fd, &octet, 1, 0) > 0)
            ;
        close(fd);
        CHECK_OK(mailwire_server_shutdown(server, 0, &err));
        CHECK_FAILS(mailwire_server_next_event(server, NULL, 5000, &event, &err), MAILWIRE_END);
        mailwire_server_free(server);
    }
}

// LMTP: the end of a message is answered once for each recipient, in their order, however the answers came; what gets none is 451.
static void answers_by_recipient(void) {
    for (int stream = 0; stream < 2; stream++) {
        mailwire_error *err = NULL;
        mailwire_server_options *options = mailwire_server_options_new();
        CHECK_OK(mailwire_server_options_set_lmtp(options, true, &err));
        CHECK_OK(mailwire_server_options_set_stream(options, stream, &err));
        mailwire_server *server = start(options);
        int fd = dial(server);
        hear(fd, "220 ");
        say(fd, "EHLO client.example\r\n");
        hear(fd, "500 5.5.1");
        say(fd, "LHLO client.example\r\n");
        hear(fd, "250");
        say(fd, "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
                "RCPT TO:<d@example.net>\r\nRCPT TO:<e@example.net>\r\nDATA\r\n");
        if (stream)
            accept_next(server, MAILWIRE_EVENT_BODY);
        for (int i = 0; i < 5; i++)
            hear(fd, "250 2.1.");
        hear(fd, "354 ");
        say(fd, "x\r\n.\r\n");
        if (stream)
            mailwire_event_free(next(server, MAILWIRE_EVENT_CHUNK));
        mailwire_event *event = next(server, stream ? MAILWIRE_EVENT_END_OF_DATA : MAILWIRE_EVENT_MESSAGE);
        CHECK_TEXT(mailwire_event_hello_name(event), "client.example");
        CHECK_INT(mailwire_event_recipient_count(event), 4);
        CHECK_TEXT(mailwire_event_recipient_at(event, 1), "c@example.net");
        CHECK_INT(mailwire_event_owed(event), 4);
        CHECK_OK(mailwire_event_reply_at(event, 2, 452, "4.2.2", "mailbox full", &err));
        CHECK_OK(mailwire_event_accept_at(event, 0, &err));
        CHECK_INT(mailwire_event_owed(event), 2);
        CHECK_FAILS(mailwire_event_reply_at(event, 2, 550, NULL, "again", &err), MAILWIRE_ERR_MISUSE);
        CHECK_FAILS(mailwire_event_accept_at(event, 0, &err), MAILWIRE_ERR_MISUSE);
        CHECK_FAILS(mailwire_event_reply_at(event, 4, 550, NULL, "nobody", &err), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK_FAILS(mailwire_event_reply_at(event, 1, 354, NULL, "go on", &err), MAILWIRE_ERR_MISUSE);
        CHECK_OK(mailwire_event_reply_at(event, 1, 550, "5.1.1", "no such user", &err));
        CHECK_INT(mailwire_event_owed(event), 1);
        mailwire_event_free(event);
        hear(fd, "250 2.");
        hear(fd, "550 5.1.1 no such user");
        hear(fd, "452 4.2.2 mailbox full");
        hear(fd, "451 4.3.0");
        close(fd);
        end(server);
    }
}

// The parameters of an event: those of MAIL, and those of RCPT by recipient. All are words, one behind the other.
static void has_parameters(const mailwire_event *event, const char *of_mail, const char *of_first) {
    char words[256] = "";
    for (size_t i = 0; i < mailwire_event_parameter_count(event); i++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s ", mailwire_event_parameter_at(event, i));
    CHECK_TEXT(words, of_mail);
    CHECK_TEXT(mailwire_event_parameter_at(event, mailwire_event_parameter_count(event)), "");
    words[0] = '\0';
    size_t count = mailwire_event_recipient_parameter_count(event, 0);
    for (size_t i = 0; i < count; i++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s ",
                 mailwire_event_recipient_parameter_at(event, 0, i));
    CHECK_TEXT(words, of_first);
    CHECK_TEXT(mailwire_event_recipient_parameter_at(event, 0, count), "");
    CHECK_INT(mailwire_event_recipient_parameter_count(event, 1), 0);
    CHECK_TEXT(mailwire_event_recipient_parameter_at(event, 1, 0), "");
    CHECK_INT(mailwire_event_recipient_parameter_count(event, SIZE_MAX), 0);
}

// What MAIL and RCPT have said beside the addresses comes with their own events and with the envelope.
static void parameters_of_mail_and_rcpt(void) {
    static const char of_mail[] = "SIZE=9 BODY=8BITMIME RET=HDRS ENVID=a+2Bb X-CLASS ";
    static const char of_first[] = "NOTIFY=NEVER ORCPT=rfc822;d@example.net X-FOLDER=In-box ";
    for (int stream = 0; stream < 2; stream++) {
        mailwire_error *err = NULL;
        mailwire_server_options *options = mailwire_server_options_new();
        CHECK_OK(mailwire_server_options_set_hooks(
            options, MAILWIRE_HOOK_HELLO | MAILWIRE_HOOK_MAIL | MAILWIRE_HOOK_RCPT, &err));
        CHECK_OK(mailwire_server_options_set(options, "extensions", "SIZE,8BITMIME,DSN", &err));
        CHECK_OK(mailwire_server_options_set(options, "mail_parameter", "X-Class", &err));
        CHECK_OK(mailwire_server_options_set(options, "rcpt_parameter", "X-Folder", &err));
        CHECK_OK(mailwire_server_options_set_stream(options, stream, &err));
        mailwire_server *server = start(options);
        int fd = dial(server);
        say(fd, "EHLO client.example\r\n");
        mailwire_event *event = next(server, MAILWIRE_EVENT_HELLO);
        has_parameters(event, "", "");
        CHECK_OK(mailwire_event_accept(event, &err));
        mailwire_event_free(event);
        hear(fd, "220 ");
        hear(fd, "250");
        say(fd, "MAIL FROM:<a@example.org> size=9 BODY=8bitmime RET=HDRS ENVID=a+2Bb x-class\r\n");
        event = next(server, MAILWIRE_EVENT_MAIL);
        has_parameters(event, of_mail, "");
        CHECK_OK(mailwire_event_accept(event, &err));
        mailwire_event_free(event);
        hear(fd, "250 2.1.0");
        say(fd, "RCPT TO:<b@example.net> NOTIFY=NEVER ORCPT=rfc822;d@example.net X-Folder=In-box\r\n");
        event = next(server, MAILWIRE_EVENT_RECIPIENTS);
        has_parameters(event, "", of_first);
        CHECK_OK(mailwire_event_accept(event, &err));
        mailwire_event_free(event);
        hear(fd, "250 2.1.5");
        say(fd, "RCPT TO:<c@example.net>\r\n");
        accept_next(server, MAILWIRE_EVENT_RECIPIENTS);
        hear(fd, "250 2.1.5");
        say(fd, "DATA\r\n");
        if (stream) {
            event = next(server, MAILWIRE_EVENT_BODY);
            has_parameters(event, of_mail, of_first);
            CHECK_OK(mailwire_event_accept(event, &err));
            mailwire_event_free(event);
        }
        hear(fd, "354 ");
        say(fd, "x\r\n.\r\n");
        if (stream)
            mailwire_event_free(next(server, MAILWIRE_EVENT_CHUNK));
        event = next(server, stream ? MAILWIRE_EVENT_END_OF_DATA : MAILWIRE_EVENT_MESSAGE);
        has_parameters(event, of_mail, of_first);
        CHECK_OK(mailwire_event_accept(event, &err));
        mailwire_event_free(event);
        hear(fd, "250 2.");
        close(fd);
        end(server);
    }
}

int main(void) {
    a_session_with_every_hook();
    turned_away();
    each_hook_alone();
    answers_by_recipient();
    parameters_of_mail_and_rcpt();
    return check_result();
}
