//! What whoever runs a server is told where a disposition cannot take a message: all that is known, while the client hears next to
//! nothing and waits for nobody.

use std::fs;
use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mailwire::blocking::{Call, EventKind, Server as Queue};
use mailwire::client::Options as ClientOptions;
use mailwire::disposition::{Collect, Deliver, Destination, Disposition, Folder, Maildir, Relay};
use mailwire::proto::{Envelope, Protocol};
use mailwire::server::{Answers, Body, Handler, Hooks, Options, Session, SessionInfo};
use mailwire::{Error, Phase, Status};

use crate::relay::{next_server, restricted};
use crate::running::{Running, Talk};

const NOT_FOUND: i32 = 2;
const NO_FOLDER: i32 = 20;

const LOCAL_ERROR: &str = "451 4.3.0 Local error in processing";
const NOT_REACHED: &str = "451 4.4.1 The next server does not answer now, try again later";

/// What is kept of a fault: an error does not outlive the call.
struct Told {
    peer: String,
    status: Status,
    phase: Option<Phase>,
    errno: Option<i32>,
    is_transient: bool,
    text: String,
}

fn told(info: &SessionInfo, fault: &Error) -> Told {
    Told {
        peer: info.peer().to_owned(),
        status: fault.status(),
        phase: fault.phase(),
        errno: fault.os_errno(),
        is_transient: fault.is_transient(),
        text: fault.to_string(),
    }
}

/// A server that hands all messages to a disposition, and what it tells of faults.
fn running(
    disposition: impl Disposition,
    change: impl FnOnce(&mut Options),
) -> (Running, Receiver<Told>) {
    let (sender, receiver) = channel();
    let handler = Deliver::with_on_fault(disposition, move |info, fault| {
        sender.send(told(info, fault)).unwrap();
    });
    (Running::serving(handler, change), receiver)
}

fn next(faults: &Receiver<Told>) -> Told {
    faults.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// One message small enough to be written when it is whole, and one whose rest still comes when writing has failed.
fn messages() -> [String; 2] {
    ["small\r\n".to_owned(), "large\r\n".repeat(50_000)]
}

#[test]
fn a_maildir_that_is_gone_is_told_with_its_path_until_it_is_back() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let (running, faults) = running(Maildir::create(&path).unwrap(), |_| {});
    let mut talk = running.client();
    fs::remove_dir_all(&path).unwrap();
    for text in messages() {
        assert_eq!(talk.message(&text), LOCAL_ERROR);
        let fault = next(&faults);
        assert_eq!((fault.status, fault.errno), (Status::Io, Some(NOT_FOUND)));
        assert!(fault.peer.starts_with("127.0.0.1:"), "{}", fault.peer);
        assert!(!fault.is_transient && fault.phase.is_none());
        let place = path.join("tmp").display().to_string();
        let start = format!("maildir: cannot make a file in {place}: No such file or directory");
        assert!(fault.text.starts_with(&start), "{}", fault.text);
        assert!(
            fault.text.contains("start the server anew"),
            "{}",
            fault.text
        );
    }
    Maildir::create(&path).unwrap();
    assert!(talk.message("back\r\n").starts_with("250 "));
    fs::remove_dir_all(path.join("new")).unwrap();
    assert_eq!(talk.message("small\r\n"), LOCAL_ERROR);
    let fault = next(&faults);
    assert!(fault.text.contains("/new: "), "{}", fault.text);
    let statistics = running.control.statistics();
    assert_eq!((statistics.faults, statistics.refused_messages), (3, 3));
    assert!(faults.try_recv().is_err());
}

#[test]
fn a_file_in_the_place_of_a_folder_is_told() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let (running, faults) = running(Folder::create(&path).unwrap(), |_| {});
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "in the way").unwrap();
    assert_eq!(running.client().message("x\r\n"), LOCAL_ERROR);
    let fault = next(&faults);
    assert_eq!((fault.status, fault.errno), (Status::Io, Some(NO_FOLDER)));
    assert!(
        fault.text.starts_with("folder: cannot make a file in "),
        "{}",
        fault.text
    );
    assert!(
        fault.text.contains("in the place of the folder"),
        "{}",
        fault.text
    );
}

#[test]
fn a_collection_that_nobody_will_take_from_is_told() {
    let (collect, collection) = Collect::new();
    let (running, faults) = running(collect, |_| {});
    drop(collection);
    assert_eq!(running.client().message("x\r\n"), LOCAL_ERROR);
    let fault = next(&faults);
    assert_eq!(fault.status, Status::Closed);
    assert!(fault.text.starts_with("collect: "), "{}", fault.text);
}

