//! What is wrong with a payload, and where.
//!
//! A walk that fails makes a [`Fault`] where it stands and adds one path segment per level as its
//! recursion unwinds; at the top it becomes a [`Violation`]. All of it is cold: nothing here runs
//! for a payload that passes.

use std::fmt;

/// Longest part of a payload's own text (a key, an enum's name) that a violation repeats, in
/// characters.
const EXCERPT: usize = 48;

/// The first thing wrong with a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The field, `address.lines[3].zip` or `tags["k"]`; empty for the message itself.
    pub path: String,
    /// What the schema asks for.
    pub expected: String,
    /// What the payload holds.
    pub found: String,
    /// The byte of the payload where it stands.
    pub offset: usize,
    /// The id of the rule that it breaks, which `expected` spells out; nothing is found then, and no byte.
    pub rule: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            expected,
            found,
            offset,
            rule,
        } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        if let Some(rule) = rule {
            return write!(f, "{expected} (rule {rule})");
        }
        write!(f, "expected {expected}, found {found} at byte {offset}")
    }
}

impl std::error::Error for Violation {}

/// What each step of a walk gives. The fault is boxed so that success stays in registers.
pub(super) type Checked<T> = Result<T, Box<Fault>>;

/// A violation whose path is still growing, innermost segment first.
#[derive(Debug)]
pub(super) struct Fault {
    segments: Vec<String>,
    expected: String,
    found: String,
    pub offset: usize,
}

impl Fault {
    #[cold]
    pub fn new(offset: usize, expected: impl Into<String>, found: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            segments: Vec::new(),
            expected: expected.into(),
            found: found.into(),
            offset,
        })
    }

    /// The payload ends inside a value of `needed` bytes.
    #[cold]
    pub fn truncated(offset: usize, needed: impl fmt::Display, left: usize) -> Box<Self> {
        let needed = match needed.to_string().as_str() {
            "1" => "1 byte".to_owned(),
            needed => format!("{needed} bytes"),
        };
        Self::new(offset, needed, format!("the end after {left}"))
    }

    /// One level deeper than `limits.depth` allows.
    #[cold]
    pub fn too_deep(offset: usize) -> Box<Self> {
        Self::new(
            offset,
            "nesting within the depth limit",
            "a level below the deepest allowed",
        )
    }

    /// Puts `segment` (a field's name, or `[…]`) before the path so far.
    #[cold]
    pub fn under(mut self: Box<Self>, segment: impl Into<String>) -> Box<Self> {
        self.segments.push(segment.into());
        self
    }

    /// What was expected was expected of a map's key.
    #[cold]
    pub fn as_key(mut self: Box<Self>) -> Box<Self> {
        self.expected.push_str(" as map key");
        self
    }

    pub fn into_violation(self) -> Violation {
        let mut path = String::new();
        for segment in self.segments.iter().rev() {
            if !path.is_empty() && !segment.starts_with('[') {
                path.push('.');
            }
            path.push_str(segment);
        }
        Violation {
            path,
            expected: self.expected,
            found: self.found,
            offset: self.offset,
            rule: None,
        }
    }
}

/// The depth left one level further down.
pub(super) fn deeper(depth: u32, offset: usize) -> Checked<u32> {
    depth.checked_sub(1).ok_or_else(|| Fault::too_deep(offset))
}

/// A payload's text, quoted, escaped and cut, for a violation to repeat.
pub(super) fn excerpt(text: &[u8]) -> String {
    // Four bytes hold any character, so this much is enough, however long the text.
    let head = &text[..text.len().min(EXCERPT * 4)];
    let mut shown: String = String::from_utf8_lossy(head)
        .chars()
        .take(EXCERPT)
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
