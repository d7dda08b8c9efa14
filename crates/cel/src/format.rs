//! The function `format` of the strings extension, which writes values as text.

use std::fmt::Write;

use crate::budget::Budget;
use crate::convert::type_name;
use crate::error::ErrorKind;
use crate::schema::Schema;
use crate::value::{ListValue, MapValue, Value};

/// The maximum number of decimals that a clause may ask for. No double has more decimals.
const PRECISION_MAX: usize = 1_100;

/// The maximum depth of nested lists and maps in a formatted value. The formatting recurses once
/// per level.
const LEVELS_MAX: u32 = 64;

/// The number of decimals that a clause without a precision writes.
const PRECISION_DEFAULT: usize = 6;

/// The letters of all format clauses.
const CLAUSES: &str = "sdfebxXo";

/// Returns `format_string` with each clause replaced by the next of `arguments`. Fails if a clause
/// is malformed, has no argument, or does not take its argument.
pub(crate) fn format<'a>(
    format_string: &str,
    arguments: &ListValue<'a>,
    schema: &dyn Schema,
    budget: &mut Budget,
) -> Result<Value<'a>, ErrorKind> {
    let mut writer = Writer {
        text: String::new(),
        schema,
        budget,
    };
    let mut next = 0;
    for piece in Pieces(format_string) {
        match piece? {
            Piece::Text(text) => writer.push(text)?,
            Piece::Clause(clause, precision) => {
                if next >= arguments.len() {
                    return Err(too_few());
                }
                let argument = arguments.get(next, writer.budget)?;
                next += 1;
                writer.clause(clause, precision, &argument)?;
            }
        }
    }
    Ok(Value::owned(writer.text))
}

/// Returns the reason why `format_string` fails for all arguments, or `None` if it may succeed.
///
/// `arguments` has a sample value of the type of each argument, or `None` for an argument of
/// unknown type. `arguments` itself is `None` if the number of arguments is not known.
pub(crate) fn failure(
    format_string: &str,
    arguments: Option<&[Option<Value<'_>>]>,
    schema: &dyn Schema,
) -> Option<ErrorKind> {
    let mut writer = Writer {
        text: String::new(),
        schema,
        budget: &mut Budget::new(u64::MAX, u64::MAX),
    };
    let mut next = 0;
    for piece in Pieces(format_string) {
        let (clause, precision) = match piece {
            Ok(Piece::Clause(clause, precision)) => (clause, precision),
            Ok(Piece::Text(_)) => continue,
            Err(kind) => return Some(kind),
        };
        let argument = match arguments {
            Some(arguments) if next >= arguments.len() => return Some(too_few()),
            Some(arguments) => arguments[next].as_ref(),
            None => None,
        };
        next += 1;
        let failure = match argument {
            // `%d` takes infinities and NaN, but the sample is a finite double.
            Some(Value::Double(_)) if clause == 'd' => None,
            Some(argument) => writer.clause(clause, precision, argument).err(),
            None if CLAUSES.contains(clause) => None,
            None => Some(no_clause(clause)),
        };
        if failure.is_some() {
            return failure;
        }
    }
    None
}

fn too_few() -> ErrorKind {
    ErrorKind::invalid("the format string has more clauses than arguments")
}

fn no_clause(clause: char) -> ErrorKind {
    ErrorKind::invalid(format!(
        "there is no format clause %{}",
        clause.escape_debug()
    ))
}

/// A piece of a format string.
enum Piece<'t> {
    Text(&'t str),
    /// The letter of a clause, and its precision.
    Clause(char, Option<usize>),
}

/// An iterator over the pieces of a format string. The field is the unread rest of the string.
struct Pieces<'t>(&'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Result<Piece<'t>, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0;
        let Some(after) = rest.strip_prefix('%') else {
            let end = rest.find('%').unwrap_or(rest.len());
            self.0 = &rest[end..];
            return (end > 0).then_some(Ok(Piece::Text(&rest[..end])));
        };
        self.0 = after;
        if let Some(after) = after.strip_prefix('%') {
            self.0 = after;
            return Some(Ok(Piece::Text("%")));
        }
        let precision = match precision(&mut self.0) {
            Ok(precision) => precision,
            Err(kind) => return Some(Err(kind)),
        };
        let Some(clause) = self.0.chars().next() else {
            let kind = ErrorKind::invalid("the format string ends in an incomplete clause");
            return Some(Err(kind));
        };
        self.0 = &self.0[clause.len_utf8()..];
        Some(Ok(Piece::Clause(clause, precision)))
    }
}

