//! `buf.validate`: the rules that a `.proto` lays down beside types and structure.
//!
//! A [`Ruler`] is made once per generation from descriptors (`load.rs`), which is where bad rules are found;
//! a schema whose message carries rules, itself or below, has a share in it. Only what a walk has passed is
//! held against rules, and only in schemas that have some: the payload becomes a dynamic message, which
//! prost-protovalidate judges. What that may cost is bounded by the payload's size and, before CEL runs, by
//! an estimate of its steps (`cost.rs`). Nothing in here can panic past [`Rules::check`].

mod bounds;
mod cost;
mod dynamic;
mod expressions;
mod find;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the checks of rules in the walk call these")
)]
mod format;
mod load;
mod source;
mod told;
mod values;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use prost_protovalidate::{Error, ValidationOption, Validator};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use crate::contract::Contract;
use crate::options::Encoding;
use crate::violation::{MOST, Step, Violation};
use cost::Cost;
use gateway_proto::reason;
use source::json::JsonSource;
use source::msgpack::MsgpackSource;

/// The `buf.validate` rules of a set of messages, compiled.
///
/// A ruler is built once and shared by the schemas that [enforce](crate::Schema::enforce) its rules.
pub struct Ruler {
    pool: prost_reflect::DescriptorPool,
    validator: Validator,
    /// Of each message that schemas may be of.
    costs: HashMap<String, Cost>,
}

impl fmt::Debug for Ruler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruler").finish_non_exhaustive()
    }
}

/// A schema's share of a [`Ruler`].
#[derive(Clone, Debug)]
pub(super) struct Rules {
    ruler: Arc<Ruler>,
    message: MessageDescriptor,
    /// Of the dearest rule at or below the message.
    cost: Cost,
    /// Larger payloads are refused.
    bytes: u64,
}

impl Ruler {
    /// The rules for payloads of `message`, of at most so many bytes; none if it wasn't built for this message.
    pub(super) fn rules(self: &Arc<Self>, message: &str, bytes: u64) -> Option<Rules> {
        Some(Rules {
            cost: *self.costs.get(message)?,
            ruler: Arc::clone(self),
            message: self.pool.get_message_by_name(message)?,
            bytes,
        })
    }
}

impl Rules {
    /// The first rule that `payload`, which fits `contract` otherwise, breaks.
    pub fn check(&self, contract: &Contract, payload: &[u8]) -> Result<(), Violation> {
        if payload.len() as u64 > self.bytes {
            let expected = format!("at most {} bytes, for it has rules", self.bytes);
            let found = format!("{}", payload.len());
            return Err(told::unjudged(expected, found));
        }
        // The last line of defence: what libraries promise and break stops here, and turns the payload down.
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge(contract, payload)));
        judged.unwrap_or_else(|panic| {
            let found = format!("a failure of theirs: {}", reason(&*panic));
            Err(told::unjudged("what its rules can be held against", found))
        })
    }

    fn judge(&self, contract: &Contract, payload: &[u8]) -> Result<(), Violation> {
        let message = match contract.encoding {
            Encoding::Protobuf => DynamicMessage::decode(self.message.clone(), payload)
                .map_err(|error| told::unjudged(DECODABLE, error.to_string()))?,
            Encoding::Msgpack => values::read(contract, MsgpackSource::new(payload), &self.message)
                .map_err(|fault| fault.into_violation(false))?,
            Encoding::Json => values::read(contract, JsonSource::new(payload), &self.message)
                .map_err(|fault| fault.into_violation(false))?,
        };
        if !self.cost.affordable(values(&message)) {
            let expected = "fewer values, for its rules loop over them".to_owned();
            let found = format!("{}", values(&message));
            return Err(told::unjudged(expected, found));
        }
        let all = contract.options.all_violations;
        let options: &[_] = if all {
            &[]
        } else {
            &[ValidationOption::FailFast]
        };
        match self.ruler.validator.validate_with(&message, options) {
            Ok(()) => Ok(()),
            Err(Error::Validation(broken)) => {
                let broken = broken.violations().iter().take(MOST);
                let place = |path: &[Step]| find::offset(contract, payload, path);
                let mut told = broken.map(|broken| told::broken(&self.message, broken, place));
                let Some(mut first) = told.next() else {
                    return Ok(());
                };
                first.others = all.then(|| told.collect());
                Err(first)
            }
            Err(error) => Err(told::unjudged(
                "what its rules can be held against",
                error.to_string(),
            )),
        }
    }
}

const DECODABLE: &str = "a message of at most 100 levels with strings in UTF-8, for it has rules";

/// What rules may have to look at: every value in a list or map and every field, and a part for each 64
/// bytes of text.
fn values(message: &DynamicMessage) -> u64 {
    message.fields().map(|(_, value)| values_in(value)).sum()
}

fn values_in(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Bytes(bytes) => 1 + bytes.len() as u64 / 64,
        Value::Message(message) => 1 + values(message),
        Value::List(list) => list.iter().map(values_in).sum(),
        Value::Map(map) => map.values().map(values_in).sum(),
        _ => 1,
    }
}
