//! Regular expressions with the syntax and semantics of RE2, matched in time linear in the text.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use crate::budget::Budget;
use crate::error::ErrorKind;

/// The maximum memory of a compiled pattern, in bytes.
const PROGRAM_MAX: usize = 4 * 1024 * 1024;

/// The maximum count in a counted repetition, as in RE2.
const REPEAT_MAX: u32 = 1_000;

/// The maximum depth of nested groups. The compilation of a pattern recurses over them.
const NESTING_MAX: u32 = 100;

/// A match is charged one step for this number of bytes of the text and each [position](positions)
/// of the pattern. A crafted text can make the matcher try all positions for each byte, which takes
/// about 5 ns for each position.
const STEP_BYTES: usize = 8;

/// A pattern with at most this number of positions is charged only one step for [`STEP_BYTES`]
/// bytes. The automaton of such a pattern has at most 256 states. The matcher caches these states,
/// so each byte costs one look-up.
const CACHED_POSITIONS_MAX: usize = 8;

/// The upper bound of the result of [`positions`], so that its product with the length of a text
/// cannot overflow. A compiled pattern has far fewer positions.
const POSITIONS_MAX: usize = 1 << 24;

const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\f\r ";
const WORD: &str = "0-9A-Za-z_";

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// The number of steps for each [`STEP_BYTES`] bytes of a text.
    weight: usize,
}

impl Pattern {
    /// Compiles `pattern`, which is written in RE2's syntax: `\d`, `\s`, `\w` and `\b` match only
    /// ASCII.
    ///
    /// # Errors
    ///
    /// Returns a description of the error in the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Self::with_size_limit(pattern, PROGRAM_MAX)
    }

    /// Compiles a pattern that is known only at evaluation. The limit on the memory of the compiled
    /// pattern is much smaller than in [`Self::new`].
    pub(crate) fn at_run_time(pattern: &str) -> Result<Self, String> {
        Self::with_size_limit(pattern, PROGRAM_MAX / 32)
    }

    fn with_size_limit(pattern: &str, size: usize) -> Result<Self, String> {
        let translated = translated(pattern)?;
        let regex = RegexBuilder::new(&translated)
            .size_limit(size)
            .nest_limit(NESTING_MAX)
            .build()
            .map_err(|error| reason(&error))?;
        let mut parser = ParserBuilder::new().nest_limit(NESTING_MAX).build();
        let parsed = parser
            .parse(&translated)
            .map_err(|error| error.to_string())?;
        let positions = positions(&parsed);
        let weight = if positions <= CACHED_POSITIONS_MAX {
            1
        } else {
            positions
        };
        Ok(Self { regex, weight })
    }

    /// Returns whether a part of `text` matches.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Budget`] if the text is too long for the rest of the budget.
    pub fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, ErrorKind> {
        let steps = 1 + text.len() / STEP_BYTES * self.weight;
        budget.take_steps(steps as u64)?;
        Ok(self.regex.is_match(text))
    }
}

/// Returns the number of positions of `pattern`: its classes, its assertions and the bytes of its
/// literals, with repetitions expanded. A matcher can be at all positions at once.
fn positions(pattern: &Hir) -> usize {
    let sum = |parts: &[Hir]| parts.iter().map(positions).fold(0, usize::saturating_add);
    let counted = match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min + 1);
            positions(&repetition.sub).saturating_mul((times as usize).max(1))
        }
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    };
    counted.min(POSITIONS_MAX)
}

/// Returns the description of a regex error, without the lines before it that show the translated
/// pattern.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large once compiled".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

/// Returns the pattern in the syntax of the regex crate.
fn translated(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        repeated: false,
    };
    while let Some(character) = translator.next() {
        translator.item(character)?;
    }
    Ok(translator.out)
}

struct Translator<'p> {
    rest: &'p str,
    out: String,
    /// Set if the last item was a repetition.
    repeated: bool,
}

