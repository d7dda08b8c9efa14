//! Generates a well-typed expression of type bool, and the values of its variables, from the input.
//! The expression must compile, and its value must be a bool or an error. Its negation, equivalent
//! forms, and the same expression with types checked at evaluation must have consistent values. If
//! the expression has a form over scalars alone, that form may hold only if the expression is true
//! or spends its budget. An expression for which a failure is predicted must have no value.
#![no_main]

use std::rc::Rc;
use std::sync::Arc;

use gateway_cel::{
    Budget, Bytes, Checking, Duration, Environment, ErrorKind, Program, Scalar, ScalarField,
    ScalarProgram, Timestamp, Type, Value,
};
use gateway_cel_fuzz::{BUDGET, Nodes, SCALARS, Scalars};

/// The maximum nesting depth of an expression.
const DEPTH_MAX: u32 = 5;

/// The length of an expression in bytes after which only leaves are generated.
const LENGTH_LIMIT: usize = 2_000;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut grower = Grower { input, length: 0 };
    let mut values = grower.clone();
    // The programs must outlive the values, but the bytes of the values come first in the input.
    // This call only skips these bytes.
    drop(grower.values());
    let text = grower.grow(ExprType::Bool, DEPTH_MAX);
    let program = compiled(&text, Checking::Compile);
    let equivalents = [
        (compiled(&text, Checking::Evaluation), false),
        (compiled(&format!("!({text})"), Checking::Compile), true),
        (
            compiled(
                &format!("({text}) && ({text}) || ({text})"),
                Checking::Compile,
            ),
            false,
        ),
        (
            compiled(&format!("({text}) ? true : false"), Checking::Compile),
            false,
        ),
    ];
    let (values, scalars) = values.values();
    let expected = outcome(&program, &values);
    let failure = program.failure(&[]);
    let fails = failure.is_some_and(|failure| failure.decides);
    assert!(
        !fails || !matches!(expected, Outcome::Bool(_)),
        "{text}: {expected:?}, but it always fails"
    );
    let mut fields = Vec::new();
    if let Some(program) = ScalarProgram::of(&program, &mut fields) {
        let fields: Vec<_> = fields
            .iter()
            .map(|field| scalar_field(field, &scalars))
            .collect();
        let holds = matches!(expected, Outcome::Bool(true) | Outcome::Spent);
        assert!(
            holds || !program.holds(&fields),
            "{text}: {expected:?} with {values:?}"
        );
    }
    for (number, (program, negated)) in equivalents.iter().enumerate() {
        let found = outcome(program, &values);
        let fits = match (expected, found) {
            // An expression that takes more steps may spend the budget earlier.
            (Outcome::Spent, _) | (_, Outcome::Spent) => true,
            (Outcome::Bool(value), Outcome::Bool(other)) => (value != other) == *negated,
            (Outcome::Error, Outcome::Error) => true,
            _ => false,
        };
        assert!(
            fits,
            "{text}: {expected:?}, and {found:?} of {number}, with {values:?}"
        );
    }
});

/// The outcome of an evaluation.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Bool(bool),
    Error,
    /// The budget is spent.
    Spent,
}

