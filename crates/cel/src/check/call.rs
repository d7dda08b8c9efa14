//! Checks calls of functions and operators, and selects the overloads that fit.

use crate::ast::{Call, Expr, ExprKind, Select, SelectForm};
use crate::check::{Checked, Checker, checked, qualified_function};
use crate::constant::Constant;
use crate::declarations::Checking;
use crate::error::{CompileError, ErrorKind};
use crate::function::Style;
use crate::library::{Builtin, Overload, Target, TimePart};
use crate::node::{Node, Op};
use crate::pattern::Pattern;
use crate::span::Span;
use crate::suggest;
use crate::time::{Duration, Timestamp};
use crate::types::Type;
use crate::unify::Unbound;
use crate::zone::Zone;

/// The maximum number of overloads that an error message shows.
const OVERLOADS_SHOWN_MAX: usize = 4;

/// The functions that operators call, each with the symbol of the operator.
const OPERATORS: [(&str, &str); 16] = [
    ("!_", "!"),
    ("-_", "-"),
    ("_+_", "+"),
    ("_-_", "-"),
    ("_*_", "*"),
    ("_/_", "/"),
    ("_%_", "%"),
    ("_==_", "=="),
    ("_!=_", "!="),
    ("_<_", "<"),
    ("_<=_", "<="),
    ("_>_", ">"),
    ("_>=_", ">="),
    ("@in", "in"),
    ("_[_]", "[]"),
    ("_?_:_", "?:"),
];

