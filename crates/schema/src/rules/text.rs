//! Formats the values of rules for the sentences of violations.

use std::fmt::Display;

/// Formats a list of values in brackets.
pub(super) fn list(values: &[impl Display]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", values.join(", "))
}

/// Formats a float with the fewest digits that identify it. For a field of the type `float`, the
/// argument `float` is the same value in single precision. Otherwise it is `None`.
pub(super) fn float(value: f64, float: Option<f32>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e21).contains(&size) {
        let digits = match float {
            Some(float) => format!("{float:e}"),
            None => format!("{value:e}"),
        };
        // As in C and Go, the exponent has a sign and at least two digits.
        let (digits, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ("-", exponent),
            None => ("+", exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    match float {
        Some(float) => float.to_string(),
        None => value.to_string(),
    }
}

/// Formats bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Formats a duration of `nanos` nanoseconds in seconds, such as `1.5s`.
pub(super) fn duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, part) = (nanos.abs() / 1_000_000_000, nanos.abs() % 1_000_000_000);
    format!("{sign}{seconds}{}s", fraction(part))
}

/// Formats a timestamp, in nanoseconds from 1970, as in RFC 3339.
pub(super) fn timestamp(nanos: i128) -> String {
    let (seconds, part) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = fraction(part);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Formats a fraction of a second, without trailing zeros. Returns an empty text for zero.
fn fraction(nanos: i128) -> String {
    if nanos == 0 {
        return String::new();
    }
    let digits = format!(".{nanos:09}");
    digits.trim_end_matches('0').to_owned()
}

/// Returns the year, month and day of the date that is `days` days after 1970-01-01.
fn date(days: i128) -> (i128, i128, i128) {
    // A year that begins in March ends with the leap day, if it has one. Counted from 0000-03-01,
    // every 400 such years have the same number of days. From 0000-03-01 to 1970-01-01, there are
    // 719,468 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_the_fewest_digits() {
        for (value, text) in [
            (0.5, "0.5"),
            (3.0, "3"),
            (-1e23, "-1e+23"),
            (1e-7, "1e-07"),
            (0.0, "0"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(value, None), text);
        }
        assert_eq!(float(f64::from(0.1f32), Some(0.1)), "0.1");
        assert_eq!(float(f64::from(1e30f32), Some(1e30)), "1e+30");
    }

    #[test]
    fn durations_are_in_seconds_and_timestamps_in_rfc_3339() {
        assert_eq!(duration(1_500_000_000), "1.5s");
        assert_eq!(duration(-3_600_000_000_001), "-3600.000000001s");
        assert_eq!(timestamp(100_000_500_000_000), "1970-01-02T03:46:40.5Z");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(timestamp(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(
            timestamp(-62_135_596_800_000_000_000),
            "0001-01-01T00:00:00Z"
        );
        assert_eq!(
            timestamp(253_402_300_799_000_000_000),
            "9999-12-31T23:59:59Z"
        );
    }
}
