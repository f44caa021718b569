//! What is decided about a message before its first command: whether the server can take it, what is declared about it, and how it
//! travels.

use super::chunk::{ChunkError, Form};
use super::options::TransferChoice;
use super::transact::{bare_line_end, chunk_error, needs_eight_bit, not_now};
use super::{Connection, Content};
use crate::error::{Error, Phase, Status};
use crate::proto::chunk::Encoder;
use crate::proto::client::{NotNow, Transfer};
use crate::proto::data::{Survey, survey};
use crate::proto::{BodyType, Envelope, Protocol};

/// What is known about a message that is in memory.
struct Known {
    /// Its octets in the form that is declared (RFC 1870 section 2): with every line end a CRLF, one at its end too, without
    /// the dots that transparency adds.
    length: u64,
    is_ascii: bool,
    form: Form,
    /// DATA, too, sends the octets as they are.
    is_plain: bool,
}

impl Connection {
    /// Whether messages travel by BDAT on this connection.
    pub(super) fn uses_chunks(&self) -> bool {
        self.options.transfer != TransferChoice::Data && self.capabilities().has("CHUNKING")
    }

    /// Checks a message against what the server offers, declares its size and kind (RFC 1870, RFC 6152), and decides how it
    /// travels. Nothing is sent.
    pub(super) fn prepare(
        &self,
        envelope: Envelope,
        content: &mut Content<'_>,
    ) -> Result<(Envelope, Transfer), Error> {
        let envelope = if self.options.notices_if_offered && !self.capabilities().has("DSN") {
            without_notices(envelope)
        } else {
            envelope
        };
        let mut parameters = envelope.parameters().clone();
        let chunks = self.uses_chunks();
        if self.options.transfer == TransferChoice::Bdat && !chunks {
            let text = "transfer is set to bdat and the server does not offer CHUNKING";
            return Err(self.fail(Error::new(Status::NotSupported, text).at(Phase::Mail)));
        }
        // RFC 8689 section 3. Whether there is TLS at all is looked at below.
        if parameters.requiretls && !self.options.client_tls.verifies() {
            return Err(self.fail(not_now(NotNow::NeedsTls("REQUIRETLS"))));
        }
        // Before 8BITMIME is looked for, which such a message needs too and whose error would not say why.
        if parameters.smtputf8 && !self.capabilities().has("SMTPUTF8") {
            return Err(self.fail(needs_utf8("SMTPUTF8")));
        }
        let is_binary = parameters.body == Some(BodyType::BinaryMime);
        if is_binary && !chunks {
            let text = "BODY=BINARYMIME needs BDAT: the server does not offer CHUNKING, or transfer is set to data";
            return Err(self.fail(Error::new(Status::NotSupported, text).at(Phase::Mail)));
        }
        let form = if is_binary {
            Form::Binary
        } else {
            Form::Lines(self.options.line_ends)
        };
        let eight_bit_offered = self.capabilities().has("8BITMIME");
        // With BDAT a message that a reader has ready at once can leave at once.
        let in_memory = if chunks {
            let peeked = content.peek();
            peeked.map_err(|e| self.fail(chunk_error(ChunkError::Read(e))))?
        } else {
            content.as_bytes()
        };
        let known = in_memory
            .map(|message| known(message, form))
            .transpose()
            .map_err(|e| self.fail(e))?;
        if let Some(known) = &known {
            if !known.is_ascii && !is_binary {
                parameters.body = Some(BodyType::EightBitMime);
            }
        } else if eight_bit_offered && parameters.body.is_none() {
            parameters.body = Some(BodyType::EightBitMime);
        }
        if parameters.body == Some(BodyType::EightBitMime) && !eight_bit_offered {
            // RFC 6531 section 3.1: who offers SMTPUTF8 has to offer this too.
            if parameters.smtputf8 {
                return Err(self.fail(needs_utf8("8BITMIME")));
            }
            return Err(self.fail(needs_eight_bit().at(Phase::Mail)));
        }
        content.is_plain = known.as_ref().is_some_and(|known| known.is_plain);
        let length = known
            .as_ref()
            .map(|known| known.length)
            .or(content.length());
        if let (Some(length), Some(limit)) = (length, self.capabilities().size_limit())
            && length > limit
        {
            let text = format!(
                "the message has {length} octets and the server takes at most {limit}: make it smaller, or send a link to what is large in it"
            );
            return Err(self.fail(Error::new(Status::TooLarge, text).at(Phase::Mail)));
        }
        parameters.size = parameters.size.or(length);
        let transfer = if chunks {
            self.cut(content, known.as_ref(), form)?
        } else {
            content.rewind();
            Transfer::Data
        };
        Ok((envelope.with_parameters(parameters), transfer))
    }

