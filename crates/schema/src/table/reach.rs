//! The choice of the messages and enums that a table holds.

use super::declared::{Declared, DeclaredType};
use super::root::{ANY, Root};
use super::{EnumId, MessageId};

/// The index that each declared message and enum has in the table, or `None` for definitions that
/// the table does not hold.
pub(super) struct Chosen {
    pub(super) messages: Vec<Option<MessageId>>,
    pub(super) enums: Vec<Option<EnumId>>,
}

impl Chosen {
    /// Chooses all messages and enums.
    pub(super) fn all(declared: &Declared) -> Self {
        Self::numbered(
            &vec![true; declared.messages.len()],
            &vec![true; declared.enums.len()],
        )
    }

    /// Chooses `roots`, the wanted types, and all types that the fields and extensions of these
    /// types refer to, directly or indirectly. A type is wanted if `wanted` returns true for its
    /// full name. Roots that are not declared are ignored. If a root with `opens_any` refers to
    /// `google.protobuf.Any`, directly or indirectly, all messages and enums are chosen.
    pub(super) fn reached(
        declared: &Declared,
        roots: &[Root],
        wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let mut reach = Reach {
            declared,
            messages: vec![false; declared.messages.len()],
            enums: vec![false; declared.enums.len()],
        };
        let named = |root: &Root| declared.named(root.name);
        let opening = roots.iter().filter(|root| root.opens_any);
        reach.add(opening.filter_map(named).collect());
        if let Some(DeclaredType::Message(any)) = declared.named(ANY)
            && reach.messages[any]
        {
            return Self::all(declared);
        }
        reach.add(roots.iter().filter_map(named).collect());
        reach.add(declared.types(wanted).collect());
        Self::numbered(&reach.messages, &reach.enums)
    }

    /// Numbers the chosen messages and enums in the order in which they are declared.
    fn numbered(messages: &[bool], enums: &[bool]) -> Self {
        let mut number = 0..;
        let messages = messages.iter();
        let messages = messages.map(|set| set.then(|| number.next().map(MessageId)).flatten());
        let mut number = 0..;
        let enums = enums.iter();
        let enums = enums.map(|set| set.then(|| number.next().map(EnumId)).flatten());
        Self {
            messages: messages.collect(),
            enums: enums.collect(),
        }
    }
}

/// The types that were reached so far.
struct Reach<'d, 'a> {
    declared: &'d Declared<'a>,
    messages: Vec<bool>,
    enums: Vec<bool>,
}

impl Reach<'_, '_> {
    /// Adds the types in `pending`, and all types that they reach.
    fn add(&mut self, mut pending: Vec<DeclaredType>) {
        // A list takes the place of recursion, because messages may refer to each other in chains
        // of any length.
        while let Some(ty) = pending.pop() {
            match ty {
                DeclaredType::Enum(at) => self.enums[at] = true,
                DeclaredType::Message(at) => {
                    if !std::mem::replace(&mut self.messages[at], true) {
                        let types = self.declared.types_of(&self.declared.messages[at]);
                        pending.extend(types.flatten().flatten());
                    }
                }
            }
        }
    }
}
