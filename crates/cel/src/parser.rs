//! The parser, which turns tokens into an expression.
//!
//! The parser follows the grammar of the language definition, and parses binary operators by
//! precedence climbing. Each node stores its height. Since the height is at most [`LEVELS_MAX`],
//! code can recurse over the expression.

use crate::ast::{Call, Expr, ExprKind, FieldValue, Logic, Name, Select, SelectForm, highest};
use crate::constant::Constant;
use crate::error::CompileError;
use crate::lexer::{Token, tokens};
use crate::macros;
use crate::span::Span;

/// The maximum length of an expression, in bytes: far more than people write or read.
pub(crate) const SIZE_MAX: usize = 64 * 1024;

/// The maximum height of an expression, in levels. Parser, checker and evaluator recurse once per
/// level, and all of them must fit the stack of a thread.
pub(crate) const LEVELS_MAX: u32 = 128;

/// Reserved words, which a later version of the language may use.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];

/// The binary operators, with their precedence and the name of their function.
const OPERATORS: [(&str, u8, &str); 12] = [
    ("<", 3, "_<_"),
    ("<=", 3, "_<=_"),
    (">", 3, "_>_"),
    (">=", 3, "_>=_"),
    ("==", 3, "_==_"),
    ("!=", 3, "_!=_"),
    ("in", 3, "@in"),
    ("+", 4, "_+_"),
    ("-", 4, "_-_"),
    ("*", 5, "_*_"),
    ("/", 5, "_/_"),
    ("%", 5, "_%_"),
];

/// The precedence of comparisons and `in`, the lowest one in [`OPERATORS`].
const RELATION: u8 = 3;

