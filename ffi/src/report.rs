//! `mailwire_report`: what became of a message, recipient by recipient.

use std::ffi::c_char;

use mailwire::proto::{EnhancedStatus, Reply, TlsInfo};
use mailwire::{Delivery, Outcome, Phase};

use crate::error::write_enhanced;
use crate::failure::Failure;
use crate::guard;
use crate::status::{MAILWIRE_PHASE_NONE, mailwire_phase};
use crate::text::{EMPTY, Text, Texts};

/// What became of a message, or of it for one recipient: one of MAILWIRE_DELIVERY_... Expect values that you do not know.
pub type mailwire_delivery = i32;

/// It was not tried, or ended before a reply decided it. Sending again is safe.
pub const MAILWIRE_DELIVERY_NOT_TRIED: mailwire_delivery = 0;
/// The server has taken responsibility for it.
pub const MAILWIRE_DELIVERY_ACCEPTED: mailwire_delivery = 1;
/// The server said 5yz: sending the same again will fail again.
pub const MAILWIRE_DELIVERY_REFUSED: mailwire_delivery = 2;
/// The server said 4yz: sending again later is safe.
pub const MAILWIRE_DELIVERY_DEFERRED: mailwire_delivery = 3;
/// The end mark left us and no reply came: it may or may not have been accepted. Sending again may duplicate it.
pub const MAILWIRE_DELIVERY_UNKNOWN: mailwire_delivery = 4;
/// Of a message: its recipients have different results, and none is unknown.
pub const MAILWIRE_DELIVERY_PARTIAL: mailwire_delivery = 5;

/// What became of a message, recipient by recipient, in the order in which they were added.
///
/// It never changes, so any number of threads may read it at the same time. It belongs to whoever made the call; free it
/// with mailwire_report_free. Every accessor takes NULL and any index, and then returns the same as for what is absent.
///
/// Since 0.1.
pub struct mailwire_report {
    texts: Texts,
    delivery: mailwire_delivery,
    recipients: Vec<Recipient>,
    retry: Vec<usize>,
    reply: Answer,
    queue_id: Text,
    tls_version: Text,
    tls_cipher: Text,
}

struct Recipient {
    address: Text,
    delivery: mailwire_delivery,
    phase: mailwire_phase,
    answer: Answer,
}

/// A reply, or that there is none.
struct Answer {
    code: i32,
    enhanced: Option<EnhancedStatus>,
    text: Text,
}

/// Frees a report. NULL is allowed.
///
/// Thread: any, while nobody else uses this report.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_free(report: *mut mailwire_report) {
    if !report.is_null() {
        // SAFETY: `to_c` boxed it, and the caller gives it up.
        guard::quietly(|| drop(unsafe { Box::from_raw(report) }));
    }
}

/// What became of the message as a whole. NULL: MAILWIRE_DELIVERY_NOT_TRIED.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_delivery(
    report: *const mailwire_report,
) -> mailwire_delivery {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(MAILWIRE_DELIVERY_NOT_TRIED, |report| report.delivery)
}

/// The number of recipients. NULL: 0.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_count(report: *const mailwire_report) -> usize {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(0, |report| report.recipients.len())
}

/// The address of a recipient, as it was given; empty if there is no such recipient.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_address(
    report: *const mailwire_report,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { recipient(report, index) }.map_or(EMPTY, |(report, recipient)| {
        report.texts.get(recipient.address)
    })
}

/// What became of the message for a recipient; MAILWIRE_DELIVERY_NOT_TRIED if there is no such recipient.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_outcome(
    report: *const mailwire_report,
    index: usize,
) -> mailwire_delivery {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { recipient(report, index) }.map_or(MAILWIRE_DELIVERY_NOT_TRIED, |(_, recipient)| {
        recipient.delivery
    })
}

/// The code of the reply that decided about a recipient, as 250; 0 if no reply did.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_smtp_code(
    report: *const mailwire_report,
    index: usize,
) -> i32 {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { recipient(report, index) }.map_or(0, |(_, recipient)| recipient.answer.code)
}

