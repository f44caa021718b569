//! The end of data is answered when the application has taken the message, and not earlier. What ends it is in `end_of_data`.

use std::sync::Arc;

use mailwire::proto::server::Connection;
use mailwire::proto::{Need, Progress};

use crate::talk::{config, reply};

#[test]
fn rule_5_no_byte_says_250_before_the_application_did() {
    let mut connection = Connection::new(Arc::new(config()), None);
    let input = b"HELO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n";
    let mut start = 0;
    loop {
        match connection.receive(&input[start..]).unwrap() {
            Progress::Need {
                need: Need::Answer,
                used,
            } => {
                start += used;
                break;
            }
            Progress::Event { used, .. } | Progress::Need { used, .. } => start += used,
        }
    }
    let sent = |connection: &mut Connection| {
        let output: Vec<u8> = connection
            .transmit()
            .flat_map(|slice| slice.to_vec())
            .collect();
        connection.sent(output.len());
        String::from_utf8(output).unwrap()
    };
    assert!(sent(&mut connection).ends_with("354 End data with <CR><LF>.<CR><LF>\r\n"));
    for _ in 0..3 {
        let again = connection.receive(&input[start..]).unwrap();
        assert!(matches!(
            again,
            Progress::Need {
                used: 0,
                need: Need::Answer
            }
        ));
    }
    assert!(!connection.has_output());
    connection.answer(reply("451 4.3.0 Later").into()).unwrap();
    assert_eq!(sent(&mut connection), "451 4.3.0 Later\r\n");
}
