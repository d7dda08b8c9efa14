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
const DEPTH: u32 = 5;

/// The length of an expression in bytes after which only leaves are generated.
const LENGTH: usize = 2_000;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut grower = Grower { input, length: 0 };
    let mut values = grower.clone();
    // The programs must outlive the values, but the bytes of the values come first in the input.
    // This call only skips these bytes.
    drop(grower.values());
    let text = grower.grow(Of::Bool, DEPTH);
    let program = compiled(&text, Checking::Compile);
    let like = [
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
    for (number, (program, negated)) in like.iter().enumerate() {
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
    for (name, of, _) in VARIABLES {
        environment.variable(name, of());
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
enum Of {
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
const VARIABLES: [(&str, fn() -> Type, Of); 12] = [
    ("this", || Type::Message(SCALARS), Of::Message),
    ("b", || Type::Bool, Of::Bool),
    ("i", || Type::Int, Of::Int),
    ("j", || Type::Int, Of::Int),
    ("u", || Type::Uint, Of::Uint),
    ("d", || Type::Double, Of::Double),
    ("s", || Type::String, Of::Text),
    ("y", || Type::Bytes, Of::Data),
    ("l", || Type::list(Type::Int), Of::Ints),
    ("m", || Type::list(Type::String), Of::Texts),
    ("t", || Type::Timestamp, Of::Time),
    ("p", || Type::Duration, Of::Span),
];

/// Expressions without subexpressions, other than the variables.
const LEAVES: [(Of, &str); 30] = [
    (Of::Bool, "this.b"),
    (Of::Bool, "has(this.o)"),
    (Of::Bool, "has(this.e)"),
    (Of::Bool, "has(this.d)"),
    (Of::Int, "this.i"),
    (Of::Int, "this.o"),
    (Of::Uint, "this.u"),
    (Of::Double, "this.d"),
    (Of::Text, "this.s"),
    (Of::Text, "this.e"),
    (Of::Data, "this.y"),
    (Of::Data, "b''"),
    (Of::Bool, "true"),
    (Of::Bool, "false"),
    (Of::Int, "0"),
    (Of::Int, "-7"),
    (Of::Int, "9223372036854775807"),
    (Of::Uint, "0u"),
    (Of::Uint, "18446744073709551615u"),
    (Of::Double, "0.5"),
    (Of::Double, "-1e300"),
    (Of::Text, "''"),
    (Of::Text, "'ż'"),
    (Of::Data, "b'\\xff'"),
    (Of::Ints, "[1, 2]"),
    (Of::Texts, "['a', '']"),
    (Of::Time, "timestamp(0)"),
    (Of::Time, "timestamp('2024-02-29T00:00:00Z')"),
    (Of::Span, "duration('1h')"),
    (Of::Span, "duration('-5s')"),
];

/// Templates of expressions with subexpressions. An uppercase letter stands for a subexpression of
/// the type that [`Grower::grow`] maps the letter to.
const NODES: [(Of, &str); 59] = [
    (Of::Bool, "(B && B)"),
    (Of::Bool, "(B || B)"),
    (Of::Bool, "!B"),
    (Of::Bool, "(B ? B : B)"),
    (Of::Bool, "(I < I)"),
    (Of::Bool, "(I == I)"),
    (Of::Bool, "(I <= D)"),
    (Of::Bool, "(U > I)"),
    (Of::Bool, "(U != U)"),
    (Of::Bool, "(D >= D)"),
    (Of::Bool, "(S < S)"),
    (Of::Bool, "(S == S)"),
    (Of::Bool, "(Y == Y)"),
    (Of::Bool, "(L == L)"),
    (Of::Bool, "(T < T)"),
    (Of::Bool, "(P <= P)"),
    (Of::Bool, "(I in L)"),
    (Of::Bool, "(S in M)"),
    (Of::Bool, "S.endsWith(S)"),
    (Of::Bool, "S.contains(S)"),
    (Of::Bool, "S.matches('^a*(b|ż)+$')"),
    (Of::Bool, "L.all(x, x > I)"),
    (Of::Bool, "L.exists(x, x / I > 1)"),
    (Of::Bool, "M.exists_one(x, x != S)"),
    (Of::Bool, "M.all(x, L.exists(z, z == size(x)))"),
    (Of::Int, "(I + I)"),
    (Of::Int, "(I - I)"),
    (Of::Int, "(I * I)"),
    (Of::Int, "(I / I)"),
    (Of::Int, "(I % I)"),
    (Of::Int, "(B ? I : I)"),
    (Of::Int, "size(S)"),
    (Of::Int, "size(L)"),
    (Of::Int, "L[I]"),
    (Of::Int, "int(U)"),
    (Of::Int, "int(D)"),
    (Of::Int, "T.getFullYear()"),
    (Of::Int, "P.getSeconds()"),
    (Of::Uint, "(U + U)"),
    (Of::Uint, "(U - U)"),
    (Of::Uint, "uint(I)"),
    (Of::Double, "(D * D)"),
    (Of::Double, "(D / D)"),
    (Of::Double, "double(I)"),
    (Of::Text, "(S + S)"),
    (Of::Text, "M[I]"),
    (Of::Text, "string(I)"),
    (Of::Text, "'%s %d'.format([S, I])"),
    (Of::Text, "(B ? S : S)"),
    (Of::Data, "(Y + Y)"),
    (Of::Data, "bytes(S)"),
    (Of::Ints, "(L + L)"),
    (Of::Ints, "L.filter(x, x < I)"),
    (Of::Ints, "L.map(x, x + I)"),
    (Of::Texts, "M.map(x, x + S)"),
    (Of::Time, "(T + P)"),
    (Of::Time, "(T - P)"),
    (Of::Span, "(T - T)"),
    (Of::Span, "(P + P)"),
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

    /// Returns a generated expression of the type `of`, with at most `depth` levels.
    fn grow(&mut self, of: Of, depth: u32) -> String {
        let choice = usize::from(self.byte());
        if depth == 0 || self.length > LENGTH || choice & 3 == 0 {
            let variables = VARIABLES.iter().map(|(name, _, kind)| (*kind, *name));
            let leaves = variables.chain(LEAVES).filter(|(kind, _)| *kind == of);
            let leaves: Vec<&str> = leaves.map(|(_, text)| text).collect();
            let leaf = leaves[choice / 4 % leaves.len()];
            self.length += leaf.len();
            return leaf.to_owned();
        }
        let nodes = NODES.iter().filter(|(kind, _)| *kind == of);
        let nodes: Vec<&str> = nodes.map(|(_, text)| *text).collect();
        let form = nodes[choice / 4 % nodes.len()];
        let mut text = String::new();
        for letter in form.chars() {
            let part = match letter {
                'B' => Of::Bool,
                'I' => Of::Int,
                'U' => Of::Uint,
                'D' => Of::Double,
                'S' if !form.ends_with("getSeconds()") => Of::Text,
                'Y' if !form.ends_with("getFullYear()") => Of::Data,
                'L' => Of::Ints,
                'M' => Of::Texts,
                'T' => Of::Time,
                'P' => Of::Span,
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
