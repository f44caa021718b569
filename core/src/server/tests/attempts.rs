//! Failed logins: they slow down and lock out, and nobody else notices. And what one session may do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::talk::Talk;
use super::{Running, Scripted, Seen};
use crate::proto::{Envelope, Reply};
use crate::sasl::{Credentials, Identity, SaslError, Secret, ServerMechanism, Step, base64};
use crate::server::{Answer, Answers, Body, Handler, Hooks, Options, Server, Session, SessionInfo};
use crate::tls::ClientTls;

pub(super) const WRONG: &str = "535 5.7.8 Authentication credentials invalid";
pub(super) const RIGHT: &str = "235 2.7.0 Authentication successful";
pub(super) const OF_ACCOUNT: &str =
    "454 4.7.0 Too many failed logins to this account, try again later";
pub(super) const OF_ADDRESS: &str =
    "454 4.7.0 Too many failed logins from your address, try again later";

pub(super) fn options(settings: &[(&str, &str)]) -> impl FnOnce(&mut Options) {
    move |options| {
        options.add_user("tim", Secret::new("secret")).unwrap();
        options.add_user("kurt", Secret::new("secret")).unwrap();
        options.set_hooks(Hooks::NONE);
        for (name, value) in [
            ("allow_plaintext_auth", "true"),
            ("xclient", "127.0.0.1"),
            ("auth_delay", "0"),
            ("max_auth_failures", "100"),
        ]
        .iter()
        .chain(settings)
        {
            options.set(name, value).unwrap();
        }
    }
}

pub(super) fn encoded(text: &str) -> String {
    String::from_utf8(base64::encode(text.as_bytes()).expose().to_vec()).unwrap()
}

pub(super) fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", encoded(&format!("\0{user}\0{password}")))
}

/// A login by SCRAM with a proof that is none.
fn wrong_scram(talk: &mut Talk, user: &str) -> String {
    match scram_proof(talk, user) {
        Ok(proof) => talk.ask(&proof),
        Err(reply) => reply,
    }
}

/// An exchange of SCRAM up to the line of a proof that is none, or what it is answered before.
pub(super) fn scram_proof(talk: &mut Talk, user: &str) -> Result<String, String> {
    let first = talk.ask(&format!(
        "AUTH SCRAM-SHA-1 {}",
        encoded(&format!("n,,n={user},r=abc"))
    ));
    let Some(challenge) = first.strip_prefix("334 ") else {
        return Err(first);
    };
    let challenge = base64::decode(challenge.as_bytes()).unwrap();
    let nonce = String::from_utf8(challenge.expose().to_vec()).unwrap();
    let nonce = nonce.split(',').next().unwrap().to_owned();
    let proof = "A".repeat(27);
    Ok(encoded(&format!("c=biws,{nonce},p={proof}=")))
}

#[test]
fn s239_an_account_is_locked_at_its_edge_and_others_are_not() {
    let server = Running::with(options(&[("auth_failures_per_account", "2")]));
    let mut other = server.speaking_for("192.0.2.9");
    // Whether there is such a user is not told.
    for user in ["tim", "nobody"] {
        let mut talk = server.speaking_for("192.0.2.1");
        assert_eq!(talk.ask(&plain(user, "wrong")), WRONG);
        assert_eq!(wrong_scram(&mut talk, user), WRONG);
        let mut elsewhere = server.speaking_for("192.0.2.2");
        assert_eq!(elsewhere.ask(&plain(user, "secret")), OF_ACCOUNT);
        assert_eq!(wrong_scram(&mut elsewhere, user), OF_ACCOUNT);
        assert_eq!(elsewhere.ask(&plain(user, "wrong")), OF_ACCOUNT);
    }
    assert_eq!(other.ask(&plain("kurt", "secret")), RIGHT);
}

