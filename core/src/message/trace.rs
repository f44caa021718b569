//! The trace field of a message that came, `Received` (RFC 5321 section 4.4).
//!
//! `Received` goes in front of everything else. A field that says what became of the sender's authentication
//! (Authentication-Results, RFC 8601) belongs right above it, where the reader finds that of the last host first.

use std::net::IpAddr;

use crate::proto::{DateTime, Domain, ForwardPath, Protocol, TlsInfo};

/// The longest line of a field, without its line end (RFC 5322 section 2.1.1 asks for 78 at most); what is longer in one piece
/// stays so.
const LONGEST_LINE: usize = 77;

/// What a `Received` field tells.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// What the client called itself.
    pub(crate) hello: Option<&'a str>,
    /// Its address; `None` if it has none.
    pub(crate) address: Option<IpAddr>,
    /// Who writes the field.
    pub(crate) hostname: &'a Domain,
    pub(crate) protocol: Protocol,
    /// Whether EHLO was said, not HELO.
    pub(crate) extended: bool,
    /// Whether the message was announced with SMTPUTF8.
    pub(crate) utf8: bool,
    pub(crate) tls: Option<&'a TlsInfo>,
    pub(crate) authenticated: bool,
    pub(crate) id: &'a str,
    /// The recipient, if there is but one: others are not to learn of each other (RFC 5321 section 7.2).
    pub(crate) recipient: Option<&'a ForwardPath>,
    /// Seconds since 1970.
    pub(crate) time: i64,
}

impl Received<'_> {
    /// The field with its line ends.
    pub(crate) fn to_field(&self) -> String {
        let hello = self.hello.map_or_else(|| "unknown".to_owned(), harmless);
        let address = match self.address {
            Some(address) => Domain::literal(address.to_canonical()).as_str().to_owned(),
            None => "local".to_owned(),
        };
        let mut words = vec![
            format!("from {hello}"),
            format!("({address})"),
            format!("by {}", self.hostname.as_ascii()),
            format!("with {}", self.with()),
        ];
        if let Some(tls) = self.tls {
            words.push(format!("({} {})", tls.version(), tls.cipher()));
        }
        words.push(format!("id {}", self.id));
        words.extend(self.recipient.map(|path| format!("for <{path}>")));
        let mut field = "Received:".to_owned();
        let mut line = field.len();
        let last = words.len() - 1;
        for (place, word) in words.iter().enumerate() {
            let mark = if place == last { ";" } else { "" };
            add(&mut field, &mut line, word, mark);
        }
        let date = DateTime::from_unix(self.time).map(|time| time.in_header());
        add(&mut field, &mut line, &date.unwrap_or_default(), "");
        field + "\r\n"
    }

    /// How the message came (RFC 3848; RFC 6531 section 3.7.3).
    fn with(&self) -> String {
        let mut name = if self.utf8 { "UTF8" } else { "" }.to_owned();
        let (secured, authenticated) = (self.tls.is_some(), self.authenticated);
        name += match self.protocol {
            Protocol::Lmtp => "LMTP",
            // There is no such name with E where the letters are UTF-8.
            Protocol::Smtp if self.utf8 => "SMTP",
            Protocol::Smtp if self.extended || secured || authenticated => "ESMTP",
            Protocol::Smtp => "SMTP",
        };
        if secured {
            name.push('S');
        }
        if authenticated {
            name.push('A');
        }
        name
    }
}

/// Adds a word, on a line of its own if the last one is full.
fn add(field: &mut String, line: &mut usize, word: &str, mark: &str) {
    let length = word.len() + mark.len();
    if *line + 1 + length > LONGEST_LINE {
        *field += "\r\n\t";
        *line = 1;
    } else {
        field.push(' ');
        *line += 1;
    }
    *field += word;
    *field += mark;
    *line += length;
}

