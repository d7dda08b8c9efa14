//! Schemas with various messages and options for the fuzz targets that check payloads, and the
//! invariants of the verdicts.

use std::sync::{Arc, LazyLock};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::{Encoding, Layout, Options, Schema, Table, TextKeys, UnknownFields, Violation};

/// The maximum nesting of messages in a payload. The number is small, so that the fuzzer reaches
/// the limit.
const DEPTH: u32 = 20;

static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/differential");
    let mut found = Diagnostics::new();
    let descriptors = compile(&[directory.into()], Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{found}"));
    Arc::new(Table::build(descriptors.files()).unwrap())
});

/// Checks the payload in `input`, and returns the payload if it passes. The first byte of `input`
/// chooses the message and the options, and the payload is the rest.
///
/// Panics if the verdict breaks an invariant.
pub fn walk(encoding: Encoding, input: &[u8]) -> Option<&[u8]> {
    let (choice, payload) = input.split_first()?;
    let messages = [
        "two.All",
        "three.All",
        "two.Required",
        "google.protobuf.Value",
        "ed.All",
        "sets.All",
    ];
    // The two lowest bits choose a message. If the two highest bits are set, four is added to the
    // choice, so that the later messages are chosen, too.
    let place = usize::from(choice & 3) + usize::from(choice >> 6 == 3) * 4;
    let message = messages[place % messages.len()];
    let message = TABLE.message(message).unwrap();
    let options = Options {
        unknown_fields: match choice & 4 {
            0 => UnknownFields::Allow,
            _ => UnknownFields::Reject,
        },
        layout: [Layout::Any, Layout::Map, Layout::Array, Layout::Any]
            [usize::from(choice >> 3 & 3)],
        text_keys: match choice & 0x20 {
            0 => TextKeys::Reject,
            _ => TextKeys::Allow,
        },
        all_violations: false,
    };
    let all = Options {
        all_violations: true,
        ..options
    };
    let schema = |options| Schema::new(encoding, Arc::clone(&TABLE), message, options);
    let verdict = schema(options).check(payload, DEPTH);
    match (verdict, schema(all).check(payload, DEPTH)) {
        (Ok(()), Ok(())) => Some(payload),
        (Err(first), Err(mut every)) => {
            let others = every.others.take().unwrap();
            assert_eq!(
                first, every,
                "the first violation is the same with and without the others"
            );
            assert!(others.len() < 16);
            for violation in std::iter::once(&first).chain(&others) {
                assert_sound(violation, payload);
            }
            None
        }
        (one, every) => panic!("{one:?} {every:?}"),
    }
}

fn assert_sound(violation: &Violation, payload: &[u8]) {
    let Violation {
        path,
        expected,
        found,
        offset,
        rule,
        others,
    } = violation;
    assert!(*offset <= payload.len() && others.is_none() && rule.is_none());
    assert!(!expected.is_empty() && !found.is_empty());
    // The excerpts of the payload in a violation are short, and the depth bounds the path.
    assert!(
        expected.len() + found.len() < 1_000 && path.len() < 20_000,
        "{violation}"
    );
}
