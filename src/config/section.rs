//! A map of routes.yaml, read key by key until nothing is left that nobody asked for.

use serde::de::DeserializeOwned;
use std::sync::LazyLock;

use serde_yaml::Value;

use super::json_schema::JSON_SCHEMA;
use super::yaml::{Kind, Node, quoted};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, one_of};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// What a map is meant to hold where a single value or nothing stands in its place.
#[derive(Clone, Copy)]
pub struct Lone<'a> {
    /// The key that a single value is meant for.
    pub key: &'static str,
    /// Returns whether the value can be that of the key.
    pub is: &'a dyn Fn(&Node) -> bool,
    /// The value that is meant instead, where that is known.
    pub meant: Option<&'a str>,
    /// The least that the map must hold, as it is written.
    pub least: &'a str,
}

impl Lone<'_> {
    /// Adds to the fault that `node` is no map what is probably meant.
    fn advise(self, node: &Node, fault: &mut Diagnostic) {
        if matches!(node.kind, Kind::Scalar(_, Value::Null)) {
            fault.label = format!("expected at least {{ {} }}", self.least);
        }
        let written = self.meant.or_else(|| (self.is)(node).then(|| node.text()));
        if let Some(written) = written {
            let value = plain_or_quoted(written);
            fault.help = Some(format!("did you mean {{ {}: {value} }}?", self.key));
        }
    }
}

/// Returns a value as it can stand in a file: a duration stands as it is, an address needs quotes for its colons.
pub fn plain_or_quoted(value: &str) -> String {
    if value.contains(':') || value.starts_with('*') {
        quoted(value)
    } else {
        value.to_owned()
    }
}

/// A map that is being read.
pub struct Section<'a> {
    /// For sentences: `route PROTOBUF`.
    what: String,
    sound: bool,
    place: &'a Place,
    pairs: &'a [(Node, Node)],
    asked: Vec<&'static str>,
    /// Keys that are not of this map, and have been reported.
    reported: Vec<&'static str>,
    later: &'static [&'static str],
    /// Faults of keys that aren't there, and the keys of which any would have done.
    lacks: Vec<(&'static [&'static str], Diagnostic)>,
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
            reported: Vec::new(),
            later,
            lacks: Vec::new(),
        }
    }

    /// As [`Self::open`], where a single value can only be meant for one key, and nothing at all lacks at least that
    /// key.
    pub fn open_or(
        node: &'a Node,
        what: impl Into<String>,
        later: &'static [&'static str],
        lone: Lone<'_>,
        found: &mut Diagnostics,
    ) -> Self {
        let mut here = Diagnostics::new();
        let section = Self::open(node, what, later, &mut here);
        for fault in here.iter_mut() {
            lone.advise(node, fault);
        }
        found.append(here);
        section
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

    /// Where a key stands.
    pub fn key_place(&self, key: &str) -> Option<&'a Place> {
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(name, _)| &name.place)
    }

    /// A key that belongs here and stands one level too deep, what it holds, and below which key.
    pub fn misplaced(&self, key: &str) -> Option<(&'a Node, &'a Node, &'a str)> {
        if self.has(key) {
            return None;
        }
        self.pairs
            .iter()
            .find_map(|(name, value)| match &value.kind {
                Kind::Map(inner) => {
                    let (misplaced, value) = inner.iter().find(|(it, _)| it.text() == key)?;
                    Some((misplaced, value, name.text()))
                }
                _ => None,
            })
    }

    /// Any of `keys` had to be there and none is. It is told unless one is there, misspelt: then that is.
    pub fn lacks(&mut self, keys: &'static [&'static str], fault: Diagnostic) {
        self.lacks.push((keys, fault));
    }

    /// Returns the key and the value of `key`, which is not of this map and is reported by whoever asks.
    pub fn report(&mut self, key: &'static str) -> Option<(&'a Node, &'a Node)> {
        self.reported.push(key);
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(name, value)| (name, value))
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
    pub fn close(mut self, found: &mut Diagnostics) {
        let mut lacks = std::mem::take(&mut self.lacks);
        for (key, _) in self.pairs {
            let name = key.text();
            if self.asked.contains(&name) || self.reported.contains(&name) {
                continue;
            }
            let near = did_you_mean(name, self.asked.iter().chain(self.later).copied());
            lacks.retain(|(keys, _)| !near.is_some_and(|near| keys.contains(&near)));
            found.push(self.unknown(key, near));
        }
        lacks.into_iter().for_each(|(_, fault)| found.push(fault));
    }

    /// A key that this map doesn't have, and the one that it may be meant for.
    fn unknown(&self, key: &Node, near: Option<&str>) -> Diagnostic {
        let (name, place) = (key.text(), key.place.clone());
        if self.later.contains(&name) {
            let fault = Diagnostic::error(format!("{name:?} is not supported yet"));
            return fault
                .at(place)
                .label("remove it")
                .help("it belongs to a later release; this one refuses it, rather than ignore it");
        }
        let fault = Diagnostic::error(format!("{} has no key {}", self.what, quoted(name)));
        let known = one_of(self.asked.iter().copied());
        let fault = fault.at(place).label(format!("expected {known}"));
        let elsewhere = || {
            let homes = homes(name);
            (!homes.is_empty()).then(|| format!("it is a key of {}", homes.join(" and ")))
        };
        let help = match name {
            "<<" => Some("merging is not part of YAML 1.2: write the keys out".to_owned()),
            _ if name.contains(':') => {
                Some("YAML wants a blank after the colon behind a key".to_owned())
            }
            _ => near
                .map(|near| format!("did you mean {near:?}?"))
                .or_else(|| instead(name).map(str::to_owned))
                .or_else(elsewhere),
        };
        Diagnostic { help, ..fault }
    }
}

