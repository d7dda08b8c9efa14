//! Prints payloads with the verdicts of the gateway's rules. tests/oracle/judge.py compares these
//! verdicts with other implementations' verdicts. The command is
//! `rule_verdicts MUTATIONS SEED WORK`.
//!
//! WORK/messages.json has the import paths of the `.proto` files and the names of the messages.
//! Standard input has payloads, one line of JSON each, as generate.py writes them. Standard output
//! begins with a line for each message whose rules are rejected. Then comes a line for each
//! payload, with the verdict (v), and with the path, rule id and text of each broken rule (t). Then
//! come such lines for up to MUTATIONS mutated payloads in each encoding. Malformed mutations are
//! left out.

use std::fs;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema, Table, Violation};
use serde_json::{Value, json};

#[path = "../support/mod.rs"]
mod support;

use support::{Random, mutated};

const LIMITS: RuleLimits = RuleLimits {
    bytes: 1 << 20,
    steps: 1_000_000,
};

const ENCODINGS: [Encoding; 3] = [Encoding::Protobuf, Encoding::Json, Encoding::Msgpack];

/// The maximum number of mutations of a payload that are tried until a mutation is well-formed.
/// Most mutations of a JSON text are malformed.
const ATTEMPTS_MAX: usize = 10;

/// A payload of a message.
struct Payload {
    /// The index of the message in the list of names in messages.json.
    message: usize,
    encoding: Encoding,
    bytes: Vec<u8>,
    is_mutation: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mutations, seed, work] = &arguments[..] else {
        panic!("rule_verdicts MUTATIONS SEED WORK");
    };
    let known = fs::read_to_string(PathBuf::from(work).join("messages.json")).unwrap();
    let known: Value = serde_json::from_str(&known).unwrap();
    let texts = |key: &str| -> Vec<String> {
        let all = known[key].as_array().unwrap().iter();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let roots: Vec<PathBuf> = texts("roots").into_iter().map(PathBuf::from).collect();
    let mut found = Diagnostics::new();
    let descriptors = compile(&roots, Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{}", found.render(false)));
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let names = texts("messages");
    let schemas: Vec<_> = names
        .iter()
        .map(|name| schemas(&descriptors, &table, name))
        .collect();
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for (message, schemas) in schemas.iter().enumerate() {
        if let Err(reason) = schemas {
            let line = json!({ "m": message, "v": "refused", "t": reason });
            writeln!(out, "{line}").unwrap();
        }
    }
    let payloads: Vec<Payload> = io::stdin().lock().lines().map(payload).collect();
    for payload in &payloads {
        if let Ok(schemas) = &schemas[payload.message] {
            print_payload(&mut out, payload, schemas);
        }
    }
    let mut random = Random(seed.parse::<u64>().unwrap() | 1);
    for encoding in ENCODINGS {
        let mutable = payloads.iter().filter(|of| of.encoding == encoding);
        let mutable: Vec<_> = mutable
            .filter_map(|of| Some((of, schemas[of.message].as_ref().ok()?)))
            .collect();
        for _ in 0..mutations.parse().unwrap() {
            let (payload, schemas) = mutable[random.below(mutable.len())];
            let mutations = (0..ATTEMPTS_MAX).map(|_| Payload {
                bytes: mutated(&payload.bytes, &mut random),
                is_mutation: true,
                ..*payload
            });
            for mutation in mutations {
                if print_payload(&mut out, &mutation, schemas) {
                    break;
                }
            }
        }
    }
    out.flush().unwrap();
}

/// Returns the schemas of a message with its rules, one for each of [`ENCODINGS`].
///
/// Returns the text of the errors if the rules are rejected.
fn schemas(
    descriptors: &Descriptors,
    table: &Arc<Table>,
    name: &str,
) -> Result<[Schema; 3], String> {
    let root = table.message(name).unwrap();
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    let mut found = Diagnostics::new();
    let rule_set = RuleSet::build(descriptors, table, &[name], &mut found);
    let ruled = descriptors.has_rules(name);
    let rule_set = match rule_set {
        Some(rule_set) => Some(Arc::new(rule_set)),
        None if ruled => return Err(found.iter().map(|fault| fault.message.clone()).collect()),
        None => None,
    };
    Ok(ENCODINGS.map(|encoding| {
        let mut schema = Schema::new(encoding, Arc::clone(table), root, options);
        if let Some(rule_set) = rule_set.as_ref().filter(|_| ruled) {
            assert!(schema.enforce(rule_set, LIMITS));
        }
        schema
    }))
}

fn payload(line: io::Result<String>) -> Payload {
    let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
    let label = value["e"].as_str().unwrap();
    let hex = value["p"].as_str().unwrap();
    let digits = (0..hex.len()).step_by(2);
    Payload {
        message: value["m"].as_u64().unwrap() as usize,
        encoding: ENCODINGS
            .into_iter()
            .find(|encoding| encoding.label() == label)
            .unwrap(),
        bytes: digits
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect(),
        is_mutation: false,
    }
}

/// Prints a payload with its verdict, unless the payload is a malformed mutation. Returns whether
/// the payload was printed.
fn print_payload(out: &mut impl Write, payload: &Payload, schemas: &[Schema; 3]) -> bool {
    let place = ENCODINGS
        .iter()
        .position(|encoding| *encoding == payload.encoding);
    let verdict = schemas[place.unwrap()].check(&payload.bytes, 100);
    let (verdict, reported) = match &verdict {
        Ok(()) => ("kept", Vec::new()),
        Err(reported) if reported.is_failure() => ("failed", rows(reported)),
        Err(reported) if reported.rule.is_none() && payload.is_mutation => return false,
        Err(reported) if reported.rule.is_none() => ("malformed", Vec::new()),
        Err(reported) => ("broken", rows(reported)),
    };
    let hex: String = payload
        .bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (message, encoding) = (payload.message, payload.encoding.label());
    let mut line = json!({ "m": message, "e": encoding, "p": hex, "v": verdict, "t": reported });
    if payload.is_mutation {
        line["mutation"] = true.into();
    }
    writeln!(out, "{line}").unwrap();
    true
}

/// Returns the path, the rule id and the text of each violation. The text of a failed rule is the
/// reason of the failure.
fn rows(first: &Violation) -> Vec<[String; 3]> {
    let all = std::iter::once(first).chain(first.others.iter().flatten());
    let row = |reported: &Violation| {
        let rule = reported.rule.as_deref().unwrap_or_default();
        let sentence = match &*reported.found {
            "" => &reported.expected,
            why => why,
        };
        [reported.path.clone(), rule.to_owned(), sentence.to_owned()]
    };
    all.map(row).collect()
}
