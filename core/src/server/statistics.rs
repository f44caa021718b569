//! What a server has done so far, in numbers, and as text for Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::Full;
use crate::proto::server::Refusals;

/// A snapshot of a server's counters since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that became sessions.
    pub sessions: u64,
    /// Connections that were let in and are open now: sessions, and those of proxies that have not told yet whose they are.
    pub open_sessions: u64,
    /// Connections refused since there were as many as the server takes.
    pub connections_too_many: u64,
    /// Connections refused since their address had as many as it may have, also where a proxy has told whose they are.
    pub connections_too_many_of_address: u64,
    /// Connections refused since their address had begun too many within a minute, also where a proxy has told whose they are.
    pub connections_too_often: u64,
    /// Connections that the application refused, by 4yz or 5yz instead of a greeting, or failed over. Where it was asked in a session, that
    /// counts among the sessions too.
    pub connections_refused_by_application: u64,
    /// Connections of proxies that did not begin with a good header of the PROXY protocol.
    pub bad_proxy_headers: u64,
    /// Times that accepting failed for want of descriptors or memory. Who waits is accepted later.
    pub failed_accepts: u64,
    /// Messages that the application took: the reply to their end of data began with 2.
    pub messages: u64,
    /// Octets of those messages.
    pub octets: u64,
    /// HELO, EHLO and LHLO that the application refused, or failed over.
    pub hellos_refused_by_application: u64,
    /// MAIL commands answered 4yz or 5yz, but for a 421 that a limit has said, and for what is over `command_line`, which is taken for no
    /// command. It is the sum of the five reasons that follow.
    pub refused_senders: u64,
    /// MAIL commands that could not be carried out: a bad address or parameter, in the wrong place, or without the TLS or login that
    /// the server wants.
    pub bad_senders: u64,
    /// Senders that are not the user's own.
    pub foreign_senders: u64,
    /// MAIL commands refused since the size that they declare is over the limit.
    pub declared_sizes_too_big: u64,
    /// MAIL commands refused since their address had begun too many messages within a minute.
    pub messages_too_often: u64,
    /// Senders that the application refused, or failed over.
    pub senders_refused_by_application: u64,
    /// Recipients answered 4yz or 5yz, but for a 421 that a limit has said, and for what is over `command_line`. It is the sum of the six
    /// reasons that follow.
    pub refused_recipients: u64,
    /// RCPT commands that could not be carried out: a bad address or parameter, in the wrong place, or without the TLS that the server
    /// wants.
    pub bad_recipients: u64,
    /// Recipients to which relaying was denied.
    pub denied_relays: u64,
    /// Recipients that were more than a message may have, or whose domain was one too many for their session.
    pub recipients_too_many: u64,
    /// Recipients refused since their sender's address had named too many within a minute.
    pub recipients_too_often: u64,
    /// Recipients of long lists for which there was no memory.
    pub recipients_without_memory: u64,
    /// Recipients that the application refused, left unanswered, or failed over.
    pub recipients_refused_by_application: u64,
    /// Messages answered 4yz or 5yz at their end of data, in all of their recipients, or at DATA or a chunk, when there were recipients;
    /// but for what is over `command_line`, and for a chunk whose size is none or that was not offered, which ends its session. It is the
    /// sum of the seven reasons that follow.
    pub refused_messages: u64,
    /// DATA or a chunk that could not be carried out: DATA with an argument or for a message that is binary, or either in the wrong place.
    /// Each such command counts, and the message may come yet.
    pub bad_messages: u64,
    /// Messages that were over the limit when they came.
    pub messages_too_big: u64,
    /// Messages with a CR or LF alone.
    pub messages_with_bare_line_ends: u64,
    /// Messages that went in circles.
    pub mail_loops: u64,
    /// Messages for which there was no memory.
    pub messages_without_memory: u64,
    /// Messages refused for a fault that is not the client's, as where a disposition cannot write its file.
    pub messages_failed: u64,
    /// Messages that the application refused, or failed over.
    pub messages_refused_by_application: u64,
    /// Faults that whoever runs the server was told of: those of `messages_failed`, of messages that in LMTP some recipients got all the
    /// same, and of messages whose end was not answered by them.
    pub faults: u64,
    /// Octets of messages that are held in memory now, and 768 for each of their pieces. Of what is collected the envelopes count too.
    pub body_memory: u64,
    /// Octets that were read in sessions that are over, commands and messages, inside of TLS.
    pub octets_received: u64,
    /// Octets that were sent in sessions that are over.
    pub octets_sent: u64,
    /// TLS handshakes that succeeded.
    pub tls_handshakes: u64,
    /// TLS handshakes that failed or took too long.
    pub failed_tls_handshakes: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that were judged, and failed, or that nobody could judge.
    pub failed_logins: u64,
    /// Logins that were not judged, since too many of their address or account had failed.
    pub locked_logins: u64,
    /// Sessions that their client ended with QUIT.
    pub sessions_quit: u64,
    /// Sessions whose connection broke, or whose TLS handshake failed.
    pub sessions_lost: u64,
    /// Sessions that a limit of time has ended.
    pub sessions_timed_out: u64,
    /// Sessions that we ended since something was over a limit that is none of time: by a 421, or behind the 552 of a message that is
    /// far too big.
    pub sessions_over_limit: u64,
    /// Sessions ended by a 421 of the application, or since it failed when it was asked about the connection.
    pub sessions_ended_by_application: u64,
    /// Sessions ended by a shutdown: by a 421, when its time was over while they waited for the application, or as the server was dropped.
    pub sessions_shut_down: u64,
    /// Sessions ended since what came was no SMTP, or a chunk whose size is none or that was not offered.
    pub sessions_violated: u64,
    /// Events that wait for the application; of a server with an event queue.
    pub queued_events: u64,
    /// Events that the application has taken and not answered yet; of a server with an event queue.
    pub unanswered_events: u64,
}

