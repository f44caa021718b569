//! Applies the table of arrows to the repository, after trying the checker on small offences that it must see.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may stop it")]

use mailwire_house::arrows::{ON_TOP, Room, of_core, of_repository, on_top};
use mailwire_house::collect::Crate;
use mailwire_house::licences::dependencies_of;

/// A crate like mailwire's, just big enough for paths to lead somewhere.
const HOUSE: &[(&str, &str)] = &[
    (
        "lib.rs",
        "pub mod client; pub mod error; pub mod proto; pub mod sasl; pub mod server; pub mod tls;
         pub use client::Client; pub use error::Error; pub use server::Server; pub use proto::Machine;",
    ),
    ("client/mod.rs", "pub struct Client; pub mod options; pub use options::ClientOptions;"),
    ("client/options.rs", "pub struct ClientOptions;"),
    ("error.rs", "pub enum Error { Io }"),
    ("proto/mod.rs", "pub mod client; pub mod reply; pub mod server; pub use reply::Reply; pub use server::Machine;"),
    ("proto/client.rs", "pub struct Client;"),
    ("proto/reply.rs", "pub struct Reply;"),
    ("proto/server.rs", "pub struct Machine;"),
    ("sasl/mod.rs", "pub fn plain() {}"),
    ("server/mod.rs", "pub struct Server; pub fn serve() {}"),
    ("tls/mod.rs", "pub struct Tls;"),
];

fn house_with(path: &str, text: &str) -> Crate {
    let mut house = Crate::default();
    for (file, lines) in HOUSE {
        let added = if *file == path { text } else { "" };
        house.read(file, &format!("{lines}\n{added}")).unwrap();
    }
    if HOUSE.iter().all(|(file, _)| *file != path) {
        house.read(path, text).unwrap();
    }
    house
}

fn complaints(path: &str, text: &str) -> Vec<String> {
    of_core(
        &house_with(path, text),
        &[
            "tokio".into(),
            "rustls".into(),
            "memchr".into(),
            "bytes".into(),
        ],
    )
}

fn complaints_on_top(name: &str, text: &str) -> Vec<String> {
    let room: &Room = ON_TOP.iter().find(|room| room.name == name).unwrap();
    let mut user = Crate::default();
    user.read("lib.rs", text).unwrap();
    on_top(&house_with("lib.rs", ""), room, &user)
}

#[test]
fn the_small_house_is_in_order() {
    assert_eq!(complaints("lib.rs", ""), Vec::<String>::new());
}

#[test]
fn every_way_to_write_a_forbidden_path_is_seen() {
    for text in [
        "use crate::server::Server;",
        "use crate::{error::Error, server::{self, serve}};",
        "use crate::server as elsewhere;",
        "use crate::server::*;",
        "pub use super::server::Server;",
        "fn f() { crate::server::serve(); }",
        "fn f(_: &crate::server::Server) {}",
        "fn f() { use crate::server::serve; serve(); }",
        "fn f(x: u8) { match x { crate::server::LIMIT => {}, _ => {} } }",
        "impl From<crate::server::Server> for Client { fn from(_: u8) -> Self { Client } }",
        "fn f() { assert_eq!(1, crate::server::serve()); }",
        "fn f() { run!(a => { b(super::server::serve()) }); }",
        "macro_rules! m { () => { use $crate::{error, server::Server}; } }",
        "#[derive(Debug)] #[with(crate::server::serve)] struct S;",
        "mod tests { use super::super::server::Server; }",
        "mod tests { use super::*; fn f() { super::super::server::serve() } }",
    ] {
        assert!(
            !complaints("client/mod.rs", text).is_empty(),
            "not seen: {text}"
        );
    }
}

#[test]
fn re_exports_renames_and_globs_do_not_hide_an_arrow() {
    for text in [
        "use crate::Server;",
        "use crate::Server as Innocent;",
        "fn f(_: crate::Server) {}",
        "use crate as root; fn f(_: root::server::Server) {}",
        "use crate::*; fn f(_: Server) {}",
        "use super::*;",
    ] {
        assert!(
            !complaints("client/mod.rs", text).is_empty(),
            "not seen: {text}"
        );
    }
    let mut through_two = house_with(
        "server/mod.rs",
        "pub mod inner { pub use super::Server as Two; }",
    );
    through_two
        .read("client/pool.rs", "use crate::server::inner::Two;")
        .unwrap();
    assert!(!of_core(&through_two, &[]).is_empty());
}

