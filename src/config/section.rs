//! A map of routes.yaml, read key by key until nothing is left that nobody asked for.

use serde::de::DeserializeOwned;

use super::yaml::{Kind, Node};
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
    place: &'a Place,
    pairs: &'a [(Node, Node)],
    asked: Vec<&'static str>,
    later: &'static [&'static str],
}

impl<'a> Section<'a> {
    /// Begins to read `node`, which is to be a map. `later` are keys of the design that this release
    /// refuses.
    pub fn open(
        node: &'a Node,
        what: impl Into<String>,
        later: &'static [&'static str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let what = what.into();
        match &node.kind {
            Kind::Map(pairs) => Some(Self {
                what,
                place: &node.place,
                pairs,
                asked: Vec::new(),
                later,
            }),
            _ => {
                let fault = Diagnostic::error(format!("{what} is a map, not {}", node.found()));
                found.push(
                    fault
                        .at(node.place.clone())
                        .label("expected keys and values"),
                );
                None
            }
        }
    }

    /// Where the map starts.
    pub fn place(&self) -> &'a Place {
        self.place
    }

    /// The value of `key`, unread.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
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

    /// The values of `key`, which is one `T` or a list of them.
    pub fn list<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
    ) -> Vec<Spanned<T>> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        match &node.kind {
            Kind::List(items) => items
                .iter()
                .filter_map(|item| read(item, key, found))
                .collect(),
            _ => read(node, key, found).into_iter().collect(),
        }
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
                    "this release would ignore it, so it refuses it: what a configuration says must hold",
                )
            } else {
                let fault = Diagnostic::error(format!("{} has no key {name:?}", self.what));
                let known = one_of(self.asked.iter().copied());
                let fault = fault.at(place).label(format!("expected {known}"));
                match did_you_mean(name, self.asked.iter().chain(self.later).copied()) {
                    Some(near) => fault.help(format!("did you mean {near:?}?")),
                    None => fault,
                }
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
    let Kind::Scalar(_, value) = &node.kind else {
        let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
        found.push(fault.at(place).label("expected a single value"));
        return None;
    };
    match serde_yaml::from_value(value.clone()) {
        Ok(value) => Some(Spanned { value, place }),
        Err(error) => {
            let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
            found.push(fault.at(place).label(error.to_string()));
            None
        }
    }
}