/// One number: what it is called, and where it stands in Prometheus' text. A sum has no family: there it is made of its parts.
struct Row {
    name: &'static str,
    family: &'static str,
    label: &'static str,
    help: &'static str,
    value: fn(&Statistics) -> u64,
}

macro_rules! rows {
    ($($field:ident $family:literal $label:literal $help:literal)*) => {
        &[$(Row {
            name: stringify!($field),
            family: $family,
            label: $label,
            help: $help,
            value: |statistics| statistics.$field,
        }),*]
    };
}

/// Every number, those of one family in a row. What ends in `_total` is a counter, the others are gauges.
const ROWS: &[Row] = rows! {
    sessions "mailwire_sessions_total" "" "Connections that became sessions."
    open_sessions "mailwire_open_sessions" "" "Connections that were let in and are open now."
    connections_too_many "mailwire_refused_connections_total" "{reason=\"limit\"}" "Connections that were refused, by reason."
    connections_too_many_of_address "mailwire_refused_connections_total" "{reason=\"address_limit\"}" ""
    connections_too_often "mailwire_refused_connections_total" "{reason=\"rate\"}" ""
    connections_refused_by_application "mailwire_refused_connections_total" "{reason=\"application\"}" ""
    bad_proxy_headers "mailwire_refused_connections_total" "{reason=\"proxy_header\"}" ""
    failed_accepts "mailwire_failed_accepts_total" "" "Times that accepting failed for want of descriptors or memory."
    messages "mailwire_messages_total" "" "Messages that were taken."
    octets "mailwire_message_bytes_total" "" "Octets of the messages that were taken."
    hellos_refused_by_application "mailwire_refused_hellos_total" "{reason=\"application\"}" "HELO, EHLO and LHLO that were refused, by reason."
    refused_senders "" "" ""
    bad_senders "mailwire_refused_senders_total" "{reason=\"command\"}" "MAIL commands that were refused, by reason."
    foreign_senders "mailwire_refused_senders_total" "{reason=\"foreign\"}" ""
    declared_sizes_too_big "mailwire_refused_senders_total" "{reason=\"size\"}" ""
    messages_too_often "mailwire_refused_senders_total" "{reason=\"rate\"}" ""
    senders_refused_by_application "mailwire_refused_senders_total" "{reason=\"application\"}" ""
    refused_recipients "" "" ""
    bad_recipients "mailwire_refused_recipients_total" "{reason=\"command\"}" "Recipients that were refused, by reason."
    denied_relays "mailwire_refused_recipients_total" "{reason=\"relaying\"}" ""
    recipients_too_many "mailwire_refused_recipients_total" "{reason=\"limit\"}" ""
    recipients_too_often "mailwire_refused_recipients_total" "{reason=\"rate\"}" ""
    recipients_without_memory "mailwire_refused_recipients_total" "{reason=\"memory\"}" ""
    recipients_refused_by_application "mailwire_refused_recipients_total" "{reason=\"application\"}" ""
    refused_messages "" "" ""
    bad_messages "mailwire_refused_messages_total" "{reason=\"command\"}" "Messages that were refused, by reason."
    messages_too_big "mailwire_refused_messages_total" "{reason=\"size\"}" ""
    messages_with_bare_line_ends "mailwire_refused_messages_total" "{reason=\"line_end\"}" ""
    mail_loops "mailwire_refused_messages_total" "{reason=\"loop\"}" ""
    messages_without_memory "mailwire_refused_messages_total" "{reason=\"memory\"}" ""
    messages_failed "mailwire_refused_messages_total" "{reason=\"fault\"}" ""
    messages_refused_by_application "mailwire_refused_messages_total" "{reason=\"application\"}" ""
    faults "mailwire_faults_total" "" "Faults of this side that whoever runs the server was told of."
    body_memory "mailwire_body_memory_bytes" "" "Octets of messages that are held in memory now."
    octets_received "mailwire_received_bytes_total" "" "Octets read in sessions that are over."
    octets_sent "mailwire_sent_bytes_total" "" "Octets sent in sessions that are over."
    tls_handshakes "mailwire_tls_handshakes_total" "{result=\"done\"}" "TLS handshakes, by result."
    failed_tls_handshakes "mailwire_tls_handshakes_total" "{result=\"failed\"}" ""
    logins "mailwire_logins_total" "{result=\"accepted\"}" "Logins by AUTH, by result; those that nobody could judge have failed."
    failed_logins "mailwire_logins_total" "{result=\"failed\"}" ""
    locked_logins "mailwire_logins_total" "{result=\"locked\"}" ""
    sessions_quit "mailwire_ended_sessions_total" "{end=\"quit\"}" "Sessions that are over, by their end."
    sessions_lost "mailwire_ended_sessions_total" "{end=\"lost\"}" ""
    sessions_timed_out "mailwire_ended_sessions_total" "{end=\"timeout\"}" ""
    sessions_over_limit "mailwire_ended_sessions_total" "{end=\"limit\"}" ""
    sessions_ended_by_application "mailwire_ended_sessions_total" "{end=\"application\"}" ""
    sessions_shut_down "mailwire_ended_sessions_total" "{end=\"shutdown\"}" ""
    sessions_violated "mailwire_ended_sessions_total" "{end=\"protocol\"}" ""
    queued_events "mailwire_queued_events" "" "Events that wait for the application."
    unanswered_events "mailwire_unanswered_events" "" "Events that the application has taken and not answered."
};

