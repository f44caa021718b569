//! Limits to the connections of an address, where a proxy tells by XCLIENT whose they are.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use super::Running;
use super::talk::Talk;
use crate::server::Statistics;

const GREETING: &str = "220 mx.example.org ESMTP";
const TOO_MANY: &str = "421 4.7.0 Too many connections from your address";
const TOO_OFTEN: &str =
    "421 4.7.0 Too many connections from your address in a minute, try again later";

/// A session of the proxy that has told of this client, and is ready for its hello.
fn telling(server: &Running, address: &str) -> Talk {
    let mut talk = server.client();
    assert_eq!(talk.ask(&format!("XCLIENT ADDR={address}")), GREETING);
    talk
}

/// The same of a client that is over its limit: it is told so, and the session is over, and counted.
fn refused(server: &Running, address: &str) -> String {
    let before = server.statistics();
    let mut talk = server.client();
    let reply = talk.ask(&format!("XCLIENT ADDR={address}\r\nEHLO behind.example"));
    assert!(talk.is_closed());
    wait_for(server, before.open_sessions);
    let after = server.statistics();
    let refused =
        |told: Statistics| told.connections_too_many_of_address + told.connections_too_often;
    assert_eq!(refused(after), refused(before) + 1);
    assert_eq!(after.sessions_over_limit, before.sessions_over_limit + 1);
    reply
}

