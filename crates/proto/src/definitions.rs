//! Conversion of descriptors to [`Definitions`]: places and reservations of messages and enums.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

use protobuf::descriptor::{DescriptorProto, EnumDescriptorProto};

use crate::definition::{Definition, Definitions};
use crate::descriptors::{DescriptorAt, Descriptors};
use crate::path::{self, below, index};
use crate::places::Places;
use crate::symbols::full_name;
use gateway_diagnostic::Place;

impl Descriptors {
    /// Returns the definitions of these messages, and of all messages and enums that their fields
    /// use, directly or indirectly.
    pub fn definitions<'a>(&'a self, messages: impl IntoIterator<Item = &'a str>) -> Definitions {
        let mut made = Definitions::default();
        let mut places = InFiles::new(self);
        let enums = self.enums();
        let mut open: Vec<&str> = messages.into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(name) = open.pop() {
            let (Some(message), true) = (self.message(name), seen.insert(name)) else {
                continue;
            };
            let Some(at) = self.messages.get(name) else {
                continue;
            };
            made.messages
                .insert(name.to_owned(), of_message(message, at, &mut places));
            for field in &message.field {
                let kind = field.type_name().trim_start_matches('.');
                match enums.get(kind) {
                    Some((one, at)) if !made.enums.contains_key(kind) => {
                        let definition = of_enum(one, at, &mut places);
                        made.enums.insert(kind.to_owned(), definition);
                    }
                    _ => open.push(kind),
                }
            }
        }
        made
    }

    /// Returns every enum by its full name.
    fn enums(&self) -> HashMap<String, (&EnumDescriptorProto, DescriptorAt)> {
        let mut all = HashMap::new();
        for (file, descriptor) in self.files.iter().enumerate() {
            for (at, one) in descriptor.enum_type.iter().enumerate() {
                let path = vec![path::FILE_ENUM, index(at)];
                let name = full_name(descriptor.package(), one.name());
                all.insert(name, (one, DescriptorAt { file, path }));
            }
        }
        for (scope, DescriptorAt { file, path }) in &self.messages {
            let nested = self.message(scope).into_iter().flat_map(|m| &m.enum_type);
            for (at, one) in nested.enumerate() {
                let path = below(path, path::MESSAGE_ENUM, at);
                let found = DescriptorAt { file: *file, path };
                all.insert(full_name(scope, one.name()), (one, found));
            }
        }
        all
    }
}

fn of_message(
    message: &DescriptorProto,
    at: &DescriptorAt,
    places: &mut InFiles<'_>,
) -> Definition {
    let fields = message.field.iter().enumerate().filter_map(|(n, field)| {
        let place = places.of(at, &[path::MESSAGE_FIELD, index(n), path::NAME])?;
        Some((field.name().to_owned(), place))
    });
    Definition {
        parts: fields.collect(),
        place: places.of(at, &[path::NAME]),
        // A message's ranges exclude their end.
        reserved: sorted(
            (message.reserved_range.iter())
                .map(|range| range.start()..=range.end().saturating_sub(1)),
        ),
        reserved_names: message.reserved_name.iter().cloned().collect(),
    }
}

fn of_enum(one: &EnumDescriptorProto, at: &DescriptorAt, places: &mut InFiles<'_>) -> Definition {
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

/// The places in each file for which they were requested. Files that came with the gateway have
/// none.
struct InFiles<'a> {
    descriptors: &'a Descriptors,
    files: BTreeMap<usize, Option<Places<'a>>>,
}

impl<'a> InFiles<'a> {
    fn new(descriptors: &'a Descriptors) -> Self {
        Self {
            descriptors,
            files: BTreeMap::new(),
        }
    }

    fn of(&mut self, at: &DescriptorAt, part: &[i32]) -> Option<Place> {
        let places = self.files.entry(at.file);
        let places = places.or_insert_with(|| self.descriptors.places(at.file));
        Some(places.as_ref()?.at(&[&at.path, part].concat()))
    }
}
