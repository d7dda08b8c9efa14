//! The functions of the standard library and of the strings extension, with their overloads.

use std::collections::HashMap;
use std::sync::Arc;

use crate::function::{Function, Style};
use crate::types::Type;

/// A function of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    Not,
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Index,
    Conditional,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Part(TimePart),
    ToBool,
    ToBytes,
    ToDouble,
    ToDuration,
    ToDyn,
    ToInt,
    ToString,
    ToTimestamp,
    ToUint,
    TypeOf,
    CharAt,
    Format,
    IndexOf,
    Join,
    LastIndexOf,
    LowerAscii,
    Quote,
    Replace,
    Reverse,
    Split,
    Substring,
    Trim,
    UpperAscii,
}

/// A part of a timestamp or of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimePart {
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    FullYear,
    Hours,
    Milliseconds,
    Minutes,
    Month,
    Seconds,
}

/// One overload of a function.
#[derive(Clone, Debug)]
pub(crate) struct Overload {
    pub(crate) style: Style,
    pub(crate) parameters: Arc<[Type]>,
    pub(crate) result: Type,
    pub(crate) target: Target,
}

/// The implementation that runs when an overload is called.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Builtin(Builtin),
    Custom(Arc<Function>),
}

/// The functions that an expression can call, by name.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    functions: HashMap<String, Vec<Overload>>,
}

impl Library {
    /// Returns the library without the functions that the caller of this crate defines.
    pub(crate) fn standard() -> Self {
        let mut library = Self {
            functions: HashMap::new(),
        };
        for (style, table) in [(Style::Global, GLOBAL), (Style::Member, MEMBER)] {
            for (name, builtin, signatures) in table {
                for signature in *signatures {
                    let (parameters, result) = signature_of(signature);
                    library.add(
                        name,
                        Overload {
                            style,
                            parameters: parameters.into(),
                            result,
                            target: Target::Builtin(*builtin),
                        },
                    );
                }
            }
        }
        library
    }

    pub(crate) fn add(&mut self, name: &str, overload: Overload) {
        self.functions
            .entry(name.to_owned())
            .or_default()
            .push(overload);
    }

    /// Returns the overloads of the function `name`; none if there is no such function.
    pub(crate) fn overloads(&self, name: &str) -> &[Overload] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the names of all functions, without the operators.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.functions.keys().map(String::as_str);
        names.filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
    }
}

type Table = &'static [(&'static str, Builtin, &'static [&'static str])];

const ORDERED: &[&str] = &[
    "bool bool: bool",
    "int int: bool",
    "int uint: bool",
    "int double: bool",
    "uint uint: bool",
    "uint int: bool",
    "uint double: bool",
    "double double: bool",
    "double int: bool",
    "double uint: bool",
    "string string: bool",
    "bytes bytes: bool",
    "timestamp timestamp: bool",
    "duration duration: bool",
];

const CALENDAR: &[&str] = &["timestamp: int", "timestamp string: int"];
const CLOCK: &[&str] = &["timestamp: int", "timestamp string: int", "duration: int"];
const TEXT_TEST: &[&str] = &["string string: bool"];
const TEXT: &[&str] = &["string: string"];

/// Operators, and functions that are called as `f(x)`.
const GLOBAL: Table = &[
    ("!_", Builtin::Not, &["bool: bool"]),
    ("-_", Builtin::Negate, &["int: int", "double: double"]),
    (
        "_+_",
        Builtin::Add,
        &[
            "int int: int",
            "uint uint: uint",
            "double double: double",
            "string string: string",
            "bytes bytes: bytes",
            "list(A) list(A): list(A)",
            "timestamp duration: timestamp",
            "duration timestamp: timestamp",
            "duration duration: duration",
        ],
    ),
    (
        "_-_",
        Builtin::Subtract,
        &[
            "int int: int",
            "uint uint: uint",
            "double double: double",
            "timestamp timestamp: duration",
            "timestamp duration: timestamp",
            "duration duration: duration",
        ],
    ),
    (
        "_*_",
        Builtin::Multiply,
        &["int int: int", "uint uint: uint", "double double: double"],
    ),
    (
        "_/_",
        Builtin::Divide,
        &["int int: int", "uint uint: uint", "double double: double"],
    ),
    ("_%_", Builtin::Modulo, &["int int: int", "uint uint: uint"]),
    ("_==_", Builtin::Equal, &["A A: bool"]),
    ("_!=_", Builtin::NotEqual, &["A A: bool"]),
    ("_<_", Builtin::Less, ORDERED),
    ("_<=_", Builtin::LessEqual, ORDERED),
    ("_>_", Builtin::Greater, ORDERED),
    ("_>=_", Builtin::GreaterEqual, ORDERED),
    ("@in", Builtin::In, &["A list(A): bool", "A map(A,B): bool"]),
    ("_[_]", Builtin::Index, &["list(A) int: A", "map(A,B) A: B"]),
    ("_?_:_", Builtin::Conditional, &["bool A A: A"]),
    ("size", Builtin::Size, SIZED),
    ("matches", Builtin::Matches, TEXT_TEST),
    ("bool", Builtin::ToBool, &["bool: bool", "string: bool"]),
    (
        "bytes",
        Builtin::ToBytes,
        &["bytes: bytes", "string: bytes"],
    ),
    (
        "double",
        Builtin::ToDouble,
        &[
            "double: double",
            "int: double",
            "uint: double",
            "string: double",
        ],
    ),
    (
        "duration",
        Builtin::ToDuration,
        &["duration: duration", "string: duration"],
    ),
    ("dyn", Builtin::ToDyn, &["A: dyn"]),
    (
        "int",
        Builtin::ToInt,
        &[
            "int: int",
            "uint: int",
            "double: int",
            "string: int",
            "timestamp: int",
        ],
    ),
    (
        "string",
        Builtin::ToString,
        &[
            "string: string",
            "bool: string",
            "int: string",
            "uint: string",
            "double: string",
            "bytes: string",
            "timestamp: string",
            "duration: string",
        ],
    ),
    (
        "timestamp",
        Builtin::ToTimestamp,
        &[
            "timestamp: timestamp",
            "string: timestamp",
            "int: timestamp",
        ],
    ),
    (
        "uint",
        Builtin::ToUint,
        &["uint: uint", "int: uint", "double: uint", "string: uint"],
    ),
    ("type", Builtin::TypeOf, &["A: type(A)"]),
    ("strings.quote", Builtin::Quote, TEXT),
];

