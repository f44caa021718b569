//! Logins that are given up, let others wait, or stand in front of something in the same packet, those of an application's own
//! mechanism, and those that nobody can judge.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::attempts::{
    OF_ACCOUNT, OF_ADDRESS, RIGHT, WRONG, encoded, greeted, options, over_tls, plain, scram_proof,
    timed,
};
use super::{Running, Scripted, Seen};
use crate::proto::{Envelope, Reply};
use crate::sasl::{
    Credentials, Found, Identity, Lookup, Mechanism, SaslError, ServerMechanism, Step,
};
use crate::server::{Answer, Answers, Body, Handler, Hooks, Options, Server, Session, SessionInfo};
use crate::tls::test_pki::Authority;

fn scram(user: &str) -> String {
    format!(
        "AUTH SCRAM-SHA-1 {}",
        encoded(&format!("n,,n={user},r=abc"))
    )
}

#[test]
fn an_exchange_that_is_given_up_counts_for_its_address_and_not_for_its_account() {
    // In all these ways; the last one by hanging up.
    for last in [Some("*"), Some("%"), Some("AAAA"), None] {
        let server = Running::with(options(&[
            ("auth_failures_per_address", "3"),
            ("auth_failures_per_account", "2"),
        ]));
        for _ in 0..3 {
            let mut talk = server.speaking_for("192.0.2.1");
            assert!(talk.ask(&scram("tim")).starts_with("334 "));
            if let Some(last) = last {
                assert!(talk.ask(last).starts_with("501 "), "{last}");
            }
            talk.finish();
            // Then it was counted.
            assert!(talk.is_closed());
        }
        let mut talk = server.speaking_for("192.0.2.1");
        assert_eq!(talk.ask(&plain("tim", "secret")), OF_ADDRESS, "{last:?}");
        let mut elsewhere = server.speaking_for("192.0.2.2");
        assert_eq!(elsewhere.ask(&plain("tim", "secret")), RIGHT);
        assert_eq!(server.statistics().failed_logins, 0);
    }
}

#[test]
fn what_was_not_looked_up_yet_is_given_up_at_no_price() {
    let server = Running::with(options(&[("auth_failures_per_address", "1")]));
    let mut talk = server.speaking_for("192.0.2.1");
    for login in ["AUTH SCRAM-SHA-1", "AUTH LOGIN", "AUTH PLAIN"] {
        assert!(talk.ask(login).starts_with("334 "));
        assert!(talk.ask("*").starts_with("501 "));
    }
    assert_eq!(talk.ask(&plain("tim", "secret")), RIGHT);
}

#[test]
fn every_failure_counts_though_a_proxy_goes_on_with_another_client_in_the_same_packet() {
    for (setting, locked) in [
        ("auth_failures_per_account", OF_ACCOUNT),
        ("auth_failures_per_address", OF_ADDRESS),
    ] {
        let server = Running::with(options(&[(setting, "2")]));
        for _ in 0..2 {
            let mut talk = server.speaking_for("192.0.2.1");
            let proof = scram_proof(&mut talk, "tim").unwrap();
            talk.send(format!("{proof}\r\nXCLIENT ADDR=192.0.2.2\r\n"));
            assert_eq!(talk.reply(), WRONG);
            assert!(talk.reply().starts_with("220 "));
        }
        let mut talk = server.speaking_for("192.0.2.1");
        assert_eq!(talk.ask(&plain("tim", "secret")), locked);
        assert_eq!(server.statistics().failed_logins, 2);
    }
    // Where nothing was asked, for what was wanted could not be.
    let server = Running::with(options(&[("auth_failures_per_address", "2")]));
    let as_another = format!("AUTH PLAIN {}", encoded("kurt\0tim\0secret"));
    let mut talk = server.speaking_for("192.0.2.1");
    talk.send(format!(
        "{as_another}\r\n{as_another}\r\nXCLIENT ADDR=192.0.2.2\r\n"
    ));
    assert_eq!((talk.reply(), talk.reply()), (WRONG.into(), WRONG.into()));
    assert!(talk.reply().starts_with("220 "));
    talk.ask("EHLO client.example");
    assert_eq!(talk.ask(&plain("tim", "secret")), RIGHT);
    let mut talk = server.speaking_for("192.0.2.1");
    assert_eq!(talk.ask(&plain("tim", "secret")), OF_ADDRESS);
}

