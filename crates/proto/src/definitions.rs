//! Conversion of descriptors to [`Definitions`]: places and reservations of messages and enums.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use protobuf::descriptor::{DescriptorProto, EnumDescriptorProto};

use crate::definition::{Definition, Definitions};
use crate::descriptors::{Descriptors, TypeAt};
use crate::path::{self, index};
use crate::places::Places;
use gateway_diagnostic::Place;

impl Descriptors {
    /// Returns the definitions of these messages, and of all messages and enums that their fields
    /// use, directly or indirectly.
    pub fn definitions<'a>(&'a self, messages: impl IntoIterator<Item = &'a str>) -> Definitions {
        let mut made = Definitions::default();
        let mut places = FilePlaces::new(self);
        let mut open: Vec<&str> = messages.into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            if let Some(one) = self.enum_at(name) {
                let definition = of_enum(&one, &mut places);
                made.enums.insert(name.to_owned(), definition);
            } else if let Some(message) = self.message_at(name) {
                let definition = of_message(&message, &mut places);
                made.messages.insert(name.to_owned(), definition);
                let types = message.descriptor.field.iter();
                open.extend(types.map(|field| field.type_name().trim_start_matches('.')));
            }
        }
        made
    }
}

fn of_message(at: &TypeAt<'_, DescriptorProto>, places: &mut FilePlaces<'_>) -> Definition {
    let message = at.descriptor;
    let fields = message.field.iter().enumerate().filter_map(|(n, field)| {
        let place = places.of(at, &[path::MESSAGE_FIELD, index(n), path::NAME])?;
        Some((field.name().to_owned(), place))
    });
    Definition {
        parts: fields.collect(),
        place: places.of(at, &[path::NAME]),
        // Unlike a reserved range of an enum, a reserved range of a message excludes its end.
        reserved: sorted(
            (message.reserved_range.iter())
                .map(|range| range.start()..=range.end().saturating_sub(1)),
        ),
        reserved_names: message.reserved_name.iter().cloned().collect(),
    }
}

fn of_enum(at: &TypeAt<'_, EnumDescriptorProto>, places: &mut FilePlaces<'_>) -> Definition {
    let one = at.descriptor;
    let values = one.value.iter().enumerate().filter_map(|(n, value)| {
        let place = places.of(at, &[path::ENUM_VALUE, index(n), path::NAME])?;
        Some((value.name().to_owned(), place))
    });
    Definition {
        parts: values.collect(),
        place: places.of(at, &[path::NAME]),
        reserved: sorted((one.reserved_range.iter()).map(|range| range.start()..=range.end())),
        reserved_names: one.reserved_name.iter().cloned().collect(),
    }
}

fn sorted(ranges: impl Iterator<Item = RangeInclusive<i32>>) -> Vec<RangeInclusive<i32>> {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|range| *range.start());
    ranges
}

/// The places in each file that was looked up so far. Files that come with the gateway have no
/// places.
struct FilePlaces<'a> {
    descriptors: &'a Descriptors,
    files: BTreeMap<usize, Option<Places<'a>>>,
}

impl<'a> FilePlaces<'a> {
    fn new(descriptors: &'a Descriptors) -> Self {
        Self {
            descriptors,
            files: BTreeMap::new(),
        }
    }

    fn of<D>(&mut self, at: &TypeAt<'_, D>, part: &[i32]) -> Option<Place> {
        let places = self.files.entry(at.file);
        let places = places.or_insert_with(|| self.descriptors.places(at.file));
        Some(places.as_ref()?.at(&[at.path, part].concat()))
    }
}
