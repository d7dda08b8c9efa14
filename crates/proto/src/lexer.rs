//! A lexer for `.proto` texts, by the rules of protoc's tokenizer.
//!
//! Comments and whitespace are dropped. Input that is not a token becomes a bad token. The error of
//! a bad token is reported if the parser reaches the token. [`tokens`] stops at a text that is
//! clearly not a `.proto` file. [`LooseTokens`] and [`words`] always read to the end, for callers
//! that need facts about any text. The lexer knows no keywords and does not recurse.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::budget::{Budget, OutOfTime};
use crate::fault::TextFault;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A letter or `_`, then letters, digits and `_`.
    Word,
    /// A decimal, octal or hexadecimal number.
    Integer,
    /// A number with a point or an exponent.
    Float,
    /// A quoted text, quotes included.
    Text,
    /// Any other single ASCII character.
    Punct(u8),
    /// Input that is not a token, with the index of its error in [`Lexed::faults`]. [`LooseTokens`]
    /// keeps no errors and always uses 0.
    Bad(u8),
    /// The end, after the last token.
    End,
}

/// The number of bad tokens after which the lexer decides that a text is not a `.proto` file, and
/// stops reading it.
const BAD_TOKENS_MAX: u8 = 20;

/// One token. Byte offsets fit in a `u32`, since files are far smaller than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    start: u32,
    end: u32,
}

impl Token {
    /// Returns the byte range of the token.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Lexed {
    /// The tokens. The last token is of the kind [`TokenKind::End`].
    pub tokens: Vec<Token>,
    /// The errors of the tokens of the kind [`TokenKind::Bad`], in order.
    pub faults: Vec<TextFault>,
    /// The error of the first comment that starts with `#`. Such comments are skipped like others.
    pub hash_comment: Option<TextFault>,
}

/// Returns the tokens of `text`.
pub(super) fn tokens(text: &str, budget: &Budget) -> Result<Lexed, OutOfTime> {
    let mut lexer = Lexer::of(text);
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 5 + 1);
    let mut faults = Vec::new();
    loop {
        budget.step()?;
        match lexer.next() {
            Ok(Some(token)) => tokens.push(token),
            Ok(None) => break,
            Err(fault) => {
                let which = faults.len() as u8;
                let range = fault.range();
                tokens.push(Token {
                    kind: TokenKind::Bad(which),
                    start: range.start as u32,
                    end: range.end as u32,
                });
                faults.push(fault);
                if which + 1 == BAD_TOKENS_MAX || !lexer.skip_bad_input() {
                    break;
                }
            }
        }
    }
    // The end token is empty and lies at the end of the last token.
    let end = tokens.last().map_or(0, |token| token.end);
    tokens.push(Token {
        kind: TokenKind::End,
        start: end,
        end,
    });
    Ok(Lexed {
        tokens,
        faults,
        hash_comment: lexer.hash_comment,
    })
}

/// All tokens of a text that need not be a `.proto` file.
///
/// Unlike [`tokens`], this iterator always reads to the end and returns no end token. A bad token
/// spans all of the skipped text. Only the bad token of a malformed comment is shorter: it spans
/// the opening `//` or `/*`.
pub(super) struct LooseTokens<'a> {
    lexer: Lexer<'a>,
}

impl<'a> LooseTokens<'a> {
    /// Returns the tokens of `text`.
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            lexer: Lexer::of(text),
        }
    }
}

impl Iterator for LooseTokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let lexer = &mut self.lexer;
        let fault = match lexer.next() {
            Ok(token) => return token,
            Err(fault) => fault,
        };
        let is_comment = lexer.bytes[lexer.start] == b'/';
        let is_skipped = lexer.skip_bad_input();
        let (start, end) = if is_comment {
            if !is_skipped {
                lexer.at = lexer.end_of_comment();
            }
            (lexer.start, lexer.start + 2)
        } else {
            lexer.at = lexer.at.max(fault.range().end);
            (lexer.start, lexer.at)
        };
        Some(Token {
            kind: TokenKind::Bad(0),
            start: start as u32,
            end: end as u32,
        })
    }
}

