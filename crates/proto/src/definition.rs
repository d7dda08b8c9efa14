//! Where the messages and enums that schemas use are written, and what their authors have set aside.
//!
//! Made by the compiler (`definitions.rs`), kept by a snapshot for as long as it serves, so that
//! what a later edit changes can be shown beside what it was. No walk reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use gateway_diagnostic::Place;

/// The definitions of one generation, by full name: of what its schemas reach, and nothing else.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Messages by full name.
    pub messages: BTreeMap<String, Definition>,
    /// Enums by full name.
    pub enums: BTreeMap<String, Definition>,
}

/// A message or an enum as it is written.
#[derive(Debug, Default)]
pub struct Definition {
    /// Its name; none for what came with the gateway.
    pub place: Option<Place>,
    /// The names of its fields or values.
    pub parts: BTreeMap<String, Place>,
    /// Numbers that nothing may have, ascending.
    pub reserved: Vec<RangeInclusive<i32>>,
    /// Names that nothing may have.
    pub reserved_names: BTreeSet<String>,
}

impl Definition {
    /// Returns the place of the field or value of this name, or else the place of the definition.
    pub fn place_of(&self, part: &str) -> Option<Place> {
        self.parts.get(part).or(self.place.as_ref()).cloned()
    }

    /// Returns whether the number is reserved.
    pub fn reserves(&self, number: i32) -> bool {
        let at = self.reserved.partition_point(|range| *range.end() < number);
        self.reserved
            .get(at)
            .is_some_and(|range| range.contains(&number))
    }

    /// Returns whether the name is reserved.
    pub fn reserves_name(&self, name: &str) -> bool {
        self.reserved_names.contains(name)
    }
}
