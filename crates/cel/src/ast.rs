//! The expression as it is written, with macros expanded.

use crate::constant::Constant;
use crate::span::Span;

/// A part of an expression.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) span: Span,
    /// Levels below this one, itself included.
    pub(crate) height: u32,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Literal(Constant),
    Identifier(Name),
    Select(Select),
    Call(Call),
    /// `&&` or `||` of two or more operands.
    Logic(Logic, Vec<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Message(Name, Vec<FieldValue>),
    Fold(Box<Fold>),
}

/// A name without dots, or with them in a message literal.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// Written with a dot before it: looked up without the container.
    pub(crate) rooted: bool,
}

#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) operand: Box<Expr>,
    pub(crate) field: String,
    pub(crate) field_span: Span,
    pub(crate) form: SelectForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectForm {
    /// `x.f`, which may be a part of a qualified name.
    Plain,
    /// `` x.`f` `` and extensions, which are fields only.
    Quoted,
    /// `has(x.f)`.
    Test,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static str,
    /// The name of the function where it is not an operator's.
    pub(crate) name: Option<String>,
    pub(crate) name_span: Span,
    pub(crate) target: Option<Box<Expr>>,
    pub(crate) arguments: Vec<Expr>,
    /// Written with a dot before it.
    pub(crate) rooted: bool,
}

impl Call {
    /// Returns the name of the function or of the operator, such as `_+_`.
    pub(crate) fn function(&self) -> &str {
        self.name.as_deref().unwrap_or(self.function)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
}

#[derive(Debug)]
pub(crate) struct FieldValue {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) value: Expr,
}

/// A macro that visits the elements of a list or map.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) kind: FoldKind,
    pub(crate) range: Expr,
    /// The names of one or two variables.
    pub(crate) variables: Vec<String>,
    /// Which elements are taken, by `map` and `transform…` with one more argument.
    pub(crate) filter: Option<Expr>,
    pub(crate) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// `map` and `transformList`.
    List,
    /// `transformMap`.
    MapValues,
    /// `transformMapEntry`.
    MapEntries,
}

impl Expr {
    /// Returns the names of a chain `a.b.c` and whether it begins with a dot; `None` if it is no such chain.
    pub(crate) fn qualified(&self) -> Option<Name> {
        match &self.kind {
            ExprKind::Identifier(name) => Some(name.clone()),
            ExprKind::Select(select) if select.form == SelectForm::Plain => {
                let mut name = select.operand.qualified()?;
                name.text.push('.');
                name.text.push_str(&select.field);
                Some(name)
            }
            _ => None,
        }
    }

    /// Returns the identifier that a chain `a.b.c` begins with.
    pub(crate) fn first(&self) -> Option<&Name> {
        match &self.kind {
            ExprKind::Identifier(name) => Some(name),
            ExprKind::Select(select) if select.form == SelectForm::Plain => select.operand.first(),
            _ => None,
        }
    }
}
