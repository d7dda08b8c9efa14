//! A message whose fields are being read. The fields may occur in any order, and several times.

use gateway_cel::Value;
use rustc_hash::FxHashMap;

use super::tree::Node;
use crate::rules::unique::Distincts;

/// The maximum number of fields that are searched one by one. For more fields, a hash map is used.
const LINEAR_SEARCH_MAX: usize = 16;

/// The fields of a message that were read so far.
#[derive(Default)]
pub(super) struct Building<'a> {
    /// The byte where the message begins.
    pub at: usize,
    /// The fields by their indices. The content is `None` if no value was read so far, or if
    /// another member of the oneof has replaced the field.
    pub fields: Vec<(u32, Option<Part<'a>>)>,
    /// The positions in `fields` by the indices of the fields, if there are more than
    /// [`LINEAR_SEARCH_MAX`] fields.
    places: FxHashMap<u32, usize>,
    /// The oneofs with a field that is set, each with the index of this field.
    members: Vec<(u32, u32)>,
    /// The positions in `members` by the indices of the oneofs, if there are more than
    /// [`LINEAR_SEARCH_MAX`] oneofs.
    member_places: FxHashMap<u32, usize>,
}

/// The content of a field that was read so far.
pub(super) enum Part<'a> {
    One(Node<'a>),
    Message(Box<Building<'a>>),
    List {
        at: usize,
        elements: Vec<Node<'a>>,
    },
    Map {
        at: usize,
        entries: Vec<(Node<'a>, Node<'a>)>,
        keys: Distincts<'a>,
    },
}

impl<'a> Building<'a> {
    /// Returns a message without fields, which begins at the byte `at`.
    pub(super) fn new(at: usize) -> Self {
        Self {
            at,
            ..Self::default()
        }
    }

    /// Returns the content of the field of this index, which is `None` if no value of the field was
    /// read so far.
    pub(super) fn field(&mut self, index: u32) -> &mut Option<Part<'a>> {
        let place = place(&self.fields, &self.places, index);
        let place = place.unwrap_or_else(|| {
            self.fields.push((index, None));
            record_last_place(&self.fields, &mut self.places);
            self.fields.len() - 1
        });
        &mut self.fields[place].1
    }

    /// Records that the field of this index is set in a oneof. If another field of the oneof was
    /// set before, clears that field.
    pub(super) fn choose(&mut self, oneof: u32, index: u32) {
        let place = place(&self.members, &self.member_places, oneof);
        let Some(place) = place else {
            self.members.push((oneof, index));
            record_last_place(&self.members, &mut self.member_places);
            return;
        };
        let before = std::mem::replace(&mut self.members[place].1, index);
        if before != index {
            *self.field(before) = None;
        }
    }

    /// Takes the value of a scalar field. Returns `None` if the field is not set or holds an error
    /// instead of a value.
    pub(super) fn take(&mut self, index: Option<u32>) -> Option<Value<'a>> {
        match self.field(index?).take()? {
            Part::One(node) => node.value.ok(),
            _ => None,
        }
    }
}

fn place<T>(entries: &[(u32, T)], places: &FxHashMap<u32, usize>, key: u32) -> Option<usize> {
    if entries.len() > LINEAR_SEARCH_MAX {
        return places.get(&key).copied();
    }
    entries.iter().position(|(other, _)| *other == key)
}

/// Adds the key and the index of the last of `entries` to `places`. Adds nothing for up to
/// [`LINEAR_SEARCH_MAX`] entries, and adds all entries once there is one more.
fn record_last_place<T>(entries: &[(u32, T)], places: &mut FxHashMap<u32, usize>) {
    match entries.len() {
        0..=LINEAR_SEARCH_MAX => {}
        count if count == LINEAR_SEARCH_MAX + 1 => {
            places.extend(entries.iter().enumerate().map(|(at, (key, _))| (*key, at)));
        }
        count => {
            places.insert(entries[count - 1].0, count - 1);
        }
    }
}
