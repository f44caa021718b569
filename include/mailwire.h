/* mailwire.h: send and receive mail with libmailwire 0.1.0.
 * Made from ffi/src by the test `header`; do not edit. SPDX-License-Identifier: MIT OR Apache-2.0 */

/**
 * @mainpage mailwire
 *
 * An SMTP client and server inside your program. Link with -lmailwire, or as `pkg-config --cflags --libs mailwire` says
 * (with --static for libmailwire.a).
 *
 * Send a message and see what became of it for each recipient:
 *
 *     #include <mailwire.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         const char *to[] = {"b@example.net", "c@example.net"};
 *         mailwire_report *report = NULL;
 *         mailwire_error *err = NULL;
 *         mailwire_status status =
 *             mailwire_send_text("smtp://user:secret@mail.example.org", "a@example.org", to, 2,
 *                                "Hello", "It works.", &report, &err);
 *         for (size_t i = 0; i < mailwire_report_count(report); i++)
 *             printf("%s: %d %s\n", mailwire_report_address(report, i),
 *                    mailwire_report_smtp_code(report, i), mailwire_report_text(report, i));
 *         if (status != MAILWIRE_OK)
 *             fprintf(stderr, "%s\n", mailwire_error_message(err));
 *         mailwire_report_free(report);
 *         mailwire_error_free(err);
 *         return status != MAILWIRE_OK;
 *     }
 *
 * Receive mail:
 *
 *     mailwire_server_options *options = mailwire_server_options_new();
 *     mailwire_server *server = NULL;
 *     mailwire_event *event = NULL;
 *     if (mailwire_server_options_add_listener(options, "127.0.0.1:2525", &err) != MAILWIRE_OK ||
 *         mailwire_server_start(options, &server, &err) != MAILWIRE_OK)
 *         return fail(err);
 *     while (mailwire_server_next_event(server, NULL, MAILWIRE_NO_TIMEOUT, &event, &err) == MAILWIRE_OK) {
 *         if (mailwire_event_kind(event) == MAILWIRE_EVENT_MESSAGE)
 *             keep(mailwire_event_content(event), mailwire_event_content_length(event));
 *         if (mailwire_event_accept(event, &err) != MAILWIRE_OK)
 *             complain(err);
 *         mailwire_event_free(event);
 *     }
 *
 * Errors: a call that can fail returns a mailwire_status. Its last parameter, err, may be NULL; else it is set to NULL on
 * success and to a new error on failure, which you free with mailwire_error_free. What it held before is not freed. All
 * other outputs are set to NULL or 0 as the call begins, so that cleaning up is safe wherever you come from. NULL where an
 * object or a text is needed is MAILWIRE_ERR_INVALID_ARGUMENT, never a crash; accessors then return a neutral value. Every
 * call may return MAILWIRE_ERR_INTERNAL, which is a defect of this library; the object can then only be freed.
 *
 * Texts: what comes in is NUL-terminated UTF-8; CR, LF and NUL never reach a command. What comes out is NUL-terminated
 * and never NULL unless said otherwise: what is absent is the empty text. It lives until the next call on its object that
 * does not take it const, or until the object is freed. Everything passed in is copied, but for what a sending call sends.
 *
 * Threads: calls that take an object const may run on it at the same time. Others may not: a second one returns
 * MAILWIRE_ERR_MISUSE. Every object may be used by any thread, and freed by any. A client starts no thread, but for a
 * short one while a host name is looked up; a server has threads named mailwire-io-0 and so on, and mailwire-aside where keys of passwords
 * are derived or files are written, all with all signals blocked.
 *
 * Fork: a client, server or event of the parent process returns MAILWIRE_ERR_FORKED in the child, and may be freed
 * there. Make new ones in the child.
 *
 * Signals: no call raises SIGPIPE or changes what your program does about signals. Of all functions only
 * mailwire_cancel_signal may be called in a signal handler. Exceptions, longjmp and pthread_cancel must not cross a call.
 *
 * Nothing is written to standard output or standard error. Of the environment SSL_CERT_FILE and SSL_CERT_DIR are read, and LISTEN_PID and
 * LISTEN_FDS where a server is to listen on "systemd". The library stays in memory once loaded.
 */

#ifndef MAILWIRE_H
#define MAILWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/** The version that this header belongs to. */
#define MAILWIRE_VERSION_MAJOR 0
/** The version that this header belongs to. */
#define MAILWIRE_VERSION_MINOR 1
/** The version that this header belongs to. */
#define MAILWIRE_VERSION_PATCH 0
/** The version that this header belongs to, as 0xMMmmpp. Compare it with mailwire_version_number(). */
#define MAILWIRE_VERSION_NUMBER 0x000100
/** The version that this header belongs to, as text. */
#define MAILWIRE_VERSION_STRING "0.1.0"
/** Whether this header is of that version or a newer one. */
#define MAILWIRE_VERSION_AT_LEAST(major, minor, patch) \
    (MAILWIRE_VERSION_NUMBER >= (((major) << 16) | ((minor) << 8) | (patch)))

/** What this header declares; ask mailwire_has_feature what the library that is running can do. */
#define MAILWIRE_HAS_CLIENT 1
/** What this header declares; ask mailwire_has_feature what the library that is running can do. */
#define MAILWIRE_HAS_SERVER 1

/* Define MAILWIRE_STATIC if you link libmailwire.a on Windows. */
#if defined(MAILWIRE_STATIC)
#define MAILWIRE_API
#elif defined(_WIN32)
#define MAILWIRE_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MAILWIRE_API __attribute__((visibility("default")))
#else
#define MAILWIRE_API
#endif

/* Says that a result must be looked at. */
#if defined(__GNUC__)
#define MAILWIRE_NODISCARD __attribute__((warn_unused_result))
#elif defined(_MSC_VER)
#define MAILWIRE_NODISCARD _Check_return_
#else
#define MAILWIRE_NODISCARD
#endif

/* Says that a function has a successor. */
#if defined(__GNUC__)
#define MAILWIRE_DEPRECATED(since, use) __attribute__((deprecated("since " since ": use " use)))
#elif defined(_MSC_VER)
#define MAILWIRE_DEPRECATED(since, use) __declspec(deprecated("since " since ": use " use))
#else
#define MAILWIRE_DEPRECATED(since, use)
#endif

/**
 * Where a time in milliseconds is asked for: no limit.
 */
#define MAILWIRE_NO_TIMEOUT -1

/**
 * Ends the calls that it was given to, from any thread or from a signal handler. Once signalled it stays so: a call that
 * begins afterwards ends at once.
 *
 * It counts who holds it, apart from the calls' objects, so that it may be signalled while they are being freed. Every
 * function takes it const: any number of threads may use one.
 *
 * Since 0.1.
 */
typedef struct mailwire_cancel mailwire_cancel;

/**
 * A client: a pool of connections to one server. Every function takes it const: any number of threads may send through one
 * at the same time. No thread runs behind it, but for a short one while a host name is looked up.
 *
 * Since 0.1.
 */
typedef struct mailwire_client mailwire_client;

/**
 * How a client reaches its server and what it does there. Secure from the start: TLS as MAILWIRE_TLS_AUTO has it, certificates
 * verified against the system's roots, no password in clear, no wait without end.
 *
 * Each setter checks at once and copies what it is given. A client keeps a copy, so that options may be changed, used
 * again and freed at any time.
 *
 * Since 0.1.
 */
typedef struct mailwire_client_options mailwire_client_options;

/**
 * Why a call failed.
 *
 * It never changes, so any number of threads may read it at the same time. It belongs to whoever made the call; free it
 * with mailwire_error_free. Every accessor takes NULL and then returns the same as for what is absent.
 *
 * Since 0.1.
 */
typedef struct mailwire_error mailwire_error;

/**
 * Something that happened in a server, and may want an answer. Freed without one, the client is told 451; at AUTH and LOOKUP 454, which
 * counts as a login that nobody could judge, and at CONNECT 421, which ends the session.
 *
 * An event has all that it tells in itself: it may be used and is to be freed also after its server.
 * Accessors take NULL, and return the same for it as for what an event of its kind does not have.
 *
 * Since 0.1.
 */
typedef struct mailwire_event mailwire_event;

/**
 * A message to send: who sends it, who is to get it, and its header and body as bytes.
 *
 * One call at a time may change it; any number may send it at the same time.
 *
 * Since 0.1.
 */
typedef struct mailwire_message mailwire_message;

/**
 * What became of a message, recipient by recipient, in the order in which they were added.
 *
 * It never changes, so any number of threads may read it at the same time. It belongs to whoever made the call; free it
 * with mailwire_report_free. Every accessor takes NULL and any index, and then returns the same as for what is absent.
 *
 * Since 0.1.
 */
typedef struct mailwire_report mailwire_report;

/**
 * What a server should keep of a password instead of the password: keys for SCRAM, as text.
 *
 * Since 0.1.
 */
typedef struct mailwire_scram_keys mailwire_scram_keys;

/**
 * A server that runs, as a queue of events. Every function takes it const: any number of threads may pull events at the same
 * time, and answer them in any order.
 *
 * Since 0.1.
 */
typedef struct mailwire_server mailwire_server;

/**
 * Where a server listens, whom it lets in, and what it asks the program.
 *
 * Each setter checks at once and copies what it is given. A server keeps a copy, so that options may be changed, used
 * again and freed at any time.
 *
 * Since 0.1.
 */
typedef struct mailwire_server_options mailwire_server_options;

/**
 * A snapshot of a server's numbers since it began: sessions, messages, refusals by reason, octets, TLS, logins, and what is
 * going on now. It never changes.
 *
 * Since 0.1.
 */
typedef struct mailwire_statistics mailwire_statistics;

