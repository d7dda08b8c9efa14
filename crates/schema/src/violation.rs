//! A violation in a payload, and its position.
//!
//! A walk is the check of a payload in one encoding. It recurses once for each level of nesting. A
//! walk that finds an error creates a [`Fault`]. As the recursion unwinds, each level adds its path
//! segment to the fault, and at the top, the fault becomes a [`Violation`]. If all violations are
//! requested, each level [keeps](Gather::keep) a fault and continues after the faulty value, if
//! possible. For a payload that passes, only [`deeper`] and [`Gather::over`] run, and all other
//! code of this module is cold.

use std::fmt;

/// The maximum number of characters that a violation quotes from a text in the payload, such as a
/// key.
const EXCERPT_MAX: usize = 48;

/// The maximum number of violations that are reported for one payload. This is enough to correct a
/// payload, and it bounds the answer to a payload that is wrong everywhere.
pub(super) const VIOLATIONS_MAX: usize = 16;

/// The text of [`Violation::expected`] for a missing required field.
pub(super) const REQUIRED: &str = "a value, because it is required";

/// The text of [`Violation::found`] for an absent value.
pub(super) const NONE: &str = "none";

/// A violation of a schema in a payload, and its position.
///
/// Displays as one sentence: `address.zip: expected int32, found a string at byte 7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `address.lines[3].zip` or `tags["k"]`; empty for the message
    /// itself.
    pub path: String,
    /// The content that the schema requires, or the broken rule, in words.
    pub expected: String,
    /// The value in the payload, described in words. For a broken rule, this text is empty. For a
    /// rule that could not be evaluated, this text is the reason.
    pub found: String,
    /// The offset in bytes from the start of the payload. For a broken rule, this is the offset of
    /// the value. If the value is absent, this is the offset of the message that lacks the value.
    pub offset: usize,
    /// The id of the `buf.validate` rule that the payload breaks, or that could not be evaluated;
    /// `None` for any other violation.
    pub rule: Option<Box<str>>,
    /// Up to 15 further violations, in the order in which they were found; `None` unless
    /// [`Options::all_violations`](crate::Options::all_violations) is set.
    pub others: Option<Vec<Violation>>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            expected,
            found,
            offset,
            rule,
            others: _,
        } = self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        match rule {
            Some(rule) if found.is_empty() => write!(f, "{expected} (rule {rule})"),
            Some(rule) => write!(f, "{expected}: {found} (rule {rule})"),
            None if self.is_missing() => {
                // `found` may name an unknown key that resembles the name of the missing field.
                let but = found.strip_prefix(NONE).unwrap_or_default();
                write!(f, "required field is missing{but} at byte {offset}")
            }
            None => write!(f, "expected {expected}, found {found} at byte {offset}"),
        }
    }
}

impl Violation {
    /// Returns whether this violation reports a rule that could not be evaluated, rather than a
    /// broken rule. It is then unknown whether the payload is valid.
    pub fn is_failure(&self) -> bool {
        self.rule.is_some() && !self.found.is_empty()
    }

    /// Returns whether a required field is missing.
    pub(super) fn is_missing(&self) -> bool {
        self.expected == REQUIRED
    }

    /// Returns whether this violation, or one of the violations in `others`, reports a missing
    /// required field.
    pub(super) fn has_missing(&self) -> bool {
        self.is_missing() || self.others.iter().flatten().any(Self::is_missing)
    }
}

impl std::error::Error for Violation {}

/// The result of each step of a walk. The fault is boxed so that results fit into registers.
pub(super) type Checked<T> = Result<T, Box<Fault>>;

/// A violation whose path may still be incomplete. The path's segments are stored innermost first.
#[derive(Debug)]
pub(super) struct Fault {
    segments: Vec<String>,
    expected: String,
    found: String,
    /// The id of the rule that is broken or could not be evaluated; `None` for any other fault.
    rule: Option<Box<str>>,
    pub offset: usize,
    /// Further faults of the same message, list or map.
    others: Vec<Fault>,
    position: ReaderPosition,
}

