// mailwire.hpp: libmailwire for C++17, header only. SPDX-License-Identifier: MIT OR Apache-2.0
//
// Objects free themselves and move; what never changes (error, report) may be copied. A call that fails throws
// mailwire::error; with a last argument `&e` it puts the error there instead, and returns false or an empty object. With
// -fno-exceptions a failure without that argument ends the program.
//
//     mailwire::client client("smtp://user:secret@mail.example.org");
//     mailwire::message message;
//     message.set_sender("a@example.org");
//     message.add_recipient("b@example.net");
//     message.set_content("Subject: hello\r\n\r\nHello.\r\n");
//     for (const mailwire::recipient &r : client.send(message))
//         std::cout << r.address << ": " << r.smtp_code << " " << r.text << "\n";
//
// Threads, forks and signals: as mailwire.h says. A std::string_view that comes out lives as long as its object is not
// changed; one that goes in is copied.
#ifndef MAILWIRE_HPP
#define MAILWIRE_HPP

#include "mailwire.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mailwire {
inline namespace v1 {

using milliseconds = std::chrono::milliseconds;

/// Stands for no limit of time.
inline constexpr milliseconds no_timeout{MAILWIRE_NO_TIMEOUT};

/// What became of a message for one recipient.
struct recipient {
    std::string_view address;
    mailwire_delivery outcome;
    int smtp_code;
    std::string_view text;
};

namespace detail {
template <typename T, void (*Free)(T *)> struct deleter {
    void operator()(T *object) const noexcept { Free(object); }
};
template <typename T, void (*Free)(T *)> using owned = std::unique_ptr<T, deleter<T, Free>>;

/// A view as C wants it. NUL ends a text there, so that one inside becomes an octet that is refused as no UTF-8.
class c_text {
  public:
    explicit c_text(std::string_view view) : text_(view) {
        for (char &octet : text_)
            if (octet == '\0')
                octet = '\xff';
    }
    operator const char *() const noexcept { return text_.c_str(); }

  private:
    std::string text_;
};

template <typename At> auto gathered(std::size_t count, At at) {
    std::vector<decltype(at(count))> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(at(i));
    return all;
}
} // namespace detail

/// What became of a message, recipient by recipient. Empty if nothing was tried.
class report {
  public:
    report() noexcept = default;
    explicit report(mailwire_report *raw) : raw_(raw, mailwire_report_free) {}

    std::size_t size() const noexcept { return mailwire_report_count(raw_.get()); }
    recipient operator[](std::size_t index) const noexcept {
        const mailwire_report *r = raw_.get();
        return {mailwire_report_address(r, index), mailwire_report_outcome(r, index),
                mailwire_report_smtp_code(r, index), mailwire_report_text(r, index)};
    }
    mailwire_delivery delivery() const noexcept { return mailwire_report_delivery(raw_.get()); }
    std::string_view queue_id() const noexcept { return mailwire_report_queue_id(raw_.get()); }
    std::string_view reply_text() const noexcept { return mailwire_report_reply_text(raw_.get()); }
    /// As "TLSv1.3"; empty in clear. So is the name of the cipher suite.
    std::string_view tls_version() const noexcept { return mailwire_report_tls_version(raw_.get()); }
    std::string_view tls_cipher() const noexcept { return mailwire_report_tls_cipher(raw_.get()); }
    /// The indexes of the recipients to whom sending again cannot make a second copy and may succeed.
    std::vector<std::size_t> safe_to_retry() const {
        const mailwire_report *r = raw_.get();
        return detail::gathered(mailwire_report_retry_count(r),
                                [=](std::size_t i) { return mailwire_report_retry_at(r, i); });
    }
    const mailwire_report *get() const noexcept { return raw_.get(); }

    class iterator {
      public:
        iterator(const report &of, std::size_t index) noexcept : of_(&of), index_(index) {}
        recipient operator*() const noexcept { return (*of_)[index_]; }
        iterator &operator++() noexcept {
            ++index_;
            return *this;
        }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

      private:
        const report *of_;
        std::size_t index_;
    };
    iterator begin() const noexcept { return {*this, 0}; }
    iterator end() const noexcept { return {*this, size()}; }

  private:
    std::shared_ptr<const mailwire_report> raw_;
};

/// Why a call failed, or that it did not. Of a send it also has the report.
class error : public std::runtime_error {
  public:
    error() : std::runtime_error("no error") {}
    error(mailwire_status status, mailwire_error *raw, mailwire::report report = {})
        : std::runtime_error(mailwire_error_message(raw)), status_(status), raw_(raw, mailwire_error_free),
          report_(std::move(report)) {}
    /// What belongs to an event, and is to be read while that lives.
    explicit error(const mailwire_error *lent)
        : std::runtime_error(mailwire_error_message(lent)), status_(mailwire_error_status(lent)),
          raw_(lent, [](const mailwire_error *) {}) {}

    explicit operator bool() const noexcept { return status_ != MAILWIRE_OK; }
    mailwire_status status() const noexcept { return status_; }
    mailwire_phase phase() const noexcept { return mailwire_error_phase(raw_.get()); }
    mailwire_delivery delivery() const noexcept { return mailwire_error_delivery(raw_.get()); }
    int smtp_code() const noexcept { return mailwire_error_smtp_code(raw_.get()); }
    bool is_transient() const noexcept { return mailwire_error_is_transient(raw_.get()); }
    std::string_view cause() const noexcept { return mailwire_error_cause_message(raw_.get()); }
    const mailwire::report &report() const noexcept { return report_; }
    /// For all else that mailwire_error_... tells.
    const mailwire_error *get() const noexcept { return raw_.get(); }

  private:
    mailwire_status status_ = MAILWIRE_OK;
    std::shared_ptr<const mailwire_error> raw_;
    mailwire::report report_;
};

namespace detail {
/// Gives a failure to where the caller wants it, and says whether there was none. `raw` is a reference because the call that sets
/// it may be an argument beside it, and arguments are evaluated in any order.
inline bool tell(mailwire_status status, mailwire_error *const &raw, error *e, report r = {}) {
    if (status == MAILWIRE_OK) {
        if (e)
            *e = error();
        return true;
    }
    error failure(status, raw, std::move(r));
    if (e) {
        *e = std::move(failure);
        return false;
    }
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
    throw failure;
#else
    std::abort();
#endif
}
} // namespace detail

/// Ends the calls that it was given to. Copies are the same token.
class cancel {
  public:
    cancel() : raw_(mailwire_cancel_new(), mailwire_cancel_unref) {}
    /// False if the process had no descriptors left for it.
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// May be called from any thread, and from a signal handler.
    void signal() const noexcept { mailwire_cancel_signal(raw_.get()); }
    const mailwire_cancel *get() const noexcept { return raw_.get(); }

  private:
    std::shared_ptr<const mailwire_cancel> raw_;
};

/// A message to send.
class message {
  public:
    message() : raw_(mailwire_message_new()) {}

    bool set_sender(std::string_view sender, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_message_set_sender(raw_.get(), detail::c_text(sender), &raw), raw, e);
    }
    bool add_recipient(std::string_view recipient, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_message_add_recipient(raw_.get(), detail::c_text(recipient), &raw), raw, e);
    }
    bool clear_recipients(error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_message_clear_recipients(raw_.get(), &raw), raw, e);
    }
    bool set_content(std::string_view content, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_message_set_content(raw_.get(), content.data(), content.size(), &raw), raw, e);
    }
    const mailwire_message *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_message, mailwire_message_free> raw_;
};

