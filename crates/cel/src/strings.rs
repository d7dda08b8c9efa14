//! Functions on strings. Positions in arguments and in results are counted in code points.

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::library::Builtin;
use crate::text::Text;
use crate::value::{ListValue, Value};

type Outcome<'a> = Result<Value<'a>, ErrorKind>;

/// Calls a function on strings.
pub(crate) fn call<'a>(
    builtin: Builtin,
    arguments: &[Value<'a>],
    budget: &mut Budget,
) -> Outcome<'a> {
    for argument in arguments {
        if let Value::String(text) = argument {
            budget.take_steps_to_read(text.len())?;
        }
    }
    match (builtin, arguments) {
        (Builtin::Contains, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.contains(&**part)))
        }
        (Builtin::StartsWith, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.starts_with(&**part)))
        }
        (Builtin::EndsWith, [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.ends_with(&**part)))
        }
        (Builtin::CharAt, [Value::String(text), Value::Int(at)]) => char_at(text, *at),
        (Builtin::IndexOf, [Value::String(text), Value::String(part)]) => index_of(text, part, 0),
        (Builtin::IndexOf, [Value::String(text), Value::String(part), Value::Int(from)]) => {
            index_of(text, part, *from)
        }
        (Builtin::LastIndexOf, [Value::String(text), Value::String(part)]) => {
            last_index_of(text, part, None)
        }
        (Builtin::LastIndexOf, [Value::String(text), Value::String(part), Value::Int(to)]) => {
            last_index_of(text, part, Some(*to))
        }
        (Builtin::Substring, [Value::String(text), Value::Int(from)]) => {
            substring(text, *from, None, budget)
        }
        (Builtin::Substring, [Value::String(text), Value::Int(from), Value::Int(to)]) => {
            substring(text, *from, Some(*to), budget)
        }
        (Builtin::Replace, [Value::String(text), Value::String(old), Value::String(new)]) => {
            replace(text, old, new, -1, budget)
        }
        (
            Builtin::Replace,
            [
                Value::String(text),
                Value::String(old),
                Value::String(new),
                Value::Int(limit),
            ],
        ) => replace(text, old, new, *limit, budget),
        (Builtin::Split, [Value::String(text), Value::String(separator)]) => {
            split(text, separator, -1, budget)
        }
        (
            Builtin::Split,
            [
                Value::String(text),
                Value::String(separator),
                Value::Int(limit),
            ],
        ) => split(text, separator, *limit, budget),
        (Builtin::Join, [Value::List(parts)]) => join(parts, "", budget),
        (Builtin::Join, [Value::List(parts), Value::String(separator)]) => {
            join(parts, separator, budget)
        }
        (_, [Value::String(text)]) => call_on_text(builtin, text, budget),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

/// Calls a function that takes no argument beyond the string.
fn call_on_text<'a>(builtin: Builtin, text: &Text<'a>, budget: &mut Budget) -> Outcome<'a> {
    match builtin {
        Builtin::LowerAscii => new_string(text.to_ascii_lowercase(), budget),
        Builtin::UpperAscii => new_string(text.to_ascii_uppercase(), budget),
        Builtin::Reverse => new_string(text.chars().rev().collect(), budget),
        Builtin::Trim => trim(text, budget),
        Builtin::Quote => new_string(quoted(text), budget),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

fn new_string<'a>(text: String, budget: &mut Budget) -> Outcome<'a> {
    budget.take_bytes(text.len())?;
    Ok(Value::owned(text))
}

/// Returns the part of `text` between two byte positions, which must be character boundaries.
fn part_of<'a>(text: &Text<'a>, from: usize, to: usize, budget: &mut Budget) -> Outcome<'a> {
    match text {
        Text::Borrowed(text) => Ok(Value::borrowed(&text[from..to])),
        Text::Shared(text) => {
            budget.take_bytes(to - from)?;
            Ok(Value::owned(&text[from..to]))
        }
    }
}

/// Returns the byte position of the character at index `at`. The index after the last character
/// stands for the end of `text`. Fails if `at` is beyond the end.
fn byte_at(text: &str, at: i64) -> Result<usize, ErrorKind> {
    let at = usize::try_from(at).map_err(|_| ErrorKind::IndexOutOfRange)?;
    let begins = text.char_indices().map(|(byte, _)| byte);
    begins
        .chain([text.len()])
        .nth(at)
        .ok_or(ErrorKind::IndexOutOfRange)
}