/// Waits until so many sessions are left.
fn wait_for(server: &Running, open: u64) {
    for _ in 0..500 {
        if server.statistics().open_sessions == open {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?}", server.statistics())
}

#[test]
fn a_proxy_is_not_counted_and_each_of_its_clients_is() {
    let server = Running::trusting(&[("connections_per_address", "2")]);
    // It has told nobody so far, in more sessions than an address may have.
    let silent: Vec<_> = (0..4).map(|_| server.greeted()).collect();
    let _one = telling(&server, "192.0.2.1");
    let mut two = telling(&server, "192.0.2.1");
    assert_eq!(refused(&server, "192.0.2.1"), TOO_MANY);
    // A network of IPv6 is one client.
    let _six = telling(&server, "IPV6:2001:db8::1");
    let _also = telling(&server, "IPV6:2001:db8::2");
    assert_eq!(refused(&server, "IPV6:2001:db8::3"), TOO_MANY);
    // Others never notice.
    let mut other = telling(&server, "192.0.2.2");
    other.ask("EHLO client.example");
    let reply = other.message("a@b.example", &["c@d.example"], b"x\r\n");
    assert_eq!(reply, "250 2.0.0 queued");
    // What is said once more, or says no address, counts no second time.
    for again in ["ADDR=192.0.2.1", "NAME=client.example", "PORT=1"] {
        assert_eq!(two.ask(&format!("XCLIENT {again}")), GREETING);
    }
    assert_eq!(refused(&server, "192.0.2.1"), TOO_MANY);
    // The place of a session that is over is free.
    assert_eq!(two.ask("QUIT"), "221 2.0.0 Bye");
    assert!(two.is_closed());
    wait_for(&server, 8);
    let _again = telling(&server, "192.0.2.1");
    assert_eq!(refused(&server, "192.0.2.1"), TOO_MANY);
    drop(silent);
}

#[test]
fn a_proxy_that_goes_on_with_another_client_gives_up_the_place_of_the_one_before() {
    let server = Running::trusting(&[("connections_per_address", "1")]);
    let mut talk = telling(&server, "192.0.2.1");
    for next in ["192.0.2.2", "[UNAVAILABLE]", "[TEMPUNAVAIL]"] {
        assert_eq!(refused(&server, "192.0.2.1"), TOO_MANY, "{next}");
        assert_eq!(talk.ask(&format!("XCLIENT ADDR={next}")), GREETING);
        let taken = telling(&server, "192.0.2.1");
        drop(taken);
        wait_for(&server, 1);
        assert_eq!(talk.ask("XCLIENT ADDR=192.0.2.1"), GREETING, "{next}");
    }
    // Its own place is no reason to refuse the next one, and one that is refused leaves nothing behind.
    let _other = telling(&server, "192.0.2.9");
    assert_eq!(talk.ask("XCLIENT ADDR=192.0.2.9"), TOO_MANY);
    assert!(talk.is_closed());
    wait_for(&server, 1);
    telling(&server, "192.0.2.1");
}

#[test]
fn who_is_not_trusted_is_counted_by_its_own_address_beside_a_proxy() {
    let server = Running::trusting(&[("connections_per_address", "1")]);
    let _proxy = telling(&server, "127.0.0.2");
    let mut direct = Talk::connect_from([127, 0, 0, 2].into(), server.address);
    assert_eq!(direct.reply(), TOO_MANY);
    let mut direct = Talk::connect_from([127, 0, 0, 3].into(), server.address);
    assert_eq!(direct.reply(), GREETING);
    assert_eq!(refused(&server, "127.0.0.3"), TOO_MANY);
    assert!(direct.ask("XCLIENT ADDR=192.0.2.1").starts_with("550 "));
    let mut second = Talk::connect_from([127, 0, 0, 3].into(), server.address);
    assert_eq!(second.reply(), TOO_MANY);
}

#[test]
fn the_connections_of_all_have_their_limit_through_a_proxy_too() {
    let server = Running::trusting(&[("connections_per_address", "1"), ("max_connections", "3")]);
    let _silent = server.greeted();
    let _one = telling(&server, "192.0.2.1");
    let _two = telling(&server, "192.0.2.2");
    let mut beyond = Talk::connect(server.address);
    assert_eq!(beyond.reply(), "421 4.3.2 Too many connections");
    assert!(beyond.is_closed());
}

#[test]
fn connections_in_a_minute_are_counted_by_whom_a_proxy_tells() {
    let server = Running::trusting(&[("connections_per_minute", "2")]);
    let _silent: Vec<_> = (0..4).map(|_| server.greeted()).collect();
    let mut one = telling(&server, "192.0.2.1");
    for again in ["ADDR=192.0.2.1", "NAME=client.example"] {
        assert_eq!(one.ask(&format!("XCLIENT {again}")), GREETING);
    }
    assert_eq!(one.ask("XCLIENT ADDR=192.0.2.2"), GREETING);
    assert_eq!(one.ask("XCLIENT ADDR=192.0.2.1"), GREETING);
    assert_eq!(refused(&server, "192.0.2.1"), TOO_OFTEN);
    let _edge = telling(&server, "192.0.2.2");
    assert_eq!(refused(&server, "192.0.2.2"), TOO_OFTEN);
    telling(&server, "192.0.2.3");
}

#[test]
fn whom_a_proxy_header_tells_is_not_counted_where_it_may_say_xclient() {
    let server = Running::trusting(&[
        ("proxy_protocol", "127.0.0.2"),
        ("xclient", "192.0.2.77"),
        ("connections_per_address", "1"),
    ]);
    let behind = |address: &str| {
        let mut talk = Talk::connect_from([127, 0, 0, 2].into(), server.address);
        talk.send(format!("PROXY TCP4 {address} 127.0.0.1 4660 25\r\n"));
        let greeting = talk.reply();
        (talk, greeting)
    };
    let (mut one, greeting) = behind("192.0.2.77");
    assert_eq!(greeting, GREETING);
    let (mut two, greeting) = behind("192.0.2.77");
    assert_eq!(greeting, GREETING);
    assert_eq!(one.ask("XCLIENT ADDR=192.0.2.1"), GREETING);
    assert_eq!(two.ask("XCLIENT ADDR=192.0.2.1"), TOO_MANY);
    // Others behind such a header are counted as ever, with those that are told by XCLIENT.
    assert_eq!(behind("192.0.2.1").1, TOO_MANY);
    let (mut direct, greeting) = behind("192.0.2.2");
    assert_eq!(greeting, GREETING);
    assert_eq!(behind("192.0.2.2").1, TOO_MANY);
    let mut rest = [0];
    direct.send("QUIT\r\n");
    assert_eq!(direct.stream().read(&mut rest).unwrap(), 1);
}
