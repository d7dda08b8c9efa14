//! Timestamp, Duration and FieldMask as ProtoJSON writes them: in strings. Pure.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds from 1970: what a Timestamp may hold.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What a Duration may hold, either way: about 10,000 years.
const LONGEST: i64 = 315_576_000_000;

/// Whether `text` is a moment by RFC 3339 in the years 1 to 9999, with at most nine digits of a
/// second.
pub(super) fn is_timestamp(text: &[u8]) -> bool {
    moment(text).is_some_and(|seconds| MOMENTS.contains(&seconds))
}

/// Seconds from 1970, rounded down.
fn moment(text: &[u8]) -> Option<i64> {
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
    let seconds = days_before(year, month, day) * DAY + hour * 3600 + minute * 60 + second;

    let zone = fraction(rest)?;
    match zone {
        b"Z" => Some(seconds),
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let [h, hh, b':', m, mm] = *zone else {
                return None;
            };
            let (hours, minutes) = (digits(&[h, hh])?, digits(&[m, mm])?);
            let east = hours * 3600 + minutes * 60;
            let sound = hours < 24 && minutes < 60;
            sound.then(|| {
                if *sign == b'+' {
                    seconds - east
                } else {
                    seconds + east
                }
            })
        }
        _ => None,
    }
}

/// What follows a fraction of one to nine digits, or nothing of the kind.
fn fraction(text: &[u8]) -> Option<&[u8]> {
    let Some((b'.', rest)) = text.split_first() else {
        return Some(text);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    matches!(digits, 1..=9).then(|| &rest[digits..])
}

/// The number that a few digits, and nothing else, are.
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

/// Days from 1970-01-01 to a day of the years 1 to 9999.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    // From 0001-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_162;
    years + months + day - 1 - EPOCH
}

/// Whether `text` is a span such as `-1.5s`, with at most nine digits of a second.
pub(super) fn is_duration(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (seconds, rest) = text.split_at(whole);
    // The longest has no fraction beside it.
    let within = digits(seconds).is_some_and(|seconds| match rest {
        b"s" => seconds <= LONGEST,
        _ => seconds < LONGEST || zero_fraction(rest) && seconds == LONGEST,
    });
    within && fraction(rest) == Some(b"s")
}

fn zero_fraction(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(byte, b'.' | b'0' | b's'))
}

/// Whether `text` is a list of field paths in lower camel case: without underscores.
pub(super) fn is_field_mask(text: &[u8]) -> bool {
    !text.contains(&b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_by_rfc_3339() {
        let moment = |text: &str| moment(text.as_bytes());
        assert_eq!(moment("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            moment("2000-03-01T00:00:00.5+01:00"),
            Some(951_868_800 - 3600)
        );
        assert_eq!(
            moment("2024-02-29T23:59:59-00:30"),
            Some(1_709_251_199 + 1800)
        );
        for right in [
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "1972-06-30T12:00:00.1Z",
        ] {
            assert!(is_timestamp(right.as_bytes()), "{right}");
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
            assert!(!is_timestamp(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn spans_in_seconds() {
        for right in [
            "0s",
            "-0s",
            "1.5s",
            "-1.000000001s",
            "315576000000s",
            "-315576000000.000s",
        ] {
            assert!(is_duration(right.as_bytes()), "{right}");
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
            "315576000000.1s",
            "99999999999999999999s",
            "--1s",
            "1ss",
        ] {
            assert!(!is_duration(wrong.as_bytes()), "{wrong}");
        }
    }
}
