//! Tests of `buf.validate` rules in every encoding: values that rules forbid are rejected, values
//! that rules allow pass, and a bad rule is an error at its place in the .proto file.
//!
//! - [`every`]: each rule of the specification, with a value that keeps the rule and a value that
//!   breaks it.
//! - [`standard`]: rules of every type, and the forms in which the encodings write bytes and
//!   well-known types.
//! - [`merging`]: rules on payloads that write a field more than once, or not at all.
//! - [`sentences`]: the message of each broken rule, in the words of validate.proto.
//! - [`paths`]: the path and the byte at which a broken rule is reported.
//! - [`loading`]: bad rules are reported when they are loaded, at their place.
//! - [`expressions`]: the verdicts of rules in CEL, and of predefined rules.
//! - [`own_types`]: messages with the name of a well-known type but other fields.
//! - [`bounds`]: the limits on the cost of rules, and on the size and the depth of payloads.

mod bounds;
mod every;
mod expressions;
mod loading;
mod merging;
mod own_types;
mod paths;
mod sentences;
mod standard;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema, Table, Violation};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorProto;
use serde_json::{Value, json};

const VALIDATE: &str = "../proto/src/well_known/buf/validate/validate.proto";
const DEPTH: u32 = 100;
const LIMITS: RuleLimits = RuleLimits {
    bytes: 1 << 20,
    steps: 1_000_000,
};

/// Compiles `text` together with the validate.proto of the built-in compiler. The returned
/// directory contains the files until it is dropped.
fn descriptors(text: &str) -> (Descriptors, tempfile::TempDir) {
    let validate = Path::new(env!("CARGO_MANIFEST_DIR")).join(VALIDATE);
    descriptors_with(text, &fs::read_to_string(validate).unwrap())
}

/// Compiles `text` together with `validate` as its validate.proto.
fn descriptors_with(text: &str, validate: &str) -> (Descriptors, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("buf/validate")).unwrap();
    fs::write(dir.path().join("buf/validate/validate.proto"), validate).unwrap();
    let text = match text.starts_with("syntax") || text.starts_with("edition") {
        true => text.to_owned(),
        false => format!(
            "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{text}"
        ),
    };
    fs::write(dir.path().join("t.proto"), &text).unwrap();
    let mut found = Diagnostics::new();
    let descriptors = compile(&[dir.path().to_owned()], Compiler::Builtin, &mut found);
    (
        descriptors.unwrap_or_else(|| panic!("{text}\n{found}")),
        dir,
    )
}

/// Returns `file`, converted to proto2 if it uses an edition. prost-reflect encodes the payloads,
/// and does not support editions. The payloads of these tests have the same encoding in proto2 and
/// in editions.
fn without_edition(file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    if file.syntax() == "editions" {
        file.set_syntax("proto2".to_owned());
        file.mut_unknown_fields().clear();
    }
    file
}

/// Builds the rules of the message `name`. Returns `None` if a rule is bad. Errors and warnings are
/// added to `found`.
fn rule_set(descriptors: &Descriptors, name: &str, found: &mut Diagnostics) -> Option<RuleSet> {
    let table = Table::for_roots(descriptors, [(Encoding::Protobuf, name)]).unwrap();
    RuleSet::build(descriptors, &Arc::new(table), &[name], found)
}

/// The schemas of `t.M` with its rules, and the descriptors that encode its payloads.
struct Ruled {
    protobuf: Schema,
    msgpack: Schema,
    json: Schema,
    pool: DescriptorPool,
}

impl Ruled {
    fn new(text: &str) -> Self {
        let (descriptors, _dir) = descriptors(text);
        assert!(descriptors.has_rules("t.M"), "{text}");
        let schema = |encoding| {
            let mut found = Diagnostics::new();
            // The table holds only the types that the rules need.
            let table = Arc::new(Table::for_roots(&descriptors, [(encoding, "t.M")]).unwrap());
            let rule_set = RuleSet::build(&descriptors, &table, &["t.M"], &mut found);
            let rule_set = Arc::new(rule_set.unwrap_or_else(|| panic!("{text}\n{found}")));
            assert_eq!(found.render(false), "", "{text}");
            let root = table.message("t.M").unwrap();
            let mut schema = Schema::new(encoding, table, root, Options::default());
            assert!(schema.enforce(&rule_set, LIMITS));
            schema
        };
        let mut set = protobuf::descriptor::FileDescriptorSet::new();
        set.file = descriptors.files().map(without_edition).collect();
        let bytes = protobuf::Message::write_to_bytes(&set).unwrap();
        Self {
            protobuf: schema(Encoding::Protobuf),
            msgpack: schema(Encoding::Msgpack),
            json: schema(Encoding::Json),
            pool: DescriptorPool::decode(&*bytes).unwrap(),
        }
    }

    /// Encodes a ProtoJSON value of `t.M` as protobuf.
    fn protobuf(&self, value: &Value) -> Vec<u8> {
        let message = self.pool.get_message_by_name("t.M").unwrap();
        let message = DynamicMessage::deserialize(message, value);
        message
            .unwrap_or_else(|error| panic!("{value}: {error}"))
            .encode_to_vec()
    }

    /// Returns the verdict on one value in each encoding.
    fn check(&self, value: &Value) -> [(&'static str, Result<(), Violation>); 3] {
        let packed = rmp_serde::to_vec(value).unwrap();
        [
            (
                "protobuf",
                self.protobuf.check(&self.protobuf(value), DEPTH),
            ),
            ("msgpack", self.msgpack.check(&packed, DEPTH)),
            ("json", self.json.check(value.to_string().as_bytes(), DEPTH)),
        ]
    }

    #[track_caller]
    fn accepts(&self, value: &Value) {
        for (encoding, verdict) in self.check(value) {
            if let Err(violation) = verdict {
                panic!("{encoding}: {value}: {violation:?}");
            }
        }
    }

    /// Asserts that the value breaks this rule at this path in every encoding, and returns the
    /// violation.
    #[track_caller]
    fn refuses(&self, value: &Value, path: &str, rule: &str) -> Violation {
        let reported = self.check(value);
        for (encoding, verdict) in &reported {
            match verdict {
                Ok(()) => panic!("{encoding}: {value} passes"),
                Err(violation) => assert_eq!(
                    (&*violation.path, violation.rule.as_deref()),
                    (path, Some(rule)),
                    "{encoding}: {value}: {violation:?}"
                ),
            }
        }
        // The violations of the encodings differ only in their offset.
        let mut reported = reported
            .map(|(_, verdict)| verdict.unwrap_err())
            .into_iter();
        let first = reported.next().unwrap();
        for mut other in reported {
            other.offset = first.offset;
            assert_eq!(other, first);
        }
        first
    }
}
