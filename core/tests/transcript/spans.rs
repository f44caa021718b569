//! What `tracing` is told: spans for connections and messages, with their fields, and nothing that is a secret.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, OnRefused, Request};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::logins::{PASSWORD, log_in, offering};
use crate::server::{Behaviour, Server, Tls};
use crate::{MESSAGE, envelope, recorded, send};

/// Writes down all that it is told, up to a level.
#[derive(Clone)]
struct Told {
    most: Level,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Name and fields of each span; its number is its place, counted from 1.
    spans: Vec<String>,
    /// How many handles there are of each.
    handles: Vec<usize>,
    /// Level, name of the span and fields.
    events: Vec<String>,
    entered: usize,
}

impl Told {
    fn new(most: Level) -> Self {
        Self {
            most,
            state: Arc::default(),
        }
    }

    fn spans(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        assert!(state.handles.iter().all(|&handles| handles == 0), "open");
        assert_eq!(state.entered, 0);
        state.spans.clone()
    }

    fn events(&self) -> Vec<String> {
        self.state.lock().unwrap().events.clone()
    }
}

struct Fields<'f>(&'f mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, " {value:?}").unwrap();
        } else {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "mailwire" && *metadata.level() <= self.most
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut state = self.state.lock().unwrap();
        let mut text = span.metadata().name().to_owned();
        span.record(&mut Fields(&mut text));
        state.spans.push(text);
        state.handles.push(1);
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut state = self.state.lock().unwrap();
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Fields(&mut state.spans[at]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap();
        let parent = event.parent().map(|id| {
            let at = usize::try_from(id.into_u64()).unwrap() - 1;
            state.spans[at].split(' ').next().unwrap().to_owned()
        });
        let mut text = format!(
            "{} {}:",
            event.metadata().level(),
            parent.unwrap_or_default()
        );
        event.record(&mut Fields(&mut text));
        state.events.push(text);
    }

    fn enter(&self, _: &Id) {
        self.state.lock().unwrap().entered += 1;
    }

    fn exit(&self, _: &Id) {
        self.state.lock().unwrap().entered -= 1;
    }

    fn clone_span(&self, span: &Id) -> Id {
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        self.state.lock().unwrap().handles[at] += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        let mut state = self.state.lock().unwrap();
        state.handles[at] -= 1;
        state.handles[at] == 0
    }
}

/// What is told of some work, as one text.
pub(crate) fn told_of<T>(work: impl FnOnce() -> T) -> (T, String) {
    let told = Told::new(Level::TRACE);
    let done = with_default(told.clone(), work);
    let all = [told.spans(), told.events()].concat();
    (done, all.join("\n"))
}

#[test]
fn a_connection_and_each_message_are_spans_with_fields() {
    let mut behaviour = offering(mailwire::sasl::Mechanism::Plain, true, false);
    behaviour.tls = Tls::Offered;
    let server = Server::start(behaviour);
    // Nobody records, but for the subscriber.
    let (mut options, _) = recorded(&server);
    options.set_transcript(None);
    log_in(&mut options, mailwire::sasl::Mechanism::Plain);
    options.set_tls(mailwire::tls::TlsPolicy::Required);
    options.set_on_refused(OnRefused::RaiseIfAny);
    let told = Told::new(Level::DEBUG);
    with_default(told.clone(), || {
        let client = Client::new(options).unwrap();
        for (to, taken) in [
            (&["a@x.example"][..], true),
            (&["a@x.example", "no@x.example"], false),
        ] {
            let content = Content::bytes(MESSAGE);
            let sent = client.send(&envelope(to), content, Call::default());
            assert_eq!(sent.is_ok(), taken);
        }
    });
    let peer = format!("\"127.0.0.1:{}\"", server.port);
    server.join();
    let spans = told.spans();
    let number = spans[0].split(' ').nth(1).unwrap();
    assert_eq!(
        spans,
        [
            format!("connection {number} peer={peer} tls=\"TLSv1.3\""),
            format!("message {number} recipients=1 delivery=\"accepted\" queue_id=\"ABC1\""),
            format!("message {number} recipients=2 delivery=\"partial\" queue_id=\"ABC1\""),
        ]
    );
    let events = told.events();
    let has = |start: &str| {
        events
            .iter()
            .filter(|event| event.starts_with(start))
            .count()
    };
    for (start, times) in [
        ("DEBUG connection: connecting to 127.0.0.1:", 1),
        ("DEBUG connection: connected to 127.0.0.1:", 1),
        ("DEBUG connection: TLSv1.3 ", 1),
        ("DEBUG connection: logged in by PLAIN", 1),
        ("INFO message: sent", 1),
        (
            "DEBUG message: a recipient to=no@x.example delivery=\"refused\" reply=\"550 5.1.1 no such user\"",
            1,
        ),
        ("INFO message: not sent: the recipient no@x.example", 1),
        (
            "INFO connection: error: RCPT TO: the recipient no@x.example",
            1,
        ),
        ("DEBUG connection: closed by the client", 1),
        ("TRACE", 0),
    ] {
        assert_eq!(has(start), times, "{start}\n{events:#?}");
    }
}

