//! A schema: a message type in one encoding, against which payloads are checked.

use std::sync::Arc;

use crate::contract::Contract;
use crate::hint::{Lookalike, lookalike};
use crate::named::name_near_keys;
use crate::options::{Encoding, Options, UnknownFields};
use crate::require::{self, Presence, RequireError};
use crate::rules::{Estimate, Known, RuleLimits, RuleSet, Rules};
use crate::table::{MessageId, Table};
use crate::violation::{All, Checked, Fault, First, Gather, Violation};
use crate::{json, msgpack, protobuf};

/// A message type in an encoding, against which payloads are checked.
///
/// Two schemas are equal if they have the same encoding, message name, options and required paths.
/// Rules are not compared. Schemas of two tables may be equal even if the tables define the message
/// differently.
#[derive(Clone, Debug)]
pub struct Schema {
    contract: Contract,
    /// The `buf.validate` rules of the root and of the messages below it, if they are enforced.
    rules: Option<Rules>,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let Self { contract, rules: _ } = self;
        *contract == other.contract
    }
}

impl Eq for Schema {}

impl Schema {
    /// Returns a schema for the message `root` of `table`.
    ///
    /// # Panics
    ///
    /// May panic if `root` belongs to another table.
    pub fn new(encoding: Encoding, table: Arc<Table>, root: MessageId, options: Options) -> Self {
        Self {
            contract: Contract::new(encoding, table, root, options),
            rules: None,
        }
    }

    /// Requires the field at `path` (proto or JSON names, separated by dots), and each message on
    /// the way to that field, to be present. Below a repeated or a map field, each element must
    /// have the field.
    ///
    /// In protobuf, a field is present if the payload has its tag. In MessagePack and JSON, a field
    /// is present if the payload has a value of the field other than nil or null. The result says
    /// whether a writer can omit the field although it is set.
    ///
    /// # Errors
    ///
    /// Fails if the path names no field. The schema is then unchanged.
    pub fn require(&mut self, path: &str) -> Result<Presence, RequireError> {
        require::require(&mut self.contract, path)
    }

    /// Enforces the rules of `rule_set` on all payloads that this schema checks. `rule_set` must
    /// have been built with this schema's table. Rules in CEL are evaluated within `limits`.
    ///
    /// Returns false, and enforces no rules, if `rule_set` was not built for this schema's message.
    #[must_use]
    pub fn enforce(&mut self, rule_set: &Arc<RuleSet>, limits: RuleLimits) -> bool {
        let rules = rule_set.rules(self.contract.root, limits);
        let known = rules.is_some();
        self.rules = rules.flatten();
        known
    }

    /// Returns the encoding that payloads must have.
    pub fn encoding(&self) -> Encoding {
        self.contract.encoding
    }

    /// Returns the message and the options. Two schemas of one table have the same identity if they
    /// differ only in encoding, required paths or rules.
    pub fn identity(&self) -> (MessageId, Options) {
        (self.contract.root, self.contract.options)
    }

    /// Returns whether payloads are also checked against rules.
    pub fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Returns an estimate of the cost of the rules in CEL, or `None` if the schema enforces no
    /// rules in CEL.
    pub fn rules_estimate(&self) -> Option<Estimate> {
        self.rules.as_ref()?.estimate(&self.contract.table)
    }

    /// Returns an estimate of the number of bytes of a payload that a check reads one by one. The
    /// estimate is never too low, and is computed in a few microseconds at most.
    ///
    /// A protobuf payload may consist mostly of large `bytes` and `string` fields, which take
    /// little time. For payloads in another encoding, and for messages with rules, the estimate is
    /// the size of the payload.
    pub fn costly_bytes(&self, payload: &[u8]) -> usize {
        match self.contract.encoding {
            Encoding::Protobuf if self.rules.is_none() => {
                protobuf::costly::costly_bytes(&self.contract, payload)
            }
            _ => payload.len(),
        }
    }

    /// Returns the table that holds the message and the types of its fields, direct and indirect.
    pub fn table(&self) -> &Table {
        &self.contract.table
    }

    /// Returns the fully qualified name of the message that payloads must hold.
    pub fn message_name(&self) -> &str {
        self.contract.message_name()
    }

