//! OAUTHBEARER (RFC 7628) and its older form XOAUTH2: a bearer token, and word of why it was refused.

use super::exchange::{ClientMechanism, ServerMechanism, Step};
use super::names::prepared_name;
use super::scram::{read_name, write_name};
use super::{ClientContext, Credentials, Mechanism, SaslError, Secret};

/// The client's side: one message, and an empty sign to a server that tells of a failure.
pub(super) struct Client {
    mechanism: Mechanism,
    unsent: Option<Secret>,
    /// What the server has told of a failure. A success is not believed then.
    failure: Option<SaslError>,
}

impl Client {
    pub(super) fn new(
        mechanism: Mechanism,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Self {
        let token = credentials.password().expose();
        let message = if mechanism == Mechanism::Xoauth2 {
            let user = credentials.username().as_bytes();
            Secret::concat(&[b"user=", user, b"\x01auth=Bearer ", token, b"\x01\x01"])
        } else {
            // RFC 7628 section 3.1: the gs2-header names whom to act as, then come pairs of key and value.
            let user = write_name(
                credentials
                    .authorization_identity()
                    .unwrap_or(credentials.username()),
            );
            let place = context
                .server
                .as_ref()
                .map_or_else(String::new, |(host, port)| {
                    format!("host={host}\x01port={port}\x01")
                });
            Secret::concat(&[
                b"n,a=",
                user.as_bytes(),
                b",\x01",
                place.as_bytes(),
                b"auth=Bearer ",
                token,
                b"\x01\x01",
            ])
        };
        Self {
            mechanism,
            unsent: Some(message),
            failure: None,
        }
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        self.mechanism.name()
    }

    fn initial_response(&mut self) -> Option<Secret> {
        self.unsent.take()
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        if let Some(message) = self.unsent.take() {
            return Ok(message);
        }
        if self.failure.is_some() {
            return Err(SaslError::UnexpectedChallenge);
        }
        self.failure = Some(SaslError::server(challenge));
        // RFC 7628 section 3.2.3 asks for one octet of 1; XOAUTH2 for an empty line.
        Ok(match self.mechanism {
            Mechanism::Xoauth2 => Secret::new([]),
            _ => Secret::new([1]),
        })
    }

    fn is_complete(&self) -> bool {
        self.unsent.is_none() && self.failure.is_none()
    }

    fn failure(&self) -> Option<&SaslError> {
        self.failure.as_ref()
    }
}

/// The server's side: one message, whose token somebody else judges.
pub(super) struct Server {
    mechanism: Mechanism,
    over: bool,
}

impl Server {
    pub(super) fn new(mechanism: Mechanism) -> Self {
        Self {
            mechanism,
            over: false,
        }
    }
}

impl ServerMechanism for Server {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if std::mem::replace(&mut self.over, true) {
            return Err(SaslError::UnexpectedResponse);
        }
        let message = str::from_utf8(response)
            .map_err(|_| SaslError::Malformed("the message is UTF-8 only"))?;
        let (user, token) = match self.mechanism {
            Mechanism::Xoauth2 => read_xoauth2(message)?,
            _ => read_oauthbearer(message)?,
        };
        // With OAUTHBEARER the token alone may say whose it is.
        let user = match user {
            Some(user) => prepared_name(&user)?,
            None => String::new(),
        };
        Ok(Step::Credentials(Credentials::heard_token(
            user,
            Secret::new(token),
        )?))
    }

    fn refused(&mut self) -> Option<Secret> {
        // RFC 7628 section 3.2.2; XOAUTH2 has the number of HTTP instead.
        Some(Secret::new(match self.mechanism {
            Mechanism::Xoauth2 => r#"{"status":"401","schemes":"bearer"}"#,
            _ => r#"{"status":"invalid_token"}"#,
        }))
    }
}

/// `user=` name, 1, `auth=Bearer ` token, 1, 1.
fn read_xoauth2(message: &str) -> Result<(Option<String>, &str), SaslError> {
    let malformed = SaslError::Malformed("the message is not user=… auth=Bearer …");
    let fields = message
        .strip_suffix("\x01\x01")
        .and_then(|text| text.split_once('\x01'));
    let (user, auth) = fields.ok_or(malformed.clone())?;
    let user = user.strip_prefix("user=").ok_or(malformed.clone())?;
    let auth = auth.strip_prefix("auth=").ok_or(malformed)?;
    Ok((Some(user.to_owned()), bearer(auth)?))
}

