//! The same session as lines of JSON, read back by a parser that is not ours.

use std::io;
use std::sync::Arc;

use mailwire::transcript::{Event, Kind, Writer};
use serde_json::Value;

use crate::server::{Behaviour, Server};
use crate::{recorded, send};

#[test]
fn every_line_of_json_is_an_event() {
    let server = Server::start(Behaviour {
        connections: 2,
        instead: vec![(
            "RCPT TO:<b",
            "250 \"quoted\" \\ back\tslash gr\u{fc}\u{df}e \x07",
        )],
        ..Behaviour::default()
    });
    let (options, buffer) = recorded(&server);
    send(&options, &["b@x.example"]).unwrap();
    for event in buffer.events() {
        let value: Value = serde_json::from_str(&event.to_json()).unwrap();
        assert_eq!(value["session"], event.session());
        let micros = u64::try_from(event.elapsed().as_micros()).unwrap();
        assert_eq!(value["microseconds"], micros);
        if let Kind::Line { from, text, hidden } = event.kind() {
            assert_eq!(value["event"], "line");
            assert_eq!(value["from"], from.name());
            assert_eq!(
                (&value["text"], &value["hidden"]),
                (&text.as_str().into(), &(*hidden).into())
            );
        }
    }
    let said = "250 \"quoted\" \\ back\tslash gr\u{fc}\u{df}e \\x07";
    let has = |event: &Event| matches!(event.kind(), Kind::Line { text, .. } if text == said);
    assert!(buffer.events().iter().any(has), "{buffer}");

    let (mut options, _) = recorded(&server);
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Writer::json(io::BufWriter::new(file.reopen().unwrap()));
    options.set_transcript(Some(Arc::new(writer)));
    send(&options, &["b@x.example"]).unwrap();
    let written = std::fs::read_to_string(file.path()).unwrap();
    let values: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(values[0]["event"], "begun");
    assert!(values[0]["unix_microseconds"].as_u64().unwrap() > 1_700_000_000_000_000);
    assert_eq!(values.last().unwrap()["event"], "closed");
    assert_eq!(values.len(), buffer.events().len());
    server.join();
}
