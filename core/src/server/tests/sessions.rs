//! Commands and hooks, one session after the other and several at once.

use std::time::{Duration, Instant};

use super::super::Hooks;
use super::{
    Answer, Handler, Options, Running, ScriptedSession, Seen, Server, SessionInfo, Talk, obey,
};
use crate::error::Status;
use crate::server::tests::Scripted;

#[test]
fn every_hook_is_asked_in_order() {
    let server = Running::with(|options| options.set_hooks(Hooks::USUAL.with(Hooks::VERIFY)));
    let mut talk = server.greeted();
    assert_eq!(talk.ask("VRFY refuse"), "550 5.0.0 as you wish");
    assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"Hello\r\n..dot\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
    assert!(talk.is_closed());
    let seen = server.stop();
    assert_eq!(
        seen.all(),
        [
            "connect",
            "hello client.example",
            "verify refuse",
            "mail a@b.example hello=client.example user=-",
            "reset",
            "mail a@b.example hello=client.example user=-",
            "rcpt c@d.example",
            "message Hello\\r\\n.dot\\r\\n",
            "quit",
            "disconnect -",
        ]
    );
}

#[test]
fn hooks_that_were_not_wanted_are_not_asked() {
    let server = Running::with(|options| options.set_hooks(Hooks::NONE));
    let mut talk = server.greeted();
    assert_eq!(
        talk.ask("VRFY refuse"),
        "252 2.5.0 Cannot verify the address, but will take mail for it"
    );
    assert_eq!(
        talk.message("refuse@b.example", &["refuse@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
    assert_eq!(server.stop().all(), ["message x\\r\\n"]);
}

#[test]
fn sessions_that_are_cut_at_the_end_of_the_grace_are_counted_too() {
    let server = Running::with(|options| options.set_grace(Duration::ZERO));
    let mut talk = server.greeted();
    talk.send("MAIL FROM:<wait@b.example>\r\n");
    server.seen.wait_for("mail wait@b.example");
    let control = server.control.clone();
    server.stop();
    let told = control.statistics();
    let sessions = (told.sessions, told.open_sessions, told.sessions_shut_down);
    assert_eq!(sessions, (1, 0, 1));
    assert!(told.octets_received > 40 && told.octets_sent > 40);
}

/// Its panic takes another one along, which nobody catches who makes sessions.
struct Broken;

struct Worse;

impl Drop for Worse {
    fn drop(&mut self) {
        // A panic that prints nothing.
        std::panic::resume_unwind(Box::new(()));
    }
}

impl Handler for Broken {
    type Session = ScriptedSession;

    fn session(&self, _: &SessionInfo) -> ScriptedSession {
        std::panic::resume_unwind(Box::new(Worse))
    }
}

/// Cannot make the first session, nor the third.
struct Fickle(Seen);

impl Handler for Fickle {
    type Session = ScriptedSession;

    fn session(&self, info: &SessionInfo) -> ScriptedSession {
        if matches!(info.id(), 1 | 3) {
            // A panic that prints nothing.
            std::panic::resume_unwind(Box::new(()));
        }
        ScriptedSession(self.0.clone())
    }
}

#[test]
fn a_handler_that_panics_over_a_session_is_421_for_its_client_and_nothing_more() {
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set("proxy_protocol", "127.0.0.2").unwrap();
    options.set("connections_per_address", "2").unwrap();
    let seen = Seen::default();
    let server = Running::serve(options, Fickle(seen.clone()), seen);
    let fault = "421 4.3.0 Local error in processing";
    let mut direct = Talk::connect(server.address);
    assert_eq!(direct.reply(), fault);
    assert!(direct.is_closed());
    let mut other = server.greeted();
    let mut proxied = Talk::connect_from([127, 0, 0, 2].into(), server.address);
    proxied.send("PROXY TCP4 127.0.0.1 127.0.0.1 4660 25\r\n");
    assert_eq!(proxied.reply(), fault);
    assert!(proxied.is_closed());
    assert_eq!(
        other.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    // Their places are free again a moment later.
    let again = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        Talk::connect(server.address).reply().starts_with("220 ")
    });
    assert!(again);
    let told = server.statistics();
    assert_eq!(
        (told.sessions, told.connections_too_many_of_address),
        (2, 0)
    );
    assert_eq!(told.connections_refused_by_application, 2);
}

#[test]
fn a_handler_that_panics_where_tls_comes_first_closes_without_a_word() {
    let issued = crate::tls::test_pki::Authority::new("ours").issue(&["mx.example.org"]);
    let mut options = Options::new();
    options.set_tls(issued.server());
    options.set_implicit_tls(true);
    let seen = Seen::default();
    let server = Running::serve(options, Fickle(seen.clone()), seen);
    let mut talk = Talk::connect(server.address);
    assert_eq!(talk.reply(), "");
    assert_eq!(server.statistics().connections_refused_by_application, 1);
}

#[test]
fn a_listener_that_panics_ends_the_server_with_an_error() {
    let mut server = Running::serve(Options::new(), Broken, Seen::default());
    let _talk = Talk::connect(server.address);
    let ended = server.thread.take().unwrap().join().unwrap();
    assert_eq!(ended.unwrap_err().status(), Status::Internal);
}

#[test]
fn refusals_leave_the_session_as_it_was() {
    let server = Running::with(|_| {});
    let mut talk = server.client();
    assert_eq!(talk.ask("EHLO refuse.example"), "550 as you wish");
    assert!(talk.ask("EHLO client.example").starts_with("250-"));
    assert_eq!(
        talk.ask("MAIL FROM:<refuse@b.example>"),
        "550 5.0.0 as you wish"
    );
    assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    assert_eq!(
        talk.ask("RCPT TO:<refuse@d.example>"),
        "550 5.0.0 as you wish"
    );
    assert_eq!(talk.ask("RCPT TO:<good@d.example>"), "250 2.1.5 OK");
    assert!(talk.ask("DATA").starts_with("354"));
    assert_eq!(talk.ask("hi\r\n."), "250 2.0.0 queued");
    assert_eq!(server.statistics().refused_recipients, 1);
}

#[test]
fn pipelined_recipients_are_one_question_and_each_gets_its_own_answer() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    talk.send(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@d.example>\r\nRCPT TO:<refuse@d.example>\r\n\
         RCPT TO:<three@d.example>\r\nDATA\r\n",
    );
    let replies: Vec<String> = (0..5).map(|_| talk.reply()).collect();
    assert_eq!(
        replies,
        [
            "250 2.1.0 OK",
            "250 2.1.5 OK",
            "550 5.0.0 as you wish",
            "250 2.1.5 OK",
            "354 End data with <CR><LF>.<CR><LF>",
        ]
    );
    assert_eq!(talk.ask("x\r\n."), "250 2.0.0 queued");
    server
        .seen
        .wait_for("rcpt one@d.example refuse@d.example three@d.example");
}

#[test]
fn s211_a_hook_that_panics_over_auth_is_454() {
    let server = Running::with(|options| {
        options.set_hooks(Hooks::AUTH);
        options.set_allow_plaintext_auth(true);
    });
    let mut talk = server.greeted();
    assert_eq!(
        // panic, with the password pw
        talk.ask("AUTH PLAIN AHBhbmljAHB3"),
        "454 4.7.0 Temporary authentication failure"
    );
}

#[test]
fn a_hook_that_panics_is_451_for_its_command_and_nothing_more() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    assert_eq!(
        talk.ask("MAIL FROM:<panic@b.example>"),
        "451 4.3.0 Local error in processing"
    );
    assert_eq!(talk.ask("MAIL FROM:<crash@b.example>"), "250 2.1.0 OK");
    talk.send("RCPT TO:<panic@d.example>\r\nRCPT TO:<a@d.example>\r\n");
    assert_eq!(talk.reply(), "451 4.3.0 Local error in processing");
    assert_eq!(talk.reply(), "451 4.3.0 Local error in processing");
    assert_eq!(talk.ask("RCPT TO:<a@d.example>"), "250 2.1.5 OK");
    assert!(talk.ask("DATA").starts_with("354"));
    assert_eq!(
        talk.ask("one\r\ntwo\r\n."),
        "451 4.3.0 Local error in processing"
    );
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
}

