//! What a rule in CEL may cost, before it runs: the data thread must not stand still for a peer's payload.
//!
//! The interpreter has no bound of its own. It takes time for every value that an expression reaches, again
//! for each round of a loop; a list that is named inside a loop is copied each time, and `map` and `filter`
//! copy what they have gathered; `matches` compiles its pattern anew. So an expression's cost grows
//! with a power of the number of values, which its text tells.

use std::collections::HashMap;

use cel::Program;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use prost_protovalidate::regex::RegexBuilder;
use prost_protovalidate::types::{FieldConstraintsExt as _, MessageConstraintsExt as _};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use super::expressions;

/// Steps that a payload's rules may take. Measured: 20 to 120 ns each, so at most about half a second.
const STEPS: u64 = 1 << 22;

/// Compiling a pattern takes about a step for so many bytes of the program that it becomes.
const PATTERN_BYTES: usize = 16;

/// Sizes of a pattern's program that are told apart; the last is the most that the regex crate makes.
const PATTERN_SIZES: [usize; 4] = [1 << 14, 1 << 17, 1 << 20, LARGEST];
const LARGEST: usize = 10 << 20;

/// Powers of the number of values that are told apart; beyond them nothing of any size is affordable.
const POWERS: usize = 6;

/// How the cost of a message's rules grows with the number of values: the steps for each power of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost([u64; POWERS]);

impl Cost {
    /// Without CEL.
    const NONE: Self = Self([0; POWERS]);

    /// The dearest rule of `message` or below it.
    pub fn below(pool: &DescriptorPool, message: &MessageDescriptor) -> Self {
        let mut cost = Self::NONE;
        // Whether there may be many of a type in a payload; met again, there may.
        let mut seen: HashMap<String, bool> = HashMap::new();
        let mut open = vec![(message.clone(), false)];
        while let Some((message, many)) = open.pop() {
            let name = message.full_name();
            let many = match seen.get(name) {
                Some(true) => continue,
                Some(false) => true,
                None => many,
            };
            seen.insert(name.to_owned(), many);
            if let Ok(Some(rules)) = message.message_constraints() {
                cost = cost.and(&expressions::of_message(&rules), many);
            }
            for field in message.fields() {
                let several = many || field.is_list() || field.is_map();
                if let Ok(Some(rules)) = field.field_constraints() {
                    cost = cost.and(&expressions::of_field(&rules).0, several);
                }
                if let Kind::Message(inner) = field.kind() {
                    open.push((inner, several));
                }
            }
        }
        let predefined = expressions::predefined(pool).into_iter();
        let predefined: Vec<_> = predefined.flat_map(|(_, cel)| cel).collect();
        cost.and(&predefined, true)
    }

    /// The most of each power, with expressions that are evaluated once, or for every value.
    fn and(self, expressions: &[String], many: bool) -> Self {
        let mut most = self;
        for expression in expressions {
            let other = Self::of(expression, many);
            for (most, other) in most.0.iter_mut().zip(other.0) {
                *most = other.max(*most);
            }
        }
        most
    }

    /// Of one expression; of one that doesn't compile, none.
    fn of(expression: &str, many: bool) -> Self {
        let Ok(program) = Program::compile(expression) else {
            return Self::NONE;
        };
        let mut scan = Scan {
            loops: Vec::new(),
            patterns: [0; POWERS],
            once: usize::from(many),
        };
        let degree = scan.degree(program.expression()).max(1) as usize;
        // Its own part of the values is all that one evaluation sees, so that many see them all together.
        let mut steps = scan.patterns;
        let power = &mut steps[degree.min(POWERS - 1)];
        *power = power.saturating_add(1);
        Self(steps)
    }

    /// Whether rules of this cost may run over so many values.
    pub fn affordable(self, values: u64) -> bool {
        let mut turns = Some(1u64);
        let mut total = 0u64;
        for steps in self.0 {
            let part = match steps {
                0 => Some(0),
                steps => turns.and_then(|turns| turns.checked_mul(steps)),
            };
            total = total.saturating_add(part.unwrap_or(u64::MAX));
            turns = turns.and_then(|turns| turns.checked_mul(values.max(1)));
        }
        total <= STEPS
    }
}

/// What an expression's text tells.
struct Scan<'a> {
    /// The variables of the loops around it, the innermost last.
    loops: Vec<[&'a str; 3]>,
    /// Steps for patterns, by the power of the number of values.
    patterns: [u64; POWERS],
    /// The power of what is outside of all loops.
    once: usize,
}

