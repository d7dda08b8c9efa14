//! JSON numbers: their grammar, and their values.

use super::unexpected::unexpected;
use crate::violation::{Checked, excerpt};

/// The number of digits of `u64::MAX`. A whole number with more digits, without leading zeros, does
/// not fit into 64 bits.
const DIGITS_MAX: i64 = 20;

/// A well-formed number, as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    text: &'a [u8],
    /// Set if the number has no fraction and no exponent.
    whole: bool,
}

impl<'a> Number<'a> {
    /// Reads the number at `at`, and moves `at` to its end.
    pub(crate) fn read(bytes: &'a [u8], at: &mut usize) -> Checked<Self> {
        let start = *at;
        let mut cursor = start + usize::from(bytes.get(start) == Some(&b'-'));
        let digits = |cursor: &mut usize| {
            let first = *cursor;
            while bytes.get(*cursor).is_some_and(u8::is_ascii_digit) {
                *cursor += 1;
            }
            *cursor > first
        };
        match bytes.get(cursor) {
            // After a leading zero, only a point or an exponent may follow.
            Some(b'0') => cursor += 1,
            _ if digits(&mut cursor) => {}
            _ => return Err(unexpected(bytes, cursor, "a digit")),
        }
        let whole = cursor;
        if bytes.get(cursor) == Some(&b'.') {
            cursor += 1;
            if !digits(&mut cursor) {
                return Err(unexpected(bytes, cursor, "a digit"));
            }
        }
        if let Some(b'e' | b'E') = bytes.get(cursor) {
            cursor += 1;
            cursor += usize::from(matches!(bytes.get(cursor), Some(b'+' | b'-')));
            if !digits(&mut cursor) {
                return Err(unexpected(bytes, cursor, "a digit"));
            }
        }
        *at = cursor;
        Ok(Self {
            text: &bytes[start..cursor],
            whole: whole == cursor,
        })
    }

    /// Returns the number that `text` consists of, or `None` if `text` is anything else.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        let number = Self::read(text, &mut at).ok()?;
        (at == text.len()).then_some(number)
    }

    /// Returns the exact value if the number is whole, and `None` otherwise. A value beyond 64 bits
    /// is returned as a number that is out of range for every kind.
    #[inline]
    pub(crate) fn integer(self) -> Option<i128> {
        let (negative, digits) = self.sign();
        let value = match self.whole && digits.len() < DIGITS_MAX as usize {
            true => digits
                .iter()
                .fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0'))
                as i128,
            false => magnitude(digits)?,
        };
        Some(if negative { -value } else { value })
    }

    fn sign(self) -> (bool, &'a [u8]) {
        match self.text.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, self.text),
        }
    }

    /// Returns the nearest double, or an infinity if the number is too large. Returns `None` for a
    /// number without an exponent that is so short that it is in the range of every float type.
    #[inline]
    pub(crate) fn float_if_long(self) -> Option<f64> {
        /// A number without an exponent and with at most this number of bytes is less than 10³⁸, so
        /// it is in the range of every float type.
        const FLOAT_DIGITS_MAX: usize = 38;
        let exponent = !self.whole && self.text.iter().any(|byte| byte | 0x20 == b'e');
        if self.text.len() <= FLOAT_DIGITS_MAX && !exponent {
            return None;
        }
        let text = std::str::from_utf8(self.text).ok()?;
        text.parse().ok()
    }

    /// Returns the nearest double.
    pub(crate) fn float(self) -> f64 {
        let text = std::str::from_utf8(self.text).unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    /// Returns the number as written, shortened if it is long, for a violation.
    #[cold]
    pub(crate) fn excerpt(self) -> String {
        excerpt(self.text).trim_matches('"').to_owned()
    }
}

/// Returns the number in `text` if the number is whole, and `None` otherwise. A number of more than
/// [`DIGITS_MAX`] digits results in `i128::MAX`. `text` has no sign, but it has a fraction, an
/// exponent or many digits.
#[cold]
fn magnitude(text: &[u8]) -> Option<i128> {
    let e = text.iter().position(|byte| byte | 0x20 == b'e');
    let (mantissa, exponent) = text.split_at(e.unwrap_or(text.len()));
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (before, fraction) = mantissa.split_at(point.unwrap_or(mantissa.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    let digits = || before.iter().chain(fraction).map(|digit| digit - b'0');

    let count = before.len() + fraction.len();
    let leading = digits().take_while(|digit| *digit == 0).count();
    if leading == count {
        return Some(0);
    }
    let trailing = digits().rev().take_while(|digit| *digit == 0).count();
    // The number is its significant digits times ten to this power.
    let shift = power(exponent.get(1..).unwrap_or_default())
        .saturating_sub(fraction.len() as i64)
        .saturating_add(trailing as i64);
    let significant = count - leading - trailing;
    if shift < 0 {
        return None;
    }
    if shift.saturating_add(significant as i64) > DIGITS_MAX {
        return Some(i128::MAX);
    }
    let digits = digits().skip(leading).take(significant);
    let value = digits.fold(0, |value: i128, digit| value * 10 + i128::from(digit));
    Some(value * 10i128.pow(shift as u32))
}

/// Returns the exponent in `text`. An extreme exponent is replaced by a smaller one with the same
/// effect.
fn power(text: &[u8]) -> i64 {
    /// The maximum exponent. It exceeds the number of digits of any payload, so a larger exponent
    /// has the same effect.
    const EXPONENT_MAX: i64 = i64::MAX / 16;
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let power = digits.fold(0, |power: i64, digit| {
        (power * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    if text.first() == Some(&b'-') {
        -power
    } else {
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_however_they_are_written() {
        let integer = |text: &str| Number::parse(text.as_bytes()).unwrap().integer();
        for (text, value) in [
            ("0", 0),
            ("-0.000e9999999999999999999", 0),
            ("12", 12),
            ("-12.00", -12),
            ("1e2", 100),
            ("1.25E+2", 125),
            ("1200e-2", 12),
            ("0.0012e4", 12),
            ("18446744073709551615", u64::MAX.into()),
            ("18446744073709551616", 1 << 64),
            ("1844674407370955161.5e1", u64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
            ("1e20", i128::MAX),
            ("1e99999999999999999999", i128::MAX),
            ("-100000000000000000000000000000000000000000", -i128::MAX),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["0.5", "1e-1", "12.01", "1e-99999999999999999999", "100.5e1"] {
            let value = integer(text);
            assert_eq!(value, (text == "100.5e1").then_some(1005), "{text}");
        }
    }

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1_0", " 1", "NaN", "1 ",
        ] {
            assert!(Number::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
