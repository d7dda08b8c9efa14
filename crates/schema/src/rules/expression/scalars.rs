//! Rules on the scalar fields of a message, evaluated without a tree of values.
//!
//! Most rules in CEL compare some fields with each other. If all rules of a message are of this
//! kind, no tree is built. The fields of the message are read into an array, and the rules are
//! evaluated on this array. The result is either that a payload certainly keeps the rules, or that
//! the verdict is unknown. In the second case, `judge.rs` evaluates the rules on a tree.

use std::borrow::Cow;

use gateway_cel::{Field as CelField, Scalar, ScalarField, ScalarProgram};

use super::program::Expression;
use crate::contract::Contract;
use crate::options::Encoding;
use crate::protobuf::wire::WireReader;
use crate::rules::check::Value;
use crate::rules::combined::json::{decimal, signed};
use crate::rules::combined::protobuf::whole;
use crate::rules::combined::test::WholeKind;
use crate::rules::judge::source::json::JsonSource;
use crate::rules::judge::source::msgpack::MsgpackSource;
use crate::rules::judge::source::{Shape, Source};
use crate::table::{Cardinality, FieldKind, Form, Message, MessageId, Table, wire};

/// The maximum number of fields that rules with a scalar form may read. The values of these fields
/// are in an array on the stack.
const FIELDS_MAX: usize = 8;

/// The maximum depth of a group that is skipped. No walk allows a larger depth.
const LEVELS_MAX: u32 = 1000;

/// The rules in CEL that a message carries, if all of them compare only scalar fields.
#[derive(Debug)]
pub(in crate::rules) struct ScalarRules {
    rules: Box<[ScalarProgram]>,
    fields: Box<[ReadField]>,
    /// For each protobuf tag of one byte, the index in `fields` of the field with this tag, or
    /// `u8::MAX` if the rules read no field with this tag.
    places: Box<[u8]>,
    /// For each field of the message, in the order of `Message::fields`, the field's index in
    /// `fields`, or `u8::MAX` if the rules do not read the field.
    indices: Box<[u8]>,
    /// The values that the fields have if a payload does not set them.
    unset: [ScalarField<'static>; FIELDS_MAX],
}

/// A field that the rules read.
#[derive(Debug)]
struct ReadField {
    /// The index in the table.
    index: u32,
    kind: FieldKind,
}

impl ScalarRules {
    /// Returns the scalar form of `rules`, or `None` if one of the rules has no such form. `rules`
    /// must be all rules in CEL that the message carries.
    pub(crate) fn of(table: &Table, id: MessageId, rules: &[Expression]) -> Option<Self> {
        let message = &table[id];
        let is_plain = message.form == Form::Fields && !message.map_entry && !message.message_set;
        if rules.is_empty() || !is_plain {
            return None;
        }
        let mut read = Vec::new();
        let programs = rules.iter().map(|rule| {
            let is_own = rule.predefined.is_none();
            is_own
                .then(|| ScalarProgram::of(&rule.program, &mut read))
                .flatten()
        });
        let programs: Option<_> = programs.collect();
        let rules = programs?;
        if read.len() > FIELDS_MAX {
            return None;
        }
        let zero = ScalarField {
            value: Scalar::Bool(false),
            written: false,
        };
        let mut unset = [zero; FIELDS_MAX];
        for (place, field) in unset.iter_mut().zip(&read) {
            *place = ScalarField::unset(field)?;
        }
        let fields: Option<Box<_>> = read
            .iter()
            .map(|field| read_field(table, message, field))
            .collect();
        let fields = fields?;
        Some(Self {
            rules,
            places: places(message, &fields),
            indices: (0..message.fields.len() as u32)
                .map(|index| place_of(&fields, Some(index)))
                .collect(),
            fields,
            unset,
        })
    }

    /// Returns the maximum number of steps that the rules take for a payload of `bytes` bytes.
    pub(crate) fn steps(&self, bytes: usize) -> u64 {
        let costs = self.rules.iter().map(|rule| rule.steps(bytes));
        costs.fold(0, u64::saturating_add)
    }

    /// Returns whether `payload` certainly keeps the rules. `payload` must fit `contract`. A result
    /// of false says nothing about the payload.
    pub(crate) fn keep(&self, contract: &Contract, payload: &[u8]) -> bool {
        let (table, message) = (&contract.table, &contract.table[contract.root]);
        let mut values = self.unset;
        let read = match contract.encoding {
            Encoding::Protobuf => self.protobuf(message, payload, &mut values),
            Encoding::Msgpack => {
                self.named(table, message, MsgpackSource::new(payload), &mut values)
            }
            Encoding::Json => self.json(table, message, payload, &mut values),
        };
        read.is_some() && self.rules.iter().all(|rule| rule.holds(&values))
    }