/// A relay by a URL, and what it tells.
fn relaying(url: &str, protocol: Protocol) -> (Running, Receiver<Told>) {
    let mut options = ClientOptions::from_url(url).unwrap();
    options.set_protocol(protocol);
    running(Relay::new(options).unwrap(), |options| {
        restricted(options);
        options.set_protocol(protocol);
    })
}

#[test]
fn a_next_server_that_is_down_is_told_with_host_and_port() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (running, faults) = relaying(&format!("smtp://{address}"), Protocol::Smtp);
    let mut talk = running.client();
    for _ in 0..2 {
        assert_eq!(talk.message("x\r\n"), NOT_REACHED);
        let fault = next(&faults);
        assert_eq!(fault.status, Status::ConnectionRefused);
        assert_eq!(fault.phase, Some(Phase::Connect));
        assert!(fault.errno.is_some() && fault.is_transient);
        assert!(
            fault.text.starts_with(&address.to_string()),
            "{}",
            fault.text
        );
        assert!(fault.text.contains("relay: "), "{}", fault.text);
    }
    assert_eq!(running.control.statistics().faults, 2);
}

type Replies = &'static [(&'static str, &'static str)];

/// What is told of one message to two recipients, once it was answered.
fn fault_of(replies: Replies, url: &str) -> (String, Option<Told>) {
    let (address, _lines) = next_server(replies);
    let url = url.replace("HOST", &address.to_string());
    let (running, faults) = relaying(&url, Protocol::Smtp);
    let mut talk = running.client();
    talk.begin(&["c@d.example", "e@f.example"]);
    let answer = talk.ask("x\r\n.");
    // What is told comes before the session hears the next command.
    assert!(talk.ask("NOOP").starts_with("250 "));
    (answer, faults.try_recv().ok())
}

#[test]
fn what_the_next_server_says_of_the_message_or_its_recipients_is_passed_on_and_no_fault() {
    for (replies, expected) in [
        (&[][..], "250 "),
        (&[("RCPT TO:<e@", "550 5.1.1 nobody")], "550 5.1.1 nobody"),
        (&[("RCPT TO:<e@", "450 4.2.0 later")], "450 4.2.0 later"),
        (&[("MAIL", "450 4.7.1 greylisted")], "450 4.7.1 "),
        (&[("MAIL", "552 5.3.4 too big")], "552 5.3.4 "),
        (&[("DATA", "554 5.7.1 no")], "554 5.7.1 no"),
        (&[(".", "554 5.7.1 spam")], "554 5.7.1 spam"),
        (&[(".", "452 4.2.2 full")], "452 4.2.2 full"),
        (&[("EHLO", "250-n\r\n250 SIZE 1")], "552 5.3.4 "),
        (&[("EHLO", "250-n\r\n250 LIMITS RCPTMAX=1")], "452 4.5.3 "),
    ] {
        let (answer, fault) = fault_of(replies, "smtp://HOST?tls=none");
        assert!(answer.starts_with(expected), "{replies:?}: {answer}");
        assert!(fault.is_none(), "{replies:?}: {}", fault.unwrap().text);
    }
}

