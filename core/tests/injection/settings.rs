//! The client's options by name.

use crate::options::client;
use crate::row::Call;

/// A good value for each option that is set by its name. Those that name a file have none that can be read.
pub(crate) const CLIENT_SETTINGS: &[(&str, &str, Call)] = &[
    ("provider", "gma{}il", |text| {
        client(|o| o.set("provider", text))
    }),
    ("tls", "requi{}red", |text| client(|o| o.set("tls", text))),
    ("tls_name", "a{}b.example", |text| {
        client(|o| o.set("tls_name", text))
    }),
    ("ca", "", |text| client(|o| o.set("ca", text))),
    ("extra_ca", "", |text| client(|o| o.set("extra_ca", text))),
    (
        "pin",
        "47DEQpj8HBSa+/TImW+5{}JCeuQeRkm5NMpJWZG3hSuFU=",
        |text| client(|o| o.set("pin", text)),
    ),
    ("verify", "tr{}ue", |text| client(|o| o.set("verify", text))),
    ("client_cert", "", |text| {
        client(|o| o.set("client_cert", text))
    }),
    ("login", "anony{}mous", |text| {
        client(|o| o.set("login", text))
    }),
    ("auth", "PLA{}IN", |text| client(|o| o.set("auth", text))),
    ("allow_plaintext_auth", "tr{}ue", |text| {
        client(|o| o.set("allow_plaintext_auth", text))
    }),
    ("local_hostname", "a{}b.example", |text| {
        client(|o| o.set("local_hostname", text))
    }),
    ("source_address", "127.0{}.0.1", |text| {
        client(|o| o.set("source_address", text))
    }),
    ("proxy", "socks5://u:p{}w@a.example", |text| {
        client(|o| o.set("proxy", text))
    }),
    ("send_proxy_header", "v{}1", |text| {
        client(|o| o.set("send_proxy_header", text))
    }),
    ("connect_timeout", "1{}0", |text| {
        client(|o| o.set("connect_timeout", text))
    }),
    ("timeout", "1{}0", |text| client(|o| o.set("timeout", text))),
    ("deadline", "1{}0", |text| {
        client(|o| o.set("deadline", text))
    }),
    ("line_ends", "ref{}use", |text| {
        client(|o| o.set("line_ends", text))
    }),
    ("on_refused", "nev{}er", |text| {
        client(|o| o.set("on_refused", text))
    }),
    ("all_or_nothing", "tr{}ue", |text| {
        client(|o| o.set("all_or_nothing", text))
    }),
    ("transfer", "da{}ta", |text| {
        client(|o| o.set("transfer", text))
    }),
    ("max_in_flight", "1{}0", |text| {
        client(|o| o.set("max_in_flight", text))
    }),
    ("max_octets_in_flight", "1{}0", |text| {
        client(|o| o.set("max_octets_in_flight", text))
    }),
    ("max_octets_ahead", "1{}0", |text| {
        client(|o| o.set("max_octets_ahead", text))
    }),
    ("max_connections", "1{}0", |text| {
        client(|o| o.set("max_connections", text))
    }),
    ("idle_timeout", "1{}0", |text| {
        client(|o| o.set("idle_timeout", text))
    }),
    ("max_age", "1{}0", |text| client(|o| o.set("max_age", text))),
    ("max_messages", "1{}0", |text| {
        client(|o| o.set("max_messages", text))
    }),
    ("max_messages_per_second", "1{}0", |text| {
        client(|o| o.set("max_messages_per_second", text))
    }),
    ("max_recipients_per_second", "1{}0", |text| {
        client(|o| o.set("max_recipients_per_second", text))
    }),
];
