//! Timestamp, Duration and FieldMask in ProtoJSON's form, which is a string. The functions are
//! pure.

/// The number of seconds in a day.
const DAY_SECONDS: i64 = 86_400;

/// The range of a Timestamp, from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, in seconds from
/// 1970.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The maximum number of whole seconds of a Duration, positive or negative. It is about 10,000
/// years, as `duration.proto` defines.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

/// Parses a timestamp by RFC 3339 in the years 1 to 9999, with at most nine fractional digits.
/// Returns the whole seconds since 1970, rounded down, and the nanoseconds after them. Returns
/// `None` for any other text.
pub(crate) fn timestamp(text: &[u8]) -> Option<(i64, i32)> {
    timestamp_of_any_year(text).filter(|(seconds, _)| TIMESTAMP_SECONDS.contains(seconds))
}

fn timestamp_of_any_year(text: &[u8]) -> Option<(i64, i32)> {
    let (start, rest) = text.split_at_checked(19)?;
    let field = |from: usize, to: usize, least: i64, most: i64| {
        let value = digits(&start[from..to])?;
        (least..=most).contains(&value).then_some(value)
    };
    let marks = [4, 7, 10, 13, 16].map(|at| start[at]);
    if marks != *b"--T::" {
        return None;
    }
    let (year, month) = (field(0, 4, 1, 9999)?, field(5, 7, 1, 12)?);
    let day = field(8, 10, 1, days_in(year, month))?;
    let hour = field(11, 13, 0, 23)?;
    let (minute, second) = (field(14, 16, 0, 59)?, field(17, 19, 0, 59)?);
    let seconds = days_before(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;

    let (nanos, zone) = fraction(rest)?;
    match zone {
        b"Z" => Some((seconds, nanos)),
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let [h, hh, b':', m, mm] = *zone else {
                return None;
            };
            let (hours, minutes) = (digits(&[h, hh])?, digits(&[m, mm])?);
            let east = hours * 3600 + minutes * 60;
            let utc = match sign {
                b'+' => seconds - east,
                _ => seconds + east,
            };
            (hours < 24 && minutes < 60).then_some((utc, nanos))
        }
        _ => None,
    }
}

/// Returns the nanoseconds of an optional fraction of one to nine digits, and the bytes after it.
/// Returns `None` if a point is followed by no digit or by more than nine digits.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let Some((b'.', rest)) = text.split_first() else {
        return Some((0, text));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(count, 1..=9) {
        return None;
    }
    let (fraction, rest) = rest.split_at(count);
    let nanos = digits(fraction)? * 10i64.pow(9 - count as u32);
    Some((nanos as i32, rest))
}

/// Returns the number that `text` consists of. Returns `None` if `text` is empty or has a byte that
/// is not a digit, or if the number exceeds 64 bits.
fn digits(text: &[u8]) -> Option<i64> {
    let number = text.iter().try_fold(0, |number: i64, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.filter(|_| !text.is_empty())
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a day of the years 1 to 9999.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    // The days from 0001-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_162;
    years + months + day - 1 - EPOCH
}

/// Parses a duration such as `-1.5s`, with at most nine fractional digits. Returns the seconds and
/// the nanoseconds, each with the sign of the duration. Returns `None` for any other text.
pub(crate) fn duration(text: &[u8]) -> Option<(i64, i32)> {
    let positive = text.strip_prefix(b"-").unwrap_or(text);
    let whole = positive.iter().take_while(|byte| byte.is_ascii_digit());
    let (seconds, rest) = positive.split_at(whole.count());
    let seconds = digits(seconds).filter(|seconds| *seconds <= DURATION_SECONDS_MAX)?;
    let (nanos, end) = fraction(rest)?;
    let sign = if positive.len() == text.len() { 1 } else { -1 };
    (end == b"s").then_some((seconds * i64::from(sign), nanos * sign))
}

/// Returns whether `text` can be a list of field paths in lower camel case, which have no
/// underscores. Nothing else is checked.
pub(super) fn is_field_mask(text: &[u8]) -> bool {
    !text.contains(&b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_in_the_format_of_rfc_3339() {
        let parsed = |text: &str| timestamp(text.as_bytes());
        assert_eq!(parsed("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(
            parsed("2000-03-01T00:00:00.5+01:00"),
            Some((951_868_800 - 3600, 500_000_000))
        );
        assert_eq!(
            parsed("2024-02-29T23:59:59.000000012-00:30"),
            Some((1_709_251_199 + 1800, 12))
        );
        for right in [
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "1972-06-30T12:00:00.1Z",
        ] {
            assert!(timestamp(right.as_bytes()).is_some(), "{right}");
        }
        for wrong in [
            "",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01t00:00:00Z",
            "2023-01-01 00:00:00Z",
            "2023-01-01T00:00:00z",
            "2023-01-01T00:00:00",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:60Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00.1234567890Z",
            "2023-01-01T00:00:00+0100",
            "2023-01-01T00:00:00+24:00",
            "2023-01-01T00:00:00ZZ",
            "2023-01-+1T00:00:00Z",
        ] {
            assert!(timestamp(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_decimal_seconds() {
        for (right, parts) in [
            ("0s", (0, 0)),
            ("-0s", (0, 0)),
            ("1.5s", (1, 500_000_000)),
            ("-1.000000001s", (-1, -1)),
            ("-0.25s", (0, -250_000_000)),
            ("315576000000s", (DURATION_SECONDS_MAX, 0)),
            ("315576000000.500s", (DURATION_SECONDS_MAX, 500_000_000)),
            (
                "-315576000000.999999999s",
                (-DURATION_SECONDS_MAX, -999_999_999),
            ),
        ] {
            assert_eq!(duration(right.as_bytes()), Some(parts), "{right}");
        }
        for wrong in [
            "",
            "s",
            "1",
            "1.s",
            ".5s",
            "+1s",
            "1 s",
            "1e2s",
            "1.0000000000s",
            "315576000001s",
            "99999999999999999999s",
            "--1s",
            "1ss",
        ] {
            assert_eq!(duration(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
