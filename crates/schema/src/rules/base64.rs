//! The decoder of base64. The walk over the payload has already checked that the text is base64.

/// Decodes base64 in the standard or the URL-safe alphabet, with or without padding. Any other
/// character is ignored.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    let digits = text.iter().filter_map(|digit| match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    });
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_both_alphabets() {
        assert_eq!(base64(b""), b"");
        assert_eq!(base64(b"QQ=="), b"A");
        assert_eq!(base64(b"QUI"), b"AB");
        assert_eq!(base64(b"QUJD"), b"ABC");
        assert_eq!(base64(b"+/8="), base64(b"-_8"));
        assert_eq!(base64(b"-_8"), [0xfb, 0xff]);
    }
}
