//! What can be said about a `.proto` file from its tokens alone, before any compiler sees it.
//!
//! The outline knows how deep the file nests (so that no compiler is handed a file that could
//! overflow its stack), and what it imports and where. It never judges the grammar:
//! a text that is no protobuf at all has an outline, too. It doesn't recurse.

use std::ops::Range;

/// Deepest nesting of `{`, `[` and `<`, as much as the protobuf libraries allow a message to nest
/// when they read options back. Far more than people write: the deepest of 12,000 public files
/// nests 15 deep, and messages may nest 31 deep.
pub(super) const MAX_NESTING: usize = 100;

/// One import statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The name as written, between the quotes.
    pub name: String,
    /// The quoted name.
    pub range: Range<usize>,
}

/// The places in a file that later faults may need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// In the order of the file.
    pub imports: Vec<Import>,
    /// The first bracket beyond [`MAX_NESTING`].
    pub too_deep: Option<Range<usize>>,
}

impl Outline {
    /// The outline of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut depth = 0usize;
        let mut statement: Vec<Token> = Vec::new();
        for token in tokens(text) {
            match token.kind {
                Kind::Sign(b'{' | b'[' | b'<') => {
                    depth += 1;
                    if depth > MAX_NESTING {
                        outline.too_deep.get_or_insert(token.range);
                    }
                    statement.clear();
                }
                Kind::Sign(b'}' | b']' | b'>') => {
                    depth = depth.saturating_sub(1);
                    statement.clear();
                }
                Kind::Sign(b';') => {
                    if depth == 0 {
                        outline.statement(text, &statement);
                    }
                    statement.clear();
                }
                // Long enough for every statement that is looked at.
                _ if statement.len() < 64 => statement.push(token),
                _ => {}
            }
        }
        outline
    }

    fn statement(&mut self, text: &str, tokens: &[Token]) {
        let Some(first) = tokens.first() else { return };
        if &text[first.range.clone()] != "import" {
            return;
        }
        let name = tokens.iter().find(|t| t.kind == Kind::Text);
        if let Some(Token { range, .. }) = name {
            self.imports.push(Import {
                name: text[range.clone()].trim_matches(['"', '\'']).to_owned(),
                range: range.clone(),
            });
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Text,
    Sign(u8),
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    kind: Kind,
    /// Where it lies in the text.
    pub range: Range<usize>,
}

/// Tokens without comments. The boundaries agree with the compilers' for every text that they
/// accept; for others only the outline of a refused file is at stake.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let kind = match *bytes.get(start)? {
                b if b.is_ascii_whitespace() => {
                    at += 1;
                    continue;
                }
                b'/' if bytes.get(start + 1) == Some(&b'/') => {
                    at = end_of_line(bytes, start);
                    continue;
                }
                b'/' if bytes.get(start + 1) == Some(&b'*') => {
                    let body = &text[start + 2..];
                    at = body
                        .find("*/")
                        .map_or(bytes.len(), |end| start + 2 + end + 2);
                    continue;
                }
                quote @ (b'"' | b'\'') => {
                    at = end_of_text(bytes, start, quote);
                    Kind::Text
                }
                b if is_word(b) => {
                    let len = bytes[start..].iter().take_while(|b| is_word(**b)).count();
                    at += len;
                    Kind::Word
                }
                b => {
                    at += 1;
                    Kind::Sign(b)
                }
            };
            return Some(Token {
                kind,
                range: start..at,
            });
        }
    })
}

/// Bytes above ASCII count as parts of words, so that tokens end where characters end.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    let line = bytes[from..].iter().position(|&b| b == b'\n');
    line.map_or(bytes.len(), |len| from + len)
}

/// Behind the closing quote, or at the end of the line: a text can't span lines.
fn end_of_text(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii) => at += 2,
            b'\n' => return at,
            _ => at += 1,
        }
        if b == quote {
            return at;
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_imports_outside_comments_and_texts() {
        let text = "edition = \"2023\"; // import \"no.proto\";\n/* package no; */ package a . b;\n\
                    import public 'x.proto';\nmessage M { optional string s = 1 [default = \"import {\"]; }";
        let outline = Outline::of(text);
        let names: Vec<_> = outline.imports.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["x.proto"]);
        assert_eq!(outline.too_deep, None);
    }

    #[test]
    fn nesting_counts_brackets_of_every_kind_but_none_in_texts_and_comments() {
        let deep = "{[<".repeat(40);
        assert_eq!(Outline::of(&deep).too_deep, Some(100..101));
        assert_eq!(Outline::of(&"{".repeat(100)).too_deep, None);
        assert_eq!(
            Outline::of(&format!("\"{deep}\" /*{deep}*/ //{deep}")).too_deep,
            None
        );
        assert_eq!(Outline::of(&"{}".repeat(1000)).too_deep, None);
    }

    #[test]
    fn any_text_has_an_outline() {
        for text in [
            "",
            "\"",
            "'\\",
            "/*",
            "/",
            "\u{e9}\\\"\u{e9}",
            "import",
            "import ;",
            "\"\\\u{e9}\"",
        ] {
            let _ = Outline::of(text);
        }
    }
}
