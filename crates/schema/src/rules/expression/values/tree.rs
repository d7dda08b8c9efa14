//! A payload's values as a tree.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use gateway_cel::{
    Budget, ErrorKind, Field, Key, List, ListValue, Map, MapValue, Message, Text, Value,
};

/// The maximum number of entries that are searched one by one for a key. For more entries, a hash
/// map is used.
const LINEAR_SEARCH_MAX: usize = 8;

/// The steps that hashing an entry takes.
const HASH_STEPS: u64 = 2;

/// A value and its position in the payload.
#[derive(Clone)]
pub(in crate::rules::expression) struct Node<'a> {
    /// The byte where the value begins.
    pub at: usize,
    /// The value in CEL, or an error if CEL has no such value. For example, CEL has no timestamp
    /// after the year 9999 and no string that is not UTF-8.
    pub value: Result<Value<'a>, ErrorKind>,
    /// The fields, if the value is a message that may have rules.
    pub body: Option<Rc<Body<'a>>>,
}

/// The fields of a message that are set.
#[derive(Default)]
pub(in crate::rules::expression) struct Body<'a> {
    /// The fields, in ascending order of their indices.
    pub fields: Vec<(u32, Content<'a>)>,
}

/// The value or values of a field.
#[derive(Clone)]
pub(in crate::rules::expression) enum Content<'a> {
    One(Node<'a>),
    List(Rc<ListNode<'a>>),
    Map(Rc<MapNode<'a>>),
}

/// The elements of a list.
pub(in crate::rules::expression) struct ListNode<'a> {
    pub at: usize,
    pub elements: Vec<Node<'a>>,
}

/// The entries of a map. No two entries have the same key.
pub(in crate::rules::expression) struct MapNode<'a> {
    pub at: usize,
    pub entries: Vec<(Node<'a>, Node<'a>)>,
    /// The index of each entry by its key, built when first needed. The keys are hashed with a
    /// random seed, since peers choose them.
    places: OnceCell<HashMap<OwnKey<'a>, usize>>,
}

/// A [`Key`] that owns its text or borrows it from the payload.
enum OwnKey<'a> {
    Text(Text<'a>),
    Other(Key<'static>),
}

impl<'a> Content<'a> {
    /// Returns the value in CEL, or an error if CEL has no such value.
    pub(crate) fn value(&self) -> Result<Value<'a>, ErrorKind> {
        match self {
            Self::One(node) => node.value.clone(),
            Self::List(list) => Ok(Value::List(ListValue::Shared(list.clone()))),
            Self::Map(map) => Ok(Value::Map(MapValue::Shared(map.clone()))),
        }
    }

    /// Returns the byte where the value begins.
    pub(crate) fn at(&self) -> usize {
        match self {
            Self::One(node) => node.at,
            Self::List(list) => list.at,
            Self::Map(map) => map.at,
        }
    }
}

impl<'a> Body<'a> {
    /// Sets the content of the field of this index. Appending is the common case, since writers
    /// write most fields in ascending order.
    pub(crate) fn put(&mut self, index: u32, content: Content<'a>) {
        let after = match self.fields.last() {
            Some((last, _)) if *last >= index => self
                .fields
                .binary_search_by_key(&index, |(index, _)| *index),
            _ => Err(self.fields.len()),
        };
        match after {
            Ok(place) => self.fields[place].1 = content,
            Err(place) => self.fields.insert(place, (index, content)),
        }
    }

    /// Returns the content of the field of this index, or `None` if the field is not set.
    pub(crate) fn field(&self, index: u32) -> Option<&Content<'a>> {
        let found = self
            .fields
            .binary_search_by_key(&index, |(index, _)| *index);
        Some(&self.fields[found.ok()?].1)
    }
}

impl<'a> Message<'a> for Body<'a> {
    fn get(&self, field: &Field, _: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        self.field(field.index).map(Content::value).transpose()
    }
}

impl<'a> List<'a> for ListNode<'a> {
    fn len(&self) -> usize {
        self.elements.len()
    }

    fn get(&self, index: usize, _: &mut Budget) -> Result<Value<'a>, ErrorKind> {
        let element = self.elements.get(index);
        element.ok_or(ErrorKind::IndexOutOfRange)?.value.clone()
    }
}

impl<'a> MapNode<'a> {
    /// Returns a map with these entries, which begins at the byte `at`.
    pub(crate) fn new(at: usize, entries: Vec<(Node<'a>, Node<'a>)>) -> Self {
        Self {
            at,
            entries,
            places: OnceCell::new(),
        }
    }

    /// Returns the index of each entry by its key. The first call hashes the keys, which takes
    /// steps from `budget`. Fails if `budget` has too few steps.
    fn places(&self, budget: &mut Budget) -> Result<&HashMap<OwnKey<'a>, usize>, ErrorKind> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        budget.take_steps(self.entries.len() as u64 * HASH_STEPS)?;
        let mut places = HashMap::with_capacity(self.entries.len());
        for (place, (key, _)) in self.entries.iter().enumerate() {
            let key = match &key.value {
                Ok(Value::String(text)) => {
                    budget.take_steps_to_read(text.len())?;
                    Some(OwnKey::Text(text.clone()))
                }
                Ok(other) => Key::of(other).and_then(OwnKey::other),
                Err(_) => None,
            };
            places.extend(key.map(|key| (key, place)));
        }
        Ok(self.places.get_or_init(|| places))
    }
}

impl OwnKey<'_> {
    fn other(key: Key) -> Option<Self> {
        Some(Self::Other(match key {
            Key::Bool(value) => Key::Bool(value),
            Key::Int(value) => Key::Int(value),
            Key::Uint(value) => Key::Uint(value),
            Key::String(_) => return None,
        }))
    }

    fn key(&self) -> Key<'_> {
        match self {
            Self::Text(text) => Key::String(text),
            Self::Other(key) => *key,
        }
    }
}

impl PartialEq for OwnKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OwnKey<'_> {}

impl Hash for OwnKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl<'a> Map<'a> for MapNode<'a> {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, index: usize, _: &mut Budget) -> Result<(Value<'a>, Value<'a>), ErrorKind> {
        let (key, value) = self.entries.get(index).ok_or(ErrorKind::IndexOutOfRange)?;
        Ok((key.value.clone()?, value.value.clone()?))
    }

    fn find(&self, key: &Key<'_>, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        if let Key::String(text) = key {
            budget.take_steps_to_read(text.len())?;
        }
        let place = if self.entries.len() <= LINEAR_SEARCH_MAX {
            self.entries.iter().position(|(own, _)| {
                let own = own.value.as_ref().ok();
                own.and_then(Key::of).as_ref() == Some(key)
            })
        } else {
            let key = match *key {
                Key::String(text) => Some(OwnKey::Text(Text::Borrowed(text))),
                other => OwnKey::other(other),
            };
            let places: &HashMap<OwnKey<'_>, usize> = self.places(budget)?;
            key.and_then(|key| places.get(&key).copied())
        };
        match place {
            Some(place) => self.entries[place].1.value.clone().map(Some),
            None => Ok(None),
        }
    }
}