/// A name that can stand in a header: as it is if it is a domain or an address literal, else with `?` for what is none of a domain's
/// letters.
fn harmless(name: &str) -> String {
    if let Ok(domain) = name.parse::<Domain>() {
        return domain.as_ascii().to_owned();
    }
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '?',
    };
    name.chars().take(64).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::proto::TlsVersion;

    static HOSTNAME: LazyLock<Domain> = LazyLock::new(|| "mx.example.org".parse().unwrap());
    static TLS: LazyLock<TlsInfo> =
        LazyLock::new(|| TlsInfo::new(TlsVersion::Tls13, "TLS_AES_256_GCM_SHA384"));

    fn field<'a>(change: impl FnOnce(&mut Received<'a>)) -> String {
        let mut received = Received {
            hello: Some("client.example"),
            address: Some("192.0.2.1".parse().unwrap()),
            hostname: &HOSTNAME,
            protocol: Protocol::Smtp,
            extended: true,
            utf8: false,
            tls: Some(&TLS),
            authenticated: false,
            id: "4f5e",
            recipient: None,
            time: 1_795_000_000,
        };
        change(&mut received);
        received.to_field()
    }

    #[test]
    fn s130_the_field_says_from_by_with_id_for_and_when() {
        let path = "tim@example.org".parse().unwrap();
        assert_eq!(
            field(|received| received.recipient = Some(&path)),
            "Received: from client.example ([192.0.2.1]) by mx.example.org with ESMTPS\r\n\
             \t(TLSv1.3 TLS_AES_256_GCM_SHA384) id 4f5e for <tim@example.org>;\r\n\
             \tWed, 18 Nov 2026 11:06:40 +0000\r\n"
        );
        let of = |ip: &str| field(|received| received.address = Some(ip.parse().unwrap()));
        assert!(of("2001:db8::1").contains("([IPv6:2001:db8::1])"));
        assert!(of("::ffff:192.0.2.1").contains("([192.0.2.1])"));
        assert!(field(|received| received.address = None).contains("(local)"));
    }

    #[test]
    fn s134_the_protocol_has_its_registered_name() {
        use Protocol::{Lmtp, Smtp};
        for (name, protocol, extended, utf8, secured, authenticated) in [
            ("SMTP", Smtp, false, false, false, false),
            ("ESMTP", Smtp, true, false, false, false),
            ("ESMTPS", Smtp, true, false, true, false),
            ("ESMTPA", Smtp, true, false, false, true),
            ("ESMTPSA", Smtp, true, false, true, true),
            ("LMTP", Lmtp, true, false, false, false),
            ("LMTPSA", Lmtp, true, false, true, true),
            ("UTF8SMTP", Smtp, true, true, false, false),
            ("UTF8SMTPSA", Smtp, true, true, true, true),
            ("UTF8LMTPS", Lmtp, true, true, true, false),
        ] {
            let field = field(|received| {
                received.protocol = protocol;
                (received.extended, received.utf8) = (extended, utf8);
                received.authenticated = authenticated;
                received.tls = received.tls.filter(|_| secured);
            });
            let words: Vec<_> = field.split_ascii_whitespace().collect();
            let at = words.iter().position(|word| *word == "with").unwrap();
            assert_eq!(words[at + 1], name);
        }
    }

    #[test]
    fn nothing_of_the_client_stands_raw_in_the_field_and_lines_are_short() {
        for (hello, shown) in [
            ("[192.0.2.7]", "from [192.0.2.7] "),
            ("bücher.example", "from xn--bcher-kva.example "),
            ("a b\r\nX: y(;", "from a?b??X??y?? "),
            ("\u{202e}\0", "from ?? "),
        ] {
            let field = field(|received| received.hello = Some(hello));
            assert!(field.contains(shown), "{field}");
            for line in field.strip_suffix("\r\n").unwrap().split("\r\n") {
                assert!(
                    line.len() < 78 && !line.contains(['\r', '\n', '\0']),
                    "{line:?}"
                );
            }
        }
        let long = "x".repeat(1000) + "!";
        assert!(!field(|received| received.hello = Some(&long)).contains(&"x".repeat(65)));
    }
}
