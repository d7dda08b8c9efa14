//! A value as it is written, before aliases are expanded.

use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::Span;
use serde_yaml::Value;

use gateway_diagnostic::{Place, SourceFile};

/// A value and its span, before aliases are expanded. It is shared (`Rc`), because an alias stands
/// for the value of its anchor.
#[derive(Debug)]
pub(super) struct RawNode {
    pub(super) span: Span,
    pub(super) kind: RawKind,
}

#[derive(Debug)]
pub(super) enum RawKind {
    Scalar(String, Value),
    Unknown,
    List(Vec<Rc<RawNode>>),
    Map(Vec<(Rc<RawNode>, Rc<RawNode>)>),
}

pub(super) fn place(file: &Arc<SourceFile>, span: &Span) -> Place {
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
