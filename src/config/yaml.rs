//! Parses YAML text into [`Node`]s, which are values with their places in the file.
//!
//! The events of saphyr-parser give the structure and the places; serde_yaml gives the type of an
//! unquoted scalar. Errors of the YAML itself are reported here. Parsing stops at the first syntax
//! error, because nothing after it can be trusted. Duplicate keys, tags and undefined variables are
//! all reported, and parsing continues after them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_yaml::Value;

use super::environment::Environment;
use super::quoted::quoted;
use super::syntax::syntax_fault;
use super::variables::{ValueLines, expand};
use super::yaml_text::{conflicts, separated, unprintable};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};
use gateway_zmtp::z85;

/// The maximum size of a file, in bytes: room for a hundred thousand routes, which load in seconds.
pub const FILE_MAX: usize = 16 << 20;

/// The maximum number of values after all aliases are expanded, for a file of at most 1 MiB. A
/// larger file may have as many values as bytes. A file without aliases never exceeds the maximum.
const VALUES_MAX: usize = 1 << 20;

/// The maximum size of all expanded values that contain variables, in bytes: the same as for a
/// file.
const EXPANDED_MAX: usize = FILE_MAX;

/// The YAML key under which a scalar may be a CURVE key in Z85.
const SECURITY: &str = "security";

/// The size of a decoded CURVE key, in bytes.
const KEY_BYTES: usize = 32;

/// The maximum nesting: twice what a routes.yaml can need.
const DEPTH_MAX: usize = 16;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The place of the whole scalar, or of the first character of a list or map.
    pub place: Place,
    /// The kind of the value.
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    /// A scalar, with its text and its typed value.
    Scalar(String, Value),
    /// A scalar with a variable that is malformed or has no usable value. The error has already
    /// been reported.
    Unknown,
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Describes the value for an error message, such as `"a list"`.
    pub(super) fn found(&self) -> String {
        match &self.kind {
            NodeKind::Scalar(_, Value::Null) => "nothing".to_owned(),
            NodeKind::Scalar(text, _) => quoted(text),
            NodeKind::Unknown => "unknown".to_owned(),
            NodeKind::List(_) => "a list".to_owned(),
            NodeKind::Map(_) => "a map".to_owned(),
        }
    }

    /// Returns whether the node is a map with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.kind, NodeKind::Map(pairs) if pairs.iter().any(|(name, _)| name.text() == key))
    }

    /// Returns whether the node is [`NodeKind::Unknown`]. Its error has already been reported, so
    /// callers report nothing more about the node.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.kind, NodeKind::Unknown)
    }

    /// Returns the text of a scalar with its variables expanded, or an empty text for any other
    /// node.
    pub(super) fn text(&self) -> &str {
        match &self.kind {
            NodeKind::Scalar(text, _) => text,
            _ => "",
        }
    }
}

/// Parses the text of a file, of at most [`FILE_MAX`] bytes. Variables have their values in
/// `environment`. Returns `None` if the text cannot be parsed; the errors are then in `found`.
pub(super) fn parse(
    file: &Arc<SourceFile>,
    environment: &Environment,
    found: &mut Diagnostics,
) -> Option<Node> {
    let errors_before = found.errors();
    conflicts(file).for_each(|fault| found.push(fault));
    if found.errors() > errors_before {
        return None;
    }
    if let Some(fault) = unprintable(file) {
        found.push(fault);
        return None;
    }
    let outcome = raw_nodes(file, environment, found).and_then(|root| {
        let root = root.ok_or_else(|| Box::new(empty(file)))?;
        let values_max = VALUES_MAX.max(file.text.len());
        let mut values = Values {
            file,
            values_max,
            values_left: values_max,
            bytes_left: WRITTEN_OUT_MAX,
        };
        values.node(&root)
    });
    outcome.map_err(|fault| found.push(*fault)).ok()
}

fn empty(file: &Arc<SourceFile>) -> Diagnostic {
    Diagnostic::error("the file is empty")
        .at(file.place(1, 1, 1))
        .label("expected frontends, pools and routes")
        .help("`gateway --help` shows the shortest file that works")
}

/// A value and its span, before aliases are expanded. It is shared (`Rc`), because an alias stands
/// for the value of its anchor.
#[derive(Debug)]
struct RawNode {
    span: Span,
    kind: RawKind,
}

#[derive(Debug)]
enum RawKind {
    Scalar(String, Value),
    Unknown,
    List(Vec<Rc<RawNode>>),
    Map(Vec<(Rc<RawNode>, Rc<RawNode>)>),
}