#[test]
fn s239_an_address_is_locked_at_its_edge_and_others_are_not() {
    let server = Running::with(options(&[("auth_failures_per_address", "2")]));
    let mut other = server.speaking_for("192.0.2.9");
    let mut talk = server.speaking_for("192.0.2.1");
    assert_eq!(talk.ask(&plain("a", "wrong")), WRONG);
    // An own account that succeeds in between takes nothing back.
    assert_eq!(
        server
            .speaking_for("192.0.2.1")
            .ask(&plain("kurt", "secret")),
        RIGHT
    );
    assert_eq!(wrong_scram(&mut talk, "b"), WRONG);
    assert_eq!(talk.ask(&plain("kurt", "secret")), OF_ADDRESS);
    assert_eq!(
        server
            .speaking_for("192.0.2.1")
            .ask(&plain("kurt", "secret")),
        OF_ADDRESS
    );
    assert_eq!(other.ask(&plain("kurt", "secret")), RIGHT);
    let told = server.statistics();
    assert_eq!(
        (told.logins, told.failed_logins, told.locked_logins),
        (2, 2, 2)
    );
}

/// Goes as far as the last line of a login that fails, and gives that.
type Guess = fn(&mut Talk) -> String;

#[test]
fn a_guess_counts_though_its_session_ends_in_a_violation_behind_it() {
    let guesses: [(&str, Guess); 3] = [
        ("PLAIN", |_| plain("tim", "wrong")),
        ("LOGIN", |talk| {
            assert!(talk.ask("AUTH LOGIN").starts_with("334 "));
            assert!(talk.ask(&encoded("tim")).starts_with("334 "));
            encoded("wrong")
        }),
        ("SCRAM", |talk| scram_proof(talk, "tim").unwrap()),
    ];
    for (name, guess) in guesses {
        for violation in ["GET ", "\x16\x03", "STARTTLS\r\nx"] {
            let (server, _) = super::tls::with_tls(options(&[
                ("auth_failures_per_account", "0"),
                ("auth_failures_per_address", "3"),
            ]));
            for _ in 0..3 {
                let mut talk = server.speaking_for("192.0.2.1");
                let line = guess(&mut talk);
                talk.send(format!("{line}\r\n{violation}"));
                assert_eq!(talk.reply(), WRONG, "{name} {violation:?}");
                // Its place is free once it has ended.
                while !talk.reply().is_empty() {}
            }
            let mut talk = server.speaking_for("192.0.2.1");
            let right = talk.ask(&plain("tim", "secret"));
            assert_eq!(right, OF_ADDRESS, "{name} {violation:?}");
            assert_eq!(server.statistics().failed_logins, 3);
        }
    }
}

#[test]
fn a_guess_counts_though_a_proxy_goes_on_with_another_client_behind_it() {
    let server = Running::with(options(&[("auth_failures_per_account", "2")]));
    let mut talk = server.speaking_for("192.0.2.1");
    for _ in 0..2 {
        let guess = plain("tim", "wrong");
        talk.send(format!("{guess}\r\nXCLIENT ADDR=192.0.2.2\r\n"));
        assert_eq!(talk.reply(), WRONG);
        assert!(talk.reply().starts_with("220 "));
        talk.ask("EHLO client.example");
    }
    assert_eq!(talk.ask(&plain("tim", "secret")), OF_ACCOUNT);
}

#[test]
fn exchanges_left_open_elsewhere_do_not_keep_a_user_out() {
    let server = Running::with(options(&[("auth_failures_per_account", "2")]));
    let mut home = server.speaking_for("192.0.2.1");
    assert_eq!(home.ask(&plain("tim", "secret")), RIGHT);
    let mut silent: Vec<Talk> = (0..2).map(|_| server.speaking_for("192.0.2.2")).collect();
    for talk in &mut silent {
        scram_proof(talk, "tim").unwrap();
    }
    let mut again = server.speaking_for("192.0.2.1");
    assert_eq!(again.ask(&plain("tim", "secret")), RIGHT);
}

#[test]
fn a_lock_ends() {
    let server = Running::with(options(&[
        ("auth_failures_per_account", "1"),
        ("auth_lockout", "3"),
    ]));
    let mut talk = server.speaking_for("192.0.2.1");
    assert_eq!(talk.ask(&plain("tim", "wrong")), WRONG);
    assert_eq!(talk.ask(&plain("tim", "secret")), OF_ACCOUNT);
    let again = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        talk.ask(&plain("tim", "secret")) == RIGHT
    });
    assert!(again);
}

