//! Providers of mail that people send through: their servers, and what to know about a login there. The data is `providers.tsv`.

use std::sync::LazyLock;

use super::Options;
use super::options::ServerAddress;
use crate::error::{Error, Phase, Status};
use crate::proto::{Domain, Protocol};
use crate::sasl::Mechanism;
use crate::tls::TlsPolicy;

/// A provider of mail, as [`Options::set_provider`] knows it.
///
/// What stands here is what providers publish about themselves. A server's own word (SIZE, LIMITS, its replies) counts more.
///
/// ```
/// use mailwire::client::Provider;
///
/// let provider = Provider::named("postmark").unwrap();
/// assert_eq!((provider.host(), provider.port()), ("smtp.postmarkapp.com", 587));
/// let domain = "gmail.com".parse().unwrap();
/// assert_eq!(Provider::of_domain(&domain).unwrap().title(), "Gmail");
/// ```
#[derive(Debug)]
pub struct Provider {
    name: &'static str,
    title: &'static str,
    domains: Vec<&'static str>,
    host: &'static str,
    port: u16,
    tls: TlsPolicy,
    mechanisms: Vec<Mechanism>,
    max_message_size: Option<u64>,
    max_recipients: Option<u32>,
    limits: Option<&'static str>,
    advice: Option<&'static str>,
}

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| rows().filter_map(parse).collect());

impl Provider {
    /// All that are known.
    pub fn all() -> &'static [Self] {
        &PROVIDERS
    }

    /// The provider of this name, in any case of letters. The error lists the names.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let mut all = Self::all().iter();
        all.find(|provider| provider.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| unknown(name))
    }

    /// The provider of the mailboxes of this domain. Domains that are not the provider's own, as those of companies, are not known.
    pub fn of_domain(domain: &Domain) -> Option<&'static Self> {
        Self::all().iter().find(|provider| {
            let mut own = provider.domains.iter();
            own.any(|own| domain.as_str().eq_ignore_ascii_case(own))
        })
    }

    /// The provider whose server this is.
    pub(super) fn of_host(host: &str, port: u16) -> Option<&'static Self> {
        let is_local = |provider: &Self| provider.host == "127.0.0.1";
        Self::all().iter().find(|provider| {
            // What runs on this machine is told by its port only.
            provider.host.eq_ignore_ascii_case(host)
                && (!is_local(provider) || provider.port == port)
        })
    }

    /// The name for [`Options::set_provider`]: lower case letters, digits and hyphens.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name as people know it.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The domains of its mailboxes.
    pub fn domains(&self) -> &[&'static str] {
        &self.domains
    }

    /// The host name of its server.
    pub fn host(&self) -> &'static str {
        self.host
    }

    /// The port of its server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS begins at once or by STARTTLS: [`TlsPolicy::Implicit`] or [`TlsPolicy::Required`].
    pub fn tls(&self) -> TlsPolicy {
        self.tls
    }

    /// The mechanisms that a login may use.
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// The octets that a message may have.
    pub fn max_message_size(&self) -> Option<u64> {
        self.max_message_size
    }

    /// The recipients that a message may have.
    pub fn max_recipients(&self) -> Option<u32> {
        self.max_recipients
    }

    /// How much may be sent in which time, in words.
    pub fn limits(&self) -> Option<&'static str> {
        self.limits
    }

    /// What a login needs that is not obvious, in words.
    pub fn advice(&self) -> Option<&'static str> {
        self.advice
    }

    /// What it has to say of a login that failed.
    pub(super) fn login_advice(&self) -> Option<String> {
        let advice = self.advice?;
        Some(format!("{}: {advice}", self.title))
    }

    /// What it has to say of being asked for too much.
    pub(super) fn limit_advice(&self) -> Option<String> {
        let limits = self.limits?;
        Some(format!("{} has a limit of {limits}", self.title))
    }

    /// Whether no login with a password is taken.
    fn wants_token(&self) -> bool {
        let is_token = |mechanism| matches!(mechanism, Mechanism::OauthBearer | Mechanism::Xoauth2);
        self.mechanisms.iter().copied().all(is_token)
    }
}

