//! Reads the parser's events into [`RawNode`]s: expands variables, and reports tags, duplicate keys
//! and values that are nested too deeply.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_yaml::Value;

use super::bounds::{DEPTH_MAX, EXPANDED_MAX};
use super::raw::{RawKind, RawNode, place};
use crate::config::environment::Environment;
use crate::config::quoted::quoted;
use crate::config::syntax::syntax_fault;
use crate::config::variables::{ValueLines, expand};
use crate::config::yaml_text::separated;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};
use gateway_zmtp::z85;

/// The YAML key under which a scalar may be a CURVE key in Z85.
const SECURITY: &str = "security";

/// The size of a decoded CURVE key, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// Returns the root value of the file's only document, or `None` if the document is empty or null.
pub(super) fn raw_nodes(
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
