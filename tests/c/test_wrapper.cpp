// mailwire.hpp: objects move, errors are thrown or given, and the whole of it works without exceptions.
#include "check.h"
#include "listener.h"
#include <mailwire.hpp>

#include <thread>
#include <type_traits>

bool twice(); // In the other translation unit.

static_assert(!std::is_copy_constructible_v<mailwire::client>);
static_assert(!std::is_copy_constructible_v<mailwire::message>);
static_assert(std::is_nothrow_move_constructible_v<mailwire::client>);
static_assert(std::is_copy_constructible_v<mailwire::error>);
static_assert(std::is_base_of_v<std::runtime_error, mailwire::error>);

static std::string url_of(const peer &p) { return "smtp://127.0.0.1:" + std::to_string(p.port) + "?tls=none"; }

static mailwire::message message_to(std::string_view first, std::string_view second = {}) {
    mailwire::error e;
    mailwire::message message;
    CHECK(message.set_sender("a@example.org", &e));
    CHECK(message.add_recipient(first, &e));
    if (!second.empty())
        CHECK(message.add_recipient(second, &e));
    CHECK(message.set_content("Subject: hello\r\n\r\nHello.\r\n", &e));
    CHECK(!e);
    return message;
}

static void sending() {
    peer p{};
    p.cut_after = -1;
    peer_start(&p);
    {
        mailwire::error e;
        mailwire::client client(url_of(p), &e);
        CHECK(client && !e);
        mailwire::message message = message_to("b@example.net", "c@example.net");
        mailwire::report report = client.send(message, &e);
        CHECK(!e);
        CHECK_INT(report.size(), 2);
        int seen = 0;
        for (const mailwire::recipient &recipient : report) {
            seen++;
            CHECK_INT(recipient.outcome, MAILWIRE_DELIVERY_ACCEPTED);
            CHECK_INT(recipient.smtp_code, 250);
        }
        CHECK_INT(seen, 2);
        CHECK(report[1].address == "c@example.net");
        CHECK(report.queue_id() == "4A1B2C");
        CHECK(report.tls_version().empty() && report.tls_cipher().empty());

        // Errors are copied cheaply and keep the report.
        mailwire::message partly = message_to("b@example.net", "later@example.net");
        mailwire::report failed = client.send(partly, &e);
        mailwire::error copy = e;
        e = mailwire::error();
        CHECK(!e && copy);
        CHECK_INT(copy.status(), MAILWIRE_ERR_PARTIAL);
        CHECK_INT(copy.report().size(), 2);
        CHECK(copy.report().safe_to_retry() == std::vector<std::size_t>{1});
        CHECK_HAS(copy.what(), "mailwire_client_send: ");

        // Moved from, an object refuses; moved to, it works. Moving onto itself does nothing.
        mailwire::client moved(std::move(client));
        client.send(message, &e);
        CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
        mailwire::client &same = moved;
        moved = std::move(same);
        CHECK(moved.send(message, &e).size() == 2 && !e);
        client = std::move(moved);
        CHECK(client.send(message, &e).size() == 2 && !e);

        mailwire::cancel cancel, other = cancel;
        other.signal();
        client.send(message, cancel, &e);
        CHECK_INT(e.status(), MAILWIRE_ERR_CANCELLED);
    }
    mailwire::error e;
    CHECK(mailwire::send(url_of(p), "a@example.org", {"b@example.net"}, "Subject: x\r\n\r\n", &e).size() == 1);
    CHECK(mailwire::send_text(url_of(p), "a@example.org", {"b@example.net"}, "Hello", "Text", &e).size() == 1);
    CHECK(!e);
    peer_stop(&p);
}