impl<'p> Translator<'p> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn item(&mut self, character: char) -> Result<(), String> {
        let repetition = match character {
            '*' | '+' | '?' => Some(character.to_string()),
            '{' => self.counted()?,
            _ => None,
        };
        if let Some(repetition) = repetition {
            if self.repeated {
                return Err(
                    "a repetition follows another repetition: put the first one into a group"
                        .to_owned(),
                );
            }
            self.repeated = true;
            self.out.push_str(&repetition);
            if self.take("?") {
                self.out.push('?');
            }
            return Ok(());
        }
        self.repeated = false;
        match character {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.group(),
            '{' | '}' | ']' => {
                self.out.push('\\');
                self.out.push(character);
                Ok(())
            }
            _ => {
                self.out.push(character);
                Ok(())
            }
        }
    }

    /// Reads the rest of a counted repetition: `n}`, `n,}` or `n,m}`. Returns `None` for anything
    /// else, in which case the opening brace is a literal. Fails if a count is above
    /// [`REPEAT_MAX`].
    fn counted(&mut self) -> Result<Option<String>, String> {
        let counts = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
        let end = self.rest.bytes().take_while(|byte| counts(byte)).count();
        if self.rest.as_bytes().get(end) != Some(&b'}') {
            return Ok(None);
        }
        let inner = &self.rest[..end];
        let number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
        if !number(least) || !(most.is_empty() || number(most)) {
            return Ok(None);
        }
        for bound in [least, most] {
            if !bound.is_empty()
                && bound
                    .parse::<u32>()
                    .map_or(true, |bound| bound > REPEAT_MAX)
            {
                return Err(format!("a repetition counts to more than {REPEAT_MAX}"));
            }
        }
        self.rest = &self.rest[end + 1..];
        Ok(Some(format!("{{{inner}}}")))
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if !self.take("?") {
            return Ok(());
        }
        self.out.push('?');
        let named = self.rest.starts_with("P<") || self.rest.starts_with('<');
        if named {
            return Ok(());
        }
        let flags = self
            .rest
            .chars()
            .take_while(|flag| !matches!(flag, ':' | ')'));
        match flags.into_iter().find(|flag| !"imsU-".contains(*flag)) {
            Some(flag) => Err(format!("there is no group (?{flag}")),
            None => Ok(()),
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(character) = self.next() else {
            return Err("the pattern ends in a backslash".to_owned());
        };
        match character {
            'd' | 's' | 'w' => {
                let _ = write!(self.out, "[{}]", perl_class(character));
            }
            'D' | 'S' | 'W' => {
                let _ = write!(self.out, "[^{}]", perl_class(character));
            }
            'b' | 'B' => {
                let _ = write!(self.out, r"(?-u:\{character})");
            }
            'A' | 'z' => {
                self.out.push('\\');
                self.out.push(character);
            }
            'Q' => {
                let end = self.rest.find(r"\E").unwrap_or(self.rest.len());
                self.out.push_str(&regex::escape(&self.rest[..end]));
                self.rest = &self.rest[end..];
                self.take(r"\E");
            }
            'p' | 'P' => self.property(character)?,
            _ => {
                let character = self.literal(character)?;
                push_literal(&mut self.out, character);
            }
        }
        Ok(())
    }

    fn property(&mut self, kind: char) -> Result<(), String> {
        let incomplete = || "a Unicode class has no name".to_owned();
        let name = if self.take("{") {
            let end = self.rest.find('}').ok_or_else(incomplete)?;
            let name = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            name.to_owned()
        } else {
            self.next().ok_or_else(incomplete)?.to_string()
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let positive = (kind == 'p') != negated;
        let letter = if positive { 'p' } else { 'P' };
        let _ = write!(self.out, r"\{letter}{{{name}}}");
        Ok(())
    }

    /// Reads the rest of an escape that begins with a backslash and `first`, and returns the
    /// character for which the escape stands.
    fn literal(&mut self, first: char) -> Result<char, String> {
        Ok(match first {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => return self.hexadecimal(),
            '0'..='7' => return self.octal(first),
            '8' | '9' => return Err("back-references are not supported".to_owned()),
            _ if first.is_ascii() && !first.is_ascii_alphanumeric() => first,
            _ => return Err(format!(r"there is no escape \{first}")),
        })
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let wrong = || r"\x is not followed by hexadecimal digits".to_owned();
        let digits = if self.take("{") {
            let end = self.rest.find('}').ok_or_else(wrong)?;
            let digits = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            digits
        } else {
            let digits = self.rest.get(..2).ok_or_else(wrong)?;
            self.rest = &self.rest[2..];
            digits
        };
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| all);
        number.and_then(char::from_u32).ok_or_else(wrong)
    }

    fn octal(&mut self, first: char) -> Result<char, String> {
        let is_octal = |byte: &u8| (b'0'..=b'7').contains(byte);
        let more = self
            .rest
            .bytes()
            .take(2)
            .take_while(|byte| is_octal(byte))
            .count();
        if first != '0' && more == 0 {
            return Err("back-references are not supported".to_owned());
        }
        let digits = format!("{first}{}", &self.rest[..more]);
        self.rest = &self.rest[more..];
        let number = u32::from_str_radix(&digits, 8).unwrap_or(0);
        char::from_u32(number).ok_or_else(|| r"\ is followed by too many digits".to_owned())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            if self.rest.starts_with("[:") {
                let end = self
                    .rest
                    .find(":]")
                    .ok_or("a class has no closing bracket")?;
                self.out.push_str(&self.rest[..end + 2]);
                self.rest = &self.rest[end + 2..];
            } else {
                match self.next() {
                    None => return Err("a class has no closing bracket".to_owned()),
                    Some(']') if !first => {
                        self.out.push(']');
                        return Ok(());
                    }
                    Some(character) => self.class_item(character)?,
                }
            }
            first = false;
        }
    }

    fn class_item(&mut self, character: char) -> Result<(), String> {
        if character == '\\' {
            match self.rest.chars().next() {
                Some(kind @ ('d' | 's' | 'w')) => {
                    self.next();
                    self.out.push_str(perl_class(kind));
                    return Ok(());
                }
                Some(kind @ ('D' | 'S' | 'W')) => {
                    self.next();
                    let _ = write!(self.out, "[^{}]", perl_class(kind));
                    return Ok(());
                }
                Some(kind @ ('p' | 'P')) => {
                    self.next();
                    return self.property(kind);
                }
                _ => {}
            }
        }
        let low = self.class_literal(character)?;
        push_literal(&mut self.out, low);
        let range =
            self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
        if range {
            self.next();
            let Some(character) = self.next() else {
                return Err("a class has no closing bracket".to_owned());
            };
            let high = self.class_literal(character)?;
            if high < low {
                return Err("a range in a class ends before it begins".to_owned());
            }
            self.out.push('-');
            push_literal(&mut self.out, high);
        }
        Ok(())
    }

    fn class_literal(&mut self, character: char) -> Result<char, String> {
        if character != '\\' {
            return Ok(character);
        }
        match self.next() {
            Some(escaped) => self.literal(escaped),
            None => Err("the pattern ends in a backslash".to_owned()),
        }
    }
}

const fn perl_class(kind: char) -> &'static str {
    match kind {
        'd' | 'D' => DIGIT,
        's' | 'S' => SPACE,
        _ => WORD,
    }
}

/// Writes `character` so that it stands for itself, inside or outside a class.
fn push_literal(out: &mut String, character: char) {
    if character.is_alphanumeric() {
        out.push(character);
    } else {
        let _ = write!(out, r"\x{{{:X}}}", u32::from(character));
    }
}
