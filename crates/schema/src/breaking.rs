//! What an edit does to payloads that are already on their way: two generations of a schema, compared in
//! the terms of its encoding. Pure.
//!
//! A change *breaks* if a payload that fits the earlier schema is refused by the later one, or is read as
//! something else. Protobuf goes by numbers, MessagePack and JSON by names, MessagePack's array layout by
//! order. What was taken out in good order (its number or name `reserved`) was meant. What routes.yaml
//! itself says of a schema (`require`, `unknown_fields`, `layout`) is not compared, nor are rules.

mod enums;
mod fields;
mod order;
mod types;

use std::collections::BTreeSet;

use super::table::{Cardinality, Field, Kind, Message, MessageId, Table};
use super::{Encoding, Layout, Schema, UnknownFields};
use gateway_diagnostic::Place;
use gateway_proto::{Definition, Definitions};

/// What a reload may do to a schema in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaking {
    /// Anything; nothing is compared.
    Allow,
    /// Anything, but it says what breaks.
    #[default]
    Warn,
    /// Nothing that breaks.
    Reject,
}

/// One thing that breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The full name of the field, enum value, message or enum.
    pub subject: String,
    /// What became of it: goes on after the subject.
    pub what: String,
    /// Where payloads have it: `address.lines[].zip`; empty for the message itself.
    pub path: String,
    /// Where it stood.
    pub before: Option<Place>,
    /// Where it stands, or else what it was taken from.
    pub after: Option<Place>,
    /// How to make the change without breaking anything.
    pub help: String,
}

/// A schema and where it is written.
#[derive(Clone, Copy, Debug)]
pub struct Defined<'a> {
    /// What payloads are held against.
    pub schema: &'a Schema,
    /// Of the same generation.
    pub definitions: &'a Definitions,
}

/// Everything that breaks between `old` and `new`, two schemas of one encoding; of what is used in several
/// places, the first.
pub fn between(old: Defined<'_>, new: Defined<'_>) -> Vec<Break> {
    let mut comparison = Comparison {
        by: By::of(old.schema, new.schema),
        strict: new.schema.options.unknown_fields == UnknownFields::Reject,
        old: Side::of(old),
        new: Side::of(new),
        open: vec![Pair {
            old: old.schema.root,
            new: new.schema.root,
            path: String::new(),
        }],
        seen: BTreeSet::new(),
        enums: BTreeSet::new(),
        found: Vec::new(),
    };
    // A list and no recursion: messages may lead into each other as far as a file is long.
    while let Some(pair) = comparison.open.pop() {
        if comparison.seen.insert((pair.old, pair.new)) {
            comparison.messages(&pair);
        }
    }
    comparison.found
}

/// What helps in most cases.
const KEEP: &str = "keep it as it was, and put what is new beside it";
const NO_REQUIRED: &str = "make it optional: earlier payloads lack it";

/// What payloads say which field by.
#[derive(Clone, Copy, Debug)]
struct By {
    numbers: bool,
    names: bool,
    order: bool,
}

impl By {
    fn of(old: &Schema, new: &Schema) -> Self {
        let layout = |layout| {
            let both =
                |of: &Schema| of.options.layout == Layout::Any || of.options.layout == layout;
            both(old) && both(new)
        };
        match new.encoding {
            Encoding::Protobuf => Self {
                numbers: true,
                names: false,
                order: false,
            },
            Encoding::Json => Self {
                numbers: false,
                names: true,
                order: false,
            },
            Encoding::Msgpack => Self {
                numbers: false,
                names: layout(Layout::Map),
                order: layout(Layout::Array),
            },
        }
    }
}

/// One generation.
#[derive(Clone, Copy)]
struct Side<'a> {
    table: &'a Table,
    definitions: &'a Definitions,
}

impl<'a> Side<'a> {
    fn of(it: Defined<'a>) -> Self {
        Self {
            table: &it.schema.table,
            definitions: it.definitions,
        }
    }

    fn message(self, id: MessageId) -> (&'a Message, Option<&'a Definition>) {
        let message = &self.table[id];
        (message, self.definitions.messages.get(&*message.name))
    }
}

/// Two message types, of which the one took the other's place.
struct Pair {
    old: MessageId,
    new: MessageId,
    path: String,
}

struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    by: By,
    /// What the later schema doesn't know is refused.
    strict: bool,
    open: Vec<Pair>,
    seen: BTreeSet<(MessageId, MessageId)>,
    enums: BTreeSet<(u32, u32)>,
    found: Vec<Break>,
}

/// The two messages that are being compared, and where they are written.
struct Here<'a> {
    old: &'a Message,
    new: &'a Message,
    before: Option<&'a Definition>,
    after: Option<&'a Definition>,
    path: String,
}