/// RFC 7628 section 3.1: `n,a=` name `,`, 1, then pairs of key and value that each end in 1, and 1.
fn read_oauthbearer(message: &str) -> Result<(Option<String>, &str), SaslError> {
    let malformed = SaslError::Malformed("the message is not gs2-header, pairs of key and value");
    let pairs = message
        .strip_suffix("\x01\x01")
        .and_then(|text| text.split_once('\x01'));
    let (header, pairs) = pairs.ok_or(malformed.clone())?;
    let mut header = header.split(',');
    let (Some(flag), Some(identity), Some(""), None) =
        (header.next(), header.next(), header.next(), header.next())
    else {
        return Err(malformed);
    };
    if !matches!(flag, "n" | "y") {
        return Err(SaslError::Rejected("this channel binding is not offered"));
    }
    let user = match (identity, identity.strip_prefix("a=")) {
        ("", _) => None,
        (_, Some(name)) => Some(read_name(name)?),
        _ => return Err(malformed),
    };
    let mut token = None;
    for pair in pairs.split('\x01') {
        let (key, value) = pair.split_once('=').ok_or(malformed.clone())?;
        if key.is_empty() || !key.bytes().all(|octet| octet.is_ascii_alphabetic()) {
            return Err(malformed);
        }
        if key == "auth" && token.replace(bearer(value)?).is_some() {
            return Err(SaslError::Malformed("there are two tokens"));
        }
    }
    let token = token.ok_or(SaslError::Malformed("there is no token"))?;
    Ok((user, token))
}

/// `Bearer` in any case (RFC 9110 section 11.1), and the token.
fn bearer(value: &str) -> Result<&str, SaslError> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => {
            Ok(token.trim_matches(' '))
        }
        _ => Err(SaslError::Malformed(
            "the scheme of the token is not Bearer",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

    fn heard(mechanism: Mechanism, message: &[u8]) -> Result<Credentials, SaslError> {
        Server::new(mechanism).step(message).map(|step| match step {
            Step::Credentials(credentials) => credentials,
            step => panic!("{step:?}"),
        })
    }

    #[test]
    fn rfc_7628_section_4_1_example() {
        let message = format!(
            "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
        );
        let credentials = Credentials::with_token("user@example.com", TOKEN).unwrap();
        let context = ClientContext::default().with_server("server.example.com", 143);
        let mut client = Client::new(Mechanism::OauthBearer, &credentials, &context);
        assert!(!client.is_complete());
        assert_eq!(
            client.initial_response().unwrap().expose(),
            message.as_bytes()
        );
        assert!(client.is_complete());
        let got = heard(Mechanism::OauthBearer, message.as_bytes()).unwrap();
        assert_eq!(got.username(), "user@example.com");
        assert!(got.password().same_as(TOKEN.as_bytes()));
    }

    #[test]
    fn the_example_of_xoauth2() {
        let message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        let credentials = Credentials::with_token("someuser@example.com", token).unwrap();
        let mut client = Client::new(Mechanism::Xoauth2, &credentials, &ClientContext::default());
        assert_eq!(client.respond(b"").unwrap().expose(), message);
        let got = heard(Mechanism::Xoauth2, message).unwrap();
        assert_eq!(got.username(), "someuser@example.com");
        assert!(got.password().same_as(token.as_bytes()));
    }

    #[test]
    fn c120_c121_a_failure_is_answered_kept_and_never_a_success() {
        let credentials = Credentials::with_token("tim", "t").unwrap();
        for (mechanism, answer) in [
            (Mechanism::OauthBearer, &b"\x01"[..]),
            (Mechanism::Xoauth2, b""),
        ] {
            let mut client = Client::new(mechanism, &credentials, &ClientContext::default());
            client.initial_response().unwrap();
            let challenge = Server::new(mechanism).refused().unwrap();
            let response = client.respond(challenge.expose()).unwrap();
            assert_eq!(response.expose(), answer);
            assert!(!client.is_complete());
            let told = client.failure().unwrap().to_string();
            assert!(told.contains("{\"status\":\""), "{told}");
            assert!(client.respond(b"").is_err());
        }
    }

    #[test]
    fn s230_s232_malformed_messages_are_refused() {
        for message in [
            "",
            "\x01\x01",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer t\x01",
            "n,\x01auth=Bearer t\x01\x01",
            "n,,,\x01auth=Bearer t\x01\x01",
            "p=x,,\x01auth=Bearer t\x01\x01",
            "n,tim,\x01auth=Bearer t\x01\x01",
            "n,a=,\x01auth=Bearer t\x01\x01",
            "n,a=x=y,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Basic t\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01=x\x01auth=Bearer t\x01\x01",
            "n,,\x01host\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer t\x01auth=Bearer t\x01\x01",
            "n,,\x01host=x\x01\x01",
            "n,a=\u{AD},\x01auth=Bearer t\x01\x01",
        ] {
            assert!(
                heard(Mechanism::OauthBearer, message.as_bytes()).is_err(),
                "{message:?}"
            );
        }
        let nameless = heard(Mechanism::OauthBearer, b"n,,\x01auth=bearer t\x01\x01").unwrap();
        assert_eq!(nameless.username(), "");
        for message in [
            "",
            "user=tim",
            "user=tim\x01auth=Bearer t\x01",
            "tim\x01auth=Bearer t\x01\x01",
            "user=\x01auth=Bearer t\x01\x01",
            "user=tim\x01auth=t\x01\x01",
            "user=tim\x01Bearer t\x01\x01",
            "user=tim\x01x=y\x01auth=Bearer t\x01\x01",
        ] {
            assert!(
                heard(Mechanism::Xoauth2, message.as_bytes()).is_err(),
                "{message:?}"
            );
        }
    }
}
