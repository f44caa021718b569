//! STARTTLS, TLS from the start, and AUTH inside and outside of it.

use std::io::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::Hooks;
use super::{Running, Scripted, Seen, Talk};
use crate::sasl::{ScramHash, ScramKeys, Secret, base64, derivations};
use crate::server::{Options, Server};
use crate::tls::ClientTls;
use crate::tls::test_pki::Authority;

pub(super) fn with_tls(change: impl FnOnce(&mut Options)) -> (Running, ClientTls) {
    let authority = Authority::new("test");
    let server = Running::with(|options| {
        options.set_tls(authority.issue(&["mx.example.org"]).server());
        change(options);
    });
    (server, authority.client())
}

/// A client of this server that has done STARTTLS and said EHLO again.
pub(super) fn secured(server: &Running, tls: &ClientTls) -> Talk {
    let mut talk = server.greeted();
    assert_eq!(talk.ask("STARTTLS"), "220 2.0.0 Ready to start TLS");
    talk.start_tls(tls);
    assert!(talk.ask("EHLO again.example").starts_with("250-"));
    talk
}

fn plain(user: &str, password: &str) -> String {
    let text = base64::encode(format!("\0{user}\0{password}").as_bytes());
    format!("AUTH PLAIN {}", String::from_utf8_lossy(text.expose()))
}

#[test]
fn a_certificate_that_is_added_to_options_is_not_for_a_server_made_of_them_before() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later.pem");
    let later = other.issue(&["mx.example.org"]);
    std::fs::write(&file, later.certificate + &later.key).unwrap();
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_tls(ours.issue(&["mx.example.org"]).server());
    let before = Running::start(options.clone());
    let added = format!("mx.example.org,{}", file.display());
    options.set("tls_sni", &added).unwrap();
    secured(&before, &ours.client());
    let behind = Running::start(options);
    secured(&behind, &other.client());
}

#[test]
fn a_client_too_many_is_closed_without_a_word_where_tls_comes_first() {
    let (server, tls) = with_tls(|options| {
        options.set_implicit_tls(true);
        options.set_connections_per_address(1).unwrap();
    });
    let mut first = Talk::connect(server.address);
    first.start_tls(&tls);
    assert!(first.reply().starts_with("220 "));
    assert!(Talk::connect(server.address).is_closed());
    assert_eq!(server.statistics().connections_too_many_of_address, 1);
    assert_eq!(first.ask("NOOP"), "250 2.0.0 OK");
}

#[test]
fn s374_a_proxy_header_split_at_every_octet_is_in_front_of_tls_from_the_start() {
    let (server, tls) = with_tls(|options| {
        options.set("proxy_protocol", "127.0.0.1").unwrap();
        options.set_implicit_tls(true);
        options.set_connections_per_address(1000).unwrap();
        // Their peer is whom the header tells.
        options.set_hooks(Hooks::NONE);
    });
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 25\r\n";
    let binary =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x19";
    for header in [&line[..], binary] {
        for cut in 0..=header.len() {
            let mut talk = Talk::connect(server.address);
            talk.send(&header[..cut]);
            talk.send(&header[cut..]);
            talk.start_tls(&tls);
            assert_eq!(talk.reply(), "220 mx.example.org ESMTP", "cut at {cut}");
        }
    }
    assert_eq!(server.statistics().bad_proxy_headers, 0);
}

#[test]
fn starttls_then_auth_plain_and_login() {
    let (server, tls) = with_tls(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_auth_required(true);
        options.set_require_tls(true);
    });
    let mut talk = server.client();
    let clear = talk.ask("EHLO client.example");
    assert!(
        clear.contains("STARTTLS") && !clear.contains("AUTH"),
        "{clear}"
    );
    assert!(talk.ask(&plain("tim", "right")).starts_with("530 5.7.0"));
    assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("530 5.7.0"));

    let mut talk = secured(&server, &tls);
    let secure = talk.ask("EHLO again.example");
    assert!(
        !secure.contains("STARTTLS")
            && secure.contains(
                "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"
            ),
        "{secure}"
    );
    assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("530 5.7.0"));
    assert_eq!(
        talk.ask(&plain("tim", "wrong")),
        "535 5.7.8 Authentication credentials invalid"
    );
    assert_eq!(
        talk.ask(&plain("nobody", "right")),
        "535 5.7.8 Authentication credentials invalid"
    );
    assert_eq!(
        talk.ask(&plain("tim", "right")),
        "235 2.7.0 Authentication successful"
    );
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(
        server.seen.wait_for("mail"),
        "mail a@b.example hello=again.example user=tim"
    );

    let mut talk = secured(&server, &tls);
    assert_eq!(talk.ask("AUTH LOGIN"), "334 VXNlcm5hbWU6");
    assert_eq!(talk.ask("dGlt"), "334 UGFzc3dvcmQ6");
    assert_eq!(talk.ask("cmlnaHQ="), "235 2.7.0 Authentication successful");
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
    assert!(talk.is_closed());
}