impl Statistics {
    /// Every number with its name, which is that of its field.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        ROWS.iter().map(|row| (row.name, (row.value)(self)))
    }

    /// All of it in the text format of Prometheus (version 0.0.4): families that begin with `mailwire_`, reasons as labels.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let mut family = "";
        for row in ROWS.iter().filter(|row| !row.family.is_empty()) {
            let name = row.family;
            if name != family {
                family = name;
                let kind = if name.ends_with("_total") {
                    "counter"
                } else {
                    "gauge"
                };
                // Writing into a text cannot fail.
                let _ = write!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n", row.help);
            }
            let _ = writeln!(text, "{name}{} {}", row.label, (row.value)(self));
        }
        text
    }
}

/// One counter. It orders nothing, so it costs next to nothing.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($name:ident)*) => {
        /// The counters behind [`Statistics`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            fn counted(&self) -> Statistics {
                Statistics {
                    $($name: self.$name.get(),)*
                    ..Statistics::default()
                }
            }
        }
    };
}

counters! {
    sessions
    connections_too_many connections_too_many_of_address connections_too_often connections_refused_by_application
    bad_proxy_headers failed_accepts
    messages octets
    hellos_refused_by_application
    bad_senders foreign_senders declared_sizes_too_big messages_too_often senders_refused_by_application
    bad_recipients denied_relays recipients_too_many recipients_too_often recipients_without_memory
    recipients_refused_by_application
    bad_messages messages_too_big messages_with_bare_line_ends mail_loops messages_without_memory messages_failed
    messages_refused_by_application
    faults
    octets_received octets_sent
    tls_handshakes failed_tls_handshakes
    logins failed_logins locked_logins
    sessions_quit sessions_lost sessions_timed_out sessions_over_limit sessions_ended_by_application sessions_shut_down
    sessions_violated
}