/**
 * How a call went: MAILWIRE_OK, MAILWIRE_END or one of MAILWIRE_ERR_... Expect values that you do not know; their range tells
 * what they are about.
 *
 * 1 to 99 wrong use, 100 to 199 this machine and the network, 200 to 299 TLS, 300 to 399 AUTH, 400 to 499 the server said 4yz,
 * 500 to 599 the server said 5yz, 600 to 699 the peer broke the protocol, 700 to 799 mixed results, 900 a defect.
 */
typedef int32_t mailwire_status;

/**
 * Where in a session something happened: one of MAILWIRE_PHASE_... Expect values that you do not know.
 */
typedef int32_t mailwire_phase;

/**
 * What was wrong with TLS: one of MAILWIRE_TLS_REASON_... Expect values that you do not know.
 */
typedef int32_t mailwire_tls_reason;

/**
 * What became of a message, or of it for one recipient: one of MAILWIRE_DELIVERY_... Expect values that you do not know.
 */
typedef int32_t mailwire_delivery;

/**
 * When a client uses TLS: one of MAILWIRE_TLS_... It decides whether to encrypt, never whether to verify: a failed handshake
 * is an error, and nothing falls back to clear.
 */
typedef int32_t mailwire_tls_policy;

/**
 * What a program wants to be asked: MAILWIRE_HOOK_... joined by "|".
 */
typedef uint32_t mailwire_hooks;

/**
 * What an event is about: one of MAILWIRE_EVENT_... Expect values that you do not know, and free such events.
 */
typedef int32_t mailwire_kind;

/**
 * What proves that a user who logs in is that user: one of MAILWIRE_PROOF_... Expect values that you do not know, and refuse such
 * logins.
 */
typedef int32_t mailwire_proof;

/**
 * The call did what it was asked to.
 */
#define MAILWIRE_OK 0

/**
 * An argument is not acceptable; the message names it. Nothing was sent.
 */
#define MAILWIRE_ERR_INVALID_ARGUMENT 1

/**
 * The call does not fit the state of the object, or another call is using it.
 */
#define MAILWIRE_ERR_MISUSE 2

/**
 * A callback called back into the object that was calling it.
 */
#define MAILWIRE_ERR_REENTRANT 3

/**
 * The object was made before a fork and is used in the child.
 */
#define MAILWIRE_ERR_FORKED 4

/**
 * The object was closed or shut down.
 */
#define MAILWIRE_ERR_CLOSED 5

/**
 * The queue of events has ended, because the server was shut down.
 */
#define MAILWIRE_END 6

/**
 * Reading or writing failed below SMTP.
 */
#define MAILWIRE_ERR_IO 100

/**
 * The host name could not be resolved.
 */
#define MAILWIRE_ERR_DNS 101

/**
 * A time limit passed; the phase says which.
 */
#define MAILWIRE_ERR_TIMEOUT 102

/**
 * The call was cancelled.
 */
#define MAILWIRE_ERR_CANCELLED 103

/**
 * Memory ran out.
 */
#define MAILWIRE_ERR_NOMEM 104

/**
 * No program listens at that address and port.
 */
#define MAILWIRE_ERR_CONNECTION_REFUSED 105

/**
 * The peer closed or reset the connection.
 */
#define MAILWIRE_ERR_CONNECTION_LOST 106

/**
 * The TLS handshake failed, or TLS broke afterwards.
 */
#define MAILWIRE_ERR_TLS 200

/**
 * TLS is required and the server does not offer STARTTLS.
 */
#define MAILWIRE_ERR_TLS_NOT_OFFERED 201

/**
 * The server offered STARTTLS and then refused it.
 */
#define MAILWIRE_ERR_TLS_REFUSED 202

/**
 * The server's certificate has expired.
 */
#define MAILWIRE_ERR_CERTIFICATE_EXPIRED 203

/**
 * The server's certificate is not valid yet.
 */
#define MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID 204

/**
 * The server's certificate does not lead to a trusted root.
 */
#define MAILWIRE_ERR_CERTIFICATE_UNTRUSTED 205

/**
 * The server's certificate is for another name.
 */
#define MAILWIRE_ERR_CERTIFICATE_NAME 206

/**
 * The server's certificate is wrong in another way: its purpose, signature or form.
 */
#define MAILWIRE_ERR_CERTIFICATE_INVALID 207

/**
 * A certificate, key or root given by the caller cannot be used.
 */
#define MAILWIRE_ERR_TLS_CONFIGURATION 208

/**
 * The server did not accept the credentials.
 */
#define MAILWIRE_ERR_AUTH_REJECTED 300

/**
 * The server offers no mechanism that these credentials and this connection allow.
 */
#define MAILWIRE_ERR_AUTH_MECHANISM 301

/**
 * Credentials were given and the server does not offer AUTH.
 */
#define MAILWIRE_ERR_AUTH_NOT_OFFERED 302

/**
 * Credentials would travel in clear, which is not allowed unless the caller says so.
 */
#define MAILWIRE_ERR_AUTH_INSECURE 303

/**
 * The server wants authentication and no credentials were given.
 */
#define MAILWIRE_ERR_AUTH_REQUIRED 304

/**
 * The server answered 4yz: the same may work later.
 */
#define MAILWIRE_ERR_TRANSIENT 400

/**
 * The server answered 5yz: the same will fail again.
 */
#define MAILWIRE_ERR_PERMANENT 500

/**
 * The message is larger than the size that the server allows. Nothing was sent.
 */
#define MAILWIRE_ERR_TOO_LARGE 501

/**
 * The message needs an extension that the server does not offer. Nothing was sent.
 */
#define MAILWIRE_ERR_NOT_SUPPORTED 502

/**
 * The peer broke the protocol.
 */
#define MAILWIRE_ERR_PROTOCOL 600

/**
 * Some recipients were accepted and others were not: see the report.
 */
#define MAILWIRE_ERR_PARTIAL 700

/**
 * A defect of this library. Please report it.
 */
#define MAILWIRE_ERR_INTERNAL 900

/**
 * There was no session.
 */
#define MAILWIRE_PHASE_NONE 0

/**
 * Waiting for a free connection of the client.
 */
#define MAILWIRE_PHASE_POOL 1

/**
 * Looking up the host name.
 */
#define MAILWIRE_PHASE_RESOLVE 2

/**
 * Opening the connection.
 */
#define MAILWIRE_PHASE_CONNECT 3

/**
 * The TLS handshake.
 */
#define MAILWIRE_PHASE_TLS 4

/**
 * Waiting for the server's greeting.
 */
#define MAILWIRE_PHASE_GREETING 5

/**
 * EHLO, HELO or LHLO.
 */
#define MAILWIRE_PHASE_HELLO 6

/**
 * The STARTTLS command.
 */
#define MAILWIRE_PHASE_STARTTLS 7

/**
 * The AUTH exchange.
 */
#define MAILWIRE_PHASE_AUTH 8

/**
 * The MAIL command.
 */
#define MAILWIRE_PHASE_MAIL 9

/**
 * An RCPT command.
 */
#define MAILWIRE_PHASE_RCPT 10

/**
 * The DATA command, up to its 354.
 */
#define MAILWIRE_PHASE_DATA 11

/**
 * The message's octets.
 */
#define MAILWIRE_PHASE_BODY 12

/**
 * From the end mark of the message to the reply.
 */
#define MAILWIRE_PHASE_END_OF_DATA 13

/**
 * RSET, NOOP, VRFY, EXPN or HELP.
 */
#define MAILWIRE_PHASE_COMMAND 14

/**
 * QUIT.
 */
#define MAILWIRE_PHASE_QUIT 15

/**
 * A server waits for its client's next command.
 */
#define MAILWIRE_PHASE_IDLE 16

/**
 * A server waits for its application's answer.
 */
#define MAILWIRE_PHASE_ANSWER 17

/**
 * The error is not about TLS.
 */
#define MAILWIRE_TLS_REASON_NONE 0

/**
 * The handshake failed, or TLS broke afterwards.
 */
#define MAILWIRE_TLS_REASON_HANDSHAKE 1

/**
 * TLS is required and the server does not offer STARTTLS.
 */
#define MAILWIRE_TLS_REASON_NOT_OFFERED 2

/**
 * The server offered STARTTLS and then refused it.
 */
#define MAILWIRE_TLS_REASON_REFUSED 3

/**
 * The server's certificate has expired.
 */
#define MAILWIRE_TLS_REASON_EXPIRED 4

/**
 * The server's certificate is not valid yet.
 */
#define MAILWIRE_TLS_REASON_NOT_YET_VALID 5

/**
 * The server's certificate does not lead to a trusted root.
 */
#define MAILWIRE_TLS_REASON_UNTRUSTED 6

/**
 * The server's certificate is for another name.
 */
#define MAILWIRE_TLS_REASON_NAME 7

/**
 * The server's certificate is wrong in another way: its purpose, signature or form.
 */
#define MAILWIRE_TLS_REASON_INVALID 8

/**
 * A certificate, key or root given by the caller cannot be used.
 */
#define MAILWIRE_TLS_REASON_CONFIGURATION 9

/**
 * It was not tried, or ended before a reply decided it. Sending again is safe.
 */
#define MAILWIRE_DELIVERY_NOT_TRIED 0

/**
 * The server has taken responsibility for it.
 */
#define MAILWIRE_DELIVERY_ACCEPTED 1

/**
 * The server said 5yz: sending the same again will fail again.
 */
#define MAILWIRE_DELIVERY_REFUSED 2

/**
 * The server said 4yz: sending again later is safe.
 */
#define MAILWIRE_DELIVERY_DEFERRED 3

/**
 * The end mark left us and no reply came: it may or may not have been accepted. Sending again may duplicate it.
 */
