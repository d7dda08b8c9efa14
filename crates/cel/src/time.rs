//! Timestamps and durations with the ranges of `google.protobuf.Timestamp` and `Duration`, and the
//! calendar.

use std::fmt::Write;

use crate::error::ErrorKind;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// 0001-01-01T00:00:00Z, the earliest timestamp, in seconds since 1970.
const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the last second in which a timestamp can be, in seconds since 1970.
const SECONDS_MAX: i64 = 253_402_300_799;
/// The maximum number of whole seconds of a duration in either direction: about 10,000 years. Up to
/// 999,999,999 nanoseconds may be added (duration.proto).
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

/// A signed duration of at most about 10,000 years, with a resolution of one nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// The whole seconds. If neither `seconds` nor `nanos` is 0, both have the same sign.
    seconds: i64,
    nanos: i32,
}

impl Duration {
    /// The duration of zero seconds.
    pub const ZERO: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// Returns the duration of `seconds` and `nanos`, whose signs may differ.
    ///
    /// Returns `None` if the duration is longer than about 10,000 years.
    pub fn new(seconds: i64, nanos: i32) -> Option<Self> {
        Self::from_nanos(i128::from(seconds) * NANOS_PER_SECOND + i128::from(nanos))
    }

    pub(crate) fn from_nanos(total: i128) -> Option<Self> {
        let seconds = i64::try_from(total / NANOS_PER_SECOND).ok()?;
        let nanos = (total % NANOS_PER_SECOND) as i32;
        let in_range = seconds.unsigned_abs() <= DURATION_SECONDS_MAX.unsigned_abs();
        in_range.then_some(Self { seconds, nanos })
    }

    /// Returns the whole seconds, rounded toward zero.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds beyond the whole seconds, with the sign of the duration.
    pub const fn nanos(self) -> i32 {
        self.nanos
    }

    pub(crate) fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// Parses a sequence of numbers with units, such as `1h30m`, `-1.5s`, `250ms`. Fails with
    /// [`ErrorKind::Invalid`] for any other text, and with [`ErrorKind::Range`] if the duration is
    /// too long.
    pub(crate) fn parse(text: &str) -> Result<Self, ErrorKind> {
        let invalid = || ErrorKind::invalid("the duration does not parse");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = rest
                .find(|character: char| !character.is_ascii_digit() && character != '.')
                .ok_or_else(invalid)?;
            let number = &rest[..digits];
            let (unit, length) = unit_of(&rest[digits..]).ok_or_else(invalid)?;
            let part = scaled(number, unit).ok_or_else(invalid)?;
            total = total
                .checked_add(part)
                .ok_or(ErrorKind::Range("duration"))?;
            rest = &rest[digits + length..];
        }
        let signed = if negative { -total } else { total };
        Self::from_nanos(signed).ok_or(ErrorKind::Range("duration"))
    }

    /// Returns the seconds with as many decimals as needed, followed by `s`, such as `-1.5s`.
    pub(crate) fn text(self) -> String {
        let mut text = String::new();
        if self.seconds < 0 || self.nanos < 0 {
            text.push('-');
        }
        let _ = write!(text, "{}", self.seconds.unsigned_abs());
        push_fraction(&mut text, self.nanos.unsigned_abs());
        text.push('s');
        text
    }
}

/// Returns the number of nanoseconds in the unit that `text` begins with, and the length of the
/// unit's name in bytes. Returns `None` if `text` begins with no unit.
fn unit_of(text: &str) -> Option<(i128, usize)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", NANOS_PER_SECOND),
        ("m", 60 * NANOS_PER_SECOND),
        ("h", 3_600 * NANOS_PER_SECOND),
    ];
    let unit = UNITS.iter().find(|(name, _)| text.starts_with(name))?;
    Some((unit.1, unit.0.len()))
}

/// Returns `number` times `unit`, rounded toward zero. Returns `None` if `number` has no digit or
/// more than one decimal point, or if the result is too large.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Further digits are worth less than a nanosecond, even in hours.
    let kept = &fraction[..fraction.len().min(18)];
    let mut total = whole.checked_mul(unit)?;
    if !kept.is_empty() {
        let parts: i128 = kept.parse().ok()?;
        total = total.checked_add(parts * unit / 10_i128.pow(kept.len() as u32))?;
    }
    Some(total)
}