/// The position of a walk's reader when a fault is found. The walk continues according to this
/// position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReaderPosition {
    /// Somewhere in the faulty value.
    Within,
    /// After the faulty value.
    After,
    /// At a position from which the walk cannot or must not continue.
    Lost,
}

impl Fault {
    #[cold]
    pub(crate) fn new(
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            segments: Vec::new(),
            expected: expected.into(),
            found: found.into(),
            rule: None,
            offset,
            others: Vec::new(),
            position: ReaderPosition::Within,
        })
    }

    /// Returns the fault of a value that breaks the rule `id` and that was read to its end.
    #[cold]
    pub(crate) fn broken(offset: usize, id: &str, message: &str) -> Box<Self> {
        let mut fault = Self::new(offset, message, "");
        fault.rule = Some(id.into());
        fault.after_value()
    }

    /// Returns the fault of the rule `id`, which could not be evaluated. `message` is the sentence
    /// that reports this, and `reason` is the cause. The walk does not continue after this fault.
    #[cold]
    pub(crate) fn failed(offset: usize, id: &str, message: &str, reason: &str) -> Box<Self> {
        let mut fault = Self::broken(offset, id, message);
        reason.clone_into(&mut fault.found);
        fault.position = ReaderPosition::Lost;
        fault
    }

    /// Declares that the faulty value can be skipped as a whole, even if its content is malformed.
    #[cold]
    pub(crate) fn inside_value(mut self: Box<Self>) -> Box<Self> {
        self.position = ReaderPosition::Within;
        self
    }

    /// Declares that the faulty value was read to its end.
    #[cold]
    pub(crate) fn after_value(mut self: Box<Self>) -> Box<Self> {
        self.position = ReaderPosition::After;
        self
    }

    /// Returns the fault of a payload that ends inside a value: `needed` bytes are expected, and
    /// only `left` bytes remain.
    #[cold]
    pub(crate) fn truncated(offset: usize, needed: impl fmt::Display, left: usize) -> Box<Self> {
        let needed = match needed.to_string().as_str() {
            "1" => "1 byte".to_owned(),
            needed => format!("{needed} bytes"),
        };
        Self::new(offset, needed, format!("only {left}"))
    }

    /// Returns the fault of a level deeper than `limits.depth` allows.
    #[cold]
    pub(crate) fn too_deep(offset: usize) -> Box<Self> {
        Self::new(offset, "nesting within the depth limit", "a deeper level")
    }

    fn is_failure(&self) -> bool {
        self.rule.is_some() && !self.found.is_empty()
    }

    fn is_same(&self, other: &Self) -> bool {
        let content = |fault: &Self| (fault.offset, fault.expected.clone(), fault.found.clone());
        content(self) == content(other)
    }

    fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Puts `segment` (a field's name, or `[…]`) before the current path of this fault, and before
    /// the path of each fault in `others`.
    #[cold]
    pub(crate) fn under(mut self: Box<Self>, segment: impl Into<String>) -> Box<Self> {
        let segment = segment.into();
        for fault in &mut self.others {
            fault.segments.push(segment.clone());
        }
        self.segments.push(segment);
        self
    }

    /// Rewords the fault as a fault of a map key.
    #[cold]
    pub(crate) fn as_key(mut self: Box<Self>) -> Box<Self> {
        self.expected.push_str(" as map key");
        self
    }

    /// Returns the fault as a violation, which includes the further faults if `all` is true. If one
    /// of the further faults is a rule that could not be evaluated, returns only that fault.
    pub(crate) fn into_violation(mut self, all: bool) -> Violation {
        let mut others = std::mem::take(&mut self.others);
        // If a rule could not be evaluated, the verdict is not known.
        if let Some(failed) = others.iter().position(Fault::is_failure) {
            return others.swap_remove(failed).without_others();
        }
        let others = others.into_iter();
        let mut first = self.without_others();
        first.others = all.then(|| others.map(Fault::without_others).collect());
        first
    }

    fn without_others(self) -> Violation {
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
            rule: self.rule,
            others: None,
        }
    }
}

