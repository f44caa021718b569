//! The rows of `proto` and `sasl`: addresses, parameters, replies, commands, credentials.

use mailwire::proto::client::{Connection, Hello, NotNow};
use mailwire::proto::server::{Additions, Extensions, OwnMechanism};
use mailwire::proto::{
    BodyType, Capabilities, ClientText, DateTime, Domain, EnhancedStatus, Envelope, EnvelopeId,
    Extension, ForwardPath, MailParameters, Mailbox, Notify, OriginalRecipient, Parameter,
    Protocol, RcptParameters, Reply, Ret, ReversePath, Submitter, TlsInfo, TlsVersion, Xtext,
};
use mailwire::sasl::{
    self, ClientContext, Credentials, Identity, Lookup, Mechanism, ScramHash, ScramKeys, Secret,
    ServerContext,
};

use crate::row::{Call, Row, contained, never, refused, some, told};

/// A client that has said EHLO, asks something, and gives what it has to send.
fn ask(question: impl FnOnce(&mut Connection) -> Result<(), NotNow>) -> Result<String, String> {
    let mut connection = Connection::new(Protocol::Smtp, None);
    let feed = |connection: &mut Connection, mut input: &[u8]| {
        while !input.is_empty() {
            match connection.receive(input).unwrap() {
                mailwire::proto::Progress::Event { used, .. }
                | mailwire::proto::Progress::Need { used, .. } => input = &input[used..],
            }
        }
        connection.sent(usize::MAX);
    };
    feed(&mut connection, b"220 a.example\r\n");
    connection
        .hello(Hello::Ehlo, &"b.example".parse().unwrap())
        .unwrap();
    connection.sent(usize::MAX);
    feed(&mut connection, b"250-a.example\r\n250 ETRN\r\n");
    let result = question(&mut connection);
    let sent: Vec<u8> = connection
        .transmit()
        .flat_map(|slice| slice.to_vec())
        .collect();
    assert_eq!(
        result.is_ok(),
        !sent.is_empty(),
        "nothing is sent of what is refused"
    );
    told(result)
}

fn own_mechanism(name: &str) -> Option<OwnMechanism> {
    OwnMechanism::new(name, |_| unreachable!("it is never begun"))
}

fn keys(key: &str, other: &str) -> Result<ScramKeys, sasl::InvalidScramKeys> {
    let (key, other) = (Secret::new(key), Secret::new(other));
    ScramKeys::new(ScramHash::Sha256, b"0123456789abcdef", 4096, key, other)
}

/// As long as a key is.
const KEY: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = protocol();
    rows.extend(parameters());
    rows.extend(authentication());
    rows
}

