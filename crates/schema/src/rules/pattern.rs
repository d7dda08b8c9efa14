//! Patterns, which are written in RE2's syntax.

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast, Span, Visitor, parse::Parser};

/// The limits on the size of a compiled pattern, in bytes. They are tried in this order, and the
/// first sufficient limit is taken as the pattern's size. A pattern that exceeds the last limit is
/// rejected.
const SIZES: [usize; 4] = [1 << 14, 1 << 17, 1 << 20, 10 << 20];

/// The maximum nesting depth of a pattern. The compilation of a pattern recurses once for each
/// level.
const LEVELS_MAX: u32 = 100;

/// A pattern that compiles.
pub(super) struct Pattern {
    pub regex: Regex,
    /// An upper bound on the size of the compiled pattern, in bytes.
    pub size: usize,
}

/// Compiles a pattern.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence without the pattern's text.
pub(super) fn compile(text: &str) -> Result<Pattern, String> {
    let ascii = with_ascii_classes(text)?;
    let mut found = None;
    for size in SIZES {
        let built = RegexBuilder::new(&ascii)
            .size_limit(size)
            .nest_limit(LEVELS_MAX)
            .build();
        match built {
            Ok(regex) => return Ok(Pattern { regex, size }),
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => {
                found = Some(error.to_string());
                break;
            }
        }
    }
    let largest = SIZES[SIZES.len() - 1];
    Err(found.unwrap_or_else(|| format!("the pattern compiles to more than {largest} bytes")))
}

/// Replaces `\d`, `\s`, `\w` and `\b`, and their negations, by equivalents that match only ASCII,
/// as in RE2. Fails with a description of the problem if the pattern is malformed.
fn with_ascii_classes(text: &str) -> Result<String, String> {
    let mut parser = regex_syntax::ast::parse::ParserBuilder::new();
    let mut parser: Parser = parser.nest_limit(LEVELS_MAX).build();
    let parsed = parser
        .parse(text)
        .map_err(|error| error.kind().to_string())?;
    let Ok(mut classes) = ast::visit(&parsed, Classes::default());
    classes.sort_by_key(|(span, _)| span.start.offset);
    let mut ascii = String::with_capacity(text.len());
    let mut at = 0;
    for (span, class) in classes {
        ascii.push_str(&text[at..span.start.offset]);
        ascii.push_str(class);
        at = span.end.offset;
    }
    ascii.push_str(&text[at..]);
    Ok(ascii)
}

/// The Perl classes and word boundaries of a pattern, and the replacement for each.
#[derive(Default)]
struct Classes(Vec<(Span, &'static str)>);

impl Classes {
    fn add(&mut self, class: &ast::ClassPerl) {
        let ascii = match (&class.kind, class.negated) {
            (ast::ClassPerlKind::Digit, false) => "[0-9]",
            (ast::ClassPerlKind::Digit, true) => "[^0-9]",
            (ast::ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ast::ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ast::ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ast::ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.0.push((class.span, ascii));
    }
}

impl Visitor for Classes {
    type Output = Vec<(Span, &'static str)>;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self::Output, Self::Err> {
        Ok(self.0)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::ClassPerl(class) => self.add(class),
            Ast::Assertion(assertion) => match assertion.kind {
                ast::AssertionKind::WordBoundary => self.0.push((assertion.span, r"(?-u:\b)")),
                ast::AssertionKind::NotWordBoundary => self.0.push((assertion.span, r"(?-u:\B)")),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
        if let ast::ClassSetItem::Perl(class) = item {
            self.add(class);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perl_classes_are_ascii_as_in_re2() {
        let matches = |pattern: &str, text: &str| compile(pattern).unwrap().regex.is_match(text);
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "١٢٣"));
        assert!(matches(r"^\w[\w-]*$", "a-b_9"));
        assert!(!matches(r"^\w+$", "é"));
        assert!(matches(r"^[^\d\s]+$", "é"));
        assert!(!matches(r"^[^\d\s]+$", "a b"));
        assert!(matches(r"^\W$", "é"));
        assert!(matches(r"\bx\b", "éxé"));
        assert!(matches(r"^\pL+$", "é"));
        assert!(!matches(r"^\s$", "\u{a0}"));
    }

    #[test]
    fn the_reason_why_a_pattern_does_not_compile_is_reported() {
        for (pattern, reported) in [
            ("(", "unclosed group"),
            (r"(?=a)", "look-around"),
            (r"a{1000}{1000}{1000}", "more than 10485760 bytes"),
        ] {
            let error = compile(pattern).err().unwrap();
            assert!(error.contains(reported), "{pattern}: {error}");
        }
        assert!(compile(&"(".repeat(10_000)).is_err());
    }
}
