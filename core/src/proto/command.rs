//! Commands as a server reads them (RFC 5321 section 4.1.1): a line becomes a [`Command`], or the reason for a refusal.

use std::fmt;

use super::address::{is_hidden, split_path};
use super::chunk::Chunk;
use super::{
    ClientAttributes, ForwardPath, InvalidAddress, InvalidAttributes, InvalidParameter,
    MailParameters, RcptParameters, ReversePath,
};

/// The initial response of AUTH in base64. It may be a password, so it is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InitialResponse<'a>(&'a str);

impl<'a> InitialResponse<'a> {
    /// The base64 itself. Take care where it goes.
    pub fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for InitialResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialResponse(…)")
    }
}

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
    /// BDAT (RFC 3030), behind which the chunk follows.
    Bdat(Chunk),
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
    /// AUTH (RFC 4954) with the mechanism's name, and the initial response.
    Auth(&'a str, Option<InitialResponse<'a>>),
    /// ETRN (RFC 1985) with the node whose queue is to be started, its option `@` or `#` in front.
    Etrn(&'a str),
    /// XCLIENT with what it says about the client.
    Xclient(Box<ClientAttributes>),
    /// TURN, ATRN, SEND, SOML and SAML: known and never carried out (RFC 5321 appendix F).
    Obsolete(&'a str),
    /// A verb that is not known, with the whole line behind it.
    Unknown(&'a str, &'a str),
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The line is empty, has NUL or a bare CR or LF, or octets that are no UTF-8, or behind a verb that is not known, characters that are
    /// not shown.
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
    /// A reverse-path outside ASCII that is no UTF-8 either.
    #[error("the reverse-path is not UTF-8")]
    ReversePathNotUtf8,
    /// A forward-path outside ASCII that is no UTF-8 either.
    #[error("the forward-path is not UTF-8")]
    ForwardPathNotUtf8,
    /// The size of a chunk is none: nobody knows where the next command begins.
    #[error("the form is BDAT size [LAST]")]
    Chunk,
    /// The arguments of XCLIENT are not valid.
    #[error(transparent)]
    Attributes(#[from] InvalidAttributes),
}

impl<'a> Command<'a> {
    /// Parses a line without its CRLF. One space behind the colon of `FROM:` and `TO:` is forgiven.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        Self::parse_with(line, true)
    }

    /// Parses a line without its CRLF, and forgives no space behind the colon of `FROM:` and `TO:` (RFC 5321 section 3.3).
    pub fn parse_strictly(line: &'a [u8]) -> Result<Self, CommandError> {
        Self::parse_with(line, false)
    }

    fn parse_with(line: &'a [u8], forgiving: bool) -> Result<Self, CommandError> {
        if memchr::memchr3(0, b'\r', b'\n', line).is_some() {
            return Err(not_a_line(line));
        }
        let (verb, argument) = split_verb(line);
        if verb.is_empty() || !verb.iter().all(u8::is_ascii_graphic) {
            return Err(CommandError::NotACommand);
        }
        let argument = std::str::from_utf8(argument).map_err(|_| not_utf8(verb))?;
        let verb = std::str::from_utf8(verb).map_err(|_| CommandError::NotACommand)?;
        Self::from_parts(verb, argument, forgiving)
    }

    fn from_parts(verb: &'a str, argument: &'a str, forgiving: bool) -> Result<Self, CommandError> {
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
            let (path, rest) = path_of(
                argument,
                forgiving,
                "FROM:",
                "the form is MAIL FROM:<address>",
            )?;
            Ok(Self::Mail(path.parse()?, MailParameters::parse(rest)?))
        } else if is("RCPT") {
            let (path, rest) =
                path_of(argument, forgiving, "TO:", "the form is RCPT TO:<address>")?;
            Ok(Self::Rcpt(path.parse()?, RcptParameters::parse(rest)?))
        } else if is("BDAT") {
            Chunk::parse(trimmed)
                .map(Self::Bdat)
                .ok_or(CommandError::Chunk)
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
            needed(trimmed).map(Self::Vrfy)
        } else if is("EXPN") {
            needed(trimmed).map(Self::Expn)
        } else if is("HELP") {
            text(trimmed).map(Self::Help)
        } else if is("ETRN") {
            node(trimmed).map(Self::Etrn)
        } else if is("XCLIENT") {
            Ok(Self::Xclient(Box::new(ClientAttributes::parse(trimmed)?)))
        } else if is("TURN") || is("ATRN") || is("SEND") || is("SOML") || is("SAML") {
            Ok(Self::Obsolete(verb))
        } else {
            // It is for whoever knows the verb to say what is wrong with its argument: to nobody else is it a command.
            let argument = text(trimmed).map_err(|_| CommandError::NotACommand)?;
            Ok(Self::Unknown(verb, argument))
        }
    }
}

