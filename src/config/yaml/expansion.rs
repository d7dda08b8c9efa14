//! Expands the aliases of a document within bounds.

use std::rc::Rc;
use std::sync::Arc;

use super::bounds::{VALUES_MAX, WRITTEN_OUT_MAX};
use super::node::{Node, NodeKind};
use super::raw::{RawKind, RawNode, place};
use gateway_diagnostic::{Diagnostic, SourceFile};

/// The conversion of [`RawNode`]s to [`Node`]s, which expands all aliases within bounds.
pub(super) struct Values<'a> {
    file: &'a Arc<SourceFile>,
    /// The maximum number of values.
    values_max: usize,
    /// The number of further values that are allowed.
    values_left: usize,
    /// The number of further bytes of scalars that are allowed.
    bytes_left: usize,
}

impl<'a> Values<'a> {
    /// Returns the conversion of the values of `file`.
    pub(super) fn new(file: &'a Arc<SourceFile>) -> Self {
        let values_max = VALUES_MAX.max(file.text.len());
        Self {
            file,
            values_max,
            values_left: values_max,
            bytes_left: WRITTEN_OUT_MAX,
        }
    }

    /// Converts a value and all values in it. Fails if aliases repeat too much.
    pub(super) fn node(&mut self, raw: &RawNode) -> Result<Node, Box<Diagnostic>> {
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