    /// Reads the fields of a message in protobuf. If a field has several values, the last one
    /// counts. Returns `None` if a value is not in a form that this function can read.
    fn protobuf<'p>(
        &self,
        message: &Message,
        payload: &'p [u8],
        values: &mut [ScalarField<'p>; FIELDS_MAX],
    ) -> Option<()> {
        let mut reader = WireReader::new(payload);
        loop {
            let accepted = reader.plain_records(&message.plain, false, |tag, value| {
                let place = self.places.get(usize::from(tag)).copied();
                let place = place.map_or(usize::MAX, usize::from);
                let Some(field) = self.fields.get(place) else {
                    return true;
                };
                // A length-delimited value begins with its length, which is one byte on the fast
                // path.
                let is_delimited = tag & 7 == wire::LEN;
                let value = value.get(usize::from(is_delimited)..).unwrap_or_default();
                put(values, place, scalar(field.kind, value))
            });
            if !accepted {
                return None;
            }
            if reader.is_empty() {
                return Some(());
            }
            let (number, wire) = reader.tag().ok()?;
            let value = reader.clone();
            reader.skip(number, wire, LEVELS_MAX).ok()?;
            let index = message.by_number(number);
            let place = self
                .fields
                .iter()
                .position(|field| Some(field.index) == index);
            let Some(place) = place else { continue };
            let field = &self.fields[place];
            if wire != message.fields[field.index as usize].wire {
                continue;
            }
            let value = match wire {
                wire::LEN => value.clone().delimited().ok()?,
                _ => reader.since(value.at()),
            };
            if !put(values, place, scalar(field.kind, value)) {
                return None;
            }
        }
    }

    /// Reads the fields of a message in JSON. A fast path reads as many fields as it can, and
    /// [`Self::value`] reads the other fields. Returns `None` if a value is not in a form that this
    /// function can read.
    fn json<'p>(
        &self,
        table: &Table,
        message: &Message,
        payload: &'p [u8],
        values: &mut [ScalarField<'p>; FIELDS_MAX],
    ) -> Option<()> {
        let mut source = JsonSource::new(payload);
        let mut open = source.open_fields().ok()?;
        let mut left = self.fields.len();
        loop {
            let usual = source.usual_fields(&mut open, message, |index, text| {
                let Some((place, field)) = self.field(index) else {
                    return left > 0;
                };
                let read = put(values, place, usual_json(field.kind, text));
                left -= usize::from(read);
                read
            });
            usual.ok()?;
            if left == 0 {
                return Some(());
            }
            let Some(index) = source.field(&mut open, message).ok()? else {
                return Some(());
            };
            left -= usize::from(self.value(table, index, &mut source, values)?);
        }
    }

