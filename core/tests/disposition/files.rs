//! Messages that become files, and those that nobody keeps.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::disposition::{Destination, Discard, Folder, Maildir};
use mailwire::proto::{Envelope, Protocol};
use mailwire::server::Extensions;
use tempfile::TempDir;

use crate::running::{Running, texts, wait_until};

/// A Maildir and a folder, each with a server, and where drafts and messages of it stand.
struct Case {
    name: &'static str,
    base: TempDir,
    drafts: PathBuf,
    messages: PathBuf,
    line_end: &'static str,
}

impl Case {
    fn all() -> [Self; 2] {
        [("maildir", "tmp", "new", "\n"), ("folder", "", "", "\r\n")].map(
            |(name, drafts, messages, line_end)| {
                let base = tempfile::tempdir().unwrap();
                let path = base.path().join("mail");
                Self {
                    name,
                    base,
                    drafts: path.join(drafts),
                    messages: path.join(messages),
                    line_end,
                }
            },
        )
    }

    fn path(&self) -> PathBuf {
        self.base.path().join("mail")
    }

    fn start(&self, change: impl FnOnce(&mut mailwire::server::Options)) -> Running {
        match self.name {
            "maildir" => Running::with(Maildir::create(self.path()).unwrap(), change),
            _ => Running::with(Folder::create(self.path()).unwrap(), change),
        }
    }

    /// The message with the header that final delivery adds, in lines as they are kept.
    fn kept(&self, text: &str) -> String {
        format!("Return-Path: <a@b.example>\r\n{text}").replace("\r\n", self.line_end)
    }

    fn assert_empty(&self) {
        for folder in [&self.drafts, &self.messages] {
            assert_eq!(texts(folder), [""; 0], "{}", self.name);
        }
    }
}

#[test]
fn a_message_is_a_file_for_its_owner_once_it_is_accepted() {
    for case in Case::all() {
        let running = case.start(|_| {});
        let mut talk = running.client();
        let text = "Subject: one\r\n\r\nHello.\r\n";
        assert!(talk.message(text).starts_with("250 "), "{}", case.name);
        assert_eq!(texts(&case.messages), [case.kept(text)]);
        let file = fs::read_dir(&case.messages).unwrap().next().unwrap();
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let path = file.path();
        assert!(case.name == "maildir" || path.extension().unwrap() == "eml");
        if case.name == "maildir" {
            assert_eq!(texts(&case.drafts), [""; 0]);
            assert!(case.path().join("cur").is_dir());
        }
    }
}

#[test]
fn s132_the_null_reverse_path_and_letters_outside_ascii_stand_in_front() {
    for case in Case::all() {
        let running = case.start(|_| {});
        let mut talk = running.client();
        for (path, parameter) in [("", ""), ("jürgen@b.example", " SMTPUTF8")] {
            let mail = format!("MAIL FROM:<{path}>{parameter}");
            assert!(talk.ask(&mail).starts_with("250 "));
            assert!(talk.ask("RCPT TO:<c@d.example>").starts_with("250 "));
            assert!(talk.ask("DATA").starts_with("354 "));
            assert!(talk.ask("x\r\n.").starts_with("250 "));
            let start = format!("Return-Path: <{path}>{}", case.line_end);
            let all = texts(&case.messages);
            let kept = all.iter().find(|text| text.starts_with(&start));
            let kept = kept.unwrap_or_else(|| panic!("{all:?}"));
            assert_eq!(kept.matches("Return-Path:").count(), 1);
        }
    }
}

#[test]
fn the_recipients_stand_below_where_that_is_asked_for_and_nowhere_else() {
    for case in Case::all() {
        for asked in [false, true] {
            let text = format!(
                "{}:{}?delivered_to={asked}",
                case.name,
                case.path().display()
            );
            let running = Running::with(Destination::open(&text).unwrap(), |_| {});
            let mut talk = running.client();
            assert!(
                talk.ask("MAIL FROM:<a@b.example> SMTPUTF8")
                    .starts_with("250 ")
            );
            let recipients = [
                "c@d.example",
                "\"b c\"@d.example",
                "d@bücher.example",
                "jürgen@bücher.example",
                "Postmaster",
            ];
            for recipient in recipients {
                let reply = talk.ask(&format!("RCPT TO:<{recipient}>"));
                assert!(reply.starts_with("250 "), "{reply}");
            }
            assert!(talk.ask("DATA").starts_with("354 "));
            assert!(talk.ask("Subject: one\r\n.").starts_with("250 "));
            let fields = "Delivered-To: c@d.example\r\n\
                 Delivered-To: \"b c\"@d.example\r\n\
                 Delivered-To: d@xn--bcher-kva.example\r\n\
                 Delivered-To: jürgen@bücher.example\r\n\
                 Delivered-To: Postmaster\r\n";
            let fields = if asked { fields } else { "" };
            let kept = texts(&case.messages);
            let expected = case.kept(&format!("{fields}Subject: one\r\n"));
            assert!(kept.contains(&expected), "{kept:?}");
        }
    }
}

