//! Type unification. It decides whether types fit each other, and finds the types for the type
//! parameters of generic functions.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::types::Type;

/// The maximum number of parts of types that are compared, searched or resolved for one expression.
/// Parameters can be bound to types that contain a parameter twice, so that a short expression has
/// a type of exponential size. Beyond this number, every type counts as `dyn`. The largest
/// expressions of usual rules need a few thousand.
const WORK_MAX: u32 = 1_000_000;

/// The type parameters of generic functions, and the types that are bound to them.
#[derive(Debug, Default)]
pub(crate) struct Unifier {
    bound: HashMap<u32, Type>,
    /// The parameters that were bound during the current comparison of types, each with its
    /// previous binding.
    changes: Vec<(u32, Option<Type>)>,
    /// The number of the next unused type parameter.
    free: u32,
    /// The number of parts of types that were compared, searched or resolved.
    work: Cell<u32>,
}

impl Unifier {
    /// Returns a type parameter that nothing else uses.
    pub(crate) fn fresh(&mut self) -> Type {
        let parameter = Type::Parameter(self.free);
        self.free += 1;
        parameter
    }

    /// Counts a part of a type. Returns whether more parts than [`WORK_MAX`] were counted.
    fn is_exhausted(&self) -> bool {
        self.work.set(self.work.get().saturating_add(1));
        self.work.get() > WORK_MAX
    }

    /// Returns the declared `types` with each type parameter replaced by a fresh one.
    pub(crate) fn instance(&mut self, types: &[&Type]) -> Vec<Type> {
        let first = self.free;
        let mut used = 0;
        let shifted = types.iter().map(|ty| shift(ty, first, &mut used)).collect();
        self.free += used;
        shifted
    }

    /// Returns whether each of the `given` types fits the `declared` type at the same position. If
    /// all fit, parameters are bound to the given types. Otherwise, no binding changes.
    pub(crate) fn all_fit(&mut self, given: &[Type], declared: &[Type]) -> bool {
        if given.len() != declared.len() {
            return false;
        }
        self.changes.clear();
        let fit = given
            .iter()
            .zip(declared)
            .all(|(given, declared)| self.fits(given, declared));
        if !fit {
            self.undo();
        }
        fit
    }

    /// Restores the bindings from before the current comparison of types.
    fn undo(&mut self) {
        while let Some((parameter, before)) = self.changes.pop() {
            match before {
                Some(before) => self.bound.insert(parameter, before),
                None => self.bound.remove(&parameter),
            };
        }
    }

    fn bind(&mut self, parameter: u32, to: Type) {
        let before = self.bound.insert(parameter, to);
        self.changes.push((parameter, before));
    }

    /// Returns whether `given` fits `declared`, and binds parameters if it does.
    pub(crate) fn assignable(&mut self, given: &Type, declared: &Type) -> bool {
        self.all_fit(std::slice::from_ref(given), std::slice::from_ref(declared))
    }

    fn fits(&mut self, given: &Type, declared: &Type) -> bool {
        if self.is_exhausted() {
            return true;
        }
        if let Type::Parameter(parameter) = declared {
            match self.substitute(given, *parameter) {
                Substitution::Valid => return true,
                Substitution::Contradicts => return false,
                Substitution::Circular => {}
            }
        }
        if let Type::Parameter(parameter) = given {
            return matches!(self.substitute(declared, *parameter), Substitution::Valid);
        }
        if given.is_dyn() || declared.is_dyn() {
            return true;
        }
        match (given, declared) {
            (Type::Null, other) | (other, Type::Null) => is_nullable(other),
            (Type::Wrapper(wrapped), other) | (other, Type::Wrapper(wrapped))
                if *other == wrapped.plain() =>
            {
                true
            }
            (Type::List(given), Type::List(declared)) => self.fits(given, declared),
            (Type::Map(given), Type::Map(declared)) => {
                self.fits(&given.0, &declared.0) && self.fits(&given.1, &declared.1)
            }
            (Type::Type(_), Type::Type(_)) => true,
            (Type::Opaque(name, given), Type::Opaque(other, declared)) => {
                name == other
                    && given.len() == declared.len()
                    && given
                        .iter()
                        .zip(declared.iter())
                        .all(|(given, declared)| self.fits(given, declared))
            }
            _ => given == declared,
        }
    }

    /// Binds `parameter` to `to`. If the parameter is already bound to a type that fits `to`, binds
    /// it to the more general of the two types. If the two types do not fit each other, the binding
    /// does not change.
    fn substitute(&mut self, to: &Type, parameter: u32) -> Substitution {
        if *to == Type::Parameter(parameter) {
            return Substitution::Valid;
        }
        let Some(bound) = self.bound.get(&parameter).cloned() else {
            if self.mentions(to, parameter) {
                return Substitution::Circular;
            }
            self.bind(parameter, to.clone());
            return Substitution::Valid;
        };
        if *to == bound {
            return Substitution::Valid;
        }
        if !self.fits(to, &bound) {
            return Substitution::Contradicts;
        }
        let general = most_general(to, &bound);
        if !self.mentions(&general, parameter) {
            self.bind(parameter, general);
        }
        Substitution::Valid
    }

