//! The messages of SCRAM (RFC 5802 section 7), read strictly and written.

use std::borrow::Cow;

use crate::sasl::{SaslError, Secret, base64};

/// Whether a client can bind the exchange to TLS, as it tells the server (RFC 5802 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it cannot.
    No,
    /// `y`: it can, and thinks that the server cannot.
    NotOffered,
    /// `p=`: it does, by the binding of this name.
    Used(&'a str),
}

/// `client-first-message`.
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    /// The gs2-header with its last comma, which `c=` repeats.
    pub(super) header: &'a str,
    pub(super) flag: BindingFlag<'a>,
    pub(super) authorization_identity: Option<String>,
    /// What is behind the header: a part of the AuthMessage.
    pub(super) bare: &'a str,
    pub(super) username: String,
    pub(super) nonce: &'a str,
}

/// `server-first-message`.
#[derive(Debug)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// `client-final-message`.
pub(super) struct ClientFinal<'a> {
    pub(super) binding: Secret,
    pub(super) nonce: &'a str,
    pub(super) proof: Secret,
    /// What is in front of the proof: a part of the AuthMessage.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, SaslError> {
        let message = text(message)?;
        let malformed = SaslError::Malformed("the gs2-header is not in order");
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let flag = match flag {
            "n" => BindingFlag::No,
            "y" => BindingFlag::NotOffered,
            _ => match flag.strip_prefix("p=") {
                Some(name) if !name.is_empty() => BindingFlag::Used(name),
                _ => return Err(malformed),
            },
        };
        let authorization_identity = match (identity, identity.strip_prefix("a=")) {
            ("", _) => None,
            (_, Some(name)) => Some(read_name(name)?),
            _ => return Err(malformed),
        };
        let mut attributes = Attributes(Some(bare));
        let username = read_name(attributes.next('n')?)?;
        let nonce = read_nonce(attributes.next('r')?)?;
        attributes.rest("nr")?;
        Ok(Self {
            header: &message[..message.len() - bare.len()],
            flag,
            authorization_identity,
            bare,
            username,
            nonce,
        })
    }
}

impl<'a> ServerFirst<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, SaslError> {
        if let Some(error) = message.strip_prefix(b"e=") {
            return Err(SaslError::server(error));
        }
        let mut attributes = Attributes(Some(text(message)?));
        let nonce = read_nonce(attributes.next('r')?)?;
        let salt = base64::decode(attributes.next('s')?.as_bytes())?;
        if salt.expose().is_empty() {
            return Err(SaslError::Malformed("the salt is empty"));
        }
        let digits = attributes.next('i')?;
        // posit-number: no sign and no zero in front. What does not fit is too many in any case.
        if !digits.bytes().all(|b| b.is_ascii_digit()) || !digits.starts_with(|c| c != '0') {
            return Err(SaslError::Malformed("the iterations are not a number"));
        }
        let iterations = digits.parse().unwrap_or(u32::MAX);
        attributes.rest("rsi")?;
        Ok(Self {
            nonce,
            salt: salt.expose().to_vec(),
            iterations,
        })
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, SaslError> {
        let message = text(message)?;
        let Some((without_proof, proof)) = message.rsplit_once(",p=") else {
            return Err(SaslError::Malformed("the proof is missing"));
        };
        let mut attributes = Attributes(Some(without_proof));
        let binding = base64::decode(attributes.next('c')?.as_bytes())?;
        let nonce = read_nonce(attributes.next('r')?)?;
        attributes.rest("crp")?;
        Ok(Self {
            binding,
            nonce,
            proof: base64::decode(proof.as_bytes())?,
            without_proof,
        })
    }
}

/// The ServerSignature of a `server-final-message`, or the error that it tells.
pub(super) fn read_server_final(message: &[u8]) -> Result<Secret, SaslError> {
    if let Some(error) = message.strip_prefix(b"e=") {
        return Err(SaslError::server(error));
    }
    let mut attributes = Attributes(Some(text(message)?));
    let signature = base64::decode(attributes.next('v')?.as_bytes())?;
    attributes.rest("v")?;
    Ok(signature)
}