/// How a client reaches its server. What has no member here is set by its name.
class client_options {
  public:
    client_options() : raw_(mailwire_client_options_new()) {}
    /// Options from a URL; empty if that failed.
    explicit client_options(std::string_view url, error *e = nullptr) {
        mailwire_client_options *made = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status = mailwire_client_options_from_url(detail::c_text(url), &made, &raw);
        raw_.reset(made);
        detail::tell(status, raw, e);
    }

    bool set(std::string_view name, std::string_view value, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text n(name), v(value);
        return detail::tell(mailwire_client_options_set(raw_.get(), n, v, &raw), raw, e);
    }
    bool set_server(std::string_view host, std::uint16_t port = 0, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_client_options_set_server(raw_.get(), detail::c_text(host), port, &raw), raw, e);
    }
    bool set_credentials(std::string_view user, std::string_view secret, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        mailwire_status status = mailwire_client_options_set_credentials(raw_.get(), detail::c_text(user),
                                                                         secret.data(), secret.size(), &raw);
        return detail::tell(status, raw, e);
    }
    bool set_tls(mailwire_tls_policy policy, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_client_options_set_tls(raw_.get(), policy, &raw), raw, e);
    }
    bool set_ca_file(std::string_view path, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_client_options_set_ca_file(raw_.get(), detail::c_text(path), &raw), raw, e);
    }
    bool set_deadline(milliseconds deadline, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_client_options_set_deadline(raw_.get(), deadline.count(), &raw), raw, e);
    }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    mailwire_client_options *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_client_options, mailwire_client_options_free> raw_;
};

