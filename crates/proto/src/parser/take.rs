//! Takes the tokens of a file one by one, and makes the errors for unexpected tokens.

use std::ops::Range;

use super::{Parse, Parser, Token, TokenKind};
use crate::budget::OutOfTime;
use crate::fault::TextFault;
use crate::literal::{integer, unquoted};
use gateway_diagnostic::did_you_mean;

impl<'a> Parser<'a> {
    pub(super) fn token(&self) -> Token {
        self.tokens[self.at]
    }

    pub(super) fn ahead(&self, count: usize) -> Token {
        self.tokens[(self.at + count).min(self.tokens.len() - 1)]
    }

    pub(super) fn word(&self, token: Token) -> &'a str {
        &self.text[token.range()]
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.token().kind == TokenKind::Word && self.word(self.token()) == word
    }

    pub(super) fn is_punct(&self, punct: u8) -> bool {
        self.token().kind == TokenKind::Punct(punct)
    }

    /// Takes the next token. Once the time is over, skips the rest of the tokens, as if the text
    /// ended there. [`super::parse`] then discards the result.
    pub(super) fn next(&mut self) -> Token {
        let token = self.token();
        let last = self.tokens.len() - 1;
        self.at = match self.budget.step() {
            Ok(()) => (self.at + 1).min(last),
            Err(OutOfTime) => last,
        };
        token
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        if is {
            self.next();
        }
        is
    }

    pub(super) fn take_punct(&mut self, punct: u8) -> bool {
        let is = self.is_punct(punct);
        if is {
            self.next();
        }
        is
    }

    /// Returns the byte offset at which the last token taken ends.
    pub(super) fn end(&self) -> usize {
        let last = self.at.checked_sub(1);
        last.map_or(0, |at| self.tokens[at].range().end)
    }

    /// Returns the range from the start of the token `from` to the end of the last token taken.
    pub(super) fn since(&self, from: Token) -> Range<usize> {
        from.range().start..self.end().max(from.range().start)
    }

    pub(super) fn unexpected<T>(&mut self, expected: &str) -> Parse<T> {
        match self.token().kind {
            TokenKind::Bad(which) => return Err(Box::new(self.bad[usize::from(which)].clone())),
            TokenKind::End => {
                let text = format!("the file ends where {expected} is expected");
                return Err(self.ends_early(text).boxed());
            }
            _ => {}
        }
        let found = self.word(self.token());
        let found: String = found.chars().take(40).collect();
        let fault = TextFault::new(
            self.token().range(),
            format!("expected {expected}, found {found:?}"),
        );
        Err(fault.boxed())
    }

    /// Returns the error for an unexpected token. If the token may be a misspelling of one of
    /// `words`, the error suggests that word.
    pub(super) fn unexpected_word<T>(&mut self, expected: &str, words: &[&str]) -> Parse<T> {
        let found = self.token();
        self.unexpected(expected)
            .map_err(|fault| self.misspelt(fault, found, words))
    }

    /// Adds a suggestion to an error if `token` may be a misspelling of one of `words`.
    pub(super) fn misspelt(
        &self,
        fault: Box<TextFault>,
        token: Token,
        words: &[&str],
    ) -> Box<TextFault> {
        let near = did_you_mean(self.word(token), words.iter().copied());
        match near.filter(|_| token.kind == TokenKind::Word) {
            Some(near) => fault.help(format!("did you mean {near:?}?")).boxed(),
            None => fault,
        }
    }

    /// Returns an error at the end of the file. Only these errors have an empty range.
    pub(super) fn ends_early(&self, text: String) -> TextFault {
        let at = self.end();
        TextFault::new(at..at, text).label("the file ends here")
    }

    pub(super) fn expect_punct(&mut self, punct: u8) -> Parse<Token> {
        if self.is_punct(punct) {
            return Ok(self.next());
        }
        self.unexpected(&format!("'{}'", char::from(punct)))
    }

    /// Takes the end of a statement. If only the `;` at the end of the line above is missing,
    /// reports this and continues as if the `;` were there.
    pub(super) fn expect_end(&mut self) -> Parse<()> {
        if self.take_punct(b';') {
            return Ok(());
        }
        let unexpected = self.unexpected("';'");
        let between = self.text.get(self.end()..self.token().range().start);
        if self.token().kind == TokenKind::End || !between.is_some_and(|text| text.contains('\n')) {
            return unexpected;
        }
        let help = "is the ; at the end of the line above missing?";
        let unexpected = unexpected.map_err(|fault| fault.help(help).boxed());
        match (unexpected, self.token().kind) {
            (Err(fault), TokenKind::Word | TokenKind::Punct(b'}')) => self.report(fault),
            (unexpected, _) => unexpected,
        }
    }

    pub(super) fn expect_word(&mut self, what: &str) -> Parse<(&'a str, Token)> {
        match self.token().kind {
            TokenKind::Word => {
                let token = self.next();
                Ok((self.word(token), token))
            }
            TokenKind::Bad(_) => {
                let written = self.word(self.token());
                let is_name = written.starts_with(|c: char| c.is_ascii_digit())
                    && written.contains(|c: char| c.is_ascii_alphabetic());
                self.unexpected(what).map_err(|fault| match is_name {
                    true => fault.help("a name can't begin with a digit").boxed(),
                    false => fault,
                })
            }
            _ => self.unexpected(what),
        }
    }

    pub(super) fn expect_integer(&mut self, what: &str, max: u64) -> Parse<u64> {
        self.expect_magnitude(what, max, None)
    }

    /// Reads a number that fits 32 bits with its sign.
    pub(super) fn expect_signed(&mut self, what: &str) -> Parse<i32> {
        let minus = self.minus();
        let n = self.expect_magnitude(what, i32::MAX as u64, minus)? as i64;
        Ok(if minus.is_some() { -n } else { n } as i32)
    }

    /// Takes the next token if it is a minus, and returns it.
    pub(super) fn minus(&mut self) -> Option<Token> {
        let token = self.token();
        self.take_punct(b'-').then_some(token)
    }

    /// Reads a whole number without its sign. The maximum is `max`, or `max + 1` after a minus.
    pub(super) fn expect_magnitude(
        &mut self,
        what: &str,
        max: u64,
        minus: Option<Token>,
    ) -> Parse<u64> {
        if self.token().kind != TokenKind::Integer {
            return self.unexpected(what);
        }
        let from = minus.unwrap_or(self.token());
        let token = self.next();
        let (max, bound) = match minus {
            Some(_) => (max + 1, format!("expected at least -{}", max + 1)),
            None => (max, format!("expected at most {max}")),
        };
        let n = integer(self.word(token)).filter(|&n| n <= max);
        n.ok_or_else(|| {
            let fault = TextFault::new(self.since(from), "the number is out of range");
            fault.label(bound).boxed()
        })
    }

    /// Reads a quoted text. Adjacent texts are joined.
    pub(super) fn expect_bytes(&mut self, what: &str) -> Parse<Vec<u8>> {
        if self.token().kind != TokenKind::Text {
            return self.unexpected(what);
        }
        let mut value = Vec::new();
        while self.token().kind == TokenKind::Text {
            let token = self.next();
            value.extend(unquoted(self.word(token)));
        }
        Ok(value)
    }

    pub(super) fn expect_text(&mut self, what: &str) -> Parse<String> {
        let from = self.token();
        let bytes = self.expect_bytes(what)?;
        String::from_utf8(bytes).map_err(|_| {
            TextFault::new(
                self.since(from),
                "the text is not UTF-8 after its escapes are decoded",
            )
            .boxed()
        })
    }

    /// Reads the name of a type: parts separated by dots, with a leading dot if it is absolute.
    pub(super) fn type_name(&mut self, what: &str) -> Parse<(String, Range<usize>)> {
        let from = self.token();
        let mut name = String::new();
        if self.take_punct(b'.') {
            name.push('.');
        }
        loop {
            name.push_str(self.expect_word(what)?.0);
            if !self.take_punct(b'.') {
                return Ok((name, self.since(from)));
            }
            name.push('.');
        }
    }
}
