//! A map of routes.yaml, read key by key until nothing is left that nobody asked for.

use serde::de::DeserializeOwned;

use serde_yaml::Value;

use super::yaml::{Kind, Node, quoted};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, one_of};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// A map that is being read.
pub struct Section<'a> {
    /// For sentences: `route PROTOBUF`.
    what: String,
    sound: bool,
    place: &'a Place,
    pairs: &'a [(Node, Node)],
    asked: Vec<&'static str>,
    later: &'static [&'static str],
}

impl<'a> Section<'a> {
    /// Begins to read `node`, which is to be a map; what isn't is reported, and read as an empty one.
    /// `later` are keys of the design that this release refuses.
    pub fn open(
        node: &'a Node,
        what: impl Into<String>,
        later: &'static [&'static str],
        found: &mut Diagnostics,
    ) -> Self {
        let what = what.into();
        let map = match &node.kind {
            Kind::Map(pairs) => Some(pairs.as_slice()),
            _ => {
                let fault = Diagnostic::error(format!("{what} can't be {}", node.found()));
                let fault = fault.at(node.place.clone());
                found.push(fault.label("expected a map: keys and values"));
                None
            }
        };
        Self {
            what,
            sound: map.is_some(),
            place: &node.place,
            pairs: map.unwrap_or_default(),
            asked: Vec::new(),
            later,
        }
    }

    /// Whether it is a map: if not, nothing more need be said of what it lacks.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Where the map starts.
    pub fn place(&self) -> &'a Place {
        self.place
    }

    /// Whether the key is there, wanted or not.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.text() == key)
    }

    /// Where a key that belongs here stands one level too deep, and below which key.
    pub fn misplaced(&self, key: &str) -> Option<(&'a Place, &'a str)> {
        self.pairs
            .iter()
            .find_map(|(name, value)| match &value.kind {
                Kind::Map(inner) => {
                    let (misplaced, _) = inner.iter().find(|(inner, _)| inner.text() == key)?;
                    Some((&misplaced.place, name.text()))
                }
                _ => None,
            })
    }

    /// The value of `key`, unread.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(_, value)| value)
    }

    /// The value of `key`, if it is there and is a `T`.
    pub fn value<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let node = self.node(key)?;
        read(node, key, found)
    }

    /// What the word at `key` stands for, if it is there and is one of `words`.
    pub fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        found: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let node = self.node(key)?;
        let place = node.place.clone();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == node.text()) {
            return Some(Spanned {
                value: *value,
                place,
            });
        }
        let names = || words.iter().map(|(word, _)| *word);
        let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found())).at(place);
        let fault = fault.label(format!("expected {}", one_of(names())));
        found.push(match did_you_mean(node.text(), names()) {
            Some(near) => fault.help(format!("did you mean {near:?}?")),
            None => fault,
        });
        None
    }

    /// The values of `key`, which is one or a list, each read by `read`; none if the key is absent.
    /// Items that can't be read are left out, and an empty list is given back as it is.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
        read: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        Some(match &node.kind {
            Kind::List(items) => items
                .iter()
                .filter_map(|item| read(item, key, found))
                .collect(),
            _ => read(node, key, found).into_iter().collect(),
        })
    }

    /// As [`Self::list`], where an empty list is a fault; `instead` says what to do.
    pub fn some<T>(
        &mut self,
        key: &'static str,
        instead: &str,
        found: &mut Diagnostics,
        read: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            let fault = Diagnostic::error(format!("{key:?} can't be an empty list"));
            found.push(fault.at(node.place.clone()).label(instead));
        }
        self.list(key, found, read)
    }

    /// Ends the reading: every key that nobody asked for is a fault.
    pub fn close(self, found: &mut Diagnostics) {
        for (key, _) in self.pairs {
            let name = key.text();
            if self.asked.contains(&name) {
                continue;
            }
            let place = key.place.clone();
            found.push(if self.later.contains(&name) {
                let fault = Diagnostic::error(format!("{name:?} is not supported yet"));
                fault.at(place).label("remove it").help(
                    "it belongs to a later release; this one refuses it, rather than ignore it",
                )
            } else {
                let fault = Diagnostic::error(format!("{} has no key {}", self.what, quoted(name)));
                let known = one_of(self.asked.iter().copied());
                let fault = fault.at(place).label(format!("expected {known}"));
                let near = || did_you_mean(name, self.asked.iter().chain(self.later).copied());
                let help = match name {
                    "<<" => Some("merging is not part of YAML 1.2: write the keys out".to_owned()),
                    _ if name.contains(':') => {
                        Some("YAML wants a blank after the colon behind a key".to_owned())
                    }
                    _ => near().map(|near| format!("did you mean {near:?}?")),
                };
                Diagnostic { help, ..fault }
            });
        }
    }
}

/// Reads one scalar as a `T`; `key` is what it is called.
pub fn read<T: DeserializeOwned>(
    node: &Node,
    key: &str,
    found: &mut Diagnostics,
) -> Option<Spanned<T>> {
    let place = node.place.clone();
    let outcome = match &node.kind {
        Kind::Scalar(_, value) => serde_yaml::from_value(value.clone()).map_err(|e| e.to_string()),
        _ => Err("expected a single value".to_owned()),
    };
    match outcome {
        Ok(value) => Some(Spanned { value, place }),
        Err(expected) => {
            let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
            found.push(fault.at(place).label(expected));
            None
        }
    }
}

/// Reads one scalar as it is written: a name may look like a number.
pub fn text(node: &Node, key: &str, found: &mut Diagnostics) -> Option<Spanned<String>> {
    let place = node.place.clone();
    match &node.kind {
        Kind::Scalar(text, value) if *value != Value::Null && !text.is_empty() => Some(Spanned {
            value: text.clone(),
            place,
        }),
        _ => {
            let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
            found.push(fault.at(place).label("expected a name"));
            None
        }
    }
}