/// A pool of connections to one server. Any number of threads may send through it at the same time.
class client {
  public:
    /// Empty if that failed.
    explicit client(const client_options &options, error *e = nullptr) {
        mailwire_client *made = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status = mailwire_client_new(options.get(), &made, &raw);
        raw_.reset(made);
        detail::tell(status, raw, e);
    }
    explicit client(std::string_view url, error *e = nullptr) {
        client_options options(url, e);
        if (options)
            *this = client(options, e);
    }

    /// Sends one message. On failure the error has the report.
    report send(const message &what, error *e = nullptr) const { return send(what, nullptr, e); }
    report send(const message &what, const cancel &by, error *e = nullptr) const { return send(what, by.get(), e); }
    bool close(error *e = nullptr) const {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_client_close(raw_.get(), &raw), raw, e);
    }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    const mailwire_client *get() const noexcept { return raw_.get(); }

  private:
    report send(const message &what, const mailwire_cancel *by, error *e) const {
        mailwire_report *made = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status = mailwire_client_send(raw_.get(), what.get(), by, &made, &raw);
        report r(made);
        detail::tell(status, raw, e, r);
        return r;
    }

    detail::owned<mailwire_client, mailwire_client_free> raw_;
};

/// Sends one ready-made message and closes the connection. On failure the error has the report.
inline report send(std::string_view url, std::string_view sender, const std::vector<std::string> &recipients,
                   std::string_view content, error *e = nullptr) {
    client over(url, e);
    message what;
    bool good = over && what.set_sender(sender, e) && what.set_content(content, e);
    for (const std::string &recipient : recipients)
        good = good && what.add_recipient(recipient, e);
    return good ? over.send(what, e) : report();
}

/// Sends one plain text and closes the connection. On failure the error has the report.
inline report send_text(std::string_view url, std::string_view sender, const std::vector<std::string> &recipients,
                        std::string_view subject, std::string_view text, error *e = nullptr) {
    mailwire_report *made = nullptr;
    mailwire_error *raw = nullptr;
    std::vector<std::string> checked;
    for (const std::string &recipient : recipients)
        checked.emplace_back(static_cast<const char *>(detail::c_text(recipient)));
    auto to = detail::gathered(checked.size(), [&](std::size_t i) { return checked[i].c_str(); });
    mailwire_status status = mailwire_send_text(detail::c_text(url), detail::c_text(sender), to.data(), to.size(),
                                                detail::c_text(subject), detail::c_text(text), &made, &raw);
    report r(made);
    detail::tell(status, raw, e, r);
    return r;
}

