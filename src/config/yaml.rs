//! YAML text → [`Node`]s: values that know where they stand.
//!
//! serde_yaml says what a file means; saphyr-parser's events say where each part of it stands. The
//! two readings are laid over each other. Faults of the YAML itself are reported here, the first
//! only where nothing after it can be trusted; duplicate keys all.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScanError, Span};
use serde_yaml::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};

/// Largest file, in bytes: room for ten thousand routes. Reading nested YAML takes time that grows
/// faster than the file.
const FILE_MAX: usize = 1 << 20;

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
            Kind::Scalar(text, _) => format!("{text:?}"),
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

/// Reads a file's text. None if it can't be made sense of, which `found` then says.
pub fn parse(file: &Arc<SourceFile>, found: &mut Diagnostics) -> Option<Node> {
    if file.text.len() > FILE_MAX {
        found.push(
            Diagnostic::error(format!("{} is larger than 1 MiB", file.path.display()))
                .at(file.place(1, 1, 1))
                .help("a configuration of this size is surely not meant; is it the right file?"),
        );
        return None;
    }
    let errors_before = found.errors();
    let spot = match spots(file, found) {
        Ok(Some(spot)) => spot,
        Err(fault) => {
            found.push(*fault);
            return None;
        }
        Ok(None) => {
            found.push(
                Diagnostic::error("the file is empty")
                    .at(file.place(1, 1, 1))
                    .label("expected frontends, pools and routes"),
            );
            return None;
        }
    };
    if found.errors() > errors_before {
        return None;
    }
    match serde_yaml::from_str::<Value>(&file.text) {
        Ok(value) => Some(lay_over(file, &value, &spot)),
        Err(error) => {
            let place = error.location().map_or(file.place(1, 1, 1), |at| {
                file.place(at.line() as u32, at.column() as u32, 1)
            });
            found.push(Diagnostic::error(format!("not valid YAML: {error}")).at(place));
            None
        }
    }
}

/// Where a part of the file stands. Shared, because an alias stands for what its anchor named.
#[derive(Debug)]
struct Spot {
    span: Span,
    kind: SpotKind,
}

#[derive(Debug)]
enum SpotKind {
    Scalar(String),
    List(Vec<Rc<Spot>>),
    Map(Vec<(Rc<Spot>, Rc<Spot>)>),
}

/// A list or map whose end has not come.
struct Open {
    span: Span,
    anchor: usize,
    map: bool,
    children: Vec<Rc<Spot>>,
}

/// The places of the one document in the file; none if it is empty.
fn spots(
    file: &Arc<SourceFile>,
    found: &mut Diagnostics,
) -> Result<Option<Rc<Spot>>, Box<Diagnostic>> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Rc<Spot>> = HashMap::new();
    let mut root: Option<Rc<Spot>> = None;
    for event in Parser::new_from_str(&file.text) {
        let (event, span) = event.map_err(|error| Box::new(syntax_fault(file, &error)))?;
        let done = match event {
            Event::DocumentStart(_) if root.is_some() => {
                let fault = Diagnostic::error("a second YAML document").at(place(file, &span));
                let help = "keep one configuration in a file: remove the `---`";
                return Err(Box::new(fault.help(help)));
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if open.len() == DEPTH_MAX {
                    let fault = Diagnostic::error("nested too deeply").at(place(file, &span));
                    let label = format!("more than {DEPTH_MAX} levels");
                    return Err(Box::new(fault.label(label)));
                }
                let map = matches!(event, Event::MappingStart(..));
                open.push(Open {
                    span,
                    anchor,
                    map,
                    children: Vec::new(),
                });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|it| {
                let anchor = it.anchor;
                let spot = it.close();
                // Here, where each map is seen once, however often aliases repeat it.
                if let SpotKind::Map(pairs) = &spot.kind {
                    duplicates(file, pairs, found);
                }
                (anchor, spot)
            }),
            Event::Scalar(text, _, anchor, _) => {
                let kind = SpotKind::Scalar(text.into_owned());
                Some((anchor, Spot { span, kind }))
            }
            Event::Alias(anchor) => {
                let target = anchors.get(&anchor);
                // An alias inside of what it names: the reading of values refuses it in its own words.
                let target = target.ok_or_else(|| {
                    let fault = Diagnostic::error("an alias inside of its own anchor");
                    Box::new(fault.at(place(file, &span)))
                })?;
                attach(&mut open, &mut root, Rc::clone(target));
                None
            }
            _ => None,
        };
        if let Some((anchor, spot)) = done {
            let spot = Rc::new(spot);
            if anchor != 0 {
                anchors.insert(anchor, Rc::clone(&spot));
            }
            attach(&mut open, &mut root, spot);
        }
    }
    // An empty document is a scalar without text.
    Ok(root.filter(
        |spot| !matches!(&spot.kind, SpotKind::Scalar(text) if text.is_empty() || text == "~"),
    ))
}