fn push_fraction(text: &mut String, nanos: u32) {
    if nanos != 0 {
        let digits = format!("{nanos:09}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

/// A point in time in the years 1 to 9999, with a resolution of one nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    /// The nanoseconds after `seconds`, from 0 to 999,999,999.
    nanos: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// Returns the timestamp that is `seconds` seconds and `nanos` nanoseconds after
    /// 1970-01-01T00:00:00Z.
    ///
    /// Returns `None` if the timestamp is outside the years 1 to 9999, or if `nanos` is a billion
    /// or more.
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        let in_range =
            (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) && i128::from(nanos) < NANOS_PER_SECOND;
        in_range.then_some(Self { seconds, nanos })
    }

    /// Returns the whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after the whole seconds.
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    pub(crate) fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// Returns the timestamp `delta` nanoseconds later. Fails with [`ErrorKind::Overflow`] if the
    /// result is outside the years 1 to 9999.
    pub(crate) fn plus(self, delta: i128) -> Result<Self, ErrorKind> {
        let total = self.total() + delta;
        let seconds =
            i64::try_from(total.div_euclid(NANOS_PER_SECOND)).map_err(|_| ErrorKind::Overflow)?;
        Self::new(seconds, total.rem_euclid(NANOS_PER_SECOND) as u32).ok_or(ErrorKind::Overflow)
    }

    /// Returns the duration from `earlier` to `self`. Fails with [`ErrorKind::Overflow`] if the
    /// duration in nanoseconds does not fit 64 bits.
    pub(crate) fn since(self, earlier: Self) -> Result<Duration, ErrorKind> {
        let total = self.total() - earlier.total();
        if i64::try_from(total).is_err() {
            return Err(ErrorKind::Overflow);
        }
        Duration::from_nanos(total).ok_or(ErrorKind::Overflow)
    }

    /// Parses a timestamp in the format of RFC 3339. Fails with [`ErrorKind::Invalid`] for any
    /// other text, and with [`ErrorKind::Range`] if the timestamp is outside the years 1 to 9999.
    pub(crate) fn parse(text: &str) -> Result<Self, ErrorKind> {
        let invalid = || ErrorKind::invalid("the timestamp does not parse");
        let bytes = text.as_bytes();
        let number = |from: usize, length: usize| -> Option<i64> {
            let digits = bytes.get(from..from + length)?;
            let value = |sum: i64, digit: &u8| sum * 10 + i64::from(digit - b'0');
            let all = digits.iter().all(u8::is_ascii_digit);
            all.then(|| digits.iter().fold(0, value))
        };
        let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
        let punctuated =
            is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":");
        let parts = || {
            let date = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
            Some((date, (number(11, 2)?, number(14, 2)?, number(17, 2)?)))
        };
        let ((year, month, day), (hour, minute, second)) =
            parts().filter(|_| punctuated).ok_or_else(invalid)?;
        let valid = (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !valid {
            return Err(invalid());
        }
        let (nanos, zone) = fraction(&bytes[19..]).ok_or_else(invalid)?;
        let offset = offset_of(zone).ok_or_else(invalid)?;
        let seconds =
            days_from_civil(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second;
        Self::new(seconds - offset, nanos).ok_or(ErrorKind::Range("timestamp"))
    }

    /// Returns the timestamp in UTC in the format of RFC 3339, with as many decimals as needed.
    pub(crate) fn text(self) -> String {
        let civil = Civil::of(self, 0);
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
        );
        push_fraction(&mut text, self.nanos);
        text.push('Z');
        text
    }
}

/// Returns the nanoseconds of the fraction that `bytes` begins with, such as `.5`, and the
/// remaining bytes. Digits after the ninth are ignored. Without a point, the nanoseconds are 0.
/// Returns `None` if no digit follows the point.
fn fraction(bytes: &[u8]) -> Option<(u32, &[u8])> {
    if bytes.first() != Some(&b'.') {
        return Some((0, bytes));
    }
    let digits = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit());
    let count = digits.count();
    if count == 0 {
        return None;
    }
    let mut nanos = 0;
    for at in 0..9 {
        let digit = if at < count { bytes[1 + at] - b'0' } else { 0 };
        nanos = nanos * 10 + u32::from(digit);
    }
    Some((nanos, &bytes[1 + count..]))
}

/// Returns the offset of a time zone, in seconds east of UTC. `zone` is `Z`, or hours and minutes
/// with a sign. Returns `None` for any other text.
fn offset_of(zone: &[u8]) -> Option<i64> {
    if matches!(zone, b"Z" | b"z") {
        return Some(0);
    }
    let sign = match zone.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let seconds = hours_and_minutes(&zone[1..])?;
    Some(sign * seconds)
}

/// Returns the time `HH:MM` in seconds, or `None` if `text` is not such a time.
pub(crate) fn hours_and_minutes(text: &[u8]) -> Option<i64> {
    let [h, i, b':', m, n] = text else {
        return None;
    };
    let digits = [h, i, m, n];
    if !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let pair = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (pair(h, i), pair(m, n));
    (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)
}

/// A date and a time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// The month, counted from 1.
    pub(crate) month: i64,
    /// The day of the month, counted from 1.
    pub(crate) day: i64,
    /// The day of the year, counted from 0.
    pub(crate) day_of_year: i64,
    /// The day of the week. Sunday is 0.
    pub(crate) day_of_week: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Civil {
    /// Returns the date and time of `timestamp` at `offset` seconds east of UTC.
    pub(crate) fn of(timestamp: Timestamp, offset: i64) -> Self {
        let seconds = timestamp.seconds + offset;
        let (days, clock) = (
            seconds.div_euclid(DAY_SECONDS),
            seconds.rem_euclid(DAY_SECONDS),
        );
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            day_of_year: days - days_from_civil(year, 1, 1),
            // 1970-01-01 was a Thursday.
            day_of_week: (days + 4).rem_euclid(7),
            hour: clock / 3_600,
            minute: clock % 3_600 / 60,
            second: clock % 60,
        }
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
///
/// In this computation, years begin in March, so a leap day is the last day of its year. 400 years
/// have 146,097 days, and 719,468 is the number of days from 0000-03-01 to 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns the year, month and day that are `days` after 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let leap = day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096;
    let year_of_era = leap / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