/// Something that happened in a server and may want an answer. Dropped without one, the client is told 451; at AUTH and LOOKUP 454, at CONNECT
/// 421, which ends the session. It may outlive its server.
class event {
  public:
    event() noexcept = default;
    explicit event(mailwire_event *raw) noexcept : raw_(raw) {}

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    mailwire_kind kind() const noexcept { return mailwire_event_kind(raw_.get()); }
    std::uint64_t session_id() const noexcept { return mailwire_event_session_id(raw_.get()); }
    std::string_view peer() const noexcept { return mailwire_event_peer(raw_.get()); }
    std::string_view hello_name() const noexcept { return mailwire_event_hello_name(raw_.get()); }
    std::string_view tls_version() const noexcept { return mailwire_event_tls_version(raw_.get()); }
    std::string_view tls_cipher() const noexcept { return mailwire_event_tls_cipher(raw_.get()); }
    std::string_view tls_server_name() const noexcept { return mailwire_event_tls_server_name(raw_.get()); }
    /// The client's certificate in DER; empty if it has shown none.
    std::string_view tls_peer_certificate() const noexcept {
        return {static_cast<const char *>(mailwire_event_tls_peer_certificate(raw_.get())),
                mailwire_event_tls_peer_certificate_length(raw_.get())};
    }
    std::string_view user() const noexcept { return mailwire_event_user(raw_.get()); }
    std::string_view sender() const noexcept { return mailwire_event_sender(raw_.get()); }
    std::string_view queue_id() const noexcept { return mailwire_event_queue_id(raw_.get()); }
    std::size_t recipient_count() const noexcept { return mailwire_event_recipient_count(raw_.get()); }
    std::string_view recipient_at(std::size_t index) const noexcept {
        return mailwire_event_recipient_at(raw_.get(), index);
    }
    /// The parameters of MAIL, as "SIZE=1000", with their keywords in capitals.
    std::vector<std::string_view> parameters() const {
        auto at = [e = get()](std::size_t i) -> std::string_view { return mailwire_event_parameter_at(e, i); };
        return detail::gathered(mailwire_event_parameter_count(get()), at);
    }
    /// Those of RCPT for a recipient, as "NOTIFY=NEVER".
    std::vector<std::string_view> recipient_parameters(std::size_t index) const {
        auto at = [=, e = get()](std::size_t i) -> std::string_view {
            return mailwire_event_recipient_parameter_at(e, index, i);
        };
        return detail::gathered(mailwire_event_recipient_parameter_count(get(), index), at);
    }
    std::string_view content() const noexcept {
        return {static_cast<const char *>(mailwire_event_content(raw_.get())),
                mailwire_event_content_length(raw_.get())};
    }
    /// In octets: of MAIL what the client declared, of a message or a piece that of its content, of END_OF_DATA that of all pieces. 0 if
    /// none is known.
    std::uint64_t size() const noexcept { return mailwire_event_size(raw_.get()); }
    /// The verb of a command that is not known; empty for other events.
    std::string_view verb() const noexcept { return mailwire_event_verb(raw_.get()); }
    /// The argument of VRFY, EXPN, HELP or ETRN, or of a command that is not known; empty for other events.
    std::string_view argument() const noexcept { return mailwire_event_argument(raw_.get()); }
    std::string_view auth_user() const noexcept { return mailwire_event_auth_user(raw_.get()); }
    std::string_view auth_identity() const noexcept { return mailwire_event_auth_identity(raw_.get()); }
    mailwire_proof auth_proof() const noexcept { return mailwire_event_auth_proof(raw_.get()); }
    std::string_view wanted_keys() const noexcept { return mailwire_event_wanted_keys(raw_.get()); }
    /// Why a disposition could not take a message; to be read while this event lives. No error for events of other kinds.
    error fault() const { return error(mailwire_event_fault(raw_.get())); }
    std::string_view auth_secret() const noexcept {
        return {static_cast<const char *>(mailwire_event_auth_secret(raw_.get())),
                mailwire_event_auth_secret_length(raw_.get())};
    }
    std::size_t owed() const noexcept { return mailwire_event_owed(raw_.get()); }