fn attach(open: &mut [Open], root: &mut Option<Rc<Spot>>, spot: Rc<Spot>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(spot),
        None => *root = Some(spot),
    }
}

impl Open {
    fn close(self) -> Spot {
        let kind = if self.map {
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

fn syntax_fault(file: &Arc<SourceFile>, error: &ScanError) -> Diagnostic {
    let at = error.marker();
    let line = file
        .text
        .lines()
        .nth(at.line().saturating_sub(1))
        .unwrap_or_default();
    let fault = Diagnostic::error(format!("not valid YAML: {}", error.info()));
    match line.trim_start().strip_prefix('*') {
        Some(_) => {
            let indent = line.chars().take_while(|&c| c == ' ').count();
            fault
                .at(file.place(at.line() as u32, indent as u32 + 1, 1))
                .label("a * here begins an alias in YAML")
                .help("quote a type that starts with *: the catch-all is \"*\"")
        }
        None => fault
            .at(file.place(at.line() as u32, at.col() as u32 + 1, 1))
            .label(hint(line)),
    }
}

/// What a YAML parser's words don't say.
fn hint(line: &str) -> &'static str {
    if line.trim_start().starts_with('\t') || line.starts_with('\t') {
        "YAML indents by spaces, not by tabs"
    } else {
        ""
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
        let SpotKind::Scalar(text) = &key.kind else {
            continue;
        };
        let here = place(file, &key.span);
        match first.get(text.as_str()) {
            Some(before) => found.push(
                Diagnostic::error(format!("{text:?} stands here twice"))
                    .at(here)
                    .label("the second")
                    .note(format!("the first is at {before}")),
            ),
            None => {
                first.insert(text, here);
            }
        }
    }
}

/// Gives each value the place of the spot that it was read from. Should the two readings ever
/// differ, a value stands where what it is in stands.
fn lay_over(file: &Arc<SourceFile>, value: &Value, spot: &Spot) -> Node {
    let kind = match (value, &spot.kind) {
        (Value::Sequence(values), SpotKind::List(spots)) => Kind::List(
            values
                .iter()
                .enumerate()
                .map(|(n, value)| lay_over(file, value, spots.get(n).map_or(spot, |s| s)))
                .collect(),
        ),
        (Value::Mapping(values), SpotKind::Map(spots)) => Kind::Map(
            values
                .iter()
                .enumerate()
                .map(|(n, (key, value))| {
                    let (at_key, at_value) = spots.get(n).map_or((spot, spot), |(k, v)| (k, v));
                    (lay_over(file, key, at_key), lay_over(file, value, at_value))
                })
                .collect(),
        ),
        (value, SpotKind::Scalar(text)) => Kind::Scalar(text.clone(), value.clone()),
        (value, _) => Kind::Scalar(String::new(), value.clone()),
    };
    Node {
        place: place(file, &spot.span),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let mut found = Diagnostics::new();
        let node = parse(&SourceFile::new("r.yaml", text), &mut found);
        node.ok_or_else(|| found.render(false))
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
            ("routes:\n  *: {}\n", "quote a type"),
            ("a:\n\tb: 1\n", "r.yaml:2:"),
            ("a: [1\n", "r.yaml:"),
            ("a: &x [*x]\n", "r.yaml:1:"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(expected), "{text:?}: {fault}");
        }
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
        assert!(
            read(&"#".repeat((1 << 20) + 1))
                .unwrap_err()
                .contains("1 MiB")
        );
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
