//! Rules in CEL, by way of prost-protovalidate: a payload becomes a dynamic message, which it judges.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use prost_protovalidate::{Error, ValidationOption, Validator};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use super::cost::Cost;
use super::source::json::JsonSource;
use super::source::msgpack::MsgpackSource;
use super::{find, told, values as messages};
use crate::contract::Contract;
use crate::options::Encoding;
use crate::violation::{MOST, Step, Violation};
use gateway_proto::reason;

/// The rules of some messages, as the interpreter has compiled them.
pub(super) struct Interpreter {
    pub pool: prost_reflect::DescriptorPool,
    pub validator: Validator,
    /// Of each message that schemas may be of.
    pub costs: HashMap<String, Cost>,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").finish_non_exhaustive()
    }
}

/// A schema's share of an [`Interpreter`].
#[derive(Clone, Debug)]
pub(super) struct Interpreted {
    interpreter: Arc<Interpreter>,
    message: MessageDescriptor,
    /// Of the dearest rule at or below the message.
    cost: Cost,
    /// Larger payloads are refused.
    bytes: u64,
}

impl Interpreter {
    /// The rules for payloads of `message`, of at most so many bytes; none if it wasn't built for this message.
    pub(super) fn rules(self: &Arc<Self>, message: &str, bytes: u64) -> Option<Interpreted> {
        Some(Interpreted {
            cost: *self.costs.get(message)?,
            interpreter: Arc::clone(self),
            message: self.pool.get_message_by_name(message)?,
            bytes,
        })
    }
}

impl Interpreted {
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
            Encoding::Msgpack => {
                messages::read(contract, MsgpackSource::new(payload), &self.message)
                    .map_err(|fault| fault.into_violation(false))?
            }
            Encoding::Json => messages::read(contract, JsonSource::new(payload), &self.message)
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
        match self.interpreter.validator.validate_with(&message, options) {
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
