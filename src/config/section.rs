//! A map of routes.yaml that is read key by key. Keys that were never read are unknown, and are
//! reported at the end.

use serde::de::DeserializeOwned;
use std::sync::LazyLock;

use serde_yaml::Value;

use super::json_schema::JSON_SCHEMA;
use super::quoted::quoted;
use super::yaml::{Node, NodeKind};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, one_of};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    /// The value as written.
    pub value: T,
    /// The place of the value.
    pub place: Place,
}

/// The expected content of a map. The error of a value that is not a map mentions this content.
#[derive(Clone, Copy)]
pub(super) struct ExpectedMap<'a> {
    /// The key whose value the author probably meant to write, if a single value is in place of the
    /// map.
    pub key: &'static str,
    /// Returns whether a node is a valid value of the key.
    pub is: &'a dyn Fn(&Node) -> bool,
    /// The value of the key that the author probably meant, if it is known.
    pub meant: Option<&'a str>,
    /// The minimum content of the map, in the syntax of the file.
    pub least: &'a str,
}

impl ExpectedMap<'_> {
    /// Adds the probable meaning to `fault`, the error of a `node` that is not a map.
    fn advise(self, node: &Node, fault: &mut Diagnostic) {
        if matches!(node.kind, NodeKind::Scalar(_, Value::Null)) {
            fault.label = format!("expected at least {{ {} }}", self.least);
        }
        let written = self.meant.or_else(|| (self.is)(node).then(|| node.text()));
        if let Some(written) = written {
            let value = plain_or_quoted(written);
            fault.help = Some(format!("did you mean {{ {}: {value} }}?", self.key));
        }
    }
}

/// Returns a value as it can be written in YAML: in quotes if it contains a colon or begins with
/// `*`, and unchanged otherwise.
pub(super) fn plain_or_quoted(value: &str) -> String {
    if value.contains(':') || value.starts_with('*') {
        quoted(value)
    } else {
        value.to_owned()
    }
}

/// A map that is being read.
pub(super) struct Section<'a> {
    /// The name of the map for messages, such as `route PROTOBUF`.
    what: String,
    sound: bool,
    place: &'a Place,
    pairs: &'a [(Node, Node)],
    known: Vec<&'static str>,
    /// The keys that do not belong to this map, and that the caller reports.
    reported: Vec<&'static str>,
    later: &'static [&'static str],
    /// The errors of missing keys. Each error has the list of keys from which one is required.
    lacks: Vec<(&'static [&'static str], Diagnostic)>,
}