impl Checker<'_> {
    pub(super) fn call(&mut self, call: &Call, span: Span) -> Checked {
        if call.target.is_none() && self.reads_field(call) {
            return self.field_by_argument(call, span);
        }
        if let Some((name, overloads)) = self.namespaced(call) {
            return self.resolve(call, &name, Style::Global, &overloads, None, span);
        }
        let name = call.function().to_owned();
        let (style, target) = match &call.target {
            Some(target) => (Style::Member, Some(self.expr(target))),
            None => (Style::Global, None),
        };
        let overloads = match style {
            Style::Member => self.declarations.library.overloads(&name).to_vec(),
            Style::Global => self.global(&name, call.rooted),
        };
        self.resolve(call, &name, style, &overloads, target, span)
    }

    /// Returns the name and the overloads of a function whose name has dots, such as
    /// `strings.quote`, if `call` calls such a function.
    fn namespaced(&self, call: &Call) -> Option<(String, Vec<Overload>)> {
        let name = qualified_function(call)?;
        let first = call.target.as_ref()?.first()?;
        if self.local(first, call.name_span).is_some() {
            return None;
        }
        let found = self
            .declarations
            .candidates(&name.text, name.rooted)
            .find_map(|name| {
                let overloads = self.declarations.library.overloads(&name);
                (!overloads.is_empty()).then(|| overloads.to_vec())
            });
        found.map(|overloads| (name.text, overloads))
    }

    fn global(&self, name: &str, rooted: bool) -> Vec<Overload> {
        let library = &self.declarations.library;
        let found = self.declarations.candidates(name, rooted).find_map(|name| {
            let overloads = library.overloads(&name);
            (!overloads.is_empty()).then(|| overloads.to_vec())
        });
        found.unwrap_or_default()
    }

    fn resolve(
        &mut self,
        call: &Call,
        name: &str,
        style: Style,
        overloads: &[Overload],
        target: Option<Checked>,
        span: Span,
    ) -> Checked {
        let mut given: Vec<Checked> = target.into_iter().collect();
        for argument in &call.arguments {
            given.push(self.expr(argument));
        }
        if overloads.is_empty() {
            return self.unknown_function(call, name);
        }
        let (nodes, types): (Vec<Node>, Vec<Type>) =
            given.into_iter().map(|part| (part.node, part.ty)).unzip();
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in overloads.iter().filter(|overload| overload.style == style) {
            let mut declared: Vec<&Type> = overload.parameters.iter().collect();
            declared.push(&overload.result);
            let mut declared = self.unifier.instance(&declared);
            let returned = declared.pop().unwrap_or(Type::Dyn);
            if !self.unifier.all_fit(&types, &declared) {
                continue;
            }
            fitting.push(overload.target.clone());
            let returned = self.unifier.resolve(&returned, Unbound::Keep);
            result = Some(match result {
                Some(result) if result == returned => result,
                Some(_) => Type::Dyn,
                None => returned,
            });
        }
        let Some(result) = result else {
            return self.no_overload(call, name, style, overloads, (nodes, &types), span);
        };
        let op = self.bind(&fitting, nodes, call);
        checked(span, op, result)
    }

    fn unknown_function(&mut self, call: &Call, name: &str) -> Checked {
        let message = format!("unknown function `{}`", call.function());
        let library = &self.declarations.library;
        let near = suggest::nearest(call.function(), library.names());
        let error = suggest::with(CompileError::new(call.name_span, message), near);
        self.fail(error, ErrorKind::UnknownFunction(name.into()))
    }

    fn no_overload(
        &mut self,
        call: &Call,
        name: &str,
        style: Style,
        overloads: &[Overload],
        (nodes, types): (Vec<Node>, &[Type]),
        span: Span,
    ) -> Checked {
        if self.declarations.checking == Checking::Evaluation {
            let count = nodes.len();
            let fitting: Vec<Target> = overloads
                .iter()
                .filter(|overload| overload.style == style && overload.parameters.len() == count)
                .map(|overload| overload.target.clone())
                .collect();
            let op = if fitting.is_empty() {
                Op::Fail(ErrorKind::NoSuchOverload)
            } else {
                self.bind(&fitting, nodes, call)
            };
            return checked(span, op, Type::Dyn);
        }
        let error = self.overload_error(call, name, style, overloads, types);
        self.fail(error, ErrorKind::NoSuchOverload)
    }

    fn overload_error(
        &self,
        call: &Call,
        name: &str,
        style: Style,
        overloads: &[Overload],
        types: &[Type],
    ) -> CompileError {
        let texts: Vec<String> = types.iter().map(|ty| self.text(ty)).collect();
        let operator = OPERATORS.iter().find(|(function, _)| *function == name);
        let error = |message: String| CompileError::new(call.name_span, message);
        if let Some((_, symbol)) = operator {
            let error = error(format!("`{symbol}` does not take {}", texts.join(" and ")));
            return match types {
                [Type::Int, Type::Uint] | [Type::Uint, Type::Int] => error.help(
                    "convert one of the numbers with int() or uint(); a literal such as 5u is a uint",
                ),
                [Type::Int, Type::Double] | [Type::Double, Type::Int] => error
                    .help("convert one of the numbers with double(); a literal such as 5.0 is a double"),
                [Type::Int | Type::Uint | Type::Double, Type::String]
                | [Type::String, Type::Int | Type::Uint | Type::Double] => error.help(
                    "convert the number with string(), or the string with int(), uint() or double()",
                ),
                _ => error,
            };
        }
        let has_style = |overload: &&Overload| overload.style == style;
        if !overloads.iter().any(|overload| overload.style == style) {
            let written = match style {
                Style::Member => format!("`{name}` is called as {name}(x)"),
                Style::Global => format!("`{name}` is called as x.{name}()"),
            };
            return error(written);
        }
        let arguments = match (style, texts.as_slice()) {
            (Style::Member, [_, arguments @ ..]) => arguments,
            (_, arguments) => arguments,
        };
        let taken = arguments.join(", ");
        let message = match (style, texts.first(), arguments) {
            (Style::Member, Some(receiver), []) => {
                format!("a value of type {receiver} has no function `{name}()`")
            }
            (Style::Member, Some(receiver), _) => {
                format!("`{name}` of {receiver} does not take {taken}")
            }
            (_, _, []) => format!("`{name}` needs arguments"),
            _ => format!("`{name}` does not take {taken}"),
        };
        let shown: Vec<String> = overloads
            .iter()
            .filter(has_style)
            .take(OVERLOADS_SHOWN_MAX)
            .map(|overload| self.declared(name, overload))
            .collect();
        error(message).help(format!("`{name}` is declared as {}", shown.join(", ")))
    }

    /// Formats an overload as a call, such as `string.matches(string)`.
    fn declared(&self, name: &str, overload: &Overload) -> String {
        let parameters: Vec<String> = overload
            .parameters
            .iter()
            .map(|ty| self.declarations.text(ty))
            .collect();
        match (overload.style, parameters.as_slice()) {
            (Style::Member, [receiver, rest @ ..]) => {
                format!("{receiver}.{name}({})", rest.join(", "))
            }
            (_, all) => format!("{name}({})", all.join(", ")),
        }
    }

    /// Returns the operation that calls the first built-in function of `fitting`. If there is none,
    /// the operation chooses among the functions at evaluation, by the types of the arguments.
    /// `fitting` must not be empty.
    fn bind(&mut self, fitting: &[Target], nodes: Vec<Node>, call: &Call) -> Op {
        let mut custom = Vec::new();
        for target in fitting {
            match target {
                Target::Builtin(builtin) => return self.builtin(*builtin, nodes, call),
                Target::Custom(function) => custom.push(function.clone()),
            }
        }
        Op::Custom(custom, nodes)
    }

    /// Returns the operation that calls a function of the library. Patterns, time zones, durations
    /// and timestamps that are literals are parsed here, only once.
    fn builtin(&mut self, builtin: Builtin, nodes: Vec<Node>, call: &Call) -> Op {
        let text = match nodes.last() {
            Some(Node {
                span,
                op: Op::Constant(Constant::String(text)),
            }) => Some((text.clone(), *span)),
            _ => None,
        };
        match (builtin, text) {
            (Builtin::Conditional, _) => conditional(nodes),
            (Builtin::Matches, Some((pattern, span))) => self.matches(&pattern, span, nodes),
            (Builtin::Part(part), Some((zone, span))) => self.part_in(part, &zone, span, nodes),
            (Builtin::ToDuration, Some((text, span))) => {
                let value = Duration::parse(&text).map(Constant::Duration);
                self.parsed_literal(value, span, call)
            }
            (Builtin::ToTimestamp, Some((text, span))) => {
                let value = Timestamp::parse(&text).map(Constant::Timestamp);
                self.parsed_literal(value, span, call)
            }
            _ => Op::Call(builtin, nodes),
        }
    }

    fn parsed_literal(
        &mut self,
        value: Result<Constant, ErrorKind>,
        span: Span,
        call: &Call,
    ) -> Op {
        match value {
            Ok(constant) => Op::Constant(constant),
            Err(kind) => {
                let help = match call.function() {
                    "duration" => {
                        "write a number with a unit, such as duration('1h30m') or duration('1.5s')"
                    }
                    _ => {
                        "write a timestamp in the format of RFC 3339, such as timestamp('2030-01-31T23:59:59Z')"
                    }
                };
                self.mismatch(CompileError::new(span, kind.to_string()).help(help));
                Op::Fail(kind)
            }
        }
    }

    fn matches(&mut self, pattern: &str, span: Span, mut nodes: Vec<Node>) -> Op {
        let compiled = Pattern::new(pattern);
        nodes.pop();
        match (compiled, nodes.pop()) {
            (Ok(pattern), Some(text)) => Op::Matches(Box::new(text), Box::new(pattern)),
            (Ok(_), None) => Op::Fail(ErrorKind::NoSuchOverload),
            (Err(reason), _) => {
                let message = format!("the pattern does not compile: {reason}");
                self.mismatch(CompileError::new(span, message.clone()));
                Op::Fail(ErrorKind::invalid(message))
            }
        }
    }

    fn part_in(&mut self, part: TimePart, zone: &str, span: Span, mut nodes: Vec<Node>) -> Op {
        let found = Zone::named(zone);
        nodes.pop();
        match (found, nodes.pop()) {
            (Ok(zone), Some(timestamp)) => Op::PartIn(part, Box::new(timestamp), Box::new(zone)),
            (Ok(_), None) => Op::Fail(ErrorKind::NoSuchOverload),
            (Err(kind), _) => {
                let error = CompileError::new(span, format!("there is no time zone `{zone}`"));
                self.mismatch(
                    error.help("write a name such as Europe/Berlin, or an offset such as +01:00"),
                );
                Op::Fail(kind)
            }
        }
    }

    /// Returns whether `call` reads a field by its name, as in `getField(message, name)`. The
    /// caller of this crate chooses the name of the function.
    fn reads_field(&self, call: &Call) -> bool {
        let name = self.declarations.field_function.as_deref();
        name == Some(call.function()) && call.arguments.len() == 2
    }

    fn field_by_argument(&mut self, call: &Call, span: Span) -> Checked {
        let [message, name] = call.arguments.as_slice() else {
            return self.fail(
                CompileError::new(span, "expected two arguments"),
                ErrorKind::NoSuchOverload,
            );
        };
        let operand = self.expr(message);
        if let ExprKind::Literal(Constant::String(field)) = &name.kind {
            let select = Select {
                // A placeholder. `Checker::field` takes the checked operand as a separate argument.
                operand: Box::new(Expr {
                    span,
                    height: 0,
                    kind: ExprKind::List(Vec::new()),
                }),
                field: field.to_string(),
                field_span: name.span,
                form: SelectForm::Quoted,
            };
            return self.field(operand, &select, span);
        }
        let name_node = self.expr(name);
        if !self.unifier.assignable(&name_node.ty, &Type::String) {
            let message = format!(
                "expected the name of a field, found a value of type {}",
                self.text(&name_node.ty)
            );
            self.mismatch(CompileError::new(name.span, message));
        }
        let parts = Box::new((operand.node, name_node.node));
        checked(span, Op::MemberNamed(parts), Type::Dyn)
    }
}

fn conditional(nodes: Vec<Node>) -> Op {
    match <[Node; 3]>::try_from(nodes) {
        Ok(parts) => Op::Conditional(Box::new(parts)),
        Err(_) => Op::Fail(ErrorKind::NoSuchOverload),
    }
}
