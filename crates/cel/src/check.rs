//! The checker, which checks the types of an expression and binds its names.

use crate::ast::{Call, Expr, ExprKind, FieldValue, Logic, Name, Select, SelectForm};
use crate::constant::Constant;
use crate::declarations::{Checking, Declarations, Named};
use crate::error::{CompileError, ErrorKind};
use crate::field::{Field, Kind, WellKnown};
use crate::node::{FieldOf, Literal, Node, Op};
use crate::span::Span;
use crate::suggest;
use crate::types::{MessageId, Type};
use crate::unify::{Unbound, Unifier};

mod call;
mod fold;

/// The maximum number of errors that are reported for one expression.
const ERRORS_MAX: usize = 10;

/// A checked part of an expression, and its type.
pub(crate) struct Checked {
    pub(crate) node: Node,
    pub(crate) ty: Type,
}

/// Checks `expr` and returns the checked expression, which the evaluator runs.
///
/// # Errors
///
/// Returns the first errors of the expression, in the order of the text.
pub(crate) fn check(
    expr: &Expr,
    declarations: &Declarations,
) -> Result<Checked, Vec<CompileError>> {
    let mut checker = Checker {
        declarations,
        unifier: Unifier::default(),
        locals: Vec::new(),
        errors: Vec::new(),
    };
    let mut checked = checker.expr(expr);
    if !checker.errors.is_empty() {
        checker.errors.sort_by_key(|error| error.span);
        checker.errors.truncate(ERRORS_MAX);
        return Err(checker.errors);
    }
    checked.ty = checker.unifier.resolve(&checked.ty, Unbound::Dyn);
    Ok(checked)
}

struct Checker<'d> {
    declarations: &'d Declarations,
    unifier: Unifier,
    /// The variables of the enclosing macros, outermost first.
    locals: Vec<(String, Type)>,
    errors: Vec<CompileError>,
}