/// A name as it stands in a message: `=2C` for a comma and `=3D` for an equals sign.
pub(in crate::sasl) fn write_name(name: &str) -> Cow<'_, str> {
    if name.contains(['=', ',']) {
        Cow::Owned(name.replace('=', "=3D").replace(',', "=2C"))
    } else {
        Cow::Borrowed(name)
    }
}

/// And back. No other equals sign may stand in it (RFC 5802 section 5.1), nor any comma or NUL.
pub(in crate::sasl) fn read_name(text: &str) -> Result<String, SaslError> {
    let malformed = SaslError::Malformed("a name is not in order");
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('=') {
        name.push_str(before);
        let (c, behind) = match (behind.strip_prefix("2C"), behind.strip_prefix("3D")) {
            (Some(behind), _) => (',', behind),
            (_, Some(behind)) => ('=', behind),
            _ => return Err(malformed),
        };
        name.push(c);
        rest = behind;
    }
    name.push_str(rest);
    if name.is_empty() || text.contains([',', '\0']) {
        return Err(malformed);
    }
    Ok(name)
}

fn text(message: &[u8]) -> Result<&str, SaslError> {
    str::from_utf8(message).map_err(|_| SaslError::Malformed("SCRAM takes UTF-8 only"))
}

/// Printable ASCII without a comma, at least one.
fn read_nonce(text: &str) -> Result<&str, SaslError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(SaslError::Malformed("the nonce is not printable ASCII"))
    }
}

/// Attributes in a fixed order, each `x=value`, with commas between.
struct Attributes<'a>(Option<&'a str>);