fn protocol() -> Vec<Row> {
    let set = "a list is looked into: nothing is kept of a key";
    vec![
        contained("proto Capabilities::has", "keyword", set, |text| {
            Ok(Capabilities::default().has(text).to_string())
        }),
        contained("proto Capabilities::parameters", "keyword", set, |text| {
            Ok(Capabilities::default()
                .parameters(text)
                .unwrap_or_default()
                .to_owned())
        }),
        never("proto ClientText::new", "text", "a{}b", |text| {
            some(ClientText::new(text))
        }),
        refused(
            "proto DateTime::FromStr",
            "",
            "2027-01-31T23:59:{}59Z",
            "",
            |text| told(text.parse::<DateTime>()),
        ),
        never("proto EnhancedStatus::parse", "text", "5.1{}.1", |text| {
            some(EnhancedStatus::parse(text))
        }),
        refused(
            "proto Envelope::parse",
            "sender",
            "a{}b@c.example",
            "sender",
            |text| told(Envelope::parse(text, ["a@b.example"])),
        ),
        refused(
            "proto Envelope::parse",
            "recipients",
            "a@b{}.example",
            "recipient 2",
            |text| told(Envelope::parse("", ["a@b.example", text])),
        ),
        never(
            "proto Extension::from_keyword",
            "keyword",
            "PIPE{}LINING",
            |text| some(Extension::from_keyword(text)),
        ),
        refused("proto Reply::multiline", "lines", "a{}b", "text", |text| {
            told(Reply::multiline(250, ["a", text]))
        }),
        refused("proto Reply::new", "text", "a{}b", "text", |text| {
            told(Reply::new(250, text.to_owned()))
        }),
        contained(
            "proto TlsInfo::new",
            "cipher",
            "the driver's word for the application, never sent",
            |text| Ok(TlsInfo::new(TlsVersion::Tls13, text).version().to_string()),
        ),
        contained(
            "proto TlsInfo::with_server_name",
            "name",
            "the driver's word for the application, never sent",
            |text| {
                let info =
                    TlsInfo::new(TlsVersion::Tls13, "x").with_server_name(Some(text.to_owned()));
                Ok(info.version().to_string())
            },
        ),
        refused("proto Xtext::FromStr", "", "a{}b", "", |text| {
            told(text.parse::<Xtext>())
        }),
        refused(
            "proto/address Domain::FromStr",
            "",
            "a{}b.example",
            "",
            |text| told(text.parse::<Domain>()),
        ),
        refused(
            "proto/address ForwardPath::FromStr",
            "",
            "a{}b@c.example",
            "",
            |text| told(text.parse::<ForwardPath>()),
        ),
        refused(
            "proto/address Mailbox::FromStr",
            "",
            "\"a{}b\"@c.example",
            "",
            |text| told(text.parse::<Mailbox>()),
        ),
        refused(
            "proto/address ReversePath::FromStr",
            "",
            "a@[127.0{}.0.1]",
            "",
            |text| told(text.parse::<ReversePath>()),
        ),
        contained(
            "proto/client Connection::conceal",
            "secret",
            "it is looked for, and never sent",
            |text| {
                let mut connection = Connection::new(Protocol::Smtp, None);
                connection.conceal(&text.into());
                Ok(connection.readable(text.as_bytes()))
            },
        ),
        refused(
            "proto/client Connection::expand",
            "list",
            "a{}b",
            "argument",
            |text| ask(|c| c.expand(text)),
        ),
        refused(
            "proto/client Connection::help",
            "topic",
            "a{}b",
            "argument",
            |text| ask(|c| c.help(text)),
        ),
        refused(
            "proto/client Connection::verify",
            "user",
            "a{}b",
            "argument",
            |text| ask(|c| c.verify(text)),
        ),
        refused(
            "proto/client Connection::extension_command",
            "verb",
            "XV{}ERB",
            "argument",
            |text| ask(|c| c.extension_command(text, "a")),
        ),
        refused(
            "proto/client Connection::extension_command",
            "argument",
            "a{}b",
            "argument",
            |text| ask(|c| c.extension_command("XVERB", text)),
        ),
        refused(
            "proto/client Connection::start_queue",
            "node",
            "a{}b.example",
            "argument",
            |text| ask(|c| c.start_queue(text)),
        ),
        refused(
            "proto/server Additions::add_keyword",
            "line",
            "X-A{} b",
            "X-A",
            |text| told(Additions::new().add_keyword(text)),
        ),
        refused(
            "proto/server Additions::add_mail_parameter",
            "keyword",
            "X-{}A",
            "X-",
            |text| told(Additions::new().add_mail_parameter(text)),
        ),
        refused(
            "proto/server Additions::add_rcpt_parameter",
            "keyword",
            "X-{}A",
            "X-",
            |text| told(Additions::new().add_rcpt_parameter(text)),
        ),
        refused(
            "proto/server Additions::add_verb",
            "verb",
            "XV{}ERB",
            "XV",
            |text| told(Additions::new().add_verb(text)),
        ),
        never(
            "proto/server Extensions::from_keyword",
            "keyword",
            "D{}SN",
            |text| some(Extensions::from_keyword(text)),
        ),
        never("proto/server OwnMechanism::new", "name", "X-{}A", |text| {
            some(own_mechanism(text))
        }),
    ]
}