/// The behaviour of a walk at a fault. Each walk is compiled once for each implementation, so a
/// walk that ends at the first fault ([`First`]) contains no code for gathering.
pub(super) trait Gather: Default {
    /// Keeps `fault` if the walk can continue after the faulty value. `pass` moves the reader past
    /// that value. Returns the fault as an error if the walk cannot or must not continue.
    fn keep(&mut self, fault: Box<Fault>, pass: impl FnOnce() -> Checked<()>) -> Checked<()>;

    /// Returns the result for a message, list or map. `end` is the result of the walk over this
    /// message, list or map.
    fn close(self, end: Checked<()>) -> Checked<()>;

    /// Runs `walk` over a message, a list or a map, and returns the result.
    #[inline]
    fn over(walk: impl FnOnce(&mut Self) -> Checked<()>) -> Checked<()> {
        let mut faults = Self::default();
        let end = walk(&mut faults);
        faults.close(end)
    }
}

/// Ends the walk at the first fault.
#[derive(Default)]
pub(super) struct First;

impl Gather for First {
    #[inline]
    fn keep(&mut self, fault: Box<Fault>, _: impl FnOnce() -> Checked<()>) -> Checked<()> {
        Err(fault)
    }

    #[inline]
    fn close(self, end: Checked<()>) -> Checked<()> {
        end
    }
}

/// Collects all faults of one message, list or map, and of its content, up to [`VIOLATIONS_MAX`].
#[derive(Default)]
pub(super) struct All {
    faults: Option<Box<Fault>>,
}

impl Gather for All {
    #[cold]
    fn keep(&mut self, mut fault: Box<Fault>, pass: impl FnOnce() -> Checked<()>) -> Checked<()> {
        let after = match fault.position {
            ReaderPosition::After => true,
            ReaderPosition::Within => match pass() {
                Ok(()) => true,
                Err(end) => {
                    if !end.is_same(&fault) {
                        fault.others.push(*end);
                    }
                    false
                }
            },
            ReaderPosition::Lost => false,
        };
        let before = self.faults.as_ref().map_or(0, |first| first.count());
        if !after || before + fault.count() >= VIOLATIONS_MAX {
            fault.position = ReaderPosition::Lost;
            return Err(fault);
        }
        self.add(fault);
        Ok(())
    }

    fn close(mut self, end: Checked<()>) -> Checked<()> {
        let position = match end {
            Ok(()) => ReaderPosition::After,
            Err(fault) => {
                let position = match fault.position {
                    ReaderPosition::After => ReaderPosition::After,
                    ReaderPosition::Within | ReaderPosition::Lost => ReaderPosition::Lost,
                };
                self.add(fault);
                position
            }
        };
        match self.faults {
            Some(mut first) => {
                first.position = position;
                Err(first)
            }
            None => Ok(()),
        }
    }
}

impl All {
    fn add(&mut self, mut fault: Box<Fault>) {
        match &mut self.faults {
            None => self.faults = Some(fault),
            Some(first) => {
                let others = std::mem::take(&mut fault.others);
                first.others.push(*fault);
                first.others.extend(others);
            }
        }
        if let Some(first) = &mut self.faults {
            first.others.truncate(VIOLATIONS_MAX - 1);
        }
    }
}

/// Returns the remaining depth for the next level of nesting, or a fault if `depth` is 0.
pub(super) fn deeper(depth: u32, offset: usize) -> Checked<u32> {
    depth.checked_sub(1).ok_or_else(|| Fault::too_deep(offset))
}

/// Quotes, escapes and shortens a text of a payload for use in a violation.
pub(super) fn excerpt(text: &[u8]) -> String {
    // A character has at most four bytes, so this part is enough, however long the text is.
    let head = &text[..text.len().min(EXCERPT_MAX * 4)];
    let mut shown: String = String::from_utf8_lossy(head)
        .chars()
        .take(EXCERPT_MAX)
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Returns a number and a noun in the singular or plural, such as `1 byte` or `2 bytes`.
pub(super) fn counted(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}