#[test]
fn lines_are_told_to_those_who_want_them_without_secrets() {
    let server = Server::start(offering(mailwire::sasl::Mechanism::Plain, true, true));
    let (mut options, _) = recorded(&server);
    options.set_transcript(None);
    log_in(&mut options, mailwire::sasl::Mechanism::Plain);
    let (sent, told) = told_of(|| send(&options, &["a@x.example"]));
    sent.unwrap();
    server.join();
    for line in [
        "TRACE connection: AUTH PLAIN from=\"client\" hidden=24",
        "TRACE connection: MAIL FROM:<me@example.org> from=\"client\" hidden=0",
        "TRACE connection: [31 octets of the message] from=\"client\" octets=31",
        "TRACE connection: 250 2.0.0 ok *** ",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains(PASSWORD), "{told}");
}

#[test]
fn a_connection_that_is_replaced_is_told() {
    let server = Server::start(Behaviour {
        connections: 2,
        instead: vec![("MAIL FROM:<me@example.org> SIZE", "CUT")],
        offers: vec!["SIZE"],
        ..Behaviour::default()
    });
    let (mut options, _) = recorded(&server);
    options.set_transcript(None);
    let ((), told) = told_of(|| {
        let client = Client::new(options).unwrap();
        client.ask(Request::Noop, Call::default()).unwrap();
        let content = Content::bytes(MESSAGE);
        // The other one hangs up too, and that is the caller's to know.
        let sent = client.send(&envelope(&["a@x.example"]), content, Call::default());
        sent.unwrap_err();
    });
    server.join();
    assert_eq!(
        told.matches("a kept connection is replaced: ").count(),
        1,
        "{told}"
    );
    assert_eq!(
        told.matches("\nconnection session=").count() + 1,
        2,
        "{told}"
    );
    assert!(told.contains("delivery=\"not tried\""), "{told}");
}

#[test]
fn a_subscriber_that_wants_none_of_it_has_no_spans() {
    let server = Server::start(Behaviour::default());
    let (mut options, _) = recorded(&server);
    options.set_transcript(None);
    let told = Told::new(Level::ERROR);
    with_default(told.clone(), || send(&options, &["a@x.example"])).unwrap();
    server.join();
    assert!(told.spans().is_empty() && told.events().is_empty());
}

#[test]
fn a_message_that_a_disposition_cannot_take_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    let disposition = mailwire::disposition::Folder::create(&path).unwrap();
    std::fs::remove_dir(&path).unwrap();
    let server = mailwire::server::Server::bind(mailwire::server::Options::new()).unwrap();
    let port = server.addresses()[0].port();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let told = Told::new(Level::WARN);
    with_default(told.clone(), || {
        runtime.block_on(async {
            let (done, stop) = tokio::sync::oneshot::channel();
            // On a thread of its own nothing of it is told here.
            let client = std::thread::spawn(move || {
                let mut options = mailwire::client::Options::new();
                options.set_server("127.0.0.1", Some(port)).unwrap();
                let client = Client::new(options).unwrap();
                let sent = client.send(
                    &envelope(&["a@x.example"]),
                    Content::bytes(MESSAGE),
                    Call::default(),
                );
                done.send(()).unwrap();
                sent.unwrap_err().reply().unwrap().code()
            });
            let handler = mailwire::disposition::Deliver::new(disposition);
            let stop = async { stop.await.unwrap() };
            server.serve_until(handler, stop).await.unwrap();
            assert_eq!(client.join().unwrap(), 451);
        });
    });
    let events = told.events();
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(
        event.starts_with("WARN : a message was not taken: folder: "),
        "{event}"
    );
    assert!(event.contains(&path.display().to_string()) && event.contains(" status=100"));
}