/// Returns the words in a `.proto` text, in order: keywords, parts of names, and scalar types. The
/// text need not compile. Words in quoted texts and in comments are left out. Words in a malformed
/// comment are included, since an unterminated comment may contain definitions.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut tokens = LooseTokens::of(text);
    std::iter::from_fn(move || {
        loop {
            let token = tokens.next()?;
            let written = &text[token.range()];
            match token.kind {
                TokenKind::Word => return Some(written),
                TokenKind::Bad(_) if written.starts_with('/') => {
                    tokens.lexer.at = token.range().end;
                }
                _ => {}
            }
        }
    })
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The start of the token or comment that is being read.
    start: usize,
    /// The fault of the first comment that starts with `#`.
    hash_comment: Option<TextFault>,
}

impl<'a> Lexer<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            start: 0,
            hash_comment: None,
        }
    }

    fn next(&mut self) -> Result<Option<Token>, TextFault> {
        self.skip_blanks()?;
        let start = self.at;
        self.start = start;
        let Some(&first) = self.bytes.get(start) else {
            return Ok(None);
        };
        let kind = match first {
            b'"' | b'\'' => self.text(first)?,
            b'0'..=b'9' => self.number()?,
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number()?,
            b if is_word(b) => {
                self.skip_while(is_word);
                TokenKind::Word
            }
            b if b >= 0x80 => {
                // The token includes the whole character, because an excerpt of a text must not
                // split a character.
                let end = start + b.leading_ones() as usize;
                let fault = TextFault::new(start..end, "a character beyond ASCII");
                return Err(fault.help("only comments and quoted texts may have such characters"));
            }
            b if b < b' ' || b == 0x7f => {
                return Err(TextFault::new(
                    start..start + 1,
                    format!("a control character (0x{b:02x})"),
                ));
            }
            b => {
                self.at += 1;
                TokenKind::Punct(b)
            }
        };
        Ok(Some(Token {
            kind,
            start: start as u32,
            end: self.at as u32,
        }))
    }

    /// Skips the input that is not a token. Returns false if the rest of the text cannot be
    /// tokenized reliably.
    fn skip_bad_input(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        match self.bytes[self.start] {
            // A quoted text ends on its line.
            quote @ (b'"' | b'\'') => {
                let ends = |b: &u8| *b == quote || *b == b'\n';
                self.at += rest.iter().position(ends).map_or(rest.len(), |at| at + 1);
                true
            }
            // The only error in a line comment is a NUL, and a file with a NUL is not a text file.
            b'/' if self.bytes.get(self.start + 1) == Some(&b'/') => false,
            b'/' => match rest.windows(2).position(|it| it == b"*/") {
                Some(at) => {
                    self.at += at + 2;
                    true
                }
                None => false,
            },
            b if is_word(b) || b == b'.' || b >= 0x80 => {
                self.skip_while(|b| is_word(b) || b == b'.' || b >= 0x80);
                true
            }
            // A file with a control character is not a text file.
            _ => false,
        }
    }

    /// Returns the end of the malformed comment that is being read. A malformed `//` comment ends
    /// at the end of its line, and a malformed `/*` comment ends at the end of the text.
    fn end_of_comment(&self) -> usize {
        let rest = &self.bytes[self.at..];
        let len = match self.bytes.get(self.start + 1) {
            Some(b'/') => rest.iter().position(|&b| b == b'\n'),
            _ => None,
        };
        len.map_or(self.bytes.len(), |len| self.at + len)
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

    fn skip_blanks(&mut self) -> Result<(), TextFault> {
        loop {
            self.skip_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'/')) => {
                    self.start = self.at;
                    self.skip_while(|b| !matches!(b, b'\n' | 0));
                    if self.peek(0) == Some(0) {
                        return Err(self.nul());
                    }
                }
                (Some(b'/'), Some(b'*')) => self.block_comment()?,
                (Some(b'#'), _) => self.hash_comment(),
                _ => return Ok(()),
            }
        }
    }

    /// Skips a comment that starts with `#`, and records the error for the first one.
    fn hash_comment(&mut self) {
        let start = self.at;
        self.skip_while(|b| !matches!(b, b'\n' | 0));
        self.hash_comment.get_or_insert_with(|| {
            TextFault::new(start..start + 1, "a comment that starts with #")
                .help("comments begin with // in .proto files")
        });
    }

    fn block_comment(&mut self) -> Result<(), TextFault> {
        let start = self.at;
        self.start = start;
        self.at += 2;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'*'), Some(b'/')) => {
                    self.at += 2;
                    return Ok(());
                }
                (Some(b'/'), Some(b'*')) => {
                    let here = self.at..self.at + 2;
                    return Err(TextFault::new(here, "a comment within a comment").help(
                        "comments can't be nested: end the first one before the second begins",
                    ));
                }
                (Some(0), _) => return Err(self.nul()),
                (Some(_), _) => self.at += 1,
                (None, _) => {
                    return Err(
                        TextFault::new(start..start + 2, "a comment that never ends")
                            .help("close it with */"),
                    );
                }
            }
        }
    }

    /// Returns the error for a NUL at the current position, in a quoted text or a comment.
    fn nul(&self) -> TextFault {
        TextFault::new(self.at..self.at + 1, "a control character (0x00)")
    }

    fn number(&mut self) -> Result<TokenKind, TextFault> {
        let start = self.at;
        let kind = if self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X')) {
            self.at += 2;
            if self.skip_while(|b| b.is_ascii_hexdigit()) == 0 {
                return Err(TextFault::new(
                    start..self.at,
                    "no hexadecimal digits after 0x",
                ));
            }
            TokenKind::Integer
        } else {
            self.decimal(start)?
        };
        match self.peek(0) {
            Some(b'.') => {
                let message = match kind {
                    TokenKind::Float => "a number with two points",
                    _ => "a hexadecimal or octal number with a point",
                };
                Err(TextFault::new(start..self.at + 1, message))
            }
            Some(b) if is_word(b) => {
                let end = self.at;
                self.skip_while(is_word);
                let fault = TextFault::new(start..self.at, "a number that runs into a word");
                let written = &self.bytes[start..self.at];
                let is_name = written.first().is_some_and(u8::is_ascii_digit)
                    && written.iter().filter(|b| b.is_ascii_alphabetic()).count() > 1;
                Err(match &self.bytes[end..self.at] {
                    _ if is_name => fault.help("a name can't begin with a digit"),
                    [b'f' | b'F'] => fault.help("leave the f out: a float has no suffix"),
                    _ => fault.help("put a space between the number and the word"),
                })
            }
            _ => Ok(kind),
        }
    }

    /// Reads a decimal integer, an octal integer, which starts with 0, or a floating-point number.
    fn decimal(&mut self, start: usize) -> Result<TokenKind, TextFault> {
        let leading_zero = self.peek(0) == Some(b'0');
        let digits = self.skip_while(|b| b.is_ascii_digit());
        if leading_zero && digits > 1 && !matches!(self.peek(0), Some(b'.' | b'e' | b'E')) {
            let text = &self.bytes[start..self.at];
            if text.iter().any(|b| *b > b'7') {
                return Err(
                    TextFault::new(start..self.at, "a digit over 7 in an octal number")
                        .help("numbers that start with 0 are octal: leave the 0 out"),
                );
            }
            return Ok(TokenKind::Integer);
        }
        if leading_zero && digits > 1 {
            // protoc reads the digits as octal before it reads the point.
            return Err(TextFault::new(
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
                return Err(TextFault::new(start..self.at, "an exponent without digits"));
            }
        }
        Ok(if float {
            TokenKind::Float
        } else {
            TokenKind::Integer
        })
    }

    fn text(&mut self, quote: u8) -> Result<TokenKind, TextFault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                Some(b'\\') => self.escape()?,
                Some(b'\n') | None => {
                    return Err(
                        TextFault::new(start..self.at, "a text without a closing quote")
                            .help("a quoted text must end on its line; adjacent texts are joined"),
                    );
                }
                Some(0) => {
                    return Err(self.nul());
                }
                Some(b) => {
                    self.at += 1;
                    if b == quote {
                        return Ok(TokenKind::Text);
                    }
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), TextFault> {
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
                return Err(TextFault::new(start..end, "an unknown escape sequence")
                    .help("a backslash itself is written \\\\"));
            }
        };
        self.at += length;
        Ok(())
    }

    /// Returns the value of the eight hexadecimal digits after the `U` at the current position.
    fn code_point(&self) -> u32 {
        let digits = self.bytes.get(self.at + 1..self.at + 9).unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        u32::from_str_radix(text, 16).unwrap_or(u32::MAX)
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
