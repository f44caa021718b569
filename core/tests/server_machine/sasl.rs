//! AUTH with each mechanism (RFC 4954): what is offered, what is asked, and what is answered when it fails.

use mailwire::proto::server::{Closing, Config, Hooks};
use mailwire::proto::{TlsInfo, TlsVersion};
use mailwire::sasl::{
    ChannelBinding, ClientContext, ClientExchange, Credentials, Mechanism, Nonce, Secret, base64,
};

use crate::talk::{Talk, after_hello, config, greeted, reply};

pub(crate) const OK: &str = "235 2.7.0 Authentication successful";
pub(crate) const REFUSED: &str = "535 5.7.8 Authentication credentials invalid";
const EXPORTER: [u8; 32] = [6; 32];

fn everything() -> Config {
    config()
        .with_mechanisms(Mechanism::ALL)
        .with_auth_in_clear(true)
        .with_hooks(Hooks::NONE)
}

pub(crate) fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS_AES_256_GCM_SHA384").with_exporter(Some(EXPORTER))
}

/// After EHLO over TLS, and what AUTH offers there.
pub(crate) fn over_tls(config: Config, tls: TlsInfo) -> (Talk, String) {
    let mut talk = Talk::over(config, tls);
    talk.lend(b"EHLO a.example\r\n");
    let offered = std::iter::from_fn(|| talk.line())
        .find_map(|line| line.strip_prefix("250-AUTH ").map(str::to_owned));
    talk.output.clear();
    (talk, offered.unwrap_or_default())
}

/// A client for this mechanism, as `tim` with the password `pw`.
fn client(mechanism: Mechanism, credentials: &Credentials) -> ClientExchange {
    let context = ClientContext::default()
        .with_nonce(Nonce::new([1; 18]))
        .with_channel_binding(ChannelBinding::Exporter(EXPORTER));
    ClientExchange::new(mechanism, credentials, &context).unwrap()
}

pub(crate) fn tim() -> Credentials {
    Credentials::new("tim", "pw").unwrap()
}

/// Found in an exchange in which nobody is to be looked up.
const NO_LOOKUP: &str = "";

