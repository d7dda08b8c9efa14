//! A `.proto` text → tokens, by the rules of protoc's tokenizer.
//!
//! Comments and blanks are dropped. The first text that is no token ends the list, and is kept as
//! the fault to report if the parser gets that far. Nothing here knows a keyword, or recurses.

use std::ops::Range;

use super::deadline;
use super::fault::Fault;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A letter or `_`, then letters, digits and `_`.
    Word,
    /// Decimal, octal or hexadecimal.
    Integer,
    /// With a point or an exponent.
    Float,
    /// A quoted text, quotes included.
    Text,
    /// Any other single character, ASCII.
    Sign(u8),
    /// Behind the last token.
    End,
}

/// One token; offsets in bytes (files are far smaller than 4 GiB).
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    /// Where it lies in the text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// All tokens of `text`, the last one of kind [`Kind::End`], and what ended them early.
pub(super) fn tokens(text: &str) -> (Vec<Token>, Option<Fault>) {
    let mut lexer = Lexer {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut tokens = Vec::with_capacity(text.len() / 5 + 1);
    let mut end = 0;
    let fault = loop {
        deadline::step();
        match lexer.next() {
            Ok(Some(token)) => {
                end = token.end;
                tokens.push(token);
            }
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
    };
    // Where a file that ends too early ends.
    tokens.push(Token {
        kind: Kind::End,
        start: end,
        end,
    });
    (tokens, fault)
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>, Fault> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(&first) = self.bytes.get(start) else {
            return Ok(None);
        };
        let kind = match first {
            b'"' | b'\'' => self.text(first)?,
            b'0'..=b'9' => self.number()?,
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number()?,
            b if is_word(b) => {
                self.skip_while(is_word);
                Kind::Word
            }
            b if b >= 0x80 => {
                let fault = Fault::new(start..start + 1, "a character beyond ASCII");
                return Err(fault.help("only comments and quoted texts may have such characters"));
            }
            b if b < b' ' || b == 0x7f => {
                return Err(Fault::new(
                    start..start + 1,
                    format!("a control character (0x{b:02x})"),
                ));
            }
            b => {
                self.at += 1;
                Kind::Sign(b)
            }
        };
        Ok(Some(Token {
            kind,
            start: start as u32,
            end: self.at as u32,
        }))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, is: impl Fn(u8) -> bool) -> usize {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take_while(|&&b| is(b)).count();
        self.at += len;
        len
    }

    fn skip_blanks(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'/')) => {
                    self.skip_while(|b| !matches!(b, b'\n' | 0));
                    if self.peek(0) == Some(0) {
                        return Err(self.nul());
                    }
                }
                (Some(b'/'), Some(b'*')) => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'*'), Some(b'/')) => {
                    self.at += 2;
                    return Ok(());
                }
                (Some(b'/'), Some(b'*')) => {
                    let here = self.at..self.at + 2;
                    return Err(Fault::new(here, "a comment within a comment")
                        .help("comments can't be nested: end the first one before"));
                }
                (Some(0), _) => return Err(self.nul()),
                (Some(_), _) => self.at += 1,
                (None, _) => {
                    return Err(Fault::new(start..start + 2, "a comment that never ends")
                        .help("close it with */"));
                }
            }
        }
    }

    /// At this place, where nothing else may be refused: in a text or comment.
    fn nul(&self) -> Fault {
        Fault::new(self.at..self.at + 1, "a control character (0x00)")
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        let kind = if self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X')) {
            self.at += 2;
            if self.skip_while(|b| b.is_ascii_hexdigit()) == 0 {
                return Err(Fault::new(start..self.at, "no hexadecimal digits after 0x"));
            }
            Kind::Integer
        } else {
            self.decimal(start)?
        };
        match self.peek(0) {
            Some(b'.') => {
                let message = match kind {
                    Kind::Float => "a number with two points",
                    _ => "a hexadecimal or octal number with a point",
                };
                Err(Fault::new(start..self.at + 1, message))
            }
            Some(b) if is_word(b) => {
                self.skip_while(is_word);
                Err(Fault::new(start..self.at, "a number that runs into a word")
                    .help("put a blank between the number and what follows"))
            }
            _ => Ok(kind),
        }
    }

    /// An octal number, too: one that starts with 0.
    fn decimal(&mut self, start: usize) -> Result<Kind, Fault> {
        let leading_zero = self.peek(0) == Some(b'0');
        let digits = self.skip_while(|b| b.is_ascii_digit());
        if leading_zero && digits > 1 && !matches!(self.peek(0), Some(b'.' | b'e' | b'E')) {
            let text = &self.bytes[start..self.at];
            if text.iter().any(|b| *b > b'7') {
                return Err(
                    Fault::new(start..self.at, "a digit over 7 in an octal number")
                        .help("numbers that start with 0 are octal: leave the 0 out"),
                );
            }
            return Ok(Kind::Integer);
        }
        if leading_zero && digits > 1 {
            // protoc reads the digits as octal before it meets the point.
            return Err(Fault::new(
                start..self.at,
                "an octal number with a point or an exponent",
            )
            .help("numbers that start with 0 are octal: leave the 0 out"));
        }
        let mut float = false;
        if self.peek(0) == Some(b'.') {
            float = true;
            self.at += 1;
            self.skip_while(|b| b.is_ascii_digit());
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.skip_while(|b| b.is_ascii_digit()) == 0 {
                return Err(Fault::new(start..self.at, "an exponent without digits"));
            }
        }
        Ok(if float { Kind::Float } else { Kind::Integer })
    }

    fn text(&mut self, quote: u8) -> Result<Kind, Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                Some(b'\\') => self.escape()?,
                Some(b'\n') | None => {
                    return Err(Fault::new(start..self.at, "a text without a closing quote")
                        .help("a text ends on its line; adjacent texts are joined"));
                }
                Some(0) => {
                    return Err(self.nul());
                }
                Some(b) => {
                    self.at += 1;
                    if b == quote {
                        return Ok(Kind::Text);
                    }
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let digits = |lexer: &Self, from: usize, count: usize| {
            (from..from + count).all(|at| lexer.peek(at).is_some_and(|b| b.is_ascii_hexdigit()))
        };
        let length = match self.peek(0) {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'\'' | b'"') => 1,
            Some(b'0'..=b'7') => 1,
            Some(b'x' | b'X') if digits(self, 1, 1) => 2,
            Some(b'u') if digits(self, 1, 4) => 5,
            Some(b'U') if digits(self, 1, 8) && self.code_point() <= 0x10_ffff => 9,
            _ => {
                let end = self.at + usize::from(self.peek(0).is_some_and(|b| b.is_ascii_graphic()));
                return Err(
                    Fault::new(start..end, "an escape sequence that isn't known")
                        .help("a backslash itself is written \\\\"),
                );
            }
        };
        self.at += length;
        Ok(())
    }

    /// Of the eight digits behind the `U` that is next.
    fn code_point(&self) -> u32 {
        let digits = self.bytes.get(self.at + 1..self.at + 9).unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        u32::from_str_radix(text, 16).unwrap_or(u32::MAX)
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// The value of an integer token; none: over 64 bits.
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

/// What a quoted text stands for: its escapes undone. May be no UTF-8.
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

/// UTF-8 of a code point; of a lone surrogate, too, which makes the text no UTF-8.
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

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).0.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn tokens_are_told_apart() {
        assert_eq!(
            kinds("a1 // x\n 0x1F 017 1. .5 1e-3 'x\\'y' /* */ ;"),
            [
                Kind::Word,
                Kind::Integer,
                Kind::Integer,
                Kind::Float,
                Kind::Float,
                Kind::Float,
                Kind::Text,
                Kind::Sign(b';'),
                Kind::End
            ]
        );
    }

    #[test]
    fn what_is_no_token_ends_them_with_a_fault() {
        for text in [
            "1a",
            "09",
            "0x",
            "1e",
            "1.2.3",
            "\"a",
            "'\\q'",
            "'\\U00110000'",
            "/*",
            "/* /* */",
            "\u{e9}",
            "\u{1}",
            "\"\\",
        ] {
            let (found, fault) = tokens(text);
            assert!(fault.is_some(), "{text:?}");
            assert_eq!(found.len(), 1, "{text:?}");
        }
    }

    #[test]
    fn escapes_are_undone() {
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