#[test]
fn a_client_that_goes_away_ends_its_own_session_only() {
    let server = Running::with(|_| {});
    let mut other = server.greeted();
    let mut talk = server.greeted();
    assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    drop(talk);
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect 106");
    assert_eq!(
        other.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(other.ask("QUIT"), "221 2.0.0 Bye");
}

#[test]
fn domains_of_others_are_refused_without_asking() {
    let server = Running::with(|options| {
        let ours = ["ours.example", "[IPv6:2001:db8::1]"];
        options.set_domains(Some(ours.map(|domain| domain.parse().unwrap()).into()));
    });
    let mut talk = server.greeted();
    talk.send(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@theirs.example>\r\nRCPT TO:<refuse@Ours.Example>\r\n\
         RCPT TO:<c@sub.ours.example>\r\nRCPT TO:<d@ours.example>\r\nRCPT TO:<postmaster>\r\n\
         RCPT TO:<e@[ipv6:2001:DB8:0::1]>\r\nRCPT TO:<f@[IPv6:2001:db8::2]>\r\n",
    );
    let codes: Vec<String> = (0..8).map(|_| talk.reply()[..9].to_owned()).collect();
    assert_eq!(
        codes,
        [
            "250 2.1.0",
            "550 5.7.1",
            "550 5.0.0",
            "550 5.7.1",
            "250 2.1.5",
            "250 2.1.5",
            "250 2.1.5",
            "550 5.7.1"
        ]
    );
    assert_eq!(
        server.seen.wait_for("rcpt"),
        "rcpt refuse@Ours.Example d@ours.example postmaster e@[ipv6:2001:DB8:0::1]"
    );
}

#[test]
fn shutting_down_tells_the_idle_and_lets_a_transaction_finish() {
    let server = Running::with(|options| options.set_grace(Duration::from_secs(10)));
    let mut idle = server.greeted();
    let mut busy = server.greeted();
    assert_eq!(busy.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    assert_eq!(busy.ask("RCPT TO:<c@d.example>"), "250 2.1.5 OK");
    let (address, seen) = (server.address, server.seen.clone());
    let stopping = std::thread::spawn(move || server.stop());
    assert_eq!(idle.reply(), "421 4.3.2 Shutting down");
    assert!(idle.is_closed());
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "still accepting"
    );
    assert!(busy.ask("DATA").starts_with("354"));
    assert_eq!(busy.ask("x\r\n."), "250 2.0.0 queued");
    assert_eq!(busy.reply(), "421 4.3.2 Shutting down");
    assert!(busy.is_closed());
    stopping.join().unwrap();
    seen.wait_for("message x");
}

#[test]
fn what_does_not_finish_within_the_grace_is_ended() {
    let server = Running::with(|options| options.set_grace(Duration::from_millis(300)));
    let mut slow = server.greeted();
    let mut stuck = server.greeted();
    assert_eq!(slow.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    stuck.send("MAIL FROM:<wait@b.example>\r\n");
    server.seen.wait_for("mail wait");
    let begun = Instant::now();
    server.stop();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(20),
        "{took:?}"
    );
    assert_eq!(slow.reply(), "421 4.3.2 Shutting down");
    assert!(slow.is_closed() && stuck.is_closed());
}

#[test]
fn options_that_do_not_fit_together_are_refused() {
    let status = |change: fn(&mut Options)| {
        let mut options = Options::new();
        change(&mut options);
        Server::bind(options).err().map(|error| error.status())
    };
    let user = |options: &mut Options| options.set("user", "tim:pw").unwrap();
    assert_eq!(status(user), Some(Status::AuthInsecure));
    assert_eq!(
        status(|o| o.set_hooks(Hooks::AUTH)),
        Some(Status::AuthInsecure)
    );
    assert_eq!(
        status(|o| o.set_require_tls(true)),
        Some(Status::TlsConfiguration)
    );
    assert_eq!(
        status(|o| o.set_implicit_tls(true)),
        Some(Status::TlsConfiguration)
    );
    assert_eq!(
        status(|o| o.set_auth_required(true)),
        Some(Status::InvalidArgument)
    );
    assert_eq!(
        status(|o| {
            o.set("user", "tim:pw").unwrap();
            o.set_allow_plaintext_auth(true);
        }),
        None
    );
    let taken = Running::with(|_| {});
    let mut options = Options::new();
    options.listen(&taken.address.to_string()).unwrap();
    let error = Server::bind(options).unwrap_err();
    assert!(
        error.to_string().contains(&taken.address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn dropping_the_server_ends_its_sessions() {
    let server = Server::bind(Options::new()).unwrap();
    let address = server.addresses()[0];
    let serving =
        tokio::spawn(server.serve_until(Scripted(Seen::default()), std::future::pending()));
    let talk = tokio::task::spawn_blocking(move || {
        let mut talk = Talk::connect(address);
        assert!(talk.reply().starts_with("220"));
        talk
    });
    let mut talk = talk.await.unwrap();
    serving.abort();
    assert!(serving.await.is_err());
    assert!(
        tokio::task::spawn_blocking(move || talk.is_closed())
            .await
            .unwrap()
    );
    assert_eq!(obey("fine").await, Answer::Accept);
}
