//! Checks reserved ranges and extension ranges, and the numbers of fields and values within them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use protobuf::descriptor::{DescriptorProto, EnumDescriptorProto};

use super::Check;
use crate::parser::FIELD_NUMBER_MAX;
use crate::path::{self, below};
use gateway_diagnostic::Diagnostic;

/// A range of numbers in a message or enum, including both ends. The range is empty if it is
/// written with the end before the start.
struct NumberRange {
    range: RangeInclusive<i64>,
    reserved: bool,
    path: Vec<i32>,
}

impl<'a> Check<'a, '_, '_> {
    pub(super) fn message_ranges(&mut self, message: &'a DescriptorProto, at: &[i32]) {
        // In a descriptor, the end of a message's range is exclusive.
        let ends = |start: i32, end: i32| i64::from(start)..=i64::from(end) - 1;
        let mut all = Vec::new();
        for (i, r) in message.reserved_range.iter().enumerate() {
            let path = below(at, path::MESSAGE_RESERVED, i);
            all.push(NumberRange {
                range: ends(r.start(), r.end()),
                reserved: true,
                path,
            });
        }
        for (i, r) in message.extension_range.iter().enumerate() {
            let path = below(at, path::MESSAGE_EXTENSION_RANGE, i);
            if self.is_proto3() {
                let help = "use a proto2 file, or google.protobuf.Any";
                self.report.fault(
                    "extension ranges are not allowed in proto3",
                    &path,
                    "",
                    help,
                );
            }
            let max = match message.options.message_set_wire_format() {
                true => i64::from(i32::MAX) - 1,
                false => i64::from(FIELD_NUMBER_MAX),
            };
            if i64::from(r.end()) - 1 > max {
                let label = format!("expected numbers up to {max}");
                self.report.fault(
                    "the extension range ends after the largest field number",
                    &path,
                    &label,
                    "write \"to max\"",
                );
            }
            all.push(NumberRange {
                range: ends(r.start(), r.end()),
                reserved: false,
                path,
            });
        }
        for numbers in &all {
            if *numbers.range.start() < 1 {
                let text = format!("{} can't be a field's number", numbers.range.start());
                self.report.fault(
                    text,
                    &numbers.path,
                    "expected a range that starts at 1 or above",
                    "",
                );
            }
        }
        self.declarations(message, at);
        let sound = self.ranges(all);
        let fields = message.field.iter().enumerate();
        let fields = fields.map(|(i, f)| (f.number(), f.name(), below(at, path::MESSAGE_FIELD, i)));
        self.numbers_in(&sound, fields, "field");
    }

    pub(super) fn enum_ranges(&mut self, e: &EnumDescriptorProto, at: &[i32]) {
        let ranges = e
            .reserved_range
            .iter()
            .enumerate()
            .map(|(i, r)| NumberRange {
                range: i64::from(r.start())..=i64::from(r.end()),
                reserved: true,
                path: below(at, path::ENUM_RESERVED, i),
            });
        let sound = self.ranges(ranges.collect());
        let values = e.value.iter().enumerate();
        let values = values.map(|(i, v)| (v.number(), v.name(), below(at, path::ENUM_VALUE, i)));
        self.numbers_in(&sound, values, "enum value");
    }

    /// Checks that no range is reversed and that no two ranges overlap. Returns the ranges that are
    /// not reversed, by their start.
    fn ranges(&mut self, mut all: Vec<NumberRange>) -> BTreeMap<i64, NumberRange> {
        all.retain(|numbers| {
            let reversed = numbers.range.is_empty();
            if reversed {
                let text = "the range ends before it starts";
                self.report.fault(
                    text,
                    &numbers.path,
                    "expected LOW to HIGH",
                    "exchange the two numbers",
                );
            }
            !reversed
        });
        // The ranges are in the order of their starts. If a range overlaps with any earlier range,
        // it overlaps with the earlier range that ends last, so only these two are compared.
        all.sort_by_key(|numbers| *numbers.range.start());
        let mut furthest: Option<&NumberRange> = None;
        for numbers in &all {
            if let Some(earlier) = furthest {
                if numbers.range.start() <= earlier.range.end() {
                    self.overlap(numbers, earlier);
                }
                if numbers.range.end() <= earlier.range.end() {
                    continue;
                }
            }
            furthest = Some(numbers);
        }
        all.into_iter()
            .map(|numbers| (*numbers.range.start(), numbers))
            .collect()
    }

    /// Reports an overlap at the range that is written later.
    fn overlap(&mut self, a: &NumberRange, b: &NumberRange) {
        self.report.push_with(|report| {
            let line = |numbers: &NumberRange| {
                let place = report.place(&numbers.path);
                (place.line, place.column)
            };
            let (later, earlier) = if line(a) < line(b) { (b, a) } else { (a, b) };
            Diagnostic::error(format!("{later} overlaps with {earlier}"))
                .at(report.place(&later.path))
                .note(format!("{earlier} is at {}", report.place(&earlier.path)))
                .help("put each number into one range only")
        });
    }

    /// Reports fields and values whose numbers are in one of the ranges.
    fn numbers_in<'n>(
        &mut self,
        ranges: &BTreeMap<i64, NumberRange>,
        used: impl Iterator<Item = (i32, &'n str, Vec<i32>)>,
        what: &str,
    ) {
        if ranges.is_empty() {
            return;
        }
        for (number, name, own) in used {
            let number = i64::from(number);
            let nearest = ranges
                .range(..=number)
                .next_back()
                .map(|(_, numbers)| numbers);
            let Some(numbers) = nearest.filter(|numbers| numbers.range.contains(&number)) else {
                continue;
            };
            self.report.push_with(|report| {
                let text = match numbers.reserved {
                    true => format!("{what} {name} has the reserved number {number}"),
                    false => {
                        format!("{what} {name} has the number {number}, which is for extensions")
                    }
                };
                // `FieldDescriptorProto.number` and `EnumValueDescriptorProto.number` have
                // different field numbers.
                let number_field = if what == "field" {
                    path::FIELD_NUMBER
                } else {
                    path::VALUE_NUMBER
                };
                Diagnostic::error(text)
                    .at(report.place(&below(&own, number_field, None)))
                    .note(format!("{numbers} is at {}", report.place(&numbers.path)))
                    .help("choose another number")
            });
        }
    }
}

impl std::fmt::Display for NumberRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.reserved {
            "reserved"
        } else {
            "extension"
        };
        let (start, end) = self.range.clone().into_inner();
        match start == end {
            true => write!(f, "{kind} number {start}"),
            false => write!(f, "{kind} range {start} to {end}"),
        }
    }
}