/// The enhanced status code of that reply, as 5, 1 and 1. Returns whether there is one; if not, all three are set to 0.
/// Each of the three pointers may be NULL.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_enhanced(
    report: *const mailwire_report,
    index: usize,
    status_class: *mut i32,
    subject: *mut i32,
    detail: *mut i32,
) -> bool {
    // SAFETY: the pointers are NULL or as the header asks.
    unsafe {
        let status = recipient(report, index).and_then(|(_, recipient)| recipient.answer.enhanced);
        write_enhanced(status, status_class, subject, detail)
    }
}

/// The text of that reply on one line, without codes; empty if no reply decided.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_text(
    report: *const mailwire_report,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { recipient(report, index) }.map_or(EMPTY, |(report, recipient)| {
        report.texts.get(recipient.answer.text)
    })
}

/// The phase in which a recipient's result was decided; MAILWIRE_PHASE_NONE if it was not.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_phase(
    report: *const mailwire_report,
    index: usize,
) -> mailwire_phase {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { recipient(report, index) }
        .map_or(MAILWIRE_PHASE_NONE, |(_, recipient)| recipient.phase)
}

/// The number of recipients to whom sending again cannot make a second copy and may succeed. NULL: 0.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_retry_count(report: *const mailwire_report) -> usize {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(0, |report| report.retry.len())
}

/// The index, for the other functions, of one of those recipients; SIZE_MAX if there is no such one.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_retry_at(
    report: *const mailwire_report,
    index: usize,
) -> usize {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }
        .and_then(|report| report.retry.get(index).copied())
        .unwrap_or(usize::MAX)
}

/// The code of the last reply that was about the message as a whole, as that to the end of data; 0 if there was none.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_reply_code(report: *const mailwire_report) -> i32 {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(0, |report| report.reply.code)
}

/// The text of that reply on one line, without codes; empty if there was none.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_reply_text(
    report: *const mailwire_report,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(EMPTY, |report| report.texts.get(report.reply.text))
}

/// The name under which the server has queued the message, if it said so in that reply; empty if not.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_queue_id(report: *const mailwire_report) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(EMPTY, |report| report.texts.get(report.queue_id))
}

/// The version of TLS that the message went over, as "TLSv1.3"; empty in clear.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_tls_version(
    report: *const mailwire_report,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(EMPTY, |report| report.texts.get(report.tls_version))
}

/// The cipher suite of TLS, as "TLS_AES_256_GCM_SHA384"; empty in clear.
///
/// The text is never NULL, and lives as long as the report.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_report_tls_cipher(
    report: *const mailwire_report,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a report, as the header asks.
    unsafe { report.as_ref() }.map_or(EMPTY, |report| report.texts.get(report.tls_cipher))
}

/// A report for C.
pub(crate) fn to_c(outcome: &Outcome) -> Result<*mut mailwire_report, Failure> {
    let mut texts = Texts::new();
    let mut recipients = Vec::with_capacity(outcome.recipients().len());
    let mut retry = Vec::new();
    for (index, recipient) in outcome.recipients().iter().enumerate() {
        if matches!(
            recipient.delivery(),
            Delivery::Deferred | Delivery::NotTried
        ) {
            retry.push(index);
        }
        recipients.push(Recipient {
            address: texts.add(recipient.recipient())?,
            delivery: recipient.delivery().number(),
            phase: recipient.phase().map_or(MAILWIRE_PHASE_NONE, Phase::number),
            answer: Answer::new(&mut texts, recipient.reply())?,
        });
    }
    let report = mailwire_report {
        delivery: outcome.delivery().number(),
        recipients,
        retry,
        reply: Answer::new(&mut texts, outcome.reply())?,
        queue_id: texts.add_some(outcome.queue_id())?,
        tls_version: texts.add_some(outcome.tls().map(TlsInfo::version))?,
        tls_cipher: texts.add_some(outcome.tls().map(TlsInfo::cipher))?,
        texts,
    };
    Ok(Box::into_raw(Box::new(report)))
}

