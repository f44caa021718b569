//! The rows of the client's and the server's options, and of TLS.

use mailwire::client;
use mailwire::sasl::{ScramHash, ScramKeys, Secret};
use mailwire::server;
use mailwire::tls::{Pem, Pin, ServerTls, TlsPolicy};

use crate::row::{Call, Row, Rule, contained, refused, told};
use crate::settings::CLIENT_SETTINGS;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = of_client();
    rows.extend(of_server());
    rows.extend(of_tls());
    rows
}

pub(crate) fn client(
    set: impl FnOnce(&mut client::Options) -> Result<(), mailwire::Error>,
) -> Result<String, String> {
    told(set(&mut client::Options::new()))
}

fn server(
    set: impl FnOnce(&mut server::Options) -> Result<(), mailwire::Error>,
) -> Result<String, String> {
    told(set(&mut server::Options::new()))
}

pub(crate) const SERVER_SETTINGS: &[(&str, &str, Call)] = &[
    ("listen", "127.0{}.0.1:0", |text| {
        server(|o| o.set("listen", text))
    }),
    ("reuse_port", "tr{}ue", |text| {
        server(|o| o.set("reuse_port", text))
    }),
    ("unix_mode", "6{}60", |text| {
        server(|o| o.set("unix_mode", text))
    }),
    ("hostname", "a{}b.example", |text| {
        server(|o| o.set("hostname", text))
    }),
    ("protocol", "lm{}tp", |text| {
        server(|o| o.set("protocol", text))
    }),
    ("tls", "", |text| server(|o| o.set("tls", text))),
    ("tls_sni", "", |text| server(|o| o.set("tls_sni", text))),
    ("client_ca", "", |text| server(|o| o.set("client_ca", text))),
    ("line_ends", "ref{}use", |text| {
        server(|o| o.set("line_ends", text))
    }),
    ("lenient_line_ends", "tr{}ue", |text| {
        server(|o| o.set("lenient_line_ends", text))
    }),
    ("strict_spaces", "tr{}ue", |text| {
        server(|o| o.set("strict_spaces", text))
    }),
    ("implicit_tls", "tr{}ue", |text| {
        server(|o| o.set("implicit_tls", text))
    }),
    ("require_tls", "tr{}ue", |text| {
        server(|o| o.set("require_tls", text))
    }),
    ("user", "tim{}:secret", |text| {
        server(|o| o.set("user", text))
    }),
    (
        "user_keys",
        "tim:SCRAM-SHA-1$4096:c2Fs{}dA==$AAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        |text| server(|o| o.set("user_keys", text)),
    ),
    (
        "decoy_secret",
        "07070707070707070707070707070707{}07070707070707070707070707070707",
        |text| server(|o| o.set("decoy_secret", text)),
    ),
    ("auth_required", "tr{}ue", |text| {
        server(|o| o.set("auth_required", text))
    }),
    ("mechanisms", "PLA{}IN", |text| {
        server(|o| o.set("mechanisms", text))
    }),
    ("allow_plaintext_auth", "tr{}ue", |text| {
        server(|o| o.set("allow_plaintext_auth", text))
    }),
    ("domains", "a{}b.example", |text| {
        server(|o| o.set("domains", text))
    }),
    ("trusted_networks", "192.0{}.2.0/24", |text| {
        server(|o| o.set("trusted_networks", text))
    }),
    ("bind_sender", "tr{}ue", |text| {
        server(|o| o.set("bind_sender", text))
    }),
    ("stream", "tr{}ue", |text| server(|o| o.set("stream", text))),
    ("received", "tr{}ue", |text| {
        server(|o| o.set("received", text))
    }),
    ("add_missing", "tr{}ue", |text| {
        server(|o| o.set("add_missing", text))
    }),
    ("max_hops", "1{}0", |text| {
        server(|o| o.set("max_hops", text))
    }),
    ("workers", "{}2", |text| server(|o| o.set("workers", text))),
    ("max_message_size", "1{}0", |text| {
        server(|o| o.set("max_message_size", text))
    }),
    ("max_recipients", "1{}0", |text| {
        server(|o| o.set("max_recipients", text))
    }),
    ("max_recipient_domains", "1{}0", |text| {
        server(|o| o.set("max_recipient_domains", text))
    }),
    ("max_transactions", "1{}0", |text| {
        server(|o| o.set("max_transactions", text))
    }),
    ("extensions", "DSN{},SIZE", |text| {
        server(|o| o.set("extensions", text))
    }),
    ("deliver_by_minimum", "1{}0", |text| {
        server(|o| o.set("deliver_by_minimum", text))
    }),
    ("longest_hold", "1{}0", |text| {
        server(|o| o.set("longest_hold", text))
    }),
    ("keyword", "X-A{} b", |text| {
        server(|o| o.set("keyword", text))
    }),
    ("mail_parameter", "X-{}A", |text| {
        server(|o| o.set("mail_parameter", text))
    }),
    ("rcpt_parameter", "X-{}A", |text| {
        server(|o| o.set("rcpt_parameter", text))
    }),
    ("verb", "XV{}ERB", |text| server(|o| o.set("verb", text))),
    ("xclient", "127.0{}.0.1", |text| {
        server(|o| o.set("xclient", text))
    }),
    ("proxy_protocol", "127.0{}.0.1", |text| {
        server(|o| o.set("proxy_protocol", text))
    }),
    ("command_line", "10{}00", |text| {
        server(|o| o.set("command_line", text))
    }),
    ("auth_line", "10{}00", |text| {
        server(|o| o.set("auth_line", text))
    }),
    ("max_bad_commands", "1{}0", |text| {
        server(|o| o.set("max_bad_commands", text))
    }),
    ("max_idle_commands", "1{}0", |text| {
        server(|o| o.set("max_idle_commands", text))
    }),
    ("max_auth_failures", "1{}0", |text| {
        server(|o| o.set("max_auth_failures", text))
    }),
    ("auth_failures_per_address", "1{}0", |text| {
        server(|o| o.set("auth_failures_per_address", text))
    }),
    ("auth_failures_per_account", "1{}0", |text| {
        server(|o| o.set("auth_failures_per_account", text))
    }),
    ("auth_lockout", "1{}0", |text| {
        server(|o| o.set("auth_lockout", text))
    }),
    ("auth_delay", "1{}0", |text| {
        server(|o| o.set("auth_delay", text))
    }),
    ("connections_per_minute", "1{}0", |text| {
        server(|o| o.set("connections_per_minute", text))
    }),
    ("messages_per_minute", "1{}0", |text| {
        server(|o| o.set("messages_per_minute", text))
    }),
    ("recipients_per_minute", "1{}0", |text| {
        server(|o| o.set("recipients_per_minute", text))
    }),
    ("max_connections", "1{}0", |text| {
        server(|o| o.set("max_connections", text))
    }),
    ("connections_per_address", "1{}0", |text| {
        server(|o| o.set("connections_per_address", text))
    }),
    ("body_memory", "1{}0", |text| {
        server(|o| o.set("body_memory", text))
    }),
    ("body_memory_per_address", "1{}0", |text| {
        server(|o| o.set("body_memory_per_address", text))
    }),
    ("answer_timeout", "1{}0", |text| {
        server(|o| o.set("answer_timeout", text))
    }),
    ("idle_timeout", "1{}0", |text| {
        server(|o| o.set("idle_timeout", text))
    }),
    ("handshake_timeout", "1{}0", |text| {
        server(|o| o.set("handshake_timeout", text))
    }),
    ("session_timeout", "1{}0", |text| {
        server(|o| o.set("session_timeout", text))
    }),
    ("least_rate", "1{}0", |text| {
        server(|o| o.set("least_rate", text))
    }),
    ("grace", "1{}0", |text| server(|o| o.set("grace", text))),
];

