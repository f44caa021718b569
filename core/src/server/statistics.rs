//! What a server has done so far, in numbers, and as text for Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::proto::server::Refusals;

/// A snapshot of a server's counters since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that became sessions.
    pub sessions: u64,
    /// Sessions that are going on now.
    pub open_sessions: u64,
    /// Connections turned away because of a limit, also where a proxy has told by XCLIENT whose they are.
    pub turned_away: u64,
    /// Connections of proxies that did not begin with a good header of the PROXY protocol.
    pub bad_proxy_headers: u64,
    /// Messages that the application took: the reply to their end of data began with 2.
    pub messages: u64,
    /// Octets of those messages.
    pub octets: u64,
    /// Messages whose end of data was answered 4yz or 5yz, and those that were refused before they came, at DATA or their first chunk.
    pub refused_messages: u64,
    /// Those of them that were too big, had a bare CR or LF, or went in circles.
    pub bad_messages: u64,
    /// Those of them for which there was no memory, and the recipients of long lists for which there was none.
    pub messages_without_memory: u64,
    /// Recipients answered 4yz or 5yz, but for a 421 that ends the session.
    pub refused_recipients: u64,
    /// Those of them to which relaying was denied.
    pub denied_relays: u64,
    /// Those of them that were more than a message may have, or whose domain was one too many for their session.
    pub recipients_too_many: u64,
    /// Those of them whose command was none that could be carried out: a bad address or parameter, or in the wrong place.
    pub bad_recipients: u64,
    /// Senders that are not the user's own.
    pub foreign_senders: u64,
    /// MAIL commands that could not be carried out: a bad address or parameter, in the wrong place, or without the TLS or login that
    /// the server wants.
    pub bad_senders: u64,
    /// MAIL commands refused since the size that they tell is over the limit.
    pub messages_too_big: u64,
    /// MAIL commands refused since their address had begun too many messages within a minute.
    pub messages_too_often: u64,
    /// Recipients refused since their sender's address had named too many within a minute.
    pub recipients_too_often: u64,
    /// Connections, hellos, senders, recipients and messages that the application refused, by 4yz or 5yz, left unanswered, or failed
    /// over.
    pub refused_by_application: u64,
    /// Messages that were not taken for a fault that is not the client's, as where a disposition cannot write its file.
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
    /// Sessions whose connection broke.
    pub sessions_lost: u64,
    /// Sessions that a limit of time has ended.
    pub sessions_timed_out: u64,
    /// Sessions that were ended by a reply of ours, because of a limit, what the application said, or a shutdown;
    /// and those that waited for the application when the time of a shutdown was over, or whose server was dropped.
    pub sessions_closed: u64,
    /// Sessions that were ended because what came was no SMTP.
    pub sessions_violated: u64,
    /// Events that wait for the application; of a server with an event queue.
    pub queued_events: u64,
    /// Events that the application has taken and not answered yet; of a server with an event queue.
    pub unanswered_events: u64,
}

