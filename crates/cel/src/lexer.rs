//! The lexer, which splits the text of an expression into tokens with their positions.

use crate::error::CompileError;
use crate::literal::{LiteralStart, read_bytes, read_string};
use crate::span::Span;

/// A token of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Identifier(String),
    /// A name between backquotes. It may stand after a dot, or in place of a field's name in a
    /// message literal.
    Quoted(String),
    /// An integer without its sign. The sign is a separate token.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// The operators and brackets, longer ones first, because the first match is taken.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// Splits `text` into tokens. The last token is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, CompileError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, Span::new(start, lexer.at)));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest
                .bytes()
                .take_while(|byte| b"\t\n\x0c\r ".contains(byte))
                .count();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn token(&mut self) -> Result<Token, CompileError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let Some(&first) = bytes.first() else {
            return Ok(Token::End);
        };
        if let Some(start) = LiteralStart::parse(rest) {
            return self.literal(start);
        }
        let digit_follows = bytes.get(1).is_some_and(u8::is_ascii_digit);
        match first {
            b'0'..=b'9' => self.number(),
            b'.' if digit_follows => self.number(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let length = word_length(rest);
                self.at += length;
                Ok(Token::Identifier(rest[..length].to_owned()))
            }
            b'`' => self.backquoted(),
            _ => self.symbol(),
        }
    }

    fn literal(&mut self, literal: LiteralStart) -> Result<Token, CompileError> {
        let start = self.at;
        let error = |at: usize, length: usize, message: String| {
            CompileError::new(Span::new(start + at, start + at + length), message)
        };
        if literal.bytes {
            let (bytes, length) = read_bytes(self.rest(), literal)
                .map_err(|fault| error(fault.at, fault.length, fault.message))?;
            self.at += length;
            Ok(Token::Bytes(bytes))
        } else {
            let (text, length) = read_string(self.rest(), literal)
                .map_err(|fault| error(fault.at, fault.length, fault.message))?;
            self.at += length;
            Ok(Token::String(text))
        }
    }

    fn backquoted(&mut self) -> Result<Token, CompileError> {
        let rest = &self.rest()[1..];
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(byte);
        let length = rest.bytes().take_while(|byte| allowed(byte)).count();
        if length == 0 || rest.as_bytes().get(length) != Some(&b'`') {
            let span = Span::new(self.at, self.at + 1);
            let message =
                "a name in backquotes consists of letters, digits, `_`, `.`, `-`, `/` and spaces";
            return Err(CompileError::new(span, message));
        }
        self.at += length + 2;
        Ok(Token::Quoted(rest[..length].to_owned()))
    }

    fn symbol(&mut self) -> Result<Token, CompileError> {
        let rest = self.rest();
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let character = rest.chars().next().unwrap_or('\0');
        let span = Span::new(self.at, self.at + character.len_utf8());
        let shown = character.escape_debug();
        let error = CompileError::new(
            span,
            format!("unexpected character {shown:?}", shown = shown.to_string()),
        );
        Err(match character {
            '=' => error.help("write `==` to compare"),
            '&' => error.help("write `&&`"),
            '|' => error.help("write `||`"),
            '#' => error.help("comments begin with `//`"),
            _ => error,
        })
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let rest = self.rest();
        let start = self.at;
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let (length, double) = if hex {
            (
                2 + digits(&rest[2..], |byte| byte.is_ascii_hexdigit()),
                false,
            )
        } else {
            decimal(rest)
        };
        if hex && length == 2 {
            let span = Span::new(start, start + length);
            return Err(CompileError::new(span, "a hexadecimal number needs digits"));
        }
        let text = &rest[..length];
        let unsigned = !double && rest[length..].starts_with(['u', 'U']);
        self.at += length + usize::from(unsigned);
        let span = Span::new(start, self.at);
        let follows = word_length(self.rest());
        if follows > 0 {
            let span = Span::new(start, self.at + follows);
            return Err(CompileError::new(span, "a number ends in letters"));
        }
        if double {
            let value = text
                .parse()
                .map_err(|_| CompileError::new(span, "the number does not parse"))?;
            return Ok(Token::Double(value));
        }
        let value = if hex {
            u64::from_str_radix(&text[2..], 16)
        } else {
            text.parse()
        };
        let value =
            value.map_err(|_| CompileError::new(span, "the number does not fit 64 bits"))?;
        Ok(if unsigned {
            Token::Uint(value)
        } else {
            Token::Int(value)
        })
    }
}

/// Returns the length of the decimal number that `text` begins with, and whether it is a double.
fn decimal(text: &str) -> (usize, bool) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let mut length = digits(text, is_digit);
    let mut double = false;
    if text[length..].starts_with('.') {
        let decimals = digits(&text[length + 1..], is_digit);
        if decimals > 0 {
            length += 1 + decimals;
            double = true;
        }
    }
    let exponent = &text[length..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let count = digits(&exponent[1 + sign..], is_digit);
        if count > 0 {
            length += 1 + sign + count;
            double = true;
        }
    }
    (length, double)
}

fn digits(text: &str, allowed: impl Fn(&u8) -> bool) -> usize {
    text.bytes().take_while(|byte| allowed(byte)).count()
}

/// Returns the length of the letters, digits and underscores that `text` begins with.
fn word_length(text: &str) -> usize {
    digits(text, |byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
