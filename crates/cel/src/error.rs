//! The errors of an expression, and of its evaluation.

use std::fmt;

use crate::span::Span;

/// A reason why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The part of the expression that is wrong.
    pub span: Span,
    /// The reason in plain English, without a full stop.
    pub message: String,
    /// Advice on how to fix the expression, if there is any.
    pub help: Option<String>,
}

impl CompileError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.span.start, self.message)?;
        match &self.help {
            Some(help) => write!(out, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CompileError {}

/// A reason why an expression has no value for the given variables, and the part of the expression
/// that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// The part of the expression that failed.
    pub span: Span,
    /// The reason.
    pub kind: ErrorKind,
}

impl fmt::Display for EvalError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.span.start, self.kind)
    }
}

impl std::error::Error for EvalError {}

/// A reason why an operation has no value.
///
/// `&&`, `||`, `all` and `exists` have a value in spite of an error in one of their parts if
/// another part decides the result. [`ErrorKind::Budget`] is the exception: it always ends the
/// evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The budget of steps or of memory is spent.
    Budget,
    /// No overload of the function takes values of these types.
    NoSuchOverload,
    /// The message has no field with this name.
    NoSuchField(Box<str>),
    /// The map has no such key.
    NoSuchKey,
    /// The list has no element at the index.
    IndexOutOfRange,
    /// Neither a variable nor a type has this name.
    UnknownName(Box<str>),
    /// No function has this name.
    UnknownFunction(Box<str>),
    /// An integer was divided by zero.
    DivisionByZero,
    /// The result of integer, timestamp or duration arithmetic is out of range.
    Overflow,
    /// A value is out of range of the named type. The type is the target of a conversion, or the
    /// type of a field that a message literal sets.
    Range(&'static str),
    /// A field of type `string` contains bytes that are not UTF-8.
    NotUtf8,
    /// A map was built with the same key twice.
    RepeatedKey,
    /// A value cannot be a map's key.
    UnsupportedKey,
    /// An argument is not valid, for the reason given.
    Invalid(Box<str>),
}

impl ErrorKind {
    /// Returns the error for an invalid argument. `reason` says why the argument is invalid.
    pub fn invalid(reason: impl Into<Box<str>>) -> Self {
        Self::Invalid(reason.into())
    }

    pub(crate) fn at(self, span: Span) -> EvalError {
        EvalError { span, kind: self }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget => out.write_str("the evaluation exceeds its budget"),
            Self::NoSuchOverload => out.write_str("no such overload"),
            Self::NoSuchField(name) => write!(out, "no such field: {name}"),
            Self::NoSuchKey => out.write_str("no such key"),
            Self::IndexOutOfRange => out.write_str("the index is out of range"),
            Self::UnknownName(name) => write!(out, "unknown variable: {name}"),
            Self::UnknownFunction(name) => write!(out, "unknown function: {name}"),
            Self::DivisionByZero => out.write_str("division by zero"),
            Self::Overflow => out.write_str("the result is out of range"),
            Self::Range(name) => write!(out, "the value is out of range of {name}"),
            Self::NotUtf8 => out.write_str("the string is not UTF-8"),
            Self::RepeatedKey => out.write_str("the map has a key twice"),
            Self::UnsupportedKey => out.write_str("the value cannot be a key of a map"),
            Self::Invalid(reason) => out.write_str(reason),
        }
    }
}

impl std::error::Error for ErrorKind {}
