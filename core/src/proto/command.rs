//! Commands as a server reads them (RFC 5321 section 4.1.1): a line becomes a [`Command`], or the reason for a refusal.

use super::address::split_path;
use super::{
    ForwardPath, InvalidAddress, InvalidParameter, MailParameters, RcptParameters, ReversePath,
};

/// A command that was understood. It borrows the line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// HELO with the client's name.
    Helo(&'a str),
    /// EHLO with the client's name.
    Ehlo(&'a str),
    /// LHLO with the client's name (RFC 2033).
    Lhlo(&'a str),
    /// MAIL FROM.
    Mail(ReversePath, MailParameters),
    /// RCPT TO.
    Rcpt(ForwardPath, RcptParameters),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP; its argument has no meaning.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY with its argument.
    Vrfy(&'a str),
    /// EXPN with its argument.
    Expn(&'a str),
    /// HELP with its argument, perhaps empty.
    Help(&'a str),
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954) with the mechanism's name, and the initial response in base64.
    Auth(&'a str, Option<&'a str>),
    /// TURN, SEND, SOML and SAML: known and never carried out (RFC 5321 appendix F).
    Obsolete(&'a str),
    /// A verb that is not known, with the whole line behind it.
    Unknown(&'a str, &'a str),
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The line is empty, has NUL or a bare CR or LF, or octets that are no UTF-8.
    #[error("the line is not a command")]
    NotACommand,
    /// The argument is missing, or stands where none belongs.
    #[error("{0}")]
    Argument(&'static str),
    /// The path is not valid.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The parameters are not valid.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// A reverse-path outside ASCII without SMTPUTF8.
    #[error("a reverse-path outside ASCII")]
    ReversePathNotAscii,
    /// A forward-path outside ASCII without SMTPUTF8.
    #[error("a forward-path outside ASCII")]
    ForwardPathNotAscii,
}

impl<'a> Command<'a> {
    /// Parses a line without its CRLF.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        if memchr::memchr3(0, b'\r', b'\n', line).is_some() {
            return Err(CommandError::NotACommand);
        }
        // RFC 5321 section 4.1.1: white space before the CRLF is tolerated.
        let line = line.trim_ascii_end();
        let verb_len = line
            .iter()
            .position(|&b| b == b' ' || b == b'\t')
            .unwrap_or(line.len());
        let (verb, argument) = line.split_at(verb_len);
        if verb.is_empty() || !verb.iter().all(u8::is_ascii_graphic) {
            return Err(CommandError::NotACommand);
        }
        let argument = std::str::from_utf8(argument).map_err(|_| not_utf8(verb))?;
        let verb = std::str::from_utf8(verb).map_err(|_| CommandError::NotACommand)?;
        Self::from_parts(verb, argument)
    }

    fn from_parts(verb: &'a str, argument: &'a str) -> Result<Self, CommandError> {
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        let trimmed = argument.trim_ascii();
        let alone = |command| {
            if trimmed.is_empty() {
                Ok(command)
            } else {
                Err(CommandError::Argument("the command takes no argument"))
            }
        };
        if is("MAIL") {
            let (path, rest) = path_of(argument, "FROM:", "the form is MAIL FROM:<address>")?;
            let path = path.parse().map_err(|e| match e {
                InvalidAddress::NotAscii => CommandError::ReversePathNotAscii,
                other => other.into(),
            })?;
            Ok(Self::Mail(
                ascii_only(path, CommandError::ReversePathNotAscii, argument)?,
                MailParameters::parse(rest)?,
            ))
        } else if is("RCPT") {
            let (path, rest) = path_of(argument, "TO:", "the form is RCPT TO:<address>")?;
            let path = path.parse().map_err(|e| match e {
                InvalidAddress::NotAscii => CommandError::ForwardPathNotAscii,
                other => other.into(),
            })?;
            Ok(Self::Rcpt(
                ascii_only(path, CommandError::ForwardPathNotAscii, argument)?,
                RcptParameters::parse(rest)?,
            ))
        } else if is("DATA") {
            alone(Self::Data)
        } else if is("RSET") {
            alone(Self::Rset)
        } else if is("QUIT") {
            alone(Self::Quit)
        } else if is("NOOP") {
            Ok(Self::Noop)
        } else if is("EHLO") {
            client_name(trimmed).map(Self::Ehlo)
        } else if is("HELO") {
            client_name(trimmed).map(Self::Helo)
        } else if is("LHLO") {
            client_name(trimmed).map(Self::Lhlo)
        } else if is("STARTTLS") {
            alone(Self::StartTls)
        } else if is("AUTH") {
            auth(trimmed)
        } else if is("VRFY") {
            text(trimmed).map(Self::Vrfy)
        } else if is("EXPN") {
            text(trimmed).map(Self::Expn)
        } else if is("HELP") {
            Ok(Self::Help(trimmed))
        } else if is("TURN") || is("SEND") || is("SOML") || is("SAML") {
            Ok(Self::Obsolete(verb))
        } else {
            Ok(Self::Unknown(verb, trimmed))
        }
    }
}

/// An address outside ASCII is refused by its own code; elsewhere such octets are just no command.
fn not_utf8(verb: &[u8]) -> CommandError {
    if verb.eq_ignore_ascii_case(b"MAIL") {
        CommandError::ReversePathNotAscii
    } else if verb.eq_ignore_ascii_case(b"RCPT") {
        CommandError::ForwardPathNotAscii
    } else {
        CommandError::NotACommand
    }
}

/// Without SMTPUTF8 nothing outside ASCII is taken, not even a domain that could be turned into A-labels.
fn ascii_only<T>(path: T, error: CommandError, argument: &str) -> Result<T, CommandError> {
    if argument.is_ascii() {
        Ok(path)
    } else {
        Err(error)
    }
}

/// ` FROM:<path> parameters` becomes path and parameters. One space behind the colon is forgiven.
fn path_of<'a>(
    argument: &'a str,
    word: &str,
    form: &'static str,
) -> Result<(&'a str, &'a str), CommandError> {
    let argument = argument.trim_ascii_start();
    let rest = match argument.split_at_checked(word.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(word) => rest,
        _ => return Err(CommandError::Argument(form)),
    };
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    if !rest.starts_with('<') {
        return Err(CommandError::Argument(form));
    }
    let (path, rest) = split_path(rest)?;
    if rest.is_empty() || rest.starts_with(' ') {
        Ok((path, rest))
    } else {
        Err(CommandError::Argument(
            "a space stands between the path and its parameters",
        ))
    }
}

/// The client's name is taken as it comes, as long as it is one printable word: clients send what they have.
fn client_name(name: &str) -> Result<&str, CommandError> {
    let fits = !name.is_empty()
        && name.len() <= super::limits::DOMAIN
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>\"\\()".contains(&b));
    if fits {
        Ok(name)
    } else {
        Err(CommandError::Argument(
            "the client's domain name or address literal is needed",
        ))
    }
}

fn text(argument: &str) -> Result<&str, CommandError> {
    if argument.is_empty() {
        Err(CommandError::Argument("an argument is needed"))
    } else if argument.chars().any(char::is_control) {
        Err(CommandError::NotACommand)
    } else {
        Ok(argument)
    }
}

/// `mechanism [initial-response]` (RFC 4954 section 4).
fn auth(argument: &str) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().filter(|name| {
        name.len() <= 20
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    });
    let initial = words.next();
    match (mechanism, words.next()) {
        (Some(mechanism), None) => Ok(Command::Auth(mechanism, initial)),
        _ => Err(CommandError::Argument(
            "the form is AUTH mechanism [initial-response]",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command<'_>, CommandError> {
        Command::parse(line.as_bytes())
    }

    #[test]
    fn verbs_are_known_in_any_case_and_trailing_space_is_tolerated() {
        assert_eq!(parse("eHlO a.example"), Ok(Command::Ehlo("a.example")));
        assert_eq!(parse("NOOP   "), Ok(Command::Noop));
        assert_eq!(parse("noop whatever"), Ok(Command::Noop));
        assert_eq!(parse("data\t"), Ok(Command::Data));
        assert_eq!(parse("TuRn"), Ok(Command::Obsolete("TuRn")));
        assert_eq!(parse("FOO bar baz"), Ok(Command::Unknown("FOO", "bar baz")));
        assert_eq!(parse("AUTH plain ="), Ok(Command::Auth("plain", Some("="))));
    }

    #[test]
    fn mail_and_rcpt_have_path_and_parameters() {
        let Ok(Command::Mail(path, parameters)) = parse("mAiL fRoM: <a@b> SIZE=5") else {
            panic!()
        };
        assert_eq!(
            (path.to_string().as_str(), parameters.size),
            ("a@b", Some(5))
        );
        assert!(matches!(
            parse("MAIL FROM:<>"),
            Ok(Command::Mail(ReversePath::Null, _))
        ));
        assert!(matches!(
            parse("RCPT TO:<PostMaster>"),
            Ok(Command::Rcpt(ForwardPath::Postmaster, _))
        ));
        assert!(matches!(
            parse("RCPT TO:<@x,@y:a@b>"),
            Ok(Command::Rcpt(ForwardPath::Mailbox(_), _))
        ));
    }

    #[test]
    fn bad_arguments_are_refused() {
        for line in [
            "EHLO",
            "HELO ",
            "EHLO a b",
            "EHLO <x>",
            "RSET x",
            "QUIT now",
            "DATA x",
            "STARTTLS x",
            "MAIL",
            "MAIL a@b",
            "MAIL FROM:a@b",
            "MAIL FROM:  <a@b>",
            "MAIL FROM <a@b>",
            "MAIL FROM:<a@b>SIZE=1",
            "MAIL FROM:<a@b> SIZE=x",
            "RCPT TO:<>",
            "RCPT TO:<a>",
            "VRFY",
            "EXPN",
            "AUTH",
            "AUTH PLAIN a b",
            "AUTH !",
            "MAIL TO:<a@b>",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_a_command_is_refused_whole() {
        for line in [
            "",
            "NOOP\0QUIT",
            "NOOP\nQUIT",
            "NOOP\rQUIT",
            " NOOP",
            "\u{e9}",
            "\x1bX",
        ] {
            assert_eq!(parse(line), Err(CommandError::NotACommand), "{line:?}");
        }
        assert_eq!(Command::parse(b"NOOP \xff"), Err(CommandError::NotACommand));
    }

    #[test]
    fn addresses_outside_ascii_are_refused_by_their_own_code() {
        assert_eq!(
            Command::parse(b"MAIL FROM:<\xc3\xa9@b>"),
            Err(CommandError::ReversePathNotAscii)
        );
        assert_eq!(
            Command::parse(b"MAIL FROM:<\xff@b>"),
            Err(CommandError::ReversePathNotAscii)
        );
        assert_eq!(
            parse("RCPT TO:<a@bücher.example>"),
            Err(CommandError::ForwardPathNotAscii)
        );
    }
}