impl<'a> Section<'a> {
    /// Begins to read `node`, which should be a map. Any other value is read as an empty map, and
    /// is reported unless it is [`NodeKind::Unknown`], whose error was reported before. `later`
    /// lists keys of later releases, which this release rejects.
    pub(super) fn open(
        node: &'a Node,
        what: impl Into<String>,
        later: &'static [&'static str],
        found: &mut Diagnostics,
    ) -> Self {
        let what = what.into();
        let map = match &node.kind {
            NodeKind::Map(pairs) => Some(pairs.as_slice()),
            NodeKind::Unknown => None,
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
            known: Vec::new(),
            reported: Vec::new(),
            later,
            lacks: Vec::new(),
        }
    }

    /// Begins to read `node` like [`Self::open`]. If `node` is a single value or empty, the error
    /// describes the expected map.
    pub(super) fn open_or(
        node: &'a Node,
        what: impl Into<String>,
        later: &'static [&'static str],
        expected: ExpectedMap<'_>,
        found: &mut Diagnostics,
    ) -> Self {
        let mut here = Diagnostics::new();
        let section = Self::open(node, what, later, &mut here);
        for fault in here.iter_mut() {
            expected.advise(node, fault);
        }
        found.append(here);
        section
    }

    /// Returns whether the node is a map. If not, missing keys need not be reported.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Returns the place of the start of the map.
    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    /// Returns whether the key is present, known or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.text() == key)
    }

    /// Returns the place of a key, or `None` if the key is absent.
    pub(super) fn key_place(&self, key: &str) -> Option<&'a Place> {
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(name, _)| &name.place)
    }

    /// Finds `key` if it belongs in this map but is nested one level too deep. Returns the nodes of
    /// `key` and of its value, and the name of the key that contains them. An entry of a section
    /// may also have the name `key`, such as a pool that is named `routes`. Such an entry is
    /// recognized by the keys in it, and not returned.
    pub(super) fn misplaced(&self, key: &str) -> Option<(&'a Node, &'a Node, &'a str)> {
        if self.has(key) {
            return None;
        }
        self.pairs
            .iter()
            .find_map(|(name, value)| match &value.kind {
                NodeKind::Map(inner) => {
                    let (misplaced, value) = inner.iter().find(|(name, _)| name.text() == key)?;
                    let section = name.text();
                    let is_entry = matches!(&value.kind, NodeKind::Map(pairs)
                        if pairs.iter().any(|(key, _)| homes(key.text()).contains(&section)));
                    (!is_entry).then_some((misplaced, value, section))
                }
                _ => None,
            })
    }

    /// Records the error of a map that has none of `keys`, although one of them is required.
    /// [`Self::close`] reports the error, unless an unknown key is probably a misspelling of one of
    /// `keys`.
    pub(super) fn lacks(&mut self, keys: &'static [&'static str], fault: Diagnostic) {
        self.lacks.push((keys, fault));
    }

    /// Returns the nodes of `key` and of its value, if the key is present. The key does not belong
    /// in this map. The caller reports the key, so [`Self::close`] does not.
    pub(super) fn report(&mut self, key: &'static str) -> Option<(&'a Node, &'a Node)> {
        self.reported.push(key);
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(name, value)| (name, value))
    }

    /// Returns the value of `key` as a node, or `None` if the key is absent. Records that the key
    /// is known.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let pair = self.pairs.iter().find(|(name, _)| name.text() == key);
        pair.map(|(_, value)| value)
    }

    /// Returns the value of `key`, or `None` if the key is absent or its value is not a `T`.
    /// Reports such a value, unless its error was reported before.
    pub(super) fn value<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let node = self.node(key)?;
        read(node, key, found)
    }

    /// Returns the meaning of the word at `key`, or `None` if the key is absent or its value is not
    /// one of `words`. Reports such a value, unless its error was reported before.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        found: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let node = self.node(key).filter(|node| !node.is_unknown())?;
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

    /// Reads the single value of `key`, or each value of its list, with `read`. Returns `None` if
    /// the key is absent. Values that cannot be read are left out, so the result may be empty.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
        read: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        Some(match &node.kind {
            NodeKind::List(items) => items
                .iter()
                .filter_map(|item| read(item, key, found))
                .collect(),
            _ => read(node, key, found).into_iter().collect(),
        })
    }

    /// Returns the values like [`Self::list`], and reports an empty list as an error with the label
    /// `instead`.
    pub(super) fn some<T>(
        &mut self,
        key: &'static str,
        instead: &str,
        found: &mut Diagnostics,
        read: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        if matches!(&node.kind, NodeKind::List(items) if items.is_empty()) {
            let fault = Diagnostic::error(format!("{key:?} can't be an empty list"));
            found.push(fault.at(node.place.clone()).label(instead));
        }
        self.list(key, found, read)
    }

    /// Reports every key that was not read, and the recorded errors of missing keys.
    pub(super) fn close(mut self, found: &mut Diagnostics) {
        let mut lacks = std::mem::take(&mut self.lacks);
        for (key, _) in self.pairs {
            let name = key.text();
            if self.known.contains(&name) || self.reported.contains(&name) {
                continue;
            }
            let near = did_you_mean(name, self.known.iter().chain(self.later).copied());
            lacks.retain(|(keys, _)| !near.is_some_and(|near| keys.contains(&near)));
            found.push(self.unknown(key, near));
        }
        lacks.into_iter().for_each(|(_, fault)| found.push(fault));
    }

    /// Returns the error of a key that this map does not have. `near` is the known key that the
    /// author probably meant.
    fn unknown(&self, key: &Node, near: Option<&str>) -> Diagnostic {
        let (name, place) = (key.text(), key.place.clone());
        if self.later.contains(&name) {
            let fault = Diagnostic::error(format!("{name:?} is not supported yet"));
            return fault.at(place).label("remove it").help(
                "the key belongs to a later release, and this release refuses it instead of ignoring it",
            );
        }
        let fault = Diagnostic::error(format!("{} has no key {}", self.what, quoted(name)));
        let known = one_of(self.known.iter().copied());
        let fault = fault.at(place).label(format!("expected {known}"));
        let elsewhere = || {
            let homes = homes(name);
            (!homes.is_empty()).then(|| format!("it is a key of {}", homes.join(" and ")))
        };
        let help = match name {
            "<<" => Some("merging is not part of YAML 1.2: write the keys out".to_owned()),
            _ if name.contains(':') => {
                Some("YAML requires a space after the colon of a key".to_owned())
            }
            _ => near
                .map(|near| format!("did you mean {near:?}?"))
                .or_else(|| instead(name).map(str::to_owned))
                .or_else(elsewhere),
        };
        Diagnostic { help, ..fault }
    }
}

