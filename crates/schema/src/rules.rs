//! `buf.validate`: the rules that a `.proto` lays down beside types and structure.
//!
//! A [`Ruler`] is made once per generation from descriptors, which is where bad rules are found; a schema whose
//! message carries rules, itself or below, has a share in it. Only what a walk has passed is held against rules,
//! and only in schemas that have some.
//!
//! `option.rs`, `kind.rs`, `field.rs` and `message.rs` read the options of descriptors, `read.rs` compiles the standard rules
//! in them into `check.rs`, and `compile.rs` puts them in their places beside the tables (`plan.rs`). `judge.rs` reads the payload and
//! asks them.
//!
//! Rules in CEL are not compiled here yet: a message that has some, itself or below, is left to an interpreter
//! (`interpreter.rs`, `load.rs` and what they use).

mod base64;
mod bounds;
mod check;
mod compile;
mod cost;
mod dynamic;
mod expressions;
mod field;
mod files;
mod find;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the functions of CEL call these")
)]
mod format;
mod interpreter;
mod judge;
mod kind;
mod load;
mod message;
mod option;
mod pattern;
mod plan;
mod read;
mod segment;
mod source;
mod text;
mod told;
mod unique;
mod values;
mod zero;

use std::fmt;
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Descriptors, on_a_large_stack};

use crate::contract::Contract;
use crate::options::Encoding;
use crate::table::{MessageId, Table};
use crate::violation::{All, Checked, First, Gather, Violation};
use compile::Compiled;
use files::needed;
use interpreter::{Interpreted, Interpreter};
use judge::source::json::JsonSource;
use judge::source::msgpack::MsgpackSource;
use plan::{PlanId, Plans};

/// The package of the rules, and the name and number of the option that carries those of a field.
const PACKAGE: &str = "buf.validate";
const OPTION: &str = "field";

/// The `buf.validate` rules of a set of messages, compiled.
///
/// A ruler is built once and shared by the schemas that [enforce](crate::Schema::enforce) its rules.
pub struct Ruler {
    plans: Arc<Plans>,
    /// The messages that schemas may be of.
    roots: Vec<MessageId>,
    /// The messages that have rules in CEL, themselves or below.
    with_expressions: Vec<MessageId>,
    interpreter: Option<Arc<Interpreter>>,
}

impl fmt::Debug for Ruler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruler").finish_non_exhaustive()
    }
}

/// A schema's share of a [`Ruler`].
#[derive(Clone, Debug)]
pub(super) struct Rules(Share);

#[derive(Clone, Debug)]
enum Share {
    /// Standard rules alone.
    Standard { plans: Arc<Plans>, root: PlanId },
    /// Rules in CEL, too.
    Interpreted(Interpreted),
}

impl Ruler {
    /// Compiles the rules of `roots`, which are fully qualified names, and of all messages below them.
    ///
    /// `table` is that of `descriptors`. Adds errors and warnings about rules to `found`. Returns `None` if
    /// there are errors.
    pub fn build(
        descriptors: &Descriptors,
        table: &Table,
        roots: &[&str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let build = |found: &mut Diagnostics| Self::built(descriptors, table, roots, found);
        on_a_large_stack(found, build).flatten()
    }

    fn built(
        descriptors: &Descriptors,
        table: &Table,
        names: &[&str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.errors();
        if !define_rules(descriptors, names) {
            let option = format!("{PACKAGE}.{OPTION}");
            let message = format!(
                "the buf.validate rules can't be read: an option has their number, and {option} is defined in none of the files"
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
        let mut of_rules = Diagnostics::new();
        let Compiled {
            plans,
            with_expressions,
        } = compile::compile(descriptors, table, &roots, &mut of_rules);
        let mut interpreter = None;
        if with_expressions.is_empty() {
            found.append(of_rules);
        } else {
            // The interpreter finds what is wrong with all rules, of both kinds.
            let names: Vec<_> = with_expressions
                .iter()
                .map(|root| table.name(*root))
                .collect();
            interpreter = Interpreter::built(descriptors, &names, found).map(Arc::new);
        }
        (found.errors() == before).then_some(Self {
            plans: Arc::new(plans),
            roots,
            with_expressions,
            interpreter,
        })
    }

    /// Returns the rules for payloads of `root` in `table`, of at most `bytes` bytes if they have rules in CEL: none if
    /// nothing is asked of them. `None` if the ruler was not built for this message.
    pub(super) fn rules(
        &self,
        table: &Table,
        root: MessageId,
        bytes: u64,
    ) -> Option<Option<Rules>> {
        if !self.roots.contains(&root) {
            return None;
        }
        if self.with_expressions.contains(&root) {
            let rules = self.interpreter.as_ref()?.rules(table.name(root), bytes)?;
            return Some(Some(Rules(Share::Interpreted(rules))));
        }
        let plans = &self.plans;
        Some(plans.of(root).map(|root| {
            let plans = Arc::clone(plans);
            Rules(Share::Standard { plans, root })
        }))
    }
}

/// Returns whether the option that carries the rules of these messages is the one of buf.validate.
fn define_rules(descriptors: &Descriptors, messages: &[&str]) -> bool {
    let mut files = needed(descriptors, messages).filter(|file| file.package() == PACKAGE);
    files.any(|file| {
        let mut extensions = file.extension.iter();
        extensions.any(|extension| extension.name() == OPTION)
    })
}

impl Rules {
    /// Checks `payload`, which fits `contract` otherwise, against the rules.
    pub fn check(&self, contract: &Contract, payload: &[u8]) -> Result<(), Violation> {
        let (plans, root) = match &self.0 {
            Share::Standard { plans, root } => (plans, *root),
            Share::Interpreted(rules) => return rules.check(contract, payload),
        };
        let Err(fault) = judge::<First>(contract, plans, root, payload) else {
            return Ok(());
        };
        if !contract.options.all_violations {
            return Err(fault.into_violation(false));
        }
        let verdict = judge::<All>(contract, plans, root, payload);
        verdict.map_err(|fault| fault.into_violation(true))
    }
}

fn judge<G: Gather>(
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