fn parameters() -> Vec<Row> {
    let mut rows = vec![
        never(
            "proto/params BodyType::from_name",
            "name",
            "8BIT{}MIME",
            |text| some(BodyType::from_name(text)),
        ),
        refused("proto/params EnvelopeId::FromStr", "", "a{}b", "", |text| {
            told(text.parse::<EnvelopeId>())
        }),
        never("proto/params EnvelopeId::new", "text", "a{}b", |text| {
            some(EnvelopeId::new(text))
        }),
        never(
            "proto/params Notify::from_names",
            "names",
            "SUCCESS{},DELAY",
            |text| some(Notify::from_names(text)),
        ),
        refused(
            "proto/params OriginalRecipient::FromStr",
            "",
            "rfc822;a{}b@c.example",
            "",
            |text| told(text.parse::<OriginalRecipient>()),
        ),
        contained(
            "proto/params OriginalRecipient::of_mailbox",
            "mailbox",
            "it is written in xtext, where they are +0D and the like",
            |text| {
                OriginalRecipient::of_mailbox(text)
                    .map(|made| made.as_str().to_owned())
                    .map_err(|error| error.to_string())
            },
        ),
        refused(
            "proto/params Parameter::new",
            "keyword",
            "X-{}A",
            "parameter",
            |text| told(Parameter::new(text, None)),
        ),
        refused(
            "proto/params Parameter::new",
            "value",
            "a{}b",
            "parameter",
            |text| told(Parameter::new("X-A", Some(text))),
        ),
        refused(
            "proto/params MailParameters::set",
            "keyword",
            "X-{}A",
            "parameter",
            |text| told(MailParameters::default().set(text, None)),
        ),
        refused(
            "proto/params RcptParameters::set",
            "keyword",
            "X-{}A",
            "parameter",
            |text| told(RcptParameters::default().set(text, None)),
        ),
        never("proto/params Ret::from_name", "name", "FU{}LL", |text| {
            some(Ret::from_name(text))
        }),
        refused(
            "proto/params Submitter::FromStr",
            "",
            "a{}b@c.example",
            "",
            |text| told(text.parse::<Submitter>()),
        ),
    ];
    // Every parameter that the engine knows, and one that it does not.
    let mail: [(&str, Call); 11] = [
        ("10{}24", |text| of_mail("SIZE", text)),
        ("8BIT{}MIME", |text| of_mail("BODY", text)),
        ("FU{}LL", |text| of_mail("RET", text)),
        ("a{}b", |text| of_mail("ENVID", text)),
        ("a{}b@c.example", |text| of_mail("AUTH", text)),
        ("12{}0;R", |text| of_mail("BY", text)),
        ("{}3", |text| of_mail("MT-PRIORITY", text)),
        ("6{}0", |text| of_mail("HOLDFOR", text)),
        ("2027-01-31T23:59:{}59Z", |text| of_mail("HOLDUNTIL", text)),
        ("a{}b", |text| of_mail("X-A", text)),
        ("a{}", |text| of_mail("X-A", text)),
    ];
    rows.extend(mail.map(|(text, call)| {
        refused(
            "proto/params MailParameters::set",
            "value",
            text,
            "parameter",
            call,
        )
    }));
    let rcpt: [(&str, Call); 3] = [
        ("SUCC{}ESS", |text| of_rcpt("NOTIFY", text)),
        ("rfc822;a{}b@c.example", |text| of_rcpt("ORCPT", text)),
        ("a{}b", |text| of_rcpt("X-A", text)),
    ];
    rows.extend(rcpt.map(|(text, call)| {
        refused(
            "proto/params RcptParameters::set",
            "value",
            text,
            "parameter",
            call,
        )
    }));
    rows
}

fn of_mail(keyword: &str, value: &str) -> Result<String, String> {
    told(MailParameters::default().set(keyword, Some(value)))
}

fn of_rcpt(keyword: &str, value: &str) -> Result<String, String> {
    told(RcptParameters::default().set(keyword, Some(value)))
}

