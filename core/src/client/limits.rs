//! How long a client waits for its server, phase by phase (RFC 5321 section 4.5.3.2).

use std::time::Duration;

use crate::error::Phase;

/// The longest wait for the peer in `phase`. `timeout` is the caller's own limit; it does not shorten the wait for the
/// reply to the end of data, where giving up early makes duplicates (section 4.5.3.2.6).
pub(super) fn longest_wait(phase: Phase, timeout: Option<Duration>) -> Duration {
    let by_rfc = match phase {
        Phase::EndOfData => return Duration::from_secs(600),
        Phase::Quit => return timeout.unwrap_or(QUIT).min(QUIT),
        Phase::Tls => Duration::from_secs(60),
        Phase::Data => Duration::from_secs(120),
        Phase::Body => Duration::from_secs(180),
        _ => Duration::from_secs(300),
    };
    timeout.unwrap_or(by_rfc)
}

/// Nothing depends on the reply to QUIT.
const QUIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_limit_holds_everywhere_but_for_the_end_of_data() {
        let second = Duration::from_secs(1);
        assert_eq!(longest_wait(Phase::Mail, Some(second)), second);
        assert_eq!(
            longest_wait(Phase::EndOfData, Some(second)),
            Duration::from_secs(600)
        );
        assert_eq!(longest_wait(Phase::Mail, None), Duration::from_secs(300));
        assert_eq!(longest_wait(Phase::Data, None), Duration::from_secs(120));
        assert_eq!(longest_wait(Phase::Quit, Some(second * 60)), QUIT);
    }
}
