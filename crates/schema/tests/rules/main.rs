//! `buf.validate` in every encoding: what rules forbid is rejected, what they allow passes, and a bad rule is
//! a fault of its file.
//!
//! - [`every`]: each rule of the specification, with a value that keeps the rule and a value that breaks it.
//! - [`standard`]: rules of every type, and the forms in which the encodings write bytes and well-known types.
//! - [`merging`]: what rules see of payloads that write a field more than once, or not at all.
//! - [`sentences`]: what is told of each broken rule, in the words of validate.proto.
//! - [`paths`]: the path and the byte at which a broken rule is reported.
//! - [`loading`]: bad rules are reported when they are loaded, at their place.
//! - [`bounds`]: the limits on the cost of rules and on the payloads that are checked against them.

mod bounds;
mod every;
mod loading;
mod merging;
mod paths;
mod sentences;
mod standard;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};
use gateway_schema::{Encoding, Options, Ruler, Schema, Table, Violation};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

const VALIDATE: &str = "../../vendor/prost-protovalidate-types/proto/buf/validate/validate.proto";
const DEPTH: u32 = 100;
const BYTES: u64 = 1 << 20;

/// Compiles this text, with validate.proto beside it.
fn descriptors(text: &str) -> (Descriptors, tempfile::TempDir) {
    let validate = Path::new(env!("CARGO_MANIFEST_DIR")).join(VALIDATE);
    descriptors_beside(text, &fs::read_to_string(validate).unwrap())
}

/// Compiles this text, with this one as validate.proto beside it.
fn descriptors_beside(text: &str, validate: &str) -> (Descriptors, tempfile::TempDir) {
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

/// Compiles the rules of the message of this name.
fn ruler(descriptors: &Descriptors, name: &str, found: &mut Diagnostics) -> Option<Ruler> {
    let table = Table::build(descriptors.files()).unwrap();
    Ruler::build(descriptors, &table, &[name], found)
}

/// The schemas of `t.M` with its rules, and what writes its payloads.
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
        let mut found = Diagnostics::new();
        let table = Arc::new(Table::build(descriptors.files()).unwrap());
        let ruler = Ruler::build(&descriptors, &table, &["t.M"], &mut found);
        let ruler = Arc::new(ruler.unwrap_or_else(|| panic!("{text}\n{found}")));
        assert_eq!(found.render(false), "", "{text}");
        let schema = |encoding| {
            let root = table.message("t.M").unwrap();
            let mut schema = Schema::new(encoding, Arc::clone(&table), root, Options::default());
            assert!(schema.enforce(&ruler, BYTES));
            schema
        };
        let mut set = protobuf::descriptor::FileDescriptorSet::new();
        set.file = descriptors.files().to_vec();
        let bytes = protobuf::Message::write_to_bytes(&set).unwrap();
        // What reads payloads here knows no editions.
        let bytes = prost_protovalidate::normalize_edition_descriptor_set(&bytes);
        Self {
            protobuf: schema(Encoding::Protobuf),
            msgpack: schema(Encoding::Msgpack),
            json: schema(Encoding::Json),
            pool: DescriptorPool::decode(&*bytes).unwrap(),
        }
    }

    /// ProtoJSON's value in protobuf.
    fn protobuf(&self, value: &Value) -> Vec<u8> {
        let message = self.pool.get_message_by_name("t.M").unwrap();
        let message = DynamicMessage::deserialize(message, value);
        message
            .unwrap_or_else(|error| panic!("{value}: {error}"))
            .encode_to_vec()
    }

    /// What each encoding says of one value.
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

    /// That the value breaks this rule at this path.
    #[track_caller]
    fn refuses(&self, value: &Value, path: &str, rule: &str) -> Violation {
        let told = self.check(value);
        for (encoding, verdict) in &told {
            match verdict {
                Ok(()) => panic!("{encoding}: {value} passes"),
                Err(violation) => assert_eq!(
                    (&*violation.path, violation.rule.as_deref()),
                    (path, Some(rule)),
                    "{encoding}: {value}: {violation:?}"
                ),
            }
        }
        // Alike but for the byte.
        let mut told = told.map(|(_, verdict)| verdict.unwrap_err()).into_iter();
        let first = told.next().unwrap();
        for mut other in told {
            other.offset = first.offset;
            assert_eq!(other, first);
        }
        first
    }
}
