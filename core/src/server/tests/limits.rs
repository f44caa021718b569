//! Limits: connections, time, rates, lines, recipients.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::super::{Hooks, Options, Server};
use super::attempts::{greeted, timed};
use super::{Running, Scripted, Talk};

#[test]
fn too_many_connections_are_turned_away() {
    let server = Running::with(|options| {
        options.set_max_connections(3).unwrap();
        options.set_connections_per_address(2).unwrap();
    });
    let one = server.greeted();
    let _two = server.greeted();
    let mut three = Talk::connect(server.address);
    assert_eq!(
        three.reply(),
        "421 4.7.0 Too many connections from your address"
    );
    assert!(three.is_closed());
    assert_eq!(server.statistics().connections_too_many_of_address, 1);
    assert_eq!(server.statistics().open_sessions, 2);
    drop(one);
    server.seen.wait_for("disconnect");
    // The place is free a moment later.
    let again = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        Talk::connect(server.address).reply().starts_with("220")
    });
    assert!(again);
}

#[test]
fn s033_a_server_that_is_full_greets_with_421() {
    let server = Running::with(|options| options.set_max_connections(1).unwrap());
    let _one = server.greeted();
    let mut two = Talk::connect(server.address);
    assert_eq!(two.reply(), "421 4.3.2 Too many connections");
    assert!(two.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_told_and_left() {
    let server = Server::bind(Options::new()).unwrap();
    let (address, control) = (server.addresses()[0], server.control());
    let seen = super::Seen::default();
    let handler = Scripted(seen.clone());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    let mut talk = greeted(address).await;
    // Each command begins anew.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(timed(&mut talk, "NOOP").await.0, "250 2.0.0 OK");
    }
    let begun = tokio::time::Instant::now();
    let mut said = String::new();
    talk.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "421 4.4.2 Timeout, closing the connection\r\n");
    let seconds = begun.elapsed().as_secs();
    assert!((299..=301).contains(&seconds), "{seconds}");
    // The end of the session comes behind that of the connection.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(seen.all().last().unwrap(), "disconnect 102");
    let told = control.statistics();
    assert_eq!((told.sessions_timed_out, told.sessions_lost), (1, 0));
    assert!(told.octets_received >= 4 * 6 && told.octets_sent > told.octets_received);
    serving.abort();
}

/// Says `start`, and then one octet every ten seconds of a clock that jumps. Gives the server's last reply, and the seconds until it
/// closed.
async fn drip(start: &[u8]) -> (String, u64) {
    drip_then(start, 1000, b"").await
}

/// The same, with something to say behind so many octets.
async fn drip_then(start: &[u8], octets: usize, last: &[u8]) -> (String, u64) {
    let server = Server::bind(Options::new()).unwrap();
    let address = server.addresses()[0];
    let handler = Scripted(super::Seen::default());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    let stream = TcpStream::connect(address).await.unwrap();
    // Each octet at once: the clock that jumps does not wait for the network's own delays.
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(start).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut said = Vec::new();
    for _ in 0..octets {
        let reading = reader.read_to_end(&mut said);
        if tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .is_ok()
        {
            break;
        }
        writer.write_all(b"x").await.unwrap();
    }
    // Where the server has closed already, it hears nothing of it, and there is nothing to read.
    let _ = writer.write_all(last).await;
    let _ = reader.read_to_end(&mut said).await;
    let seconds = begun.elapsed().as_secs();
    serving.abort();
    let said = String::from_utf8(said).unwrap();
    (said.lines().last().unwrap_or_default().to_owned(), seconds)
}