/// Lets a client talk to the machine until the exchange is over. `found` is lent when a user is looked up. Gives the last line.
fn converse(talk: &mut Talk, mut client: ClientExchange, found: &str) -> String {
    let mut command = format!("AUTH {}", client.name());
    if let Some(initial) = client.initial_response() {
        command.push(' ');
        command.push_str(&text(&base64::encode_initial_response(initial.expose())));
    }
    talk.lend(format!("{command}\r\n").as_bytes());
    for _ in 0..20 {
        match talk.event() {
            Some(event) if event == "Nonce" => talk.lend_to_mechanism("nonce"),
            Some(event) => {
                assert!(
                    event.starts_with("Lookup ") && event.ends_with(" tim") && found != NO_LOOKUP,
                    "{event}"
                );
                talk.lend_to_mechanism(found);
            }
            None => {
                let line = talk.line().expect("a reply");
                let Some(challenge) = line.strip_prefix("334 ") else {
                    assert_eq!(
                        line == OK,
                        client.is_complete() && talk.connection.user().is_some()
                    );
                    return line;
                };
                let challenge = base64::decode(challenge.as_bytes()).unwrap();
                let response = client.respond(challenge.expose()).unwrap();
                let response = text(&base64::encode(response.expose()));
                talk.lend(format!("{response}\r\n").as_bytes());
            }
        }
    }
    panic!("an endless exchange")
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

const LOOKED_UP: [Mechanism; 5] = [
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::CramMd5,
];

#[test]
fn s200_s227_s233_what_is_offered_depends_on_tls() {
    let (_, offered) = over_tls(everything(), tls());
    assert_eq!(
        offered,
        "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS"
    );
    let shown = tls()
        .with_exporter(None)
        .with_peer_certificate(Some(vec![1]));
    let (mut talk, offered) = over_tls(everything(), shown);
    assert_eq!(
        offered,
        "EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS"
    );
    let unknown = "S: 504 5.5.4 Authentication mechanism not supported";
    talk.follow(&["C: AUTH SCRAM-SHA-256-PLUS", unknown]);
    // In clear, only what shows nothing; what is bound to TLS never.
    let mut talk = Talk::new(everything().with_auth_in_clear(false));
    talk.lend(b"EHLO a.example\r\n");
    let shown = String::from_utf8(talk.output.clone()).unwrap();
    assert!(shown.contains("250-AUTH ANONYMOUS\r\n"), "{shown}");
    talk.output.clear();
    let needs_tls = "S: 538 5.7.11 Encryption required for this authentication mechanism";
    for mechanism in Mechanism::ALL.into_iter().filter(|m| m.needs_tls()) {
        talk.follow(&[&format!("C: AUTH {}", mechanism.name()), needs_tls]);
    }
    greeted(everything()).follow(&[
        "C: AUTH EXTERNAL",
        needs_tls,
        "C: AUTH SCRAM-SHA-1-PLUS",
        needs_tls,
    ]);
}

#[test]
fn s219_s220_s229_what_is_looked_up_proves_the_user() {
    for mechanism in LOOKED_UP {
        let (mut talk, _) = over_tls(everything(), tls());
        let exchange = client(mechanism, &tim());
        assert_eq!(
            converse(&mut talk, exchange, "password pw"),
            OK,
            "{mechanism:?}"
        );
        assert_eq!(talk.connection.user(), Some("tim"));
        talk.follow(&["C: AUTH PLAIN", "S: 503 5.5.1 Already authenticated"]);
    }
}

#[test]
fn s211_s221_a_wrong_password_and_nobody_are_told_the_same() {
    for mechanism in LOOKED_UP {
        let mut steps = Vec::new();
        for found in ["password other", "nobody"] {
            let (mut talk, _) = over_tls(everything(), tls());
            let exchange = client(mechanism, &tim());
            steps.push(converse(&mut talk, exchange, found));
            assert_eq!(talk.connection.user(), None);
            // The session goes on.
            talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
        }
        assert_eq!(steps, [REFUSED, REFUSED], "{mechanism:?}");
    }
}

#[test]
fn s229_the_server_proves_itself_in_a_challenge_and_waits_for_an_empty_line() {
    let mut exchange = client(Mechanism::ScramSha256, &tim());
    let first = text(&base64::encode(
        exchange.initial_response().unwrap().expose(),
    ));
    let mut talk = greeted(everything());
    talk.begin(&[
        &format!("C: AUTH SCRAM-SHA-256 {first}"),
        "E: Nonce",
        "N: Answer",
        "L: nonce",
        "E: Lookup Keys(Sha256) tim",
        "N: Answer",
        "L: password pw",
    ]);
    let mut answer = |line: String| {
        let challenge = base64::decode(line.strip_prefix("334 ").unwrap().as_bytes()).unwrap();
        let response = exchange.respond(challenge.expose()).unwrap();
        (text(&challenge), text(&base64::encode(response.expose())))
    };
    let (challenge, response) = answer(talk.line().unwrap());
    assert!(challenge.starts_with("r=AQEBAQEBAQEBAQEBAQEBAQEBAAAAAAAAAAAAAAAAAAAAAAAA,s="));
    talk.lend(format!("{response}\r\n").as_bytes());
    let (challenge, response) = answer(talk.line().unwrap());
    assert!(challenge.starts_with("v=") && response.is_empty());
    assert_eq!(talk.connection.user(), None, "the exchange is not over");
    talk.follow(&["C: ", &format!("S: {OK}")]);
    assert_eq!(talk.connection.user(), Some("tim"));
}

#[test]
fn s208_s238_what_cannot_be_an_exchange() {
    let undecodable = "S: 501 5.5.2 Cannot decode the response";
    after_hello(
        everything(),
        &[
            "C: AUTH CRAM-MD5 Zm9v",
            "E: Nonce",
            "L: nonce",
            "S: 501 5.7.0 The server speaks first in this mechanism",
            "C: AUTH CRAM-MD5",
            "E: Nonce",
            "L: nonce",
            "S: 334 PEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUBteC5leGFtcGxlLm9yZz4=",
            "C: ",
            undecodable,
            "C: AUTH SCRAM-SHA-256 YQ=",
            undecodable,
            "C: AUTH SCRAM-SHA-256",
            "E: Nonce",
            "L: nonce",
            "S: 334 ",
            "C: *",
            "S: 501 5.7.0 Authentication cancelled",
            "C: AUTH SCRAM-SHA-256 Zm9v",
            "E: Nonce",
            "L: nonce",
            undecodable,
            "C: AUTH OAUTHBEARER Zm9v",
            undecodable,
            "C: AUTH XOAUTH2 =",
            undecodable,
        ],
    );
}

#[test]
fn s222_s223_s224_what_proves_nothing_is_refused() {
    let mut talk = greeted(everything());
    for first in ["n,,m=x,n=tim,r=abc", "p=tls-exporter,,n=tim,r=abc"] {
        let line = format!(
            "C: AUTH SCRAM-SHA-256 {}",
            text(&base64::encode(first.as_bytes()))
        );
        talk.follow(&[&line, "E: Nonce", "L: nonce", &format!("S: {REFUSED}")]);
    }
    let (mut talk, _) = over_tls(everything(), tls());
    let line = format!(
        "C: AUTH SCRAM-SHA-1 {}",
        text(&base64::encode(b"y,,n=tim,r=abc"))
    );
    talk.follow(&[&line, "E: Nonce", "L: nonce", &format!("S: {REFUSED}")]);
    // A binding of another hash was offered.
    let bound = |plus| config().with_mechanisms([Mechanism::ScramSha256, plus]);
    let line = line.replace("SHA-1", "SHA-256");
    for plus in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus] {
        let (mut talk, _) = over_tls(bound(plus), tls());
        talk.follow(&[&line, "E: Nonce", "L: nonce", &format!("S: {REFUSED}")]);
        // There is nothing to bind to, so it was not.
        let (mut talk, _) = over_tls(bound(plus), tls().with_exporter(None));
        talk.follow(&[&line, "E: Nonce", "L: nonce", "E: Lookup Keys(Sha256) tim"]);
    }
    let (mut talk, _) = over_tls(bound(Mechanism::ScramSha1), tls());
    talk.follow(&[&line, "E: Nonce", "L: nonce", "E: Lookup Keys(Sha256) tim"]);
    // Failures of every kind count.
    let mut talk = greeted(everything());
    let line = format!(
        "C: AUTH SCRAM-SHA-1 {}",
        text(&base64::encode(b"n,,m=x,n=a,r=a"))
    );
    for _ in 0..3 {
        talk.follow(&[&line, "E: Nonce", "L: nonce", &format!("S: {REFUSED}")]);
    }
    talk.follow(&[
        "C: AUTH PLAIN",
        "S: 421 4.7.0 Too many failed authentications",
        "N: Close",
    ]);
}

