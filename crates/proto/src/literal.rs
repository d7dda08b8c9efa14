//! The values of the numbers and quoted texts of a `.proto` file.

/// Returns the value of an integer token, or `None` if the value does not fit into 64 bits.
pub(super) fn integer(token: &str) -> Option<u64> {
    if let Some(digits) = token
        .strip_prefix("0x")
        .or_else(|| token.strip_prefix("0X"))
    {
        u64::from_str_radix(digits, 16).ok()
    } else if token.len() > 1 && token.starts_with('0') {
        u64::from_str_radix(token, 8).ok()
    } else {
        token.parse().ok()
    }
}

/// Returns the bytes that `text` stands for, with its C escapes replaced. A descriptor holds the
/// default of a `bytes` field in such a text.
pub fn unescaped(text: &str) -> Vec<u8> {
    unquoted(&format!("\"{text}\""))
}

/// Returns the bytes of a quoted text, with its escapes replaced. The bytes need not be UTF-8.
pub(super) fn unquoted(token: &str) -> Vec<u8> {
    let body = token.as_bytes();
    let body = body
        .get(1..body.len().saturating_sub(1))
        .unwrap_or_default();
    let mut value = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&b) = body.get(at) {
        at += 1;
        if b != b'\\' {
            value.push(b);
            continue;
        }
        let Some(&escape) = body.get(at) else { break };
        at += 1;
        let number = |from: usize, most: usize, radix: u32| {
            let rest = body.get(from..).unwrap_or_default().iter().take(most);
            let digits = rest.map_while(|&b| char::from(b).to_digit(radix));
            digits.fold((0u32, 0usize), |(n, len), digit| {
                (n.wrapping_mul(radix) + digit, len + 1)
            })
        };
        match escape {
            b'a' => value.push(7),
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let (n, len) = number(at - 1, 3, 8);
                at += len - 1;
                value.push(n as u8);
            }
            b'x' | b'X' => {
                let (n, len) = number(at, 2, 16);
                at += len;
                value.push(n as u8);
            }
            b'u' | b'U' => {
                let (mut n, len) = number(at, if escape == b'u' { 4 } else { 8 }, 16);
                at += len;
                // A pair of surrogates, as JSON writes them, is one character.
                if (0xd800..0xdc00).contains(&n) && body.get(at..at + 2) == Some(b"\\u") {
                    let (low, len) = number(at + 2, 4, 16);
                    if (0xdc00..0xe000).contains(&low) {
                        n = 0x10000 + ((n - 0xd800) << 10) + (low - 0xdc00);
                        at += 2 + len;
                    }
                }
                push_code_point(&mut value, n);
            }
            other => value.push(other),
        }
    }
    value
}

/// Appends the UTF-8 of a code point. A lone surrogate is encoded too, which makes the text invalid
/// UTF-8.
fn push_code_point(value: &mut Vec<u8>, n: u32) {
    match char::from_u32(n) {
        Some(c) => value.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => value.extend([
            0xe0 | (n >> 12) as u8,
            0x80 | (n >> 6 & 0x3f) as u8,
            0x80 | (n & 0x3f) as u8,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(
            unquoted(r#""a\n\101\x41\u00e9\U0001F600\\""#),
            "a\nAA\u{e9}\u{1f600}\\".as_bytes()
        );
        assert_eq!(
            unquoted(r#""\ud83d\ude00\377\xf""#),
            [0xf0, 0x9f, 0x98, 0x80, 0xff, 0xf]
        );
        assert_eq!(integer("0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(integer("017"), Some(15));
        assert_eq!(integer("18446744073709551616"), None);
    }
}