#[test]
fn what_stands_in_front_is_not_continued_by_the_message() {
    for case in Case::all() {
        for received in [false, true] {
            let running = case.start(|options| options.set_received(received));
            let mut talk = running.client();
            talk.begin(&["c@d.example"]);
            for octet in b"\tx: y\r\n z\r\n" {
                talk.send([*octet]);
            }
            assert!(talk.ask(".").starts_with("250 "));
        }
        let texts = texts(&case.messages);
        let end = "\r\n\r\n\tx: y\r\n z\r\n".replace("\r\n", case.line_end);
        assert!(texts.iter().all(|text| text.ends_with(&end)), "{texts:?}");
        let alone = case.kept("\r\n\tx: y\r\n z\r\n");
        assert!(texts.len() == 2 && texts.contains(&alone), "{texts:?}");
    }
}

#[test]
fn the_line_of_a_mailbox_file_does_not_end_the_header() {
    let line = "From a@b.example Thu Jan  1 00:00:00 1970\r\n";
    for case in Case::all() {
        for received in [false, true] {
            let running = case.start(|options| options.set_received(received));
            let mut talk = running.client();
            talk.begin(&["c@d.example"]);
            for octet in format!("{line}Subject: s\r\n\r\nx\r\n").as_bytes() {
                talk.send([*octet]);
            }
            assert!(talk.ask(".").starts_with("250 "));
        }
        let texts = texts(&case.messages);
        let message = format!("Mailbox-Line: {line}Subject: s\r\n\r\nx\r\n");
        let end = message.replace("\r\n", case.line_end);
        assert!(texts.iter().all(|text| text.ends_with(&end)), "{texts:?}");
        let alone = case.kept(&message);
        assert!(texts.len() == 2 && texts.contains(&alone), "{texts:?}");
    }
}

#[test]
fn a_large_message_arrives_octet_by_octet_while_memory_is_short() {
    let text = "0123456789 lines of some length\r\n".repeat(100_000);
    for case in Case::all() {
        let running = case.start(|options| options.set_body_memory(10_000).unwrap());
        let mut talk = running.client();
        assert!(talk.message(&text).starts_with("250 "));
        let kept = texts(&case.messages);
        assert!(kept == [case.kept(&text)], "{}", case.name);
        assert_eq!(running.control.statistics().body_memory, 0);
    }
}

#[test]
fn a_message_that_drips_in_is_whole() {
    for case in Case::all() {
        let running = case.start(|_| {});
        let mut talk = running.client();
        talk.begin(&["c@d.example"]);
        let text = "ab\r\ncd\r\n".repeat(50);
        for octet in text.as_bytes() {
            talk.send([*octet]);
        }
        assert!(talk.ask(".").starts_with("250 "));
        assert_eq!(texts(&case.messages), [case.kept(&text)]);
    }
}

#[test]
fn what_a_client_that_stalls_has_sent_is_written_and_holds_no_memory() {
    for case in Case::all() {
        let running = case.start(|_| {});
        let mut talk = running.client();
        talk.begin(&["c@d.example"]);
        talk.send("first\r\n");
        wait_until("it is written", || {
            texts(&case.drafts) == [case.kept("first\r\n")]
        });
        wait_until("no memory is held", || {
            running.control.statistics().body_memory == 0
        });
        talk.send("second\r\n");
        assert!(talk.ask(".").starts_with("250 "));
        let kept = texts(&case.messages);
        assert_eq!(kept, [case.kept("first\r\nsecond\r\n")]);
    }
}

#[test]
fn what_does_not_come_whole_leaves_nothing() {
    for case in Case::all() {
        let running = case.start(|options| {
            options.set_max_message_size(300_000).unwrap();
        });
        // Cut before and after there is a file.
        for octets in [100, 200_000] {
            let mut talk = running.client();
            talk.begin(&["c@d.example"]);
            talk.send("x".repeat(octets));
            if octets > 100_000 {
                wait_until("a draft is written", || !texts(&case.drafts).is_empty());
            }
            talk.cut();
            wait_until("the session is over", || {
                running.control.statistics().open_sessions == 0
            });
            case.assert_empty();
        }
        let mut talk = running.client();
        talk.begin(&["c@d.example"]);
        talk.send("line\r\n".repeat(60_000));
        assert!(talk.ask(".").starts_with("552 "));
        assert!(talk.message("a bare \n LF\r\n").starts_with("554 "));
        // Given up between two chunks.
        for command in ["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"] {
            assert!(talk.ask(command).starts_with("250 "));
        }
        talk.send("BDAT 200000\r\n");
        talk.send("x".repeat(200_000));
        assert!(talk.reply().starts_with("250 "));
        assert!(talk.ask("RSET").starts_with("250 "));
        case.assert_empty();
        assert!(talk.message("good\r\n").starts_with("250 "));
    }
}

