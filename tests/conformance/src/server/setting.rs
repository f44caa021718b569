//! How a server is set for a conversation, in the words of `with:`.

use std::time::Duration;

use mailwire::proto::data::LineEnds;
use mailwire::proto::server::Extensions;
use mailwire::sasl::Mechanism;

use crate::case::Script;

/// How a server of ours is set. Without words it offers STARTTLS, and behind it AUTH, takes mail for one domain up to 100 000
/// octets, and asks its application what it asks by default.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of its own, in any combination"
)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting {
    /// `no-tls`: there is no certificate.
    pub no_tls: bool,
    /// `implicit-tls`: TLS comes first.
    pub implicit_tls: bool,
    /// `require-tls`: no mail in clear.
    pub require_tls: bool,
    /// `no-auth`: nobody could authenticate.
    pub no_auth: bool,
    /// `require-auth`: no mail from strangers.
    pub require_auth: bool,
    /// `auth-in-clear`: passwords without TLS.
    pub auth_in_clear: bool,
    /// `all-mechanisms`: every mechanism that there is, and all questions asked.
    pub all_mechanisms: bool,
    /// `lmtp`: LMTP instead of SMTP.
    pub lmtp: bool,
    /// `hooks`: the application is asked about VRFY, EXPN, HELP and unknown commands too.
    pub hooks: bool,
    /// `strict`: no space behind a colon.
    pub strict: bool,
    /// `lenient`: LF alone ends a command.
    pub lenient: bool,
    /// `normalise`: a bare CR or LF in a message becomes CRLF.
    pub normalise: bool,
    /// `size=N`: the most octets of a message.
    pub size: u64,
    /// `recipients=N`: the most recipients of a message.
    pub recipients: usize,
    /// The extensions offered: the usual ones, with those that are needed and without those that must not be there.
    pub extensions: Extensions,
    /// `domains=N`: the most domains that the recipients of a message may have.
    pub domains: Option<usize>,
    /// `transactions=N`: the most of a session.
    pub transactions: Option<u32>,
    /// `trusted`: clients may say XCLIENT.
    pub trusted: bool,
    /// `greeting=CODE`: the application turns each client away.
    pub greeting: Option<u16>,
    /// `connections=N`: the most at a time.
    pub connections: usize,
    /// `idle=MILLISECONDS`: how long a client may be silent.
    pub idle: Option<Duration>,
    /// `handshake=MILLISECONDS`: how long a handshake may take.
    pub handshake: Option<Duration>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            no_tls: false,
            implicit_tls: false,
            require_tls: false,
            no_auth: false,
            require_auth: false,
            auth_in_clear: false,
            all_mechanisms: false,
            lmtp: false,
            hooks: false,
            strict: false,
            lenient: false,
            normalise: false,
            size: 100_000,
            recipients: 1000,
            extensions: Extensions::USUAL,
            domains: None,
            transactions: None,
            trusted: false,
            greeting: None,
            connections: 1000,
            idle: None,
            handshake: None,
        }
    }
}

impl Setting {
    /// The mechanisms that it offers, where the connection allows them.
    pub(super) fn mechanisms(&self) -> &'static [Mechanism] {
        const USUAL: &[Mechanism] = &[
            Mechanism::ScramSha256Plus,
            Mechanism::ScramSha256,
            Mechanism::Plain,
            Mechanism::Login,
        ];
        match (self.no_auth, self.all_mechanisms) {
            (true, _) => &[],
            (false, true) => &Mechanism::ALL,
            (false, false) => USUAL,
        }
    }

    /// Switches of ours: what a conversation that wants them looks at is not there in another server, which it says nothing about.
    pub const SWITCHES: [&str; 3] = ["strict", "lenient", "normalise"];

    /// What becomes of a bare CR or LF in a message.
    pub(super) fn line_ends(&self) -> LineEnds {
        if self.normalise {
            LineEnds::Normalise
        } else {
            LineEnds::Refuse
        }
    }

    /// Words that change what all of a conversation looks like: on a server that was set so, others make no sense.
    pub const MODES: [&str; 4] = ["lmtp", "implicit-tls", "require-tls", "require-auth"];

    /// The setting that a conversation wants: by its words, and by what it needs to be offered or not. The error names the word that
    /// is not known.
    pub fn of(script: &Script) -> Result<Self, String> {
        let mut setting = Self::read(&script.with)?;
        for keyword in &script.needs {
            match (keyword.as_str(), Extensions::from_keyword(keyword)) {
                (_, Some(one)) => setting.extensions = setting.extensions.with(one),
                ("ETRN" | "EXPN", None) => setting.hooks = true,
                ("XCLIENT", None) => setting.trusted = true,
                _ => {}
            }
        }
        for keyword in &script.without {
            if let Some(one) = Extensions::from_keyword(keyword) {
                setting.extensions = setting.extensions.without(one);
            }
        }
        Ok(setting)
    }

    /// Reads words. The error names the one that is not known.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let mut setting = Self::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("with: {word:?} has no number"))
            };
            let count = || number().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
            let time = || number().map(Duration::from_millis).map(Some);
            match name {
                "no-tls" => setting.no_tls = true,
                "implicit-tls" => setting.implicit_tls = true,
                "require-tls" => setting.require_tls = true,
                "no-auth" => setting.no_auth = true,
                "require-auth" => setting.require_auth = true,
                "auth-in-clear" => setting.auth_in_clear = true,
                "all-mechanisms" => {
                    setting.all_mechanisms = true;
                    setting.hooks = true;
                }
                "lmtp" => setting.lmtp = true,
                "hooks" => setting.hooks = true,
                "strict" => setting.strict = true,
                "lenient" => setting.lenient = true,
                "normalise" => setting.normalise = true,
                "size" => setting.size = number()?,
                "recipients" => setting.recipients = count()?,
                "connections" => setting.connections = count()?,
                "domains" => setting.domains = Some(count()?),
                "transactions" => setting.transactions = u32::try_from(number()?).ok(),
                "trusted" => setting.trusted = true,
                "greeting" => setting.greeting = u16::try_from(number()?).ok(),
                "idle" => setting.idle = time()?,
                "handshake" => setting.handshake = time()?,
                _ => return Err(format!("with: {word:?} is not known")),
            }
        }
        Ok(setting)
    }
}
