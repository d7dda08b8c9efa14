//! The schemas of a route, and the choice of the thread that checks a payload against them.
//!
//! A check on the data thread takes about a millisecond at most. A longer check is left to a judge,
//! which is a thread for long checks. The decision depends on the number of costly bytes of the
//! payload, which the check reads one by one, and on the estimated cost of the CEL rules. CEL rules
//! may exceed their estimate, so on the data thread they stop after [`DIRECT_STEPS_MAX`] steps, and
//! a judge starts the check anew.

use crate::reply::ErrorEncoding;
use gateway_schema::{Encoding, Estimate, Schema, Violation};

/// A list of at least one schema. A payload must fit one of the schemas. A comparison of two lists
/// ignores rules, like a comparison of [`Schema`]s. It also ignores `judged_from` and
/// `usual_below`, because these sizes depend on the cost of the rules.
#[derive(Debug)]
pub struct AnyOf {
    first: Schema,
    others: Vec<Schema>,
    /// The number of [costly bytes](Schema::costly_bytes) from which a judge checks a payload
    /// instead of the data thread.
    judged_from: usize,
    /// The size, in bytes, below which the check of a payload is no more work than the check of a
    /// small message. It is 0 if a schema has CEL rules.
    usual_below: usize,
}

impl PartialEq for AnyOf {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            first,
            others,
            judged_from: _,
            usual_below: _,
        } = self;
        *first == other.first && *others == other.others
    }
}

impl Eq for AnyOf {}

/// The result of a check on the data thread.
#[derive(Debug)]
pub enum BriefCheck {
    /// The payload fits the schema at this position, 0 for the first.
    Fits(usize),
    /// The payload fits no schema. The violation is of the first schema.
    Breaks(Violation),
    /// The check takes too long for the data thread, so a judge must perform it.
    Undecided,
}

/// The number of costly bytes from which a judge checks a payload if the check takes one pass over
/// the payload. In the worst measured case a pass took 60 ns for each of these bytes, so a payload
/// with fewer of them takes about a millisecond at most.
const JUDGED_SIZE_MIN: usize = 16 << 10;

/// The maximum number of steps of CEL rules that the data thread takes for one payload. This
/// number of the slowest steps takes about a millisecond.
const DIRECT_STEPS_MAX: u64 = 20_000;

/// The number of steps of CEL rules that are as much work as a small message.
const STEPS_PER_MESSAGE: u64 = 20;

/// The size, in bytes, from which the check of a payload is more work than a small message.
const WORK_SIZE_MIN: usize = 512;

/// The number of bytes that are as much work as a small message, in payloads of at least
/// [`WORK_SIZE_MIN`] bytes.
const BYTES_PER_MESSAGE: usize = 16;

/// The number of additional passes over a payload that breaks a schema. These passes find all
/// violations, and the encoding that the sender may have meant.
const PASSES_PER_VIOLATION: usize = 4;

/// Returns an upper bound of the time that a check by a schema takes, as a number of plain passes
/// over the payload. The steps of CEL rules are not included. `expressions` is the estimated cost
/// of the CEL rules, if there are any.
fn passes(schema: &Schema, expressions: Option<&Estimate>) -> usize {
    let rules = match (expressions, schema.has_rules()) {
        (None, false) => 0,
        // The payload is read up to two more times, and each value is compared. This takes as long
        // as four passes.
        (None, true) => 4,
        // In addition, the values that CEL rules read are built in memory.
        (Some(_), _) => 6,
    };
    let all_violations = schema.identity().1.all_violations;
    (1 + rules) * (1 + usize::from(all_violations))
}

/// Returns the number of costly bytes from which a judge checks a payload against these schemas.
/// The check of a payload with fewer of them takes about a millisecond at most.
fn judged_from(schemas: &[&Schema]) -> usize {
    let (mut all_passes, mut estimates) = (0, Vec::new());
    for schema in schemas {
        let estimate = schema.rules_estimate();
        all_passes += passes(schema, estimate.as_ref());
        estimates.extend(estimate);
    }
    let is_direct = |bytes: usize| {
        let steps = estimates
            .iter()
            .map(|estimate| estimate.steps(bytes as u64));
        steps.fold(0, u64::saturating_add) <= DIRECT_STEPS_MAX
    };
    // The steps grow with the bytes, so a binary search finds the size.
    let (mut direct, mut judged) = (0, JUDGED_SIZE_MIN / all_passes.max(1));
    while direct < judged {
        let middle = direct.midpoint(judged);
        if is_direct(middle) {
            direct = middle + 1;
        } else {
            judged = middle;
        }
    }
    judged
}