impl Counters {
    /// A connection for which there is no place.
    pub(super) fn note_full(&self, full: Full) {
        let counter = match full {
            Full::InAll => &self.connections_too_many,
            Full::OfAddress => &self.connections_too_many_of_address,
            Full::TooOften => &self.connections_too_often,
        };
        counter.add(1);
    }

    /// What a machine has refused by itself.
    pub(super) fn note(&self, refusals: &Refusals) {
        for (counter, count) in [
            (
                &self.declared_sizes_too_big,
                refusals.declared_sizes_too_big,
            ),
            (&self.bad_senders, refusals.senders),
            (&self.recipients_too_many, refusals.recipients_too_many),
            (&self.bad_recipients, refusals.recipients),
            (&self.bad_messages, refusals.messages),
            (&self.messages_too_big, refusals.messages_too_big),
            (
                &self.messages_with_bare_line_ends,
                refusals.messages_with_bare_line_ends,
            ),
        ] {
            counter.add(count.into());
        }
    }

    /// What was counted, and its sums; what is going on now is for others to add.
    pub(super) fn snapshot(&self) -> Statistics {
        let told = self.counted();
        Statistics {
            refused_senders: told.bad_senders
                + told.foreign_senders
                + told.declared_sizes_too_big
                + told.messages_too_often
                + told.senders_refused_by_application,
            refused_recipients: told.bad_recipients
                + told.denied_relays
                + told.recipients_too_many
                + told.recipients_too_often
                + told.recipients_without_memory
                + told.recipients_refused_by_application,
            refused_messages: told.bad_messages
                + told.messages_too_big
                + told.messages_with_bare_line_ends
                + told.mail_loops
                + told.messages_without_memory
                + told.messages_failed
                + told.messages_refused_by_application,
            ..told
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_field_is_told_once() {
        let shown = format!("{:?}", Statistics::default());
        let fields = shown.matches(": 0").count();
        let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!((names.len(), ROWS.len()), (fields, fields));
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let statistics = Statistics {
            failed_logins: 7,
            ..Statistics::default()
        };
        let text = statistics.to_prometheus();
        assert!(
            text.contains("\nmailwire_logins_total{result=\"failed\"} 7\n"),
            "{text}"
        );
        let mut families = HashSet::new();
        let mut samples = HashSet::new();
        let mut family = String::new();
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(is_name(name) && !words.is_empty(), "{line}");
                // A family stands together.
                assert!(families.insert(name.to_owned()), "{line}");
                name.clone_into(&mut family);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(
                    (name, kind == "counter"),
                    (family.as_str(), name.ends_with("_total"))
                );
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                value.parse::<u64>().unwrap();
                assert!(samples.insert(sample.to_owned()), "{line}");
                let (name, label) = sample.split_once('{').unwrap_or((sample, ""));
                assert_eq!(name, family);
                if !label.is_empty() {
                    let (key, value) = label
                        .strip_suffix("\"}")
                        .unwrap()
                        .split_once("=\"")
                        .unwrap();
                    assert!(is_name(key) && is_name(value), "{line}");
                }
            }
        }
        assert!(text.ends_with('\n'));
    }
}
