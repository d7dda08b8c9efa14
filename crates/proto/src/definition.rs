//! The places at which the messages and enums of schemas are defined, and the numbers and names
//! that these messages and enums reserve.
//!
//! The compiler collects these definitions (`definitions.rs`). The gateway keeps the definitions of
//! the schemas in use, so that the report on a later edit can show the changed definition. Payloads
//! are checked without the definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use gateway_diagnostic::Place;

/// The definitions of the messages and enums that the schemas of one configuration use.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// Messages by full name.
    pub messages: BTreeMap<String, Definition>,
    /// Enums by full name.
    pub enums: BTreeMap<String, Definition>,
}

/// The definition of a message or an enum.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// The place of the name of the message or enum, or `None` if the definition came with the
    /// gateway.
    pub place: Option<Place>,
    /// The places of the fields of the message or of the values of the enum, by name.
    pub parts: BTreeMap<String, Place>,
    /// The reserved numbers, ascending.
    pub reserved: Vec<RangeInclusive<i32>>,
    /// The reserved names.
    pub reserved_names: BTreeSet<String>,
}

impl Definition {
    /// Returns the place of the field or value of this name, or the place of the definition if
    /// there is no such field or value. Returns `None` if the definition came with the gateway.
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