/// Parses `text` and expands macros in it.
pub(crate) fn parse(text: &str) -> Result<Expr, CompileError> {
    if text.len() > SIZE_MAX {
        let message = format!(
            "an expression has at most {SIZE_MAX} bytes, and this one has {}",
            text.len()
        );
        return Err(CompileError::new(Span::new(0, 0), message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        levels: 0,
    };
    let expr = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'t> {
    tokens: &'t [(Token, Span)],
    at: usize,
    /// The number of nested expressions and unary operators that are being parsed.
    levels: u32,
}

type Parsed = Result<Expr, CompileError>;

impl<'t> Parser<'t> {
    fn peek(&self) -> &'t Token {
        &self.tokens[self.at].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    /// Returns the current token and advances to the next one, but never beyond the end.
    fn next(&mut self) -> (&'t Token, Span) {
        let (token, span) = &self.tokens[self.at];
        if *token != Token::End {
            self.at += 1;
        }
        (token, *span)
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<Span, CompileError> {
        let span = self.span();
        if self.take(symbol) {
            return Ok(span);
        }
        Err(self.unexpected(&format!("`{symbol}`")))
    }

    fn unexpected(&self, expected: &str) -> CompileError {
        let found = match self.peek() {
            Token::Identifier(name) => format!("`{name}`"),
            Token::Quoted(name) => format!("`{name}` in backquotes"),
            Token::Int(_) | Token::Uint(_) | Token::Double(_) => "a number".to_owned(),
            Token::String(_) => "a string".to_owned(),
            Token::Bytes(_) => "bytes".to_owned(),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end".to_owned(),
        };
        let error = CompileError::new(self.span(), format!("expected {expected}, found {found}"));
        match self.peek() {
            Token::Identifier(name) if name == "and" => error.help("write `&&`"),
            Token::Identifier(name) if name == "or" => error.help("write `||`"),
            _ => error,
        }
    }

    fn node(&self, span: Span, height: u32, kind: ExprKind) -> Parsed {
        let height = height + 1;
        if height > LEVELS_MAX {
            return Err(too_deep(span));
        }
        Ok(Expr { span, height, kind })
    }

    fn enter(&mut self) -> Result<(), CompileError> {
        self.levels += 1;
        if self.levels > LEVELS_MAX {
            return Err(too_deep(self.span()));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.levels -= 1;
    }

    fn expression(&mut self) -> Parsed {
        self.enter()?;
        let condition = self.logic(Logic::Or)?;
        let expr = if self.take("?") {
            let then = self.logic(Logic::Or)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            self.call(
                "_?_:_",
                condition.span.to(otherwise.span),
                vec![condition, then, otherwise],
            )?
        } else {
            condition
        };
        self.leave();
        Ok(expr)
    }

    fn logic(&mut self, logic: Logic) -> Parsed {
        let symbol = match logic {
            Logic::Or => "||",
            Logic::And => "&&",
        };
        let first = self.operand_of(logic)?;
        if !self.is(symbol) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(symbol) {
            operands.push(self.operand_of(logic)?);
        }
        let span = operands[0].span.to(operands[operands.len() - 1].span);
        self.node(span, highest(&operands), ExprKind::Logic(logic, operands))
    }

    fn operand_of(&mut self, logic: Logic) -> Parsed {
        match logic {
            Logic::Or => self.logic(Logic::And),
            Logic::And => self.binary(RELATION),
        }
    }

    fn binary(&mut self, least: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some((precedence, function)) = self.operator(least) {
            self.at += 1;
            let right = self.binary(precedence + 1)?;
            left = self.call(function, left.span.to(right.span), vec![left, right])?;
        }
        Ok(left)
    }

    fn operator(&self, least: u8) -> Option<(u8, &'static str)> {
        let written = match self.peek() {
            Token::Symbol(symbol) => *symbol,
            Token::Identifier(name) if name == "in" => "in",
            _ => return None,
        };
        let operator = OPERATORS.iter().find(|(symbol, ..)| *symbol == written)?;
        (operator.1 >= least).then_some((operator.1, operator.2))
    }

    fn call(&self, function: &'static str, span: Span, arguments: Vec<Expr>) -> Parsed {
        let call = Call {
            function,
            name: None,
            name_span: span,
            target: None,
            rooted: false,
            arguments,
        };
        self.node(span, highest(&call.arguments), ExprKind::Call(call))
    }

    fn unary(&mut self) -> Parsed {
        let start = self.span();
        let function = match self.peek() {
            Token::Symbol("!") => "!_",
            Token::Symbol("-") => "-_",
            _ => return self.member(),
        };
        if function == "-_"
            && matches!(self.tokens[self.at + 1].0, Token::Int(_) | Token::Double(_))
        {
            return self.member();
        }
        self.at += 1;
        self.enter()?;
        let operand = self.unary()?;
        self.leave();
        self.call(function, start.to(operand.span), vec![operand])
    }

    fn member(&mut self) -> Parsed {
        let mut expr = self.primary()?;
        loop {
            if self.take(".") {
                expr = self.after_dot(expr)?;
            } else if self.take("[") {
                let index = self.expression()?;
                let end = self.expect("]")?;
                expr = self.call("_[_]", expr.span.to(end), vec![expr, index])?;
            } else if self.is("{") {
                let Some(name) = expr.qualified() else {
                    return Err(self.unexpected("an operator or the end"));
                };
                expr = self.message(name, expr.span)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn after_dot(&mut self, operand: Expr) -> Parsed {
        let (token, span) = (self.peek(), self.span());
        let (field, form) = match token {
            Token::Identifier(name) if !is_keyword(name) => (name.clone(), SelectForm::Plain),
            Token::Quoted(name) => (name.clone(), SelectForm::Quoted),
            _ => return Err(self.unexpected("a field or a function")),
        };
        self.at += 1;
        if form == SelectForm::Plain && self.take("(") {
            return self.function(field, span, Some(operand), false);
        }
        self.select(operand, field, span, form)
    }

    fn select(&self, operand: Expr, field: String, field_span: Span, form: SelectForm) -> Parsed {
        let (span, height) = (operand.span.to(field_span), operand.height);
        let operand = Box::new(operand);
        let select = Select {
            operand,
            field,
            field_span,
            form,
        };
        self.node(span, height, ExprKind::Select(select))
    }

    /// Reads the arguments of a call after the opening parenthesis, and expands the call if it is a
    /// macro.
    fn function(
        &mut self,
        name: String,
        name_span: Span,
        target: Option<Expr>,
        rooted: bool,
    ) -> Parsed {
        let arguments = self.arguments(")")?;
        let end = self.expect(")")?;
        let start = target.as_ref().map_or(name_span, |target| target.span);
        let call = Call {
            function: "",
            name: Some(name),
            name_span,
            target: target.map(Box::new),
            arguments,
            rooted,
        };
        let height = call.target.as_ref().map_or(0, |target| target.height);
        let kind = macros::expand(call)?;
        self.node(start.to(end), height.max(kind.height()), kind)
    }

    fn arguments(&mut self, closing: &str) -> Result<Vec<Expr>, CompileError> {
        let mut arguments = Vec::new();
        if self.is(closing) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.take(",") {
                return Ok(arguments);
            }
            // A list may end in a comma, but the arguments of a function may not.
            if closing == "]" && self.is(closing) {
                return Ok(arguments);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let (token, span) = self.next();
        let literal = |constant| ExprKind::Literal(constant);
        match token {
            Token::Int(_) => {
                self.at -= 1;
                self.number(false, span)
            }
            Token::Symbol("-") => self.number(true, span),
            Token::Uint(value) => self.node(span, 0, literal(Constant::Uint(*value))),
            Token::Double(value) => self.node(span, 0, literal(Constant::Double(*value))),
            Token::String(text) => {
                self.node(span, 0, literal(Constant::String(text.as_str().into())))
            }
            Token::Bytes(bytes) => {
                self.node(span, 0, literal(Constant::Bytes(bytes.as_slice().into())))
            }
            Token::Identifier(name) => self.identifier(name, span, false),
            Token::Symbol(".") => match self.next() {
                (Token::Identifier(name), name_span) => {
                    self.identifier(name, span.to(name_span), true)
                }
                _ => {
                    self.at -= usize::from(*self.peek() != Token::End);
                    Err(self.unexpected("a name"))
                }
            },
            Token::Symbol("(") => {
                let inner = self.expression()?;
                let end = self.expect(")")?;
                Ok(Expr {
                    span: span.to(end),
                    ..inner
                })
            }
            Token::Symbol("[") => {
                let elements = self.arguments("]")?;
                let end = self.expect("]")?;
                self.node(span.to(end), highest(&elements), ExprKind::List(elements))
            }
            Token::Symbol("{") => self.map(span),
            Token::End => Err(self.unexpected("an expression")),
            _ => {
                self.at -= 1;
                Err(self.unexpected("an expression"))
            }
        }
    }

    /// Reads a number. If `negative` is set, the minus sign has already been read.
    fn number(&mut self, negative: bool, start: Span) -> Parsed {
        let (token, end) = self.next();
        let span = start.to(end);
        let constant = match token {
            Token::Double(value) => Constant::Double(-value),
            Token::Int(value) => {
                let signed = if negative {
                    -i128::from(*value)
                } else {
                    i128::from(*value)
                };
                let fits = i64::try_from(signed);
                let error =
                    |_| CompileError::new(span, "the number does not fit an int of 64 bits");
                Constant::Int(fits.map_err(error)?)
            }
            _ => return Err(self.unexpected("a number")),
        };
        self.node(span, 0, ExprKind::Literal(constant))
    }

    fn identifier(&mut self, name: &str, span: Span, rooted: bool) -> Parsed {
        let constant = match name {
            "true" => Some(Constant::Bool(true)),
            "false" => Some(Constant::Bool(false)),
            "null" => Some(Constant::Null),
            _ => None,
        };
        if let Some(constant) = constant {
            return self.node(span, 0, ExprKind::Literal(constant));
        }
        if name == "in" || RESERVED.contains(&name) || name == "while" {
            return Err(CompileError::new(
                span,
                format!("`{name}` is a reserved word"),
            ));
        }
        if self.take("(") {
            return self.function(name.to_owned(), span, None, rooted);
        }
        let text = name.to_owned();
        self.node(span, 0, ExprKind::Identifier(Name { text, rooted }))
    }

    fn map(&mut self, start: Span) -> Parsed {
        let mut entries = Vec::new();
        let mut height = 0;
        while !self.is("}") {
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            height = height.max(key.height).max(value.height);
            entries.push((key, value));
            if !self.take(",") {
                break;
            }
        }
        let end = self.expect("}")?;
        self.node(start.to(end), height, ExprKind::Map(entries))
    }

    fn message(&mut self, name: Name, start: Span) -> Parsed {
        self.expect("{")?;
        let mut fields = Vec::new();
        let mut height = 0;
        while !self.is("}") {
            let (token, name_span) = (self.peek(), self.span());
            let name = match token {
                Token::Identifier(name) if !is_keyword(name) => name.clone(),
                Token::Quoted(name) => name.clone(),
                _ => return Err(self.unexpected("a field")),
            };
            self.at += 1;
            self.expect(":")?;
            let value = self.expression()?;
            height = height.max(value.height);
            fields.push(FieldValue {
                name,
                name_span,
                value,
            });
            if !self.take(",") {
                break;
            }
        }
        let end = self.expect("}")?;
        self.node(start.to(end), height, ExprKind::Message(name, fields))
    }
}

/// Returns whether `name` is a keyword, which cannot name a field or a function even after a dot.
fn is_keyword(name: &str) -> bool {
    matches!(name, "in" | "true" | "false" | "null")
}

fn too_deep(span: Span) -> CompileError {
    CompileError::new(
        span,
        format!("an expression has at most {LEVELS_MAX} levels, and this one has more"),
    )
}
