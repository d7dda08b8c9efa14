//! Floating-point numbers in the forms that protoc reads and writes.

use crate::literal::integer;

/// Returns the value of a number token, integers of any base included.
pub(super) fn parsed(token: &str) -> f64 {
    // An E in a hexadecimal number is a digit.
    let is_hexadecimal = token.starts_with("0x") || token.starts_with("0X");
    if let Some(n) = integer(token).filter(|_| is_hexadecimal || !token.contains(['.', 'e', 'E'])) {
        return n as f64;
    }
    token.parse().unwrap_or(f64::INFINITY)
}

/// Returns the value of the word `inf` or `nan`. If `lax` is set, as in the text format, `infinity`
/// also has a value, and letters may be in upper case. Returns `None` for other words.
pub(super) fn named(word: &str, lax: bool) -> Option<f64> {
    match word.to_ascii_lowercase().as_str() {
        lower if !lax && lower != word => None,
        "inf" => Some(f64::INFINITY),
        "infinity" if lax => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

/// Returns the text of the default value of a `double` field. The text has up to 15
/// significant digits if these suffice to read the same value back, and otherwise up to 17.
pub(super) fn of_f64(value: f64) -> String {
    let short = general(value, 15);
    match short.parse::<f64>() {
        Ok(back) if back == value || value.is_nan() => short,
        _ => general(value, 17),
    }
}

/// Returns the text of the default value of a `float` field. The text has up to 6
/// significant digits if these suffice to read the same value back, and otherwise up to 9.
pub(super) fn of_f32(value: f64) -> String {
    let narrow = value as f32;
    let short = general(f64::from(narrow), 6);
    match short.parse::<f32>() {
        Ok(back) if back == narrow || narrow.is_nan() => short,
        _ => general(f64::from(narrow), 9),
    }
}

/// Formats a number like C's `%.<digits>g`.
fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_and_read_as_in_protoc() {
        let written: Vec<_> = [0.0, -0.0, 1.5, 1e21, 1e-7, 0.1, 1.0 / 3.0, f64::MAX]
            .map(of_f64)
            .into();
        assert_eq!(
            written,
            [
                "0",
                "-0",
                "1.5",
                "1e+21",
                "1e-07",
                "0.1",
                "0.33333333333333331",
                "1.7976931348623157e+308"
            ]
        );
        assert_eq!(of_f32(0.1), "0.1");
        assert_eq!(of_f32(1.0 / 3.0), "0.333333343");
        assert_eq!(parsed("0x10"), 16.0);
        assert_eq!((parsed("0x1e"), parsed("0X1E")), (30.0, 30.0));
        assert_eq!(parsed("1e400"), f64::INFINITY);
    }
}
