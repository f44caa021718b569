//! The two sides of SCRAM, each with the RFCs' examples and with what a hostile peer might say, and both together.

use proptest::prelude::*;

use super::*;
use crate::sasl::exchange::{ClientMechanism, Found, ServerMechanism, Step, Wanted};
use crate::sasl::{
    ChannelBinding, ClientContext, Credentials, Identity, Mechanism, Nonce, SaslError, Secret,
    ServerContext, base64,
};

/// A published exchange.
struct Example {
    mechanism: Mechanism,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

/// RFC 5802 section 5 and RFC 7677 section 3: the password of `user` is `pencil`, with 4096 iterations.
const EXAMPLES: [Example; 2] = [
    Example {
        mechanism: Mechanism::ScramSha1,
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Example {
        mechanism: Mechanism::ScramSha256,
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
];

const SHA256: &Example = &EXAMPLES[1];
const EXPORTER: [u8; 32] = [9; 32];

impl Example {
    fn hash(&self) -> ScramHash {
        self.mechanism.scram_hash().unwrap()
    }

    fn client(&self) -> Client {
        let credentials = Credentials::new("user", "pencil").unwrap();
        let context = ClientContext::default().with_nonce(Nonce::of(self.client_nonce));
        Client::new(self.mechanism, self.hash(), &credentials, &context).unwrap()
    }

    fn server(&self) -> Server {
        let context = ServerContext::default().with_nonce(Nonce::of(self.server_nonce));
        Server::new(self.mechanism, self.hash(), &context).unwrap()
    }

    fn keys(&self) -> ScramKeys {
        let salt = base64::decode(self.salt.as_bytes()).unwrap();
        let password = Secret::new("pencil");
        ScramKeys::from_password(self.hash(), &password, salt.expose(), 4096).unwrap()
    }

    fn client_first(&self) -> String {
        format!("n,,n=user,r={}", self.client_nonce)
    }

    fn server_first(&self) -> String {
        let (client, server, salt) = (self.client_nonce, self.server_nonce, self.salt);
        format!("r={client}{server},s={salt},i=4096")
    }

    /// A server that waits for `client-final-message`.
    fn asked(&self, found: Found) -> Server {
        let mut server = self.server();
        let step = server.step(self.client_first().as_bytes()).unwrap();
        assert!(matches!(step, Step::Lookup(_)));
        server.found(found, &Decoy::new([1; 32])).unwrap();
        server
    }
}

fn text(secret: &Secret) -> &str {
    str::from_utf8(secret.expose()).unwrap()
}

fn challenge(step: Result<Step, SaslError>) -> Secret {
    match step.unwrap() {
        Step::Challenge(challenge) => challenge,
        step => panic!("no challenge but {step:?}"),
    }
}

#[test]
fn rfc_5802_section_5_and_rfc_7677_section_3_client() {
    for example in EXAMPLES {
        let mut client = example.client();
        let first = client.initial_response().unwrap();
        assert_eq!(text(&first), example.client_first());
        let last = client.respond(example.server_first().as_bytes()).unwrap();
        assert_eq!(text(&last), example.client_final);
        assert!(!client.is_complete(), "the server has proven nothing yet");
        let empty = client.respond(example.server_final.as_bytes()).unwrap();
        assert_eq!(empty.expose(), b"");
        assert!(client.is_complete());
        assert!(client.respond(b"").is_err());
    }
}

#[test]
fn rfc_5802_section_5_and_rfc_7677_section_3_server() {
    for example in EXAMPLES {
        let mut server = example.server();
        let Step::Lookup(lookup) = server.step(example.client_first().as_bytes()).unwrap() else {
            panic!("nobody was looked up")
        };
        assert_eq!(
            (lookup.wanted(), lookup.username()),
            (Wanted::Keys(example.hash()), "user")
        );
        let found = Found::Keys(example.keys());
        let first = challenge(server.found(found, &Decoy::new([1; 32])));
        assert_eq!(text(&first), example.server_first());
        let last = challenge(server.step(example.client_final.as_bytes()));
        assert_eq!(text(&last), example.server_final);
        let Step::Proven(identity) = server.step(b"").unwrap() else {
            panic!("not proven")
        };
        assert_eq!(identity, Identity::new("user", None));
        assert!(server.step(b"").is_err());
    }
}

#[test]
fn c115_c117_c118_a_client_refuses_what_no_honest_server_says() {
    let (nonce, salt) = (SHA256.client_nonce, SHA256.salt);
    for (challenge, reason) in [
        (format!("r={nonce},s={salt},i=4096"), "nonce"),
        (format!("r=x{nonce}x,s={salt},i=4096"), "nonce"),
        (format!("r={},s={salt},i=4096", &nonce[1..]), "nonce"),
        (format!("r={nonce}x,s={salt},i=4095"), "fewer than 4096"),
        (format!("r={nonce}x,s={salt},i=1"), "fewer than 4096"),
        (format!("r={nonce}x,s={salt},i=2000001"), "more iterations"),
        (
            format!("r={nonce}x,s={salt},i=4000000000"),
            "more iterations",
        ),
        (
            format!("r={nonce}x,s={salt},i=9999999999999999999"),
            "more iterations",
        ),
        (format!("m=x,r={nonce}x,s={salt},i=4096"), "mandatory"),
        ("e=unknown-user".to_owned(), "the server says: unknown-user"),
        (String::new(), "malformed"),
    ] {
        let mut client = SHA256.client();
        client.initial_response().unwrap();
        let before = derivations();
        let error = client.respond(challenge.as_bytes()).err().unwrap();
        assert!(error.to_string().contains(reason), "{challenge}: {error}");
        assert_eq!(derivations(), before, "nothing was derived for it");
        assert!(client.respond(SHA256.server_final.as_bytes()).is_err());
        assert!(!client.is_complete());
    }
}

#[test]
fn c115_c116_a_server_that_proves_nothing_is_not_believed() {
    let as_long = format!("v={}", base64_of(&[0; 32]));
    for last in [
        "v=",
        "v=YWJj",
        &as_long,
        "e=invalid-proof",
        "",
        EXAMPLES[0].server_final,
    ] {
        let mut client = SHA256.client();
        client.initial_response().unwrap();
        client.respond(SHA256.server_first().as_bytes()).unwrap();
        assert!(client.respond(last.as_bytes()).is_err(), "{last}");
        assert!(!client.is_complete());
        assert!(client.respond(SHA256.server_final.as_bytes()).is_err());
    }
}

#[test]
fn c119_the_flag_says_what_the_client_can_and_the_server_offers() {
    let first = |mechanism: Mechanism, binding| {
        let credentials = Credentials::new("user", "pencil").unwrap();
        let credentials = credentials.with_authorization_identity("a,b").unwrap();
        let context = ClientContext::default()
            .with_nonce(Nonce::of("abc"))
            .with_channel_binding(binding);
        let hash = mechanism.scram_hash().unwrap();
        Client::new(mechanism, hash, &credentials, &context)
            .map(|mut client| text(&client.initial_response().unwrap()).to_owned())
    };
    let bound = ChannelBinding::Exporter(EXPORTER);
    for (mechanism, binding, header) in [
        (Mechanism::ScramSha256, ChannelBinding::Impossible, "n"),
        (Mechanism::ScramSha256, ChannelBinding::NotOffered, "y"),
        (Mechanism::ScramSha256, bound, "n"),
        (Mechanism::ScramSha256Plus, bound, "p=tls-exporter"),
        (Mechanism::ScramSha1Plus, bound, "p=tls-exporter"),
    ] {
        let expected = format!("{header},a=a=2Cb,n=user,r=abc");
        assert_eq!(first(mechanism, binding), Ok(expected));
    }
    for binding in [ChannelBinding::Impossible, ChannelBinding::NotOffered] {
        assert!(first(Mechanism::ScramSha256Plus, binding).is_err());
    }
}

#[test]
fn s220_s224_a_server_refuses_what_does_not_fit() {
    let proof = &SHA256.client_final[SHA256.client_final.find(",p=").unwrap()..];
    let nonce = format!("{}{}", SHA256.client_nonce, SHA256.server_nonce);
    let wrong = Some(SaslError::Rejected("the proof is wrong"));
    for last in [
        format!("c=biws,r={nonce}x{proof}"),
        format!("c=biws,r={}{proof}", SHA256.client_nonce),
        format!("c=eSws,r={nonce}{proof}"),
        format!("c=biws,r={nonce},x=y{proof}"),
        format!("c=biws,r={nonce},p=YWJj"),
        format!("c=biws,r={nonce},p="),
        format!("c=biws,r={nonce},p={}", base64_of(&[0; 32])),
        format!("c=,r={nonce}{proof}"),
    ] {
        let mut server = SHA256.asked(Found::Keys(SHA256.keys()));
        assert_eq!(server.step(last.as_bytes()).err(), wrong, "{last}");
        assert!(server.step(SHA256.client_final.as_bytes()).is_err());
    }
    for last in [
        "",
        "c=biws",
        "c=biws,p=YWJj",
        "c=!,r=a,p=YQ==",
        "r=a,c=biws,p=YQ==",
    ] {
        let mut server = SHA256.asked(Found::Keys(SHA256.keys()));
        assert!(server.step(last.as_bytes()).is_err(), "{last}");
    }
    // The client's last line is empty.
    let mut server = SHA256.asked(Found::Keys(SHA256.keys()));
    challenge(server.step(SHA256.client_final.as_bytes()));
    assert!(server.step(b"more").is_err());
}

#[test]
fn s220_the_proof_of_another_exchange_is_none_of_this_one() {
    let hash = SHA256.hash();
    let salt = base64::decode(SHA256.salt.as_bytes()).unwrap();
    let client_key = hash.client_key(&hash.salted_password(b"pencil", salt.expose(), 4096));
    let stored_key = hash.hash(client_key.expose());
    let proves = |nonce: &str| {
        let without_proof = format!("c=biws,r={nonce}");
        let bare = SHA256.client_first().split_off("n,,".len());
        let auth_message = format!("{bare},{},{without_proof}", SHA256.server_first());
        let signature = hash.hmac(stored_key.expose(), &[auth_message.as_bytes()]);
        let proof = hash::xor(&client_key, signature.expose());
        let last = format!("{without_proof},p={}", base64_of(proof.expose()));
        let mut server = SHA256.asked(Found::Keys(SHA256.keys()));
        server.step(last.as_bytes()).is_ok()
    };
    let nonce = format!("{}{}", SHA256.client_nonce, SHA256.server_nonce);
    assert!(proves(&nonce));
    for other in [
        SHA256.client_nonce.to_owned(),
        format!("{nonce}x"),
        "abc".to_owned(),
    ] {
        assert!(!proves(&other), "{other}");
    }
}

#[test]
fn s221_nobody_looks_like_somebody_and_never_gets_in() {
    let mut server = SHA256.server();
    server.step(SHA256.client_first().as_bytes()).unwrap();
    let first = challenge(server.found(Found::Nobody, &Decoy::new([1; 32])));
    assert!(text(&first).starts_with(&format!(
        "r={}{},s=",
        SHA256.client_nonce, SHA256.server_nonce
    )));
    assert!(text(&first).ends_with(",i=4096"));
    let wrong = Some(SaslError::Rejected("the proof is wrong"));
    assert_eq!(
        server.step(SHA256.client_final.as_bytes()).err(),
        wrong,
        "the same words as for a wrong password"
    );
}

#[test]
fn s223_s227_a_server_detects_a_downgrade_and_other_bindings() {
    let step = |mechanism: Mechanism, binding: Option<[u8; 32]>, offered, header: &str| {
        let context = ServerContext::default()
            .with_nonce(Nonce::of("abc"))
            .with_channel_binding(binding, offered);
        let hash = mechanism.scram_hash().unwrap();
        let mut server = Server::new(mechanism, hash, &context).unwrap();
        server
            .step(format!("{header},,n=user,r=abc").as_bytes())
            .is_ok()
    };
    let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
    for (mechanism, binding, offered, header, taken) in [
        (plain, None, false, "n", true),
        (plain, None, false, "y", true),
        (plain, None, true, "y", true),
        (plain, Some(EXPORTER), false, "y", true),
        (plain, Some(EXPORTER), true, "y", false),
        (plain, Some(EXPORTER), true, "n", true),
        (plain, Some(EXPORTER), true, "p=tls-exporter", false),
        (plus, Some(EXPORTER), true, "p=tls-exporter", true),
        (plus, None, false, "p=tls-exporter", false),
        (plus, Some(EXPORTER), true, "p=tls-unique", false),
        (plus, Some(EXPORTER), true, "p=tls-server-end-point", false),
        (plus, Some(EXPORTER), true, "y", false),
        (plus, Some(EXPORTER), true, "n", false),
    ] {
        let result = step(mechanism, binding, offered, header);
        assert_eq!(result, taken, "{mechanism:?} {offered} {header}");
    }
}

/// Lets both sides talk. Gives whom the server believes the client to be.
fn converse(client: &mut Client, server: &mut Server, found: Found) -> Result<Identity, SaslError> {
    let decoy = Decoy::new([1; 32]);
    let first = client.initial_response().unwrap();
    let Step::Lookup(lookup) = server.step(first.expose())? else {
        panic!("nobody was looked up")
    };
    assert!(lookup.authorization_identity().is_none());
    let first = challenge(server.found(found, &decoy));
    let last = client.respond(first.expose())?;
    let Step::Challenge(last) = server.step(last.expose())? else {
        panic!("no proof of the server's")
    };
    let empty = client.respond(last.expose())?;
    assert!(client.is_complete());
    match server.step(empty.expose())? {
        Step::Proven(identity) => Ok(identity),
        step => panic!("{step:?}"),
    }
}

fn pair(
    mechanism: Mechanism,
    (username, password): (&str, &str),
    client_exporter: [u8; 32],
    server_exporter: [u8; 32],
) -> (Client, Server) {
    let hash = mechanism.scram_hash().unwrap();
    let credentials = Credentials::new(username, password).unwrap();
    let context = ClientContext::default()
        .with_nonce(Nonce::new([3; 18]))
        .with_channel_binding(ChannelBinding::Exporter(client_exporter));
    let client = Client::new(mechanism, hash, &credentials, &context).unwrap();
    let context = ServerContext::default()
        .with_nonce(Nonce::new([4; 18]))
        .with_channel_binding(Some(server_exporter), true);
    (client, Server::new(mechanism, hash, &context).unwrap())
}

#[test]
fn both_sides_agree_with_and_without_binding() {
    for mechanism in [
        Mechanism::ScramSha1,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha256Plus,
    ] {
        let (mut client, mut server) = pair(mechanism, ("tim", "pw"), EXPORTER, EXPORTER);
        let found = Found::Password(Secret::new("pw"));
        let identity = converse(&mut client, &mut server, found);
        assert_eq!(identity, Ok(Identity::new("tim", None)));
        // The wrong password fails on the server's side, and leaves nothing for the client to believe.
        let (mut client, mut server) = pair(mechanism, ("tim", "pw"), EXPORTER, EXPORTER);
        let found = Found::Password(Secret::new("PW"));
        assert!(converse(&mut client, &mut server, found).is_err());
        assert!(!client.is_complete());
    }
}

#[test]
fn a_connection_in_the_middle_breaks_the_binding() {
    let (mut client, mut server) =
        pair(Mechanism::ScramSha256Plus, ("tim", "pw"), EXPORTER, [8; 32]);
    let found = Found::Password(Secret::new("pw"));
    assert_eq!(
        converse(&mut client, &mut server, found),
        Err(SaslError::Rejected("the proof is wrong"))
    );
}

#[test]
fn s236_names_and_passwords_are_prepared_on_both_sides() {
    let (mut client, mut server) = pair(
        Mechanism::ScramSha256,
        ("\u{2168}\u{AD}", "\u{AA}\u{A0}b"),
        EXPORTER,
        EXPORTER,
    );
    let found = Found::Password(Secret::new("a b"));
    let identity = converse(&mut client, &mut server, found).unwrap();
    assert_eq!(identity.username(), "IX");
    let mut server = SHA256.server();
    assert!(server.step("n,,n=\u{AD},r=abc".as_bytes()).is_err());
}

#[test]
fn a_second_exchange_derives_nothing_again() {
    let credentials = Credentials::new("user", "pencil").unwrap();
    let mut costs = Vec::new();
    for _ in 0..2 {
        let context = ClientContext::default().with_nonce(Nonce::of(SHA256.client_nonce));
        // A clone, as each connection has one.
        let mut client = Client::new(
            SHA256.mechanism,
            SHA256.hash(),
            &credentials.clone(),
            &context,
        )
        .unwrap();
        client.initial_response().unwrap();
        let before = derivations();
        let last = client.respond(SHA256.server_first().as_bytes()).unwrap();
        assert_eq!(text(&last), SHA256.client_final);
        costs.push(derivations() - before);
    }
    assert_eq!(costs, [1, 0]);
}

fn base64_of(octets: &[u8]) -> String {
    text(&base64::encode(octets)).to_owned()
}

proptest! {
    #[test]
    fn arbitrary_messages_never_panic_and_prove_nothing(
        messages in proptest::collection::vec(prop_oneof![
            proptest::sample::select(vec![
                b"n,,n=user,r=abc".to_vec(), b"y,,n=a,r=b".to_vec(), b"c=biws,r=abcdef,p=YQ==".to_vec(), b"".to_vec(), b"v=YQ==".to_vec(),
                b"r=abcdef,s=c2FsdA==,i=4095".to_vec(), b"e=x".to_vec(),
            ]),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..6)
    ) {
        let mut server = Server::new(
            Mechanism::ScramSha256,
            ScramHash::Sha256,
            &ServerContext::default().with_nonce(Nonce::of("def")),
        ).unwrap();
        let mut client = SHA256.client();
        for message in &messages {
            match server.step(message) {
                Ok(Step::Lookup(_)) => {
                    let _ = server.found(Found::Nobody, &Decoy::new([0; 32]));
                }
                Ok(Step::Proven(_) | Step::Credentials(_)) => prop_assert!(false, "proven by nothing"),
                Ok(Step::Challenge(_)) | Err(_) => {}
            }
            let _ = client.respond(message);
            prop_assert!(!client.is_complete());
        }
    }
}