    /// Reads the fields of a message in an encoding that names them. The walk has ensured that each
    /// field occurs at most once. Returns `None` if a value is not in a form that this function can
    /// read.
    fn named<'p, S: Source<'p>>(
        &self,
        table: &Table,
        message: &Message,
        mut source: S,
        values: &mut [ScalarField<'p>; FIELDS_MAX],
    ) -> Option<()> {
        let mut open = source.open_fields().ok()?;
        let mut left = self.fields.len();
        while left > 0
            && let Some(index) = source.field(&mut open, message).ok()?
        {
            left -= usize::from(self.value(table, index, &mut source, values)?);
        }
        Some(())
    }

    /// Reads the next value, which belongs to the field `index`. Returns whether the rules read
    /// that field, or `None` if the value is not in a form that this function can read.
    fn value<'p, S: Source<'p>>(
        &self,
        table: &Table,
        index: Option<u32>,
        source: &mut S,
        values: &mut [ScalarField<'p>; FIELDS_MAX],
    ) -> Option<bool> {
        let Some((place, field)) = index.and_then(|index| self.field(index)) else {
            source.skip().ok()?;
            return Some(false);
        };
        if source.shape().ok()? == Shape::Null {
            if matches!(field.kind, FieldKind::Enum(_)) {
                return None;
            }
            source.skip().ok()?;
            return Some(true);
        }
        let value = match source.scalar(table, field.kind).ok()? {
            Value::Bool(value) => Scalar::Bool(value),
            Value::Signed(value) => Scalar::Int(value),
            Value::Unsigned(value) => Scalar::Uint(value),
            Value::Float(value) => Scalar::Double(value),
            Value::Text(Cow::Borrowed(text)) => Scalar::Text(text.as_bytes()),
            Value::Bytes(Cow::Borrowed(bytes)) => Scalar::Bytes(bytes),
            _ => return None,
        };
        put(values, place, Some(value));
        Some(true)
    }

    /// Returns the field with this index in the table, and the field's index in `fields`, or `None`
    /// if the rules do not read the field.
    #[inline]
    fn field(&self, index: u32) -> Option<(usize, &ReadField)> {
        let place = usize::from(*self.indices.get(index as usize)?);
        Some((place, self.fields.get(place)?))
    }
}

/// Stores the value of the field at index `place`. Returns false if `value` is `None`.
#[inline]
fn put<'p>(
    values: &mut [ScalarField<'p>; FIELDS_MAX],
    place: usize,
    value: Option<Scalar<'p>>,
) -> bool {
    let (Some(value), Some(field)) = (value, values.get_mut(place)) else {
        return false;
    };
    *field = ScalarField {
        value,
        written: true,
    };
    true
}

/// Converts a field that the rules read. Returns `None` for a list, a map, a message, a member of a
/// oneof, a closed enum, and a string that may not be UTF-8.
fn read_field(table: &Table, message: &Message, field: &CelField) -> Option<ReadField> {
    let index = field.index;
    let field = message.fields.get(index as usize)?;
    let is_known = match field.kind {
        FieldKind::Enum(id) => !table[id].closed,
        FieldKind::String { utf8 } => utf8,
        FieldKind::Message(_) | FieldKind::Group(_) => false,
        _ => true,
    };
    let is_single = field.cardinality == Cardinality::Singular && field.oneof.is_none();
    (is_known && is_single).then_some(ReadField {
        index,
        kind: field.kind,
    })
}

/// Returns [`ScalarRules::places`] for a message.
fn places(message: &Message, fields: &[ReadField]) -> Box<[u8]> {
    let tags = message.plain.iter().zip(0u32..);
    let places = tags.map(|(_, tag)| place_of(fields, message.by_number(tag >> 3)));
    places.collect()
}

/// Returns the index in `fields` of the field with this index in the table, or `u8::MAX` if
/// `fields` does not contain the field.
fn place_of(fields: &[ReadField], index: Option<u32>) -> u8 {
    let place = fields.iter().position(|field| Some(field.index) == index);
    place.map_or(u8::MAX, |place| place as u8)
}

/// Returns the scalar that `text` represents, or `None` if the fast path over JSON does not take
/// fields of this kind.
#[inline]
fn usual_json(kind: FieldKind, text: &[u8]) -> Option<Scalar<'_>> {
    Some(match kind {
        FieldKind::Bool => Scalar::Bool(text.first() == Some(&b't')),
        // The fast path takes only ASCII without escapes.
        FieldKind::String { .. } => Scalar::Text(text.get(1..text.len().wrapping_sub(1))?),
        FieldKind::Double => Scalar::Double(decimal(text)),
        FieldKind::Float => Scalar::Double((decimal(text) as f32).into()),
        FieldKind::Bytes | FieldKind::Enum(_) | FieldKind::Message(_) | FieldKind::Group(_) => {
            return None;
        }
        FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Fixed32 | FieldKind::Fixed64 => {
            Scalar::Uint(signed(text))
        }
        _ => Scalar::Int(signed(text) as i64),
    })
}

/// Returns the scalar encoded in `bytes`, or `None` for a message. The walk has checked the size of
/// `bytes`.
#[inline]
fn scalar(kind: FieldKind, bytes: &[u8]) -> Option<Scalar<'_>> {
    let int = |kind| Some(Scalar::Int(whole(kind, bytes)? as i64));
    let uint = |kind| whole(kind, bytes).map(Scalar::Uint);
    match kind {
        FieldKind::Int32 | FieldKind::Enum(_) => int(WholeKind::Int32),
        FieldKind::Int64 => int(WholeKind::Int64),
        FieldKind::Sint32 => int(WholeKind::Sint32),
        FieldKind::Sint64 => int(WholeKind::Sint64),
        FieldKind::Sfixed32 => int(WholeKind::Sfixed32),
        FieldKind::Sfixed64 => int(WholeKind::Fixed64),
        FieldKind::Uint32 => uint(WholeKind::Uint32),
        FieldKind::Uint64 => uint(WholeKind::Int64),
        FieldKind::Fixed32 => uint(WholeKind::Fixed32),
        FieldKind::Fixed64 => uint(WholeKind::Fixed64),
        FieldKind::Bool => Some(Scalar::Bool(whole(WholeKind::Bool, bytes)? != 0)),
        FieldKind::Float => Some(Scalar::Double(
            f32::from_le_bytes(bytes.try_into().ok()?).into(),
        )),
        FieldKind::Double => Some(Scalar::Double(f64::from_le_bytes(bytes.try_into().ok()?))),
        FieldKind::String { .. } => Some(Scalar::Text(bytes)),
        FieldKind::Bytes => Some(Scalar::Bytes(bytes)),
        FieldKind::Message(_) | FieldKind::Group(_) => None,
    }
}
