//! How a client reaches its server and what it does there. Each setter checks at once and its error names the field.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::login::Login;
use super::pool::PoolLimits;
use super::record::Transcript;
use super::way::Way;
use crate::error::Error;
use crate::net::{checked_host, host_and_port};
use crate::proto::data::LineEnds;
use crate::proto::{ClientAttributes, Domain, Protocol};
use crate::tls::{ClientTls, TlsPolicy};

/// The options of a client. Secure by default: TLS as [`TlsPolicy::Auto`] has it, certificates verified against the system's
/// roots, no credentials in clear, no wait without end.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    pub(super) server: Option<ServerAddress>,
    pub(super) way: Way,
    pub(super) protocol: Protocol,
    pub(super) login: Login,
    pub(super) allow_plaintext_auth: bool,
    pub(super) tls: TlsPolicy,
    pub(super) client_tls: ClientTls,
    pub(super) local_hostname: Option<Domain>,
    pub(super) speak_for: Option<Box<ClientAttributes>>,
    pub(super) source_address: Option<IpAddr>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) line_ends: LineEnds,
    pub(super) on_refused: OnRefused,
    pub(super) all_or_nothing: bool,
    pub(super) notices_if_offered: bool,
    pub(super) transfer: TransferChoice,
    pub(super) max_in_flight: usize,
    pub(super) max_octets_in_flight: u64,
    pub(super) max_octets_ahead: u64,
    pub(crate) pool: PoolLimits,
    pub(super) transcript: Transcript,
    /// The blocking client: the thread that calls does all the work.
    pub(crate) one_thread: bool,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerAddress {
    /// A host, by name or address, and its port if one was given.
    Host { host: String, port: Option<u16> },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Which results of a send are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnRefused {
    /// A send fails if no recipient was accepted.
    #[default]
    RaiseIfAll,
    /// A send fails if any recipient was not accepted.
    RaiseIfAny,
    /// A send fails only if the session itself failed.
    Never,
}

/// How messages travel to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TransferChoice {
    /// By BDAT where the server offers CHUNKING (RFC 3030): a short message then leaves together with its envelope, and several
    /// may be on their way at a time. Else inside DATA.
    #[default]
    Auto,
    /// Inside DATA.
    Data,
    /// By BDAT. A message fails if the server does not offer CHUNKING.
    Bdat,
}

impl Options {
    /// The defaults, with no server yet: opening a connection fails until one is set.
    pub fn new() -> Self {
        Self {
            server: None,
            way: Way::default(),
            protocol: Protocol::Smtp,
            login: Login::default(),
            allow_plaintext_auth: false,
            tls: TlsPolicy::Auto,
            client_tls: ClientTls::default(),
            local_hostname: None,
            speak_for: None,
            source_address: None,
            connect_timeout: Duration::from_secs(10),
            timeout: None,
            deadline: None,
            line_ends: LineEnds::Normalise,
            on_refused: OnRefused::default(),
            all_or_nothing: false,
            notices_if_offered: false,
            transfer: TransferChoice::default(),
            max_in_flight: 8,
            max_octets_in_flight: 1024 * 1024,
            pool: PoolLimits::default(),
            transcript: Transcript::default(),
            max_octets_ahead: 64 * 1024,
            one_thread: false,
        }
    }

    /// The server's host name or IP address. Without a port it is 587 with credentials, 465 under implicit TLS, 24 with LMTP,
    /// and else 25.
    pub fn set_server(&mut self, host: &str, port: Option<u16>) -> Result<(), Error> {
        if port == Some(0) {
            return Err(Error::invalid("port: 0 is no port to connect to"));
        }
        let host =
            checked_host(host).map_err(|why| Error::invalid(format!("host {host:?}: {why}")))?;
        self.server = Some(ServerAddress::Host { host, port });
        Ok(())
    }