/// A list or map whose end has not been parsed yet.
struct OpenCollection {
    span: Span,
    anchor: usize,
    collection: CollectionKind,
    children: Vec<Rc<RawNode>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CollectionKind {
    List,
    Map,
}

/// Returns the root value of the file's only document, or `None` if the document is empty or null.
fn raw_nodes(
    file: &Arc<SourceFile>,
    environment: &Environment,
    found: &mut Diagnostics,
) -> Result<Option<Rc<RawNode>>, Box<Diagnostic>> {
    let mut document = Document {
        file,
        environment,
        expanded_left: EXPANDED_MAX,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    for event in Parser::new_from_str(&separated(&file.text)) {
        let (event, span) = event.map_err(|error| {
            let mut open = document.open.iter().rev();
            let bracket = open.find_map(|collection| collection.bracket(file));
            Box::new(syntax_fault(file, &error, bracket))
        })?;
        if let Event::Scalar(_, _, _, Some(tag))
        | Event::SequenceStart(_, Some(tag))
        | Event::MappingStart(_, Some(tag)) = &event
        {
            found.push(tag_fault(tag, place(file, &span)));
        }
        document.take(event, span, found)?;
    }
    // The parser reports an empty document as a null scalar.
    let is_empty = |raw: &Rc<RawNode>| matches!(&raw.kind, RawKind::Scalar(_, Value::Null));
    Ok(document.root.filter(|raw| !is_empty(raw)))
}

fn tag_fault(tag: &Tag, mut at: Place) -> Diagnostic {
    let handle = tag.handle.replace("tag:yaml.org,2002:", "!!");
    let tag = format!("{handle}{}", tag.suffix);
    at.width = tag.chars().count() as u32;
    Diagnostic::error(format!("the tag {} is not allowed here", quoted(&tag)))
        .at(at)
        .label("expected a value without a tag")
        .help("remove the tag, or quote a value that starts with !")
}

/// A document that is being read.
struct Document<'a> {
    file: &'a Arc<SourceFile>,
    environment: &'a Environment,
    /// The number of bytes that expanded values may still take.
    expanded_left: usize,
    /// The lists and maps whose end has not been parsed yet, the outermost first.
    open: Vec<OpenCollection>,
    anchors: HashMap<usize, Rc<RawNode>>,
    root: Option<Rc<RawNode>>,
}

impl Document<'_> {
    /// Takes the parser's next event.
    fn take(
        &mut self,
        event: Event<'_>,
        span: Span,
        found: &mut Diagnostics,
    ) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let fault = Diagnostic::error("a second YAML document").at(place(self.file, &span));
                let help = "keep one configuration in a file: remove the `---`";
                return Err(Box::new(fault.help(help)));
            }
            Event::SequenceStart(anchor, _) => self.begin(CollectionKind::List, anchor, span)?,
            Event::MappingStart(anchor, _) => self.begin(CollectionKind::Map, anchor, span)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(found),
            Event::Scalar(text, style, anchor, _) => {
                let kind = self.scalar(text.into_owned(), style, &span, found)?;
                self.add(anchor, RawNode { span, kind });
            }
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor) else {
                    let fault = Diagnostic::error("an alias inside of its own anchor");
                    return Err(Box::new(fault.at(place(self.file, &span))));
                };
                self.attach(Rc::clone(target));
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the kind of a scalar. Variables are expanded in values, but not in the keys of maps
    /// or in CURVE keys (Z85).
    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        span: &Span,
        found: &mut Diagnostics,
    ) -> Result<RawKind, Box<Diagnostic>> {
        let is_key = self.open.last().is_some_and(OpenCollection::is_before_key);
        let expanded = match is_key || self.is_z85(&text) {
            true => None,
            false => expand(&text, self.environment),
        };
        let Some(expanded) = expanded else {
            let value = meaning(&text, style);
            return Ok(RawKind::Scalar(text, value));
        };
        let lines = ValueLines {
            file: self.file,
            place: place(self.file, span),
            end: span.end.line() as u32,
        };
        let diagnostics = expanded.found.into_iter();
        diagnostics.for_each(|fault| found.push(fault.at(&lines)));
        let Some(text) = expanded.text else {
            return Ok(RawKind::Unknown);
        };
        let left = self.expanded_left.checked_sub(text.len());
        self.expanded_left = left.ok_or_else(|| {
            let fault = Diagnostic::error("the values of variables are too long").at(lines.place);
            let label = format!("more than {EXPANDED_MAX} bytes after expansion");
            Box::new(fault.label(label))
        })?;
        // Inside `{…}` or `[…]` a variable must be quoted, so quotes around a variable do not make
        // its value a string.
        let value = match meaning(&text, ScalarStyle::Plain) {
            Value::Null if style != ScalarStyle::Plain => Value::String(text.clone()),
            value => value,
        };
        Ok(RawKind::Scalar(text, value))
    }

    /// Returns whether a value is below `security` and is a CURVE key in Z85. A dollar sign in such
    /// a key belongs to the alphabet of Z85.
    fn is_z85(&self, text: &str) -> bool {
        let is_secured = self.open.iter().any(|open| open.key() == Some(SECURITY));
        is_secured && z85::decode::<KEY_BYTES>(text).is_ok()
    }

    fn begin(
        &mut self,
        collection: CollectionKind,
        anchor: usize,
        span: Span,
    ) -> Result<(), Box<Diagnostic>> {
        if self.open.len() == DEPTH_MAX {
            let fault = Diagnostic::error("nested too deeply").at(place(self.file, &span));
            let label = format!("more than {DEPTH_MAX} levels");
            return Err(Box::new(fault.label(label)));
        }
        self.open.push(OpenCollection {
            span,
            anchor,
            collection,
            children: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self, found: &mut Diagnostics) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let anchor = open.anchor;
        let raw = open.close();
        // Duplicate keys are reported here, because each map ends only once, even if aliases repeat
        // the map.
        if let RawKind::Map(pairs) = &raw.kind {
            duplicates(self.file, pairs, found);
        }
        self.add(anchor, raw);
    }

    /// Adds a complete value, under its anchor if it has one.
    fn add(&mut self, anchor: usize, raw: RawNode) {
        let raw = Rc::new(raw);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&raw));
        }
        self.attach(raw);
    }

    fn attach(&mut self, raw: Rc<RawNode>) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(raw),
            None => self.root = Some(raw),
        }
    }
}