#define MAILWIRE_DELIVERY_UNKNOWN 4

/**
 * Of a message: its recipients have different results, and none is unknown.
 */
#define MAILWIRE_DELIVERY_PARTIAL 5

/**
 * Implicit on port 465, required on port 587 or with credentials, else opportunistic.
 */
#define MAILWIRE_TLS_AUTO 0

/**
 * TLS from the first byte, usual on port 465.
 */
#define MAILWIRE_TLS_IMPLICIT 1

/**
 * STARTTLS, or an error before anything of the mail is sent.
 */
#define MAILWIRE_TLS_REQUIRED 2

/**
 * STARTTLS where the server offers it, else in clear.
 */
#define MAILWIRE_TLS_OPPORTUNISTIC 3

/**
 * Never.
 */
#define MAILWIRE_TLS_NONE 4

/**
 * Nothing but whole messages.
 */
#define MAILWIRE_HOOK_NONE 0

/**
 * A client has connected.
 */
#define MAILWIRE_HOOK_CONNECT 1

/**
 * EHLO, HELO or LHLO.
 */
#define MAILWIRE_HOOK_HELLO 2

/**
 * AUTH, for users who are not in the server's own table. With it AUTH is offered.
 */
#define MAILWIRE_HOOK_AUTH 4

/**
 * MAIL.
 */
#define MAILWIRE_HOOK_MAIL 8

/**
 * RCPT.
 */
#define MAILWIRE_HOOK_RCPT 16

/**
 * A transaction was given up; informs.
 */
#define MAILWIRE_HOOK_RESET 32

/**
 * VRFY.
 */
#define MAILWIRE_HOOK_VERIFY 64

/**
 * EXPN.
 */
#define MAILWIRE_HOOK_EXPAND 128

/**
 * HELP.
 */
#define MAILWIRE_HOOK_HELP 256

/**
 * A command that is not known.
 */
#define MAILWIRE_HOOK_UNKNOWN 512

/**
 * QUIT; informs.
 */
#define MAILWIRE_HOOK_QUIT 1024

/**
 * The connection is gone; informs.
 */
#define MAILWIRE_HOOK_DISCONNECT 2048

/**
 * What is kept of users who are not in the server's own table (MAILWIRE_EVENT_LOOKUP). With it SCRAM is offered, and CRAM-MD5 if the
 * option "mechanisms" names it.
 */
#define MAILWIRE_HOOK_LOOKUP 4096

/**
 * ETRN. With it ETRN is offered.
 */
#define MAILWIRE_HOOK_ETRN 8192

/**
 * A message that a disposition could not take (MAILWIRE_EVENT_FAULT); informs.
 */
#define MAILWIRE_HOOK_FAULT 16384

/**
 * There is no event.
 */
#define MAILWIRE_EVENT_NONE 0

/**
 * A client has connected (MAILWIRE_HOOK_CONNECT). It comes again, with the same number of the session, where a host of "xclient" goes on with
 * another client in the same connection: what the program keeps of the session is not that client's.
 */
#define MAILWIRE_EVENT_CONNECT 1

/**
 * EHLO, HELO or LHLO (MAILWIRE_HOOK_HELLO).
 */
#define MAILWIRE_EVENT_HELLO 2

/**
 * AUTH, with user name and password (MAILWIRE_HOOK_AUTH).
 */
#define MAILWIRE_EVENT_AUTH 3

/**
 * MAIL, with the sender (MAILWIRE_HOOK_MAIL).
 */
#define MAILWIRE_EVENT_MAIL 4

/**
 * RCPT, with one recipient or several that came in one go; each is owed an answer (MAILWIRE_HOOK_RCPT). The sender is not told again: a
 * program that wants it asks for MAIL, and keeps it by the number of the session.
 */
#define MAILWIRE_EVENT_RECIPIENTS 5

/**
 * A whole message with its envelope. Accepting it makes you responsible for it. With LMTP each recipient is owed an answer.
 */
#define MAILWIRE_EVENT_MESSAGE 6

/**
 * A message begins, with its envelope; only with mailwire_server_options_set_stream. It is owed an answer, before which no octet of the
 * message is read: freed without one, the message is refused by 451.
 */
#define MAILWIRE_EVENT_BODY 7

/**
 * A piece of a message; informs. Free it to have more read: pieces of up to 256 KiB of a message may be held at a time. Where so many are
 * held for longer than "answer_timeout", the message is refused by 451, and MAILWIRE_EVENT_DISCARDED comes. It owes no answer, but may be
 * refused: that refuses the message.
 */
#define MAILWIRE_EVENT_CHUNK 8

/**
 * The end of a message that came in pieces. Accepting it makes you responsible for it. With LMTP each recipient is owed an
 * answer.
 */
#define MAILWIRE_EVENT_END_OF_DATA 9

/**
 * A transaction was given up, by RSET or another EHLO; informs, and the session goes on once the event was freed
 * (MAILWIRE_HOOK_RESET). RSET where there is none, as behind a message that was answered, is not told.
 */
#define MAILWIRE_EVENT_RESET 10

/**
 * VRFY (MAILWIRE_HOOK_VERIFY).
 */
#define MAILWIRE_EVENT_VERIFY 11

/**
 * EXPN (MAILWIRE_HOOK_EXPAND).
 */
#define MAILWIRE_EVENT_EXPAND 12

/**
 * HELP (MAILWIRE_HOOK_HELP).
 */
#define MAILWIRE_EVENT_HELP 13

/**
 * A command that is not known (MAILWIRE_HOOK_UNKNOWN). mailwire_event_accept answers it 250: it is carried out. Whoever does not know it
 * either calls mailwire_event_reject, or mailwire_event_reply with 500.
 */
#define MAILWIRE_EVENT_UNKNOWN 14

/**
 * QUIT; informs, and the session goes on once the event was freed (MAILWIRE_HOOK_QUIT).
 */
#define MAILWIRE_EVENT_QUIT 15

/**
 * The connection is gone; informs (MAILWIRE_HOOK_DISCONNECT).
 */
#define MAILWIRE_EVENT_DISCONNECT 16

/**
 * A message that came in pieces will not come whole, or was refused at one of them: drop what came of it; informs.
 */
#define MAILWIRE_EVENT_DISCARDED 17

/**
 * ETRN; its argument is the node whose queue is to be started (MAILWIRE_HOOK_ETRN).
 */
#define MAILWIRE_EVENT_ETRN 18

/**
 * A login by SCRAM or CRAM-MD5 of a user who is not in the server's own table: mailwire_event_supply_password or
 * mailwire_event_supply_keys answers with what you keep of mailwire_event_auth_user. Accepting it without says that there is no
 * such user, which the client is told no sooner than that a password was wrong (MAILWIRE_HOOK_LOOKUP).
 */
#define MAILWIRE_EVENT_LOOKUP 19

/**
 * A disposition could not take a message: mailwire_event_fault says why; informs (MAILWIRE_HOOK_FAULT).
 */
#define MAILWIRE_EVENT_FAULT 20

/**
 * There is no login.
 */
#define MAILWIRE_PROOF_NONE 0

/**
 * A password, in mailwire_event_auth_secret.
 */
#define MAILWIRE_PROOF_PASSWORD 1

/**
 * A bearer token of OAuth 2.0, in mailwire_event_auth_secret. It may have come without a user name.
 */
#define MAILWIRE_PROOF_TOKEN 2

/**
 * The certificate of the TLS handshake, which was verified against the option "client_ca". The user name is its fingerprint,
 * "sha256:" and 64 lower-case digits.
 */
#define MAILWIRE_PROOF_CERTIFICATE 3

/**
 * Nothing: an anonymous user, with a word on who it may be as user name.
 */
#define MAILWIRE_PROOF_NOTHING 4

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status, as "MAILWIRE_ERR_TIMEOUT"; "MAILWIRE_ERR_UNKNOWN" for a number that this version does not know.
 *
 * The text is never NULL and is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_status_name(mailwire_status status);