impl AnyOf {
    /// Returns the list of `first` and `others`.
    pub fn new(first: Schema, others: Vec<Schema>) -> Self {
        let schemas: Vec<_> = std::iter::once(&first).chain(&others).collect();
        let judged_from = judged_from(&schemas);
        let expressions = schemas
            .iter()
            .any(|schema| schema.rules_estimate().is_some());
        let work_from = if expressions { 0 } else { WORK_SIZE_MIN };
        Self {
            first,
            others,
            judged_from,
            usual_below: judged_from.min(work_from),
        }
    }

    /// Sets the number of costly bytes from which a judge checks a payload.
    #[must_use]
    pub fn with_judged_from(self, judged_from: usize) -> Self {
        Self {
            judged_from,
            usual_below: judged_from.min(self.usual_below),
            ..self
        }
    }

    /// Returns whether the check of a payload of this size is known to be no more work than a small
    /// message, so that [`Self::check`] may be called on the data thread.
    #[inline]
    pub fn is_usual(&self, bytes: usize) -> bool {
        bytes < self.usual_below
    }

    /// Returns whether a payload is checked on the data thread, because the check is estimated to
    /// take a millisecond at most. A judge checks all other payloads.
    #[inline]
    pub fn is_direct(&self, payload: &[u8]) -> bool {
        payload.len() < self.judged_from || self.is_mostly_cheap(payload)
    }

    /// Returns whether a large payload is direct, because most of it takes little time to check.
    #[inline(never)]
    fn is_mostly_cheap(&self, payload: &[u8]) -> bool {
        self.others.is_empty() && self.first.costly_bytes(payload) < self.judged_from
    }

    /// Returns each schema, the first one first.
    pub fn schemas(&self) -> impl Iterator<Item = &Schema> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Checks a payload against each schema in turn until a schema fits, and returns the position
    /// of that schema, 0 for the first. If no schema fits, returns the violation of the first.
    pub fn check(&self, payload: &[u8], depth: u32) -> Result<usize, Violation> {
        let Err(violation) = self.first.check(payload, depth) else {
            return Ok(0);
        };
        let fits = |schema: &Schema| schema.check(payload, depth).is_ok();
        match self.others.iter().position(fits) {
            Some(position) => Ok(position + 1),
            None => Err(violation),
        }
    }

    /// Checks a payload as [`Self::check`] does, on the data thread. If the check is more work than
    /// a small message, adds the additional work to `work`, in units of the work for one small
    /// message.
    pub fn check_briefly(&self, payload: &[u8], depth: u32, work: &mut usize) -> BriefCheck {
        let is_large = payload.len() >= self.judged_from;
        if is_large {
            *work += self.first.costly_bytes(payload) / BYTES_PER_MESSAGE;
        } else if payload.len() >= WORK_SIZE_MIN {
            *work += payload.len() / BYTES_PER_MESSAGE;
        }
        let mut steps = DIRECT_STEPS_MAX;
        let found = self.first.check_within(payload, depth, &mut steps);
        *work += ((DIRECT_STEPS_MAX - steps) / STEPS_PER_MESSAGE) as usize;
        match found {
            Ok(()) => BriefCheck::Fits(0),
            // The rejection takes further passes over the payload, which a judge must do.
            Err(_) if is_large => BriefCheck::Undecided,
            Err(violation) => self.check_others(payload, depth, violation, work),
        }
    }