/// One number: what it is called, and where it stands in Prometheus' text.
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
    open_sessions "mailwire_open_sessions" "" "Sessions that are going on now."
    turned_away "mailwire_refused_connections_total" "{reason=\"limit\"}" "Connections that were turned away."
    bad_proxy_headers "mailwire_refused_connections_total" "{reason=\"proxy_header\"}" ""
    messages "mailwire_messages_total" "" "Messages that were taken."
    octets "mailwire_message_octets_total" "" "Octets of the messages that were taken."
    refused_messages "mailwire_refused_messages_total" "" "Messages that were refused, for any reason."
    refused_recipients "mailwire_refused_recipients_total" "" "Recipients that were refused, for any reason."
    bad_messages "mailwire_refusals_total" "{reason=\"content\"}" "What was refused, by reason."
    messages_without_memory "mailwire_refusals_total" "{reason=\"memory\"}" ""
    denied_relays "mailwire_refusals_total" "{reason=\"relaying\"}" ""
    recipients_too_many "mailwire_refusals_total" "{reason=\"recipient_limit\"}" ""
    bad_recipients "mailwire_refusals_total" "{reason=\"bad_recipient\"}" ""
    foreign_senders "mailwire_refusals_total" "{reason=\"sender\"}" ""
    bad_senders "mailwire_refusals_total" "{reason=\"bad_sender\"}" ""
    messages_too_big "mailwire_refusals_total" "{reason=\"size\"}" ""
    messages_too_often "mailwire_refusals_total" "{reason=\"message_rate\"}" ""
    recipients_too_often "mailwire_refusals_total" "{reason=\"recipient_rate\"}" ""
    refused_by_application "mailwire_refusals_total" "{reason=\"application\"}" ""
    faults "mailwire_faults_total" "" "Messages that were not taken for a fault of this side."
    body_memory "mailwire_body_memory_octets" "" "Octets of messages that are held in memory now."
    octets_received "mailwire_received_octets_total" "" "Octets read in sessions that are over."
    octets_sent "mailwire_sent_octets_total" "" "Octets sent in sessions that are over."
    tls_handshakes "mailwire_tls_handshakes_total" "{result=\"done\"}" "TLS handshakes."
    failed_tls_handshakes "mailwire_tls_handshakes_total" "{result=\"failed\"}" ""
    logins "mailwire_logins_total" "{result=\"accepted\"}" "Logins by AUTH."
    failed_logins "mailwire_logins_total" "{result=\"failed\"}" ""
    locked_logins "mailwire_logins_total" "{result=\"locked\"}" ""
    sessions_quit "mailwire_ended_sessions_total" "{end=\"quit\"}" "Sessions that are over, by their end."
    sessions_lost "mailwire_ended_sessions_total" "{end=\"lost\"}" ""
    sessions_timed_out "mailwire_ended_sessions_total" "{end=\"timeout\"}" ""
    sessions_closed "mailwire_ended_sessions_total" "{end=\"closed\"}" ""
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
        for row in ROWS {
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

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sessions: Counter,
    pub(super) turned_away: Counter,
    pub(super) bad_proxy_headers: Counter,
    pub(super) messages: Counter,
    pub(super) octets: Counter,
    pub(super) refused_messages: Counter,
    pub(super) bad_messages: Counter,
    pub(super) messages_without_memory: Counter,
    pub(super) refused_recipients: Counter,
    pub(super) denied_relays: Counter,
    pub(super) recipients_too_many: Counter,
    pub(super) bad_recipients: Counter,
    pub(super) foreign_senders: Counter,
    pub(super) bad_senders: Counter,
    pub(super) messages_too_big: Counter,
    pub(super) messages_too_often: Counter,
    pub(super) recipients_too_often: Counter,
    pub(super) refused_by_application: Counter,
    pub(super) faults: Counter,
    pub(super) octets_received: Counter,
    pub(super) octets_sent: Counter,
    pub(super) tls_handshakes: Counter,
    pub(super) failed_tls_handshakes: Counter,
    pub(super) logins: Counter,
    pub(super) failed_logins: Counter,
    pub(super) locked_logins: Counter,
    pub(super) sessions_quit: Counter,
    pub(super) sessions_lost: Counter,
    pub(super) sessions_timed_out: Counter,
    pub(super) sessions_closed: Counter,
    pub(super) sessions_violated: Counter,
}

impl Counters {
    /// What a machine has refused by itself.
    pub(super) fn note(&self, refusals: &Refusals) {
        let (too_many, bad) = (refusals.recipients_too_many, refusals.recipients);
        self.refused_recipients
            .add(u64::from(too_many) + u64::from(bad));
        self.recipients_too_many.add(too_many.into());
        self.bad_recipients.add(bad.into());
        self.bad_senders.add(refusals.senders.into());
        self.messages_too_big.add(refusals.messages_too_big.into());
        self.refused_messages.add(refusals.messages.into());
        self.bad_messages.add(refusals.messages.into());
    }

    /// What was counted; what is going on now is for others to add.
    pub(super) fn snapshot(&self) -> Statistics {
        Statistics {
            sessions: self.sessions.get(),
            turned_away: self.turned_away.get(),
            bad_proxy_headers: self.bad_proxy_headers.get(),
            messages: self.messages.get(),
            octets: self.octets.get(),
            refused_messages: self.refused_messages.get(),
            bad_messages: self.bad_messages.get(),
            messages_without_memory: self.messages_without_memory.get(),
            refused_recipients: self.refused_recipients.get(),
            denied_relays: self.denied_relays.get(),
            recipients_too_many: self.recipients_too_many.get(),
            bad_recipients: self.bad_recipients.get(),
            foreign_senders: self.foreign_senders.get(),
            bad_senders: self.bad_senders.get(),
            messages_too_big: self.messages_too_big.get(),
            messages_too_often: self.messages_too_often.get(),
            recipients_too_often: self.recipients_too_often.get(),
            refused_by_application: self.refused_by_application.get(),
            faults: self.faults.get(),
            octets_received: self.octets_received.get(),
            octets_sent: self.octets_sent.get(),
            tls_handshakes: self.tls_handshakes.get(),
            failed_tls_handshakes: self.failed_tls_handshakes.get(),
            logins: self.logins.get(),
            failed_logins: self.failed_logins.get(),
            locked_logins: self.locked_logins.get(),
            sessions_quit: self.sessions_quit.get(),
            sessions_lost: self.sessions_lost.get(),
            sessions_timed_out: self.sessions_timed_out.get(),
            sessions_closed: self.sessions_closed.get(),
            sessions_violated: self.sessions_violated.get(),
            ..Statistics::default()
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
