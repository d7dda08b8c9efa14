//! Expands `${NAME}` and `${NAME:-DEFAULT}` in the values of routes.yaml, and `$$` to a dollar
//! sign.

use std::borrow::Cow;
use std::sync::Arc;

use super::environment::{Environment, NoValue};
use super::quoted::quoted;
use gateway_diagnostic::{Diagnostic, Place, SourceFile};

/// A value with its variables expanded.
#[derive(Debug)]
pub(super) struct Expanded {
    /// The expanded text, or `None` if a variable has no value or is malformed. `found` contains
    /// the error.
    pub text: Option<String>,
    pub found: Vec<DollarFault>,
}

/// An error or a warning about a [`DollarToken`] in a value.
#[derive(Debug)]
pub(super) struct DollarFault {
    /// The number of tokens before this token in the value.
    before: usize,
    /// The token as it is written.
    written: String,
    diagnostic: Diagnostic,
}

impl DollarFault {
    /// Returns the diagnostic at the place of the token in `value`. The place is the whole value if
    /// the file does not contain the token as it was parsed. This happens if a line was folded, or
    /// if the token was written with escape sequences.
    pub(super) fn at(self, value: &ValueLines<'_>) -> Diagnostic {
        let Self {
            before,
            written,
            diagnostic,
        } = self;
        let place = value.token_place(before, &written);
        diagnostic.at(place.unwrap_or_else(|| value.place.clone()))
    }
}

/// The maximum number of faults that are reported of one value. The search for the place of a fault
/// reads the value from its start.
const FAULTS_MAX: usize = 20;

/// The lines of a file in which a value is written.
pub(super) struct ValueLines<'a> {
    pub file: &'a Arc<SourceFile>,
    pub place: Place,
    /// The number of the last line, from 1.
    pub end: u32,
}

impl ValueLines<'_> {
    /// Returns the place of the token with this number, from 0, in the value. Returns `None` if
    /// the file does not contain `written` there.
    fn token_place(&self, number: usize, written: &str) -> Option<Place> {
        let mut left = number;
        for line in self.place.line..=self.end {
            let text = self.file.line(line)?;
            let mut column = 1;
            let mut rest = text;
            if line == self.place.line {
                column = self.place.column;
                let start = text.char_indices().nth(column as usize - 1)?;
                rest = &text[start.0..];
            }
            while let Some((text, token)) = next_token(&mut rest) {
                column += text.chars().count() as u32;
                let width = token.written.chars().count() as u32;
                if left == 0 {
                    return (token.written == written)
                        .then(|| self.file.place(line, column, width));
                }
                left -= 1;
                column += width;
            }
        }
        None
    }
}

/// Returns `text` with its variables expanded, or `None` if it contains no dollar sign.
pub(super) fn expand(text: &str, environment: &Environment) -> Option<Expanded> {
    text.contains('$').then(|| {
        let mut rest = text;
        let mut expanded = String::new();
        let mut found = Vec::new();
        let mut is_whole = true;
        let mut before = 0;
        while let Some((text, token)) = next_token(&mut rest) {
            expanded.push_str(text);
            let diagnostic = match token.meaning(environment) {
                Ok(value) => {
                    expanded.push_str(&value);
                    token.doubt()
                }
                Err(fault) => {
                    is_whole = false;
                    Some(*fault)
                }
            };
            if found.len() < FAULTS_MAX {
                found.extend(diagnostic.map(|diagnostic| DollarFault {
                    before,
                    written: token.written.to_owned(),
                    diagnostic,
                }));
            }
            before += 1;
        }
        expanded.push_str(rest);
        Expanded {
            text: is_whole.then_some(expanded),
            found,
        }
    })
}

/// A construct that begins with a dollar sign in a value.
#[derive(Debug)]
struct DollarToken<'a> {
    written: &'a str,
    kind: DollarKind<'a>,
}

#[derive(Debug)]
enum DollarKind<'a> {
    /// `$$`.
    Dollar,
    /// A `$` that is not followed by a name, `{` or `$`.
    Lone,
    /// `$NAME`, which is text.
    Bare,
    /// `${NAME}` or `${NAME:-DEFAULT}`.
    Variable {
        name: &'a str,
        default: Option<&'a str>,
    },
    /// A `${` that does not begin a valid variable.
    Malformed,
}