/**
 * What a status means, as half a sentence: "a time limit passed".
 *
 * The text is never NULL and is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_status_text(mailwire_status status);

/**
 * The version of the library that is running, as MAILWIRE_VERSION_NUMBER has it: 0xMMmmpp.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API uint32_t mailwire_version_number(void);

/**
 * The version of the library that is running, as "0.1.0".
 *
 * The text is never NULL and is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_version_string(void);

/**
 * Whether the library that is running can stand in for the one that a program was compiled with: pass
 * MAILWIRE_VERSION_NUMBER. Before 1.0 the minor version must be the same, and from then on the major version; what is
 * running must not be older.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
bool mailwire_version_check(uint32_t compiled_with);

/**
 * Whether the library can do something: "client", "server", "lmtp", "starttls", "implicit-tls", "auth-plain",
 * "auth-login", "auth-cram-md5", "auth-scram-sha-1", "auth-scram-sha-1-plus", "auth-scram-sha-256",
 * "auth-scram-sha-256-plus", "size", "8bitmime", "smtputf8", "chunking", "pipelining", "enhancedstatuscodes". False for
 * NULL and for a name that it does not know.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
bool mailwire_has_feature(const char *name);

/**
 * Frees an error. NULL is allowed. Set your pointer to NULL afterwards.
 *
 * Thread: any, while nobody else uses this error.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_error_free(mailwire_error *error);

/**
 * The status of an error: the same number that the call returned. MAILWIRE_ERR_NOMEM if there was no memory for more, whatever
 * the call returned. NULL: MAILWIRE_OK.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
mailwire_status mailwire_error_status(const mailwire_error *error);

/**
 * One line for people: the function, the peer, the phase, what happened, and what the peer said. NULL: empty.
 *
 * The text is UTF-8, never NULL, and lives as long as the error.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_error_message(const mailwire_error *error);

/**
 * What lies behind the failure, as the operating system or TLS words it; empty if nothing does.
 *
 * The text is one line of UTF-8, never NULL, and lives as long as the error.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_error_cause_message(const mailwire_error *error);

/**
 * The peer, as host:port or the path of a socket; empty if there was none.
 *
 * The text is never NULL, and lives as long as the error.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_error_peer(const mailwire_error *error);

/**
 * The phase of the session, or MAILWIRE_PHASE_NONE if there was no session.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_phase mailwire_error_phase(const mailwire_error *error);

/**
 * The command that was under way, as "RCPT"; empty if there was none.
 *
 * The text is never NULL and is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_error_command(const mailwire_error *error);

/**
 * The code of the server's reply, as 550; 0 if no reply is the reason.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API int32_t mailwire_error_smtp_code(const mailwire_error *error);

/**
 * The enhanced status code of the server's reply, as 5, 1 and 1. Returns whether there is one; if not, all three are set
 * to 0. Each of the three pointers may be NULL.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
bool mailwire_error_enhanced(const mailwire_error *error,
                             int32_t *status_class,
                             int32_t *subject,
                             int32_t *detail);

/**
 * The number of lines of the server's reply; 0 if no reply is the reason.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_error_reply_count(const mailwire_error *error);

/**
 * A line of the server's reply, without codes; empty if there is no such line. What was not printable is written as \xNN.
 *
 * The text is never NULL, and lives as long as the error.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_error_reply_line(const mailwire_error *error,
                                      size_t index);

/**
 * The operating system's error number (errno); 0 if none is the reason.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API int32_t mailwire_error_os_errno(const mailwire_error *error);

/**
 * The number of the TLS alert that the peer sent (RFC 8446 section 6); -1 if none is the reason.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API int32_t mailwire_error_tls_alert(const mailwire_error *error);

/**
 * What was wrong with TLS, or MAILWIRE_TLS_REASON_NONE.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_tls_reason mailwire_error_tls_reason(const mailwire_error *error);

/**
 * The name of what was wrong with TLS, as "MAILWIRE_TLS_REASON_EXPIRED".
 *
 * The text is never NULL and is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_error_tls_reason_name(const mailwire_error *error);

/**
 * The index of the recipient that the error is about, in the order in which they were added; SIZE_MAX if it is about no
 * single one.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
size_t mailwire_error_recipient_index(const mailwire_error *error);

/**
 * Whether the same call may succeed later without a change, and cannot make a second copy: false if the message was accepted for
 * some recipient, or may have been. mailwire_report_retry_at tells who may be sent it again then.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
bool mailwire_error_is_transient(const mailwire_error *error);

/**
 * What became of the message: MAILWIRE_DELIVERY_NOT_TRIED if its transaction had not begun. MAILWIRE_DELIVERY_UNKNOWN means
 * that the server may or may not have accepted it: do not send it again blindly.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
mailwire_delivery mailwire_error_delivery(const mailwire_error *error);

/**
 * A cancel token that was not signalled, held once.
 *
 * Give it back with mailwire_cancel_unref. Returns NULL if the process can open no more descriptors.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
mailwire_cancel *mailwire_cancel_new(void);

/**
 * Holds a cancel token once more and returns it. NULL: NULL.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_cancel *mailwire_cancel_ref(const mailwire_cancel *cancel);

/**
 * Gives a cancel token back; the last one frees it. NULL is allowed.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_cancel_unref(const mailwire_cancel *cancel);

/**
 * Ends the calls that the token was given to, now and in future: they return MAILWIRE_ERR_CANCELLED within 50 ms. NULL is
 * allowed.
 *
 * Thread: any, and signal handlers: it makes one system call and keeps errno.
 * Since 0.1.
 */
MAILWIRE_API
void mailwire_cancel_signal(const mailwire_cancel *cancel);

/**
 * Frees a report. NULL is allowed.
 *
 * Thread: any, while nobody else uses this report.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_report_free(mailwire_report *report);

/**
 * What became of the message as a whole. NULL: MAILWIRE_DELIVERY_NOT_TRIED.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_delivery mailwire_report_delivery(const mailwire_report *report);

/**
 * The number of recipients. NULL: 0.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_report_count(const mailwire_report *report);

/**
 * The address of a recipient, as it was given; empty if there is no such recipient.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_report_address(const mailwire_report *report, size_t index);

/**
 * What became of the message for a recipient; MAILWIRE_DELIVERY_NOT_TRIED if there is no such recipient.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
mailwire_delivery mailwire_report_outcome(const mailwire_report *report,
                                          size_t index);

/**
 * The code of the reply that decided about a recipient, as 250; 0 if no reply did.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API int32_t mailwire_report_smtp_code(const mailwire_report *report, size_t index);

/**
 * The enhanced status code of that reply, as 5, 1 and 1. Returns whether there is one; if not, all three are set to 0.
 * Each of the three pointers may be NULL.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
bool mailwire_report_enhanced(const mailwire_report *report,
                              size_t index,
                              int32_t *status_class,
                              int32_t *subject,
                              int32_t *detail);

/**
 * The text of that reply on one line, without codes; empty if no reply decided.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_report_text(const mailwire_report *report, size_t index);

/**
 * The phase in which a recipient's result was decided; MAILWIRE_PHASE_NONE if it was not.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_phase mailwire_report_phase(const mailwire_report *report, size_t index);

/**
 * The number of recipients to whom sending again cannot make a second copy and may succeed. NULL: 0.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
size_t mailwire_report_retry_count(const mailwire_report *report);

/**
 * The index, for the other functions, of one of those recipients; SIZE_MAX if there is no such one.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_report_retry_at(const mailwire_report *report, size_t index);

/**
 * The code of the last reply that was about the message as a whole, as that to the end of data; 0 if there was none.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
int32_t mailwire_report_reply_code(const mailwire_report *report);

/**
 * The text of that reply on one line, without codes; empty if there was none.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_report_reply_text(const mailwire_report *report);

/**
 * The name under which the server has queued the message, if it said so in that reply; empty if not.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_report_queue_id(const mailwire_report *report);

/**
 * The version of TLS that the message went over, as "TLSv1.3"; empty in clear.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_report_tls_version(const mailwire_report *report);

/**
 * The cipher suite of TLS, as "TLS_AES_256_GCM_SHA384"; empty in clear.
 *
 * The text is never NULL, and lives as long as the report.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_report_tls_cipher(const mailwire_report *report);

/**
 * A message without sender, recipients and content.
 *
 * Free it with mailwire_message_free. Returns NULL only if memory has run out.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_message *mailwire_message_new(void);

/**
 * Frees a message. NULL is allowed.
 *
 * Thread: any. Calls that are still sending it go on.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_message_free(mailwire_message *message);

/**
 * Sets the sender (the reverse-path of MAIL, where notices of failure go), as "a@example.org". The empty text is the null
 * reverse-path. It is copied.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no address; MAILWIRE_ERR_MISUSE if another
 * call is using the message; MAILWIRE_ERR_INTERNAL. After a failure the old sender stays.
 * Thread: any, one call at a time on a message.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_message_set_sender(mailwire_message *message,
                                            const char *sender,
                                            mailwire_error **err);

/**
 * Adds a recipient (a forward-path of RCPT), as "b@example.net". It is copied.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no address; MAILWIRE_ERR_MISUSE if another
 * call is using the message; MAILWIRE_ERR_INTERNAL. After a failure the recipients are as before.
 * Thread: any, one call at a time on a message.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_message_add_recipient(mailwire_message *message,
                                               const char *recipient,
                                               mailwire_error **err);

/**
 * Removes all recipients, so that the same content can go to others.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if another call is using the message;
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on a message.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_message_clear_recipients(mailwire_message *message,
                                                  mailwire_error **err);

/**
 * Sets the message's header and body, as they are to be sent. They are copied. A line end that is not CRLF becomes one as
 * it is sent, or is refused if the option line_ends says so. NULL is allowed if length is 0.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if another call is using the message;
 * MAILWIRE_ERR_NOMEM; MAILWIRE_ERR_INTERNAL. After a failure the old content stays.
 * Thread: any, one call at a time on a message.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_message_set_content(mailwire_message *message,
                                             const void *content,
                                             size_t length,
                                             mailwire_error **err);

/**
 * The name said in EHLO: a domain name or an address literal. By default this host's full name if it has one, else the
 * connection's own address.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_local_hostname(mailwire_client_options *options,
                                                           const char *name,
                                                           mailwire_error **err);

/**
 * The IP address of this host that connections come from.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_source_address(mailwire_client_options *options,
                                                           const char *address,
                                                           mailwire_error **err);

/**
 * The longest wait for a connection to open, in milliseconds. 10,000 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_connect_timeout(mailwire_client_options *options,
                                                            int64_t milliseconds,
                                                            mailwire_error **err);

/**
 * The longest single wait for the server, in milliseconds, in every phase but the reply to the end of data, which has 600
 * seconds. MAILWIRE_NO_TIMEOUT stands for the default: the values of RFC 5321 section 4.5.3.2, 2 to 5 minutes.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_timeout(mailwire_client_options *options,
                                                    int64_t milliseconds,
                                                    mailwire_error **err);

/**
 * The most that a whole call may take, in milliseconds. MAILWIRE_NO_TIMEOUT, the default, sets no limit.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_deadline(mailwire_client_options *options,
                                                     int64_t milliseconds,
                                                     mailwire_error **err);

/**
 * Whether a message with a CR or LF that is not part of a CRLF is refused. By default it becomes CRLF as it is sent.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_refuse_bare_line_ends(mailwire_client_options *options,
                                                                  bool refuse,
                                                                  mailwire_error **err);

/**
 * Send to all recipients or to none: nothing that can complete the message leaves before every one was accepted.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_all_or_nothing(mailwire_client_options *options,
                                                           bool all_or_nothing,
                                                           mailwire_error **err);

/**
 * The most connections that a client has open at a time. 8 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_max_connections(mailwire_client_options *options,
                                                            size_t connections,
                                                            mailwire_error **err);

/**
 * How long a kept connection may be idle, in milliseconds. 60,000 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_idle_timeout(mailwire_client_options *options,
                                                         int64_t milliseconds,
                                                         mailwire_error **err);

/**
 * How old a kept connection may get, in milliseconds. An hour by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_max_age(mailwire_client_options *options,
                                                    int64_t milliseconds,
                                                    mailwire_error **err);

/**
 * How many messages a kept connection carries before it is replaced. 1000 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_max_messages(mailwire_client_options *options,
                                                         uint32_t messages,
                                                         mailwire_error **err);

/**
 * The defaults. A server must be set before a client can be made.
 *
 * Free it with mailwire_client_options_free. Returns NULL only if memory has run out.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_client_options *mailwire_client_options_new(void);

/**
 * Options from a URL: smtp://, submission://, smtps:// or lmtp:// with user:password@host:port, or lmtp+unix:///path. User
 * and password are percent-encoded. Every other option may stand behind a question mark, by the names that
 * mailwire_client_option_name gives, as in "smtp://user:secret@mail.example.org:587?tls=required&timeout=30".
 *
 * Without a port it is 587 with a password, else 25; 587 for submission, 465 for smtps and 24 for lmtp. The password is never
 * repeated in an error.
 *
 * options gets new options, to be freed with mailwire_client_options_free, or NULL on failure.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a certificate file that cannot be
 * used; MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_from_url(const char *url,
                                                 mailwire_client_options **options,
                                                 mailwire_error **err);

/**
 * Frees options. NULL is allowed.
 *
 * Thread: any, while nobody else uses these options.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_client_options_free(mailwire_client_options *options);

/**
 * The name of an option that mailwire_client_options_set and URLs know, by its index from 0; NULL behind the last one.
 *
 * The text is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_client_option_name(size_t index);

/**
 * Sets an option by its name, from text. Times are seconds, as "2.5"; switches are "true" or "false".
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
 * MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
 * before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set(mailwire_client_options *options,
                                            const char *name,
                                            const char *value,
                                            mailwire_error **err);

/**
 * The server's host name or IP address, and its port. Port 0 is the usual one: 587 with credentials, 465 under implicit TLS, 24
 * with LMTP, and else 25.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_server(mailwire_client_options *options,
                                                   const char *host,
                                                   uint16_t port,
                                                   mailwire_error **err);

/**
 * A socket in the file system instead of a host, as LMTP servers have it.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_unix_socket(mailwire_client_options *options,
                                                        const char *path,
                                                        mailwire_error **err);

/**
 * Whether LMTP is spoken (RFC 2033), where the server answers for each recipient, instead of SMTP.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_lmtp(mailwire_client_options *options,
                                                 bool lmtp,
                                                 mailwire_error **err);

/**
 * Log in with this user name and password. The copy of the password is overwritten when it is no longer needed. It leaves only
 * under TLS unless mailwire_client_options_set_allow_plaintext_auth says otherwise.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_credentials(mailwire_client_options *options,
                                                        const char *user,
                                                        const void *secret,
                                                        size_t secret_length,
                                                        mailwire_error **err);

/**
 * Use this SASL mechanism, as "SCRAM-SHA-256" or "PLAIN", and no other; of several with commas between, the strongest
 * that can be used. By default the strongest that server, TLS and credentials allow.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_mechanism(mailwire_client_options *options,
                                                      const char *mechanism,
                                                      mailwire_error **err);

/**
 * Dangerous: lets the password travel in clear, where anyone on the way can read it.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_allow_plaintext_auth(mailwire_client_options *options,
                                                                 bool allow,
                                                                 mailwire_error **err);

/**
 * When TLS is used: one of MAILWIRE_TLS_... MAILWIRE_TLS_AUTO by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_tls(mailwire_client_options *options,
                                                mailwire_tls_policy policy,
                                                mailwire_error **err);

/**
 * A file of root certificates in PEM. The client then trusts these and no others.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
 * MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
 * before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_ca_file(mailwire_client_options *options,
                                                    const char *path,
                                                    mailwire_error **err);

/**
 * A file in PEM with the client's own certificate and its key, shown where the server asks for one.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
 * MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
 * before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_set_certificate(mailwire_client_options *options,
                                                        const char *path,
                                                        mailwire_error **err);

/**
 * Dangerous: accepts any certificate from anyone. Whoever stands between can then read the mail and the password, and change both.
 * For a server with a certificate of its own making, use mailwire_client_options_set_ca_file.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_options_danger_accept_any_certificate(mailwire_client_options *options,
                                                                      mailwire_error **err);

/**
 * A client with these options, which are checked as a whole and copied. Nothing is connected before the first message.
 *
 * client gets the new client, to be freed with mailwire_client_free, or NULL on failure.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options that do not fit together;
 * MAILWIRE_ERR_AUTH_INSECURE if the password would travel in clear; MAILWIRE_ERR_MISUSE if another call is changing the options;
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_new(const mailwire_client_options *options,
                                    mailwire_client **client,
                                    mailwire_error **err);

/**
 * Frees a client and closes its connections. NULL is allowed. In a forked child it closes the child's descriptors and nothing
 * else: the parent's connections go on.
 *
 * Thread: any. Calls that are still sending through it go on, and the last one closes it.
 * Since 0.1.
 */