fn compiled(text: &str, checking: Checking) -> Program {
    let mut environment = Environment::new(Arc::new(Nodes));
    environment.checking(checking);
    for (name, ty, _) in VARIABLES {
        environment.variable(name, ty());
    }
    let program = environment.compile(text);
    program.unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn outcome<'a>(program: &'a Program, values: &[Value<'a>]) -> Outcome {
    match program.evaluate(values, &mut Budget::new(BUDGET, BUDGET)) {
        Ok(Value::Bool(value)) => Outcome::Bool(value),
        Ok(other) => panic!("{other:?} is no bool"),
        Err(error) if error.kind == ErrorKind::Budget => Outcome::Spent,
        Err(_) => Outcome::Error,
    }
}

/// Returns the value of a scalar field for [`ScalarProgram`].
fn scalar_field<'v>(field: &gateway_cel::Field, scalars: &'v Scalars<'_>) -> ScalarField<'v> {
    let value = match &scalars.0[field.index as usize] {
        None => return ScalarField::unset(field).expect("a scalar"),
        Some(Value::Bool(value)) => Scalar::Bool(*value),
        Some(Value::Int(value)) => Scalar::Int(*value),
        Some(Value::Uint(value)) => Scalar::Uint(*value),
        Some(Value::Double(value)) => Scalar::Double(*value),
        Some(Value::String(text)) => Scalar::Text(text.as_bytes()),
        Some(Value::Bytes(bytes)) => Scalar::Bytes(bytes),
        Some(other) => panic!("{other:?} is no scalar"),
    };
    ScalarField {
        value,
        written: true,
    }
}

/// The types of generated expressions and of variables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExprType {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Data,
    Ints,
    Texts,
    Time,
    Span,
    /// The type of `this`. No expression of this type is generated.
    Message,
}

/// The variables, with their types.
const VARIABLES: [(&str, fn() -> Type, ExprType); 12] = [
    ("this", || Type::Message(SCALARS), ExprType::Message),
    ("b", || Type::Bool, ExprType::Bool),
    ("i", || Type::Int, ExprType::Int),
    ("j", || Type::Int, ExprType::Int),
    ("u", || Type::Uint, ExprType::Uint),
    ("d", || Type::Double, ExprType::Double),
    ("s", || Type::String, ExprType::Text),
    ("y", || Type::Bytes, ExprType::Data),
    ("l", || Type::list(Type::Int), ExprType::Ints),
    ("m", || Type::list(Type::String), ExprType::Texts),
    ("t", || Type::Timestamp, ExprType::Time),
    ("p", || Type::Duration, ExprType::Span),
];

/// Expressions without subexpressions. The variables are not listed again.
const LEAVES: [(ExprType, &str); 30] = [
    (ExprType::Bool, "this.b"),
    (ExprType::Bool, "has(this.o)"),
    (ExprType::Bool, "has(this.e)"),
    (ExprType::Bool, "has(this.d)"),
    (ExprType::Int, "this.i"),
    (ExprType::Int, "this.o"),
    (ExprType::Uint, "this.u"),
    (ExprType::Double, "this.d"),
    (ExprType::Text, "this.s"),
    (ExprType::Text, "this.e"),
    (ExprType::Data, "this.y"),
    (ExprType::Data, "b''"),
    (ExprType::Bool, "true"),
    (ExprType::Bool, "false"),
    (ExprType::Int, "0"),
    (ExprType::Int, "-7"),
    (ExprType::Int, "9223372036854775807"),
    (ExprType::Uint, "0u"),
    (ExprType::Uint, "18446744073709551615u"),
    (ExprType::Double, "0.5"),
    (ExprType::Double, "-1e300"),
    (ExprType::Text, "''"),
    (ExprType::Text, "'ż'"),
    (ExprType::Data, "b'\\xff'"),
    (ExprType::Ints, "[1, 2]"),
    (ExprType::Texts, "['a', '']"),
    (ExprType::Time, "timestamp(0)"),
    (ExprType::Time, "timestamp('2024-02-29T00:00:00Z')"),
    (ExprType::Span, "duration('1h')"),
    (ExprType::Span, "duration('-5s')"),
];