#[test]
fn a_message_that_waits_at_the_end_of_the_grace_leaves_nothing() {
    for case in Case::all() {
        let running = case.start(|options| options.set_grace(std::time::Duration::ZERO));
        let mut talk = running.client();
        talk.begin(&["c@d.example"]);
        talk.send("x".repeat(200_000));
        wait_until("a draft is written", || !texts(&case.drafts).is_empty());
        drop(running);
        case.assert_empty();
    }
}

#[test]
fn two_hundred_at_once_are_two_hundred_files() {
    for case in Case::all() {
        let running = case.start(|_| {});
        std::thread::scope(|scope| {
            for number in 0..200 {
                let running = &running;
                scope.spawn(move || {
                    let reply = running.client().message(&format!("number {number}\r\n"));
                    assert!(reply.starts_with("250 "), "{reply}");
                });
            }
        });
        let kept: HashSet<String> = texts(&case.messages).into_iter().collect();
        let sent = (0..200).map(|number| case.kept(&format!("number {number}\r\n")));
        assert!(kept == sent.collect(), "{}", case.name);
    }
}

#[test]
fn a_folder_that_is_gone_is_451_until_it_is_back() {
    for case in Case::all() {
        let running = case.start(|_| {});
        let mut talk = running.client();
        fs::remove_dir_all(case.path()).unwrap();
        for text in ["small\r\n".to_owned(), "large\r\n".repeat(50_000)] {
            assert_eq!(
                talk.message(&text),
                "451 4.3.0 Local error in processing",
                "{}",
                case.name
            );
        }
        match case.name {
            "maildir" => drop(Maildir::create(case.path()).unwrap()),
            _ => drop(Folder::create(case.path()).unwrap()),
        }
        assert!(talk.message("back\r\n").starts_with("250 "));
        assert_eq!(texts(&case.messages), [case.kept("back\r\n")]);
    }
}

#[test]
fn by_lmtp_each_recipient_gets_the_answer_and_the_file_is_one() {
    for case in Case::all() {
        let running = case.start(|options| options.set_protocol(Protocol::Lmtp));
        let mut talk = crate::running::Talk::connect(running.address);
        assert!(talk.reply().starts_with("220 "));
        assert!(talk.ask("LHLO client.example").starts_with("250-"));
        talk.begin(&["c@d.example", "e@f.example"]);
        talk.send("both\r\n.\r\n");
        for _ in 0..2 {
            assert!(talk.reply().starts_with("250 "));
        }
        assert_eq!(texts(&case.messages), [case.kept("both\r\n")]);
    }
}

#[test]
fn a_binary_message_stays_as_it_is() {
    let case = &Case::all()[0];
    let extensions = Extensions::USUAL.with(Extensions::BINARYMIME);
    let running = case.start(|options| options.set_extensions(extensions));
    let mut talk = running.client();
    assert!(
        talk.ask("MAIL FROM:<a@b.example> BODY=BINARYMIME")
            .starts_with("250 ")
    );
    assert!(talk.ask("RCPT TO:<c@d.example>").starts_with("250 "));
    talk.send("BDAT 7 LAST\r\na\r\rb\r\n\n");
    assert!(talk.reply().starts_with("250 "));
    assert_eq!(
        texts(&case.messages),
        ["Return-Path: <a@b.example>\r\na\r\rb\r\n\n"]
    );
}

#[test]
fn what_is_discarded_is_read_and_accepted() {
    let running = Running::start(Discard);
    let mut options = Options::new();
    let address = running.address;
    options
        .set_server(&address.ip().to_string(), Some(address.port()))
        .unwrap();
    let client = Client::new(options).unwrap();
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    for text in ["small\r\n".to_owned(), "large\r\n".repeat(100_000)] {
        let content = Content::bytes(text.as_bytes());
        client.send(&envelope, content, Call::default()).unwrap();
    }
    let statistics = running.control.statistics();
    assert_eq!((statistics.messages, statistics.body_memory), (2, 0));
    let mut talk = running.client();
    talk.begin(&["c@d.example"]);
    talk.send("half");
    talk.cut();
}
