use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};

use super::*;
use crate::rules::compile::compile as compile_rules;
use crate::violation::First;

const TEXT: &str = r#"syntax = "proto2"; package t; import "buf/validate/validate.proto";
message M {
  optional group G = 1 { optional group G = 1 { optional group G = 1 { optional M m = 1; } } }
  repeated int32 n = 2 [(buf.validate.field).repeated = {unique: true, items: {int32: {gte: 0}}}];
  map<int32, string> map = 3 [(buf.validate.field).map.keys.int32.gte = 0];
}
"#;

fn descriptors() -> Descriptors {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("t.proto"), TEXT).unwrap();
    let roots = [root.path().to_owned()];
    let mut found = Diagnostics::new();
    let descriptors = compile(&roots, Compiler::Builtin, &mut found);
    descriptors.unwrap_or_else(|| panic!("{found}"))
}

/// Returns a payload of 10,000 numbers in `levels` nested messages. Each of these messages is in
/// three groups.
fn nested(levels: usize) -> Vec<u8> {
    let numbers = (0..10_000u32).flat_map(|n| [0x10, n as u8 | 0x80, (n >> 7) as u8]);
    (0..levels).fold(numbers.collect(), |inner, _| {
        let n = inner.len();
        let length = [n as u8 | 0x80, (n >> 7) as u8 | 0x80, (n >> 14) as u8];
        [&b"\x0b\x0b\x0b\x0a"[..], &length, &inner, b"\x0c\x0c\x0c"].concat()
    })
}

/// A nested message is read once to collect it and once to judge it, not once for each level around
/// it.
#[test]
fn the_steps_for_a_payload_grow_with_its_size_and_not_with_its_depth() {
    let descriptors = descriptors();
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let root = table.message("t.M").unwrap();
    let plans = compile_rules(&descriptors, &table, &[root], &mut Diagnostics::new()).plans;
    let plan = plans.get(plans.of(root).unwrap());
    let steps = |levels: usize| {
        let judge = Judge::<First>::new(&table, &plans);
        let payload = nested(levels);
        assert!(judge.message(&[WireReader::new(&payload)], plan).is_ok());
        judge.steps.get()
    };
    let (few, many) = (steps(1), steps(200));
    assert!(few >= 10_000, "{few}");
    assert!(many < few * 2, "{few} {many}");
}