MAILWIRE_API
void mailwire_client_free(mailwire_client *client);

/**
 * Sends one message, over a kept connection if there is one.
 *
 * cancel may be NULL; signalled, it ends the call. report may be NULL; else it gets a report, to be freed with
 * mailwire_report_free, on success and on failure, once the server was told the sender; before that it gets NULL. The
 * message's content is not copied.
 *
 * Returns MAILWIRE_OK if the server accepted the message for every recipient. MAILWIRE_ERR_PARTIAL: some recipients were
 * accepted and others were not, see the report. MAILWIRE_ERR_PERMANENT: all failed, and trying again will not help.
 * MAILWIRE_ERR_TRANSIENT: all failed, and some may work later. Nothing that may have been accepted is ever sent again by
 * itself: if mailwire_error_delivery is MAILWIRE_DELIVERY_UNKNOWN, do not send it again blindly.
 * Before anything is sent: MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE for a message without sender, recipient or content;
 * MAILWIRE_ERR_FORKED; MAILWIRE_ERR_CLOSED; MAILWIRE_ERR_TOO_LARGE; MAILWIRE_ERR_NOT_SUPPORTED.
 * From the network: MAILWIRE_ERR_DNS; MAILWIRE_ERR_CONNECTION_REFUSED; MAILWIRE_ERR_CONNECTION_LOST; MAILWIRE_ERR_IO;
 * MAILWIRE_ERR_TIMEOUT; MAILWIRE_ERR_CANCELLED; MAILWIRE_ERR_PROTOCOL.
 * From TLS: MAILWIRE_ERR_TLS; MAILWIRE_ERR_TLS_NOT_OFFERED; MAILWIRE_ERR_TLS_REFUSED; MAILWIRE_ERR_TLS_CONFIGURATION;
 * MAILWIRE_ERR_CERTIFICATE_EXPIRED; MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID; MAILWIRE_ERR_CERTIFICATE_UNTRUSTED;
 * MAILWIRE_ERR_CERTIFICATE_NAME; MAILWIRE_ERR_CERTIFICATE_INVALID.
 * From AUTH: MAILWIRE_ERR_AUTH_REJECTED; MAILWIRE_ERR_AUTH_MECHANISM; MAILWIRE_ERR_AUTH_NOT_OFFERED;
 * MAILWIRE_ERR_AUTH_INSECURE; MAILWIRE_ERR_AUTH_REQUIRED.
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any number at the same time, on one client and with one message.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_send(const mailwire_client *client,
                                     const mailwire_message *message,
                                     const mailwire_cancel *cancel,
                                     mailwire_report **report,
                                     mailwire_error **err);

/**
 * Says goodbye on the connections that are kept. Calls under way end as they would; later ones return MAILWIRE_ERR_CLOSED.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_client_close(const mailwire_client *client,
                                      mailwire_error **err);

/**
 * Sends one ready-made message and closes the connection.
 *
 * url is as for mailwire_client_options_from_url, sender and recipients as for mailwire_message; recipients points to count
 * texts. message is its header and body. report may be NULL; else it gets a report, to be freed with mailwire_report_free, as
 * for mailwire_client_send.
 *
 * Returns what mailwire_client_options_from_url, mailwire_client_new and mailwire_client_send return, above all MAILWIRE_OK if
 * the server accepted the message for every recipient, and MAILWIRE_ERR_PARTIAL if only for some.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_send(const char *url,
                              const char *sender,
                              const char *const *recipients,
                              size_t count,
                              const void *message,
                              size_t length,
                              mailwire_report **report,
                              mailwire_error **err);

/**
 * Sends one plain text and closes the connection. The header is made from sender, recipients and subject; all of these and
 * the text are UTF-8.
 *
 * url is as for mailwire_client_options_from_url, sender and recipients as for mailwire_message; recipients points to count
 * texts. subject has one line. report may be NULL; else it gets a report, to be freed with mailwire_report_free, as for
 * mailwire_client_send.
 *
 * Returns what mailwire_client_options_from_url, mailwire_client_new and mailwire_client_send return, above all MAILWIRE_OK if
 * the server accepted the message for every recipient, and MAILWIRE_ERR_PARTIAL if only for some.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_send_text(const char *url,
                                   const char *sender,
                                   const char *const *recipients,
                                   size_t count,
                                   const char *subject,
                                   const char *text,
                                   mailwire_report **report,
                                   mailwire_error **err);

/**
 * Makes the keys of a password, with a random salt. mechanism is "SCRAM-SHA-256" or "SCRAM-SHA-1", or NULL for the first.
 * iterations is how often the password is salted: 4096 at least, so that clients take it; each login costs the client as many. It
 * takes as long as they do.
 *
 * keys gets the keys, to be freed with mailwire_scram_keys_free, or NULL on failure.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a password that SASLprep (RFC 4013) forbids;
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_scram_keys_new(const char *mechanism,
                                        const void *secret,
                                        size_t secret_length,
                                        uint32_t iterations,
                                        mailwire_scram_keys **keys,
                                        mailwire_error **err);

/**
 * The keys as text to be stored, as "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey" (RFC 5803), for
 * mailwire_server_options_add_user_keys. Keep it as you would keep the password: who has it can pass for the server, and can try
 * passwords at leisure. NULL: the empty text.
 *
 * The text is never NULL, and lives as long as the keys.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_scram_keys_text(const mailwire_scram_keys *keys);

/**
 * Frees keys; their memory is overwritten. NULL is allowed.
 *
 * Thread: any, while nobody else uses these keys.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_scram_keys_free(mailwire_scram_keys *keys);

/**
 * Where messages go instead of the queue of events: "maildir:/path" or "folder:/path", which write files and answer 250 once these
 * are on the disk; "discard"; or "relay:" and a URL, as "relay:smtp://mail.example.org:25", which hands on to another server and
 * passes its answer back. Nothing is connected before there is a message. In front of what a relay hands on always stands a Received
 * field (RFC 5321 section 4.4).
 *
 * Folders that are not there are made at once, and what a crash left of a message 36 hours ago or earlier is removed. With
 * "?delivered_to=true" behind its path each file has a Delivered-To field for each recipient of the envelope (RFC 9228): whoever may
 * read it learns of blind copies too.
 *
 * Then no event of MAILWIRE_EVENT_MESSAGE or MAILWIRE_EVENT_BODY comes. What is set by mailwire_server_options_set_hooks is still
 * asked; without it the queue may be left alone, which then tells nothing but that the server has ended by itself. Where a message
 * cannot be taken the client is told 451 or 452 and nothing of the reason: that comes as an event of MAILWIRE_EVENT_FAULT, one for each message while it lasts, if MAILWIRE_HOOK_FAULT is set. While
 * 4,096 events wait none is added; the number "faults" of mailwire_statistics counts them all.
 *
 * With a relay mailwire_server_start fails with MAILWIRE_ERR_INVALID_ARGUMENT unless domains, trusted networks or required authentication keep strangers from relaying.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_IO for a folder that cannot be used; as
 * mailwire_client_options_from_url for a URL; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_disposition(mailwire_server_options *options,
                                                        const char *disposition,
                                                        mailwire_error **err);

/**
 * The name that the server greets with. By default the machine's own name.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_hostname(mailwire_server_options *options,
                                                     const char *name,
                                                     mailwire_error **err);

/**
 * Whether LMTP is spoken (RFC 2033), where the end of a message is answered for each recipient, instead of SMTP.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_lmtp(mailwire_server_options *options,
                                                 bool lmtp,
                                                 mailwire_error **err);

/**
 * Whether a message comes piece by piece while it arrives (MAILWIRE_EVENT_BODY, _CHUNK, _END_OF_DATA) instead of whole
 * (MAILWIRE_EVENT_MESSAGE).
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_stream(mailwire_server_options *options,
                                                   bool stream,
                                                   mailwire_error **err);

/**
 * The number of threads that do the I/O. 1 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_threads(mailwire_server_options *options,
                                                    size_t threads,
                                                    mailwire_error **err);

/**
 * The most octets of a message. 50 MiB by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_max_message_size(mailwire_server_options *options,
                                                             uint64_t octets,
                                                             mailwire_error **err);

/**
 * The most recipients of a message. 1000 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_max_recipients(mailwire_server_options *options,
                                                           size_t recipients,
                                                           mailwire_error **err);

/**
 * The most connections at a time; 1000 by default. Those beyond are greeted with 421. Where TLS comes first, or a proxy has not sent
 * its header yet, nothing can be said: they are closed without a word.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_max_connections(mailwire_server_options *options,
                                                            size_t connections,
                                                            mailwire_error **err);

/**
 * The most connections at a time from one address; of IPv6, from one /64 network; 100 by default. Those beyond are greeted with 421,
 * or closed without a word where TLS comes first. A proxy of the option "proxy_protocol" or "xclient" is not counted, but whom it
 * tells: what is too many is answered 421 and closed.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_connections_per_address(mailwire_server_options *options,
                                                                    size_t connections,
                                                                    mailwire_error **err);

/**
 * The most octets of messages that are held in memory, over all sessions, where each piece counts for 768 more; in a transaction
 * recipients beyond the first 16 count too. 256 MiB by default.
 * Of it one address may have a part, which mailwire_server_options_set sets as body_memory_per_address: a quarter by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_body_memory(mailwire_server_options *options,
                                                        uint64_t octets,
                                                        mailwire_error **err);

/**
 * How long an event may stay unanswered before the client is told 451 (454 at AUTH and LOOKUP, 421 at CONNECT), in milliseconds. 300,000
 * by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_answer_timeout(mailwire_server_options *options,
                                                           int64_t milliseconds,
                                                           mailwire_error **err);

/**
 * How long a client may take for its next command or its next octets, in milliseconds. 300,000 by default.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_idle_timeout(mailwire_server_options *options,
                                                         int64_t milliseconds,
                                                         mailwire_error **err);

/**
 * The defaults. Unless an address to listen on is added, it is a free port of 127.0.0.1.
 *
 * Free it with mailwire_server_options_free. Returns NULL only if memory has run out.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_server_options *mailwire_server_options_new(void);

/**
 * Frees options. NULL is allowed.
 *
 * Thread: any, while nobody else uses these options.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_server_options_free(mailwire_server_options *options);

/**
 * The name of an option that mailwire_server_options_set knows, by its index from 0; NULL behind the last one.
 *
 * The text is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_server_option_name(size_t index);

/**
 * Sets an option by its name, from text. SERVER_OPTIONS.md, installed in share/doc/mailwire, lists all names with
 * their values and defaults.
 *
 * Switches are "true", "yes", "on" or "1", or "false", "no", "off" or "0", in any case of letters;
 * times are seconds, as "300" or "0.5"; sizes are octets, as "1048576", "1024K" or "1M". Lists are separated by commas, and no element
 * is empty; of networks and "extensions" there may be none at all. Blanks around a value and around the elements of a list do not count,
 * but for "user", whose password may have them. "tls" is "certificate.pem,key.pem" or one file with both, and comes before "tls_sni",
 * "host.example,certificate.pem,key.pem", and "client_ca", a file of roots: setting it again forgets these. "disposition" is as
 * mailwire_server_options_set_disposition has it. "received" puts a Received field (RFC 5321 section 4.4) in front of each message,
 * with the id that mailwire_event_queue_id tells; where the disposition is a relay it is put there whatever "received" says.
 *
 * "decoy_secret" is 64 hexadecimal digits, 32 random octets, from which the salts of SCRAM are made for users who are not there. By
 * default they are made of the private key of "tls", as it is when the server begins, so that servers with one key make up the same
 * ones, also after a stop; without TLS they change with each start, which tells who is not there. Set it there, and where the key
 * changes or servers with several keys stand for one another. Keep it as secret as the users' keys; no error repeats it.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
 * MAILWIRE_ERR_IO for a "disposition" whose folder cannot be used; MAILWIRE_ERR_MISUSE if another call is using the
 * options; MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set(mailwire_server_options *options,
                                            const char *name,
                                            const char *value,
                                            mailwire_error **err);

/**
 * Adds an address to listen on: "127.0.0.1:2525", "[::1]:0" (port 0: a free one), "unix:/path", "fd:3" or "systemd".
 *
 * The path of a Unix socket has at most 107 octets; names without a file, which begin with @ elsewhere, are not taken. The file stays
 * when the server has ended: the next server on it replaces it.
 *
 * "fd:3" is a descriptor that a parent process has left open: a listening socket of TCP or a Unix stream socket. It stays open as long
 * as this process runs, and becomes non-blocking for all who share it. "systemd" is all sockets that systemd's socket activation has
 * handed over (sd_listen_fds(3)); LISTEN_PID and LISTEN_FDS are read from the environment now, and stay set.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also where a descriptor cannot be listened on or was added already, or systemd
 * has handed over nothing; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_add_listener(mailwire_server_options *options,
                                                     const char *address,
                                                     mailwire_error **err);

/**
 * The files in PEM with the server's certificate chain, its own certificate first, and with its private key; they may be the
 * same file. With them STARTTLS is offered.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
 * MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
 * before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_certificate(mailwire_server_options *options,
                                                        const char *certificate,
                                                        const char *key,
                                                        mailwire_error **err);

/**
 * Adds a user who may log in, with the password. The library then answers AUTH for this user by itself. AUTH is offered as soon
 * as there is a user, MAILWIRE_HOOK_AUTH or MAILWIRE_HOOK_LOOKUP.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_add_user(mailwire_server_options *options,
                                                 const char *name,
                                                 const void *secret,
                                                 size_t secret_length,
                                                 mailwire_error **err);

/**
 * Adds a user who may log in, with what mailwire_scram_keys_text gave instead of the password. May be called once for each
 * mechanism. Such a user can log in by SCRAM with these mechanisms, and by PLAIN and LOGIN at the price of salting once more.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_add_user_keys(mailwire_server_options *options,
                                                      const char *name,
                                                      const char *keys,
                                                      mailwire_error **err);

/**
 * What the program wants to be asked: MAILWIRE_HOOK_... joined by "|". All else is answered by the library, in the usual way.
 * MAILWIRE_HOOK_NONE by default. Messages always come, but where a disposition takes them.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_hooks(mailwire_server_options *options,
                                                  mailwire_hooks hooks,
                                                  mailwire_error **err);

/**
 * Whether TLS begins with the connection, without STARTTLS. Needs a certificate.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_implicit_tls(mailwire_server_options *options,
                                                         bool implicit,
                                                         mailwire_error **err);

/**
 * Whether nothing but STARTTLS is served in clear. Needs a certificate.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_require_tls(mailwire_server_options *options,
                                                        bool required,
                                                        mailwire_error **err);

/**
 * Whether MAIL is refused until the client has logged in.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_require_auth(mailwire_server_options *options,
                                                         bool required,
                                                         mailwire_error **err);

/**
 * Dangerous: lets passwords travel in clear, where anyone on the way can read them.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
 * MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
 * Thread: any, one call at a time on these options.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_options_set_allow_plaintext_auth(mailwire_server_options *options,
                                                                 bool allow,
                                                                 mailwire_error **err);

/**
 * Starts a server: it listens when the call returns, on threads of its own. The options are checked as a whole and copied.
 *
 * server gets the new server, to be freed with mailwire_server_free, or NULL on failure.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options that do not fit together;
 * MAILWIRE_ERR_AUTH_INSECURE if passwords would travel in clear; MAILWIRE_ERR_IO if an address cannot be listened on;
 * MAILWIRE_ERR_TLS_CONFIGURATION; MAILWIRE_ERR_MISUSE if another call is changing the options; MAILWIRE_ERR_NOMEM;
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_start(const mailwire_server_options *options,
                                      mailwire_server **server,
                                      mailwire_error **err);

/**
 * Frees a server; one that was not shut down ends at once, without grace. NULL is allowed. In a forked child it closes the
 * child's descriptors and nothing else: the parent's server goes on.
 *
 * Thread: any. Shut the server down before, so that no call is waiting in it: while one is, the server lives on.
 * Since 0.1.
 */
