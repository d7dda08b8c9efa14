//! The checks shared by the encodings that identify fields by name: each field occurs at most once,
//! each oneof has at most one member, and unknown names are reported with a suggestion.
//!
//! This module reads no payload and knows no encoding's bytes.

use crate::needs::IndexSet;
use crate::table::{Enum, Message};
use crate::violation::{Checked, Fault, NONE, Violation, excerpt};
use gateway_diagnostic::did_you_mean;

/// The fields that have been read so far in one occurrence of a message.
pub(super) struct Seen {
    /// The fields whose names were read, even if their values are null or wrong.
    named: IndexSet,
    /// The fields that are present, or `None` if no field is required.
    marked: Option<IndexSet>,
    /// The oneofs with a field that is present, or `None` if there are none so far.
    oneofs: Option<IndexSet>,
}

impl Seen {
    /// Returns the empty state of an occurrence. `tracked` is true if the message has required
    /// fields.
    #[inline]
    pub(crate) fn new(tracked: bool) -> Self {
        Self {
            named: IndexSet::default(),
            marked: tracked.then(IndexSet::default),
            oneofs: None,
        }
    }

    /// Adds a field whose key was read at `at`. A field that was added before is a violation.
    #[inline]
    pub(crate) fn name(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        if self.named.insert(index) {
            return Ok(());
        }
        let name = &*message.fields[index as usize].name;
        Err(Fault::new(at, "each field once", "the field again").under(name))
    }

    /// Adds a field after its name and value have been read. The field must not belong to a oneof.
    /// Returns false, and adds nothing, if the name of the field was read before.
    #[inline]
    pub(crate) fn name_and_mark(&mut self, index: u32) -> bool {
        let new = self.named.insert(index);
        if new {
            self.mark(index);
        }
        new
    }

    /// Marks a field as present, even if its value is wrong.
    #[inline]
    pub(crate) fn mark(&mut self, index: u32) {
        if let Some(marked) = &mut self.marked {
            marked.insert(index);
        }
    }

    /// Returns the fields that are present, or `None` if no field is required.
    #[inline]
    pub(crate) fn marked(&self) -> Option<&IndexSet> {
        self.marked.as_ref()
    }

    /// Marks a field as present. The key or value of the field is at `at`. A second field of the
    /// same oneof is a violation.
    #[inline]
    pub(crate) fn mark_member(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        self.mark(index);
        match message.fields[index as usize].oneof {
            Some(oneof) => self.member(message, index, oneof, at),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn member(&mut self, message: &Message, index: u32, oneof: u32, at: usize) -> Checked<()> {
        let oneofs = self.oneofs.get_or_insert_with(IndexSet::default);
        if oneofs.insert(oneof) {
            return Ok(());
        }
        let fault = Fault::new(at, "at most one field of the oneof", "a second field");
        Err(fault
            .after_value()
            .under(&*message.fields[index as usize].name))
    }
}

/// Returns the violation of a key that no field has.
#[cold]
pub(super) fn unknown_key(message: &Message, key: &[u8], at: usize) -> Box<Fault> {
    let mut expected = format!("a field of {}", message.name);
    let guess = String::from_utf8_lossy(short(key));
    if let Some(near) = did_you_mean(&guess, message.field_names()) {
        expected = format!("{expected} (did you mean {near:?}?)");
    }
    Fault::new(at, expected, format!("the key {}", excerpt(key)))
}

/// If an unknown key was probably meant as a missing required field, adds the key to the violation
/// of that field. `unknown` holds the violations of a second walk over the payload, which also
/// rejects unknown keys.
#[cold]
pub(super) fn name_near_keys(violation: &mut Violation, unknown: &Violation) {
    let unknown = || std::iter::once(unknown).chain(unknown.others.iter().flatten());
    let mut others = violation.others.take();
    let all = std::iter::once(&mut *violation).chain(others.iter_mut().flatten());
    for missing in all {
        if !missing.is_missing() {
            continue;
        }
        let (parent, name) = missing.path.rsplit_once('.').unwrap_or(("", &missing.path));
        let means = |key: &&Violation| {
            let near = key.expected.rsplit_once("(did you mean \"");
            let near = near.and_then(|(_, near)| near.strip_suffix("\"?)"));
            key.path == parent && near.is_some_and(|near| is_same_field(near, name))
        };
        if let Some(key) = unknown().find(means) {
            missing.found = format!("{NONE}, but there is {}", key.found);
        }
    }
    violation.others = others;
}

/// Returns whether two names may be the `.proto` name and the JSON name of the same field.
fn is_same_field(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.replace('_', "").to_ascii_lowercase();
    letters(one) == letters(other)
}

/// Returns the violation of a name that no value of an enum has.
#[cold]
pub(super) fn unknown_value(enum_type: &Enum, name: &[u8], at: usize) -> Box<Fault> {
    let known = enum_type.names.keys().map(|name| &**name);
    let near = did_you_mean(&String::from_utf8_lossy(short(name)), known);
    let expected = format!("a value of enum {}", enum_type.name);
    let expected = match near {
        Some(near) => format!("{expected} (did you mean {near:?}?)"),
        None if enum_type.names.len() <= VALUES_LISTED_MAX => {
            let mut values: Vec<_> = enum_type.names.iter().collect();
            values.sort_unstable_by_key(|(name, number)| (**number, &**name));
            let names: Vec<&str> = values.into_iter().map(|(name, _)| &**name).collect();
            format!("{expected} ({})", names.join(", "))
        }
        None => expected,
    };
    Fault::new(at, expected, format!("the name {}", excerpt(name)))
}

/// The maximum number of names of an enum that a violation lists. The names are listed if none of
/// them is similar to the unknown name. A longer list would be hard to read.
const VALUES_LISTED_MAX: usize = 8;

/// The maximum number of bytes of a name that are compared with known names. Further bytes are
/// ignored, because the comparison of long names would take time.
const GUESS_MAX: usize = 64;

/// Returns the first [`GUESS_MAX`] bytes of `text`.
fn short(text: &[u8]) -> &[u8] {
    &text[..text.len().min(GUESS_MAX)]
}
