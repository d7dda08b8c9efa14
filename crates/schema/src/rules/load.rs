//! Descriptors → [`Interpreter`], or what is wrong with the rules, each at its place.
//!
//! prost-protovalidate compiles a type's rules when it first meets it, and says then what it can't compile.
//! So an empty message of each type is held against its rules here, field by field.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::protobuf::Message as _;
use ::protobuf::descriptor::FileDescriptorSet;
use prost_protovalidate::{
    Error, Filter, ValidationOption, Validator, ValidatorOption, normalize_edition_descriptor_set,
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

use super::bounds;
use super::cost::Cost;
use super::files::needed;
use super::interpreter::Interpreter;
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Descriptors, reason};

/// Message types at and below a schema with rules: the compilation of rules recurses from type to type, on a
/// thread whose stack holds ten times as many. Large public schemas reach some 1,500.
const MAX_TYPES: usize = 4_000;

/// Fields of a message with bad rules that are tried one by one, to tell which: each takes time by the number
/// of all.
const MAX_FIELDS: usize = 1_000;

/// The option that carries a field's rules.
const RULES: &str = "buf.validate.field";

/// How prost-protovalidate says of a field that the fault is in its type.
const OF_ITS_TYPE: &str = "failed to compile embedded type ";

/// What the evaluation is about, of an empty message.
struct Only {
    /// This field, or the message itself.
    field: Option<String>,
}

impl Filter for Only {
    fn should_validate(&self, _: &DynamicMessage, _: &MessageDescriptor) -> bool {
        self.field.is_none()
    }

    fn should_validate_field(&self, _: &DynamicMessage, field: &FieldDescriptor) -> bool {
        self.field.as_deref() == Some(field.full_name())
    }

    fn should_validate_oneof(&self, _: &DynamicMessage, _: &OneofDescriptor) -> bool {
        self.field.is_none()
    }
}

impl Interpreter {
    /// Compiles the rules of `roots`, which are fully qualified names, and of all messages below them, on the stack of
    /// the caller, which must be large.
    ///
    /// Adds errors and warnings about rules to `found`. Returns `None` if there are errors.
    pub fn built(
        descriptors: &Descriptors,
        roots: &[&str],
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let read = catch_unwind(AssertUnwindSafe(|| Self::read(descriptors, roots)));
        let mut interpreter = match read.unwrap_or_else(|panic| Err(reason(&*panic))) {
            Ok(interpreter) => interpreter,
            Err(why) => {
                let message = format!("the buf.validate rules can't be read: {why}");
                found.push(Diagnostic {
                    place: roots.iter().find_map(|root| descriptors.place_of(root)),
                    ..Diagnostic::error(message)
                });
                return None;
            }
        };
        let before = found.errors();
        let mut types = Vec::new();
        for root in roots {
            let Some(message) = interpreter.pool.get_message_by_name(root) else {
                found.push(Diagnostic {
                    place: descriptors.place_of(root),
                    ..Diagnostic::error(format!("the buf.validate rules of {root} can't be read"))
                });
                continue;
            };
            if !below(message, &mut types) {
                let message =
                    format!("more than {MAX_TYPES} message types below {root}, which has rules");
                let fault = Diagnostic::error(message);
                let help = "rules are compiled for each: leave out what the route doesn't need";
                found.push(Diagnostic {
                    place: descriptors.place_of(root),
                    ..fault.help(help)
                });
                return None;
            }
        }
        bounds::check(&interpreter.pool, &types, descriptors, found);
        if found.errors() > before {
            return None;
        }
        for message in &types {
            interpreter.try_out(message, descriptors, found);
        }
        if found.errors() > before {
            return None;
        }
        let costs = roots.iter().filter_map(|root| {
            let message = interpreter.pool.get_message_by_name(root)?;
            Some((root.to_string(), Cost::below(&interpreter.pool, &message)))
        });
        interpreter.costs = costs.collect();
        Some(interpreter)
    }

    fn read(descriptors: &Descriptors, roots: &[&str]) -> Result<Self, String> {
        let bytes = encoded(descriptors, roots)?;
        let pool = DescriptorPool::decode(&*bytes).map_err(|error| error.to_string())?;
        if pool.get_extension_by_name(RULES).is_none() {
            return Err(format!(
                "an option has their number, and {RULES} is defined in none of the files"
            ));
        }
        let rules = ValidatorOption::AdditionalDescriptorSetBytes(bytes);
        let validator = Validator::with_options(&[rules]);
        let costs = HashMap::new();
        Ok(Self {
            pool,
            validator,
            costs,
        })
    }