MAILWIRE_API
void mailwire_server_free(mailwire_server *server);

/**
 * The number of addresses that the server listens on, but for Unix sockets. NULL: 0.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_server_address_count(const mailwire_server *server);

/**
 * An address that the server listens on, as "127.0.0.1:2525", with the port that the system chose if it was to choose one;
 * empty if there is no such address.
 *
 * The text is never NULL, and lives as long as the server.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_server_address_at(const mailwire_server *server,
                                       size_t index);

/**
 * The port of an address that the server listens on; 0 if there is no such address.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API uint16_t mailwire_server_port(const mailwire_server *server, size_t index);

/**
 * Waits for the next event, at most for timeout_ms milliseconds: 0 only looks, MAILWIRE_NO_TIMEOUT waits without end. cancel
 * may be NULL; signalled, it ends the wait.
 *
 * event gets the event, to be freed with mailwire_event_free, or NULL on failure.
 * Returns MAILWIRE_OK; MAILWIRE_END once the server was shut down, every event was told, and those that were pulled are answered or
 * freed, or too late for an answer; MAILWIRE_ERR_TIMEOUT if none came in that time; MAILWIRE_ERR_CANCELLED; MAILWIRE_ERR_IO if the system does not
 * let it wait, or if the server has ended by itself, for a socket that it listens on can accept nothing any more, as when somebody who
 * shares it has shut it down; MAILWIRE_ERR_INTERNAL if it has ended for a fault of the library; MAILWIRE_ERR_INVALID_ARGUMENT;
 * MAILWIRE_ERR_FORKED; MAILWIRE_ERR_NOMEM. Where the server has ended, each call says so again.
 * Thread: any number at the same time; each event goes to one of them. A second event of a session comes while an earlier one is
 * still open only if that was not answered within the option "answer_timeout", for the client then goes on.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_next_event(const mailwire_server *server,
                                           const mailwire_cancel *cancel,
                                           int64_t timeout_ms,
                                           mailwire_event **event,
                                           mailwire_error **err);

/**
 * A descriptor that reads as ready while an event waits, and when the server has ended, for programs with an event loop of their own:
 * when it does, pull with a timeout of 0, until MAILWIRE_ERR_TIMEOUT says that none waits; there may be none the first time. At the end
 * MAILWIRE_END comes later if events were pulled that are not answered: the last answer has the descriptor read as ready, but that an event
 * is too late for its answer does not. Only wait on it; do not read, write or close it. -1 for NULL.
 *
 * It lives as long as the server.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
int32_t mailwire_server_fd(const mailwire_server *server);

/**
 * Uses the certificates of options for all handshakes from now on, as after they were renewed. Nothing is read from files here: that
 * was done when "tls", "tls_sni" and "client_ca", or mailwire_server_options_set_certificate, were set, so that a failure there leaves
 * the server as it is. What is not among these does not count. Sessions that run keep what they have, and none is ended.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options without a certificate; MAILWIRE_ERR_MISUSE if
 * the server was started without one, for TLS cannot be turned on while it runs, or if another call is changing the options;
 * MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, while others pull events.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_reload_tls(const mailwire_server *server,
                                           const mailwire_server_options *options,
                                           mailwire_error **err);

/**
 * Begins to shut a server down as mailwire_server_shutdown does, and returns at once. For a program that pulls events on one thread: pull
 * and answer on until MAILWIRE_END comes. mailwire_server_free, called before, waits for what is left of the grace.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a time without end; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any. Not from a signal handler: signal a mailwire_cancel there, which ends the wait for an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_begin_shutdown(const mailwire_server *server,
                                               int64_t grace_ms,
                                               mailwire_error **err);

/**
 * Shuts a server down: it stops listening, sends 421 to clients that are idle, gives transactions that are under way grace_ms
 * milliseconds to finish, and waits for that. Other threads must go on pulling and answering events meanwhile, or those transactions find
 * nobody who answers: a program that pulls on one thread alone calls mailwire_server_begin_shutdown. When it returns the server's threads
 * have ended; the events that are left can be pulled, and MAILWIRE_END comes when all that were pulled are answered or freed, or too
 * late to be answered.
 *
 * Only the grace of the first call counts, and that of mailwire_server_begin_shutdown is one: any later call waits for the same end. The
 * option "grace" is not for this.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a time without end; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, while others pull events.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_shutdown(const mailwire_server *server,
                                         int64_t grace_ms,
                                         mailwire_error **err);

/**
 * Takes a snapshot of a server's numbers.
 *
 * statistics gets it, to be freed with mailwire_statistics_free, or NULL on failure. It outlives the server.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, also while others pull events.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_server_statistics(const mailwire_server *server,
                                           mailwire_statistics **statistics,
                                           mailwire_error **err);

/**
 * Frees a snapshot. NULL is allowed.
 *
 * Thread: any, while nobody else uses this snapshot.
 * Since 0.1.
 */