/// Returns what to do instead of a key that files of other programs have, and this file has nowhere.
fn instead(key: &str) -> Option<&'static str> {
    Some(match key {
        "version" | "apiVersion" | "schema_version" => {
            "remove it: this file has no versions, and a gateway refuses keys that are unknown to it"
        }
        "description" | "comment" | "name" | "title" => "write it as a comment: # …",
        "include" | "includes" | "imports" | "extends" | "import" => {
            "one file holds the whole configuration: write its routes here; only .proto files import others"
        }
        _ => return None,
    })
}

/// Whose key a word is, by the JSON Schema of the file.
fn homes(key: &str) -> Vec<&'static str> {
    const DEFINED: [(&str, &str); 4] = [
        ("frontend", "frontends"),
        ("pool", "pools"),
        ("route", "routes"),
        ("schema", "schema"),
    ];
    const SECTIONS: [&str; 5] = ["proto", "limits", "shutdown", "reload", "admin"];
    // Parsed once: a file may have as many unknown keys as it has lines.
    static SCHEMA: LazyLock<serde_json::Value> =
        LazyLock::new(|| serde_json::from_str(JSON_SCHEMA).unwrap_or_default());
    let schema = &*SCHEMA;
    let has = |of: &serde_json::Value| !of["properties"][key].is_null();
    let defined = DEFINED
        .iter()
        .filter(|(name, _)| has(&schema["$defs"][name]));
    let sections = SECTIONS.into_iter();
    let sections = sections.filter(|name| has(&schema["properties"][name]));
    let top = has(schema).then_some("the file itself");
    let defined = defined.map(|(_, homes)| *homes);
    defined.chain(sections).chain(top).collect()
}

/// Whether a node is a single value that can be read as a `T`.
pub fn is<T: DeserializeOwned>(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(_, value) if serde_yaml::from_value::<T>(value.clone()).is_ok())
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
            found.push(with_comment_sign(
                fault.at(place).label(expected),
                node.text(),
            ));
            None
        }
    }
}

/// Adds, to a fault of a value that ends in a comment of another language, how comments begin here.
pub fn with_comment_sign(fault: Diagnostic, value: &str) -> Diagnostic {
    if value.contains(" //") || value.contains(" /*") {
        fault.help("comments begin with # in YAML")
    } else {
        fault
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
