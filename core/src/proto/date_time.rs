//! Dates and times on the wire (RFC 3339 section 5.6), as FUTURERELEASE has them. No clock is read here.

use std::fmt;
use std::str::FromStr;

/// A date and time. It prints as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateTime {
    text: Box<str>,
    unix: i64,
}

/// A text that is no date and time of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no date and time of the form 2027-01-31T23:59:59Z")]
pub struct InvalidDateTime;

impl DateTime {
    /// The time so many seconds after the start of 1970 in UTC. `None` outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let first = days(0, 1, 1) * 86400;
        if !(first..days(10_000, 1, 1) * 86400).contains(&seconds) {
            return None;
        }
        let (day, time) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
        let (year, month, day) = date(day);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        Some(Self {
            text: text.into(),
            unix: seconds,
        })
    }

    /// Seconds after the start of 1970 in UTC; a fraction is left out.
    pub fn unix(&self) -> i64 {
        self.unix
    }

    /// In UTC, as the header of a message has it (RFC 5322 section 3.3): `Wed, 18 Nov 2026 11:06:40 +0000`.
    pub fn in_header(&self) -> String {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let (days, time) = (self.unix.div_euclid(86400), self.unix.rem_euclid(86400));
        let (year, month, day) = date(days);
        let name = |names: &[&'static str], place: i64| {
            usize::try_from(place)
                .ok()
                .and_then(|place| names.get(place).copied())
        };
        // 1970 began on a Thursday.
        let weekday = name(&WEEKDAYS, days.rem_euclid(7)).unwrap_or_default();
        let month = name(&MONTHS, month - 1).unwrap_or_default();
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for DateTime {
    type Err = InvalidDateTime;

    fn from_str(text: &str) -> Result<Self, InvalidDateTime> {
        let unix = parse(text.as_bytes()).ok_or(InvalidDateTime)?;
        Ok(Self {
            text: text.into(),
            unix,
        })
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &[u8]) -> Option<i64> {
    let (moment, mut zone) = text.split_at_checked(19)?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = *moment
    else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    // RFC 3339 section 5.7: 60 is a leap second.
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if let Some(fraction) = zone.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        zone = fraction
            .get(digits..)
            .filter(|_| (1..=9).contains(&digits))?;
    }
    let offset = match *zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            let seconds = hours * 3600 + minutes * 60;
            if hours > 23 || minutes > 59 {
                return None;
            }
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    valid.then(|| days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the start of 1970 to a date. Years are counted from March here, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 153 days are five months from March on; 719 468 days lie between 1 March of the year 0 and 1970.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date that lies so many days after the start of 1970.
fn date(day: i64) -> (i64, i64, i64) {
    // A guess that is never too late, and early by some twenty years at most.
    let mut year = 1970 + day.div_euclid(366).min(day.div_euclid(365));
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days(year, month + 1, 1) <= day {
        month += 1;
    }
    (year, month, day - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-26T08:00:00Z", 1_795_680_000),
            ("2026-11-26T09:00:00.25+01:00", 1_795_680_000),
            ("1969-12-31T23:59:59z", -1),
            ("2026-11-26T09:30:00+01:30", 1_795_680_000),
            ("2026-11-26T03:15:00-04:45", 1_795_680_000),
            ("2026-11-27T07:59:00+23:59", 1_795_680_000),
            ("2026-03-01T00:00:00Z", 1_772_323_200),
            ("2028-02-29T23:59:59Z", 1_835_481_599),
            ("2026-04-30T00:00:00Z", 1_777_507_200),
            ("2026-01-31T00:00:00Z", 1_769_817_600),
            ("1900-02-28T00:00:00Z", -2_203_977_600),
            ("2026-06-30T23:59:60Z", 1_782_864_000),
        ] {
            let time: DateTime = text.parse().unwrap();
            assert_eq!((time.unix(), time.as_str()), (unix, text));
        }
    }

    #[test]
    fn s353_what_is_no_time_is_refused() {
        for text in [
            "",
            "x",
            "2026-11-26",
            "2026-11-26T08:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2028-02-30T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-06-31T00:00:00Z",
            "2026-09-31T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-12-32T00:00:00Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00Zx",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<DateTime>(), Err(InvalidDateTime), "{text}");
        }
    }

    #[test]
    fn headers_have_the_weekday_and_utc() {
        for (given, expected) in [
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"),
            ("1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 +0000"),
            (
                "2028-02-29T01:30:05+02:00",
                "Mon, 28 Feb 2028 23:30:05 +0000",
            ),
        ] {
            assert_eq!(given.parse::<DateTime>().unwrap().in_header(), expected);
        }
    }

    #[test]
    fn years_have_four_digits() {
        let text = |unix| DateTime::from_unix(unix).map(|time| time.to_string());
        let (first, last) = (-62_167_219_200, 253_402_300_799);
        assert_eq!(text(first).as_deref(), Some("0000-01-01T00:00:00Z"));
        assert_eq!(text(last).as_deref(), Some("9999-12-31T23:59:59Z"));
        for unix in [first - 1, last + 1, i64::MIN, i64::MAX] {
            assert_eq!(text(unix), None);
        }
    }

    proptest! {
        #[test]
        fn every_second_is_printed_and_parsed(unix in -60_000_000_000_i64..253_402_300_799) {
            let time = DateTime::from_unix(unix).unwrap();
            prop_assert_eq!(time.as_str().parse::<DateTime>().unwrap().unix(), unix);
        }
    }
}
