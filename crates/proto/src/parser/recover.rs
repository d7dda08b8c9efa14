//! Recovery after an error: the parser continues with the next statement. One run thus reports all
//! errors, except errors that are only consequences of others.

use super::{Parse, Parser, Token, TokenKind};
use crate::fault::TextFault;

/// The maximum number of errors that are reported for one file. A file with more errors is probably
/// not a `.proto` file, and further errors would not help.
const FAULTS_MAX: usize = 20;

/// The maximum number of tokens after `extend` that are examined in search of the `{`. The name of
/// a message rarely has as many tokens.
const EXTENDEE_TOKENS_MAX: usize = 40;

/// An element whose statements are enclosed in braces.
pub(super) struct Block<'a> {
    /// The opening brace.
    pub open: Token,
    /// The kind and the name of the element, as in error messages, such as `enum Color`.
    pub what: &'a str,
    /// The keywords of statements that are allowed in this block, but not in every block.
    pub own: &'a [&'a str],
}

impl Parser<'_> {
    /// Parses a statement. If the statement has an error, reports the error and skips the
    /// statement.
    pub(super) fn recovered(&mut self, parse: impl FnOnce(&mut Self) -> Parse<()>) -> Parse<()> {
        let (from, depth) = (self.at, self.depth);
        match parse(self) {
            Ok(()) => Ok(()),
            Err(fault) => {
                self.depth = depth;
                self.report(fault)?;
                self.pass_over(from);
                Ok(())
            }
        }
    }

    /// Reports an error, unless the error is a consequence of another. Returns the error once
    /// [`FAULTS_MAX`] errors are reported.
    pub(super) fn report(&mut self, fault: Box<TextFault>) -> Parse<()> {
        if self.faults.len() == FAULTS_MAX {
            return Err(fault);
        }
        // A bracket may have been skipped after an earlier error, in which case the file seems to
        // end too early.
        let ends_early = fault.range().is_empty();
        if !ends_early || self.faults.is_empty() {
            self.faults.push((*fault).clone());
        }
        match self.faults.len() {
            FAULTS_MAX => Err(fault),
            _ => Ok(()),
        }
    }

    /// Skips a statement with an error: past the `;` or the block of the statement, or up to the
    /// `}` of the enclosing block. The statement began at the token `from`, and the error is at or
    /// before the current token.
    pub(super) fn pass_over(&mut self, from: usize) {
        let reached = self.at;
        // A `}` within square brackets does not end the statement.
        let (mut depth, mut square) = (0_usize, 0_usize);
        self.at = from;
        loop {
            match self.token().kind {
                TokenKind::End => return,
                TokenKind::Punct(b'}') if depth == 0 && self.at >= reached => return,
                TokenKind::Punct(b'{') => depth += 1,
                TokenKind::Punct(b'}') => depth = depth.saturating_sub(1),
                TokenKind::Punct(b'[') if depth == 0 => square += 1,
                TokenKind::Punct(b']') if depth == 0 => square = square.saturating_sub(1),
                _ => {}
            }
            let ends = depth == 0
                && match self.token().kind {
                    TokenKind::Punct(b';') => true,
                    TokenKind::Punct(b'}') => square == 0,
                    _ => false,
                };
            self.at += 1;
            if ends && self.at >= reached {
                // An option whose value is a block ends with a `;` after the block.
                self.take_punct(b';');
                return;
            }
        }
    }

    /// Parses the statements of a block up to its `}`. If a statement of another kind of block
    /// begins before the `}`, reports that the `}` is missing, and ends the block there.
    pub(super) fn statements(
        &mut self,
        block: &Block,
        mut statement: impl FnMut(&mut Self) -> Parse<()>,
    ) -> Parse<()> {
        while !self.take_punct(b'}') {
            let end = self.token().kind == TokenKind::End;
            if !end && !self.belongs_to_another_block(block.own) {
                self.recovered(&mut statement)?;
                continue;
            }
            let what = block.what;
            let word = self.word(self.token());
            let (fault, help) = match end {
                true => (
                    self.ends_early(format!("{what} is not closed")),
                    "add the } that closes it",
                ),
                false => (
                    TextFault::new(
                        self.token().range(),
                        format!("{what} is not closed before {word:?}"),
                    )
                    .label("not allowed inside it"),
                    "add the } that closes it, or move this out of it",
                ),
            };
            let fault = fault.note_at("the opening { is at", block.open.range());
            let fault = fault.help(help).boxed();
            if end {
                return Err(fault);
            }
            // If several nested blocks lack their `}` before the same token, only the innermost is
            // reported.
            let last = self.faults.last().map(TextFault::range);
            return match last == Some(fault.range()) {
                true => Ok(()),
                false => self.report(fault),
            };
        }
        Ok(())
    }

    /// Returns whether the current token begins a statement that is allowed only in other kinds of
    /// blocks. `own` are the keywords of statements that are allowed in this block.
    fn belongs_to_another_block(&self, own: &[&str]) -> bool {
        let word = self.word(self.token());
        if self.token().kind != TokenKind::Word || own.contains(&word) {
            return false;
        }
        let next = |ahead: usize| self.ahead(ahead).kind;
        match word {
            "message" | "enum" | "service" | "oneof" => {
                next(1) == TokenKind::Word && next(2) == TokenKind::Punct(b'{')
            }
            // The name of a message may have dots.
            "extend" => {
                let name =
                    |kind: &TokenKind| matches!(kind, TokenKind::Word | TokenKind::Punct(b'.'));
                let after_name = (1..EXTENDEE_TOKENS_MAX).map(next).find(|kind| !name(kind));
                after_name == Some(TokenKind::Punct(b'{'))
            }
            "rpc" => next(1) == TokenKind::Word && next(2) == TokenKind::Punct(b'('),
            "import" => next(1) == TokenKind::Text || next(2) == TokenKind::Text,
            "reserved" | "extensions" => matches!(next(1), TokenKind::Integer | TokenKind::Text),
            _ => false,
        }
    }

    /// Takes the `{` of a block. If there is a word instead, and no `{` after that word, reports
    /// the missing `{` and continues as if it were there.
    pub(super) fn open(&mut self) -> Parse<Token> {
        let here = self.token();
        let opened = self.expect_punct(b'{');
        let goes_on = here.kind == TokenKind::Word && self.ahead(1).kind != TokenKind::Punct(b'{');
        match opened {
            Err(fault) if goes_on => self.report(fault).map(|()| here),
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::budget::Budget;
    use crate::lexer::{TokenKind, tokens};
    use crate::parser::{ParseError, parse};

    /// Returns the number of errors of a text.
    fn faults_of(text: &str) -> usize {
        match parse("a.proto", text, &Budget::unlimited()) {
            Ok(_) => 0,
            Err(ParseError::Faults(faults)) => faults.len(),
            Err(ParseError::OutOfTime) => panic!("an unlimited budget ended"),
        }
    }

    #[test]
    fn invalid_input_at_the_start_of_a_statement_is_an_error() {
        for text in [
            "a ~ }\u{7c4}}",
            "\u{e9}",
            "message M { \u{20ac} }",
            "} \u{1f980}",
        ] {
            assert!(faults_of(text) > 0, "{text:?}");
        }
    }

    /// Removes each of the characters `puncts` from the files of the valid corpus, one at a time.
    /// Returns the number of errors and the text for each removal.
    fn with_one_punct_less(puncts: &[u8]) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        for entry in fs::read_dir("tests/protos/valid").unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            // Comments may be in another encoding.
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}');
            assert_eq!(faults_of(text), 0, "{}", path.display());
            let lexed = tokens(text, &Budget::unlimited()).unwrap();
            for token in lexed.tokens {
                if matches!(token.kind, TokenKind::Punct(punct) if puncts.contains(&punct)) {
                    let range = token.range();
                    let broken = format!("{} {}", &text[..range.start], &text[range.end..]);
                    all.push((faults_of(&broken), broken));
                }
            }
        }
        assert!(all.len() > 1000, "{}", all.len());
        all
    }

    #[test]
    fn one_missing_semicolon_is_one_error() {
        for (faults, text) in with_one_punct_less(b";") {
            assert!(faults <= 1, "{faults}: {text}");
        }
    }

    /// A missing brace of a message or service causes at most two errors. After a missing brace in
    /// an option's aggregate, the rest of the text may be read as anything, so a few cases have
    /// more errors.
    #[test]
    fn one_missing_brace_is_rarely_more_than_two_errors() {
        let all = with_one_punct_less(b"{}");
        let (few, more): (Vec<_>, Vec<_>) = all.into_iter().partition(|(faults, _)| *faults <= 2);
        assert!(
            more.len() * 50 < few.len(),
            "{} of {}",
            more.len(),
            few.len()
        );
        let max = more.iter().map(|(faults, _)| faults).max();
        assert!(max <= Some(&6), "{max:?}");
    }
}