    /// Checks a payload that violates the first schema against the other schemas.
    #[cold]
    fn check_others(
        &self,
        payload: &[u8],
        depth: u32,
        violation: Violation,
        work: &mut usize,
    ) -> BriefCheck {
        *work += PASSES_PER_VIOLATION * payload.len() / BYTES_PER_MESSAGE;
        if violation.is_failure() {
            return BriefCheck::Undecided;
        }
        for (position, schema) in self.others.iter().enumerate() {
            let mut steps = DIRECT_STEPS_MAX;
            let found = schema.check_within(payload, depth, &mut steps);
            *work += ((DIRECT_STEPS_MAX - steps) / STEPS_PER_MESSAGE) as usize;
            match found {
                Ok(()) => return BriefCheck::Fits(position + 1),
                Err(violation) if violation.is_failure() => return BriefCheck::Undecided,
                Err(_) => {}
            }
        }
        BriefCheck::Breaks(violation)
    }

    /// Returns a sentence about a payload that fits none of the schemas. Returns `None` unless the
    /// payload looks like another format, such as gzip or an encoding that none of the schemas has.
    #[cold]
    pub fn hint(&self, payload: &[u8], depth: u32) -> Option<String> {
        let found = self.first.lookalike(payload, depth)?;
        let mut expected: Vec<_> = self.schemas().map(Schema::encoding).collect();
        if expected
            .iter()
            .any(|encoding| found.encoding() == Some(*encoding))
        {
            return None;
        }
        expected.dedup();
        let expected: Vec<_> = expected.into_iter().map(Encoding::label).collect();
        let expected = expected.join(" or ");
        Some(format!(
            "the payload looks like {found}, but {expected} is expected"
        ))
    }