MAILWIRE_API void mailwire_statistics_free(mailwire_statistics *statistics);

/**
 * The name of a number in every snapshot, by its index from 0, as "messages"; NULL behind the last one. The names are
 * "sessions", "open_sessions", "messages", "octets", "refused_senders", "refused_recipients", "refused_messages", a number for each
 * reason of a refusal and each end of a session, "failed_logins" with those that nobody could judge, and more; later versions add to
 * them.
 *
 * The text is never freed.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_statistics_name(size_t index);

/**
 * A number of the snapshot by its name, which is one of those that mailwire_statistics_name gives.
 *
 * value gets the number, or 0 on failure.
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for a name that no number has; MAILWIRE_ERR_INTERNAL.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_statistics_value(const mailwire_statistics *statistics,
                                          const char *name,
                                          uint64_t *value,
                                          mailwire_error **err);

/**
 * The whole snapshot in the text format of Prometheus, version 0.0.4, to be served as "text/plain; version=0.0.4". NULL: the
 * empty text.
 *
 * The text is never NULL, and lives as long as the snapshot.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_statistics_prometheus(const mailwire_statistics *statistics);

/**
 * Frees an event. NULL is allowed. Answers that it still owes become 451, 454 or 421, as mailwire_event says.
 *
 * Thread: any, while nobody else uses this event.
 * Since 0.1.
 */
MAILWIRE_API
void mailwire_event_free(mailwire_event *event);