    fn try_out(&self, message: &MessageDescriptor, of: &Descriptors, found: &mut Diagnostics) {
        let name = message.full_name();
        // Most are sound, which one look at all of it tells.
        let Some(whole) = self.fault_of(message, &[]) else {
            return;
        };
        if message.fields().len() > MAX_FIELDS {
            found.push(Diagnostic {
                place: of.place_of_rule(name, None),
                ..told(whole, name)
            });
            return;
        }
        if let Some(fault) = self.fault(message, None) {
            found.push(Diagnostic {
                place: of.place_of_rule(name, None),
                ..told(fault, name)
            });
        }
        for field in message.fields() {
            if let Some(fault) = self.fault(message, Some(&field)) {
                let what = format!("{name}.{}", field.name());
                found.push(Diagnostic {
                    place: of.place_of_rule(name, Some(field.name())),
                    ..told(fault, &what)
                });
            }
        }
    }

    /// What rules of a message, or of one field, come to without any value: an error if they don't compile,
    /// the reason if they can't be applied.
    fn fault(
        &self,
        message: &MessageDescriptor,
        field: Option<&FieldDescriptor>,
    ) -> Option<RuleFault> {
        let only = Only {
            field: field.map(|field| field.full_name().to_owned()),
        };
        let options = [ValidationOption::Filter(Arc::new(only))];
        self.fault_of(message, &options)
            .filter(|fault| match fault {
                // Told of the type itself, too.
                RuleFault::Bad(cause) => !cause.starts_with(OF_ITS_TYPE),
                RuleFault::Inapplicable(_) => true,
            })
    }

    fn fault_of(
        &self,
        message: &MessageDescriptor,
        options: &[ValidationOption],
    ) -> Option<RuleFault> {
        let empty = DynamicMessage::new(message.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.validator.validate_with(&empty, options)
        }));
        match outcome {
            Ok(Err(Error::Compilation(error))) => Some(RuleFault::Bad(error.cause)),
            Ok(Err(Error::Runtime(error))) => Some(RuleFault::Inapplicable(error.cause)),
            Ok(_) => None,
            Err(panic) => Some(RuleFault::Bad(reason(&*panic))),
        }
    }
}

enum RuleFault {
    Bad(String),
    Inapplicable(String),
}

fn told(fault: RuleFault, what: &str) -> Diagnostic {
    let (diagnostic, cause) = match fault {
        RuleFault::Bad(cause) => (Diagnostic::error(format!("bad rules of {what}")), cause),
        RuleFault::Inapplicable(cause) => {
            let message = format!("the rules of {what} can't be applied to an empty one");
            let warning = Diagnostic::warning(message).help(
                "payloads that a rule can't be applied to are refused; does it name a field that isn't there?",
            );
            (warning, cause)
        }
    };
    // Parsers draw what they mean below their first line.
    let (first, rest) = cause.split_once('\n').unwrap_or((&cause, ""));
    let message = format!("{}: {}", diagnostic.message, first.trim_end_matches(':'));
    let diagnostic = Diagnostic {
        message,
        ..diagnostic
    };
    match rest {
        "" => diagnostic,
        rest => diagnostic.note(rest),
    }
}

/// The files that these messages need, without what only people read, as prost-reflect can take them.
fn encoded(descriptors: &Descriptors, roots: &[&str]) -> Result<Vec<u8>, String> {
    let mut set = FileDescriptorSet::new();
    for file in needed(descriptors, roots) {
        let mut file = file.clone();
        file.source_code_info = None.into();
        set.file.push(file);
    }
    let bytes = set.write_to_bytes().map_err(|error| error.to_string())?;
    Ok(normalize_edition_descriptor_set(&bytes))
}

/// Adds `root` and the types below it that aren't in `types`; false if there are too many.
fn below(root: MessageDescriptor, types: &mut Vec<MessageDescriptor>) -> bool {
    let mut seen: HashSet<String> = types.iter().map(|it| it.full_name().to_owned()).collect();
    let known = seen.len();
    let mut open = vec![root];
    while let Some(message) = open.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        if seen.len() - known > MAX_TYPES {
            return false;
        }
        let kinds = message.fields().map(|field| field.kind());
        open.extend(kinds.filter_map(|kind| match kind {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }));
        // A map's entries have no rules of their own.
        if !message.is_map_entry() {
            types.push(message);
        }
    }
    true
}
