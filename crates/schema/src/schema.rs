//! A schema: one message in one encoding, and the check of a payload against it.

use std::sync::Arc;

use crate::contract::Contract;
use crate::hint::{Lookalike, lookalike};
use crate::options::{Encoding, Options};
use crate::require::{self, Presence, RequireError};
use crate::rules::{Ruler, Rules};
use crate::table::{MessageId, Table};
use crate::violation::{All, Checked, Fault, First, Gather, Violation};
use crate::{json, msgpack, protobuf};

/// A message in an encoding, against which payloads are checked.
///
/// Two schemas are equal if they have the same encoding, message name, options and required paths. Schemas of
/// two tables may be equal although the definition of the message differs.
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

    /// Requires the field at `path` (proto or JSON names, with dots) to be present, and each message
    /// on the way to it; below a repeated or a map field, in each of its elements.
    ///
    /// In protobuf a field is present if its tag is. In MessagePack and JSON it is present if its key or place
    /// is, and holds no nil or null. The result tells whether writers can leave out the field although it is set.
    ///
    /// # Errors
    ///
    /// Fails if the path names no field, and changes nothing then.
    pub fn require(&mut self, path: &str) -> Result<Presence, RequireError> {
        require::require(&mut self.contract, path)
    }

    /// Also checks payloads against the rules of `ruler`, which was built with this schema's table. If some are in
    /// CEL, rejects payloads of more than `bytes` bytes.
    ///
    /// Returns false, and enforces no rules, if `ruler` was not built for this schema's message.
    #[must_use]
    pub fn enforce(&mut self, ruler: &Arc<Ruler>, bytes: u64) -> bool {
        let Contract { table, root, .. } = &self.contract;
        let rules = ruler.rules(table, *root, bytes);
        let known = rules.is_some();
        self.rules = rules.flatten();
        known
    }

    /// Returns the encoding that payloads must have.
    pub fn encoding(&self) -> Encoding {
        self.contract.encoding
    }

    /// Returns the message and the options: equal for two schemas of one table that differ at most in encoding,
    /// required paths and rules.
    pub fn identity(&self) -> (MessageId, Options) {
        (self.contract.root, self.contract.options)
    }

    /// Returns the fully qualified name of the message that payloads must hold.
    pub fn message_name(&self) -> &str {
        self.contract.message_name()
    }

    /// Checks that `payload` is one whole, well-formed message of this schema.
    ///
    /// `depth` is the number of levels of messages that may lie within each other below the root. It bounds
    /// the recursion, so the caller keeps it to what its stack holds: 1000 on 2 MiB.
    ///
    /// # Errors
    ///
    /// Returns the first violation; with [`Options::all_violations`] the others are listed in it.
    pub fn check(&self, payload: &[u8], depth: u32) -> Result<(), Violation> {
        if let Err(fault) = self.walk::<First>(payload, depth) {
            self.violation(fault, payload, depth)?;
        }
        match &self.rules {
            None => Ok(()),
            Some(rules) => rules.check(&self.contract, payload),
        }
    }

    /// Returns what a payload looks like that [`Self::check`] rejects, if it looks like anything but a wrong payload of
    /// this schema's encoding.
    ///
    /// A guess for people, which takes at most the time of another check. `depth` is that of the check.
    #[cold]
    pub fn lookalike(&self, payload: &[u8], depth: u32) -> Option<Lookalike> {
        lookalike(&self.contract, payload, depth)
    }

    /// Returns the violation that `fault` is, with the others if all violations are asked for.
    #[cold]
    #[expect(
        clippy::boxed_local,
        reason = "the caller, which is hot, does not unpack it"
    )]
    fn violation(&self, fault: Box<Fault>, payload: &[u8], depth: u32) -> Result<(), Violation> {
        if !self.contract.options.all_violations {
            return Err(fault.into_violation(false));
        }
        // A second walk, of a payload that is rejected anyway.
        let verdict = self.walk::<All>(payload, depth);
        verdict.map_err(|fault| fault.into_violation(true))
    }

    #[inline]
    fn walk<G: Gather>(&self, payload: &[u8], depth: u32) -> Checked<()> {
        let contract = &self.contract;
        match contract.encoding {
            Encoding::Protobuf => protobuf::check::<G>(contract, payload, depth),
            Encoding::Msgpack => msgpack::check::<G>(contract, payload, depth),
            Encoding::Json => json::check::<G>(contract, payload, depth),
        }
    }

    /// Returns the contract, for the comparison of two schemas.
    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }
}