/**
 * What the event is about. NULL: MAILWIRE_EVENT_NONE.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API mailwire_kind mailwire_event_kind(const mailwire_event *event);

/**
 * The number of answers that the event still owes; 0 for one that only informs.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_event_owed(const mailwire_event *event);

/**
 * The number of the session: no other session of the server has had it. NULL: 0.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API uint64_t mailwire_event_session_id(const mailwire_event *event);

/**
 * The client's address, as "127.0.0.1:1234"; "local socket" at a Unix socket, and "unknown" where XCLIENT tells none.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_peer(const mailwire_event *event);

/**
 * What the client called itself in EHLO, HELO or LHLO, which nobody has verified; empty before that.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_hello_name(const mailwire_event *event);

/**
 * The version of TLS, as "TLSv1.3"; empty in clear.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_tls_version(const mailwire_event *event);

/**
 * The cipher suite of TLS, as "TLS_AES_256_GCM_SHA384"; empty in clear.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_tls_cipher(const mailwire_event *event);

/**
 * The name that the client asked for in the TLS handshake (SNI, RFC 6066 section 3); empty in clear, and if it asked for none.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_tls_server_name(const mailwire_event *event);

/**
 * The client's certificate in DER, which was verified against the option "client_ca"; without one,
 * mailwire_event_tls_peer_certificate_length is 0.
 *
 * It is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const void *mailwire_event_tls_peer_certificate(const mailwire_event *event);

/**
 * The number of octets of the client's certificate; 0 if it has shown none.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_event_tls_peer_certificate_length(const mailwire_event *event);

/**
 * The user who has logged in; empty if nobody has.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_user(const mailwire_event *event);

/**
 * The sender (reverse-path), of MAIL and of what has an envelope; empty for the null reverse-path.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_sender(const mailwire_event *event);

/**
 * The number of recipients: those that RCPT asks about, or those of the envelope, which were accepted.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
size_t mailwire_event_recipient_count(const mailwire_event *event);

/**
 * A recipient (forward-path); empty if there is no such one.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_recipient_at(const mailwire_event *event, size_t index);

/**
 * The number of parameters of MAIL, of MAIL and of what has an envelope.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_event_parameter_count(const mailwire_event *event);

/**
 * A parameter of MAIL, as "SIZE=1000", "RET=HDRS" or "SMTPUTF8", with its keyword in capitals; empty if there is no such one. Those
 * that stand for the extensions of "extensions" have been checked. A keyword comes once.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_parameter_at(const mailwire_event *event,
                                        size_t index);

/**
 * The number of parameters of RCPT for a recipient, by its index as in mailwire_event_recipient_at; 0 if there is no such recipient.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
size_t mailwire_event_recipient_parameter_count(const mailwire_event *event,
                                                size_t recipient);

/**
 * A parameter of RCPT for a recipient, as "NOTIFY=NEVER" or "ORCPT=rfc822;joe@example.org", with its keyword in capitals; empty if
 * there is no such one.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_recipient_parameter_at(const mailwire_event *event,
                                                  size_t recipient,
                                                  size_t index);

/**
 * The id of the message that MESSAGE, BODY, CHUNK, END_OF_DATA or DISCARDED is about, as it stands in its Received field and in the
 * usual reply, "queued as", which mailwire_report_queue_id reads on the client's side: 32 hexadecimal digits. Empty unless the option
 * "received" is set.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_queue_id(const mailwire_event *event);

/**
 * The content of MESSAGE and CHUNK, as it came, with CRLF as line end and without the dots that SMTP adds. It may hold NUL, and
 * no NUL ends it: mailwire_event_content_length says how long it is. The first call makes one piece of a large message,
 * a copy that does not count towards "body_memory"; the option "stream" gives such messages as CHUNK, without a copy.
 *
 * It is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const void *mailwire_event_content(const mailwire_event *event);

/**
 * The number of octets of the content.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_event_content_length(const mailwire_event *event);

/**
 * The size in octets: of MAIL what the client declared with SIZE, of MESSAGE and CHUNK that of the content, of END_OF_DATA that
 * of all pieces. 0 if none is known.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
uint64_t mailwire_event_size(const mailwire_event *event);

/**
 * The verb of a command that is not known.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_verb(const mailwire_event *event);

/**
 * The argument of VRFY, EXPN, HELP or ETRN, or of a command that is not known.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_argument(const mailwire_event *event);

/**
 * The user name of AUTH and LOOKUP.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API const char *mailwire_event_auth_user(const mailwire_event *event);

/**
 * Whom the user of AUTH or LOOKUP asks to act as (RFC 4422 section 3.4.1); empty if it did not ask. Of AUTH, refuse one that differs
 * from the user name unless the user may act as it. Of LOOKUP it is always that name.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_auth_identity(const mailwire_event *event);

/**
 * What is offered as proof of the user in AUTH: MAILWIRE_PROOF_PASSWORD unless mechanisms were named that take something else.
 * MAILWIRE_PROOF_NONE for other events.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
mailwire_proof mailwire_event_auth_proof(const mailwire_event *event);

/**
 * The password or token of AUTH. No NUL is in it, and none ends it: mailwire_event_auth_secret_length says how long it is. Compare it
 * in a time that does not tell where it differs.
 *
 * It is never NULL; it lives as long as the event, and is overwritten then.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const void *mailwire_event_auth_secret(const mailwire_event *event);

/**
 * The number of octets of the password or token of AUTH; 0 where there is neither.
 *
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API size_t mailwire_event_auth_secret_length(const mailwire_event *event);

/**
 * Accepts: the client gets the usual reply, as 250. All that the event still owes is answered. For a message this
 * makes you responsible for it. Nobody waits for an answer once the session has ended, or the client was told 451 as
 * it had waited for long. MAILWIRE_OK does not say that the client gets the answer: one that has hung up meanwhile is
 * noticed when the reply is sent, and will send its message again.
 *
 * Returns MAILWIRE_OK, also for an event that owes nothing; MAILWIRE_ERR_INVALID_ARGUMENT for NULL;
 * MAILWIRE_ERR_MISUSE if another call is using the event; MAILWIRE_ERR_CLOSED if nobody waits for it any more;
 * MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_accept(mailwire_event *event,
                                      mailwire_error **err);

/**
 * Refuses with the usual reply for what is asked: a connection and a message by 554 5.7.1, AUTH by 535 5.7.8, HELLO and
 * MAIL by 550 5.7.1, RCPT, VRFY and EXPN by 550 5.1.1, HELP by 502 5.5.1, ETRN by 459 4.7.1, an unknown command by
 * 500 5.5.1. A LOOKUP is refused for now, by 454 4.7.0: accept one of a user who is not there, or the client learns
 * that. All that the event still owes is answered. At a piece of a message,
 * MAILWIRE_EVENT_CHUNK, the message is refused in the middle: no more of it is kept, MAILWIRE_EVENT_DISCARDED comes
 * behind the last piece, and the client is told at the end of its data.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if the event owes nothing, or
 * another call is
 * using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_reject(mailwire_event *event,
                                      mailwire_error **err);

/**
 * Answers with a reply: its code, as 550, or to accept 250, or 251 to RCPT; its enhanced status code, as "5.1.1", or
 * NULL or the empty text for none; its text, in printable ASCII, with LF between lines if it has several. All that the
 * event still owes is answered. At a piece of a message, MAILWIRE_EVENT_CHUNK, a code of 4yz or 5yz refuses the message as mailwire_event_reject does.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no reply; MAILWIRE_ERR_MISUSE if the
 * event owes nothing, if the code does not fit what is asked, or if another call is using the event;
 * MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_reply(mailwire_event *event,
                                     int32_t code,
                                     const char *enhanced,
                                     const char *text,
                                     mailwire_error **err);

/**
 * Accepts one of several: the recipient at index.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for an index that is not there; MAILWIRE_ERR_MISUSE
 * if that one
 * was answered already, or another call is using the event; MAILWIRE_ERR_CLOSED if nobody waits for it any more;
 * MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_accept_at(mailwire_event *event,
                                         size_t index,
                                         mailwire_error **err);

/**
 * Answers one of several with a reply: the recipient at index. The reply is as for mailwire_event_reply.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL, for what is no reply, and for an index that is not
 * there;
 * MAILWIRE_ERR_MISUSE if that one was answered already, if the code does not fit what is asked, or if another call is
 * using the
 * event; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_reply_at(mailwire_event *event,
                                        size_t index,
                                        int32_t code,
                                        const char *enhanced,
                                        const char *text,
                                        mailwire_error **err);

/**
 * Why a message was not taken: what was attempted, on which path or at which server, in which phase, what the system or that server
 * said, and what to try. It is for whoever runs the server: the client was told 451 or 452, or what the next server said of us, and
 * nothing of this. The phase, the peer and the reply are those of the next server of a relay.
 *
 * All mailwire_error_... functions read it. It belongs to the event and lives as long as that: do not free it. NULL, which those
 * functions take too, unless the event is of MAILWIRE_EVENT_FAULT.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const mailwire_error *mailwire_event_fault(const mailwire_event *event);

/**
 * What a LOOKUP wants of the user that mailwire_event_auth_user names: the SCRAM mechanism whose keys are wanted, as
 * "SCRAM-SHA-256", for which the password will do too; or the empty text, if nothing but the password will do.
 *
 * The text is never NULL, and lives as long as the event.
 * Thread: any.
 * Since 0.1.
 */
MAILWIRE_API
const char *mailwire_event_wanted_keys(const mailwire_event *event);

/**
 * Answers a LOOKUP with the user's password, which fits whatever is wanted. It is copied, and the copy overwritten after use.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL, and for a password that no client could send: an empty one, one
 * with CR, LF or NUL, and one that is too long; MAILWIRE_ERR_MISUSE if the event is no LOOKUP or was answered, or another call
 * is using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_supply_password(mailwire_event *event,
                                               const void *secret,
                                               size_t secret_length,
                                               mailwire_error **err);

/**
 * Answers a LOOKUP with the keys that are kept of the user's password, as the text that mailwire_scram_keys_text gave. Keys of
 * another mechanism than the one that is wanted are as good as none: the login fails as with a wrong password. They should have
 * as many iterations and octets of salt as those of the server's own table, or, if that has none, 4096 and 16: the keys that are made up
 * for users who are not there do, and others would tell who is.
 *
 * Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no such text; MAILWIRE_ERR_MISUSE if the event is
 * no LOOKUP or was answered, or another call is using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED;
 * MAILWIRE_ERR_INTERNAL.
 * Thread: any, one call at a time on an event.
 * Since 0.1.
 */
MAILWIRE_API
MAILWIRE_NODISCARD
mailwire_status mailwire_event_supply_keys(mailwire_event *event,
                                           const char *keys,
                                           mailwire_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MAILWIRE_H */
