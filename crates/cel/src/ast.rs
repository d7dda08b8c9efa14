//! The syntax tree of an expression, after the expansion of macros.

use crate::constant::Constant;
use crate::span::Span;

/// A part of an expression.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) span: Span,
    /// The height of the syntax tree of this part, in levels. A leaf has the height 1.
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

/// A name. The text may contain dots if the name is the type of a message literal, or was joined
/// from a chain `a.b.c`.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// Set if the name is written with a leading dot. Such a name is a full name, so its look-up
    /// prepends no package.
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
    /// `` x.`f` `` or `proto.getExt(x, f)`, which always selects a field and is never a part of a
    /// qualified name.
    Quoted,
    /// `has(x.f)` or `proto.hasExt(x, f)`.
    Test,
}

#[derive(Debug)]
pub(crate) struct Call {
    /// The function of an operator, such as `_+_`. Empty if `name` is set.
    pub(crate) function: &'static str,
    /// The name of the called function, or `None` for an operator.
    pub(crate) name: Option<String>,
    pub(crate) name_span: Span,
    pub(crate) target: Option<Box<Expr>>,
    pub(crate) arguments: Vec<Expr>,
    /// Set if the name is written with a leading dot.
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
    /// The condition that selects elements, which is an optional argument of `map` and
    /// `transform…`. The condition of `filter` is its body.
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
    /// Returns a chain `a.b.c` as one name, or `None` if the expression is not such a chain.
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

impl ExprKind {
    /// Returns the greatest height of the arguments of a call, of the operand of a selection, or of
    /// the parts of a fold. The target of a call is not included. Returns 0 for all other kinds,
    /// because the expansion of macros results only in these three.
    pub(crate) fn height(&self) -> u32 {
        match self {
            Self::Call(call) => highest(&call.arguments),
            Self::Select(select) => select.operand.height,
            Self::Fold(fold) => {
                let filter = fold.filter.as_ref().map_or(0, |filter| filter.height);
                fold.range.height.max(fold.body.height).max(filter)
            }
            _ => 0,
        }
    }
}

/// Returns the greatest height of `parts`, or 0 if there are none.
pub(crate) fn highest(parts: &[Expr]) -> u32 {
    parts.iter().map(|part| part.height).max().unwrap_or(0)
}