    /// A socket in the file system instead of a host, as LMTP servers have it.
    pub fn set_unix_socket(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Error::invalid(
                "unix socket: the path is empty or has NUL in it",
            ));
        }
        self.server = Some(ServerAddress::Unix(path.to_owned()));
        Ok(())
    }

    /// SMTP, or LMTP with a reply for each recipient.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Dangerous: lets the client log in without TLS, where anyone on the way can read the password, or can try passwords against
    /// what was said.
    pub fn set_allow_plaintext_auth(&mut self, allow: bool) {
        self.allow_plaintext_auth = allow;
    }

    /// When TLS is used. [`TlsPolicy::Auto`] by default.
    pub fn set_tls(&mut self, policy: TlsPolicy) {
        self.tls = policy;
    }

    /// Which certificates are trusted, and the client's own certificate.
    pub fn set_client_tls(&mut self, tls: ClientTls) {
        self.client_tls = tls;
    }

    /// Which certificates are trusted, and the client's own certificate.
    pub fn client_tls(&self) -> &ClientTls {
        &self.client_tls
    }

    /// The name said in EHLO: a domain name or an address literal. By default this host's full name if it has one, else the
    /// connection's own address as a literal (RFC 5321 section 4.1.4).
    pub fn set_local_hostname(&mut self, name: &str) -> Result<(), Error> {
        let name = name
            .parse()
            .map_err(|e| Error::invalid(format!("local_hostname {name:?}: {e}")))?;
        self.local_hostname = Some(name);
        Ok(())
    }

    /// For a proxy: on whose behalf every session speaks, told by XCLIENT before the login. Opening a connection fails if the server
    /// does not offer that, or not to this host.
    pub fn set_speak_for(&mut self, client: ClientAttributes) -> Result<(), Error> {
        if client.is_empty() {
            return Err(Error::invalid("speak_for: nothing is said of the client"));
        }
        self.speak_for = Some(Box::new(client));
        Ok(())
    }

    /// The address of this host that connections come from.
    pub fn set_source_address(&mut self, address: IpAddr) {
        self.source_address = Some(address);
    }

    /// The longest wait for a connection to open, over all of the host's addresses. 10 s by default.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.connect_timeout = positive("connect_timeout", timeout)?;
        Ok(())
    }

    /// The longest single wait for the server, in every phase but the reply to the end of data, which has 600 s. By default
    /// the values of RFC 5321 section 4.5.3.2, 2 to 5 minutes.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.timeout = timeout.map(|t| positive("timeout", t)).transpose()?;
        Ok(())
    }

    /// The most that a whole call may take. None by default.
    pub fn set_deadline(&mut self, deadline: Option<Duration>) -> Result<(), Error> {
        self.deadline = deadline.map(|d| positive("deadline", d)).transpose()?;
        Ok(())
    }

    /// What happens to a bare CR or LF in a message. By default it becomes CRLF.
    pub fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.line_ends = line_ends;
    }

    /// Which results are errors. By default only if no recipient was accepted.
    pub fn set_on_refused(&mut self, on_refused: OnRefused) {
        self.on_refused = on_refused;
    }

    /// Send to all recipients or to none: nothing that can complete the message leaves before every one was accepted.
    pub fn set_all_or_nothing(&mut self, all_or_nothing: bool) {
        self.all_or_nothing = all_or_nothing;
    }

    /// Whether parameters of DSN are left out where the server does not offer it, as a relay has to (RFC 3461 section 5.2). Else
    /// they are an error there.
    pub(crate) fn set_notices_if_offered(&mut self, if_offered: bool) {
        self.notices_if_offered = if_offered;
    }

    /// How messages travel to the server. By default by BDAT where it offers CHUNKING.
    pub fn set_transfer(&mut self, transfer: TransferChoice) {
        self.transfer = transfer;
    }

    /// How many messages of one call may be on their way on a connection before the first is answered. 8 by default; more than
    /// two only where they travel by BDAT. A connection that is lost leaves so many messages *unknown* at the most; with 1 it is never
    /// more than the one that is being sent, and each message has a round trip of its own.
    pub fn set_max_in_flight(&mut self, messages: usize) -> Result<(), Error> {
        if messages == 0 {
            return Err(Error::invalid("max_in_flight: at least one is needed"));
        }
        self.max_in_flight = messages;
        Ok(())
    }

    /// No further message is begun while so many octets of messages were sent and not answered. 1 MiB by default. This, too, bounds how
    /// many messages a connection that is lost leaves *unknown*; with 1 no message leaves before the one in front of it was answered.
    pub fn set_max_octets_in_flight(&mut self, octets: u64) -> Result<(), Error> {
        if octets == 0 {
            return Err(Error::invalid(
                "max_octets_in_flight: at least one is needed",
            ));
        }
        self.max_octets_in_flight = octets;
        Ok(())
    }

    /// How many octets a message may have to leave by BDAT together with its envelope, before anybody has said that it is wanted. A
    /// longer one waits for the replies to MAIL and RCPT. 64 KiB by default; 0 lets every message wait. A message from a reader
    /// leaves so if it has 64 KiB at the most.
    pub fn set_max_octets_ahead(&mut self, octets: u64) {
        self.max_octets_ahead = octets;
    }

    /// The most that a whole call may take.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// What can only be checked of all options together: there is a server, the certificate to log in with, no password in
    /// clear, and none for a provider that takes only tokens.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.server()?;
        self.check_way()?;
        if self.login.needs_certificate() && !self.client_tls.has_certificate() {
            return Err(Error::invalid(
                "credentials: to log in with a certificate, give one with client_cert",
            ));
        }
        self.check_provider()?;
        self.check_plaintext_auth()
    }

    /// The server, which has to be set before anything can be sent.
    pub(super) fn server(&self) -> Result<&ServerAddress, Error> {
        self.server.as_ref().ok_or_else(|| {
            Error::invalid(
                "no server was set: give its host name, or a URL such as smtp://mail.example.org",
            )
        })
    }

    /// The server as errors name it: `host:port`, or the path of a socket.
    pub(crate) fn peer(&self) -> Result<String, Error> {
        Ok(match self.server()? {
            ServerAddress::Host { host, port } => {
                let port = port.unwrap_or_else(|| self.default_port());
                host_and_port(host, port)
            }
            ServerAddress::Unix(path) => path.display().to_string(),
        })
    }

    /// The TLS policy, with `Auto` decided.
    pub(super) fn tls_policy(&self) -> TlsPolicy {
        let port = match &self.server {
            Some(ServerAddress::Host { port, .. }) => *port,
            _ => None,
        };
        match (&self.server, self.tls) {
            // Nobody listens in between on a socket of the same host; TLS there is used only where it is asked for.
            (Some(ServerAddress::Unix(_)), TlsPolicy::Auto) => TlsPolicy::None,
            (_, policy) => policy.resolve(
                port.unwrap_or_else(|| self.default_port()),
                self.login.is_wanted(),
            ),
        }
    }

    /// The server's port, if it has one.
    pub(super) fn port(&self) -> Option<u16> {
        match self.server.as_ref()? {
            ServerAddress::Host { port, .. } => Some(port.unwrap_or_else(|| self.default_port())),
            ServerAddress::Unix(_) => None,
        }
    }

    /// The port that the server has unless another was given: 24 with LMTP, 465 under implicit TLS, 587 with a login (RFC 6409), and
    /// else 25.
    pub(super) fn default_port(&self) -> u16 {
        match (self.protocol, self.tls) {
            (Protocol::Lmtp, _) => 24,
            (_, TlsPolicy::Implicit) => 465,
            _ if self.login.is_wanted() => 587,
            _ => 25,
        }
    }

    /// Whether credentials may travel to this server: over TLS, over a socket of the same host, or because the caller said so.
    fn check_plaintext_auth(&self) -> Result<(), Error> {
        let in_clear = self.login.needs_tls() && self.tls_policy() == TlsPolicy::None;
        let same_host = matches!(self.server, Some(ServerAddress::Unix(_)));
        if in_clear && !same_host && !self.allow_plaintext_auth {
            return Err(Error::new(
                crate::Status::AuthInsecure,
                "the password would travel in clear: use TLS (tls=required), or set allow_plaintext_auth if you accept that anyone \
                 on the way can read it",
            ));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

fn positive(name: &str, duration: Duration) -> Result<Duration, Error> {
    if duration.is_zero() {
        Err(Error::invalid(format!("{name}: it must be more than zero")))
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Credentials;

    #[test]
    fn hosts_are_checked_at_once() {
        let mut options = Options::new();
        for host in [
            "mail.example.org",
            "mail.example.org.",
            "127.0.0.1",
            "::1",
            "[::1]",
            "localhost",
            "bücher.example",
        ] {
            assert!(options.set_server(host, Some(25)).is_ok(), "{host}");
        }
        for host in [
            "",
            "a b",
            "a\r\nQUIT",
            "a/b",
            "a@b",
            "a:25",
            "-a",
            "[IPv6:::1]",
        ] {
            let error = options.set_server(host, None).unwrap_err();
            assert!(error.to_string().contains("host"), "{error}");
        }
        assert!(options.set_server("a", Some(0)).is_err());
    }

    #[test]
    fn a_name_for_ehlo_cannot_smuggle_a_command() {
        for name in ["a\r\nMAIL", "a b", "a\0", ""] {
            assert!(Options::new().set_local_hostname(name).is_err(), "{name:?}");
        }
        assert!(Options::new().set_local_hostname("[127.0.0.1]").is_ok());
    }

    #[test]
    fn the_port_follows_protocol_tls_and_credentials() {
        let mut options = Options::new();
        assert_eq!(options.default_port(), 25);
        options.set_credentials(Credentials::new("u", "p").unwrap());
        assert_eq!(options.default_port(), 587);
        options.set_tls(TlsPolicy::Implicit);
        assert_eq!(options.default_port(), 465);
        options.set_protocol(Protocol::Lmtp);
        assert_eq!(options.default_port(), 24);
    }

    #[test]
    fn credentials_in_clear_are_refused_unless_allowed() {
        let mut options = Options::new();
        options.set_server("localhost", Some(2525)).unwrap();
        options.set_credentials(Credentials::new("u", "p").unwrap());
        assert!(
            options.check_plaintext_auth().is_ok(),
            "auto means required with credentials"
        );
        options.set_tls(TlsPolicy::None);
        assert_eq!(
            options.check_plaintext_auth().unwrap_err().status(),
            crate::Status::AuthInsecure
        );
        options.set_allow_plaintext_auth(true);
        assert!(options.check_plaintext_auth().is_ok());
    }

    #[test]
    fn no_limit_of_time_is_zero() {
        assert!(Options::new().set_timeout(Some(Duration::ZERO)).is_err());
        assert!(Options::new().set_deadline(Some(Duration::ZERO)).is_err());
        assert!(Options::new().set_connect_timeout(Duration::ZERO).is_err());
    }
}