#[test]
fn a_user_whom_a_proxy_tells_is_no_success_of_the_login_before() {
    let server = Running::with(options(&[("auth_failures_per_account", "2")]));
    let mut talk = server.speaking_for("192.0.2.1");
    assert!(talk.ask(&scram("tim")).starts_with("334 "));
    talk.send("*\r\nXCLIENT ADDR=192.0.2.2 LOGIN=kurt\r\n");
    assert!(talk.reply().starts_with("501 ") && talk.reply().starts_with("220 "));
    talk.ask("EHLO client.example");
    assert_eq!(server.statistics().logins, 0);
    // Nor is tim at home there.
    let mut talk = server.speaking_for("192.0.2.2");
    assert_eq!(talk.ask(&plain("tim", "wrong")), WRONG);
    assert_eq!(talk.ask(&plain("tim", "wrong")), WRONG);
    let mut talk = server.speaking_for("192.0.2.1");
    assert_eq!(talk.ask(&plain("tim", "secret")), OF_ACCOUNT);
}

/// A server on a clock that jumps.
fn server(settings: &[(&str, &str)], listen: Option<&str>) -> Server {
    let mut set = Options::new();
    options(settings)(&mut set);
    if let Some(listen) = listen {
        set.listen(listen).unwrap();
    }
    Server::bind(set).unwrap()
}