impl Here<'_> {
    /// What became of the field `was`, or of one that came after it in its stead.
    fn field(&self, name: &str, now: &str, what: String, help: impl Into<String>) -> Break {
        Break {
            subject: format!("{}.{name}", self.old.name),
            what,
            path: join(&self.path, name),
            before: self.before.and_then(|it| it.place_of(name)),
            after: self.after.and_then(|it| it.place_of(now)),
            help: help.into(),
        }
    }

    fn whole(&self, what: &str, help: &str) -> Break {
        Break {
            subject: self.old.name.to_string(),
            what: what.to_owned(),
            path: self.path.clone(),
            before: self.before.and_then(|it| it.place.clone()),
            after: self.after.and_then(|it| it.place.clone()),
            help: help.to_owned(),
        }
    }
}

impl Comparison<'_> {
    fn messages(&mut self, pair: &Pair) {
        let (old, before) = self.old.message(pair.old);
        let (new, after) = self.new.message(pair.new);
        let path = pair.path.clone();
        let here = Here {
            old,
            new,
            before,
            after,
            path,
        };
        let forms = !self.by.numbers && old.form != new.form;
        if forms || (self.by.numbers && old.message_set != new.message_set) {
            let what = format!("became {}, which is written in another form", new.name);
            return self.found.push(here.whole(&what, KEEP));
        }
        let counterparts = self.counterparts(old, new);
        let mut taken = vec![false; new.fields.len()];
        for now in counterparts.iter().flatten() {
            taken[*now as usize] = true;
        }
        let mut broken = BTreeSet::new();
        for ((index, was), now) in (0u32..).zip(&*old.fields).zip(&counterparts) {
            let fault = match now {
                Some(now) => self.kept(&here, was, &new.fields[*now as usize]),
                None => self.removed(&here, was),
            };
            if let Some(fault) = fault {
                broken.insert(index);
                self.found.push(fault);
            }
        }
        for (field, _) in new.fields.iter().zip(taken).filter(|(_, taken)| !taken) {
            self.found.extend(self.added(&here, field));
        }
        self.found.extend(fields::joined(&here, &counterparts));
        if self.by.order {
            let moved = order::moved(&here, &counterparts);
            self.found.extend(
                moved
                    .filter(|(index, _)| !broken.contains(index))
                    .map(|it| it.1),
            );
        }
    }

    /// For each field of `old` the index of what it is read as now.
    fn counterparts(&self, old: &Message, new: &Message) -> Vec<Option<u32>> {
        let By {
            numbers,
            names,
            order: _,
        } = self.by;
        match () {
            () if numbers => (old.fields.iter())
                .map(|was| new.by_number(was.number))
                .collect(),
            () if names => (old.fields.iter())
                .map(|was| new.by_name(&was.name))
                .collect(),
            () => order::counterparts(old, new),
        }
    }

    /// Whether all values of the one are read as the same values of the other. What they are made of is
    /// compared in its turn.
    fn types(&mut self, here: &Here, was: &Field, now: &Field) -> bool {
        let path = join(&here.path, &was.name);
        match (was.cardinality, now.cardinality) {
            (Cardinality::Singular, Cardinality::Singular) => self.kinds(was.kind, now.kind, path),
            (Cardinality::Repeated, Cardinality::Repeated) => {
                self.kinds(was.kind, now.kind, path + "[]")
            }
            (Cardinality::Map, Cardinality::Map) => {
                let entries = (
                    types::entry(was, self.old.table),
                    types::entry(now, self.new.table),
                );
                let (Some(old), Some(new)) = entries else {
                    return false;
                };
                // A key that is no message has nothing below it.
                self.kinds(old.0, new.0, String::new()) && self.kinds(old.1, new.1, path + "[]")
            }
            // To protobuf a map is a list of entries, but a list may have what a map can't: a key twice.
            (Cardinality::Map, Cardinality::Repeated) => {
                self.by.numbers && self.kinds(was.kind, now.kind, path + "[]")
            }
            _ => false,
        }
    }

    fn kinds(&mut self, was: Kind, now: Kind, path: String) -> bool {
        let same = match self.by.numbers {
            true => types::same_on_the_wire(was, now),
            false => types::same_by_name(was, now),
        };
        match (was, now) {
            _ if !same => false,
            (Kind::Enum(old), Kind::Enum(new)) => {
                enums::compare(self, old, new, path);
                true
            }
            _ => {
                if let (Some(old), Some(new)) = (was.message(), now.message()) {
                    self.open.push(Pair { old, new, path });
                }
                true
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