    /// Returns whether `ty` contains `parameter`, directly or through bindings.
    fn mentions(&self, ty: &Type, parameter: u32) -> bool {
        if self.is_exhausted() {
            return true;
        }
        match ty {
            Type::Parameter(other) if *other == parameter => true,
            Type::Parameter(other) => self
                .bound
                .get(other)
                .is_some_and(|bound| self.mentions(bound, parameter)),
            Type::List(element) | Type::Type(element) => self.mentions(element, parameter),
            Type::Map(pair) => {
                self.mentions(&pair.0, parameter) || self.mentions(&pair.1, parameter)
            }
            Type::Opaque(_, parts) => parts.iter().any(|part| self.mentions(part, parameter)),
            _ => false,
        }
    }

    /// Returns a type that includes the values of both types: the more general of the two, or
    /// `dyn` if the types do not fit each other. Binds parameters if the types fit.
    pub(crate) fn join(&mut self, first: &Type, second: &Type) -> Type {
        if self.assignable(first, second) {
            return most_general(first, second);
        }
        Type::Dyn
    }

    /// Returns `ty` with bound parameters replaced by their types.
    pub(crate) fn resolve(&self, ty: &Type, unbound: Unbound) -> Type {
        if self.is_exhausted() {
            return Type::Dyn;
        }
        match ty {
            Type::Parameter(parameter) => match (self.bound.get(parameter), unbound) {
                (Some(bound), _) => self.resolve(bound, unbound),
                (None, Unbound::Keep) => ty.clone(),
                (None, Unbound::Dyn) => Type::Dyn,
            },
            Type::List(element) => Type::list(self.resolve(element, unbound)),
            Type::Map(pair) => Type::map(
                self.resolve(&pair.0, unbound),
                self.resolve(&pair.1, unbound),
            ),
            Type::Type(inner) => Type::Type(Arc::new(self.resolve(inner, unbound))),
            Type::Opaque(name, parts) => {
                let parts = parts.iter().map(|part| self.resolve(part, unbound));
                Type::Opaque(name.clone(), parts.collect())
            }
            _ => ty.clone(),
        }
    }
}

/// The treatment of a type parameter that is not bound to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbound {
    /// The parameter is kept.
    Keep,
    /// The parameter is replaced by `dyn`.
    Dyn,
}

enum Substitution {
    Valid,
    /// The parameter already stands for a type that does not fit.
    Contradicts,
    /// The type contains the parameter.
    Circular,
}

fn is_nullable(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Null
            | Type::Message(_)
            | Type::Opaque(..)
            | Type::Duration
            | Type::Timestamp
            | Type::Wrapper(_)
    )
}

fn most_general(first: &Type, second: &Type) -> Type {
    if is_as_general(first, second) {
        first.clone()
    } else {
        second.clone()
    }
}

/// Returns whether every value of type `second` also has the type `first`.
fn is_as_general(first: &Type, second: &Type) -> bool {
    match (first, second) {
        (Type::Dyn | Type::Any | Type::Parameter(_), _) => true,
        (_, Type::Dyn | Type::Any | Type::Parameter(_)) => false,
        (first, Type::Null) => is_nullable(first),
        (Type::Wrapper(wrapped), second) if *second == wrapped.plain() => true,
        (Type::List(first), Type::List(second)) => is_as_general(first, second),
        (Type::Map(first), Type::Map(second)) => {
            is_as_general(&first.0, &second.0) && is_as_general(&first.1, &second.1)
        }
        (Type::Type(_), Type::Type(_)) => true,
        (Type::Opaque(name, first), Type::Opaque(other, second)) => {
            name == other
                && first.len() == second.len()
                && first
                    .iter()
                    .zip(second.iter())
                    .all(|(first, second)| is_as_general(first, second))
        }
        _ => first == second,
    }
}

/// Returns `ty` with `first` added to the number of each parameter. Raises `used` to one more than
/// the highest number in `ty`, unless `used` is already higher.
fn shift(ty: &Type, first: u32, used: &mut u32) -> Type {
    match ty {
        Type::Parameter(number) => {
            *used = (*used).max(number + 1);
            Type::Parameter(first + number)
        }
        Type::List(element) => Type::list(shift(element, first, used)),
        Type::Map(pair) => Type::map(shift(&pair.0, first, used), shift(&pair.1, first, used)),
        Type::Type(inner) => Type::Type(Arc::new(shift(inner, first, used))),
        Type::Opaque(name, parts) => {
            let parts = parts.iter().map(|part| shift(part, first, used)).collect();
            Type::Opaque(name.clone(), parts)
        }
        _ => ty.clone(),
    }
}