fn char_at<'a>(text: &Text<'a>, at: i64) -> Outcome<'a> {
    let from = byte_at(text, at)?;
    let length = text[from..].chars().next().map_or(0, char::len_utf8);
    Ok(match text {
        Text::Borrowed(text) => Value::borrowed(&text[from..from + length]),
        Text::Shared(text) => Value::owned(&text[from..from + length]),
    })
}

fn count(text: &str) -> i64 {
    text.chars().count() as i64
}

fn index_of<'a>(text: &str, part: &str, from: i64) -> Outcome<'a> {
    let start = byte_at(text, from)?;
    let found = text[start..].find(part);
    Ok(Value::Int(
        found.map_or(-1, |at| count(&text[..start + at])),
    ))
}

/// Returns the index of the last occurrence of `part` that begins at the index `to` or before it,
/// or -1 if there is none. If `to` is `None`, the search starts at the end of `text`. Fails if `to`
/// is beyond the end.
fn last_index_of<'a>(text: &str, part: &str, to: Option<i64>) -> Outcome<'a> {
    let end = match to {
        Some(to) => (byte_at(text, to)? + part.len()).min(text.len()),
        None => text.len(),
    };
    // `end` may lie within a character. No occurrence of `part` ends there, so the search ends at
    // the start of that character.
    let end = (0..=end)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    Ok(Value::Int(
        text[..end].rfind(part).map_or(-1, |at| count(&text[..at])),
    ))
}

fn substring<'a>(text: &Text<'a>, from: i64, to: Option<i64>, budget: &mut Budget) -> Outcome<'a> {
    let start = byte_at(text, from)?;
    let end = match to {
        Some(to) => byte_at(text, to)?,
        None => text.len(),
    };
    if start > end {
        return Err(ErrorKind::invalid("the substring ends before it begins"));
    }
    part_of(text, start, end, budget)
}

fn trim<'a>(text: &Text<'a>, budget: &mut Budget) -> Outcome<'a> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len().max(start);
    part_of(text, start, end, budget)
}

fn replace<'a>(
    text: &Text<'a>,
    old: &str,
    new: &str,
    limit: i64,
    budget: &mut Budget,
) -> Outcome<'a> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let replacements = text.matches(old).take(limit).count();
    // In the result, each replaced copy of `old` has become a copy of `new`.
    budget.take_bytes(
        (text.len() - replacements * old.len())
            .saturating_add(replacements.saturating_mul(new.len())),
    )?;
    Ok(Value::owned(text.replacen(old, new, limit)))
}

fn split<'a>(text: &Text<'a>, separator: &str, limit: i64, budget: &mut Budget) -> Outcome<'a> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut elements = Vec::new();
    let mut from = 0;
    while limit > 0 && from <= text.len() {
        let rest = &text[from..];
        let last = elements.len() + 1 >= limit;
        let found = match separator {
            "" => rest
                .chars()
                .next()
                .map(char::len_utf8)
                .filter(|length| *length < rest.len()),
            _ => rest.find(separator),
        };
        let end = found.filter(|_| !last).map(|length| from + length);
        if separator.is_empty() && rest.is_empty() {
            break;
        }
        budget.take_bytes(size_of::<Value<'a>>())?;
        elements.push(part_of(text, from, end.unwrap_or(text.len()), budget)?);
        match end {
            Some(end) => from = end + separator.len(),
            None => break,
        }
    }
    Ok(Value::list(elements))
}

fn join<'a>(parts: &ListValue<'a>, separator: &str, budget: &mut Budget) -> Outcome<'a> {
    let mut text = String::new();
    for at in 0..parts.len() {
        let Value::String(part) = parts.get(at, budget)? else {
            return Err(ErrorKind::NoSuchOverload);
        };
        budget.take_bytes(part.len() + separator.len())?;
        if at > 0 {
            text.push_str(separator);
        }
        text.push_str(&part);
    }
    Ok(Value::owned(text))
}

/// Returns `text` as a string literal of the language.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let escape = match character {
            '\x07' => r"\a",
            '\x08' => r"\b",
            '\x0c' => r"\f",
            '\n' => r"\n",
            '\r' => r"\r",
            '\t' => r"\t",
            '\x0b' => r"\v",
            '\\' => r"\\",
            '"' => "\\\"",
            _ => {
                quoted.push(character);
                continue;
            }
        };
        quoted.push_str(escape);
    }
    quoted.push('"');
    quoted
}