#[test]
fn s217_an_identity_that_is_not_the_users_own_is_refused_before_anything_is_looked_up() {
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha1Plus] {
        let root = tim().with_authorization_identity("root").unwrap();
        let (mut talk, _) = over_tls(everything(), tls());
        assert_eq!(
            converse(&mut talk, client(mechanism, &root), NO_LOOKUP),
            REFUSED
        );
        let own = tim().with_authorization_identity("tim").unwrap();
        let (mut talk, _) = over_tls(everything(), tls());
        assert_eq!(
            converse(&mut talk, client(mechanism, &own), "password pw"),
            OK
        );
        let (mut talk, _) = over_tls(everything().with_other_identities(true), tls());
        assert_eq!(
            converse(&mut talk, client(mechanism, &root), "password pw"),
            OK
        );
        assert_eq!(talk.connection.user(), Some("tim"));
    }
}

#[test]
fn s211_what_cannot_be_looked_up_now() {
    let mut talk = greeted(everything());
    let first = format!(
        "C: AUTH SCRAM-SHA-1 {}",
        text(&base64::encode(b"n,,n=tim,r=abc"))
    );
    let lookup = "E: Lookup Keys(Sha1) tim";
    talk.follow(&[
        &first,
        "E: Nonce",
        "L: nonce",
        lookup,
        "A: 454 4.7.0 later",
        "S: 454 4.7.0 later",
    ]);
    talk.follow(&[
        &first,
        "E: Nonce",
        "A: 454 4.7.0 later",
        "S: 454 4.7.0 later",
    ]);
    // Nobody is let in by an answer that fits another question.
    for _ in 0..2 {
        let unfit = "S: 451 4.3.0 Local error in processing";
        talk.follow(&[&first, "E: Nonce", "L: nonce", lookup, "A: accept", unfit]);
        talk.follow(&[&first, "E: Nonce", "A: accept", unfit]);
    }
    assert_eq!(talk.connection.user(), None);
    assert!(talk.connection.lend_nonce(Nonce::new([0; 18])).is_err());
    talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
}