const SIZED: &[&str] = &["string: int", "bytes: int", "list(A): int", "map(A,B): int"];

/// Functions that are called as `x.f()`.
const MEMBER: Table = &[
    ("size", Builtin::Size, SIZED),
    ("contains", Builtin::Contains, TEXT_TEST),
    ("startsWith", Builtin::StartsWith, TEXT_TEST),
    ("endsWith", Builtin::EndsWith, TEXT_TEST),
    ("matches", Builtin::Matches, TEXT_TEST),
    ("getDate", Builtin::Part(TimePart::Date), CALENDAR),
    (
        "getDayOfMonth",
        Builtin::Part(TimePart::DayOfMonth),
        CALENDAR,
    ),
    ("getDayOfWeek", Builtin::Part(TimePart::DayOfWeek), CALENDAR),
    ("getDayOfYear", Builtin::Part(TimePart::DayOfYear), CALENDAR),
    ("getFullYear", Builtin::Part(TimePart::FullYear), CALENDAR),
    ("getMonth", Builtin::Part(TimePart::Month), CALENDAR),
    ("getHours", Builtin::Part(TimePart::Hours), CLOCK),
    (
        "getMilliseconds",
        Builtin::Part(TimePart::Milliseconds),
        CLOCK,
    ),
    ("getMinutes", Builtin::Part(TimePart::Minutes), CLOCK),
    ("getSeconds", Builtin::Part(TimePart::Seconds), CLOCK),
    ("charAt", Builtin::CharAt, &["string int: string"]),
    ("format", Builtin::Format, &["string list(dyn): string"]),
    (
        "indexOf",
        Builtin::IndexOf,
        &["string string: int", "string string int: int"],
    ),
    (
        "join",
        Builtin::Join,
        &["list(string): string", "list(string) string: string"],
    ),
    (
        "lastIndexOf",
        Builtin::LastIndexOf,
        &["string string: int", "string string int: int"],
    ),
    ("lowerAscii", Builtin::LowerAscii, TEXT),
    (
        "replace",
        Builtin::Replace,
        &[
            "string string string: string",
            "string string string int: string",
        ],
    ),
    ("reverse", Builtin::Reverse, TEXT),
    (
        "split",
        Builtin::Split,
        &[
            "string string: list(string)",
            "string string int: list(string)",
        ],
    ),
    (
        "substring",
        Builtin::Substring,
        &["string int: string", "string int int: string"],
    ),
    ("trim", Builtin::Trim, TEXT),
    ("upperAscii", Builtin::UpperAscii, TEXT),
];

/// Returns the types of the parameters and of the result in a signature, such as `int int: bool`.
fn signature_of(text: &str) -> (Vec<Type>, Type) {
    let (parameters, result) = text.split_once(": ").unwrap_or(("", text));
    (
        parameters.split(' ').map(type_of).collect(),
        type_of(result),
    )
}

fn type_of(text: &str) -> Type {
    match text {
        "A" => Type::Parameter(0),
        "B" => Type::Parameter(1),
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "list(A)" => Type::list(Type::Parameter(0)),
        "list(string)" => Type::list(Type::String),
        "list(dyn)" => Type::list(Type::Dyn),
        "map(A,B)" => Type::map(Type::Parameter(0), Type::Parameter(1)),
        "type(A)" => Type::Type(Arc::new(Type::Parameter(0))),
        _ => Type::Dyn,
    }
}
