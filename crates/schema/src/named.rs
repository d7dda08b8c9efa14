//! What the encodings that key fields by name have in common: a field once, a oneof's member once,
//! and what is said of names that nobody knows.
//!
//! It reads no payload and knows no encoding's bytes.

use crate::needs::FieldSet;
use crate::table::{Enum, Message};
use crate::violation::{Checked, Fault, excerpt};
use gateway_diagnostic::did_you_mean;

/// What one occurrence of a message holds so far.
pub(super) struct Seen {
    /// Fields whose names were read, with whatever value.
    named: FieldSet,
    /// Those that are not absent; none where nothing is asked of it.
    marked: Option<FieldSet>,
    /// The oneofs that have a member.
    oneofs: Option<FieldSet>,
}

impl Seen {
    /// Nothing so far, of an occurrence that is `tracked` if some of its fields must be there.
    #[inline]
    pub fn new(tracked: bool) -> Self {
        Self {
            named: FieldSet::default(),
            marked: tracked.then(FieldSet::default),
            oneofs: None,
        }
    }

    /// A field's key was read at `at`.
    #[inline]
    pub fn name(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        if self.named.insert(index) {
            return Ok(());
        }
        let name = &*message.fields[index as usize].name;
        Err(Fault::new(at, "each field once", "it again").under(name))
    }

    /// A field of no oneof was read, name and value; false, and nothing is noted, if it was named before.
    #[inline]
    pub fn name_and_mark(&mut self, index: u32) -> bool {
        let new = self.named.insert(index);
        if new {
            self.mark(index);
        }
        new
    }

    /// A field is there, though its value may be wrong.
    #[inline]
    pub fn mark(&mut self, index: u32) {
        if let Some(marked) = &mut self.marked {
            marked.insert(index);
        }
    }

    /// The fields that are there, if anything is asked of them.
    #[inline]
    pub fn marked(&self) -> Option<&FieldSet> {
        self.marked.as_ref()
    }

    /// A field whose key or value lies at `at` is there, as the only one of its oneof if it is of one.
    #[inline]
    pub fn mark_member(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        self.mark(index);
        match message.fields[index as usize].oneof {
            Some(oneof) => self.member(message, index, oneof, at),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn member(&mut self, message: &Message, index: u32, oneof: u32, at: usize) -> Checked<()> {
        let oneofs = self.oneofs.get_or_insert_with(FieldSet::default);
        if oneofs.insert(oneof) {
            return Ok(());
        }
        let fault = Fault::new(at, "at most one field of its oneof", "a second one");
        Err(fault.behind().under(&*message.fields[index as usize].name))
    }
}

/// A key that no field has.
#[cold]
pub(super) fn unknown_key(message: &Message, key: &[u8], at: usize) -> Box<Fault> {
    let mut expected = format!("a field of {}", message.name);
    let guess = String::from_utf8_lossy(short(key));
    if let Some(near) = did_you_mean(&guess, message.field_names()) {
        expected = format!("{expected} (did you mean {near:?}?)");
    }
    Fault::new(at, expected, format!("the key {}", excerpt(key)))
}

/// A name that no value of an enum has.
#[cold]
pub(super) fn unknown_value(one: &Enum, name: &[u8], at: usize) -> Box<Fault> {
    let known = one.names.keys().map(|name| &**name);
    let near = did_you_mean(&String::from_utf8_lossy(short(name)), known);
    let mut expected = format!("a value of enum {}", one.name);
    if let Some(near) = near {
        expected = format!("{expected} (did you mean {near:?}?)");
    }
    Fault::new(at, expected, format!("the name {}", excerpt(name)))
}

/// Longer names than this are near to none, and comparing them would cost.
const LONGEST_GUESS: usize = 64;

/// So much of a payload's text as is worth comparing with names.
fn short(text: &[u8]) -> &[u8] {
    &text[..text.len().min(LONGEST_GUESS)]
}