/// Removes the text before the next token and the token itself from the start of `rest`. Returns
/// this text and the token, or `None` if `rest` contains no further token.
fn next_token<'a>(rest: &mut &'a str) -> Option<(&'a str, DollarToken<'a>)> {
    let (before, from) = rest.split_at(rest.find('$')?);
    let token = DollarToken::read(from);
    *rest = &from[token.written.len()..];
    Some((before, token))
}

impl<'a> DollarToken<'a> {
    /// Reads the token at the start of `text`, which begins with a dollar sign.
    fn read(text: &'a str) -> Self {
        let after = text.get(1..).unwrap_or_default();
        let (length, kind) = if after.starts_with('$') {
            (2, DollarKind::Dollar)
        } else if let Some(inner) = after.strip_prefix('{') {
            match inner.split_once('}') {
                Some((inner, _)) => (inner.len() + 3, variable(inner)),
                None => (text.len(), DollarKind::Malformed),
            }
        } else {
            match name_length(after) {
                0 => (1, DollarKind::Lone),
                length => (1 + length, DollarKind::Bare),
            }
        };
        Self {
            written: &text[..length],
            kind,
        }
    }

    /// Returns the text that the token stands for. Fails with the error of a malformed variable or
    /// of a variable without a value.
    fn meaning(&self, environment: &Environment) -> Result<Cow<'a, str>, Box<Diagnostic>> {
        let (name, default) = match self.kind {
            DollarKind::Dollar => return Ok("$".into()),
            DollarKind::Lone | DollarKind::Bare => return Ok(self.written.into()),
            DollarKind::Malformed => return Err(Box::new(self.malformed())),
            DollarKind::Variable { name, default } => (name, default),
        };
        match (environment.value(name), default) {
            (Ok("") | Err(NoValue::Unset), Some(default)) => Ok(default.replace("$$", "$").into()),
            (Ok(value), _) => Ok(value.to_owned().into()),
            (Err(why), _) => Err(Box::new(no_value(name, why))),
        }
    }

    /// Returns the error of a `${` that does not begin a valid variable.
    fn malformed(&self) -> Diagnostic {
        let fault = Diagnostic::error(format!("{} is not a variable", quoted(self.written)))
            .label("expected ${NAME} or ${NAME:-DEFAULT}");
        let default = self.written.split_once(":-");
        fault.help(if !self.written.ends_with('}') {
            "is the } missing? for a dollar sign, write $$"
        } else if default.is_some_and(|(_, default)| default.contains("${")) {
            "a default is a text, and contains no other variable"
        } else {
            "a name has letters, digits and _; for a dollar sign, write $$"
        })
    }

    /// Returns a warning if the token counts as text and is probably meant as a variable.
    fn doubt(&self) -> Option<Diagnostic> {
        let DollarKind::Bare = self.kind else {
            return None;
        };
        let name = &self.written[1..];
        let fault = Diagnostic::warning(format!("\"${name}\" is taken as a text"));
        let help = format!("write ${{{name}}} for the variable, or $${name} for the text");
        Some(fault.label("not a variable without { }").help(help))
    }
}

/// Reads the text between `${` and `}`.
fn variable(inner: &str) -> DollarKind<'_> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = !name.is_empty() && name_length(name) == name.len();
    if !is_name || default.is_some_and(|default| default.contains("${")) {
        return DollarKind::Malformed;
    }
    DollarKind::Variable { name, default }
}

/// Returns the length of the name of a variable at the start of `text`, in bytes, or 0 if `text`
/// does not begin with such a name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.find(is_other).unwrap_or(text.len())
}