impl Options {
    /// Sets server, port and TLS to those of a provider, by its name: `gmail`, `icloud`, `ses-eu-west-1`. What is set behind this
    /// replaces them again. Fails where another server was set before: a password that was meant for that one would go to the
    /// provider.
    pub fn set_provider(&mut self, name: &str) -> Result<(), Error> {
        let provider = Provider::named(name)?;
        self.check_other_server(provider)?;
        self.set_server(provider.host, Some(provider.port))?;
        self.set_tls(provider.tls);
        Ok(())
    }

    /// Fails if a server is set already that is not the provider's.
    fn check_other_server(&self, provider: &Provider) -> Result<(), Error> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let is_same = match server {
            ServerAddress::Host { host, port } => {
                self.protocol == Protocol::Smtp
                    && host.eq_ignore_ascii_case(provider.host)
                    && port.is_none_or(|port| port == provider.port)
            }
            ServerAddress::Unix(_) => false,
        };
        if is_same {
            return Ok(());
        }
        let Provider {
            name, host, port, ..
        } = provider;
        Err(Error::invalid(format!(
            "provider: {name} is {host}:{port}, and the server is {} already; say one of them, in a URL as \
             smtp://user:password@{name}?provider={name}",
            self.peer()?
        )))
    }

    /// The provider whose server is set.
    pub(super) fn provider(&self) -> Option<&'static Provider> {
        match self.server.as_ref()? {
            ServerAddress::Host { host, port } => {
                Provider::of_host(host, port.unwrap_or_else(|| self.default_port()))
            }
            ServerAddress::Unix(_) => None,
        }
    }

    /// Keeps a password from a provider that takes none. Whoever names the mechanism knows better.
    pub(super) fn check_provider(&self) -> Result<(), Error> {
        if !self.login.is_plain_password() {
            return Ok(());
        }
        let Some(provider) = self.provider().filter(|provider| provider.wants_token()) else {
            return Ok(());
        };
        let advice = provider.login_advice().unwrap_or_default();
        Err(Error::new(Status::AuthMechanism, advice).at(Phase::Auth))
    }
}

/// The rows of the table, behind its comments and the names of its columns.
fn rows() -> impl Iterator<Item = &'static str> {
    include_str!("providers.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
}

/// One row. All of ours can be read, which is tested.
fn parse(row: &'static str) -> Option<Provider> {
    let columns: Vec<_> = row.split('\t').collect();
    let [
        name,
        title,
        domains,
        host,
        port,
        tls,
        mechanisms,
        size,
        recipients,
        limits,
        advice,
    ] = columns[..]
    else {
        return None;
    };
    let given = |text: &'static str| (text != "-").then_some(text);
    let list = |text| given(text).into_iter().flat_map(|text| text.split(','));
    let number = |text| given(text).map(str::parse::<u64>).transpose().ok();
    Some(Provider {
        name,
        title,
        domains: list(domains).collect(),
        host,
        port: port.parse().ok()?,
        tls: tls.parse().ok()?,
        mechanisms: list(mechanisms)
            .map(Mechanism::from_name)
            .collect::<Option<_>>()?,
        max_message_size: number(size)?,
        max_recipients: number(recipients)?.map(u32::try_from).transpose().ok()?,
        limits: given(limits),
        advice: given(advice),
    })
}

