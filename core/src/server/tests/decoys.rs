//! The salts that a server makes up for users who are not there: from what they are made, and how long they last.

use super::super::{Answers, Body, Handler, Hooks, Options, Session, SessionInfo};
use super::{Running, Seen};
use crate::proto::{Envelope, Reply};
use crate::sasl::{Found, Lookup, ScramHash, ScramKeys, Secret, base64};
use crate::tls::test_pki::{Authority, Issued};

const HEX: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn keys(password: &str) -> ScramKeys {
    ScramKeys::from_password(ScramHash::Sha256, &Secret::new(password), [1; 16], 10).unwrap()
}

/// A server whose users have keys, which are the same each time.
fn with_keys(change: impl FnOnce(&mut Options)) -> Running {
    Running::with(|options| {
        options.add_user_keys("tim", keys("right")).unwrap();
        options.set_allow_plaintext_auth(true);
        change(options);
    })
}

/// The salt that a server shows of a user.
fn salt(server: &Running, user: &str) -> String {
    let first = base64::encode(format!("n,,n={user},r=abc").as_bytes());
    let first = str::from_utf8(first.expose()).unwrap();
    let reply = server.greeted().ask(&format!("AUTH SCRAM-SHA-256 {first}"));
    let challenge = base64::decode(reply.strip_prefix("334 ").unwrap().as_bytes()).unwrap();
    let challenge = str::from_utf8(challenge.expose()).unwrap();
    let salt = challenge.split(',').find(|part| part.starts_with("s="));
    salt.unwrap().to_owned()
}

fn issued() -> Issued {
    Authority::new("ours").issue(&["mx.example.org"])
}

#[test]
fn servers_with_one_decoy_secret_make_up_one_salt_for_who_is_not_there() {
    let salt = |secret: Option<[u8; 32]>, user: &str| {
        let server = Running::with(|options| {
            options.add_user("tim", Secret::new("right")).unwrap();
            options.set_allow_plaintext_auth(true);
            if let Some(secret) = secret {
                options.set_decoy_secret(secret);
            }
        });
        salt(&server, user)
    };
    let one = salt(Some([7; 32]), "nobody");
    assert_eq!(salt(Some([7; 32]), "nobody"), one);
    assert_ne!(salt(Some([8; 32]), "nobody"), one);
    assert_ne!(salt(Some([7; 32]), "somebody"), one);
    // Of their own, no two servers without a certificate have the same.
    assert_ne!(salt(None, "nobody"), salt(None, "nobody"));
}

#[test]
fn servers_with_one_private_key_make_up_one_salt_also_after_a_stop_and_whoever_their_users_are() {
    let (ours, other) = (issued(), issued());
    let one = with_keys(|options| options.set_tls(ours.server()));
    let beside = with_keys(|options| options.set_tls(ours.server()));
    let made_up = salt(&one, "nobody");
    assert_eq!(salt(&beside, "nobody"), made_up);
    assert_ne!(salt(&one, "somebody"), made_up);
    // What a user keeps is shown as it is kept.
    assert_eq!(salt(&one, "tim"), salt(&beside, "tim"));
    one.stop();
    let again = with_keys(|options| options.set_tls(ours.server()));
    assert_eq!(salt(&again, "nobody"), made_up);
    // Who was sought before and is added then is the only one to look another way.
    let more = with_keys(|options| {
        options.set_tls(ours.server());
        options.add_user_keys("kurt", keys("also")).unwrap();
    });
    assert_eq!(salt(&more, "nobody"), made_up);
    let another = with_keys(|options| options.set_tls(other.server()));
    assert_ne!(salt(&another, "nobody"), made_up);
}

#[test]
fn only_the_first_private_key_counts_and_a_server_stays_with_what_it_began_with() {
    let (ours, other) = (issued(), issued());
    let made_up = salt(
        &with_keys(|options| options.set_tls(ours.server())),
        "nobody",
    );
    let named = ours.server();
    named
        .add_certificate("mx.example.org", &other.certificate(), &other.key())
        .unwrap();
    let named = named.asking_clients(&[other.certificate()]).unwrap();
    let server = with_keys(|options| options.set_tls(named));
    assert_eq!(salt(&server, "nobody"), made_up);
    server.control.reload_tls(other.server()).unwrap();
    assert_eq!(salt(&server, "nobody"), made_up);
    // Options whose certificate was renewed begin with the new key.
    let renewed = ours.server();
    renewed.reload(&other.certificate(), &other.key()).unwrap();
    let renewed = salt(&with_keys(|options| options.set_tls(renewed)), "nobody");
    let theirs = with_keys(|options| options.set_tls(other.server()));
    assert_eq!(salt(&theirs, "nobody"), renewed);
    assert_ne!(renewed, made_up);
}

#[test]
fn a_decoy_secret_is_set_by_name_and_comes_before_the_private_key() {
    let ours = issued();
    let by_setter = with_keys(|options| options.set_decoy_secret([7; 32]));
    let made_up = salt(&by_setter, "nobody");
    let by_name = with_keys(|options| {
        options.set_tls(ours.server());
        options.set("decoy_secret", HEX).unwrap();
    });
    assert_eq!(salt(&by_name, "nobody"), made_up);
    let mut options = Options::new();
    options.set("decoy_secret", &"aB".repeat(32)).unwrap();
    assert!(!format!("{options:?}").to_lowercase().contains("abab"));
    for wrong in [
        "",
        &HEX[1..],
        &format!("{HEX}07"),
        &format!("+{}", &HEX[1..]),
        &format!("{}\u{fc}", &HEX[2..]),
    ] {
        let error = options.set("decoy_secret", wrong).unwrap_err();
        assert_eq!(
            error.message(),
            "decoy_secret: 64 hexadecimal digits are wanted, which are 32 random octets"
        );
    }
}

/// Looks users up: tim has keys, and nobody else is there.
struct LookingUp;

impl Handler for LookingUp {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for LookingUp {
    async fn look_up(&mut self, _: &SessionInfo, lookup: &Lookup) -> Result<Found, Reply> {
        match lookup.username() {
            "tim" => Ok(Found::Keys(keys("right"))),
            _ => Ok(Found::Nobody),
        }
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        Answers::accept()
    }
}

#[test]
fn where_users_are_looked_up_a_decoy_secret_and_a_private_key_count_too() {
    let ours = issued();
    let server = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new();
        options.set_hostname("mx.example.org").unwrap();
        options.set_allow_plaintext_auth(true);
        options.set_hooks(Hooks::LOOKUP);
        change(&mut options);
        Running::serve(options, LookingUp, Seen::default())
    };
    let salt = |change: &dyn Fn(&mut Options)| salt(&server(change), "nobody");
    let secret = |options: &mut Options| options.set("decoy_secret", HEX).unwrap();
    let key = |options: &mut Options| options.set_tls(ours.server());
    assert_eq!(salt(&secret), salt(&secret));
    assert_eq!(salt(&key), salt(&key));
    assert_ne!(salt(&key), salt(&secret));
    assert_ne!(salt(&|_| {}), salt(&|_| {}));
}
