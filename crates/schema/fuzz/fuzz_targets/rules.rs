//! Checks payloads against `buf.validate` rules. A payload that the walk rejects must be rejected
//! with the same violation with and without rules. The violation of a rule must have an offset
//! within the payload.
#![no_main]

use std::sync::{Arc, LazyLock};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema, Table};

const LIMITS: RuleLimits = RuleLimits {
    bytes: 1 << 16,
    steps: 100_000,
};

/// The schemas without and with rules, for each encoding.
static SCHEMAS: LazyLock<Vec<[Schema; 2]>> = LazyLock::new(|| {
    let here = env!("CARGO_MANIFEST_DIR");
    let roots = [format!("{here}/ruled").into()];
    let mut found = Diagnostics::new();
    let descriptors = compile(&roots, Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{found}"));
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &["ruled.All"], &mut found);
    let rule_set = Arc::new(rule_set.unwrap_or_else(|| panic!("{found}")));
    let root = table.message("ruled.All").unwrap();
    let pair = |encoding| {
        let plain = || Schema::new(encoding, Arc::clone(&table), root, Options::default());
        let mut ruled = plain();
        assert!(ruled.enforce(&rule_set, LIMITS));
        [plain(), ruled]
    };
    [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json]
        .map(pair)
        .into()
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, payload)) = input.split_first() else {
        return;
    };
    let [plain, ruled] = &SCHEMAS[usize::from(choice % 3)];
    match (plain.check(payload, 100), ruled.check(payload, 100)) {
        (Err(walked), reported) => assert_eq!(reported, Err(walked)),
        (Ok(()), Err(broken)) => {
            assert!(broken.offset <= payload.len());
            assert!(broken.rule.is_some() || broken.path.is_empty() && !broken.found.is_empty());
        }
        (Ok(()), Ok(())) => {}
    }
});
