//! Mapping from the value of a quoted text to its bytes in the file.

use std::ops::Range;

use crate::budget::Budget;
use crate::lexer::{TokenKind, tokens};
use crate::literal::unquoted;

/// Finds the first quoted value that equals `value` and begins at or after `start`. Returns the
/// byte range of `text` that holds the bytes `within` of that value, or `None` if there is no such
/// value. Adjacent quoted texts are one value.
pub(super) fn range_in_value(
    text: &str,
    start: usize,
    value: &str,
    within: Range<usize>,
) -> Option<Range<usize>> {
    let lexed = tokens(text, &Budget::unlimited()).ok()?;
    let mut run: Vec<Range<usize>> = Vec::new();
    let found = |run: &mut Vec<Range<usize>>| {
        let quoted = run.iter().map(|token| unquoted(&text[token.clone()]));
        let same = !run.is_empty() && quoted.collect::<Vec<_>>().concat() == value.as_bytes();
        let tokens = std::mem::take(run);
        same.then_some(tokens)
    };
    let later = lexed
        .tokens
        .iter()
        .filter(|token| token.range().start >= start);
    let mut tokens_of_value = None;
    for token in later {
        if token.kind == TokenKind::Text {
            run.push(token.range());
        } else if let Some(tokens) = found(&mut run) {
            tokens_of_value = Some(tokens);
            break;
        }
    }
    let tokens = tokens_of_value.or_else(|| found(&mut run))?;
    let first = byte_at(text, &tokens, within.start)?;
    let end = match within.end {
        end if end > within.start => byte_at(text, &tokens, end - 1)? + 1,
        _ => first,
    };
    Some(first..end.max(first))
}

/// Returns the offset in the file of the byte at offset `at` in the value of `tokens`.
fn byte_at(text: &str, tokens: &[Range<usize>], at: usize) -> Option<usize> {
    let mut before = 0;
    for token in tokens {
        let quoted = &text[token.clone()];
        let size = unquoted(quoted).len();
        if at < before + size {
            return Some(token.start + 1 + source_of(quoted, at - before));
        }
        before += size;
    }
    // An offset at the end of the value is mapped to the closing quote.
    tokens.last().map(|token| token.end - 1)
}

/// Returns the offset of the byte or escape that stands for the byte `at` of the value. Offsets
/// begin after the opening quote.
fn source_of(quoted: &str, at: usize) -> usize {
    if !quoted.contains('\\') {
        return at;
    }
    let body = &quoted[1..quoted.len() - 1];
    let mut cuts: Vec<usize> = body.char_indices().map(|(cut, _)| cut).collect();
    cuts.push(body.len());
    // The longer a part, the longer is its value. A backslash at the end of a part has no value
    // until the escaped character follows.
    let beyond = cuts.partition_point(|&cut| {
        let part = format!("\"{}\"", &body[..cut]);
        unquoted(&part).len() <= at
    });
    cuts[beyond.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_value_is_found_in_the_file() {
        let text = "option = { id: \"a\", x: \"th\\x69s\" /* c */\n  ' > \\'q\\'' };";
        let value = "this > 'q'";
        let part = |within| &text[range_in_value(text, 0, value, within).unwrap()];
        assert_eq!(part(0..2), "th");
        assert_eq!(part(3..4), "s");
        assert_eq!(part(5..6), ">");
        assert_eq!(range_in_value(text, 0, "that", 0..1), None);
        assert_eq!(range_in_value(text, 17, "a", 0..1), None);
        assert_eq!(range_in_value(text, 0, "a", 0..1), Some(16..17));
        assert_eq!(range_in_value(text, 0, "a", 1..1), Some(17..17));
    }

    #[test]
    fn a_part_at_the_end_of_a_long_value_with_an_escape_is_found_in_time() {
        let text = format!("\"\\n{}\"", "x".repeat(1 << 20));
        let value = String::from_utf8(unquoted(&text)).unwrap();
        let end = value.len();
        let place = range_in_value(&text, 0, &value, end - 2..end).unwrap();
        assert_eq!(&text[place], "xx");
    }
}
