//! The UTF-8 check of the texts in a payload. Most texts are short and ASCII, so this case is tried
//! first.

/// The high bit of each of eight bytes, which ASCII does not use.
pub(super) const HIGH: u64 = 0x8080_8080_8080_8080;

/// The lowest bit of each of eight bytes.
pub(super) const LOW: u64 = 0x0101_0101_0101_0101;

/// The maximum length, in bytes, of a text for which the check is inlined. [`any_utf8`] checks
/// longer texts, because `simdutf8` uses SIMD instructions only for texts of at least 64 bytes.
const SHORT_MAX: usize = 64;

/// Returns whether all of a short `text` is ASCII.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else {
        return first_bytes(text) & HIGH == 0;
    };
    let words = text.chunks_exact(8).map(first_bytes);
    (u64::from_le_bytes(*last) | words.fold(0, |all, word| all | word)) & HIGH == 0
}

/// Returns the first eight bytes of `text`, or all bytes of a shorter text, as a little-endian
/// number.
#[inline]
pub(super) fn first_bytes(text: &[u8]) -> u64 {
    if let Some(first) = text.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    // The first and the last four bytes may overlap. The overlapping bits are then equal.
    let end = |size: usize| 8 * text.len().wrapping_sub(size) as u32;
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << end(4);
    }
    match *text {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, ..] => u64::from(u32::from_le_bytes([a, b, c, 0])),
    }
}

/// Returns whether `bytes` holds at least `size` bytes and the first `size` of them are UTF-8. The
/// bytes after them may be read, but do not affect the result.
#[inline]
pub(super) fn begins_with_text(bytes: &[u8], size: usize) -> bool {
    let Some(text) = bytes.get(..size) else {
        return false;
    };
    let high = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) if size <= 16 => {
            u64::from_le_bytes(*first) | u64::from_le_bytes(*last)
        }
        (None, _) => match bytes.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word) & !(u64::MAX << (8 * size)),
            None => first_bytes(text),
        },
        _ => return is_utf8(text),
    };
    high & HIGH == 0 || is_utf8(text)
}

/// Checks that `text` is UTF-8. The error is the length of the valid part.
#[inline]
pub(super) fn utf8(text: &[u8]) -> Result<(), usize> {
    if text.len() <= SHORT_MAX && is_ascii(text) {
        return Ok(());
    }
    any_utf8(text)
}

#[inline(never)]
fn is_utf8(text: &[u8]) -> bool {
    utf8(text).is_ok()
}

/// Checks a text with SIMD instructions if the processor has them. The check of a text that is not
/// ASCII then takes a fifth to a twelfth of the standard library's time (`cargo bench -p
/// gateway-schema-benches --bench walk -- text`).
#[inline(never)]
fn any_utf8(text: &[u8]) -> Result<(), usize> {
    simdutf8::compat::from_utf8(text)
        .map(drop)
        .map_err(|error| error.valid_up_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ascii_checks_every_byte_of_texts_of_any_length() {
        for length in 0..70 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text));
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{length} {at}");
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn bytes_after_a_text_do_not_affect_the_result() {
        for size in 0..70 {
            for after in [&[][..], &[0xff; 3], &[0xff; 40]] {
                let mut bytes = [&vec![b'a'; size][..], after].concat();
                assert!(begins_with_text(&bytes, size), "{size}");
                assert!(!begins_with_text(&bytes, bytes.len() + 1));
                for at in 0..size {
                    bytes[at] = 0xff;
                    assert!(!begins_with_text(&bytes, size), "{size} {at}");
                    bytes[at] = b'a';
                    if at + 1 < size {
                        bytes[at..at + 2].copy_from_slice("é".as_bytes());
                        assert!(begins_with_text(&bytes, size), "{size} {at}");
                        bytes[at..at + 2].copy_from_slice(b"aa");
                    }
                }
            }
        }
    }

    #[test]
    fn first_bytes_returns_a_little_endian_word() {
        let text = b"abcdefghij";
        for length in 0..=text.len() {
            let mut word = [0; 8];
            let taken = length.min(8);
            word[..taken].copy_from_slice(&text[..taken]);
            assert_eq!(first_bytes(&text[..length]), u64::from_le_bytes(word));
        }
    }
}