// A NUL inside a view must not cut a text short.
static void views() {
    using namespace std::string_view_literals;
    mailwire::error e;
    mailwire::message message;
    CHECK(!message.set_sender("a@example.org\0b"sv, &e));
    CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK_HAS(e.what(), "mailwire_message_set_sender: sender");
    CHECK(!message.add_recipient("nobody", &e));
    CHECK_HAS(e.what(), "mailwire_message_add_recipient: recipient");
    CHECK_INT(mailwire_error_status(e.get()), e.status());
    mailwire::send_text("smtp://127.0.0.1:1", "a@b", {std::string("c@d\0e"sv)}, "s", "t", &e);
    CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(!mailwire::client_options("smtp://localhost\0.example"sv, &e));
    CHECK(e);
    // A failure on the way is told once, and nothing else is tried.
    mailwire::client nothing("nonsense", &e);
    CHECK(!nothing && e.status() == MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(mailwire::send("smtp://127.0.0.1:1", "bad", {"c@d"}, "x", &e).size() == 0 && e);
    CHECK(twice());
}

// A server, what an event tells, and its numbers.
static void serving() {
    mailwire::error e;
    mailwire::server_options options;
    CHECK(options.add_listener("127.0.0.1:0", &e));
    CHECK(options.add_listener("127.0.0.1:0", &e));
    CHECK(options.set_hooks(MAILWIRE_HOOK_MAIL, &e));
    CHECK(!options.set_disposition("mbox:/x", &e));
    CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(options.set_disposition("discard", &e));
    mailwire::server server(options, &e);
    CHECK(server && !e);
    CHECK_INT(server.address_count(), 2);
    CHECK(server.addresses() == (std::vector<std::string_view>{server.address(0), server.address(1)}));
    CHECK(server.address(0) != server.address(1));
    CHECK(server.address(1) == "127.0.0.1:" + std::to_string(server.port(1)));
    std::string url = "smtp://127.0.0.1:" + std::to_string(server.port()) + "?tls=none";
    {
        peer_count done{0};
        std::thread sender([&] {
            mailwire::error refused;
            mailwire::send(url, "a@example.org", {"b@example.net"}, "Subject: x\r\n\r\n", &refused);
            done = refused.status() == MAILWIRE_ERR_PERMANENT;
        });
        mailwire::event event = server.next_event(nullptr, std::chrono::seconds(10), &e);
        CHECK_INT(event.kind(), MAILWIRE_EVENT_MAIL);
        CHECK(event.tls_server_name().empty() && event.tls_peer_certificate().empty());
        CHECK(event.auth_identity().empty() && event.wanted_keys().empty() && event.queue_id().empty());
        CHECK_INT(event.auth_proof(), MAILWIRE_PROOF_NONE);
        CHECK(!event.fault());
        CHECK_INT(event.size(), 14);
        CHECK(event.verb().empty() && event.argument().empty());
        CHECK(!event.supply_password("word", &e));
        CHECK_INT(e.status(), MAILWIRE_ERR_MISUSE);
        CHECK(!event.supply_keys("word", &e));
        CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
        CHECK(event.reject(&e));
        sender.join();
        CHECK(done == 1);
    }
    mailwire::statistics numbers = server.statistics(&e);
    CHECK(numbers && !e);
    CHECK_INT(numbers.value("sessions", &e), 1);
    CHECK(!e && numbers.prometheus().find("\nmailwire_sessions_total 1\n") != std::string_view::npos);
    CHECK_INT(numbers.value("colours", &e), 0);
    CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(mailwire::statistics().prometheus().empty());
    CHECK(server.shutdown(std::chrono::seconds(1), &e));
}

// A command that the library does not know: its verb and its argument are the program's.
static void unknown_commands() {
    mailwire::error e;
    mailwire::server_options options;
    CHECK(options.add_listener("127.0.0.1:0", &e));
    CHECK(options.set_hooks(MAILWIRE_HOOK_UNKNOWN, &e));
    mailwire::server server(options, &e);
    int fd = dial(server.get());
    say(fd, "XFOO one two\r\n");
    mailwire::event event = server.next_event(nullptr, std::chrono::seconds(10), &e);
    CHECK_INT(event.kind(), MAILWIRE_EVENT_UNKNOWN);
    CHECK(event.verb() == "XFOO" && event.argument() == "one two" && event.size() == 0);
    CHECK(event.reply(502, "5.5.1", "not here", &e));
    hear(fd, "220 ");
    hear(fd, "502 5.5.1 not here");
    close(fd);
    CHECK(server.shutdown(std::chrono::seconds(1), &e));
}

// A session by hand: who logs in, what MAIL and RCPT say, an answer for each recipient, certificates that are renewed, and an end that one
// thread begins and sees.
static void by_hand() {
    mailwire::error e;
    mailwire::server_options options, renewed;
    CHECK(options.add_listener("127.0.0.1:0", &e));
    CHECK(options.set("allow_plaintext_auth", "true", &e) && options.set("extensions", "PIPELINING,DSN", &e));
    CHECK(options.set_hooks(MAILWIRE_HOOK_HELLO | MAILWIRE_HOOK_AUTH | MAILWIRE_HOOK_MAIL | MAILWIRE_HOOK_RCPT, &e));
    CHECK(options.set_certificate(certificate, key, &e));
    mailwire::server server(options, &e);
    CHECK(server && !e);
    auto next = [&](mailwire_kind kind) {
        mailwire::event event = server.next_event(nullptr, std::chrono::seconds(10), &e);
        CHECK_INT(event.kind(), kind);
        CHECK_INT(event.session_id(), 1);
        return event;
    };
    int fd = dial(server.get());
    hear(fd, "220 ");
    say(fd, "EHLO client.example\r\n");
    CHECK(next(MAILWIRE_EVENT_HELLO).accept(&e));
    hear(fd, "250");
    say(fd, "AUTH PLAIN AHRpbQBzZWNyZXQ=\r\n");
    {
        mailwire::event event = next(MAILWIRE_EVENT_AUTH);
        CHECK(event.hello_name() == "client.example" && event.auth_user() == "tim" && event.auth_secret() == "secret");
        CHECK(event.accept(&e));
    }
    hear(fd, "235 ");
    say(fd, "MAIL FROM:<a@example.org> ret=HDRS\r\n");
    {
        mailwire::event event = next(MAILWIRE_EVENT_MAIL);
        CHECK(event.parameters() == std::vector<std::string_view>{"RET=HDRS"} && event.user() == "tim");
        CHECK(event.accept(&e));
    }
    hear(fd, "250 2.1.0");
    say(fd, "RCPT TO:<b@example.net> NOTIFY=NEVER\r\nRCPT TO:<c@example.net>\r\n");
    {
        mailwire::event event = next(MAILWIRE_EVENT_RECIPIENTS);
        CHECK_INT(event.recipient_count(), 2);
        CHECK(event.recipient_parameters(0) == std::vector<std::string_view>{"NOTIFY=NEVER"});
        CHECK(event.recipient_parameters(1).empty() && event.parameters().empty());
        CHECK(event.accept_at(1, &e) && event.reply_at(0, 550, "5.1.1", "no such user", &e));
        CHECK(!event.accept_at(1, &e) && e.status() == MAILWIRE_ERR_MISUSE);
    }
    hear(fd, "550 5.1.1 no such user");
    hear(fd, "250 2.1.5");
    CHECK(!server.reload_tls(renewed, &e) && e.status() == MAILWIRE_ERR_INVALID_ARGUMENT);
    CHECK(renewed.set_certificate(renewed_certificate, key, &e) && server.reload_tls(renewed, &e));
    CHECK(server.begin_shutdown(std::chrono::seconds(20), &e));
    say(fd, "RSET\r\n");
    hear(fd, "250 ");
    hear(fd, "421 4.3.2 Shutting down");
    hear_the_end(fd);
    CHECK(!server.next_event(nullptr, std::chrono::seconds(10), &e));
    CHECK_INT(e.status(), MAILWIRE_END);
}

// What a server keeps of a password instead of the password.
static void keys_of_a_password() {
    mailwire::error e;
    mailwire::scram_keys keys("secret", 5000, "SCRAM-SHA-1", &e);
    CHECK(keys && !e);
    CHECK(keys.text().substr(0, 17) == "SCRAM-SHA-1$5000:");
    CHECK(mailwire::scram_keys("secret").text().substr(0, 19) == "SCRAM-SHA-256$4096:");
    CHECK(mailwire::scram_keys("secret").text() != mailwire::scram_keys("secret").text());
    mailwire::server_options options;
    CHECK(options.add_user_keys("user", keys.text(), &e));
    mailwire::scram_keys none("secret", 5000, "MD5", &e);
    CHECK(!none && none.text().empty());
    CHECK_INT(e.status(), MAILWIRE_ERR_INVALID_ARGUMENT);
    keys = mailwire::scram_keys();
    CHECK(!keys && keys.get() == nullptr);
}

#if defined(__cpp_exceptions)
static void throwing() {
    bool caught = false;
    try {
        mailwire::message().set_sender("a\r\nb@c");
    } catch (const mailwire::error &e) {
        caught = e.status() == MAILWIRE_ERR_INVALID_ARGUMENT;
    }
    CHECK(caught);
    caught = false;
    peer p{};
    p.cut_after = -1;
    peer_start(&p);
    try {
        mailwire::client client(url_of(p));
        client.send(message_to("nobody@example.net"));
    } catch (const std::runtime_error &e) {
        caught = std::string_view(e.what()).find("No such user") != std::string_view::npos;
    }
    CHECK(caught);
    peer_stop(&p);
    caught = false;
    try {
        mailwire::client client(url_of(p));
        client.send(message_to("b@example.net"));
    } catch (const mailwire::error &e) {
        caught = e.status() == MAILWIRE_ERR_CONNECTION_REFUSED && e.report().size() == 0;
    }
    CHECK(caught);
}
#endif

// Why a disposition could not take a message is told while its event lives.
static void faults() {
    mailwire::error e;
    mailwire::server_options options;
    char folder[] = "/tmp/mailwire-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    CHECK(options.add_listener("127.0.0.1:0", &e));
    CHECK(options.set_hooks(MAILWIRE_HOOK_FAULT, &e));
    CHECK(options.set_disposition("folder:" + std::string(folder), &e));
    mailwire::server server(options, &e);
    CHECK_INT(rmdir(folder), 0);
    std::string url = "smtp://127.0.0.1:" + std::to_string(server.port()) + "?tls=none";
    mailwire::send(url, "a@example.org", {"b@example.net"}, "Subject: x\r\n\r\n", &e);
    CHECK_INT(e.smtp_code(), 451);
    mailwire::event event = server.next_event(nullptr, std::chrono::seconds(10), &e);
    CHECK_INT(event.kind(), MAILWIRE_EVENT_FAULT);
    mailwire::error fault = event.fault();
    CHECK(fault && fault.status() == MAILWIRE_ERR_IO && !fault.is_transient());
    CHECK_HAS(fault.what(), folder);
    CHECK(server.shutdown(std::chrono::seconds(1), &e));
}

int main() {
    if (!find_pki())
        return 2;
    sending();
    views();
    serving();
    faults();
    unknown_commands();
    by_hand();
    keys_of_a_password();
#if defined(__cpp_exceptions)
    throwing();
#endif
    return check_result();
}
