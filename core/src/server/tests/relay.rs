//! No open relay: which recipients are taken from whom, and which senders.

use super::Running;
use super::talk::Talk;
use crate::sasl::{Mechanism, Secret};
use crate::server::{Hooks, Options};

const DENIED: &str = "550 5.7.1 Relaying denied: not a domain of this server";
const NOT_YOURS: &str =
    "553 5.7.1 The sender's address is not that of the user who has authenticated";
const TAKEN: &str = "250 2.1.5 OK";

/// A server for ours.example with a user.
fn server(change: impl FnOnce(&mut Options)) -> Running {
    Running::with(|options| {
        options.set("domains", "ours.example").unwrap();
        options.add_user("tim", Secret::new("secret")).unwrap();
        options.set_allow_plaintext_auth(true);
        change(options);
    })
}

fn log_in(talk: &mut Talk, user: &str) {
    let response = format!("\0{user}\0secret");
    let base64 = crate::sasl::base64::encode(response.as_bytes());
    let base64 = str::from_utf8(base64.expose()).unwrap();
    assert!(
        talk.ask(&format!("AUTH PLAIN {base64}")).starts_with("235"),
        "{user}"
    );
}

/// The replies to RCPT with each path, brackets included.
fn recipients(talk: &mut Talk, paths: &[&str]) -> Vec<String> {
    assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
    let replies = paths
        .iter()
        .map(|path| talk.ask(&format!("RCPT TO:{path}")));
    let replies = replies.collect();
    assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
    replies
}

/// Each path that might lead a stranger's mail elsewhere.
const DETOURS: [&str; 14] = [
    "<user@theirs.example>",
    "<user@sub.ours.example>",
    "<user@ours.example.theirs.example>",
    "<@ours.example:user@theirs.example>",
    "<@ours.example,@theirs.example:user@theirs.example>",
    "<user%theirs.example@ours.example>",
    "<theirs.example!user@ours.example>",
    "<\"user@theirs.example\"@ours.example>",
    "<\"user\\@theirs.example\"@ours.example>",
    "<\"user\\%theirs.example\"@ours.example>",
    "<\"user%theirs.example\"@ours.example>",
    "<@theirs.example:user%theirs.example@ours.example>",
    "<user@[127.0.0.1]>",
    "<postmaster@theirs.example>",
];

#[test]
fn strangers_relay_nowhere_by_any_detour() {
    let server = server(|_| {});
    let mut talk = server.greeted();
    for (path, reply) in DETOURS.iter().zip(recipients(&mut talk, &DETOURS)) {
        assert_eq!(reply, DENIED, "{path}");
    }
    // These are no paths at all.
    let none = recipients(
        &mut talk,
        &["<user@theirs.example@ours.example>", "<@ours.example:>"],
    );
    assert!(
        none.iter().all(|reply| reply.starts_with("501 ")),
        "{none:?}"
    );
    let own = [
        "<user@OURS.example>",
        "<@theirs.example:user@ours.example>",
        "<postmaster>",
        "<PostMaster>",
    ];
    assert_eq!(recipients(&mut talk, &own), [TAKEN; 4]);
    assert_eq!(server.statistics().denied_relays, DETOURS.len() as u64);
    // The route is gone.
    let told = server.seen.all();
    assert!(
        told.contains(&"rcpt user@ours.example".to_owned()),
        "{told:?}"
    );
    assert!(!told.iter().any(|seen| seen.contains("theirs")), "{told:?}");
}

#[test]
fn a_trusted_network_and_a_user_may_name_any_recipient() {
    let trusting =
        |network: &str| server(|options| options.set("trusted_networks", network).unwrap());
    let inside = trusting("192.0.2.0/24,127.0.0.0/8");
    let mut talk = inside.greeted();
    let theirs = ["<user@theirs.example>", "<user%b.example@ours.example>"];
    assert_eq!(recipients(&mut talk, &theirs), [TAKEN; 2]);
    let outside = trusting("192.0.2.0/24");
    let mut talk = outside.greeted();
    assert_eq!(recipients(&mut talk, &theirs), [DENIED; 2]);
    log_in(&mut talk, "tim");
    assert_eq!(recipients(&mut talk, &theirs), [TAKEN; 2]);
}

#[test]
fn where_only_networks_are_set_strangers_reach_the_postmaster_alone() {
    for network in ["192.0.2.0/24", ""] {
        let server = Running::with(|options| options.set("trusted_networks", network).unwrap());
        let mut talk = server.greeted();
        let paths = [
            "<user@ours.example>",
            "<postmaster@ours.example>",
            "<postmaster>",
        ];
        assert_eq!(recipients(&mut talk, &paths), [DENIED, DENIED, TAKEN]);
    }
}

