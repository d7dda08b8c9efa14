//! Tests of strings and bytes.

use std::collections::HashSet;

use regex::Regex;

use super::number::NumberTest;

/// A condition of a rule on a string.
#[derive(Clone, Debug)]
pub(in crate::rules) enum TextTest {
    Equal(Box<str>),
    /// The length in code points.
    Length(NumberTest<u64>),
    /// The length in bytes of UTF-8.
    Bytes(NumberTest<u64>),
    Pattern(Regex),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    Lacks(Box<str>),
    In(HashSet<Box<str>>),
    NotIn(HashSet<Box<str>>),
    /// The text is empty or has this form.
    EmptyOr(fn(&str) -> bool),
    Form(fn(&str) -> bool),
    NotEmpty,
}

impl TextTest {
    /// Returns whether `text` passes.
    pub(crate) fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equal(other) => text == &**other,
            Self::Length(test) => test.passes(code_points(text)),
            Self::Bytes(test) => test.passes(text.len() as u64),
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::Prefix(part) => text.starts_with(&**part),
            Self::Suffix(part) => text.ends_with(&**part),
            Self::Contains(part) => text.contains(&**part),
            Self::Lacks(part) => !text.contains(&**part),
            Self::In(list) => list.contains(text),
            Self::NotIn(list) => !list.contains(text),
            Self::EmptyOr(is_form) => text.is_empty() || is_form(text),
            Self::Form(is_form) => is_form(text),
            Self::NotEmpty => !text.is_empty(),
        }
    }
}

#[inline]
fn code_points(text: &str) -> u64 {
    text.chars().count() as u64
}

/// A condition of a rule on bytes.
#[derive(Clone, Debug)]
pub(in crate::rules) enum BytesTest {
    Equal(Box<[u8]>),
    Length(NumberTest<u64>),
    /// The bytes are UTF-8 and match the pattern.
    Pattern(Regex),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    In(HashSet<Box<[u8]>>),
    NotIn(HashSet<Box<[u8]>>),
    /// The length is in the list, or zero.
    Lengths(&'static [usize]),
    NotEmpty,
}

impl BytesTest {
    /// Returns whether `bytes` pass.
    pub(crate) fn passes(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Equal(other) => *bytes == **other,
            Self::Length(test) => test.passes(bytes.len() as u64),
            Self::Pattern(pattern) => {
                std::str::from_utf8(bytes).is_ok_and(|text| pattern.is_match(text))
            }
            Self::Prefix(part) => bytes.starts_with(part),
            Self::Suffix(part) => bytes.ends_with(part),
            Self::Contains(part) => contains(bytes, part),
            Self::In(list) => list.contains(bytes),
            Self::NotIn(list) => !list.contains(bytes),
            Self::Lengths(lengths) => bytes.is_empty() || lengths.contains(&bytes.len()),
            Self::NotEmpty => !bytes.is_empty(),
        }
    }
}

/// Returns whether `bytes` contain `part`. The time is linear in the total length of `bytes` and
/// `part`.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}