    /// How a message travels where there is BDAT.
    fn cut(
        &self,
        content: &mut Content<'_>,
        known: Option<&Known>,
        form: Form,
    ) -> Result<Transfer, Error> {
        content.begin_chunks(known.map_or(form, |known| known.form));
        if known.is_some_and(|known| known.length <= self.options.max_octets_ahead) {
            let (octets, _) = content
                .next_chunk(true)
                .map_err(|e| self.fail(chunk_error(e)))?;
            return Ok(Transfer::Whole(octets));
        }
        // Where each chunk waits for its reply, DATA is one wait in all.
        let in_groups = self.machine.pipelining() && self.machine.protocol() == Protocol::Smtp;
        if in_groups || self.options.transfer == TransferChoice::Bdat || form == Form::Binary {
            Ok(Transfer::Chunks)
        } else {
            content.rewind();
            Ok(Transfer::Data)
        }
    }
}

/// The envelope without what DSN adds to it (RFC 3461 section 4).
fn without_notices(mut envelope: Envelope) -> Envelope {
    let mut parameters = envelope.parameters().clone();
    parameters.ret = None;
    parameters.envid = None;
    let recipients = envelope.take_recipients();
    for recipient in recipients {
        let mut parameters = recipient.parameters().clone();
        parameters.notify = None;
        parameters.orcpt = None;
        envelope.push(recipient.with_parameters(parameters));
    }
    envelope.with_parameters(parameters)
}

/// A message that is internationalized (RFC 6531), and a server that lacks what it takes.
#[derive(Debug, thiserror::Error)]
#[error("the server does not offer {0}")]
struct NoUtf8(&'static str);

/// Whether the message, or an address that it cannot do without, needs SMTPUTF8 and the server does not take such messages.
pub(crate) fn lacks_utf8(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| {
        source.is::<NoUtf8>()
            || matches!(source.downcast_ref(), Some(NotNow::NotOffered("SMTPUTF8")))
    })
}

/// A header in UTF-8 and a server that lacks one of the two extensions that it takes.
fn needs_utf8(lacking: &'static str) -> Error {
    let text = format!(
        "the message needs SMTPUTF8 and 8BITMIME, for addresses outside ASCII in its header, and the server does not offer {lacking}: use addresses in ASCII, or another server"
    );
    Error::new(Status::NotSupported, text)
        .at(Phase::Mail)
        .with_source(NoUtf8(lacking))
}

/// Looks through a message, once if there is nothing to do to it.
fn known(message: &[u8], mut form: Form) -> Result<Known, Error> {
    let Survey { is_plain, is_ascii } = survey(message);
    let as_it_is = |form| {
        let length = u64::try_from(message.len()).unwrap_or(u64::MAX);
        Ok(Known {
            length,
            is_ascii,
            form,
            is_plain,
        })
    };
    let line_ends = match form {
        Form::Lines(_) if is_plain => return as_it_is(Form::Canonical),
        Form::Lines(line_ends) => line_ends,
        form => return as_it_is(form),
    };
    let mut encoder = Encoder::new(line_ends);
    let (mut rest, mut length) = (message, 0);
    while let Some(slice) = encoder.encode(&mut rest).map_err(bare_line_end)? {
        length += slice.len();
        if std::ptr::eq(slice, message) {
            form = Form::Canonical;
        }
    }
    length += encoder.finish().map_err(bare_line_end)?.len();
    Ok(Known {
        length: u64::try_from(length).unwrap_or(u64::MAX),
        is_ascii,
        form,
        is_plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::data::LineEnds;

    #[test]
    fn the_declared_size_counts_every_line_end_as_crlf() {
        let length = |message| {
            known(message, Form::Lines(LineEnds::Normalise))
                .unwrap()
                .length
        };
        assert_eq!(length(b"a\r\nb\nc\n\n"), 11);
        assert_eq!(length(b"\n"), 2);
        assert_eq!(length(b"a\rb\r\r\n"), 8);
        assert_eq!(length(b"a\r\nb"), 6);
        assert_eq!(length(b"a\r"), 3);
        assert_eq!(length(b""), 0);
    }

    #[test]
    fn bare_line_ends_are_found_before_anything_is_sent() {
        assert!(known(b"a\r\nb\r\n", Form::Lines(LineEnds::Refuse)).is_ok());
        for message in [b"a\nb".as_slice(), b"a\rb", b"a\r"] {
            let error = known(message, Form::Lines(LineEnds::Refuse))
                .map(|_| ())
                .unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument);
        }
    }
}
