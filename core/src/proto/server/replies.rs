//! The replies that the machine words itself, as they go on the wire. Codes are those of RFC 5321 section 4.2, enhanced status
//! codes those of RFC 3463 and its registry.

use crate::proto::Reply;

pub(super) const OK: &str = "250 2.0.0 OK\r\n";
pub(super) const MAIL_OK: &str = "250 2.1.0 OK\r\n";
pub(super) const RCPT_OK: &str = "250 2.1.5 OK\r\n";
pub(super) const START_DATA: &str = "354 End data with <CR><LF>.<CR><LF>\r\n";
pub(super) const BYE: &str = "221 2.0.0 Bye\r\n";
pub(super) const READY_FOR_TLS: &str = "220 2.0.0 Ready to start TLS\r\n";
pub(super) const AUTHENTICATED: &str = "235 2.7.0 Authentication successful\r\n";
pub(super) const CANNOT_VERIFY: &str =
    "252 2.5.0 Cannot verify the address, but will take mail for it\r\n";
pub(super) const HELP: &str = "214 2.0.0 See RFC 5321\r\n";
pub(super) const QUEUE_STARTED: &str = "250 2.0.0 OK, queue started\r\n";

pub(super) const TOO_MANY_BAD_COMMANDS: &str = "421 4.7.0 Too many bad commands\r\n";
pub(super) const TOO_MANY_IDLE_COMMANDS: &str = "421 4.7.0 Too many commands without mail\r\n";
pub(super) const TOO_MANY_AUTH_FAILURES: &str = "421 4.7.0 Too many failed authentications\r\n";
pub(super) const OTHER_PROTOCOL: &str = "421 4.7.0 This is an SMTP server\r\n";
pub(super) const TOO_MANY_TRANSACTIONS: &str = "421 4.7.0 Too many messages in this session\r\n";
pub(super) const TOO_MANY_RECIPIENTS: &str = "452 4.5.3 Too many recipients\r\n";
pub(super) const TOO_MANY_DOMAINS: &str = "452 4.5.3 Too many domains of recipients\r\n";

pub(super) const CANNOT_AUTHENTICATE: &str = "454 4.7.0 Temporary authentication failure\r\n";

pub(super) const NOT_A_COMMAND: &str = "500 5.5.2 Not a command\r\n";
pub(super) const LINE_TOO_LONG: &str = "500 5.5.2 Line too long\r\n";
pub(super) const AUTH_LINE_TOO_LONG: &str =
    "500 5.5.6 Authentication exchange line is too long\r\n";
pub(super) const UNKNOWN: &str = "500 5.5.1 Unknown command\r\n";
pub(super) const CONTROL_IN_SENDER: &str =
    "501 5.1.7 Control character in the sender's address\r\n";
pub(super) const CONTROL_IN_RECIPIENT: &str =
    "501 5.1.3 Control character in the recipient's address\r\n";
pub(super) const NOT_BASE64: &str = "501 5.5.2 Cannot decode the response\r\n";
pub(super) const NO_INITIAL_RESPONSE: &str =
    "501 5.7.0 The server speaks first in this mechanism\r\n";
pub(super) const AUTH_CANCELLED: &str = "501 5.7.0 Authentication cancelled\r\n";
pub(super) const BAD_CHUNK: &str = "501 5.5.4 the form is BDAT size [LAST]\r\n";
pub(super) const TOO_SOON: &str = "501 5.5.4 The time of BY is too short\r\n";
pub(super) const TOO_LATE: &str = "501 5.5.4 The message cannot be held so long\r\n";
pub(super) const NOT_IMPLEMENTED: &str = "502 5.5.1 Command not implemented\r\n";
pub(super) const TURNED_AWAY: &str = "503 5.5.1 Only QUIT is possible here\r\n";
pub(super) const HELLO_FIRST: &str = "503 5.5.1 Say EHLO first\r\n";
pub(super) const LHLO_FIRST: &str = "503 5.5.1 Say LHLO first\r\n";
pub(super) const NESTED_MAIL: &str = "503 5.5.1 Sender already given\r\n";
pub(super) const MAIL_FIRST: &str = "503 5.5.1 Say MAIL first\r\n";
pub(super) const NO_RECIPIENT: &str = "503 5.5.1 No valid recipient\r\n";
pub(super) const IN_TRANSACTION: &str = "503 5.5.1 Not within a mail transaction\r\n";
pub(super) const ALREADY_TLS: &str = "503 5.5.1 TLS is already active\r\n";
pub(super) const ALREADY_AUTHENTICATED: &str = "503 5.5.1 Already authenticated\r\n";
pub(super) const MESSAGE_BEGUN: &str = "503 5.5.1 The message has begun\r\n";
pub(super) const BINARY_NEEDS_BDAT: &str = "503 5.5.1 BODY=BINARYMIME needs BDAT\r\n";
pub(super) const RESET_FIRST: &str = "503 5.5.1 A chunk was refused, say RSET first\r\n";
pub(super) const UNKNOWN_MECHANISM: &str = "504 5.5.4 Authentication mechanism not supported\r\n";
pub(super) const TLS_NEEDED: &str = "530 5.7.0 Say STARTTLS first\r\n";
pub(super) const AUTH_NEEDED: &str = "530 5.7.0 Authentication required\r\n";
pub(super) const BAD_CREDENTIALS: &str = "535 5.7.8 Authentication credentials invalid\r\n";
pub(super) const TLS_NEEDED_TO_AUTH: &str =
    "538 5.7.11 Encryption required for this authentication mechanism\r\n";