#[tokio::test(start_paused = true)]
async fn s381_a_command_that_drips_has_the_time_of_one_command() {
    for start in [
        &b"NOOP "[..],
        // An over-long line is no way around it.
        &[b'x'; 5000],
        b"NOOP\r\nNOOP ",
    ] {
        let (reply, seconds) = drip(start).await;
        assert_eq!(reply, "421 4.4.2 Timeout, closing the connection");
        assert!((300..=310).contains(&seconds), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn s375_a_proxy_has_ten_seconds_for_its_header() {
    let mut options = Options::new();
    options.set("proxy_protocol", "127.0.0.1").unwrap();
    let server = Server::bind(options).unwrap();
    let address = server.addresses()[0];
    let handler = Scripted(super::Seen::default());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    for dripping in [false, true] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let begun = tokio::time::Instant::now();
        let mut said = Vec::new();
        for octet in b"PROXY UNKNOWN no end in sight" {
            if dripping {
                stream.write_all(&[*octet]).await.unwrap();
            }
            let reading = stream.read_to_end(&mut said);
            let second = Duration::from_secs(1);
            if tokio::time::timeout(second, reading).await.is_ok() {
                break;
            }
        }
        let seconds = begun.elapsed().as_secs();
        assert!((9..=11).contains(&seconds), "{seconds}");
        assert_eq!(said, b"");
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn s382_a_message_that_drips_is_below_the_least_rate() {
    let start = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    let (reply, seconds) = drip(start).await;
    assert_eq!(reply, "421 4.4.2 Too slow, closing the connection");
    assert!((60..=70).contains(&seconds), "{seconds}");
    // Who was quick before is given more, but no more than minutes.
    let quick = [start, &b"0123456789 0123456789\r\n".repeat(40_000)[..]].concat();
    let (reply, seconds) = drip(&quick).await;
    assert_eq!(reply, "421 4.4.2 Too slow, closing the connection");
    assert!((290..=310).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn s380_between_two_chunks_a_command_is_waited_for_as_elsewhere() {
    let server = Server::bind(Options::new()).unwrap();
    let address = server.addresses()[0];
    let handler = Scripted(super::Seen::default());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let start = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
    stream.write_all(start.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // More than the time that a message has to begin with, for who sends as much as is wanted in the mean.
    let chunk = "x\r\n".repeat(7000);
    let command = format!("BDAT {}\r\n{chunk}", chunk.len());
    for _ in 0..3 {
        stream.write_all(command.as_bytes()).await.unwrap();
        let reading = stream.read_to_end(&mut said);
        let waited = tokio::time::timeout(Duration::from_secs(280), reading).await;
        assert!(waited.is_err(), "{}", String::from_utf8_lossy(&said));
    }
    // Who sends less has that time once.
    stream.write_all(b"BDAT 3\r\nx\r\n").await.unwrap();
    let begun = tokio::time::Instant::now();
    stream.read_to_end(&mut said).await.unwrap();
    let seconds = begun.elapsed().as_secs();
    assert!((19..=22).contains(&seconds), "{seconds}");
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.ends_with("421 4.4.2 Too slow, closing the connection\r\n"),
        "{said}"
    );
    serving.abort();
    // And a command has as much as any, however it comes.
    let one_chunk = format!("{start}BDAT 3\r\nx\r\n");
    for (octets, last) in [(0, &b""[..]), (1000, b"")] {
        let (reply, seconds) = drip_then(one_chunk.as_bytes(), octets, last).await;
        assert_eq!(reply, "421 4.4.2 Timeout, closing the connection");
        assert!((299..=310).contains(&seconds), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn s382_a_chunk_that_is_refused_has_a_time_of_its_own() {
    // Patience for minutes is earned before it, by a message.
    let text = "0123456789 0123456789\r\n".repeat(40_000);
    let start = format!(
        "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT {} LAST\r\n{text}BDAT 1000 LAST\r\n",
        text.len()
    );
    let (reply, seconds) = drip(start.as_bytes()).await;
    assert_eq!(reply, "421 4.4.2 Too slow, closing the connection");
    assert!((60..=70).contains(&seconds), "{seconds}");
}

/// Begins a message at this least rate, sends `piece` of it every ten seconds of a clock that jumps, as often as it is told, and then
/// the end. Gives the server's last reply, and the seconds until it came.
async fn message_at(least_rate: u64, piece: &[u8], times: usize) -> (String, u64) {
    let mut options = Options::new();
    options.set_least_rate(least_rate);
    let server = Server::bind(options).unwrap();
    let address = server.addresses()[0];
    let handler = Scripted(super::Seen::default());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let start = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    stream.write_all(start).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"<CR><LF>.<CR><LF>\r\n") {
        assert!(stream.read_buf(&mut said).await.unwrap() > 0);
    }
    let begun = tokio::time::Instant::now();
    for _ in 0..times {
        let reading = stream.read_to_end(&mut said);
        let over = tokio::time::timeout(Duration::from_secs(10), reading).await;
        if over.is_ok() || stream.write_all(piece).await.is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"\r\n.\r\nQUIT\r\n").await;
    let _ = stream.read_to_end(&mut said).await;
    let seconds = begun.elapsed().as_secs();
    serving.abort();
    let said = String::from_utf8(said).unwrap();
    (said.lines().last().unwrap_or_default().to_owned(), seconds)
}

#[tokio::test(start_paused = true)]
async fn s382_the_least_rate_is_the_one_that_is_set_and_none_is_0() {
    let (bye, too_slow) = (
        "221 2.0.0 Bye",
        "421 4.4.2 Too slow, closing the connection",
    );
    // Two octets a second are wanted, 20 in the ten seconds between two pieces: what is missing is taken off the first minute.
    let just_above = message_at(2, b"0123456789 0123456789", 700).await;
    assert_eq!(just_above, (bye.to_owned(), 7000));
    let just_as_much = message_at(2, b"0123456789 012345678", 700).await;
    assert_eq!(just_as_much, (bye.to_owned(), 7000));
    let (reply, seconds) = message_at(2, b"0123456789 0123456", 700).await;
    assert_eq!(reply, too_slow);
    assert!((500..=530).contains(&seconds), "{seconds}");
    // Where nothing is wanted one octet is enough for as long as the client likes.
    let off = message_at(0, b"x", 700).await;
    assert_eq!(off, (bye.to_owned(), 7000));
    let (reply, _) = message_at(1, b"x", 700).await;
    assert_eq!(reply, too_slow);
}

/// Each flight of commands ends within a message, so that what is sent is waited for there.
#[tokio::test(start_paused = true)]
async fn waits_to_send_that_the_application_gives_up_count_too() {
    let mut options = Options::new();
    options.set_hooks(Hooks::NONE);
    let server = Server::bind(options).unwrap();
    let address = server.addresses()[0];
    let seen = super::Seen::default();
    let handler = Scripted(seen.clone());
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    // A client that never reads, with little room for what it is sent.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let flight = format!(
        "{}MAIL FROM:<impatient@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n",
        "EHLO x\r\n".repeat(30)
    );
    let (mut messages, mut blocked) = (0, tokio::time::Instant::now());
    stream.write_all(flight.as_bytes()).await.unwrap();
    while blocked.elapsed() < Duration::from_secs(400) {
        let _ = stream.write_all(format!(".\r\n{flight}").as_bytes()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let all = seen.all().len();
        if all > messages {
            (messages, blocked) = (all, tokio::time::Instant::now());
        }
        if seen.all().iter().any(|what| what == "lost 102") {
            break;
        }
    }
    serving.abort();
    assert_eq!(seen.all().last().unwrap(), "lost 102");
}

#[tokio::test(start_paused = true)]
async fn s382_waits_that_the_application_gives_up_count_too() {
    let start = |sender: &str| {
        format!("EHLO x\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    };
    let (reply, seconds) = drip(start("impatient@b.example").as_bytes()).await;
    assert_eq!(reply, "421 4.4.2 Too slow, closing the connection");
    assert!((60..=70).contains(&seconds), "{seconds}");
    // Between them the client is not waited for: here no more than a second of seven minutes, in which more has come.
    let begin = format!("{}x\r\n", start("impatient.busy@b.example"));
    let (reply, _) = drip_then(begin.as_bytes(), 30, b"\r\n.\r\nQUIT\r\n").await;
    assert_eq!(reply, "221 2.0.0 Bye");
}

/// The session has some seconds, so that a machine with other work comes as far as DATA in it.
#[test]
fn a_session_whose_time_is_over_ends_though_more_is_there_to_read() {
    let server = Running::with(|options| {
        options.set_session_timeout(Duration::from_secs(5)).unwrap();
    });
    let mut talk = server.greeted();
    for command in [
        "MAIL FROM:<hold.slowly@b.example>",
        "RCPT TO:<c@d.example>",
        "DATA",
    ] {
        talk.ask(command);
    }
    // The application takes longer than the client, so that there is always more to read.
    let mut wire = talk.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let text = b"0123456789 0123456789 .\r\n".repeat(1_600_000);
        let _ = std::io::Write::write_all(&mut wire, &text);
        let _ = std::io::Write::write_all(&mut wire, b".\r\n");
    });
    assert_eq!(talk.reply(), "421 4.4.2 Timeout, closing the connection");
    writer.join().unwrap();
    assert_eq!(server.seen.wait_for("lost"), "lost 102");
}

#[test]
fn a_session_does_not_last_for_ever() {
    let server = Running::with(|options| {
        options.set_session_timeout(Duration::from_secs(3)).unwrap();
    });
    let begun = Instant::now();
    let mut talk = server.greeted();
    loop {
        let reply = talk.ask("NOOP");
        if reply.starts_with("421") || reply.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    assert!(begun.elapsed() >= Duration::from_secs(3));
}

#[test]
fn a_client_that_stops_within_a_message_is_told_and_left() {
    let server = Running::with(|options| {
        options.set_idle_timeout(Duration::from_secs(3)).unwrap();
    });
    let mut talk = server.greeted();
    for command in ["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"] {
        talk.ask(command);
    }
    talk.send("half a mess");
    assert_eq!(talk.reply(), "421 4.4.2 Timeout, closing the connection");
    assert!(talk.is_closed());
    assert_eq!(server.seen.wait_for("lost"), "lost 102");
}

#[test]
fn a_client_that_never_reads_costs_no_memory_and_ends() {
    let server = Running::with(|options| {
        options.set_idle_timeout(Duration::from_secs(3)).unwrap();
        options.set_hooks(Hooks::DISCONNECT);
    });
    let mut talk = server.greeted();
    let mail = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n.\r\n".repeat(1000);
    // Until the buffers between the two are full of replies.
    let stuck = (0..2000).any(|_| std::io::Write::write_all(&mut talk.stream(), &mail).is_err());
    assert!(stuck);
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect 102");
}

#[test]
fn recipients_over_the_limit_are_deferred() {
    let server = Running::with(|options| options.set_max_recipients(2).unwrap());
    let mut talk = server.greeted();
    talk.send(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@d.example>\r\nRCPT TO:<3@d.example>\r\n",
    );
    let replies: Vec<String> = (0..4).map(|_| talk.reply()).collect();
    assert_eq!(
        &replies[1..],
        [
            "250 2.1.5 OK",
            "250 2.1.5 OK",
            "452 4.5.3 Too many recipients"
        ]
    );
}

#[test]
fn a_line_without_end_ends_the_session() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    talk.send(vec![b'x'; 80_000]);
    assert!(talk.reply().starts_with("500 5.5.2"));
    assert!(talk.is_closed());
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect 600");
}
