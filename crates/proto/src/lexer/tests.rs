//! Tests of the tokens of valid and of faulty texts.

use super::*;

fn lexed(text: &str) -> Lexed {
    tokens(text, &Budget::unlimited()).unwrap()
}

fn kinds(text: &str) -> Vec<TokenKind> {
    lexed(text).tokens.iter().map(|token| token.kind).collect()
}

#[test]
fn each_kind_of_token_is_recognized() {
    assert_eq!(
        kinds("a1 // x\n 0x1F 017 1. .5 1e-3 'x\\'y' /* */ ;"),
        [
            TokenKind::Word,
            TokenKind::Integer,
            TokenKind::Integer,
            TokenKind::Float,
            TokenKind::Float,
            TokenKind::Float,
            TokenKind::Text,
            TokenKind::Punct(b';'),
            TokenKind::End
        ]
    );
}

#[test]
fn invalid_input_becomes_a_bad_token_with_an_error() {
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
        let Lexed { tokens, faults, .. } = lexed(text);
        assert_eq!(faults.len(), 1, "{text:?}");
        assert_eq!(tokens[0].kind, TokenKind::Bad(0), "{text:?}");
        assert_eq!(tokens.len(), 2, "{text:?}");
    }
}

/// The text of any token can be excerpted without splitting a character.
#[test]
fn no_token_splits_a_character() {
    let parts = [
        "\u{e9}",
        "\u{7c4}",
        "\u{20ac}",
        "\u{1f980}",
        "a",
        "0",
        "9",
        ".",
        "x",
        "e",
        "+",
        "\"",
        "'",
        "\\",
        "/",
        "*",
        "//",
        "/*",
        "*/",
        "\n",
        " ",
        "\0",
        "\u{1}",
        "{",
        "}",
        ";",
        "\\U0011",
        "\\x",
    ];
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..100_000 {
        let text: String = (0..random.usize(..12))
            .map(|_| parts[random.usize(..parts.len())])
            .collect();
        let Lexed { tokens, faults, .. } = lexed(&text);
        let loose = LooseTokens::of(&text).map(|token| token.range());
        let ranges = tokens.iter().map(|token| token.range()).chain(loose);
        for range in ranges.chain(faults.iter().map(|fault| fault.range())) {
            assert!(text.get(range.clone()).is_some(), "{text:?} {range:?}");
        }
    }
}

#[test]
fn tokens_after_a_bad_token_are_read() {
    for text in [
        "1a;",
        "'\\q';",
        "\"a\n;",
        "/* /* */;",
        "\u{e9}t\u{e9};",
        "1.2.3;",
    ] {
        assert_eq!(
            kinds(text),
            [TokenKind::Bad(0), TokenKind::Punct(b';'), TokenKind::End],
            "{text:?}"
        );
    }
}

#[test]
fn a_text_that_is_clearly_not_a_proto_file_is_not_read_to_the_end() {
    assert_eq!(
        kinds(&"0x ".repeat(1000)).len(),
        usize::from(BAD_TOKENS_MAX) + 1
    );
    assert_eq!(
        kinds("a \u{1} b"),
        [TokenKind::Word, TokenKind::Bad(0), TokenKind::End]
    );
}

#[test]
fn loose_tokens_include_all_tokens_after_bad_ones() {
    let all = |text: &'static str| -> Vec<&str> {
        LooseTokens::of(text)
            .map(|token| &text[token.range()])
            .collect()
    };
    assert_eq!(all("a \u{1} b"), ["a", "\u{1}", "b"]);
    assert_eq!(all("a '\\q {' ;"), ["a", "'\\q {'", ";"]);
    assert_eq!(all("a // \0 {\n;"), ["a", "//", ";"]);
    assert_eq!(all("a /* {"), ["a", "/*"]);
    assert_eq!(all("a /* /* { */ ;"), ["a", "/*", ";"]);
    assert_eq!(all("1a \u{e9}\u{e9} ;"), ["1a", "\u{e9}\u{e9}", ";"]);
    assert_eq!(LooseTokens::of(&"0x ".repeat(1000)).count(), 1000);
}

#[test]
fn words_are_found_in_any_text() {
    let all = |text| words(text).collect::<Vec<_>>();
    assert_eq!(all("message A.b{ // no\n'no' 1"), ["message", "A", "b"]);
    assert_eq!(all("a /* b"), ["a", "b"]);
}