/// Returns the typed value of a scalar. Only unquoted numbers, booleans and nulls are not text.
fn meaning(text: &str, style: ScalarStyle) -> Value {
    // A number begins with one of these characters, and a word for a boolean or null has at most
    // five letters.
    let may_be_other = match text.as_bytes().first() {
        None => true,
        Some(first) => matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.' | b'~') || text.len() <= 5,
    };
    let read = || serde_yaml::from_str(text).ok();
    match style {
        ScalarStyle::Plain if may_be_other => read()
            .filter(|value| matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)))
            .unwrap_or_else(|| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}

impl OpenCollection {
    /// Returns whether the next value is a key.
    fn is_before_key(&self) -> bool {
        self.collection == CollectionKind::Map && self.children.len().is_multiple_of(2)
    }

    /// Returns the key of the next value, or `None` in a list or before a key.
    fn key(&self) -> Option<&str> {
        if self.collection != CollectionKind::Map || self.is_before_key() {
            return None;
        }
        match &self.children.last()?.kind {
            RawKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the bracket that opens the collection and its place, or `None` if the collection is
    /// written without brackets.
    fn bracket(&self, file: &Arc<SourceFile>) -> Option<(char, Place)> {
        let at = place(file, &self.span);
        let line = file.line(at.line)?;
        let first = line.chars().nth(at.column as usize - 1)?;
        matches!(first, '{' | '[').then_some((first, at))
    }

    fn close(self) -> RawNode {
        let kind = if self.collection == CollectionKind::Map {
            let mut children = self.children.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                pairs.push((key, value));
            }
            RawKind::Map(pairs)
        } else {
            RawKind::List(self.children)
        };
        RawNode {
            span: self.span,
            kind,
        }
    }
}

fn place(file: &Arc<SourceFile>, span: &Span) -> Place {
    let one_line = span.start.line() == span.end.line();
    let width = if one_line {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    file.place(
        span.start.line() as u32,
        span.start.col() as u32 + 1,
        width as u32,
    )
}

/// Reports every key of a map that is a duplicate, or that is itself a list or a map.
fn duplicates(
    file: &Arc<SourceFile>,
    pairs: &[(Rc<RawNode>, Rc<RawNode>)],
    found: &mut Diagnostics,
) {
    let mut first: HashMap<&str, Place> = HashMap::new();
    for (key, _) in pairs {
        let RawKind::Scalar(text, _) = &key.kind else {
            let fault = Diagnostic::error("a key can't be a list or a map");
            found.push(fault.at(place(file, &key.span)).label("expected a word"));
            continue;
        };
        let here = place(file, &key.span);
        match first.get(text.as_str()) {
            Some(before) => found.push(
                Diagnostic::error(format!("{} is defined twice", quoted(text)))
                    .at(here)
                    .label("the second")
                    .note_at("the first is at", before.clone())
                    .help("remove or rename one of them"),
            ),
            None => {
                first.insert(text, here);
            }
        }
    }
}

/// The maximum size of all scalars after aliases are expanded, in bytes. The text of a file and its
/// expanded variables have at most [`FILE_MAX`] bytes each, so a file without aliases never exceeds
/// this sum.
const WRITTEN_OUT_MAX: usize = 2 * FILE_MAX;

/// The conversion of [`RawNode`]s to [`Node`]s, which expands all aliases within bounds.
struct Values<'a> {
    file: &'a Arc<SourceFile>,
    /// The maximum number of values.
    values_max: usize,
    /// The number of further values that are allowed.
    values_left: usize,
    /// The number of further bytes of scalars that are allowed.
    bytes_left: usize,
}

impl Values<'_> {
    fn node(&mut self, raw: &RawNode) -> Result<Node, Box<Diagnostic>> {
        let mut place = place(self.file, &raw.span);
        if !matches!(raw.kind, RawKind::Scalar(..) | RawKind::Unknown) {
            place.width = 1;
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| {
            let fault = Diagnostic::error("aliases repeat too much").at(place.clone());
            let label = format!("more than {} values after expansion", self.values_max);
            Box::new(fault.label(label))
        })?;
        if let RawKind::Scalar(text, _) = &raw.kind {
            self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or_else(|| {
                let fault = Diagnostic::error("aliases repeat too much").at(place.clone());
                let label = format!("more than {WRITTEN_OUT_MAX} bytes after expansion");
                Box::new(fault.label(label))
            })?;
        }
        let kind = match &raw.kind {
            RawKind::Scalar(text, value) => NodeKind::Scalar(text.clone(), value.clone()),
            RawKind::Unknown => NodeKind::Unknown,
            RawKind::List(items) => {
                let items = items.iter().map(|item| self.node(item));
                NodeKind::List(items.collect::<Result<_, _>>()?)
            }
            RawKind::Map(pairs) => {
                // A key that is a list or a map has already been reported.
                let has_scalar_key =
                    |(key, _): &&(Rc<RawNode>, _)| matches!(key.kind, RawKind::Scalar(..));
                let pairs = pairs.iter().filter(has_scalar_key);
                let pairs = pairs.map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                NodeKind::Map(pairs.collect::<Result<_, Box<Diagnostic>>>()?)
            }
        };
        Ok(Node { place, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let mut found = Diagnostics::new();
        let environment = [("PORT".to_owned(), "5559".into())].into_iter().collect();
        let node = parse(&SourceFile::new("r.yaml", text), &environment, &mut found);
        match node {
            Some(node) if found.is_empty() => Ok(node),
            _ => Err(found.render(false)),
        }
    }

    #[test]
    fn values_have_their_places() {
        let node = read("a:\n  b: [1, two]\n  \"*\": &x {c: 30s}\nd: *x\n").unwrap();
        let NodeKind::Map(top) = &node.kind else {
            panic!()
        };
        let NodeKind::Map(a) = &top[0].1.kind else {
            panic!()
        };
        let NodeKind::List(list) = &a[0].1.kind else {
            panic!()
        };
        assert_eq!(list[1].place.to_string(), "r.yaml:2:10");
        assert_eq!(list[1].place.width, 3);
        assert_eq!(a[1].0.text(), "*");
        let NodeKind::Map(d) = &top[1].1.kind else {
            panic!()
        };
        assert_eq!(d[0].1.text(), "30s");
    }

    #[test]
    fn faults_of_the_yaml_itself_have_places() {
        for (text, expected) in [
            ("", "r.yaml:1:1"),
            ("# nothing\n", "r.yaml:1:1"),
            ("a: 1\n---\nb: 2\n", "second YAML document"),
            ("a: 1\na: 2\nb: 1\nb: 2\n", "r.yaml:4:1"),
            ("routes:\n  *: {}\n", "r.yaml:2:3"),
            ("routes:\n  *: {}\n", "quote keys and values that start"),
            ("a:\n\tb: 1\n", "r.yaml:2:"),
            ("a: [1\n", "r.yaml:"),
            ("a: &x [*x]\n", "r.yaml:1:"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(expected), "{text:?}: {fault}");
        }
    }

    #[test]
    fn a_tab_may_separate_a_key_from_its_value() {
        let node = read("a:\tword\nb: {c:\tword, 'd:\te': \"f:\tg\"}\nh: x:\ty\n").unwrap_err();
        assert!(node.contains("r.yaml:3:"), "{node}");
        let node = read("a:\tword\nb: {c:\tword, 'd:\te': \"f:\tg\"}\n").unwrap();
        let NodeKind::Map(top) = &node.kind else {
            panic!()
        };
        assert_eq!(top[0].1.text(), "word");
        assert_eq!(top[0].1.place.to_string(), "r.yaml:1:4");
        let NodeKind::Map(b) = &top[1].1.kind else {
            panic!()
        };
        assert_eq!(
            (b[0].1.text(), b[1].0.text(), b[1].1.text()),
            ("word", "d:\te", "f:\tg")
        );
    }

    #[test]
    fn variables_are_expanded_in_values_only() {
        let node =
            read("${PORT}: [\"${PORT}\", '${PORT}x', $PORT$$]\na: {b: \"${NO:-}\"}\nc: ${NO:-}\n");
        let warning = node.unwrap_err();
        assert!(
            warning.contains("write ${PORT} for the variable"),
            "{warning}"
        );
        let node =
            read("${PORT}: [\"${PORT}\", '${PORT}x', a$$]\na: {b: \"${NO:-}\"}\nc: ${NO:-}\n");
        let NodeKind::Map(top) = node.unwrap().kind else {
            panic!()
        };
        assert_eq!(top[0].0.text(), "${PORT}");
        let values = |node: &Node| match &node.kind {
            NodeKind::List(items) => items.clone(),
            NodeKind::Map(pairs) => pairs.iter().map(|(_, value)| value.clone()).collect(),
            _ => vec![node.clone()],
        };
        let meanings = |node: &Node| -> Vec<Value> {
            let meaning = |node: Node| match node.kind {
                NodeKind::Scalar(_, value) => value,
                kind => panic!("{kind:?}"),
            };
            values(node).into_iter().map(meaning).collect()
        };
        assert_eq!(
            meanings(&top[0].1),
            [5559.into(), "5559x".into(), Value::from("a$")]
        );
        assert_eq!(meanings(&top[1].1), [Value::from("")]);
        assert_eq!(meanings(&top[2].1), [Value::Null]);
    }

    #[test]
    fn a_key_in_z85_is_not_expanded() {
        let key = "Yne@${PORT}$$Z85zzzzzzzzzzzzzzzzzzzzzzzz";
        assert!(z85::decode::<KEY_BYTES>(key).is_ok(), "{}", key.len());
        let text = |text: &str| {
            let NodeKind::Map(top) = read(text).unwrap().kind else {
                panic!()
            };
            let mut node = top[0].1.clone();
            while let NodeKind::Map(pairs) = node.kind {
                node = pairs[0].1.clone();
            }
            node.text().to_owned()
        };
        let secured = format!("security: {{ curve: {{ peers: {{ alice: \"{key}\" }} }} }}");
        assert_eq!(text(&secured), key);
        let other = format!("pools: {{ curve: {{ alice: \"{key}\" }} }}");
        assert_eq!(text(&other), "Yne@5559$Z85zzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(
            text("security: { server: \"keys/${PORT}.key\" }"),
            "keys/5559.key"
        );
    }

    #[test]
    fn the_size_of_expanded_variables_is_bounded() {
        let variables = [("LONG".to_owned(), "x".repeat(1 << 20).into())];
        let environment = variables.into_iter().collect();
        let read = |text: &str| {
            let mut found = Diagnostics::new();
            parse(&SourceFile::new("r.yaml", text), &environment, &mut found);
            found.render(false)
        };
        assert_eq!(read(&"- ${LONG}\n".repeat(16)), "");
        let fault = read(&"- ${LONG}\n".repeat(17));
        assert!(fault.contains("r.yaml:17:3"), "{fault}");
        assert!(
            fault.contains("the values of variables are too long"),
            "{fault}"
        );
    }

    #[test]
    fn deep_and_large_files_are_refused_at_once() {
        for deep in ["[", "{a: ", "- ", "a: ", "? ", "&a ", "!t ", "\"", "[*a"] {
            assert!(
                read(&deep.repeat((1 << 20) / deep.len())).is_err(),
                "{deep}"
            );
        }
        let nested = read("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]").unwrap_err();
        assert!(nested.contains("nested too deeply"), "{nested}");
    }

    #[test]
    fn the_number_of_values_after_the_expansion_of_aliases_is_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..30 {
            let aliases = format!("*a{}, ", n - 1).repeat(9);
            text += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        assert!(read(&text).is_err());
    }
}