pub(super) const SENDER_NOT_ASCII: &str = "550 5.6.7 The sender's address needs SMTPUTF8\r\n";
pub(super) const NOT_TRUSTED: &str = "550 5.7.0 Not trusted to speak for others\r\n";
pub(super) const RECIPIENT_NOT_ASCII: &str = "553 5.6.7 The recipient's address needs SMTPUTF8\r\n";
pub(super) const TOO_BIG: &str = "552 5.3.4 Message too big\r\n";
pub(super) const BARE_LINE_END: &str = "554 5.6.0 Message has a bare CR or LF\r\n";
pub(super) const BEHIND_STARTTLS: &str = "554 5.5.0 Commands behind STARTTLS in clear\r\n";
pub(super) const UNKNOWN_PARAMETER: &str = "555 5.5.4 Parameter not recognised\r\n";

/// RFC 2034 section 4: no enhanced status code in any reply to HELO and EHLO.
pub(super) const HELLO_WITHIN_MESSAGE: Reply =
    Reply::fixed(503, None, "The message has begun, say RSET first");

/// What the application said cannot be said here.
pub(super) const UNFIT_ANSWER: Reply =
    Reply::fixed(451, Some((4, 3, 0)), "Local error in processing");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{EnhancedStatus, ReplyGatherer};

    #[test]
    fn s013_s320_s322_each_is_one_well_formed_reply_with_a_fitting_enhanced_code() {
        let all = [
            NOT_TRUSTED,
            RESET_FIRST,
            BINARY_NEEDS_BDAT,
            MESSAGE_BEGUN,
            TOO_LATE,
            TOO_SOON,
            BAD_CHUNK,
            TOO_MANY_DOMAINS,
            TOO_MANY_TRANSACTIONS,
            QUEUE_STARTED,
            OK,
            MAIL_OK,
            RCPT_OK,
            START_DATA,
            BYE,
            READY_FOR_TLS,
            AUTHENTICATED,
            CANNOT_VERIFY,
            HELP,
            TOO_MANY_BAD_COMMANDS,
            TOO_MANY_IDLE_COMMANDS,
            TOO_MANY_AUTH_FAILURES,
            OTHER_PROTOCOL,
            TOO_MANY_RECIPIENTS,
            CANNOT_AUTHENTICATE,
            NOT_A_COMMAND,
            LINE_TOO_LONG,
            AUTH_LINE_TOO_LONG,
            UNKNOWN,
            CONTROL_IN_SENDER,
            CONTROL_IN_RECIPIENT,
            NOT_BASE64,
            NO_INITIAL_RESPONSE,
            AUTH_CANCELLED,
            NOT_IMPLEMENTED,
            TURNED_AWAY,
            HELLO_FIRST,
            LHLO_FIRST,
            NESTED_MAIL,
            MAIL_FIRST,
            NO_RECIPIENT,
            IN_TRANSACTION,
            ALREADY_TLS,
            ALREADY_AUTHENTICATED,
            UNKNOWN_MECHANISM,
            TLS_NEEDED,
            AUTH_NEEDED,
            BAD_CREDENTIALS,
            TLS_NEEDED_TO_AUTH,
            SENDER_NOT_ASCII,
            RECIPIENT_NOT_ASCII,
            TOO_BIG,
            BARE_LINE_END,
            BEHIND_STARTTLS,
            UNKNOWN_PARAMETER,
        ];
        for wire in all {
            let line = wire.strip_suffix("\r\n").unwrap();
            let reply = ReplyGatherer::default()
                .line(line.as_bytes())
                .unwrap()
                .unwrap();
            assert_eq!(
                reply.enhanced().is_some(),
                !reply.is_intermediate(),
                "{line}"
            );
            let again = Reply::new(reply.code(), reply.text().to_owned()).unwrap();
            let again = match reply.enhanced() {
                Some(enhanced) => again.with_enhanced(enhanced).unwrap(),
                None => again,
            };
            let mut bytes = Vec::new();
            again.write_to(&mut bytes, true);
            assert_eq!(bytes, wire.as_bytes());
        }
        assert_eq!(UNFIT_ANSWER.enhanced(), EnhancedStatus::new(4, 3, 0));
        for reply in [UNFIT_ANSWER, HELLO_WITHIN_MESSAGE] {
            assert!(Reply::new(reply.code(), reply.text().to_owned()).is_ok());
        }
    }
}