#[test]
fn what_it_says_of_us_is_told() {
    const PLAIN: &str = "250-n\r\n250 AUTH PLAIN";
    const STARTTLS: &str = "250-n\r\n250 STARTTLS";
    let with_login = "smtp://us:hunter2@HOST?tls=none&allow_plaintext_auth=true";
    for (url, replies, status, phase, said) in [
        (
            "smtp://HOST?tls=none",
            &[("MAIL", "553 5.7.1 not from you")][..],
            Status::Permanent,
            Phase::Mail,
            "not from you",
        ),
        (
            "smtp://HOST?tls=none",
            &[("MAIL", "530 5.7.0 log in")],
            Status::AuthRequired,
            Phase::Mail,
            "log in",
        ),
        (
            "smtp://HOST?tls=none",
            &[("MAIL", "421 4.3.2 going \u{1b}[2J")],
            Status::Transient,
            Phase::Mail,
            "going \\x1b[2J",
        ),
        (
            "smtp://HOST?tls=none",
            &[(".", "421 4.3.2 going")],
            Status::Transient,
            Phase::EndOfData,
            "going",
        ),
        (
            "smtp://HOST?tls=none",
            &[(".", "")],
            Status::ConnectionLost,
            Phase::EndOfData,
            "may or may not",
        ),
        (
            "smtp://HOST?tls=none",
            &[("EHLO", "554 5.7.1 go away"), ("HELO", "554 5.7.1 go away")],
            Status::Permanent,
            Phase::Hello,
            "go away",
        ),
        (
            with_login,
            &[("EHLO", PLAIN), ("AUTH", "535 5.7.8 wrong")],
            Status::AuthRejected,
            Phase::Auth,
            "wrong",
        ),
        (
            "smtp://HOST?tls=required",
            &[],
            Status::TlsNotOffered,
            Phase::StartTls,
            "STARTTLS",
        ),
        (
            "smtp://HOST?tls=required",
            &[("EHLO", STARTTLS), ("STARTTLS", "454 4.7.0 not now")],
            Status::TlsRefused,
            Phase::StartTls,
            "not now",
        ),
        (
            "smtp://HOST?tls=required",
            &[("EHLO", STARTTLS), ("STARTTLS", "220 go\r\nno TLS at all")],
            Status::Protocol,
            Phase::StartTls,
            "relay: ",
        ),
    ] {
        let (answer, fault) = fault_of(replies, url);
        assert!(!answer.starts_with("250"), "{replies:?}: {answer}");
        let Some(fault) = fault else {
            panic!("{replies:?}: nothing was told, {answer}");
        };
        let text = &fault.text;
        assert_eq!((fault.status, fault.phase), (status, Some(phase)), "{text}");
        assert!(text.contains(said) && text.contains("relay: "), "{text}");
        assert!(text.starts_with("127.0.0.1:"), "{text}");
        assert!(
            !text.contains(char::is_control) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[test]
fn by_lmtp_one_fault_is_told_of_a_message_and_each_recipient_has_its_answer() {
    let (address, _lines) = next_server(&[("RCPT TO:<e@", "421 4.3.2 going")]);
    let (running, faults) = relaying(&format!("lmtp://{address}?tls=none"), Protocol::Lmtp);
    let mut talk = Talk::connect(running.address);
    assert!(talk.reply().starts_with("220 "));
    assert!(talk.ask("LHLO client.example").starts_with("250-"));
    talk.begin(&["c@d.example", "e@f.example"]);
    talk.send("x\r\n.\r\n");
    talk.reply();
    assert_eq!(talk.reply(), "451 4.3.2 going");
    assert!(talk.ask("NOOP").starts_with("250 "));
    assert!(next(&faults).text.contains("421 4.3.2 going"));
    assert!(faults.try_recv().is_err());
}

#[test]
fn a_message_without_smtputf8_there_is_refused_by_what_lacks_and_not_by_words() {
    // The lacking extension is named by a reply too, which says nothing of the kind.
    for (replies, from, expected) in [
        (
            &[("EHLO", "250-n\r\n250 8BITMIME")][..],
            "<a@b.example> SMTPUTF8",
            "550 5.6.7 ",
        ),
        (
            &[("EHLO", "250-n\r\n250 SMTPUTF8")],
            "<a@b.example> SMTPUTF8",
            "550 5.6.7 ",
        ),
        (
            &[("EHLO", "250-n\r\n250 SMTPUTF8")],
            "<a@b.example> BODY=8BITMIME",
            "550 5.3.3 ",
        ),
    ] {
        let (address, _lines) = next_server(replies);
        let (running, faults) = relaying(&format!("smtp://{address}?tls=none"), Protocol::Smtp);
        let mut talk = running.client();
        talk.send(format!(
            "MAIL FROM:{from}\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
        ));
        for start in ["250 ", "250 ", "354 "] {
            assert!(talk.reply().starts_with(start));
        }
        let answer = talk.ask("caf\u{e9}\r\n.");
        assert!(answer.starts_with(expected), "{replies:?}: {answer}");
        assert!(talk.ask("NOOP").starts_with("250 ") && faults.try_recv().is_err());
    }
}

/// Hands messages to a Maildir, and has a hook for faults that never ends.
#[derive(Clone)]
struct Slow(Arc<Maildir>);

impl Handler for Slow {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Slow {
    async fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        let answers = self.0.take(info, &envelope, body).await;
        assert_eq!(answers.fault().unwrap().status(), Status::Io);
        answers
    }

    async fn fault(&mut self, _: &SessionInfo, _: Error) {
        pending::<()>().await;
    }
}

#[test]
fn the_answer_does_not_wait_for_a_hook_that_is_slow() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let maildir = Arc::new(Maildir::create(&path).unwrap());
    fs::remove_dir_all(&path).unwrap();
    let running = Running::serving(Slow(maildir), |_| {});
    let clients = messages().map(|text| {
        let mut talk = running.client();
        assert_eq!(talk.message(&text), LOCAL_ERROR);
        talk
    });
    // All others are served meanwhile.
    assert_eq!(running.client().message("x\r\n"), LOCAL_ERROR);
    drop(clients);
}

#[test]
fn a_hook_that_panics_is_over_and_the_session_goes_on() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let maildir = Maildir::create(&path).unwrap();
    fs::remove_dir_all(&path).unwrap();
    let handler = Deliver::with_on_fault(maildir, |_, _| {
        // A panic that prints nothing.
        std::panic::resume_unwind(Box::new(()));
    });
    let running = Running::serving(handler, |_| {});
    let mut talk = running.client();
    for text in messages() {
        assert_eq!(talk.message(&text), LOCAL_ERROR);
    }
    Maildir::create(&path).unwrap();
    assert!(talk.message("back\r\n").starts_with("250 "));
}

#[test]
fn a_fault_is_told_where_the_client_goes_before_its_answer() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let (running, faults) = running(Maildir::create(&path).unwrap(), |_| {});
    fs::remove_dir_all(&path).unwrap();
    let mut talk = running.client();
    talk.begin(&["c@d.example"]);
    // More than is kept in memory, and no end.
    talk.send("large\r\n".repeat(50_000));
    talk.cut();
    assert_eq!(next(&faults).errno, Some(NOT_FOUND));
    assert!(faults.recv_timeout(Duration::from_millis(50)).is_err());
}