impl Checker<'_> {
    fn expr(&mut self, expr: &Expr) -> Checked {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Literal(constant) => literal(constant, span),
            ExprKind::Identifier(name) => self.identifier(name, span),
            ExprKind::Select(select) => self.select(expr, select),
            ExprKind::Call(call) => self.call(call, span),
            ExprKind::Logic(logic, operands) => self.logic(*logic, operands, span),
            ExprKind::List(elements) => self.list(elements, span),
            ExprKind::Map(entries) => self.map(entries, span),
            ExprKind::Message(name, fields) => self.message(name, fields, span),
            ExprKind::Fold(fold) => self.fold(fold, span),
        }
    }

    /// Returns a node that fails with `kind` when it is evaluated. Reports `error` as well, unless
    /// types are checked at evaluation.
    fn fail(&mut self, error: CompileError, kind: ErrorKind) -> Checked {
        let span = error.span;
        if self.declarations.checking == Checking::Compile {
            self.errors.push(error);
        }
        checked(span, Op::Fail(kind), Type::Dyn)
    }

    /// Reports `error`, unless types are checked at evaluation.
    fn mismatch(&mut self, error: CompileError) {
        if self.declarations.checking == Checking::Compile {
            self.errors.push(error);
        }
    }

    fn text(&self, ty: &Type) -> String {
        self.declarations
            .text(&self.unifier.resolve(ty, Unbound::Dyn))
    }

    fn identifier(&mut self, name: &Name, span: Span) -> Checked {
        if let Some(found) = self.local(name, span) {
            return found;
        }
        if let Some(found) = self.named(&name.text, name.rooted, span) {
            return found;
        }
        let variables = self
            .declarations
            .variables
            .iter()
            .map(|(name, _)| name.as_str());
        let locals = self.locals.iter().map(|(name, _)| name.as_str());
        let near = suggest::nearest(&name.text, variables.chain(locals));
        let error = CompileError::new(span, format!("unknown variable `{}`", name.text));
        let kind = ErrorKind::UnknownName(name.text.as_str().into());
        self.fail(suggest::with(error, near), kind)
    }

    /// Returns the innermost macro variable with the name `name`, if there is one. A name with a
    /// leading dot never refers to such a variable.
    fn local(&self, name: &Name, span: Span) -> Option<Checked> {
        if name.rooted {
            return None;
        }
        let at = self
            .locals
            .iter()
            .rposition(|(local, _)| *local == name.text)?;
        Some(checked(
            span,
            Op::Local(at as u32),
            self.locals[at].1.clone(),
        ))
    }

    fn named(&self, name: &str, rooted: bool, span: Span) -> Option<Checked> {
        Some(match self.declarations.resolve(name, rooted)? {
            Named::Variable(at, ty) => checked(span, Op::Variable(at), ty),
            Named::Enum(number) => checked(span, Op::Constant(Constant::Int(number)), Type::Int),
            Named::Type(name, ty) => checked(span, Op::Type(name.into()), Type::Type(ty.into())),
        })
    }

    fn select(&mut self, expr: &Expr, select: &Select) -> Checked {
        // The whole of `a.b.c` may be one name, unless `a` is the variable of a macro.
        let first = expr.first();
        let shadowed = first.is_some_and(|name| self.local(name, expr.span).is_some());
        if !shadowed
            && let Some(name) = expr.qualified()
            && let Some(found) = self.named(&name.text, name.rooted, expr.span)
        {
            return found;
        }
        let operand = self.expr(&select.operand);
        self.field(operand, select, expr.span)
    }

    fn field(&mut self, operand: Checked, select: &Select, span: Span) -> Checked {
        let ty = self.unifier.resolve(&operand.ty, Unbound::Keep);
        let test = select.form == SelectForm::Test;
        let result = |ty: Type| if test { Type::Bool } else { ty };
        match ty {
            Type::Message(message) => self.message_field(operand.node, message, select, span),
            Type::Dyn | Type::Any | Type::Parameter(_) | Type::Map(_) => {
                let value = match &ty {
                    Type::Map(pair) => pair.1.clone(),
                    _ => Type::Dyn,
                };
                if let Type::Parameter(_) = ty {
                    self.unifier.assignable(&Type::Dyn, &ty);
                }
                checked(span, member(operand.node, select), result(value))
            }
            _ => {
                let text = self.text(&ty);
                let message = format!("a value of type {text} has no field `{}`", select.field);
                self.mismatch(CompileError::new(select.field_span, message));
                checked(span, member(operand.node, select), result(Type::Dyn))
            }
        }
    }

    fn message_field(
        &mut self,
        operand: Node,
        id: MessageId,
        select: &Select,
        span: Span,
    ) -> Checked {
        let Some(field) = self.declarations.schema.field(id, &select.field) else {
            let error = self.unknown_field(id, &select.field, select.field_span);
            let kind = ErrorKind::NoSuchField(select.field.as_str().into());
            return self.fail(error, kind);
        };
        let ty = field.to_type();
        let bound = Box::new(FieldOf {
            operand,
            message: id,
            field,
        });
        match select.form {
            SelectForm::Test => checked(span, Op::HasField(bound), Type::Bool),
            SelectForm::Plain | SelectForm::Quoted => checked(span, Op::Field(bound), ty),
        }
    }

    fn unknown_field(&self, id: MessageId, name: &str, span: Span) -> CompileError {
        let schema = &self.declarations.schema;
        let message = schema.message_name(id);
        let fields = schema.fields(id);
        let near = suggest::nearest(name, fields.iter().map(|field| &*field.name));
        let error = CompileError::new(span, format!("{message} has no field `{name}`"));
        suggest::with(error, near)
    }

    fn logic(&mut self, logic: Logic, operands: &[Expr], span: Span) -> Checked {
        let nodes = operands.iter().map(|operand| self.truth(operand)).collect();
        checked(span, Op::Logic(logic, nodes), Type::Bool)
    }

    /// Checks `expr`, which must be a `bool`.
    fn truth(&mut self, expr: &Expr) -> Node {
        let found = self.expr(expr);
        if !self.unifier.assignable(&found.ty, &Type::Bool) {
            let message = format!(
                "expected a bool, found a value of type {}",
                self.text(&found.ty)
            );
            self.mismatch(CompileError::new(expr.span, message));
        }
        found.node
    }

    fn list(&mut self, elements: &[Expr], span: Span) -> Checked {
        let mut nodes = Vec::with_capacity(elements.len());
        let mut joined: Option<Type> = None;
        for element in elements {
            let found = self.expr(element);
            joined = Some(match joined {
                Some(joined) => self.unifier.join(&joined, &found.ty),
                None => found.ty,
            });
            nodes.push(found.node);
        }
        let element = joined.unwrap_or_else(|| self.unifier.fresh());
        checked(span, constant_list(nodes), Type::list(element))
    }

    fn map(&mut self, entries: &[(Expr, Expr)], span: Span) -> Checked {
        let mut nodes = Vec::with_capacity(entries.len());
        let mut joined: Option<(Type, Type)> = None;
        for (key, value) in entries {
            let (found_key, found_value) = (self.expr(key), self.expr(value));
            let key_type = self.key(found_key.ty, key.span);
            joined = Some(match joined {
                Some((keys, values)) => (
                    self.unifier.join(&keys, &key_type),
                    self.unifier.join(&values, &found_value.ty),
                ),
                None => (key_type, found_value.ty),
            });
            nodes.push((found_key.node, found_value.node));
        }
        let (key, value) = joined.unwrap_or_else(|| (self.unifier.fresh(), self.unifier.fresh()));
        checked(span, Op::Map(nodes), Type::map(key, value))
    }

    /// Returns the type of a key, or `dyn` after an error if a value of the type cannot be a key.
    fn key(&mut self, ty: Type, span: Span) -> Type {
        let resolved = self.unifier.resolve(&ty, Unbound::Keep);
        let is_invalid = !matches!(
            resolved,
            Type::Bool
                | Type::Int
                | Type::Uint
                | Type::String
                | Type::Dyn
                | Type::Any
                | Type::Wrapper(_)
                | Type::Parameter(_)
        );
        if is_invalid {
            let message = format!(
                "a value of type {} cannot be a key of a map",
                self.text(&ty)
            );
            self.mismatch(CompileError::new(span, message));
            return Type::Dyn;
        }
        ty
    }

    fn message(&mut self, name: &Name, fields: &[FieldValue], span: Span) -> Checked {
        let schema = &self.declarations.schema;
        let full = self
            .declarations
            .candidates(&name.text, name.rooted)
            .find_map(|full| schema.message(&full).map(|id| (full, id)));
        let Some((full, id)) = full else {
            let error = CompileError::new(span, format!("there is no message `{}`", name.text));
            return self.fail(error, ErrorKind::UnknownName(name.text.as_str().into()));
        };
        let mut nodes = Vec::with_capacity(fields.len());
        for value in fields {
            match self.field_value(id, value) {
                Some(pair) => nodes.push(pair),
                None => {
                    let kind = ErrorKind::NoSuchField(value.name.as_str().into());
                    return checked(span, Op::Fail(kind), Type::Message(id));
                }
            }
        }
        let literal = Box::new(Literal {
            id,
            known: WellKnown::named(&full),
            fields: nodes,
        });
        checked(
            span,
            Op::Message(literal),
            Kind::message(&full, id).to_type(),
        )
    }

    fn field_value(&mut self, id: MessageId, value: &FieldValue) -> Option<(Field, Node)> {
        let found = self.expr(&value.value);
        let Some(field) = self.declarations.schema.field(id, &value.name) else {
            let error = self.unknown_field(id, &value.name, value.name_span);
            self.mismatch(error);
            return None;
        };
        let ty = field.to_type();
        if !self.unifier.assignable(&found.ty, &ty) {
            let (expected, given) = (self.text(&ty), self.text(&found.ty));
            let message = format!(
                "the field `{}` is of type {expected}, not {given}",
                value.name
            );
            self.mismatch(CompileError::new(value.value.span, message));
        }
        Some((field, found.node))
    }
}