    /// Returns the encoding of rejections of requests with these schemas, which is the encoding of
    /// the first schema.
    pub fn errors(&self) -> ErrorEncoding {
        match self.first.encoding() {
            Encoding::Protobuf => ErrorEncoding::Protobuf,
            Encoding::Msgpack => ErrorEncoding::Msgpack,
            Encoding::Json => ErrorEncoding::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use gateway_diagnostic::Diagnostics;
    use gateway_proto::Compiler;
    use gateway_schema::{Options, RuleLimits, RuleSet, Table};

    const PROTO: &str = r#"
syntax = "proto3";
import "buf/validate/validate.proto";
message Plain { repeated int32 list = 1; }
message Blob { bytes data = 1; repeated Plain plain = 2; }
message Standard { string text = 1 [(buf.validate.field).string.min_len = 1]; }
message Short {
  option (buf.validate.message).cel = { id: "s", message: "s", expression: "this.a < this.b" };
  int32 a = 1;
  int32 b = 2;
}
message Linear {
  option (buf.validate.message).cel = { id: "l", message: "l", expression: "this.list.all(n, n < 100)" };
  repeated int32 list = 1;
}
message Many { repeated Short list = 1; }
message Nested {
  option (buf.validate.message).cel = {
    id: "n", message: "n", expression: "this.list.all(a, this.list.all(b, a + b < 100))"
  };
  repeated int32 list = 1;
}
message Doubling {
  option (buf.validate.message).cel = { id: "d", message: "d", expression: "DOUBLED" };
  string s = 1;
}
"#;

    fn any_of(message: &str) -> AnyOf {
        let directory = tempfile::tempdir().unwrap();
        let doubled = (0..7).fold("this.s.size() >= 0".to_owned(), |inner, _| {
            inner.replace("this.s", "(this.s + this.s)")
        });
        let proto = PROTO.replace("DOUBLED", &doubled);
        fs::write(directory.path().join("p.proto"), proto).unwrap();
        let mut found = Diagnostics::new();
        let roots = [directory.path().to_owned()];
        let compiled = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
        let compiled = compiled.expect("compiles");
        let table = Arc::new(Table::build(compiled.files()).unwrap());
        let rule_set =
            Arc::new(RuleSet::build(&compiled, &table, &[message], &mut found).expect("rules"));
        let root = table.message(message).unwrap();
        let mut schema = Schema::new(Encoding::Protobuf, table, root, Options::default());
        let limits = RuleLimits {
            bytes: 1 << 20,
            steps: 10_000_000,
        };
        assert!(schema.enforce(&rule_set, limits));
        AnyOf::new(schema, Vec::new())
    }

    /// Returns a field of this many zero bytes, which is a packed list or a text.
    fn field(bytes: usize) -> Vec<u8> {
        let mut payload = vec![0x0a];
        let mut rest = bytes;
        while rest > 0x7f {
            payload.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        payload.push(rest as u8);
        payload.resize(payload.len() + bytes, 0);
        payload
    }

    fn check(any_of: &AnyOf, payload: &[u8]) -> (BriefCheck, usize) {
        let mut work = 0;
        (any_of.check_briefly(payload, 100, &mut work), work)
    }

    #[test]
    fn size_and_rules_decide_which_thread_checks_a_payload() {
        let bounds = ["Plain", "Standard", "Short", "Linear", "Many", "Nested"];
        let bounds = bounds.map(|message| any_of(message).judged_from);
        let [plain, standard, short, linear, many, nested] = bounds;
        assert_eq!(plain, JUDGED_SIZE_MIN);
        assert_eq!(standard, JUDGED_SIZE_MIN / 5);
        // For these schemas, the size of the payload is the limit, not the cost of the rules.
        assert_eq!([short, linear, many], [JUDGED_SIZE_MIN / 7; 3]);
        assert!((20..100).contains(&nested));
    }

    #[test]
    fn a_usual_payload_is_small_and_has_no_rules_in_cel() {
        for message in ["Plain", "Standard"] {
            let any_of = any_of(message);
            assert!(any_of.is_usual(WORK_SIZE_MIN - 1) && !any_of.is_usual(WORK_SIZE_MIN));
            let any_of = any_of.with_judged_from(100);
            assert!(any_of.is_usual(99) && !any_of.is_usual(100));
        }
        assert!(!any_of("Short").is_usual(0));
    }

    #[test]
    fn a_cheap_payload_is_decided_on_the_data_thread() {
        for (message, payload) in [
            ("Short", b"\x10\x01".to_vec()),
            ("Linear", field(1_000)),
            ("Nested", field(20)),
        ] {
            let any_of = any_of(message);
            assert!(any_of.is_direct(&payload), "{message}");
            let (brief, work) = check(&any_of, &payload);
            assert!(matches!(brief, BriefCheck::Fits(0)), "{message}: {brief:?}");
            assert!(work <= 1_500, "{message}: {work}");
        }
        let (brief, _) = check(&any_of("Short"), b"\x08\x01");
        assert!(matches!(brief, BriefCheck::Breaks(_)), "{brief:?}");
    }

    #[test]
    fn a_large_payload_is_decided_on_the_data_thread_if_most_of_it_is_skipped() {
        let large = field(1 << 20);
        let blob = any_of("Blob");
        assert!(blob.is_direct(&large));
        let (brief, work) = check(&blob, &large);
        assert!(matches!(brief, BriefCheck::Fits(0)), "{brief:?}");
        assert!(work < 10, "{work}");
        // The whole list is read.
        assert!(!any_of("Plain").is_direct(&large));
        // A judge rejects a payload, because that takes longer than to accept it.
        let broken = [&large[..], b"\x12\x03\x0a\x01\xff"].concat();
        assert!(blob.is_direct(&broken));
        let (brief, _) = check(&blob, &broken);
        assert!(matches!(brief, BriefCheck::Undecided), "{brief:?}");
        let two = AnyOf::new(any_of("Blob").first, vec![any_of("Plain").first]);
        assert!(!two.is_direct(&large));
    }

    /// The estimate does not include the texts that rules build.
    #[test]
    fn rules_that_take_longer_than_expected_are_left_to_a_judge() {
        let any_of = any_of("Doubling");
        let payload = field(2_000);
        assert!(any_of.is_direct(&payload));
        let (brief, work) = check(&any_of, &payload);
        assert!(matches!(brief, BriefCheck::Undecided), "{brief:?}");
        assert!(work >= 900, "{work}");
        assert_eq!(any_of.check(&payload, 100), Ok(0));
    }

    #[test]
    fn a_rule_stopped_early_leaves_the_payload_undecided() {
        let any_of = any_of("Nested");
        let payload = field(1_000);
        let (brief, work) = check(&any_of, &payload);
        assert!(matches!(brief, BriefCheck::Undecided), "{brief:?}");
        assert!(
            work >= (DIRECT_STEPS_MAX / STEPS_PER_MESSAGE) as usize,
            "{work}"
        );
        assert_eq!(any_of.check(&payload, 100), Ok(0));
    }
}
