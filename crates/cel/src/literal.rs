//! The literals of strings and bytes: quotes, raw literals and escapes.

/// The start of a literal: its prefixes and opening quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiteralStart {
    pub(crate) bytes: bool,
    raw: bool,
    quote: u8,
    triple: bool,
    /// The number of bytes up to and including the opening quotes.
    opening: usize,
}

/// An error in a literal, and its position in bytes from the start of the literal.
#[derive(Debug)]
pub(crate) struct LiteralError {
    pub(crate) at: usize,
    pub(crate) length: usize,
    pub(crate) message: String,
}

impl LiteralError {
    fn new(at: usize, length: usize, message: &str) -> Self {
        Self {
            at,
            length,
            message: message.to_owned(),
        }
    }
}

impl LiteralStart {
    /// Returns the start of the literal that `text` begins with, if there is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut bytes, mut raw, mut at) = (false, false, 0);
        let source = text.as_bytes();
        loop {
            match source.get(at)? {
                b'b' | b'B' if !bytes => bytes = true,
                b'r' | b'R' if !raw => raw = true,
                quote @ (b'"' | b'\'') => {
                    let triple = source.get(at..at + 3) == Some(&[*quote; 3]);
                    let opening = at + if triple { 3 } else { 1 };
                    return Some(Self {
                        bytes,
                        raw,
                        quote: *quote,
                        triple,
                        opening,
                    });
                }
                _ => return None,
            }
            at += 1;
        }
    }

    fn closing(self) -> usize {
        if self.triple { 3 } else { 1 }
    }

    fn closes(self, rest: &[u8]) -> bool {
        rest.len() >= self.closing()
            && rest[..self.closing()]
                .iter()
                .all(|byte| *byte == self.quote)
    }
}

/// A part of a literal.
enum Piece {
    Character(char),
    /// An escape with three octal or two hexadecimal digits. It stands for a byte in a bytes
    /// literal, and for a code point in a string literal.
    Code(u8),
}

/// Returns the value of the string literal that `text` begins with, and the length of the literal
/// in bytes.
pub(crate) fn read_string(
    text: &str,
    start: LiteralStart,
) -> Result<(String, usize), LiteralError> {
    let mut value = String::new();
    let length = read(text, start, &mut |piece| match piece {
        Piece::Character(character) => value.push(character),
        Piece::Code(code) => value.push(char::from(code)),
    })?;
    Ok((value, length))
}

/// Returns the value of the bytes literal that `text` begins with, and the length of the literal in
/// bytes.
pub(crate) fn read_bytes(
    text: &str,
    start: LiteralStart,
) -> Result<(Vec<u8>, usize), LiteralError> {
    let mut value = Vec::new();
    let length = read(text, start, &mut |piece| match piece {
        Piece::Character(character) => {
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Piece::Code(code) => value.push(code),
    })?;
    Ok((value, length))
}

fn read(
    text: &str,
    start: LiteralStart,
    push: &mut dyn FnMut(Piece),
) -> Result<usize, LiteralError> {
    let mut at = start.opening;
    loop {
        if start.closes(&text.as_bytes()[at..]) {
            return Ok(at + start.closing());
        }
        let Some(character) = text[at..].chars().next() else {
            return Err(LiteralError::new(
                0,
                start.opening,
                "the literal has no closing quote",
            ));
        };
        match character {
            '\n' | '\r' if !start.triple => {
                return Err(LiteralError::new(
                    0,
                    start.opening,
                    "the literal has no closing quote on its line",
                ));
            }
            '\\' if !start.raw => at += escape(&text[at..], at, start.bytes, push)?,
            _ => {
                push(Piece::Character(character));
                at += character.len_utf8();
            }
        }
    }
}

/// Reads the escape at the start of `text`, passes it to `push`, and returns its length in bytes.
/// `at` is the position of the escape in the literal.
fn escape(
    text: &str,
    at: usize,
    bytes: bool,
    push: &mut dyn FnMut(Piece),
) -> Result<usize, LiteralError> {
    let mut characters = text.chars();
    characters.next();
    let Some(kind) = characters.next() else {
        return Err(LiteralError::new(at, 1, "the literal has no closing quote"));
    };
    let plain = match kind {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' | '?' | '"' | '\'' | '`' => kind,
        'x' | 'X' => return code(text, at, 2, 2, 16, push),
        '0'..='3' => return code(text, at, 1, 3, 8, push),
        'u' if !bytes => return unicode(text, at, 4, push),
        'U' if !bytes => return unicode(text, at, 8, push),
        _ => {
            let length = 1 + kind.len_utf8();
            return Err(LiteralError::new(
                at,
                length,
                "there is no such escape in this kind of literal",
            ));
        }
    };
    push(Piece::Character(plain));
    Ok(2)
}

fn code(
    text: &str,
    at: usize,
    from: usize,
    digits: usize,
    radix: u32,
    push: &mut dyn FnMut(Piece),
) -> Result<usize, LiteralError> {
    let wrong = || LiteralError::new(at, from, "the escape has too few digits");
    let number = number(text, from, digits, radix).ok_or_else(wrong)?;
    push(Piece::Code(u8::try_from(number).map_err(|_| wrong())?));
    Ok(from + digits)
}

fn unicode(
    text: &str,
    at: usize,
    digits: usize,
    push: &mut dyn FnMut(Piece),
) -> Result<usize, LiteralError> {
    let wrong = || LiteralError::new(at, 2, "the escape has too few digits");
    let number = number(text, 2, digits, 16).ok_or_else(wrong)?;
    let none = || LiteralError::new(at, 2 + digits, "there is no such Unicode character");
    push(Piece::Character(char::from_u32(number).ok_or_else(none)?));
    Ok(2 + digits)
}

/// Returns the number of exactly `digits` digits that begins at the byte `from` of `text`, or
/// `None` if there are fewer digits.
fn number(text: &str, from: usize, digits: usize, radix: u32) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    if all {
        u32::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}