/// Returns the remedy for a key that is common in files of other programs and unknown in
/// routes.yaml, or `None` for any other key.
fn instead(key: &str) -> Option<&'static str> {
    Some(match key {
        "version" | "apiVersion" | "schema_version" => {
            "remove the key: this file has no versions, and a gateway refuses unknown keys"
        }
        "description" | "comment" | "name" | "title" => "write the text as a comment: # …",
        "include" | "includes" | "imports" | "extends" | "import" => {
            "one file holds the whole configuration: write the routes of the other file here; only .proto files import others"
        }
        _ => return None,
    })
}

/// Returns the sections that can have this key, and the sections whose entries can have this key,
/// according to the JSON Schema of the file.
pub(super) fn homes(key: &str) -> Vec<&'static str> {
    // The definitions in the JSON Schema, each with the section that it defines.
    const DEFINED: [(&str, &str); 9] = [
        ("frontend", "frontends"),
        ("pool", "pools"),
        ("channel", "channels"),
        ("keep", "channels.keep"),
        ("route", "routes"),
        ("schema", "schema"),
        ("security_map", "security"),
        ("curve", "security.curve"),
        ("plain", "security.plain"),
    ];
    const SECTIONS: [&str; 6] = ["proto", "limits", "shutdown", "reload", "admin", "log"];
    // The schema is parsed once, because a file may have as many unknown keys as lines.
    static SCHEMA: LazyLock<serde_json::Value> =
        LazyLock::new(|| serde_json::from_str(JSON_SCHEMA).unwrap_or_default());
    let schema = &*SCHEMA;
    let has = |map: &serde_json::Value| !map["properties"][key].is_null();
    let defined = DEFINED
        .iter()
        .filter(|(name, _)| has(&schema["$defs"][name]));
    let sections = SECTIONS.into_iter();
    let sections = sections.filter(|name| has(&schema["properties"][name]));
    let top = has(schema).then_some("the file itself");
    let defined = defined.map(|(_, homes)| *homes);
    defined.chain(sections).chain(top).collect()
}

/// Returns whether a node is a single value that can be read as a `T`.
pub(super) fn is<T: DeserializeOwned>(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Scalar(_, value) if serde_yaml::from_value::<T>(value.clone()).is_ok())
}

/// Reads one scalar as a `T`. Returns `None` for any other node, and reports the node unless its
/// error was reported before. `key` names the scalar in diagnostics.
pub(super) fn read<T: DeserializeOwned>(
    node: &Node,
    key: &str,
    found: &mut Diagnostics,
) -> Option<Spanned<T>> {
    let place = node.place.clone();
    let outcome = match &node.kind {
        NodeKind::Unknown => return None,
        NodeKind::Scalar(_, value) => {
            serde_yaml::from_value(value.clone()).map_err(|e| e.to_string())
        }
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

/// Adds the comment sign of YAML as help to the error of a value that contains a comment of another
/// language.
pub(super) fn with_comment_sign(fault: Diagnostic, value: &str) -> Diagnostic {
    if value.contains(" //") || value.contains(" /*") {
        fault.help("comments begin with # in YAML")
    } else {
        fault
    }
}

/// Reads one scalar as non-empty text, whatever its YAML type, because a name may look like a
/// number. Returns `None` for any other node, and reports the node unless its error was reported
/// before.
pub(super) fn text(node: &Node, key: &str, found: &mut Diagnostics) -> Option<Spanned<String>> {
    let place = node.place.clone();
    match &node.kind {
        NodeKind::Scalar(text, value) if *value != Value::Null && !text.is_empty() => {
            Some(Spanned {
                value: text.clone(),
                place,
            })
        }
        NodeKind::Unknown => None,
        _ => {
            let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
            found.push(fault.at(place).label("expected a name"));
            None
        }
    }
}