    bool accept(error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_event_accept(raw_.get(), &raw), raw, e);
    }
    bool reject(error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_event_reject(raw_.get(), &raw), raw, e);
    }
    bool reply(int code, std::string_view enhanced, std::string_view text, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text c(enhanced), t(text);
        return detail::tell(mailwire_event_reply(raw_.get(), code, c, t, &raw), raw, e);
    }
    bool accept_at(std::size_t index, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_event_accept_at(raw_.get(), index, &raw), raw, e);
    }
    bool reply_at(std::size_t index, int code, std::string_view enhanced, std::string_view text, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text c(enhanced), t(text);
        return detail::tell(mailwire_event_reply_at(raw_.get(), index, code, c, t, &raw), raw, e);
    }
    bool supply_password(std::string_view secret, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_event_supply_password(raw_.get(), secret.data(), secret.size(), &raw), raw, e);
    }
    bool supply_keys(std::string_view keys, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_event_supply_keys(raw_.get(), detail::c_text(keys), &raw), raw, e);
    }
    mailwire_event *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_event, mailwire_event_free> raw_;
};

/// What a server should keep of a password instead of the password: keys for SCRAM, with a random salt. Their memory is overwritten when
/// they go.
class scram_keys {
  public:
    scram_keys() noexcept = default;
    /// The keys of `secret`, which takes as long as salting it `iterations` times: 4096 at least. `mechanism` is "SCRAM-SHA-256" or
    /// "SCRAM-SHA-1". Empty if that failed.
    explicit scram_keys(std::string_view secret, std::uint32_t iterations = 4096,
                        std::string_view mechanism = "SCRAM-SHA-256", error *e = nullptr) {
        mailwire_scram_keys *made = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status =
            mailwire_scram_keys_new(detail::c_text(mechanism), secret.data(), secret.size(), iterations, &made, &raw);
        raw_.reset(made);
        detail::tell(status, raw, e);
    }

    /// The keys as text to be stored (RFC 5803), for server_options::add_user_keys and event::supply_keys; it lives as long as they do.
    /// Keep it as you would keep the password.
    std::string_view text() const noexcept { return mailwire_scram_keys_text(raw_.get()); }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    const mailwire_scram_keys *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_scram_keys, mailwire_scram_keys_free> raw_;
};

/// Where a server listens, whom it lets in, and what it asks. What has no member here is set by its name.
class server_options {
  public:
    server_options() : raw_(mailwire_server_options_new()) {}

    bool set(std::string_view name, std::string_view value, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text n(name), v(value);
        return detail::tell(mailwire_server_options_set(raw_.get(), n, v, &raw), raw, e);
    }
    bool add_listener(std::string_view address, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_options_add_listener(raw_.get(), detail::c_text(address), &raw), raw, e);
    }
    bool set_certificate(std::string_view certificate, std::string_view key, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text c(certificate), k(key);
        return detail::tell(mailwire_server_options_set_certificate(raw_.get(), c, k, &raw), raw, e);
    }
    bool add_user(std::string_view name, std::string_view secret, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        mailwire_status status =
            mailwire_server_options_add_user(raw_.get(), detail::c_text(name), secret.data(), secret.size(), &raw);
        return detail::tell(status, raw, e);
    }
    bool add_user_keys(std::string_view name, std::string_view keys, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text n(name), k(keys);
        return detail::tell(mailwire_server_options_add_user_keys(raw_.get(), n, k, &raw), raw, e);
    }
    bool set_disposition(std::string_view disposition, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        detail::c_text d(disposition);
        return detail::tell(mailwire_server_options_set_disposition(raw_.get(), d, &raw), raw, e);
    }
    bool set_hooks(mailwire_hooks hooks, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_options_set_hooks(raw_.get(), hooks, &raw), raw, e);
    }
    bool set_require_tls(bool required, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_options_set_require_tls(raw_.get(), required, &raw), raw, e);
    }
    bool set_require_auth(bool required, error *e = nullptr) {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_options_set_require_auth(raw_.get(), required, &raw), raw, e);
    }
    mailwire_server_options *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_server_options, mailwire_server_options_free> raw_;
};