#[test]
fn s230_s232_a_refused_token_is_told_in_a_challenge_first() {
    for (mechanism, status) in [
        (Mechanism::OauthBearer, r#"{"status":"invalid_token"}"#),
        (Mechanism::Xoauth2, r#"{"status":"401","schemes":"bearer"}"#),
    ] {
        let credentials = Credentials::with_token("tim", "token").unwrap();
        let mut exchange = client(mechanism, &credentials);
        let initial = text(&base64::encode(
            exchange.initial_response().unwrap().expose(),
        ));
        let command = format!("C: AUTH {} {initial}", mechanism.name());
        let mut talk = greeted(everything());
        let asked = "E: Auth \"\" tim token";
        talk.follow(&[&command, asked, "A: accept", &format!("S: {OK}")]);
        assert_eq!(talk.connection.user(), Some("tim"));
        let mut talk = greeted(everything());
        let told = format!("S: 334 {}", text(&base64::encode(status.as_bytes())));
        talk.follow(&[
            &command,
            asked,
            "A: 535 5.7.8 Expired",
            &told,
            "C: AQ==",
            "S: 535 5.7.8 Expired",
            &command,
            asked,
            "A: 454 4.7.0 later",
            "S: 454 4.7.0 later",
            &command,
            asked,
            "A: 535 5.7.8 Expired",
            &told,
            "C: *",
            "S: 535 5.7.8 Expired",
        ]);
        assert_eq!(talk.connection.user(), None);
    }
}

#[test]
fn s207_s233_external_is_judged_by_the_application() {
    let shown = tls().with_peer_certificate(Some(b"abc".to_vec()));
    let (mut talk, _) = over_tls(everything(), shown.clone());
    let fingerprint = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    talk.follow(&[
        "C: AUTH EXTERNAL =",
        &format!("E: Auth \"\" {fingerprint} "),
        "A: 535 5.7.8 Unknown",
        "S: 535 5.7.8 Unknown",
        "C: AUTH EXTERNAL",
        "S: 334 ",
        "C: dGlt",
        &format!("E: Auth \"tim\" {fingerprint} "),
        "A: accept",
        &format!("S: {OK}"),
    ]);
    assert_eq!(talk.connection.user(), Some("tim"));
    let (mut talk, _) = over_tls(everything(), shown);
    talk.follow(&[
        "C: AUTH EXTERNAL =",
        &format!("E: Auth \"\" {fingerprint} "),
        "A: accept",
        &format!("S: {OK}"),
    ]);
    assert_eq!(talk.connection.user(), Some(fingerprint));
}

#[test]
fn rfc_4505_anonymous_is_a_user_of_that_name() {
    let talk = after_hello(
        everything()
            .with_auth_in_clear(false)
            .with_required_auth(true),
        &[
            "C: AUTH ANONYMOUS c2lyaGM=",
            "E: Auth \"\" sirhc ",
            "A: accept",
            &format!("S: {OK}"),
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
        ],
    );
    assert_eq!(talk.connection.user(), Some("anonymous"));
}

#[test]
fn s174_what_auth_has_proven_does_not_survive_starttls() {
    let mut talk = greeted(everything().with_starttls(true));
    assert_eq!(
        converse(
            &mut talk,
            client(Mechanism::ScramSha256, &tim()),
            "password pw"
        ),
        OK
    );
    talk.follow(&[
        "C: STARTTLS",
        "E: StartTls",
        "S: 220 2.0.0 Ready to start TLS",
        "T:",
    ]);
    assert_eq!(talk.connection.user(), None);
}

#[test]
fn a_driver_is_told_what_it_has_to_overwrite() {
    let mut talk = greeted(everything());
    let mut heard = |line: &str| {
        talk.lend(line.as_bytes());
        let once = talk.connection.heard_secret();
        assert!(!talk.connection.heard_secret(), "it is told once");
        once
    };
    assert!(!heard("NOOP\r\n"));
    assert!(!heard("AUT\r\n"));
    assert!(heard("auth PLAIN ????\r\n"));
    assert!(!heard("NOOP\r\n"));
    assert!(heard("AUTH\tLOGIN\r\n"));
    assert!(heard("dGlt\r\n"));
    assert!(heard("*\r\n"));
    assert!(!heard("NOOP AUTH\r\n"));
    // A line that is too long for a command.
    let long = format!("AUTH PLAIN {}", "A".repeat(20_000));
    assert!(heard(&long));
    assert!(heard("AAAA"));
    assert!(heard("\r\n"));
    assert!(!heard("NOOP\r\n"));
}

#[test]
fn an_exchange_is_given_up_with_the_connection() {
    let mut talk = greeted(everything());
    let first = format!(
        "C: AUTH SCRAM-SHA-1 {}",
        text(&base64::encode(b"n,,n=tim,r=abc"))
    );
    talk.follow(&[&first, "E: Nonce", "L: nonce", "E: Lookup Keys(Sha1) tim"]);
    talk.connection
        .abort(&reply("421 4.4.2 Timeout"), Closing::Limit);
    assert!(talk.connection.is_closing() && talk.connection.owed() == 0);
}