/// A Maildir that is gone, behind the event queue.
fn queue(hooks: Hooks) -> (Queue, tempfile::TempDir) {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let destination = Destination::open(&format!("maildir:{}", path.display())).unwrap();
    fs::remove_dir_all(path).unwrap();
    let mut options = Options::new();
    options.set_hooks(hooks);
    // As many messages that are not taken as a test wants.
    options.set_max_idle_commands(u32::MAX).unwrap();
    (Queue::start_with(options, &destination).unwrap(), base)
}

fn greeted(server: &Queue) -> Talk {
    let mut talk = Talk::connect(server.addresses()[0]);
    assert!(talk.reply().starts_with("220 "));
    assert!(talk.ask("EHLO client.example").starts_with("250-"));
    talk
}

#[test]
fn behind_the_event_queue_it_is_an_event_that_informs() {
    let (server, base) = queue(Hooks::FAULT.with(Hooks::DISCONNECT));
    let mut talk = greeted(&server);
    assert_eq!(talk.message("x\r\n"), LOCAL_ERROR);
    assert_eq!(talk.message("x\r\n"), LOCAL_ERROR);
    talk.cut();
    let next = || {
        let event = server.next_event(Some(Duration::from_secs(20)), Call::default());
        event.unwrap().unwrap()
    };
    for _ in 0..2 {
        let mut event = next();
        let EventKind::Fault(fault) = event.kind() else {
            panic!("{event:?}");
        };
        assert_eq!(
            (fault.status(), fault.os_errno()),
            (Status::Io, Some(NOT_FOUND))
        );
        assert!(fault.message().contains(&base.path().display().to_string()));
        assert_eq!(event.owed(), 0);
        assert_eq!(event.session().hello_name(), Some("client.example"));
        assert_eq!(event.accept().unwrap_err().status(), Status::Misuse);
    }
    assert!(matches!(next().kind(), EventKind::Disconnect));
}

#[test]
fn where_the_queue_is_not_asked_for_it_or_is_full_only_the_numbers_tell() {
    const MOST: usize = 4096;
    for (hooks, sent, kept) in [(Hooks::NONE, 1, 0), (Hooks::FAULT, MOST + 20, MOST)] {
        let (server, _base) = queue(hooks);
        let mut talk = greeted(&server);
        let message = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 0 LAST\r\n";
        let mut left = sent;
        while left > 0 {
            let some = left.min(256);
            talk.send(message.repeat(some));
            for _ in 0..some {
                assert!(talk.reply().starts_with("250 "));
                assert!(talk.reply().starts_with("250 "));
                assert_eq!(talk.reply(), LOCAL_ERROR);
            }
            left -= some;
        }
        let statistics = server.statistics();
        assert_eq!(
            (statistics.faults, statistics.queued_events),
            (sent as u64, kept as u64)
        );
    }
}