/// The verb of a line, and what stands behind it.
pub(super) fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    // RFC 5321 section 4.1.1: white space before the CRLF is tolerated.
    let line = line.trim_ascii_end();
    let end = memchr::memchr2(b' ', b'\t', line);
    line.split_at(end.unwrap_or(line.len()))
}

/// A line that has what no line may have. Where it announced a chunk, nobody knows how long that is.
fn not_a_line(line: &[u8]) -> CommandError {
    match line.get(..4) {
        Some(verb) if verb.eq_ignore_ascii_case(b"BDAT") => CommandError::Chunk,
        _ => CommandError::NotACommand,
    }
}

/// An address that is no UTF-8 is refused by its own code; elsewhere such octets are just no command.
fn not_utf8(verb: &[u8]) -> CommandError {
    if verb.eq_ignore_ascii_case(b"MAIL") {
        CommandError::ReversePathNotUtf8
    } else if verb.eq_ignore_ascii_case(b"RCPT") {
        CommandError::ForwardPathNotUtf8
    } else if verb.eq_ignore_ascii_case(b"BDAT") {
        CommandError::Chunk
    } else {
        CommandError::NotACommand
    }
}

/// ` FROM:<path> parameters` becomes path and parameters. One space behind the colon may be forgiven.
fn path_of<'a>(
    argument: &'a str,
    forgiving: bool,
    word: &str,
    form: &'static str,
) -> Result<(&'a str, &'a str), CommandError> {
    let argument = argument.trim_ascii_start();
    let rest = match argument.split_at_checked(word.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(word) => rest,
        _ => return Err(CommandError::Argument(form)),
    };
    let space = rest.strip_prefix(' ').filter(|_| forgiving);
    let rest = space.unwrap_or(rest);
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

fn needed(argument: &str) -> Result<&str, CommandError> {
    if argument.is_empty() {
        Err(CommandError::Argument("an argument is needed"))
    } else {
        text(argument)
    }
}

/// What is told to people, or looked up, is what they see of it.
fn text(argument: &str) -> Result<&str, CommandError> {
    if argument.chars().any(is_hidden) {
        Err(CommandError::Argument(
            "the argument has a control character, or one that is not shown",
        ))
    } else {
        Ok(argument)
    }
}

/// `[@ or #]node` (RFC 1985 section 5). What names a queue reaches databases and shells, so it has letters that are harmless
/// there.
fn node(argument: &str) -> Result<&str, CommandError> {
    let fits = match argument.strip_prefix('#') {
        Some(queue) => {
            !queue.is_empty()
                && queue.len() <= super::limits::DOMAIN
                && queue
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
        None => argument
            .strip_prefix('@')
            .unwrap_or(argument)
            .parse::<super::Domain>()
            .is_ok_and(|domain| domain.as_str().is_ascii()),
    };
    if fits {
        Ok(argument)
    } else {
        Err(CommandError::Argument("the form is ETRN [@ or #]node"))
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
    let initial = words.next().map(InitialResponse);
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
        assert_eq!(parse("AUTH plain"), Ok(Command::Auth("plain", None)));
    }

    #[test]
    fn what_is_not_shown_is_told_to_nobody() {
        for hidden in [
            "\u{8}", "\t", "\u{7f}", "\u{85}", "\u{202e}", "\u{ad}", "\u{200b}",
        ] {
            for verb in ["VRFY", "EXPN", "HELP"] {
                let line = format!("{verb} a{hidden}b");
                let refused = matches!(parse(&line), Err(CommandError::Argument(_)));
                assert!(refused, "{line:?}");
            }
            let unknown = format!("FOO a{hidden}b");
            assert_eq!(parse(&unknown), Err(CommandError::NotACommand));
            assert!(parse(&format!("ETRN a{hidden}b")).is_err());
        }
        assert_eq!(parse("HELP m\u{e4}il"), Ok(Command::Help("m\u{e4}il")));
    }

    #[test]
    fn an_initial_response_is_not_printed() {
        let Ok(command) = parse("AUTH plain AHRpbQBwdw==") else {
            panic!()
        };
        assert!(
            matches!(command, Command::Auth("plain", Some(initial)) if initial.expose() == "AHRpbQBwdw==")
        );
        assert_eq!(
            format!("{command:?}"),
            r#"Auth("plain", Some(InitialResponse(…)))"#
        );
        assert_eq!(parse("AUTH plain AHRpbQBwdw=="), Ok(command));
        assert_ne!(
            parse("AUTH plain AHRpbQBwdA=="),
            parse("AUTH plain AHRpbQBwdw==")
        );
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
            Ok(Command::Rcpt(ForwardPath::Postmaster(_), _))
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
    fn addresses_outside_ascii_are_parsed_and_what_is_no_utf8_is_refused_by_its_own_code() {
        let Ok(Command::Mail(path, _)) = parse("MAIL FROM:<\u{e9}@b>") else {
            panic!()
        };
        assert!(!path.is_ascii());
        assert!(matches!(
            parse("RCPT TO:<a@bücher.example>"),
            Ok(Command::Rcpt(..))
        ));
        // Overlong forms and surrogates are no UTF-8.
        for octets in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80"] {
            let line = |verb: &[u8]| [verb, octets, b"@b>"].concat();
            assert_eq!(
                Command::parse(&line(b"MAIL FROM:<")),
                Err(CommandError::ReversePathNotUtf8)
            );
            assert_eq!(
                Command::parse(&line(b"RCPT TO:<")),
                Err(CommandError::ForwardPathNotUtf8)
            );
        }
    }

    #[test]
    fn s276_a_bad_size_is_an_error_of_its_own() {
        let chunk = |size, last| Ok(Command::Bdat(Chunk::new(size, last).unwrap()));
        assert_eq!(parse("bdat 5"), chunk(5, false));
        assert_eq!(parse("BDAT 0 last "), chunk(0, true));
        for line in ["BDAT", "BDAT x", "BDAT 5 LAST x", "BDAT \u{e9}"] {
            assert_eq!(parse(line), Err(CommandError::Chunk), "{line}");
        }
        assert_eq!(Command::parse(b"BDAT 5 \xff"), Err(CommandError::Chunk));
        assert_eq!(parse("BDAT 5\0"), Err(CommandError::Chunk));
    }

    #[test]
    fn s357_s358_etrn_names_a_node_or_a_queue() {
        for node in ["example.org", "@example.org", "#queue-1_a.b"] {
            assert_eq!(parse(&format!("ETRN {node}")), Ok(Command::Etrn(node)));
        }
        for line in [
            "ETRN",
            "ETRN @",
            "ETRN #",
            "ETRN #' OR 1=1",
            "ETRN #a'b",
            "ETRN a b",
            "ETRN \u{fc}.example",
            "ETRN $(x)",
        ] {
            assert!(
                matches!(parse(line), Err(CommandError::Argument(_))),
                "{line}"
            );
        }
    }
}