/// One reply line, and after how many milliseconds of a clock that jumps.
pub(super) async fn timed(stream: &mut BufReader<TcpStream>, command: &str) -> (String, u128) {
    let begun = Instant::now();
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await
        .unwrap();
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if line.as_bytes().get(3) != Some(&b'-') {
            return (line.trim_end().to_owned(), begun.elapsed().as_millis());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_right_password_waits_as_long_as_a_wrong_one_and_nobody_else_does() {
    let mut set = Options::new();
    options(&[("auth_delay", "2")])(&mut set);
    let server = Server::bind(set).unwrap();
    let address = server.addresses()[0];
    let serving =
        tokio::spawn(server.serve_until(Scripted(Seen::default()), std::future::pending()));
    let connect = async |told: &str| {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.read_line(&mut String::new()).await.unwrap();
        timed(&mut stream, &format!("XCLIENT ADDR={told}")).await;
        timed(&mut stream, "EHLO client.example").await;
        stream
    };
    let mut talk = connect("192.0.2.1").await;
    let mut other = connect("192.0.2.9").await;
    let mut waited = Vec::new();
    for password in ["wrong", "wrong", "wrong", "wrong", "wrong", "secret"] {
        let (reply, milliseconds) = timed(&mut talk, &plain("tim", password)).await;
        assert_eq!(reply, if password == "secret" { RIGHT } else { WRONG });
        waited.push(milliseconds / 50 * 50);
    }
    assert_eq!(waited, [0, 250, 500, 1000, 2000, 2000]);
    let (reply, milliseconds) = timed(&mut other, &plain("tim", "secret")).await;
    assert_eq!((reply.as_str(), milliseconds / 50), (RIGHT, 0));
    serving.abort();
}

#[test]
fn a_session_has_its_limits_and_another_goes_on() {
    for (setting, good, bad) in [
        (
            "max_bad_commands",
            "500 5.5.1 Unknown command",
            "421 4.7.0 Too many bad commands",
        ),
        (
            "max_idle_commands",
            "250 2.0.0 OK",
            "421 4.7.0 Too many commands without mail",
        ),
        (
            "max_auth_failures",
            WRONG,
            "421 4.7.0 Too many failed authentications",
        ),
    ] {
        let server = Running::with(options(&[(setting, "3")]));
        let mut other = server.client();
        let mut talk = server.client();
        let (login, mut commands) = (plain("tim", "wrong"), 3);
        let command = match setting {
            "max_bad_commands" => "NONSENSE",
            "max_idle_commands" => "NOOP",
            _ => {
                talk.ask("EHLO client.example");
                commands = 3;
                &login
            }
        };
        for _ in 0..commands {
            assert_eq!(talk.ask(command), good, "{setting}");
        }
        assert_eq!(talk.ask(command), bad, "{setting}");
        assert!(talk.is_closed());
        assert_eq!(other.ask("NOOP"), "250 2.0.0 OK");
    }
}

/// Refuses every login, a while later, and counts them.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicU32>);

impl Handler for Slow {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Slow {
    async fn auth(&mut self, _: &SessionInfo, _: Credentials) -> Answer {
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        Answer::Reply(Reply::new(535, "no").unwrap())
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        Answers::accept()
    }
}

#[test]
fn of_fifty_logins_at_once_no_more_are_judged_than_may_fail() {
    for (setting, locked) in [
        ("auth_failures_per_account", OF_ACCOUNT),
        ("auth_failures_per_address", OF_ADDRESS),
    ] {
        let mut set = Options::new();
        set.set_hostname("mx.example.org").unwrap();
        options(&[(setting, "3"), ("connections_per_address", "100")])(&mut set);
        set.set_hooks(Hooks::AUTH);
        let judged = Slow::default();
        let server = Running::serve(set, judged.clone(), Seen::default());
        let mut all: Vec<Talk> = (0..50).map(|_| server.speaking_for("192.0.2.1")).collect();
        for talk in &mut all {
            talk.send(format!("{}\r\n", plain("guessed", "wrong")));
        }
        let replies: Vec<String> = all.iter_mut().map(Talk::reply).collect();
        let count = |text: &str| replies.iter().filter(|reply| *reply == text).count();
        assert_eq!(
            (count("535 5.0.0 no"), count(locked)),
            (3, 47),
            "{replies:?}"
        );
        assert_eq!(judged.0.load(Ordering::Relaxed), 3, "{setting}");
    }
}

/// Never comes to an end with a login.
struct Never;

impl Handler for Never {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for Never {
    async fn auth(&mut self, _: &SessionInfo, _: Credentials) -> Answer {
        std::future::pending().await
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        Answers::accept()
    }
}

/// A client that has said EHLO.
pub(super) async fn greeted(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.read_line(&mut String::new()).await.unwrap();
    timed(&mut stream, "EHLO client.example").await;
    stream
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_of_a_login_for_its_turn() {
    let mut set = Options::new();
    options(&[("auth_failures_per_account", "1"), ("grace", "60")])(&mut set);
    set.set_hooks(Hooks::AUTH);
    let server = Server::bind(set).unwrap();
    let address = server.addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let serving = tokio::spawn(server.serve_until(Never, stopped));
    let login = format!("{}\r\n", plain("nobody", "secret"));
    let mut judged = greeted(address).await;
    judged.write_all(login.as_bytes()).await.unwrap();
    let mut line = String::new();
    let told = tokio::time::timeout(Duration::from_secs(1), judged.read_line(&mut line));
    assert!(told.await.is_err(), "{line}");
    let mut waits = greeted(address).await;
    waits.write_all(login.as_bytes()).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(1), waits.read_line(&mut line));
    assert!(told.await.is_err(), "{line}");
    stop.send(()).unwrap();
    let begun = Instant::now();
    waits.read_line(&mut line).await.unwrap();
    assert_eq!(line, "421 4.3.2 Shutting down\r\n");
    assert!(begun.elapsed() < Duration::from_secs(5));
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_delay_of_a_login() {
    let mut set = Options::new();
    options(&[("auth_delay", "60"), ("grace", "50")])(&mut set);
    let server = Server::bind(set).unwrap();
    let address = server.addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let handler = Scripted(Seen::default());
    let serving = tokio::spawn(server.serve_until(handler, stopped));
    let login = format!("{}\r\n", plain("nobody", "secret"));
    let mut talk = greeted(address).await;
    let mut line = String::new();
    // Eight failures have the next one wait for half a minute.
    for _ in 0..8 {
        line.clear();
        talk.write_all(login.as_bytes()).await.unwrap();
        talk.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("535 "), "{line}");
    }
    line.clear();
    talk.write_all(login.as_bytes()).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), talk.read_line(&mut line));
    assert!(told.await.is_err(), "{line}");
    stop.send(()).unwrap();
    let begun = Instant::now();
    while talk.read_line(&mut line).await.unwrap() > 0 {}
    assert!(line.ends_with("421 4.3.2 Shutting down\r\n"), "{line}");
    serving.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn s381_an_exchange_has_the_time_of_one_command_and_its_place_is_free_then() {
    let mut set = Options::new();
    options(&[("auth_failures_per_account", "1")])(&mut set);
    let server = Server::bind(set).unwrap();
    let address = server.addresses()[0];
    let serving =
        tokio::spawn(server.serve_until(Scripted(Seen::default()), std::future::pending()));
    let mut other = greeted(address).await;
    let mut talk = greeted(address).await;
    // As long as a command may take is no part of the exchange.
    tokio::time::sleep(Duration::from_secs(200)).await;
    timed(&mut other, "NOOP").await;
    let begun = Instant::now();
    let login = timed(&mut talk, "AUTH LOGIN").await.0;
    assert!(login.starts_with("334 "), "{login}");
    tokio::time::sleep(Duration::from_secs(200)).await;
    let password = timed(&mut talk, &encoded("tim")).await.0;
    assert!(password.starts_with("334 "), "{password}");
    let mut line = String::new();
    talk.read_line(&mut line).await.unwrap();
    assert_eq!(line, "421 4.4.2 Timeout, closing the connection\r\n");
    let seconds = begun.elapsed().as_secs();
    assert!((300..=305).contains(&seconds), "{seconds}");
    // One that is counted already has less: others may wait for it.
    let mut stalls = greeted(address).await;
    let begun = Instant::now();
    let scram = format!("AUTH SCRAM-SHA-1 {}", encoded("n,,n=tim,r=abc"));
    assert!(timed(&mut stalls, &scram).await.0.starts_with("334 "));
    let mut other = greeted(address).await;
    let full = timed(&mut other, &plain("tim", "secret")).await.0;
    assert_eq!(full, "454 4.7.0 Too many logins at once, try again later");
    line.clear();
    stalls.read_line(&mut line).await.unwrap();
    assert_eq!(line, "421 4.4.2 Timeout, closing the connection\r\n");
    let seconds = begun.elapsed().as_secs();
    assert!((30..=35).contains(&seconds), "{seconds}");
    let mut other = greeted(address).await;
    assert_eq!(timed(&mut other, &plain("tim", "secret")).await.0, RIGHT);
    serving.abort();
}

/// A mechanism of an application's own: whoever says the word is kurt.
struct Word;

impl ServerMechanism for Word {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if response == b"word" {
            Ok(Step::Proven(Identity::new("kurt", None)))
        } else {
            Err(SaslError::Rejected("not the word"))
        }
    }
}

fn with_word(settings: &[(&str, &str)]) -> (Running, ClientTls) {
    super::tls::with_tls(|set| {
        options(settings)(set);
        set.add_mechanism("X-WORD", |_| Box::new(Word)).unwrap();
    })
}

pub(super) fn over_tls(server: &Running, tls: &ClientTls, address: &str) -> Talk {
    let mut talk = server.speaking_for(address);
    assert!(talk.ask("STARTTLS").starts_with("220 "));
    talk.start_tls(tls);
    talk.ask("EHLO client.example");
    talk
}

#[test]
fn an_own_mechanism_is_locked_out_and_counted_like_any_other() {
    let (server, tls) = with_word(&[("auth_failures_per_address", "3")]);
    let mut other = over_tls(&server, &tls, "192.0.2.9");
    let mut talk = over_tls(&server, &tls, "192.0.2.1");
    let (right, wrong) = (
        format!("AUTH X-WORD {}", encoded("word")),
        format!("AUTH X-WORD {}", encoded("guess")),
    );
    // In one packet too.
    talk.send(format!("{wrong}\r\n").repeat(5));
    let replies: Vec<String> = (0..5).map(|_| talk.reply()).collect();
    assert_eq!(replies, [WRONG, WRONG, WRONG, OF_ADDRESS, OF_ADDRESS]);
    assert_eq!(talk.ask(&right), OF_ADDRESS);
    assert_eq!(talk.ask(&plain("tim", "secret")), OF_ADDRESS);
    assert_eq!(other.ask(&right), RIGHT);
    let told = server.statistics();
    assert_eq!(
        (told.logins, told.failed_logins, told.locked_logins),
        (1, 3, 4)
    );
}

#[test]
fn nothing_is_left_of_an_exchange_that_was_given_up() {
    let (server, tls) = with_word(&[("auth_failures_per_account", "2")]);
    let word = format!("AUTH X-WORD {}", encoded("word"));
    let scram = format!("AUTH SCRAM-SHA-1 {}", encoded("n,,n=tim,r=abc"));
    let mut wrong = over_tls(&server, &tls, "192.0.2.1");
    assert_eq!(wrong.ask(&plain("tim", "wrong")), WRONG);
    // Neither in two packets nor in one is tim the one who has succeeded.
    for between in [true, false] {
        let mut talk = over_tls(&server, &tls, "192.0.2.1");
        assert!(talk.ask(&scram).starts_with("334 "));
        if between {
            assert!(talk.ask("*").starts_with("501 "));
            assert_eq!(talk.ask(&word), RIGHT);
        } else {
            talk.send(format!("*\r\n{word}\r\n"));
            assert!(talk.reply().starts_with("501 "));
            assert_eq!(talk.reply(), RIGHT);
        }
    }
    assert_eq!(wrong.ask(&plain("tim", "wrong")), WRONG);
    assert_eq!(wrong.ask(&plain("tim", "secret")), OF_ACCOUNT);
}
