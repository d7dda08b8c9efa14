//! The facts about a `.proto` file that follow from its tokens alone, before any compiler reads it.
//!
//! The outline contains the file's imports with their places, an upper bound on the number of
//! definitions, and the first bracket that nests too deeply. No compiler receives a file with such
//! a bracket, which could overflow the compiler's stack. This module does not recurse. It does not
//! check the grammar, so any text has an outline.

use std::ops::Range;

use crate::lexer::{LooseTokens, Token, TokenKind};

/// The maximum nesting of `{`, `[` and `<`. It equals the depth up to which the protobuf libraries
/// parse an encoded message, such as the options of a file. The deepest of 12,000 public files
/// nests 15 deep, and protoc allows messages to nest 31 deep.
pub(super) const NESTING_MAX: usize = 100;

/// The maximum number of tokens of a statement that are examined. No import has as many tokens.
const STATEMENT_TOKENS_MAX: usize = 64;

/// One import statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The name as written, between the quotes.
    pub name: String,
    /// The byte range of the quoted name.
    pub range: Range<usize>,
}

/// The number that the `<` of a map's type adds to [`Outline::definitions`]. Together with the
/// comma in the type, this makes three: the entry message and its two fields.
const DEFINITIONS_OF_MAP: usize = 2;

/// The imports of a file, its size in definitions, and the first bracket that nests too deeply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// An upper bound on the number of definitions in the file: messages, fields, enums, enum
    /// values, services, methods, reserved ranges, reserved names, extension ranges, options, and
    /// values inside options. The bound is the number of the tokens `;`, `{`, `[`, `,` and `:`, and
    /// [`DEFINITIONS_OF_MAP`] for each `<`.
    pub definitions: usize,
    /// The imports, in the order of the file.
    pub imports: Vec<Import>,
    /// The first bracket beyond [`NESTING_MAX`].
    pub too_deep: Option<Range<usize>>,
}

impl Outline {
    /// Returns the outline of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut depth = 0usize;
        let mut statement: Vec<Token> = Vec::new();
        for token in LooseTokens::of(text) {
            outline.definitions += match token.kind {
                // Options and elements of lists are in brackets with commas between them. The
                // fields of an option's value need no separator, so their colons count.
                TokenKind::Punct(b';' | b'{' | b'[' | b',' | b':') => 1,
                TokenKind::Punct(b'<') => DEFINITIONS_OF_MAP,
                _ => 0,
            };
            match token.kind {
                TokenKind::Punct(b'{' | b'[' | b'<') => {
                    depth += 1;
                    if depth > NESTING_MAX {
                        outline.too_deep.get_or_insert(token.range());
                    }
                    statement.clear();
                }
                TokenKind::Punct(b'}' | b']' | b'>') => {
                    depth = depth.saturating_sub(1);
                    statement.clear();
                }
                TokenKind::Punct(b';') => {
                    if depth == 0 {
                        outline.statement(text, &statement);
                    }
                    statement.clear();
                }
                _ if statement.len() < STATEMENT_TOKENS_MAX => statement.push(token),
                _ => {}
            }
        }
        outline
    }

    fn statement(&mut self, text: &str, tokens: &[Token]) {
        let Some(first) = tokens.first() else { return };
        if &text[first.range()] != "import" {
            return;
        }
        let name = tokens.iter().find(|t| t.kind == TokenKind::Text);
        if let Some(range) = name.map(|token| token.range()) {
            self.imports.push(Import {
                name: text[range.clone()].trim_matches(['"', '\'']).to_owned(),
                range,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_outside_of_comments_and_strings() {
        let text = "edition = \"2023\"; // import \"no.proto\";\n/* package no; */ package a . b;\n\
                    import public 'x.proto';\nmessage M { optional string s = 1 [default = \"import {\"]; }";
        let outline = Outline::of(text);
        let names: Vec<_> = outline.imports.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["x.proto"]);
        assert_eq!(outline.too_deep, None);
    }

    #[test]
    fn nesting_counts_brackets_of_every_kind_outside_of_strings_and_comments() {
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
    fn definitions_are_counted_with_the_entries_of_maps() {
        let text = "syntax = \"proto3\"; message M { int32 a = 1; map<int32, M> m = 2; } // ;\n\
                    enum E { A = 0; }";
        // These count: syntax, M, a, m, three for the entry of m, E and A.
        assert_eq!(Outline::of(text).definitions, 9);
    }

    #[test]
    fn ranges_names_and_options_are_counted() {
        let definitions = |text: &str| Outline::of(text).definitions;
        for (text, one, more) in [
            ("message M { reserved 1; }", "1", "1, 2 to 5, 6"),
            (
                "message M { reserved \"a\"; }",
                "\"a\"",
                "\"a\", \"b\", \"c\"",
            ),
            ("message M { extensions 1; }", "1", "1, 2 to 5, 6"),
            (
                "message M { int32 a = 1 [b = 1]; }",
                "b = 1",
                "b = 1, (c) = 2, d = 3",
            ),
            ("option (o) = { a: 1 };", "a: 1", "a: 1 b: 2 c: 3"),
            ("option (o) = { a: [1] };", "1", "1, 2, 3"),
        ] {
            let longer = text.replacen(one, more, 1);
            assert_eq!(definitions(&longer), definitions(text) + 2, "{longer}");
        }
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