/// Templates of expressions with subexpressions. An uppercase letter stands for a subexpression of
/// the type that [`Grower::grow`] maps the letter to.
const NODES: [(ExprType, &str); 59] = [
    (ExprType::Bool, "(B && B)"),
    (ExprType::Bool, "(B || B)"),
    (ExprType::Bool, "!B"),
    (ExprType::Bool, "(B ? B : B)"),
    (ExprType::Bool, "(I < I)"),
    (ExprType::Bool, "(I == I)"),
    (ExprType::Bool, "(I <= D)"),
    (ExprType::Bool, "(U > I)"),
    (ExprType::Bool, "(U != U)"),
    (ExprType::Bool, "(D >= D)"),
    (ExprType::Bool, "(S < S)"),
    (ExprType::Bool, "(S == S)"),
    (ExprType::Bool, "(Y == Y)"),
    (ExprType::Bool, "(L == L)"),
    (ExprType::Bool, "(T < T)"),
    (ExprType::Bool, "(P <= P)"),
    (ExprType::Bool, "(I in L)"),
    (ExprType::Bool, "(S in M)"),
    (ExprType::Bool, "S.endsWith(S)"),
    (ExprType::Bool, "S.contains(S)"),
    (ExprType::Bool, "S.matches('^a*(b|ż)+$')"),
    (ExprType::Bool, "L.all(x, x > I)"),
    (ExprType::Bool, "L.exists(x, x / I > 1)"),
    (ExprType::Bool, "M.exists_one(x, x != S)"),
    (ExprType::Bool, "M.all(x, L.exists(z, z == size(x)))"),
    (ExprType::Int, "(I + I)"),
    (ExprType::Int, "(I - I)"),
    (ExprType::Int, "(I * I)"),
    (ExprType::Int, "(I / I)"),
    (ExprType::Int, "(I % I)"),
    (ExprType::Int, "(B ? I : I)"),
    (ExprType::Int, "size(S)"),
    (ExprType::Int, "size(L)"),
    (ExprType::Int, "L[I]"),
    (ExprType::Int, "int(U)"),
    (ExprType::Int, "int(D)"),
    (ExprType::Int, "T.getFullYear()"),
    (ExprType::Int, "P.getSeconds()"),
    (ExprType::Uint, "(U + U)"),
    (ExprType::Uint, "(U - U)"),
    (ExprType::Uint, "uint(I)"),
    (ExprType::Double, "(D * D)"),
    (ExprType::Double, "(D / D)"),
    (ExprType::Double, "double(I)"),
    (ExprType::Text, "(S + S)"),
    (ExprType::Text, "M[I]"),
    (ExprType::Text, "string(I)"),
    (ExprType::Text, "'%s %d'.format([S, I])"),
    (ExprType::Text, "(B ? S : S)"),
    (ExprType::Data, "(Y + Y)"),
    (ExprType::Data, "bytes(S)"),
    (ExprType::Ints, "(L + L)"),
    (ExprType::Ints, "L.filter(x, x < I)"),
    (ExprType::Ints, "L.map(x, x + I)"),
    (ExprType::Texts, "M.map(x, x + S)"),
    (ExprType::Time, "(T + P)"),
    (ExprType::Time, "(T - P)"),
    (ExprType::Span, "(T - T)"),
    (ExprType::Span, "(P + P)"),
];

/// Generates values and expressions from the input bytes. Past the end of the input, every byte is
/// 0.
#[derive(Clone)]
struct Grower<'i> {
    input: &'i [u8],
    /// The length of the expression so far, in bytes.
    length: usize,
}