    /// Checks that `payload` is one whole, well-formed message of this schema.
    ///
    /// `depth` is the number of levels that may be nested below the root. A level is a message, a
    /// group, or an array or map in a `google.protobuf.Value` or in an unknown field. `depth`
    /// bounds the recursion, so the caller must choose it for the size of the stack: 1000 is safe
    /// on 2 MiB.
    ///
    /// # Errors
    ///
    /// Returns the first violation. With [`Options::all_violations`], this violation also lists
    /// further violations of the payload.
    #[inline]
    pub fn check(&self, payload: &[u8], depth: u32) -> Result<(), Violation> {
        self.check_within(payload, depth, &mut { u64::MAX })
    }

    /// Checks a payload like [`Self::check`], but allows the rules in CEL at most `steps` steps,
    /// even if the limits of this schema allow more. The steps that the rules take are subtracted
    /// from `steps`.
    ///
    /// # Errors
    ///
    /// Fails like [`Self::check`]. If the steps don't suffice, [`Violation::is_failure`] is true.
    #[inline]
    pub fn check_within(
        &self,
        payload: &[u8],
        depth: u32,
        steps: &mut u64,
    ) -> Result<(), Violation> {
        match &self.rules {
            Some(rules) => self.check_ruled(rules, payload, depth, steps),
            None => self.check_structure(payload, depth),
        }
    }

    /// Checks a payload whose message has rules. If a single pass shows that the payload is valid
    /// and keeps the standard rules, only the rules in CEL are checked after the pass.
    #[inline(never)]
    fn check_ruled(
        &self,
        rules: &Rules,
        payload: &[u8],
        depth: u32,
        steps: &mut u64,
    ) -> Result<(), Violation> {
        let known = if rules.pass(&self.contract, payload, depth) {
            debug_assert_eq!(self.check_structure(payload, depth), Ok(()));
            debug_assert!(rules.keeps_standard(&self.contract, payload));
            Known::Standard
        } else {
            self.check_structure(payload, depth)?;
            Known::Structure
        };
        rules.check(&self.contract, payload, known, steps)
    }

    /// Checks a payload against all requirements except rules.
    #[inline]
    fn check_structure(&self, payload: &[u8], depth: u32) -> Result<(), Violation> {
        if let Err(fault) = walk::<First>(&self.contract, payload, depth) {
            self.violation(fault, payload, depth)?;
        }
        Ok(())
    }

    /// Returns the likely format of a payload that [`Self::check`] rejects, or `None` if the
    /// payload resembles no format other than this schema's encoding.
    ///
    /// The result is a guess for error messages. The function walks through the payload at most
    /// twice, and not at all if the payload is longer than 64 KiB. `depth` is the same as for
    /// [`Self::check`].
    #[cold]
    pub fn lookalike(&self, payload: &[u8], depth: u32) -> Option<Lookalike> {
        lookalike(&self.contract, payload, depth)
    }

    /// Converts the fault of a walk to a [`Violation`], and returns the violation as the error. If
    /// all violations are requested, another walk collects them. For a missing field, the violation
    /// names the unknown key that was probably meant.
    #[cold]
    #[expect(
        clippy::boxed_local,
        reason = "the hot caller would otherwise have to unpack the box"
    )]
    fn violation(&self, fault: Box<Fault>, payload: &[u8], depth: u32) -> Result<(), Violation> {
        // The payload is rejected in any case, so the time of further walks does not matter.
        let mut violation = match self.contract.options.all_violations {
            false => fault.into_violation(false),
            true => match walk::<All>(&self.contract, payload, depth) {
                Ok(()) => return Ok(()),
                Err(fault) => fault.into_violation(true),
            },
        };
        if self.contract.encoding != Encoding::Protobuf && violation.has_missing() {
            let mut strict = self.contract.clone();
            strict.options.unknown_fields = UnknownFields::Reject;
            if let Err(fault) = walk::<All>(&strict, payload, depth) {
                name_near_keys(&mut violation, &fault.into_violation(true));
            }
        }
        Err(violation)
    }

    /// Returns the contract, for the comparison of two schemas.
    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }
}

/// Checks a payload against a contract with the walk of its encoding.
#[inline]
fn walk<G: Gather>(contract: &Contract, payload: &[u8], depth: u32) -> Checked<()> {
    match contract.encoding {
        Encoding::Protobuf => protobuf::check::<G>(contract, payload, depth),
        Encoding::Msgpack => msgpack::check::<G>(contract, payload, depth),
        Encoding::Json => json::check::<G>(contract, payload, depth),
    }
}