/// Returns the error of a variable that has no value.
fn no_value(name: &str, why: NoValue) -> Diagnostic {
    let variable = format!("the environment variable {name}");
    match why {
        NoValue::Unset => Diagnostic::error(format!("{variable} is not set"))
            .label("expected a value")
            .help(format!(
                "set it where the gateway is started, or give it a default: ${{{name}:-…}}; a running gateway \
                 does not see a change of the environment until it is restarted"
            )),
        NoValue::NotText => {
            Diagnostic::error(format!("{variable} is not UTF-8 text")).label("expected a text")
        }
        NoValue::Unprintable(c) => Diagnostic::error(format!(
            "{variable} holds the control character 0x{:02X}",
            c as u32
        ))
        .label("expected a text of one line"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn environment() -> Environment {
        let variables = [
            ("PORT", "5559"),
            ("EMPTY", ""),
            ("_a1", "x"),
            ("LINE", "a\r"),
            ("DOLLAR", "${PORT}"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), OsString::from(value)));
        variables.into_iter().collect()
    }

    fn text(written: &str) -> Option<String> {
        expand(written, &environment()).map(|value| value.text.expect("every variable has a value"))
    }

    #[test]
    fn variables_have_their_values() {
        for (written, meant) in [
            ("tcp://*:${PORT}", "tcp://*:5559"),
            ("${PORT}${_a1}", "5559x"),
            ("${NONE:-tcp://*:1}", "tcp://*:1"),
            ("${EMPTY:-1}", "1"),
            ("${EMPTY}", ""),
            ("${NONE:-}", ""),
            ("${NONE:-a$$b}", "a$b"),
            ("${PORT:-1}", "5559"),
            ("$${PORT}", "${PORT}"),
            ("$$$$", "$$"),
            ("$$${PORT}", "$5559"),
            ("5 $", "5 $"),
            ("a$b", "a$b"),
            ("$1", "$1"),
            // The value of a variable is not expanded again.
            ("${DOLLAR}", "${PORT}"),
        ] {
            assert_eq!(text(written).as_deref(), Some(meant), "{written}");
        }
        assert!(expand("plain", &environment()).is_none());
    }

    #[test]
    fn a_malformed_or_unset_variable_is_an_error() {
        for (written, expected) in [
            ("${NONE}", "NONE is not set"),
            ("${LINE}", "LINE holds the control character 0x0D"),
            ("${PORT", "\"${PORT\" is not a variable"),
            ("${}", "is not a variable"),
            ("${1}", "is not a variable"),
            ("${PORT:?x}", "is not a variable"),
            ("${PORT-x}", "is not a variable"),
            ("${A:-${PORT}}", "\"${A:-${PORT}\" is not a variable"),
        ] {
            let expanded = expand(written, &environment()).unwrap();
            assert_eq!(expanded.text, None, "{written}");
            let [found] = &expanded.found[..] else {
                panic!("{written}: {:?}", expanded.found);
            };
            assert!(found.diagnostic.message.contains(expected), "{found:?}");
        }
    }

    #[test]
    fn a_fault_is_at_the_place_of_its_token_in_the_file() {
        let file = SourceFile::new(
            "r.yaml",
            "a: 'ü$$ ${A} ${NONE} ${B}'\nb: |\n  x\n  ${NONE}\n",
        );
        let places = |line: u32, column: u32, end: u32, text: &str| -> Vec<String> {
            let place = file.place(line, column, 1);
            let file = &file;
            let lines = ValueLines { file, place, end };
            let found = expand(text, &environment()).unwrap().found.into_iter();
            let places = found.map(|fault| fault.at(&lines).place.unwrap());
            places
                .map(|place| format!("{place}+{}", place.width))
                .collect()
        };
        let first = places(1, 4, 1, "ü$$ ${A} ${NONE} ${B}");
        assert_eq!(first, ["r.yaml:1:9+4", "r.yaml:1:14+7", "r.yaml:1:22+4"]);
        assert_eq!(places(2, 4, 4, "x\n${NONE}\n"), ["r.yaml:4:3+7"]);
        // The token is not in the file, so the place is the whole value.
        assert_eq!(places(1, 4, 1, "${OTHER}"), ["r.yaml:1:4+1"]);
    }

    /// The search for the place of each fault would otherwise take hours.
    #[test]
    fn few_faults_of_a_long_value_are_reported() {
        let found = expand(&"${UNSET}".repeat(100_000), &environment()).unwrap();
        assert_eq!(found.text, None);
        assert_eq!(found.found.len(), FAULTS_MAX);
    }
}