#[test]
fn the_address_that_a_proxy_tells_is_what_is_trusted() {
    let server = server(|options| {
        options.set_hooks(Hooks::RCPT);
        options.set("xclient", "127.0.0.1").unwrap();
        options.set("trusted_networks", "192.0.2.0/24").unwrap();
    });
    let mut talk = server.greeted();
    for (told, expected) in [
        ("ADDR=192.0.2.1", TAKEN),
        ("ADDR=192.0.3.1", DENIED),
        ("ADDR=[UNAVAILABLE]", DENIED),
        ("ADDR=192.0.3.1 LOGIN=tim", TAKEN),
        ("LOGIN=[UNAVAILABLE]", DENIED),
    ] {
        assert!(talk.ask(&format!("XCLIENT {told}")).starts_with("220 "));
        talk.ask("EHLO client.example");
        assert_eq!(
            recipients(&mut talk, &["<user@theirs.example>"]),
            [expected],
            "{told}"
        );
    }
}

#[test]
fn anonymous_is_a_stranger() {
    let server = server(|options| {
        options.set_hooks(Hooks::AUTH);
        options
            .set_mechanisms(&[Mechanism::Anonymous, Mechanism::Plain])
            .unwrap();
        options.set_bind_sender(true);
    });
    let mut talk = server.greeted();
    let guest = "AUTH ANONYMOUS Z3Vlc3Q=";
    assert!(talk.ask(guest).starts_with("235 "));
    for sender in ["anonymous@ours.example", "guest@ours.example"] {
        assert_eq!(talk.ask(&format!("MAIL FROM:<{sender}>")), NOT_YOURS);
    }
    assert_eq!(talk.ask("MAIL FROM:<>"), "250 2.1.0 OK");
    assert_eq!(talk.ask("RCPT TO:<user@theirs.example>"), DENIED);
    assert_eq!(talk.ask("RCPT TO:<user@ours.example>"), TAKEN);
    // A user who was refused as a guest before is a user.
    let mut talk = server.greeted();
    assert!(talk.ask("AUTH ANONYMOUS dGlt").starts_with("535 "));
    log_in(&mut talk, "tim");
    assert_eq!(talk.ask("MAIL FROM:<tim@ours.example>"), "250 2.1.0 OK");
    assert_eq!(talk.ask("RCPT TO:<user@theirs.example>"), TAKEN);
}

#[test]
fn s341_a_user_sends_in_no_other_name() {
    let server = server(|options| {
        for user in ["Kurt@b\u{fc}cher.example", "two words"] {
            options.add_user(user, Secret::new("secret")).unwrap();
        }
        options
            .set("domains", "ours.example,other.example")
            .unwrap();
        options.set_bind_sender(true);
    });
    for (user, own, others) in [
        (
            "tim",
            &[
                "tim@ours.example",
                "\"tim\"@OTHER.example",
                "@x.example:tim@ours.example",
                "",
            ][..],
            &[
                "kurt@ours.example",
                "Tim@ours.example",
                "tim@theirs.example",
                "tim@sub.ours.example",
            ][..],
        ),
        (
            "Kurt@b\u{fc}cher.example",
            &["Kurt@xn--bcher-kva.EXAMPLE", ""],
            &["kurt@xn--bcher-kva.example", "Kurt@ours.example"],
        ),
        (
            "two words",
            &["\"two words\"@ours.example"],
            &["\"two  words\"@ours.example"],
        ),
    ] {
        let mut talk = server.greeted();
        // Strangers are not bound.
        assert_eq!(talk.ask("MAIL FROM:<kurt@ours.example>"), "250 2.1.0 OK");
        talk.ask("RSET");
        log_in(&mut talk, user);
        let mut ask = |sender: &&str| {
            let reply = talk.ask(&format!("MAIL FROM:<{sender}>"));
            talk.ask("RSET");
            reply
        };
        for sender in own {
            assert_eq!(ask(sender), "250 2.1.0 OK", "{user} {sender}");
        }
        for sender in others {
            assert_eq!(ask(sender), NOT_YOURS, "{user} {sender}");
        }
    }
    // The application was not asked about those.
    assert!(
        !server
            .seen
            .all()
            .contains(&"mail tim@theirs.example hello=client.example user=tim".to_owned())
    );
}

#[test]
fn without_domains_a_user_is_at_the_servers_own_name() {
    let server = server(|options| {
        options.set_domains(None);
        options.set_bind_sender(true);
    });
    let mut talk = server.greeted();
    log_in(&mut talk, "tim");
    assert_eq!(talk.ask("MAIL FROM:<tim@ours.example>"), NOT_YOURS);
    assert_eq!(talk.ask("MAIL FROM:<tim@mx.example.org>"), "250 2.1.0 OK");
}

#[test]
fn binding_senders_needs_somebody_who_can_authenticate() {
    let mut options = Options::new();
    options.set_bind_sender(true);
    let refused = crate::server::Server::bind(options).unwrap_err();
    assert!(refused.message().starts_with("bind_sender"), "{refused}");
}