/// Reads the precision of a clause, such as `.3`, from the start of `rest`. Returns `None` if the
/// clause has no precision. Fails if the precision is not a number up to [`PRECISION_MAX`].
fn precision(rest: &mut &str) -> Result<Option<usize>, ErrorKind> {
    let Some(digits) = rest.strip_prefix('.') else {
        return Ok(None);
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let number = digits[..length].parse::<usize>().ok();
    let number = number.filter(|number| *number <= PRECISION_MAX);
    let number = number
        .ok_or_else(|| ErrorKind::invalid("the format string has a precision that is not valid"))?;
    *rest = &digits[length..];
    Ok(Some(number))
}

struct Writer<'s, 'b> {
    text: String,
    schema: &'s dyn Schema,
    budget: &'b mut Budget,
}

impl Writer<'_, '_> {
    fn push(&mut self, text: &str) -> Result<(), ErrorKind> {
        self.budget.take_bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn clause(
        &mut self,
        clause: char,
        precision: Option<usize>,
        value: &Value<'_>,
    ) -> Result<(), ErrorKind> {
        let text = match (clause, value) {
            ('s', _) => return self.value(value, LEVELS_MAX),
            ('d', Value::Int(value)) => value.to_string(),
            ('d', Value::Uint(value)) => value.to_string(),
            ('d', Value::Double(value)) if !value.is_finite() => special(*value).to_owned(),
            ('f', _) => fixed(number(value, clause, self.schema)?, precision),
            ('e', _) => scientific(number(value, clause, self.schema)?, precision),
            ('b', Value::Bool(value)) => i32::from(*value).to_string(),
            ('b' | 'x' | 'X' | 'o', Value::Int(value)) => {
                let sign = if *value < 0 { "-" } else { "" };
                format!("{sign}{}", radix(clause, value.unsigned_abs()))
            }
            ('b' | 'x' | 'X' | 'o', Value::Uint(value)) => radix(clause, *value),
            ('x' | 'X', Value::String(text)) => return self.hexadecimal(clause, text.as_bytes()),
            ('x' | 'X', Value::Bytes(bytes)) => return self.hexadecimal(clause, bytes),
            ('d' | 'b' | 'x' | 'X' | 'o', _) => return Err(unfit(clause, value, self.schema)),
            _ => return Err(no_clause(clause)),
        };
        self.push(&text)
    }

    fn hexadecimal(&mut self, clause: char, bytes: &[u8]) -> Result<(), ErrorKind> {
        self.budget.take_bytes(2 * bytes.len())?;
        for byte in bytes {
            let _ = match clause {
                'X' => write!(self.text, "{byte:02X}"),
                _ => write!(self.text, "{byte:02x}"),
            };
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>, levels: u32) -> Result<(), ErrorKind> {
        self.budget.take_steps(1)?;
        if levels == 0 {
            return Err(ErrorKind::invalid(
                "the value is nested too deeply to be formatted",
            ));
        }
        match value {
            Value::Null => self.push("null"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Int(value) => self.push(&value.to_string()),
            Value::Uint(value) => self.push(&value.to_string()),
            Value::Double(value) if value.is_finite() => self.push(&value.to_string()),
            Value::Double(value) => self.push(special(*value)),
            Value::String(text) | Value::Type(text) => self.push(text),
            Value::Bytes(bytes) => self.push(&String::from_utf8_lossy(bytes)),
            Value::Duration(duration) => self.push(&duration.text()),
            Value::Timestamp(timestamp) => self.push(&timestamp.text()),
            Value::List(list) => self.list(list, levels - 1),
            Value::Map(map) => self.map(map, levels - 1),
            Value::Message(_) => Err(unfit('s', value, self.schema)),
        }
    }

    fn list(&mut self, list: &ListValue<'_>, levels: u32) -> Result<(), ErrorKind> {
        self.push("[")?;
        for at in 0..list.len() {
            if at > 0 {
                self.push(", ")?;
            }
            let element = list.get(at, self.budget)?;
            self.value(&element, levels)?;
        }
        self.push("]")
    }

    /// Writes the entries, sorted by the text of their keys.
    fn map(&mut self, map: &MapValue<'_>, levels: u32) -> Result<(), ErrorKind> {
        let start = self.text.len();
        let mut entries = Vec::new();
        for at in 0..map.len() {
            let (key, value) = map.entry(at, self.budget)?;
            self.value(&key, levels)?;
            let key = self.text.split_off(start);
            self.push(&key)?;
            self.push(": ")?;
            self.value(&value, levels)?;
            entries.push((key, self.text.split_off(start)));
        }
        self.budget.take_steps(2 * entries.len() as u64)?;
        entries.sort();
        self.push("{")?;
        for (at, (_, entry)) in entries.iter().enumerate() {
            if at > 0 {
                self.push(", ")?;
            }
            self.push(entry)?;
        }
        self.push("}")
    }
}

fn unfit(clause: char, value: &Value<'_>, schema: &dyn Schema) -> ErrorKind {
    ErrorKind::invalid(format!(
        "the format clause %{clause} does not take a value of type {}",
        type_name(value, schema)
    ))
}

fn number(value: &Value<'_>, clause: char, schema: &dyn Schema) -> Result<f64, ErrorKind> {
    match value {
        Value::Int(value) => Ok(*value as f64),
        Value::Uint(value) => Ok(*value as f64),
        Value::Double(value) => Ok(*value),
        _ => Err(unfit(clause, value, schema)),
    }
}

/// Returns the name of a double that is not finite.
fn special(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn fixed(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return special(value).to_owned();
    }
    format!("{value:.*}", precision.unwrap_or(PRECISION_DEFAULT))
}

fn scientific(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return special(value).to_owned();
    }
    let text = format!("{value:.*e}", precision.unwrap_or(PRECISION_DEFAULT));
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn radix(clause: char, value: u64) -> String {
    match clause {
        'b' => format!("{value:b}"),
        'o' => format!("{value:o}"),
        'X' => format!("{value:X}"),
        _ => format!("{value:x}"),
    }
}