fn settings(entry: &'static str, all: &[(&'static str, &'static str, Call)]) -> Vec<Row> {
    all.iter()
        .map(|&(word, text, call)| Row {
            entry,
            parameter: "value",
            text: if text.is_empty() {
                "/no/such{}/file"
            } else {
                text
            },
            rule: if text.is_empty() {
                Rule::Never
            } else {
                Rule::Refused(word)
            },
            call,
        })
        .collect()
}

#[test]
fn every_setting_has_a_row() {
    let of = |all: &[(&'static str, &str, Call)]| all.iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(of(CLIENT_SETTINGS), client::Options::names());
    assert_eq!(of(SERVER_SETTINGS), server::Options::names());
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'_' => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

fn url(form: &str, text: &str) -> Result<String, String> {
    told(client::Options::from_url(
        &form.replace("[]", &percent(text)),
    ))
}

fn of_client() -> Vec<Row> {
    let mut rows = settings("client Options::set", CLIENT_SETTINGS);
    rows.extend([
        refused("client Options::set", "name", "t{}ls", "option", |text| {
            client(|o| o.set(text, "none"))
        }),
        refused(
            "client Options::add_mechanism",
            "name",
            "X-{}A",
            "mechanism",
            |text| client(|o| o.add_mechanism(text, || unreachable!("it is never begun"))),
        ),
        refused(
            "client Options::set_local_hostname",
            "name",
            "a{}b.example",
            "local_hostname",
            |text| client(|o| o.set_local_hostname(text)),
        ),
        refused(
            "client Content::file",
            "path",
            "Cargo{}.toml",
            "cannot be read",
            |text| told(client::Content::file(text)),
        ),
        refused(
            "client Options::set_provider",
            "name",
            "gma{}il",
            "provider",
            |text| client(|o| o.set_provider(text)),
        ),
        refused(
            "client Provider::named",
            "name",
            "gma{}il",
            "provider",
            |text| {
                client::Provider::named(text)
                    .map(|p| p.host().to_owned())
                    .map_err(|e| e.to_string())
            },
        ),
        refused(
            "client Options::set_server",
            "host",
            "a{}b.example",
            "host",
            |text| client(|o| o.set_server(text, None)),
        ),
        refused(
            "client Options::set_token_source",
            "username",
            "a{}b",
            "user",
            |text| {
                client(|o| o.set_token_source(text, |_| std::future::ready(Ok(Secret::new("t")))))
            },
        ),
        refused(
            "client Options::set_proxy",
            "url",
            "socks5://u{}:p@a.example",
            "proxy",
            |text| client(|o| o.set_proxy(Some(text))),
        ),
        refused(
            "client Options::set_tls_name",
            "name",
            "a{}b.example",
            "tls_name",
            |text| client(|o| o.set_tls_name(text)),
        ),
        contained(
            "client Options::set_unix_socket",
            "path",
            "a path is never sent, and may have line ends",
            |text| client(|o| o.set_unix_socket(text)),
        ),
    ]);
    // A URL as it is, and the parts of one, percent-encoded.
    let parts: [(&'static str, &'static str, Call); 7] = [
        ("smtp://h{}.example?tls=none", "url", |text| {
            told(client::Options::from_url(text))
        }),
        ("us{}er", "user name", |text| {
            url("smtp://[]:secret@h.example", text)
        }),
        ("sec{}ret", "password", |text| {
            url("smtp://user:[]@h.example", text)
        }),
        ("h{}.example", "host", |text| url("smtp://[]", text)),
        ("a{}b.example", "local_hostname", |text| {
            url("smtp://h?local_hostname=[]", text)
        }),
        ("tl{}s", "option", |text| url("smtp://h?[]=none", text)),
        ("requi{}red", "tls", |text| url("smtp://h?tls=[]", text)),
    ];
    rows.extend(
        parts
            .map(|(text, word, call)| refused("client Options::from_url", "url", text, word, call)),
    );
    rows
}

fn of_server() -> Vec<Row> {
    let mut rows = settings("server Options::set", SERVER_SETTINGS);
    rows.extend([
        refused(
            "server Options::set",
            "name",
            "str{}eam",
            "option",
            |text| server(|o| o.set(text, "true")),
        ),
        refused(
            "server Options::add_mechanism",
            "name",
            "X-{}A",
            "mechanism",
            |text| server(|o| o.add_mechanism(text, |_| unreachable!("it is never begun"))),
        ),
        refused("server Options::add_user", "name", "a{}b", "user", |text| {
            server(|o| o.add_user(text, Secret::new("secret")))
        }),
        refused(
            "server Options::add_user",
            "password",
            "a{}b",
            "password",
            |text| server(|o| o.add_user("user", Secret::new(text))),
        ),
        refused(
            "server Options::add_user_keys",
            "name",
            "a{}b",
            "user",
            |text| {
                let salt = b"0123456789abcdef";
                let keys =
                    ScramKeys::from_password(ScramHash::Sha256, &Secret::new("secret"), salt, 1);
                server(|o| o.add_user_keys(text, keys.unwrap()))
            },
        ),
        refused(
            "server scram_keys",
            "password",
            "a{}b",
            "password",
            |text| told(server::scram_keys(ScramHash::Sha256, &Secret::new(text), 1)),
        ),
        refused(
            "server Options::add_keyword",
            "line",
            "X-A{} b",
            "keyword",
            |text| server(|o| o.add_keyword(text)),
        ),
        refused(
            "server Options::add_mail_parameter",
            "keyword",
            "X-{}A",
            "mail_parameter",
            |text| server(|o| o.add_mail_parameter(text)),
        ),
        refused(
            "server Options::add_rcpt_parameter",
            "keyword",
            "X-{}A",
            "rcpt_parameter",
            |text| server(|o| o.add_rcpt_parameter(text)),
        ),
        refused(
            "server Options::add_verb",
            "verb",
            "XV{}ERB",
            "verb",
            |text| server(|o| o.add_verb(text)),
        ),
        refused("server Network::FromStr", "", "127.0{}.0.1/8", "", |text| {
            told(text.parse::<server::Network>())
        }),
        refused(
            "server Options::listen",
            "address",
            "127.0{}.0.1:0",
            "listen",
            |text| server(|o| o.listen(text)),
        ),
        refused(
            "server Options::set_hostname",
            "name",
            "a{}b.example",
            "hostname",
            |text| server(|o| o.set_hostname(text)),
        ),
    ]);
    rows
}

fn of_tls() -> Vec<Row> {
    let file = "a path is never sent, and its error shows it escaped";
    vec![
        contained("tls Pem::file", "path", file, |text| {
            Ok(format!("{:?}", Pem::file(text)))
        }),
        contained(
            "tls ServerTls::from_pem_files",
            "certificate",
            file,
            |text| {
                Ok(ServerTls::from_pem_files(text, "/no/such/file")
                    .unwrap_err()
                    .to_string())
            },
        ),
        contained("tls ServerTls::from_pem_files", "key", file, |text| {
            Ok(ServerTls::from_pem_files("/no/such/file", text)
                .unwrap_err()
                .to_string())
        }),
        contained(
            "tls ServerTls::reload_pem_files",
            "certificate",
            file,
            |text| {
                Ok(tls()
                    .reload_pem_files(text, "/no/such/file")
                    .unwrap_err()
                    .to_string())
            },
        ),
        contained("tls ServerTls::reload_pem_files", "key", file, |text| {
            Ok(tls()
                .reload_pem_files("/no/such/file", text)
                .unwrap_err()
                .to_string())
        }),
        refused(
            "tls ServerTls::add_certificate",
            "name",
            "a{}.example",
            "host name",
            |text| {
                let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
                let key = issued.signing_key.serialize_pem();
                let (certificate, key) = (Pem::bytes(issued.cert.pem()), Pem::bytes(key));
                told(tls().add_certificate(text, &certificate, &key))
            },
        ),
        refused(
            "tls Pin::FromStr",
            "",
            "47DEQpj8HBSa+/TImW+5{}JCeuQeRkm5NMpJWZG3hSuFU=",
            "pin",
            |text| told(text.parse::<Pin>()),
        ),
        refused("tls TlsPolicy::FromStr", "", "requi{}red", "tls", |text| {
            told(text.parse::<TlsPolicy>())
        }),
    ]
}

fn tls() -> ServerTls {
    let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    ServerTls::from_pem(
        issued.cert.pem().as_bytes(),
        issued.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap()
}