fn authentication() -> Vec<Row> {
    let names = "names that the server tells its application, never a line";
    vec![
        contained(
            "sasl ClientContext::with_server",
            "host",
            "left out where it is not printable ASCII",
            |text| {
                let context = ClientContext::default().with_server(text, 25);
                Ok(format!("{context:?}"))
            },
        ),
        refused(
            "sasl Credentials::anonymous",
            "trace",
            "a{}b",
            "trace",
            |text| told(Credentials::anonymous(text)),
        ),
        refused(
            "sasl Credentials::new",
            "username",
            "a{}b",
            "user name",
            |text| told(Credentials::new(text, "secret")),
        ),
        refused(
            "sasl Credentials::new",
            "password",
            "a{}b",
            "password",
            |text| told(Credentials::new("user", text)),
        ),
        refused(
            "sasl Credentials::with_authorization_identity",
            "identity",
            "a{}b",
            "authorization identity",
            |text| {
                told(
                    Credentials::new("user", "secret")
                        .unwrap()
                        .with_authorization_identity(text),
                )
            },
        ),
        refused(
            "sasl Credentials::with_token",
            "username",
            "a{}b",
            "user name",
            |text| told(Credentials::with_token(text, "token")),
        ),
        refused(
            "sasl Credentials::with_token",
            "token",
            "a{}b",
            "token",
            |text| told(Credentials::with_token("user", text)),
        ),
        contained("sasl Identity::new", "username", names, |text| {
            Ok(format!("{:?}", Identity::new(text, None)))
        }),
        contained(
            "sasl Identity::new",
            "authorization_identity",
            names,
            |text| Ok(format!("{:?}", Identity::new("a", Some(text.to_owned())))),
        ),
        contained("sasl Lookup::new", "username", names, |text| {
            let wanted = sasl::Wanted::Password;
            Ok(format!("{:?}", Lookup::new(wanted, text, None)))
        }),
        contained(
            "sasl Lookup::new",
            "authorization_identity",
            names,
            |text| {
                let wanted = sasl::Wanted::Password;
                Ok(format!(
                    "{:?}",
                    Lookup::new(wanted, "a", Some(text.to_owned()))
                ))
            },
        ),
        never("sasl Mechanism::from_name", "name", "PLA{}IN", |text| {
            some(Mechanism::from_name(text))
        }),
        contained(
            "sasl Secret::From",
            "",
            "octets that are never printed; those who send them look",
            |text| Ok(format!("{:?}", Secret::from(text))),
        ),
        contained(
            "sasl ServerContext::with_host",
            "host",
            "it stands inside base64 in a challenge",
            |text| Ok(format!("{:?}", ServerContext::default().with_host(text))),
        ),
        never("sasl saslprep", "text", "a{}b", |text| {
            some(sasl::saslprep(text))
        }),
        contained(
            "sasl/scram ScramKeys::fits",
            "password",
            "it is compared, and never sent",
            |text| {
                Ok(keys(KEY, KEY)
                    .unwrap()
                    .fits(&Secret::from(text))
                    .to_string())
            },
        ),
        refused(
            "sasl/scram ScramKeys::from_password",
            "password",
            "a{}b",
            "password",
            |text| {
                told(ScramKeys::from_password(
                    ScramHash::Sha256,
                    &Secret::from(text),
                    b"0123456789abcdef",
                    1,
                ))
            },
        ),
        never(
            "sasl/scram ScramHash::from_name",
            "name",
            "SCRAM{}-SHA-1",
            |text| some(ScramHash::from_name(text)),
        ),
        refused(
            "sasl/scram ScramKeys::from_text",
            "text",
            "SCRAM-SHA-1$4096:c2Fs{}dA==$AAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "base64",
            |text| told(ScramKeys::from_text(text)),
        ),
        contained(
            "sasl/scram ScramKeys::new",
            "stored_key",
            "octets of a hash, which may be any",
            |text| Ok(format!("{:?}", keys(text, KEY))),
        ),
        contained(
            "sasl/scram ScramKeys::new",
            "server_key",
            "octets of a hash, which may be any",
            |text| Ok(format!("{:?}", keys(KEY, text))),
        ),
    ]
}