#[test]
fn the_hook_judges_those_who_are_not_in_the_table() {
    let (server, tls) = with_tls(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_hooks(Hooks::AUTH);
    });
    let mut talk = secured(&server, &tls);
    assert_eq!(
        talk.ask(&plain("tim", "hook's secret")),
        "535 5.7.8 Authentication credentials invalid"
    );
    assert_eq!(talk.ask(&plain("ann", "wrong")), "535 5.0.0 no");
    assert_eq!(
        talk.ask(&plain("ann", "hook's secret")),
        "235 2.7.0 Authentication successful"
    );
    assert_eq!(server.stop().all(), ["auth ann", "auth ann"]);
}

#[test]
fn what_is_no_tls_behind_the_last_words_ends_the_session_like_any_other() {
    let (server, tls) = with_tls(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_hooks(Hooks::DISCONNECT);
    });
    let mut talk = secured(&server, &tls);
    while !talk.ask(&plain("tim", "wrong")).starts_with("421") {}
    assert!(talk.is_closed());
    talk.stream().write_all(b"no record of TLS\r\n").unwrap();
    assert!(server.seen.wait_for("disconnect").starts_with("disconnect"));
}

#[tokio::test]
async fn passwords_are_derived_on_no_thread_that_serves() {
    let mut options = Options::new();
    options.set_allow_plaintext_auth(true);
    // Those that are given up count for the address.
    options.set_auth_delay(Duration::ZERO);
    options.add_user("tim", Secret::new("right")).unwrap();
    for hash in ScramHash::ALL {
        let keys = ScramKeys::from_password(hash, &Secret::new("right"), [1; 16], 4096).unwrap();
        options.add_user_keys("kurt", keys).unwrap();
    }
    let before = derivations();
    let server = Server::bind(options).unwrap();
    let address = server.addresses()[0];
    let (end, ended) = oneshot::channel::<()>();
    let talking = tokio::task::spawn_blocking(move || {
        let _end = end;
        let mut talk = Talk::connect(address);
        talk.reply();
        talk.ask("EHLO client.example");
        let mut answers = Vec::new();
        for name in ["nobody", "tim", "kurt"] {
            let first = base64::encode(format!("n,,n={name},r=abc").as_bytes());
            let first = String::from_utf8_lossy(first.expose()).into_owned();
            let challenge = talk.ask(&format!("AUTH SCRAM-SHA-256 {first}"));
            assert!(challenge.starts_with("334 "), "{challenge}");
            assert_eq!(talk.ask("*"), "501 5.7.0 Authentication cancelled");
        }
        for (name, password) in [("nobody", "right"), ("kurt", "wrong"), ("kurt", "right")] {
            answers.push(talk.ask(&plain(name, password)));
        }
        answers
    });
    // On this very thread, until the client is gone.
    let until = async { ended.await.unwrap_or_default() };
    let serving = server.serve_until(Scripted(Seen::default()), until);
    serving.await.unwrap();
    let answers = talking.await.unwrap();
    let refused = "535 5.7.8 Authentication credentials invalid";
    let accepted = "235 2.7.0 Authentication successful";
    assert_eq!(answers, [refused, refused, accepted]);
    assert_eq!(derivations() - before, 0);
}

#[test]
fn no_auth_over_plaintext_even_if_it_is_tried() {
    let (server, _) = with_tls(|options| options.add_user("tim", Secret::new("right")).unwrap());
    let mut talk = server.greeted();
    assert!(talk.ask(&plain("tim", "right")).starts_with("538 5.7.11"));
}

#[test]
fn commands_behind_starttls_close_the_connection() {
    let (server, _) = with_tls(|_| {});
    let mut talk = server.greeted();
    talk.send("STARTTLS\r\nMAIL FROM:<injected@b.example>\r\n");
    assert!(talk.reply().starts_with("554 5.5.0"));
    assert!(talk.is_closed());
    let seen = server.stop();
    assert!(seen.all().iter().all(|what| !what.contains("injected")));
}

#[test]
fn what_was_learnt_in_clear_is_forgotten() {
    let (server, tls) = with_tls(|_| {});
    let mut talk = server.greeted();
    talk.ask("MAIL FROM:<a@b.example>");
    talk.ask("RSET");
    assert!(talk.ask("STARTTLS").starts_with("220"));
    talk.start_tls(&tls);
    assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("503"));
    assert!(talk.ask("STARTTLS").starts_with("503"));
}

