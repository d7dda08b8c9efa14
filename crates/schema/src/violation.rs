//! What is wrong with a payload, and where.
//!
//! A walk that fails makes a [`Fault`] where it stands and adds one path segment per level as its
//! recursion unwinds; at the top it becomes a [`Violation`]. Where all violations are asked for, each
//! level [gathers](Gather) what it can get past. All of it is cold: nothing here runs for a payload
//! that passes.

use std::fmt;

/// Longest part of a payload's own text (a key, an enum's name) that a violation repeats, in
/// characters.
const EXCERPT: usize = 48;

/// The most violations that are told of one payload: enough to mend it by, and a bound on the answer
/// to a payload that is wrong everywhere.
pub(super) const MOST: usize = 16;

/// What is wrong with a payload, and where.
///
/// Displays as one sentence: `address.zip: expected int32, found a string at byte 7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `address.lines[3].zip` or `tags["k"]`; empty for the message itself.
    pub path: String,
    /// What the schema expects. For a broken rule, the rule in words.
    pub expected: String,
    /// What the payload holds. Empty for a broken rule.
    pub found: String,
    /// The offset in bytes from the start of the payload. For a broken rule, the offset of the value or, if the
    /// value is absent, of the message that lacks the value.
    pub offset: usize,
    /// The id of the `buf.validate` rule that the payload breaks; `None` for any other violation.
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
        if let Some(rule) = rule {
            return write!(f, "{expected} (rule {rule})");
        }
        write!(f, "expected {expected}, found {found} at byte {offset}")
    }
}

impl std::error::Error for Violation {}

/// One level of a path into a payload.
pub(super) struct Step {
    pub field: String,
    /// Which element, `[3]`, or which key, `["k"]`.
    pub inside: Option<String>,
}

/// What each step of a walk gives. The fault is boxed so that success stays in registers.
pub(super) type Checked<T> = Result<T, Box<Fault>>;

/// A violation whose path is still growing, innermost segment first.
#[derive(Debug)]
pub(super) struct Fault {
    segments: Vec<String>,
    expected: String,
    found: String,
    /// The id of the rule that is broken, if the fault is that.
    rule: Option<Box<str>>,
    pub offset: usize,
    /// Further faults of the same message, list or map.
    others: Vec<Fault>,
    standing: Standing,
}

/// Where a walk's reader stands once a fault is known: what going on needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Somewhere in the value at fault.
    Within,
    /// Behind it.
    Behind,
    /// Where nothing can be read any more.
    Lost,
}

impl Fault {
    #[cold]
    pub fn new(offset: usize, expected: impl Into<String>, found: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            segments: Vec::new(),
            expected: expected.into(),
            found: found.into(),
            rule: None,
            offset,
            others: Vec::new(),
            standing: Standing::Within,
        })
    }

    /// A value breaks the rule of this id, which says `message` of it; it was read to its end.
    #[cold]
    pub fn broken(offset: usize, id: &str, message: &str) -> Box<Self> {
        let mut fault = Self::new(offset, message, "");
        fault.rule = Some(id.into());
        fault.behind()
    }

    /// The value at fault ends where its length says, whatever lies in it.
    #[cold]
    pub fn within(mut self: Box<Self>) -> Box<Self> {
        self.standing = Standing::Within;
        self
    }

    /// The value at fault was read to its end.
    #[cold]
    pub fn behind(mut self: Box<Self>) -> Box<Self> {
        self.standing = Standing::Behind;
        self
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

    fn tells_the_same(&self, other: &Self) -> bool {
        let of = |fault: &Self| (fault.offset, fault.expected.clone(), fault.found.clone());
        of(self) == of(other)
    }

    fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Puts `segment` (a field's name, or `[…]`) before the path so far.
    #[cold]
    pub fn under(mut self: Box<Self>, segment: impl Into<String>) -> Box<Self> {
        let segment = segment.into();
        for fault in &mut self.others {
            fault.segments.push(segment.clone());
        }
        self.segments.push(segment);
        self
    }

    /// What was expected was expected of a map's key.
    #[cold]
    pub fn as_key(mut self: Box<Self>) -> Box<Self> {
        self.expected.push_str(" as map key");
        self
    }

    /// The violation; with what else was found if `all` was asked for.
    pub fn into_violation(mut self, all: bool) -> Violation {
        let others = std::mem::take(&mut self.others).into_iter();
        let mut first = self.alone();
        first.others = all.then(|| others.map(Fault::alone).collect());
        first
    }

    fn alone(self) -> Violation {
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

/// What a walk does behind a fault. Two walks are compiled, so that the one that every payload takes
/// carries nothing of the other.
pub(super) trait Gather: Default {
    /// Keeps `fault` if the walk may go on behind it, which `pass` gets the reader to; gives it back
    /// if it may not.
    fn keep(&mut self, fault: Box<Fault>, pass: impl FnOnce() -> Checked<()>) -> Checked<()>;

    /// What became of the whole, of which `end` is what the walk ended with.
    fn close(self, end: Checked<()>) -> Checked<()>;

    /// What becomes of a message, a list or a map, by `walk`.
    #[inline]
    fn over(walk: impl FnOnce(&mut Self) -> Checked<()>) -> Checked<()> {
        let mut faults = Self::default();
        let end = walk(&mut faults);
        faults.close(end)
    }
}

/// The first fault ends the walk.
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

/// All faults of one message, list or map, and of what lies in it, up to [`MOST`].
#[derive(Default)]
pub(super) struct All {
    faults: Option<Box<Fault>>,
}

impl Gather for All {
    #[cold]
    fn keep(&mut self, mut fault: Box<Fault>, pass: impl FnOnce() -> Checked<()>) -> Checked<()> {
        let behind = match fault.standing {
            Standing::Behind => true,
            Standing::Within => match pass() {
                Ok(()) => true,
                Err(end) => {
                    if !end.tells_the_same(&fault) {
                        fault.others.push(*end);
                    }
                    false
                }
            },
            Standing::Lost => false,
        };
        let before = self.faults.as_ref().map_or(0, |first| first.count());
        if !behind || before + fault.count() >= MOST {
            fault.standing = Standing::Lost;
            return Err(fault);
        }
        self.add(fault);
        Ok(())
    }

    fn close(mut self, end: Checked<()>) -> Checked<()> {
        let standing = match end {
            Ok(()) => Standing::Behind,
            Err(fault) => {
                let standing = match fault.standing {
                    Standing::Behind => Standing::Behind,
                    Standing::Within | Standing::Lost => Standing::Lost,
                };
                self.add(fault);
                standing
            }
        };
        match self.faults {
            Some(mut first) => {
                first.standing = standing;
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
            first.others.truncate(MOST - 1);
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

/// Returns a number of things for a sentence: `1 byte`, `2 bytes`.
pub(super) fn counted(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}