/// A snapshot of a server's numbers.
class statistics {
  public:
    statistics() noexcept = default;
    explicit statistics(mailwire_statistics *raw) noexcept : raw_(raw) {}

    /// The number with this name, as "messages"; 0 if there is none, which is told.
    std::uint64_t value(std::string_view name, error *e = nullptr) const {
        std::uint64_t number = 0;
        mailwire_error *raw = nullptr;
        detail::tell(mailwire_statistics_value(raw_.get(), detail::c_text(name), &number, &raw), raw, e);
        return number;
    }
    /// All of it in the text format of Prometheus.
    std::string_view prometheus() const noexcept { return mailwire_statistics_prometheus(raw_.get()); }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    const mailwire_statistics *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_statistics, mailwire_statistics_free> raw_;
};

/// A server that runs from its construction to its shutdown.
class server {
  public:
    /// Empty if that failed.
    explicit server(const server_options &options, error *e = nullptr) {
        mailwire_server *made = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status = mailwire_server_start(options.get(), &made, &raw);
        raw_.reset(made);
        detail::tell(status, raw, e);
    }

    std::string_view address(std::size_t index = 0) const noexcept {
        return mailwire_server_address_at(raw_.get(), index);
    }
    std::uint16_t port(std::size_t index = 0) const noexcept { return mailwire_server_port(raw_.get(), index); }
    /// How many addresses the server listens on, but for Unix sockets.
    std::size_t address_count() const noexcept { return mailwire_server_address_count(raw_.get()); }
    /// All of them, as "127.0.0.1:2525", each with the port that it got. They live as long as the server.
    std::vector<std::string_view> addresses() const {
        return detail::gathered(address_count(), [this](std::size_t i) { return address(i); });
    }
    int fd() const noexcept { return mailwire_server_fd(raw_.get()); }

    /// The next event; an empty one when the server was shut down, `by` was signalled, or the time has passed. Any other failure
    /// is told, as that the server has ended by itself; `e` gets every failure.
    event next_event(const cancel *by = nullptr, milliseconds timeout = no_timeout, error *e = nullptr) const {
        mailwire_event *got = nullptr;
        mailwire_error *raw = nullptr;
        mailwire_status status =
            mailwire_server_next_event(raw_.get(), by ? by->get() : nullptr, timeout.count(), &got, &raw);
        bool expected = status == MAILWIRE_END || status == MAILWIRE_ERR_CANCELLED || status == MAILWIRE_ERR_TIMEOUT;
        error ignored;
        detail::tell(status, raw, e || !expected ? e : &ignored);
        return event(got);
    }
    mailwire::statistics statistics(error *e = nullptr) const {
        mailwire_statistics *taken = nullptr;
        mailwire_error *raw = nullptr;
        detail::tell(mailwire_server_statistics(raw_.get(), &taken, &raw), raw, e);
        return mailwire::statistics(taken);
    }
    /// Uses the certificates of `options` for all handshakes from now on; sessions that run keep what they have.
    bool reload_tls(const server_options &options, error *e = nullptr) const {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_reload_tls(raw_.get(), options.get(), &raw), raw, e);
    }
    /// Begins to end the server and returns at once: take and answer events until an empty one comes. Transactions under way have `grace`.
    bool begin_shutdown(milliseconds grace, error *e = nullptr) const {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_begin_shutdown(raw_.get(), grace.count(), &raw), raw, e);
    }
    /// Ends the server and waits for that; other threads go on taking and answering events meanwhile. A server that is destroyed while it
    /// runs ends without grace.
    bool shutdown(milliseconds grace, error *e = nullptr) const {
        mailwire_error *raw = nullptr;
        return detail::tell(mailwire_server_shutdown(raw_.get(), grace.count(), &raw), raw, e);
    }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    const mailwire_server *get() const noexcept { return raw_.get(); }

  private:
    detail::owned<mailwire_server, mailwire_server_free> raw_;
};

} // namespace v1
} // namespace mailwire

#endif