impl<'a> Attributes<'a> {
    /// The value of the next attribute, which must have this name.
    fn next(&mut self, name: char) -> Result<&'a str, SaslError> {
        let (found, value) = self
            .any()?
            .ok_or(SaslError::Malformed("an attribute is missing"))?;
        if found != name {
            return Err(SaslError::Malformed("an attribute is not in its place"));
        }
        Ok(value)
    }

    /// The others: extensions, which may be passed over (RFC 5802 section 5.1), and none of `known` again.
    fn rest(&mut self, known: &str) -> Result<(), SaslError> {
        while let Some((name, _)) = self.any()? {
            if known.contains(name) {
                return Err(SaslError::Malformed("an attribute is there twice"));
            }
        }
        Ok(())
    }

    fn any(&mut self) -> Result<Option<(char, &'a str)>, SaslError> {
        let Some(rest) = self.0 else {
            return Ok(None);
        };
        let (attribute, rest) = match rest.split_once(',') {
            Some((attribute, rest)) => (attribute, Some(rest)),
            None => (rest, None),
        };
        self.0 = rest;
        let mut chars = attribute.chars();
        let name = chars.next().filter(char::is_ascii_alphabetic);
        let value = chars.as_str().strip_prefix('=');
        match (name, value) {
            // Mandatory extensions, of which this library knows none.
            (Some('m'), Some(_)) => Err(SaslError::Rejected("a mandatory extension is not known")),
            (Some(name), Some(value)) if !value.contains('\0') => Ok(Some((name, value))),
            _ => Err(SaslError::Malformed("an attribute is not in order")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s225_names_have_two_escapes_and_no_other_equals_sign() {
        for (name, written) in [("a=b,c", "a=3Db=2Cc"), ("tim", "tim"), ("=3D", "=3D3D")] {
            assert_eq!(write_name(name), written);
            assert_eq!(read_name(written).unwrap(), name);
        }
        for text in ["", "a=zz", "a=", "=2c", "a=3", "=3d", "a,b", "a\0b", "=2C="] {
            assert!(read_name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn s222_s225_first_messages_that_are_refused() {
        let read = |message: &str| ClientFirst::read(message.as_bytes()).map(|_| ());
        assert_eq!(read("n,,n=user,r=abc"), Ok(()));
        assert_eq!(read("y,a=me,n=user,r=abc,x=y"), Ok(()));
        assert_eq!(
            read("n,,m=x,n=user,r=abc"),
            Err(SaslError::Rejected("a mandatory extension is not known"))
        );
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "x,,n=user,r=abc",
            "p=,,n=user,r=abc",
            "p,,n=user,r=abc",
            "n,me,n=user,r=abc",
            "n,a=,n=user,r=abc",
            "n,,r=abc,n=user",
            "n,,n=user",
            "n,,n=,r=abc",
            "n,,n=a=zz,r=abc",
            "n,,n=user,r=",
            "n,,n=user,r=a b",
            "n,,n=user,r=ä",
            "n,,n=user,r=abc,",
            "n,,n=user,r=abc,r=def",
            "n,,n=user,r=abc,1=x",
            "n,,n=user,r=abc,x=a\0b",
            "N,,n=user,r=abc",
        ] {
            assert!(
                matches!(read(message), Err(SaslError::Malformed(_))),
                "{message}"
            );
        }
        assert!(ClientFirst::read(b"n,,n=\xff,r=abc").is_err());
    }

    #[test]
    fn c118_server_messages_that_are_refused() {
        let read =
            |message: &str| ServerFirst::read(message.as_bytes()).map(|first| first.iterations);
        assert_eq!(read("r=abc,s=c2FsdA==,i=4096"), Ok(4096));
        assert_eq!(read("r=abc,s=c2FsdA==,i=4096,x=new"), Ok(4096));
        assert_eq!(
            read("r=abc,s=c2FsdA==,i=99999999999999999999"),
            Ok(u32::MAX)
        );
        assert_eq!(
            read("e=other-error\r\n").unwrap_err(),
            SaslError::Server("other-error  ".to_owned())
        );
        assert!(matches!(
            read("m=x,r=abc,s=c2FsdA==,i=4096"),
            Err(SaslError::Rejected(_))
        ));
        for message in [
            "r=abc,s=c2FsdA==,i=4096,r=abc",
            "r=abc,s=c2FsdA=,i=4096",
            "r=abc,s=,i=4096",
            "r=abc,s=c2FsdA==",
            "r=abc,s=c2FsdA==,i=",
            "r=abc,s=c2FsdA==,i=04096",
            "r=abc,s=c2FsdA==,i=+4096",
            "r=abc,s=c2FsdA==,i=-1",
            "s=c2FsdA==,r=abc,i=4096",
            "r=,s=c2FsdA==,i=4096",
            "",
            "r=abc,i=4096,s=c2FsdA==",
            "r=abc,s=c2FsdA==,i=4096,",
        ] {
            assert!(read(message).is_err(), "{message}");
        }
        let signature = |message: &str| {
            read_server_final(message.as_bytes()).map(|signature| signature.expose().to_vec())
        };
        assert_eq!(signature("v=YQ==,x=new"), Ok(b"a".to_vec()));
        // No octets are a signature too: one that the client finds to be none.
        assert_eq!(signature("v="), Ok(Vec::new()));
        assert_eq!(
            signature("e=other-error"),
            Err(SaslError::Server("other-error".to_owned()))
        );
        for (message, error) in [
            ("", SaslError::Malformed("an attribute is not in order")),
            ("v=!", SaslError::NotBase64),
            ("v=YQ", SaslError::NotBase64),
            (
                "v=YQ==,v=YQ==",
                SaslError::Malformed("an attribute is there twice"),
            ),
            (
                "x=YQ==",
                SaslError::Malformed("an attribute is not in its place"),
            ),
            (
                "m=a,v=YQ==",
                SaslError::Rejected("a mandatory extension is not known"),
            ),
        ] {
            assert_eq!(signature(message), Err(error), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_written_and_read(name in "[^\0]{1,40}") {
            prop_assert_eq!(read_name(&write_name(&name)).unwrap(), name);
        }

        #[test]
        fn arbitrary_messages_never_panic(
            message in proptest::collection::vec(prop_oneof![
                proptest::sample::select(b"ny,=amrcpvesi2CD,==".to_vec()), any::<u8>()
            ], 0..60)
        ) {
            let _ = ClientFirst::read(&message);
            let _ = ServerFirst::read(&message);
            let _ = ClientFinal::read(&message);
            let _ = read_server_final(&message);
        }
    }
}