#[test]
fn proto_is_not_taken_for_its_plain_types() {
    assert!(
        complaints(
            "tls/mod.rs",
            "use crate::proto::Reply; use crate::proto::reply::Reply as R;"
        )
        .is_empty()
    );
    assert!(complaints("tls/mod.rs", "use crate::proto; fn f(_: proto::Reply) {}").is_empty());
    for text in [
        "use crate::proto::Machine;",
        "use crate::Machine;",
        "use crate::proto::server::Machine;",
        "use crate::proto; fn f(_: proto::Machine) {}",
        "use crate::proto::*;",
    ] {
        assert!(
            !complaints("tls/mod.rs", text).is_empty(),
            "not seen: {text}"
        );
    }
}

#[test]
fn the_two_machines_never_name_one_another() {
    assert!(!complaints("proto/client.rs", "use super::server::Machine;").is_empty());
    assert!(!complaints("proto/client.rs", "use super::Machine;").is_empty());
    assert!(
        !complaints(
            "proto/server.rs",
            "fn f(_: crate::proto::client::Client) {}"
        )
        .is_empty()
    );
    assert!(
        complaints(
            "proto/server.rs",
            "use super::Reply; use crate::error::Error; use crate::sasl::plain;"
        )
        .is_empty()
    );
}

#[test]
fn arrows_point_one_way() {
    assert!(!complaints("sasl/mod.rs", "use crate::proto::Reply;").is_empty());
    assert!(!complaints("proto/reply.rs", "use crate::tls::Tls;").is_empty());
    assert!(!complaints("error.rs", "use crate::sasl::plain;").is_empty());
    assert!(!complaints("tls/mod.rs", "use crate::Client;").is_empty());
}

#[test]
fn quiet_rooms_know_nothing_of_the_outside_world() {
    for text in [
        "use tokio::net::TcpStream;",
        "fn f() { tokio::spawn(x); }",
        "fn f() { select!(tokio::time::sleep(x)); }",
        "fn f() { ::rustls::go(); }",
        "use tokio as t; fn f() { t::spawn(x) }",
        "fn f() { std::thread::spawn(x); }",
        "use std::time::{Duration, Instant};",
        "use std::net; fn f(_: net::TcpStream) {}",
    ] {
        for path in ["proto/reply.rs", "sasl/mod.rs", "error.rs"] {
            assert!(
                !complaints(path, text).is_empty(),
                "not seen in {path}: {text}"
            );
        }
        assert!(
            complaints("tls/mod.rs", text).is_empty(),
            "allowed in tls: {text}"
        );
    }
    let fine = "use memchr::memchr; use std::net::IpAddr; use std::time::Duration; fn f(bytes: u8) -> u8 { bytes }";
    assert_eq!(complaints("proto/reply.rs", fine), Vec::<String>::new());
}

#[test]
fn what_cannot_be_followed_is_refused() {
    for text in [
        "#[path = \"../server/mod.rs\"] mod s;",
        "include!(\"../server/mod.rs\");",
        "extern crate self as me;",
    ] {
        assert!(
            !complaints("client/mod.rs", text).is_empty(),
            "not seen: {text}"
        );
    }
    assert!(
        !complaints("attic.rs", "pub struct Old;").is_empty(),
        "a room without a row passed"
    );
}

#[test]
fn c_and_python_stand_on_the_facade() {
    assert!(
        complaints_on_top("ffi", "use mailwire::{ClientOptions0, Error};").len() == 1,
        "an unknown name passed"
    );
    assert!(
        complaints_on_top(
            "ffi",
            "use mailwire::{client::ClientOptions, Error, proto::Reply};"
        )
        .is_empty()
    );
    for text in [
        "use mailwire::Client;",
        "fn f() { mailwire::server::serve() }",
        "use mailwire as m; fn f(_: m::Server) {}",
        "use mailwire::proto::Machine;",
        "use mailwire::*;",
        "fn f() { guard!(mailwire::sasl::plain()) }",
    ] {
        assert!(
            !complaints_on_top("ffi", text).is_empty(),
            "not seen: {text}"
        );
    }
    assert!(complaints_on_top("python", "use mailwire::{Client, Server};").is_empty());
    assert!(!complaints_on_top("python", "use mailwire::Machine;").is_empty());
}

#[test]
fn the_repository_keeps_to_the_table() {
    let broken = of_repository(&dependencies_of("mailwire").unwrap()).unwrap();
    assert!(
        broken.is_empty(),
        "{} broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