impl Answer {
    fn new(texts: &mut Texts, reply: Option<&Reply>) -> Result<Self, Failure> {
        Ok(Self {
            code: reply.map_or(0, |reply| reply.code().into()),
            enhanced: reply.and_then(Reply::enhanced),
            text: texts.add_some(reply.map(Reply::text))?,
        })
    }
}

/// # Safety
/// `report` is NULL or a report that outlives `'a`.
unsafe fn recipient<'a>(
    report: *const mailwire_report,
    index: usize,
) -> Option<(&'a mailwire_report, &'a Recipient)> {
    // SAFETY: as the caller promises.
    let report = unsafe { report.as_ref() }?;
    Some((report, report.recipients.get(index)?))
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use mailwire::RecipientOutcome;

    use super::*;

    fn read(text: *const c_char) -> &'static str {
        // SAFETY: every text of these tests is NUL-terminated and lives to their end.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap()
    }

    #[test]
    fn the_numbers_are_those_of_the_engine() {
        for (ours, engine) in [
            (MAILWIRE_DELIVERY_NOT_TRIED, Delivery::NotTried),
            (MAILWIRE_DELIVERY_ACCEPTED, Delivery::Accepted),
            (MAILWIRE_DELIVERY_REFUSED, Delivery::Refused),
            (MAILWIRE_DELIVERY_DEFERRED, Delivery::Deferred),
            (MAILWIRE_DELIVERY_UNKNOWN, Delivery::Unknown),
            (MAILWIRE_DELIVERY_PARTIAL, Delivery::Partial),
        ] {
            assert_eq!(ours, engine.number(), "{engine:?}");
        }
    }

    #[test]
    fn each_recipient_has_its_own_result() {
        let accepted = Reply::multiline(250, ["2.0.0 Ok", "queued as 4A1B"]).unwrap();
        let refused = Reply::new(550, "No such user")
            .unwrap()
            .with_enhanced(EnhancedStatus::new(5, 1, 1).unwrap())
            .unwrap();
        let outcome = Outcome::new(
            vec![
                RecipientOutcome::new(
                    "a@example.org".parse().unwrap(),
                    Delivery::Accepted,
                    Some(accepted.clone()),
                    Some(Phase::EndOfData),
                ),
                RecipientOutcome::new(
                    "b@example.org".parse().unwrap(),
                    Delivery::Refused,
                    Some(refused),
                    Some(Phase::Rcpt),
                ),
                RecipientOutcome::new(
                    "c@example.org".parse().unwrap(),
                    Delivery::NotTried,
                    None,
                    None,
                ),
            ],
            Some(accepted),
        );
        let report = to_c(&outcome).ok().unwrap();
        // SAFETY: the report is fresh and freed at the end; the numbers live on this stack.
        unsafe {
            assert_eq!(mailwire_report_count(report), 3);
            assert_eq!(mailwire_report_delivery(report), MAILWIRE_DELIVERY_PARTIAL);
            assert_eq!(read(mailwire_report_address(report, 1)), "b@example.org");
            assert_eq!(read(mailwire_report_address(report, 3)), "");
            assert_eq!(mailwire_report_smtp_code(report, 1), 550);
            assert_eq!(mailwire_report_smtp_code(report, 2), 0);
            assert_eq!(read(mailwire_report_text(report, 1)), "No such user");
            assert_eq!(
                read(mailwire_report_text(report, 0)),
                "2.0.0 Ok queued as 4A1B"
            );
            assert_eq!(mailwire_report_phase(report, 1), Phase::Rcpt.number());
            let mut parts = [9; 3];
            let [class, subject, detail] = &mut parts;
            assert!(mailwire_report_enhanced(report, 1, class, subject, detail));
            assert_eq!(parts, [5, 1, 1]);
            let null = std::ptr::null_mut();
            assert!(!mailwire_report_enhanced(
                report,
                2,
                &raw mut parts[0],
                null,
                null
            ));
            assert_eq!(parts, [0, 1, 1]);
            assert_eq!(mailwire_report_retry_count(report), 1);
            assert_eq!(mailwire_report_retry_at(report, 0), 2);
            assert_eq!(mailwire_report_retry_at(report, 1), usize::MAX);
            mailwire_report_free(report);
        }
    }
}