#[test]
fn tls_from_the_start() {
    let (server, tls) = with_tls(|options| options.set_implicit_tls(true));
    let mut talk = Talk::connect(server.address);
    talk.start_tls(&tls);
    assert!(talk.reply().starts_with("220 mx.example.org"));
    assert!(!talk.ask("EHLO client.example").contains("STARTTLS"));
    let text = b"0123456789 0123456789 0123456789\r\n".repeat(50_000);
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], &text),
        "250 2.0.0 queued"
    );
    assert_eq!(
        server.seen.wait_for("message"),
        format!("message {} {}", text.len(), super::sum(&text))
    );
    talk.finish();
}

#[test]
fn a_handshake_that_never_comes_or_is_none_ends_the_session_alone() {
    let (server, tls) = with_tls(|options| {
        options
            .set_handshake_timeout(Duration::from_secs(3))
            .unwrap();
    });
    let mut silent = server.greeted();
    assert!(silent.ask("STARTTLS").starts_with("220"));
    assert!(silent.is_closed());
    let mut odd = server.greeted();
    assert!(odd.ask("STARTTLS").starts_with("220"));
    odd.send("EHLO this is no TLS\r\n");
    // An alert may come, but nothing of SMTP.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut odd.stream(), &mut rest);
    assert!(
        !rest.starts_with(b"2") && !rest.starts_with(b"5"),
        "{rest:?}"
    );
    secured(&server, &tls);
}

/// How many seconds of a clock that jumps a server with `handshake_timeout=20` waits for a handshake that never ends, behind STARTTLS
/// or where TLS comes first.
async fn handshake(implicit: bool, dripping: bool) -> u64 {
    let mut options = Options::new();
    let issued = Authority::new("test").issue(&["mx.example.org"]);
    options.set_tls(issued.server());
    options.set_implicit_tls(implicit);
    options.set("handshake_timeout", "20").unwrap();
    let server = Server::bind(options).unwrap();
    let address = server.addresses()[0];
    let (control, handler) = (server.control(), Scripted(Seen::default()));
    let serving = tokio::spawn(server.serve_until(handler, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    if !implicit {
        stream.write_all(b"STARTTLS\r\n").await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"Ready to start TLS\r\n") {
            assert!(stream.read_buf(&mut said).await.unwrap() > 0);
        }
    }
    let begun = tokio::time::Instant::now();
    let mut rest = Vec::new();
    // A record of a handshake that is to be long.
    for octet in [&b"\x16\x03\x01\x40\0\x01\0\x3f\xfc\x03\x03"[..], &[0; 100]].concat() {
        if dripping {
            stream.write_all(&[octet]).await.unwrap();
        }
        let reading = stream.read_to_end(&mut rest);
        if timeout(Duration::from_secs(1), reading).await.is_ok() {
            break;
        }
    }
    let seconds = begun.elapsed().as_secs();
    assert_eq!(
        (rest.len(), control.statistics().failed_tls_handshakes),
        (0, 1)
    );
    serving.abort();
    seconds
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_its_time_and_no_more() {
    for implicit in [false, true] {
        for dripping in [false, true] {
            let seconds = handshake(implicit, dripping).await;
            assert!((20..=21).contains(&seconds), "{seconds}");
        }
    }
}

#[test]
fn a_new_certificate_is_used_from_the_next_handshake_on() {
    let (server, old) = with_tls(|_| {});
    let mut before = secured(&server, &old);
    let authority = Authority::new("new");
    server
        .control
        .reload_tls(authority.issue(&["mx.example.org"]).server())
        .unwrap();
    secured(&server, &authority.client());
    assert_eq!(before.ask("NOOP"), "250 2.0.0 OK");
    let without = Running::with(|_| {});
    let server_tls = authority.issue(&["mx.example.org"]).server();
    assert!(without.control.reload_tls(server_tls).is_err());
}

#[test]
fn octets_that_are_no_tls_are_told_apart_from_a_lost_connection() {
    use std::io::Write as _;

    let (server, tls) = with_tls(|_| {});
    let mut talk = secured(&server, &tls);
    talk.stream().write_all(&[b'x'; 100]).unwrap();
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect 200");
}

#[test]
fn a_message_that_came_whole_counts_though_nothing_but_the_end_stands_behind_it() {
    let (server, tls) = with_tls(|_| {});
    let mut talk = secured(&server, &tls);
    talk.ask("MAIL FROM:<a@b.example>");
    talk.ask("RCPT TO:<c@d.example>");
    // Two records; the second one is read as a part of the message, and what is behind it at once too: an end without a goodbye.
    let text = "0123456789 0123456789 01234567\r\n".repeat(1000);
    talk.send(format!("BDAT {} LAST\r\n{text}", text.len()));
    talk.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(
        server.seen.wait_for("message"),
        format!("message {} {}", text.len(), super::sum(text.as_bytes()))
    );
    assert!(server.seen.wait_for("disconnect").starts_with("disconnect"));
}