impl<'a> Scan<'a> {
    /// The power of one evaluation.
    fn degree(&mut self, it: &'a IdedExpr) -> u32 {
        match &it.expr {
            Expr::Unspecified | Expr::Literal(_) => 0,
            Expr::Ident(name) => {
                let own = self.loops.iter().flatten().any(|own| own == name);
                u32::from(!own)
            }
            Expr::Select(select) => match &select.operand.expr {
                // A list in the element of an outer loop is copied in each round of the inner one.
                Expr::Ident(name) => {
                    let own = self.loops.last().is_some_and(|own| own.contains(&&**name));
                    u32::from(!own)
                }
                _ => self.degree(&select.operand),
            },
            Expr::Call(call) => {
                if call.func_name == "matches" {
                    let power = (self.once + self.loops.len()).min(POWERS - 1);
                    let steps = &mut self.patterns[power];
                    *steps = steps.saturating_add(pattern(call.args.last()));
                }
                self.most(call.target.as_deref().into_iter().chain(&call.args))
            }
            Expr::List(list) => self.most(&list.elements),
            Expr::Map(map) => self.entries(map.entries.iter().map(|it| &it.expr)),
            Expr::Struct(one) => self.entries(one.entries.iter().map(|it| &it.expr)),
            Expr::Comprehension(comprehension) => self.looped(comprehension),
        }
    }

    fn looped(&mut self, it: &'a ComprehensionExpr) -> u32 {
        let outside = self.most([&it.iter_range, &it.accu_init]);
        let second = it.iter_var2.as_deref().unwrap_or_default();
        self.loops.push([&it.iter_var, second, &it.accu_var]);
        let round = self.most([&it.loop_cond, &it.loop_step]);
        let end = self.degree(&it.result);
        self.loops.pop();
        let gathers = matches!(it.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let rounds = 1 + round.max(u32::from(gathers));
        rounds.max(outside).max(end)
    }

    fn entries(&mut self, all: impl Iterator<Item = &'a EntryExpr>) -> u32 {
        let parts = all.flat_map(|entry| match entry {
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
            EntryExpr::StructField(field) => vec![&field.value],
        });
        self.most(parts)
    }

    fn most(&mut self, all: impl IntoIterator<Item = &'a IdedExpr>) -> u32 {
        let degrees = all.into_iter().map(|it| self.degree(it));
        degrees.max().unwrap_or_default()
    }
}

/// Steps to compile a pattern; of one that isn't written out, as many as there are.
fn pattern(argument: Option<&IdedExpr>) -> u64 {
    let size = match argument.map(|it| &it.expr) {
        Some(Expr::Literal(LiteralValue::String(text))) => pattern_size(text.inner()),
        _ => LARGEST,
    };
    (size / PATTERN_BYTES) as u64
}

/// About the bytes of the program that a pattern becomes; of one that becomes none, the most.
pub(super) fn pattern_size(text: &str) -> usize {
    let fits = |size: &usize| {
        let compiled = RegexBuilder::new(text).size_limit(*size).build();
        compiled.is_ok()
    };
    PATTERN_SIZES.into_iter().find(fits).unwrap_or(LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(expression: &str, many: bool) -> [u64; POWERS] {
        let cost = Cost::of(expression, many);
        assert_ne!(cost, Cost::NONE, "{expression}");
        cost.0
    }

    #[test]
    fn loops_in_loops_and_copies_raise_the_power() {
        for (expression, degree) in [
            ("this > 0", 1),
            ("this.size() < 3 && this.a == 'x'", 1),
            ("this.n.all(i, i > 0)", 1),
            ("this.n.all(m, m.size > 0)", 1),
            ("this.n.all(i, this.n.size() > i)", 2),
            ("this.n.all(i, !(i in this.m))", 2),
            ("this.n.filter(i, i > 0).size() > 0", 2),
            ("this.n.map(i, i + 1).size() > 0", 2),
            ("this.n.all(i, this.n.exists(j, i == j))", 2),
            ("this.n.all(m, m.xs.all(x, x > 0))", 2),
            ("this.n.all(m, m.xs.all(x, m.ys.size() > x))", 3),
            (
                "this.n.all(i, this.n.all(j, this.n.all(k, i + j + k > 0)))",
                3,
            ),
        ] {
            let mut expected = [0; POWERS];
            expected[degree] = 1;
            assert_eq!(steps(expression, false), expected, "{expression}");
        }
    }

    #[test]
    fn patterns_weigh_by_what_they_become_and_how_often() {
        let plain = "this.matches('^[a-z]+$')";
        assert_eq!(steps(plain, false)[..2], [1024, 1]);
        assert_eq!(steps(plain, true)[..2], [0, 1024 + 1]);
        assert_eq!(
            steps("this.n.all(i, i.matches('^[a-z]+$'))", false)[1],
            1024 + 1
        );
        assert!(steps("this.matches('^\\\\w{1,200}$')", false)[0] > 10_000);
        assert!(steps("this.a.matches(this.b)", false)[0] > 100_000);
    }

    #[test]
    fn what_costs_too_much_is_seen() {
        let affordable = |steps: [u64; POWERS], values| Cost(steps).affordable(values);
        assert!(Cost::NONE.affordable(u64::MAX));
        assert!(affordable([0, 1, 0, 0, 0, 0], 1 << 20));
        assert!(affordable([1025, 1, 0, 0, 0, 0], 1 << 20));
        assert!(!affordable([0, 1025, 0, 0, 0, 0], 1 << 20));
        assert!(affordable([0, 0, 1, 0, 0, 0], 2_000));
        assert!(!affordable([0, 0, 1, 0, 0, 0], 3_000));
        assert!(!affordable([0, 0, 0, 0, 0, 1], u64::MAX));
    }
}
