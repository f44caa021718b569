//! The same bytes in any segments give the same events and the same replies.
//!
//! The first octet sets the server up, the second decides what its application answers, the rest is what the client sends.

use mailwire::proto::server::Event;

use crate::random::{Random, segments as cut};
use crate::serve::{End, Server, config, tls};

/// All that came of a session, whatever the pieces of its messages were.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    events: Vec<String>,
    output: Vec<u8>,
    end: End,
}

pub(crate) fn segments(input: &[u8]) {
    let [choice, answers, rest @ ..] = input else {
        return;
    };
    // Whether something stands behind STARTTLS decides about the connection, so here it is not offered.
    let tls = choice & 0b1000_0000 != 0;
    let run = |segments: &[&[u8]]| run(choice & 0b0111_1111, tls, *answers, segments);
    let whole = run(&[rest]);
    assert_eq!(run(&cut(rest, &mut Random::of(rest))), whole, "in segments");
    if rest.len() <= 512 {
        assert_eq!(
            run(&rest.chunks(1).collect::<Vec<_>>()),
            whole,
            "octet by octet"
        );
    }
}

fn run(choice: u8, over_tls: bool, answers: u8, segments: &[&[u8]]) -> Came {
    let mut server = Server::new(config(choice), over_tls.then(tls), answers);
    let mut came = Came {
        events: Vec::new(),
        output: Vec::new(),
        end: End::Open,
    };
    let mut message = Vec::new();
    for segment in [&b""[..]].iter().chain(segments) {
        server.lend(segment, &mut |event| match event {
            Event::Body(piece) => message.extend_from_slice(piece),
            // Of a message that is dropped, more or less may have been handed out before.
            Event::Discarded => {
                message.clear();
                came.events.push("discarded".to_owned());
            }
            Event::Abandoned => {
                message.clear();
                came.events.push("abandoned".to_owned());
            }
            Event::EndOfData { size } => {
                assert_eq!(
                    *size,
                    message.len() as u64,
                    "the size is that of all pieces"
                );
                came.events
                    .push(format!("message {}", message.escape_ascii()));
                message.clear();
            }
            other => came.events.push(format!("{other:?}")),
        });
        came.output.extend(server.output());
    }
    came.end = server.end;
    came
}
