//! Macros that visit the elements of a list or map.

use crate::ast::FoldKind;
use crate::entries::map_of;
use crate::error::{ErrorKind, EvalError};
use crate::evaluate::{Evaluation, Outcome};
use crate::node::{FoldOf, Variables};
use crate::span::Span;
use crate::value::Value;

/// The result of the elements that have been visited so far.
enum Accumulator<'a> {
    /// The first error of `all` or `exists`, which is the result if no element decides.
    Quantified(Option<EvalError>),
    /// The number of elements that satisfy `exists_one`.
    Count(u64),
    List(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
}

impl<'a> Evaluation<'a, '_> {
    pub(super) fn fold(&mut self, fold: &'a FoldOf, span: Span) -> Outcome<'a> {
        let range = self.value(&fold.range)?;
        let outer = self.locals.len();
        let value = self.visit(fold, &range, span);
        self.locals.truncate(outer);
        value
    }

    fn visit(&mut self, fold: &'a FoldOf, range: &Value<'a>, span: Span) -> Outcome<'a> {
        let at = |kind: ErrorKind| kind.at(span);
        let count = match range {
            Value::List(list) => list.len(),
            Value::Map(map) => map.len(),
            _ => return Err(at(ErrorKind::NoSuchOverload)),
        };
        let mut accumulator = match fold.kind {
            FoldKind::All | FoldKind::Exists => Accumulator::Quantified(None),
            FoldKind::ExistsOne => Accumulator::Count(0),
            FoldKind::Filter | FoldKind::List => Accumulator::List(Vec::new()),
            FoldKind::MapValues | FoldKind::MapEntries => Accumulator::Map(Vec::new()),
        };
        let outer = self.locals.len();
        for index in 0..count {
            let (first, second) = self.element(range, index, fold.variables).map_err(at)?;
            self.locals.truncate(outer);
            self.locals.push(first.clone());
            self.locals.extend(second);
            if let Some(decided) = self.step(fold, first, &mut accumulator)? {
                return Ok(Value::Bool(decided));
            }
        }
        match accumulator {
            Accumulator::Quantified(Some(error)) => Err(error),
            Accumulator::Quantified(None) => Ok(Value::Bool(fold.kind == FoldKind::All)),
            Accumulator::Count(count) => Ok(Value::Bool(count == 1)),
            Accumulator::List(elements) => Ok(Value::list(elements)),
            Accumulator::Map(entries) => map_of(entries, self.budget).map_err(at),
        }
    }

    /// Returns the values of the variables for the element at `index`.
    fn element(
        &mut self,
        range: &Value<'a>,
        index: usize,
        variables: Variables,
    ) -> Result<(Value<'a>, Option<Value<'a>>), ErrorKind> {
        match (range, variables) {
            (Value::List(list), Variables::One) => Ok((list.get(index, self.budget)?, None)),
            (Value::List(list), Variables::Two) => Ok((
                Value::Int(index as i64),
                Some(list.get(index, self.budget)?),
            )),
            (Value::Map(map), Variables::One) => Ok((map.entry(index, self.budget)?.0, None)),
            (Value::Map(map), Variables::Two) => {
                let (key, value) = map.entry(index, self.budget)?;
                Ok((key, Some(value)))
            }
            _ => Err(ErrorKind::NoSuchOverload),
        }
    }

    /// Adds one element to `accumulator`, unless the filter excludes the element. Returns the
    /// result of the macro if this element decides the result.
    fn step(
        &mut self,
        fold: &'a FoldOf,
        first: Value<'a>,
        accumulator: &mut Accumulator<'a>,
    ) -> Result<Option<bool>, EvalError> {
        if let Some(filter) = &fold.filter
            && !self.truth(filter)?
        {
            return Ok(None);
        }
        let memory = |this: &mut Self, size: usize| {
            this.budget
                .take_bytes(size)
                .map_err(|kind| kind.at(fold.body.span))
        };
        match accumulator {
            Accumulator::Quantified(error) => {
                let decisive = fold.kind == FoldKind::Exists;
                match self.truth(&fold.body) {
                    Ok(value) if value == decisive => return Ok(Some(decisive)),
                    Ok(_) => {}
                    Err(spent) if spent.kind == ErrorKind::Budget => return Err(spent),
                    Err(other) => {
                        error.get_or_insert(other);
                    }
                }
            }
            Accumulator::Count(count) => *count += u64::from(self.truth(&fold.body)?),
            Accumulator::List(elements) if fold.kind == FoldKind::Filter => {
                if self.truth(&fold.body)? {
                    memory(self, size_of::<Value<'a>>())?;
                    elements.push(first);
                }
            }
            Accumulator::List(elements) => {
                let element = self.value(&fold.body)?;
                memory(self, size_of::<Value<'a>>())?;
                elements.push(element);
            }
            Accumulator::Map(entries) => {
                let value = self.value(&fold.body)?;
                memory(self, 2 * size_of::<Value<'a>>())?;
                match (fold.kind, value) {
                    (FoldKind::MapValues, value) => entries.push((first, value)),
                    (_, Value::Map(map)) => {
                        for at in 0..map.len() {
                            memory(self, 2 * size_of::<Value<'a>>())?;
                            let entry = map.entry(at, self.budget);
                            entries.push(entry.map_err(|kind| kind.at(fold.body.span))?);
                        }
                    }
                    _ => return Err(ErrorKind::NoSuchOverload.at(fold.body.span)),
                }
            }
        }
        Ok(None)
    }
}
