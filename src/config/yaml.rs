//! YAML text → [`Node`]s: values that know where they stand.
//!
//! saphyr-parser's events say what stands where, serde_yaml what an unquoted scalar means. Faults of
//! the YAML itself are reported here: of its syntax the first, for nothing after it can be trusted;
//! of duplicate keys and tags all, and the file is read on.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_yaml::Value;

use super::syntax::syntax_fault;
use super::yaml_text::{conflicts, separated, unprintable};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};

/// Largest file, in bytes: room for a hundred thousand routes, which load in seconds.
pub const FILE_MAX: usize = 16 << 20;

/// Values of a small file with every alias written out; of a larger one as many as it has bytes, which is more than it
/// can hold without an alias.
const VALUES_MAX: usize = 1 << 20;

/// Longest text of a scalar that a sentence repeats, in characters.
const FOUND_MAX: usize = 60;

/// Levels of nesting: twice what a routes.yaml can need.
const DEPTH_MAX: usize = 16;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Of a scalar, all of it; of a list or map, its first line's start.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar: how it is written, and what that means.
    Scalar(String, Value),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, for a sentence that says what was found.
    pub fn found(&self) -> String {
        match &self.kind {
            Kind::Scalar(_, Value::Null) => "nothing".to_owned(),
            Kind::Scalar(text, _) => quoted(text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// The text of a scalar as it is written.
    pub fn text(&self) -> &str {
        match &self.kind {
            Kind::Scalar(text, _) => text,
            _ => "",
        }
    }
}

/// `"text"` for a sentence, cut where it is long.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(FOUND_MAX) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// Reads a file's text, of at most [`FILE_MAX`] bytes. None if it can't be made sense of, which `found` then says.
pub fn parse(file: &Arc<SourceFile>, found: &mut Diagnostics) -> Option<Node> {
    let sound_so_far = found.errors();
    conflicts(file).for_each(|fault| found.push(fault));
    if found.errors() > sound_so_far {
        return None;
    }
    if let Some(fault) = unprintable(file) {
        found.push(fault);
        return None;
    }
    let outcome = spots(file, found).and_then(|root| {
        let root = root.ok_or_else(|| Box::new(empty(file)))?;
        let most = VALUES_MAX.max(file.text.len());
        let mut values = Values {
            file,
            most,
            left: most,
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

/// Where a part of the file stands. Shared, because an alias stands for what its anchor named.
#[derive(Debug)]
struct Spot {
    span: Span,
    kind: SpotKind,
}

#[derive(Debug)]
enum SpotKind {
    Scalar(String, Value),
    List(Vec<Rc<Spot>>),
    Map(Vec<(Rc<Spot>, Rc<Spot>)>),
}

/// A list or map whose end has not come.
struct Open {
    span: Span,
    anchor: usize,
    collection: Collection,
    children: Vec<Rc<Spot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collection {
    List,
    Map,
}

/// Returns the places of the one document in the file; none if it is empty.
fn spots(
    file: &Arc<SourceFile>,
    found: &mut Diagnostics,
) -> Result<Option<Rc<Spot>>, Box<Diagnostic>> {
    let mut document = Document {
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    for event in Parser::new_from_str(&separated(&file.text)) {
        let (event, span) = event.map_err(|error| {
            let bracket = document.open.iter().rev().find_map(|it| it.bracket(file));
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
    // An empty document is a scalar without text.
    let is_empty = |spot: &Rc<Spot>| matches!(&spot.kind, SpotKind::Scalar(_, Value::Null));
    Ok(document.root.filter(|spot| !is_empty(spot)))
}

fn tag_fault(tag: &Tag, mut at: Place) -> Diagnostic {
    let handle = tag.handle.replace("tag:yaml.org,2002:", "!!");
    let tag = format!("{handle}{}", tag.suffix);
    at.width = tag.chars().count() as u32;
    Diagnostic::error(format!("the tag {} has no meaning here", quoted(&tag)))
        .at(at)
        .label("expected a value without a tag")
        .help("remove it, or quote what starts with !")
}

/// A document, as far as it has been read.
struct Document<'a> {
    file: &'a Arc<SourceFile>,
    /// Lists and maps whose end has not come, the outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Spot>>,
    root: Option<Rc<Spot>>,
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
            Event::SequenceStart(anchor, _) => self.begin(Collection::List, anchor, span)?,
            Event::MappingStart(anchor, _) => self.begin(Collection::Map, anchor, span)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(found),
            Event::Scalar(text, style, anchor, _) => {
                let value = meaning(&text, style);
                let kind = SpotKind::Scalar(text.into_owned(), value);
                self.add(anchor, Spot { span, kind });
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

    fn begin(
        &mut self,
        collection: Collection,
        anchor: usize,
        span: Span,
    ) -> Result<(), Box<Diagnostic>> {
        if self.open.len() == DEPTH_MAX {
            let fault = Diagnostic::error("nested too deeply").at(place(self.file, &span));
            let label = format!("more than {DEPTH_MAX} levels");
            return Err(Box::new(fault.label(label)));
        }
        self.open.push(Open {
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
        let spot = open.close();
        // Here, where each map is seen once, however often aliases repeat it.
        if let SpotKind::Map(pairs) = &spot.kind {
            duplicates(self.file, pairs, found);
        }
        self.add(anchor, spot);
    }

    /// Adds a value that is complete, under its anchor if it has one.
    fn add(&mut self, anchor: usize, spot: Spot) {
        let spot = Rc::new(spot);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&spot));
        }
        self.attach(spot);
    }

    fn attach(&mut self, spot: Rc<Spot>) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(spot),
            None => self.root = Some(spot),
        }
    }
}

/// Returns the meaning of a scalar: text, but for unquoted numbers, truths and nothings.
fn meaning(text: &str, style: ScalarStyle) -> Value {
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

impl Open {
    /// The bracket that it was opened by, if it was, and where.
    fn bracket(&self, file: &Arc<SourceFile>) -> Option<(char, Place)> {
        let at = place(file, &self.span);
        let line = file.line(at.line)?;
        let first = line.chars().nth(at.column as usize - 1)?;
        matches!(first, '{' | '[').then_some((first, at))
    }

    fn close(self) -> Spot {
        let kind = if self.collection == Collection::Map {
            let mut children = self.children.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                pairs.push((key, value));
            }
            SpotKind::Map(pairs)
        } else {
            SpotKind::List(self.children)
        };
        Spot {
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

/// Reports every key that stands twice in a map.
fn duplicates(file: &Arc<SourceFile>, pairs: &[(Rc<Spot>, Rc<Spot>)], found: &mut Diagnostics) {
    let mut first: HashMap<&str, Place> = HashMap::new();
    for (key, _) in pairs {
        let SpotKind::Scalar(text, _) = &key.kind else {
            let fault = Diagnostic::error("a key can't be a list or a map");
            found.push(fault.at(place(file, &key.span)).label("expected a word"));
            continue;
        };
        let here = place(file, &key.span);
        match first.get(text.as_str()) {
            Some(before) => found.push(
                Diagnostic::error(format!("{} stands here twice", quoted(text)))
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

/// Bytes of all texts, aliases written out: twice the largest file, so that a file without aliases never has so many, and
/// one with aliases takes no more memory than that.
const WRITTEN_OUT_MAX: usize = 2 * FILE_MAX;

/// Writes every alias out, as long as that stays within bounds.
struct Values<'a> {
    file: &'a Arc<SourceFile>,
    /// The most values.
    most: usize,
    /// The values that may still come.
    left: usize,
    /// The bytes of their texts that may still come.
    bytes_left: usize,
}

impl Values<'_> {
    fn node(&mut self, spot: &Spot) -> Result<Node, Box<Diagnostic>> {
        let mut place = place(self.file, &spot.span);
        if !matches!(spot.kind, SpotKind::Scalar(..)) {
            place.width = 1;
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let fault = Diagnostic::error("aliases repeat too much").at(place.clone());
            let label = format!("more than {} values when written out", self.most);
            Box::new(fault.label(label))
        })?;
        if let SpotKind::Scalar(text, _) = &spot.kind {
            self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or_else(|| {
                let fault = Diagnostic::error("aliases repeat too much").at(place.clone());
                let label = format!("more than {WRITTEN_OUT_MAX} bytes when written out");
                Box::new(fault.label(label))
            })?;
        }
        let kind = match &spot.kind {
            SpotKind::Scalar(text, value) => Kind::Scalar(text.clone(), value.clone()),
            SpotKind::List(items) => {
                let items = items.iter().map(|item| self.node(item));
                Kind::List(items.collect::<Result<_, _>>()?)
            }
            SpotKind::Map(pairs) => {
                // A key that is a list or a map was reported.
                let worded = |(key, _): &&(Rc<Spot>, _)| matches!(key.kind, SpotKind::Scalar(..));
                let pairs = pairs.iter().filter(worded);
                let pairs = pairs.map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                Kind::Map(pairs.collect::<Result<_, Box<Diagnostic>>>()?)
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
        let node = parse(&SourceFile::new("r.yaml", text), &mut found);
        match node {
            Some(node) if found.is_empty() => Ok(node),
            _ => Err(found.render(false)),
        }
    }

    #[test]
    fn values_know_their_places() {
        let node = read("a:\n  b: [1, two]\n  \"*\": &x {c: 30s}\nd: *x\n").unwrap();
        let Kind::Map(top) = &node.kind else { panic!() };
        let Kind::Map(a) = &top[0].1.kind else {
            panic!()
        };
        let Kind::List(list) = &a[0].1.kind else {
            panic!()
        };
        assert_eq!(list[1].place.to_string(), "r.yaml:2:10");
        assert_eq!(list[1].place.width, 3);
        assert_eq!(a[1].0.text(), "*");
        let Kind::Map(d) = &top[1].1.kind else {
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
            ("routes:\n  *: {}\n", "quote what starts"),
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
        let Kind::Map(top) = &node.kind else { panic!() };
        assert_eq!(top[0].1.text(), "word");
        assert_eq!(top[0].1.place.to_string(), "r.yaml:1:4");
        let Kind::Map(b) = &top[1].1.kind else {
            panic!()
        };
        assert_eq!(
            (b[0].1.text(), b[1].0.text(), b[1].1.text()),
            ("word", "d:\te", "f:\tg")
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
    fn aliases_cannot_blow_up() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..30 {
            let of = format!("*a{}, ", n - 1).repeat(9);
            text += &format!("a{n}: &a{n} [{of}]\n");
        }
        assert!(read(&text).is_err());
    }
}