fn unknown(name: &str) -> Error {
    let is_region = |name: &&str| name.starts_with("ses-");
    let names = Provider::all().iter().map(Provider::name);
    let names: Vec<_> = names.filter(|name| !is_region(name)).collect();
    Error::invalid(format!(
        "provider: {name:?} is not known; known are ses- with a region behind it, and {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::sasl::Credentials;

    #[test]
    fn every_row_can_be_read_and_used() {
        let providers = Provider::all();
        assert_eq!(providers.len(), rows().count());
        assert!(providers.len() >= 40);
        let mut seen = HashSet::new();
        for provider in providers {
            let name = provider.name();
            assert!(seen.insert(name), "{name} twice");
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            assert!(name.bytes().all(plain), "{name}");
            let implicit = provider.tls() == TlsPolicy::Implicit;
            assert!(implicit || provider.tls() == TlsPolicy::Required, "{name}");
            assert_eq!(implicit, provider.port() == 465, "{name}");
            assert!(!provider.mechanisms().is_empty(), "{name}");
            for domain in provider.domains() {
                assert!(seen.insert(domain), "{domain} twice");
                assert!(domain.parse::<Domain>().is_ok(), "{domain}");
            }
            let mut options = Options::new();
            options.set_provider(name).unwrap();
            assert_eq!(options.provider().unwrap().host(), provider.host());
            assert_eq!(options.tls_policy(), provider.tls());
            for text in [provider.advice(), provider.limits()] {
                let text = text.unwrap_or("x");
                assert!(!text.is_empty() && !text.ends_with('.'), "{name}: {text}");
            }
        }
    }

    #[test]
    fn a_provider_is_found_by_name_by_domain_and_by_host() {
        let gmail = Provider::named("GMail").unwrap();
        let domain = "GoogleMail.com".parse().unwrap();
        assert!(std::ptr::eq(gmail, Provider::of_domain(&domain).unwrap()));
        let found = Provider::of_host("SMTP.gmail.com", 465).unwrap();
        assert!(std::ptr::eq(gmail, found));
        assert_eq!(gmail.max_message_size(), Some(25 * 1024 * 1024));
        assert!(Provider::of_domain(&"example.org".parse().unwrap()).is_none());
        assert!(Provider::of_host("127.0.0.1", 25).is_none());
        assert_eq!(
            Provider::of_host("127.0.0.1", 1025).unwrap().name(),
            "proton-bridge"
        );
    }

    #[test]
    fn what_is_set_behind_the_provider_replaces_it() {
        let mut options = Options::new();
        options.set("provider", "gmail").unwrap();
        options.set("tls", "implicit").unwrap();
        options.set_server("smtp.gmail.com", Some(465)).unwrap();
        assert_eq!(options.tls_policy(), TlsPolicy::Implicit);
        assert_eq!(options.provider().unwrap().name(), "gmail");
    }

    #[test]
    fn a_provider_does_not_replace_another_server() {
        let set: [fn(&mut Options); 4] = [
            |options| options.set_server("my.host", None).unwrap(),
            |options| options.set_server("smtp.gmail.com", Some(465)).unwrap(),
            |options| options.set_unix_socket("/run/lmtp").unwrap(),
            |options| options.set_provider("icloud").unwrap(),
        ];
        for set in set {
            let mut options = Options::new();
            set(&mut options);
            let before = options.peer().unwrap();
            let error = options.set_provider("gmail").unwrap_err().to_string();
            assert!(error.contains(&before), "{error}");
            assert_eq!(options.peer().unwrap(), before);
        }
        let mut options = Options::new();
        options.set_server("SMTP.gmail.com", None).unwrap();
        options.set_provider("gmail").unwrap();
        options.set_provider("gmail").unwrap();
    }

    #[test]
    fn a_provider_that_is_not_known_is_answered_with_those_that_are() {
        let error = Options::new().set_provider("gmial").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("provider: \"gmial\" is not known"),
            "{text}"
        );
        assert!(
            text.contains("gmail, ") && !text.contains("ses-eu"),
            "{text}"
        );
    }

    #[test]
    fn a_password_stays_here_where_only_tokens_are_taken() {
        let mut options = Options::new();
        options.set_provider("outlook").unwrap();
        options.check().unwrap();
        options.set_credentials(Credentials::new("u@outlook.com", "p").unwrap());
        let error = options.check().unwrap_err();
        assert_eq!(error.status(), Status::AuthMechanism);
        assert!(error.to_string().contains("XOAUTH2"), "{error}");
        options.set_mechanism(Some(Mechanism::Login));
        options.check().unwrap();
        options.set_mechanism(None);
        options.set_credentials(Credentials::with_token("u@outlook.com", "t").unwrap());
        options.check().unwrap();
    }
}