fn checked(span: Span, op: Op, ty: Type) -> Checked {
    let node = Node { span, op };
    Checked { node, ty }
}

fn member(operand: Node, select: &Select) -> Op {
    let name = select.field.as_str().into();
    match select.form {
        SelectForm::Test => Op::HasMember(Box::new(operand), name),
        SelectForm::Plain | SelectForm::Quoted => Op::Member(Box::new(operand), name),
    }
}

fn literal(constant: &Constant, span: Span) -> Checked {
    let ty = match constant {
        Constant::Null => Type::Null,
        Constant::Bool(_) => Type::Bool,
        Constant::Int(_) => Type::Int,
        Constant::Uint(_) => Type::Uint,
        Constant::Double(_) => Type::Double,
        Constant::String(_) => Type::String,
        Constant::Bytes(_) => Type::Bytes,
        // The parser creates no constants of these kinds.
        Constant::Duration(_) | Constant::Timestamp(_) | Constant::Type(_) | Constant::List(_) => {
            Type::Dyn
        }
    };
    checked(span, Op::Constant(constant.clone()), ty)
}

/// Returns the list of `nodes`, as a constant if all of them are constants.
fn constant_list(nodes: Vec<Node>) -> Op {
    let all = nodes.iter().all(|node| matches!(node.op, Op::Constant(_)));
    if !all {
        return Op::List(nodes);
    }
    let constants = nodes.into_iter().filter_map(|node| match node.op {
        Op::Constant(constant) => Some(constant),
        _ => None,
    });
    Op::Constant(Constant::List(constants.collect()))
}

/// Returns the qualified name of the function, such as `a.b.f`, if the receiver of the call may be
/// a part of the name.
fn qualified_function(call: &Call) -> Option<Name> {
    let mut name = call.target.as_ref()?.qualified()?;
    name.text.push('.');
    name.text.push_str(call.function());
    Some(name)
}