impl<'i> Grower<'i> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.input.split_first() else {
            return 0;
        };
        self.input = rest;
        *byte
    }

    fn word(&mut self) -> u64 {
        // Most numbers take one or two bytes of the input.
        match self.byte() {
            byte @ 0..=0x7f => u64::from(byte),
            0x80..=0xbf => u64::MAX - u64::from(self.byte()),
            0xc0..=0xdf => 1 << (self.byte() % 64),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn text(&mut self) -> String {
        let letters = ["a", "b", "ż", "🦀", "%", "7", "\0", " "];
        let size = self.byte() % 6;
        let letter = |_| letters[usize::from(self.byte()) % letters.len()];
        (0..size).map(letter).collect()
    }

    fn bytes<'a>(&mut self) -> Value<'a> {
        Value::Bytes(Bytes::Shared(self.text().into_bytes().into()))
    }

    /// Returns the values of the fields of `this`.
    fn scalars<'a>(&mut self) -> Scalars<'a> {
        let set = self.byte();
        let values = [
            Value::Int(self.word() as i64),
            Value::Int((self.word() as i32).into()),
            Value::Uint(self.word()),
            Value::Double(f64::from_bits(self.word())),
            Value::Bool(self.byte() & 1 == 1),
            Value::owned(self.text()),
            Value::owned(self.text()),
            self.bytes(),
        ];
        let mut bit = 0;
        Scalars(values.map(|value| {
            bit += 1;
            (set >> (bit - 1) & 1 == 1).then_some(value)
        }))
    }

    /// Returns the values of [`VARIABLES`], and the fields of `this`.
    fn values<'a>(&mut self) -> (Vec<Value<'a>>, Scalars<'a>) {
        let ints = |grower: &mut Self| {
            let size = grower.byte() % 5;
            (0..size)
                .map(|_| Value::Int(grower.word() as i64))
                .collect()
        };
        let texts = |grower: &mut Self| {
            let size = grower.byte() % 5;
            (0..size).map(|_| Value::owned(grower.text())).collect()
        };
        // Limits the magnitude to the number of seconds between 1970 and the year 10000.
        let second = |word: u64| word as i64 % 253_402_300_800;
        let scalars = self.scalars();
        let this = Scalars(scalars.0.clone());
        let values = vec![
            Value::shared_message(SCALARS, Rc::new(this)),
            Value::Bool(self.byte() & 1 == 1),
            Value::Int(self.word() as i64),
            Value::Int(self.word() as i64),
            Value::Uint(self.word()),
            Value::Double(f64::from_bits(self.word())),
            Value::owned(self.text()),
            self.bytes(),
            Value::list(ints(self)),
            Value::list(texts(self)),
            Value::Timestamp(
                Timestamp::new(second(self.word()).abs(), 5).unwrap_or(Timestamp::EPOCH),
            ),
            Value::Duration(Duration::new(second(self.word()), 0).unwrap_or(Duration::ZERO)),
        ];
        (values, scalars)
    }

    /// Returns a generated expression of the type `ty`, in which at most `depth` of the [`NODES`]
    /// are nested.
    fn grow(&mut self, ty: ExprType, depth: u32) -> String {
        let choice = usize::from(self.byte());
        if depth == 0 || self.length > LENGTH_LIMIT || choice & 3 == 0 {
            let variables = VARIABLES.iter().map(|(name, _, kind)| (*kind, *name));
            let leaves = variables.chain(LEAVES).filter(|(kind, _)| *kind == ty);
            let leaves: Vec<&str> = leaves.map(|(_, text)| text).collect();
            let leaf = leaves[choice / 4 % leaves.len()];
            self.length += leaf.len();
            return leaf.to_owned();
        }
        let nodes = NODES.iter().filter(|(kind, _)| *kind == ty);
        let nodes: Vec<&str> = nodes.map(|(_, text)| *text).collect();
        let form = nodes[choice / 4 % nodes.len()];
        let mut text = String::new();
        for letter in form.chars() {
            let part = match letter {
                'B' => ExprType::Bool,
                'I' => ExprType::Int,
                'U' => ExprType::Uint,
                'D' => ExprType::Double,
                'S' if !form.ends_with("getSeconds()") => ExprType::Text,
                'Y' if !form.ends_with("getFullYear()") => ExprType::Data,
                'L' => ExprType::Ints,
                'M' => ExprType::Texts,
                'T' => ExprType::Time,
                'P' => ExprType::Span,
                _ => {
                    text.push(letter);
                    self.length += letter.len_utf8();
                    continue;
                }
            };
            text.push_str(&self.grow(part, depth - 1));
        }
        text
    }
}
