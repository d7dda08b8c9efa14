//! `buf.validate`: the rules that a `.proto` file sets in addition to types and structure.
//!
//! A [`RuleSet`] is built each time descriptors are loaded, and bad rules are reported at that
//! time. The set is shared by all schemas whose message, or a message below it, carries rules. The
//! messages *below* a message are the types of its fields, at any depth. A payload is checked
//! against rules only if its schema has rules. The rules are checked after the walk over the
//! payload or, in the combined pass, together with the walk.
//!
//! `option.rs`, `kind.rs`, `field.rs` and `message.rs` read the options of descriptors. `read.rs`
//! compiles the standard rules of these options into the checks of `check.rs`. `compile.rs`
//! arranges these checks by message and field (`plan.rs`). `judge.rs` reads a payload and applies
//! the checks. `combined.rs` checks the structure and applies the checks in a single pass.
//! `expression.rs` compiles rules in CEL, and evaluates them after the standard rules. `explain.rs`
//! lists all rules for people.

mod base64;
mod check;
mod collected;
mod combined;
mod compile;
mod explain;
mod expression;
mod field;
mod files;
mod format;
mod judge;
mod kind;
mod message;
mod option;
mod pattern;
mod plan;
mod read;
mod segment;
mod text;
mod unique;
mod words;
mod zero;

use std::fmt;
use std::sync::Arc;

use gateway_cel::Budget;
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Descriptors, on_a_large_stack};

use crate::contract::Contract;
use crate::options::Encoding;
use crate::table::{MessageId, Table};
use crate::violation::{All, Checked, Fault, First, Gather, Violation};
use compile::Compiled;
pub use explain::{ExplainedRule, RuleCost};
pub use expression::cost::Estimate;
use expression::judge::{MEMORY_MAX, judge as judge_expressions};
use expression::plan::{ExpressionPlanId, ExpressionPlans};
use files::needed;
use judge::source::json::JsonSource;
use judge::source::msgpack::MsgpackSource;
use plan::{PlanId, Plans};
pub(super) use words::RuleWords;

/// The package of the rules.
pub(super) const PACKAGE: &str = "buf.validate";

/// The name of the option that carries the rules of a field.
const OPTION: &str = "field";

/// The `buf.validate` rules of a set of messages, compiled.
///
/// A rule set is built once and shared by the schemas that [enforce](crate::Schema::enforce) its
/// rules.
pub struct RuleSet {
    compiled: Arc<Compiled>,
    /// The messages for which the set was built.
    roots: Vec<MessageId>,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").finish_non_exhaustive()
    }
}

/// Limits on the cost of evaluating the rules in CEL for one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleLimits {
    /// The maximum size, in bytes, of a payload whose message carries rules in CEL, directly or in
    /// the type of a field at any depth.
    pub bytes: u64,
    /// The maximum number of steps that all rules in CEL may take together for one payload. A step
    /// evaluates a part of an expression, visits an element or reads 32 bytes, and takes about 10
    /// ns.
    pub steps: u64,
}

/// The part of a [`RuleSet`] that applies to one schema.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    compiled: Arc<Compiled>,
    standard: Option<PlanId>,
    expressions: Option<ExpressionPlanId>,
    limits: RuleLimits,
}

/// The facts that are known about a payload before its rules are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The payload fits its message.
    Structure,
    /// The payload fits its message and keeps all standard rules.
    Standard,
}