#[tokio::test(start_paused = true)]
async fn exchanges_that_are_left_open_and_renewed_keep_no_user_out_of_a_new_place() {
    let server = server(&[("auth_failures_per_account", "2")], None);
    let address = server.addresses()[0];
    let serving =
        tokio::spawn(server.serve_until(Scripted(Seen::default()), std::future::pending()));
    let open = || async {
        let mut stranger = greeted(address).await;
        timed(&mut stranger, "XCLIENT ADDR=192.0.2.66").await;
        timed(&mut stranger, "EHLO client.example").await;
        assert!(
            timed(&mut stranger, &scram("tim"))
                .await
                .0
                .starts_with("334 ")
        );
        stranger
    };
    let mut strangers = [open().await, open().await];
    for round in 0..4 {
        let mut owner = greeted(address).await;
        timed(&mut owner, &format!("XCLIENT ADDR=198.51.100.{round}")).await;
        timed(&mut owner, "EHLO client.example").await;
        let begun = Instant::now();
        assert_eq!(timed(&mut owner, &plain("tim", "secret")).await.0, RIGHT);
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        // The one that has lost its place is not judged any more, whatever it says.
        let (proof, _) = timed(&mut strangers[0], &encoded("proof")).await;
        assert_eq!(
            proof,
            "421 4.4.2 Others wait to log in, closing the connection"
        );
        strangers.rotate_left(1);
        strangers[1] = open().await;
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_in_a_login_that_reads_nothing_has_no_more_time_than_for_the_login() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let limits = [
        ("max_bad_commands", "100000"),
        ("max_idle_commands", "10000000"),
    ];
    let server = server(&limits, Some(&format!("unix:{}", path.display())));
    let control = server.control();
    let serving =
        tokio::spawn(server.serve_until(Scripted(Seen::default()), std::future::pending()));
    let mut talk = UnixStream::connect(&path).await.unwrap();
    // Each time the server's replies leave while the login is open, until they do not any more.
    let mut commands = "EHLO client.example\r\n".to_owned();
    let noops = "NOOP\r\n".repeat(1000);
    let is_full = async {
        loop {
            write!(commands, "{noops}{}\r\n", scram("tim")).unwrap();
            talk.write_all(commands.as_bytes()).await.unwrap();
            commands = "*\r\n".to_owned();
            // The server has done all that it can.
            sleep(Duration::from_millis(1)).await;
        }
    };
    let endless: Result<(), _> = timeout(Duration::from_secs(2), is_full).await;
    assert!(endless.is_err());
    sleep(Duration::from_secs(20)).await;
    assert_eq!(control.statistics().sessions_timed_out, 0);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(control.statistics().sessions_timed_out, 1);
    serving.abort();
}

/// A mechanism of an application's own that tells whom it is about: the client says its name and the word.
#[derive(Default)]
struct Named(Option<String>);

impl ServerMechanism for Named {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let said = String::from_utf8_lossy(response);
        let (name, word) = said.split_once(' ').unwrap_or((&said, ""));
        self.0 = Some(name.to_owned());
        if word == "word" {
            Ok(Step::Proven(Identity::new(name, None)))
        } else {
            Err(SaslError::Rejected("not the word"))
        }
    }

    fn username(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[test]
fn an_own_mechanism_that_names_its_user_counts_for_the_account() {
    let (server, tls) = super::tls::with_tls(|set| {
        options(&[("auth_failures_per_account", "3")])(set);
        set.add_mechanism("X-NAMED", |_| Box::<Named>::default())
            .unwrap();
    });
    let named = |said: &str| format!("AUTH X-NAMED {}", encoded(said));
    let mut home = over_tls(&server, &tls, "192.0.2.9");
    assert_eq!(home.ask(&named("tim word")), RIGHT);
    let mut talk = over_tls(&server, &tls, "192.0.2.1");
    // A slip of the user's own is taken back.
    assert_eq!(talk.ask(&named("tim guess")), WRONG);
    let mut again = over_tls(&server, &tls, "192.0.2.1");
    assert_eq!(again.ask(&named("tim word")), RIGHT);
    // In one packet with what changes the address too.
    let guess = named("\u{ff54}im guess");
    let mut far = over_tls(&server, &tls, "192.0.2.2");
    far.send(format!("{guess}\r\n{guess}\r\nXCLIENT ADDR=192.0.2.3\r\n"));
    assert_eq!((far.reply(), far.reply()), (WRONG.into(), WRONG.into()));
    assert!(far.reply().starts_with("220 "));
    far.ask("EHLO client.example");
    assert_eq!(far.ask(&plain("tim", "wrong")), WRONG);
    // Right and wrong are told alike, and by each mechanism.
    for said in ["tim word", "tim guess"] {
        assert_eq!(far.ask(&named(said)), OF_ACCOUNT, "{said}");
    }
    assert_eq!(far.ask(&plain("tim", "secret")), OF_ACCOUNT);
    assert_eq!(far.ask(&named("kurt word")), RIGHT);
    // Where the last login has succeeded the lock does not hold.
    let mut home = over_tls(&server, &tls, "192.0.2.9");
    assert_eq!(home.ask(&named("tim word")), RIGHT);
}

/// An application whose database is gone: it answers so, or fails over it.
#[derive(Clone, Copy)]
struct Broken {
    panics: bool,
}

impl Broken {
    fn refusal(self) -> Reply {
        if self.panics {
            // It prints nothing.
            std::panic::resume_unwind(Box::new("the database is gone"));
        }
        Reply::new(454, "later").unwrap()
    }
}

impl Handler for Broken {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        *self
    }
}

impl Session for Broken {
    async fn auth(&mut self, _: &SessionInfo, _: Credentials) -> Answer {
        Answer::Reply(self.refusal())
    }

    async fn look_up(&mut self, _: &SessionInfo, _: &Lookup) -> Result<Found, Reply> {
        Err(self.refusal())
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        Answers::accept()
    }
}

/// A mechanism that cannot reach what it judges by.
struct OutOfReach;

impl ServerMechanism for OutOfReach {
    fn step(&mut self, _: &[u8]) -> Result<Step, SaslError> {
        Err(SaslError::Unavailable)
    }
}

#[test]
fn what_nobody_could_judge_counts_for_session_and_address_and_not_for_the_account() {
    let own = format!("AUTH X-BROKEN {}", encoded("word"));
    for login in [plain("ann", "secret"), scram("ann"), own] {
        for panics in [false, true] {
            let authority = Authority::new("test");
            let mut set = Options::new();
            options(&[
                ("auth_failures_per_address", "5"),
                ("auth_failures_per_account", "2"),
                ("max_auth_failures", "3"),
            ])(&mut set);
            set.set_hostname("mx.example.org").unwrap();
            set.set_hooks(Hooks::AUTH.with(Hooks::LOOKUP));
            set.set_mechanisms(&[Mechanism::Plain, Mechanism::ScramSha1])
                .unwrap();
            set.add_mechanism("X-BROKEN", |_| Box::new(OutOfReach))
                .unwrap();
            set.set_tls(authority.issue(&["mx.example.org"]).server());
            let server = Running::serve(set, Broken { panics }, Seen::default());
            let tls = authority.client();
            let mut talk = over_tls(&server, &tls, "192.0.2.1");
            for _ in 0..3 {
                let reply = talk.ask(&login);
                assert!(reply.starts_with("454 ") && !reply.contains("Too many"));
            }
            let ended = "421 4.7.0 Too many failed authentications";
            assert_eq!(talk.ask(&login), ended);
            let mut talk = over_tls(&server, &tls, "192.0.2.1");
            for _ in 0..2 {
                let reply = talk.ask(&login);
                assert!(reply.starts_with("454 ") && !reply.contains("Too many"));
            }
            // What is refused since it is locked counts for nothing.
            for _ in 0..4 {
                assert_eq!(talk.ask(&login), OF_ADDRESS);
            }
            let mut elsewhere = over_tls(&server, &tls, "192.0.2.2");
            let reply = elsewhere.ask(&login);
            assert!(reply.starts_with("454 ") && reply != OF_ACCOUNT, "{reply}");
            let told = server.statistics();
            assert_eq!((told.failed_logins, told.locked_logins), (6, 4), "{login}");
        }
    }
}
