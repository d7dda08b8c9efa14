//! Macros that visit the elements of a list or map.

use crate::ast::{Fold, FoldKind};
use crate::check::{Checked, Checker, checked};
use crate::error::CompileError;
use crate::node::{FoldOf, Op, Variables};
use crate::span::Span;
use crate::types::Type;
use crate::unify::Unbound;

impl Checker<'_> {
    pub(super) fn fold(&mut self, fold: &Fold, span: Span) -> Checked {
        let range = self.expr(&fold.range);
        let ty = self.unifier.resolve(&range.ty, Unbound::Keep);
        let variables = match fold.variables.as_slice() {
            [_] => Variables::One,
            _ => Variables::Two,
        };
        let (first, second) = self.visited(&ty, variables, fold.range.span);
        let outer = self.locals.len();
        for (name, ty) in fold.variables.iter().zip([&first, &second]) {
            self.locals.push((name.clone(), ty.clone()));
        }
        let filter = fold.filter.as_ref().map(|filter| self.truth(filter));
        let (body, result) = match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => {
                (self.truth(&fold.body), Type::Bool)
            }
            FoldKind::Filter => (self.truth(&fold.body), Type::list(first)),
            FoldKind::List => {
                let body = self.expr(&fold.body);
                (body.node, Type::list(body.ty))
            }
            FoldKind::MapValues => {
                let body = self.expr(&fold.body);
                (body.node, Type::map(first, body.ty))
            }
            FoldKind::MapEntries => {
                let body = self.expr(&fold.body);
                let entries = Type::map(self.unifier.fresh(), self.unifier.fresh());
                if !self.unifier.assignable(&body.ty, &entries) {
                    let message = format!(
                        "expected a map, found a value of type {}",
                        self.text(&body.ty)
                    );
                    self.mismatch(CompileError::new(fold.body.span, message));
                }
                (body.node, entries)
            }
        };
        self.locals.truncate(outer);
        let fold = FoldOf {
            kind: fold.kind,
            range: range.node,
            variables,
            filter,
            body,
        };
        checked(span, Op::Fold(Box::new(fold)), result)
    }

    /// Returns the types of the first and the second variable of a macro over a value of type `ty`.
    /// Reports an error at `span` if `ty` is neither a list nor a map.
    fn visited(&mut self, ty: &Type, variables: Variables, span: Span) -> (Type, Type) {
        match ty {
            Type::List(element) => match variables {
                Variables::One => ((**element).clone(), Type::Dyn),
                Variables::Two => (Type::Int, (**element).clone()),
            },
            Type::Map(pair) => (pair.0.clone(), pair.1.clone()),
            Type::Dyn | Type::Any => (Type::Dyn, Type::Dyn),
            Type::Parameter(_) => {
                self.unifier.assignable(&Type::Dyn, ty);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                let message = format!(
                    "expected a list or a map, found a value of type {}",
                    self.text(ty)
                );
                self.mismatch(CompileError::new(span, message));
                (Type::Dyn, Type::Dyn)
            }
        }
    }
}