impl RuleSet {
    /// Compiles the rules of `roots`, which are fully qualified names, and the rules of the message
    /// types of their fields, at any depth.
    ///
    /// `table` must have been built of all `descriptors`, or for these roots. Adds errors and
    /// warnings about rules to `found`. Returns `None` if there are errors.
    pub fn build(
        descriptors: &Descriptors,
        table: &Arc<Table>,
        roots: &[&str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let build = |found: &mut Diagnostics| Self::built(descriptors, table, roots, found);
        on_a_large_stack(found, build).flatten()
    }

    fn built(
        descriptors: &Descriptors,
        table: &Arc<Table>,
        names: &[&str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.errors();
        if !define_rules(descriptors, names) {
            let option = format!("{PACKAGE}.{OPTION}");
            let message = format!(
                "the buf.validate rules can't be read: an option has the field number of these rules, but {option} is defined in none of the files"
            );
            found.push(Diagnostic {
                place: names.iter().find_map(|name| descriptors.place_of(name)),
                ..Diagnostic::error(message)
            });
            return None;
        }
        let mut roots = Vec::new();
        for name in names {
            match table.message(name) {
                Some(root) => roots.push(root),
                None => found.push(Diagnostic {
                    place: descriptors.place_of(name),
                    ..Diagnostic::error(format!("the buf.validate rules of {name} can't be read"))
                }),
            }
        }
        let compiled = compile::compile(descriptors, table, &roots, found);
        (found.errors() == before).then_some(Self {
            compiled: Arc::new(compiled),
            roots,
        })
    }

    /// Returns the rules of the messages for which the set was built, followed by the rules of the
    /// message types of their fields, at any depth. In each of these two groups, messages are
    /// sorted by name. The rules of a message as a whole come first, followed by the rules of its
    /// fields in declaration order. `table` must be the table that the rule set was built with.
    pub fn explain(&self, table: &Table) -> Vec<ExplainedRule> {
        explain::explain(&self.compiled, &self.roots, table)
    }

    /// Returns the rules for payloads of `root`, or `Some(None)` if there are no such rules. The
    /// rules in CEL are evaluated within `limits`. Returns `None` if the set was not built for this
    /// message.
    pub(super) fn rules(&self, root: MessageId, limits: RuleLimits) -> Option<Option<Rules>> {
        if !self.roots.contains(&root) {
            return None;
        }
        let standard = self.compiled.plans.of(root);
        let expressions = self.compiled.expressions.of(root);
        let has_rules = standard.is_some() || expressions.is_some();
        Some(has_rules.then(|| Rules {
            compiled: Arc::clone(&self.compiled),
            standard,
            expressions,
            limits,
        }))
    }
}

/// Returns whether the files that `messages` need define the option `buf.validate.field`.
fn define_rules(descriptors: &Descriptors, messages: &[&str]) -> bool {
    let mut files = needed(descriptors, messages).filter(|file| file.package() == PACKAGE);
    files.any(|file| {
        let mut extensions = file.descriptor().extension.iter();
        extensions.any(|extension| extension.name() == OPTION)
    })
}

impl Rules {
    /// Returns an estimate of the cost of the rules in CEL, or `None` if there are no such rules.
    pub(crate) fn estimate(&self, table: &Table) -> Option<Estimate> {
        let root = self.expressions?;
        Some(Estimate::of(&self.compiled.expressions, root, table))
    }

    /// Returns whether `payload` certainly fits `contract` and keeps all standard rules. A result
    /// of false says nothing about the payload.
    pub(crate) fn pass(&self, contract: &Contract, payload: &[u8], depth: u32) -> bool {
        let Some(root) = self.standard else {
            return false;
        };
        let plans = (&self.compiled.plans, &self.compiled.combined);
        combined::passes(contract, plans, root, payload, depth)
    }

    /// Checks `payload` against the rules, except the rules that are `known` to be kept. `payload`
    /// must fit `contract`. The steps that the rules in CEL take are subtracted from `steps`.
    pub(crate) fn check(
        &self,
        contract: &Contract,
        payload: &[u8],
        known: Known,
        steps: &mut u64,
    ) -> Result<(), Violation> {
        let Err(fault) = self.judge::<First>(contract, payload, known, steps) else {
            return Ok(());
        };
        if !contract.options.all_violations {
            return Err(fault.into_violation(false));
        }
        let verdict = self.judge::<All>(contract, payload, known, steps);
        verdict.map_err(|fault| fault.into_violation(true))
    }

    /// Returns whether `payload` keeps all standard rules. `payload` must fit `contract`.
    pub(crate) fn keeps_standard(&self, contract: &Contract, payload: &[u8]) -> bool {
        self.standard::<First>(contract, payload).is_ok()
    }

    fn standard<G: Gather>(&self, contract: &Contract, payload: &[u8]) -> Checked<()> {
        match self.standard {
            Some(root) => standard::<G>(contract, &self.compiled.plans, root, payload),
            None => Ok(()),
        }
    }

    fn judge<G: Gather>(
        &self,
        contract: &Contract,
        payload: &[u8],
        known: Known,
        steps: &mut u64,
    ) -> Checked<()> {
        let standard = match known {
            Known::Structure => self.standard::<G>(contract, payload),
            Known::Standard => Ok(()),
        };
        let Some(root) = self.expressions else {
            return standard;
        };
        G::over(|faults| {
            if let Err(fault) = standard {
                faults.keep(fault, || Ok(()))?;
            }
            let plans = (&self.compiled.expressions, root);
            if let Err(fault) = expressions::<G>(contract, plans, payload, self.limits, steps) {
                faults.keep(fault, || Ok(()))?;
            }
            Ok(())
        })
    }
}

fn expressions<G: Gather>(
    contract: &Contract,
    plans: (&ExpressionPlans, ExpressionPlanId),
    payload: &[u8],
    limits: RuleLimits,
    steps: &mut u64,
) -> Checked<()> {
    if payload.len() as u64 > limits.bytes {
        let expected = format!("at most {} bytes, because rules in CEL apply", limits.bytes);
        return Err(Fault::new(0, expected, format!("{} bytes", payload.len())));
    }
    let allowed = limits.steps.min(*steps);
    let mut budget = Budget::new(allowed, MEMORY_MAX);
    let verdict = judge_expressions::<G>(contract, plans, payload, &mut budget);
    *steps -= allowed - budget.steps();
    verdict
}

fn standard<G: Gather>(
    contract: &Contract,
    plans: &Plans,
    root: PlanId,
    payload: &[u8],
) -> Checked<()> {
    let (table, plan) = (&contract.table, plans.get(root));
    match contract.encoding {
        Encoding::Protobuf => judge::protobuf::judge::<G>(table, plans, plan, payload),
        Encoding::Msgpack => {
            judge::named::judge::<G, _>(table, plans, plan, MsgpackSource::new(payload))
        }
        Encoding::Json => judge::named::judge::<G, _>(table, plans, plan, JsonSource::new(payload)),
    }
}
