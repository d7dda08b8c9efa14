//! The encoding of rejections into frames.
//!
//! One [`Reason`] enum names every way in which a request is rejected; its [`Reason::label`] is the
//! word on the wire, in logs and in metrics. The payload's schema is
//! `schemas/gateway/v1/error.proto`.

use std::time::Duration;

use protobuf::CodedOutputStream;
use serde::Serialize;

use gateway_schema::Violation;

/// The reason why a request was answered with a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Reason {
    /// The message has too few or too many frames, or an empty or oversize type.
    Malformed,
    /// The type matches no route.
    UnknownType,
    /// The payload fails its schema.
    SchemaViolation,
    /// A rule of the payload's schema could not be evaluated.
    RuleFailed,
    /// The message is over `limits.message` or `limits.client_bytes`.
    TooLarge,
    /// The route doesn't take messages from this frontend, or from this principal.
    NotAllowed,
    /// The principal or the connection exceeds the route's `rate`.
    RateLimited,
    /// The client has reached the limit on the number or on the total size of its open requests, or
    /// there is no memory for the answer.
    ClientLimit,
    /// The pool's queue is full.
    QueueFull,
    /// The deadline passed and the pool had no worker.
    NoWorker,
    /// The worker that held the request disconnected.
    WorkerLost,
    /// The deadline passed, in the queue or at a worker.
    Timeout,
    /// The worker's answer fails the reply schema or the limits.
    BadReply,
    /// The gateway is draining. This must stay the last variant, because the length of
    /// [`Self::ALL`] is computed from it.
    ShuttingDown,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Reason; Reason::ShuttingDown as usize + 1] = [
        Reason::Malformed,
        Reason::UnknownType,
        Reason::SchemaViolation,
        Reason::RuleFailed,
        Reason::TooLarge,
        Reason::NotAllowed,
        Reason::RateLimited,
        Reason::ClientLimit,
        Reason::QueueFull,
        Reason::NoWorker,
        Reason::WorkerLost,
        Reason::Timeout,
        Reason::BadReply,
        Reason::ShuttingDown,
    ];

    /// Returns the word on the wire, in logs and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownType => "unknown_type",
            Reason::SchemaViolation => "schema_violation",
            Reason::RuleFailed => "rule_failed",
            Reason::TooLarge => "too_large",
            Reason::NotAllowed => "not_allowed",
            Reason::RateLimited => "rate_limited",
            Reason::ClientLimit => "client_limit",
            Reason::QueueFull => "queue_full",
            Reason::NoWorker => "no_worker",
            Reason::WorkerLost => "worker_lost",
            Reason::Timeout => "timeout",
            Reason::BadReply => "bad_reply",
            Reason::ShuttingDown => "shutting_down",
        }
    }

    /// Returns the `code` of the rejection, a number of google.rpc.Code.
    pub fn code(self) -> i32 {
        match self {
            Reason::Malformed | Reason::SchemaViolation | Reason::TooLarge => 3,
            Reason::Timeout => 4,
            Reason::NotAllowed => 7,
            Reason::RateLimited | Reason::ClientLimit | Reason::QueueFull => 8,
            Reason::UnknownType => 12,
            Reason::RuleFailed | Reason::BadReply => 13,
            Reason::NoWorker | Reason::WorkerLost | Reason::ShuttingDown => 14,
        }
    }
}

impl Reason {
    /// Returns the time that a client should wait before it sends the request again. Returns `None`
    /// if the same request would be rejected again, or if a worker may have seen the request.
    pub(crate) fn retry_after(self) -> Option<Duration> {
        match self {
            // Each answer makes room, so the request may succeed soon.
            Reason::ClientLimit | Reason::QueueFull => Some(Duration::from_millis(100)),
            // This is a placeholder: `Rejection::after` replaces it by the time until the token
            // bucket has a token.
            Reason::RateLimited => Some(Duration::from_millis(1)),
            // A restart of workers or of the gateway takes about a second.
            Reason::NoWorker | Reason::ShuttingDown => Some(Duration::from_secs(1)),
            Reason::Malformed
            | Reason::UnknownType
            | Reason::SchemaViolation
            | Reason::RuleFailed
            | Reason::TooLarge
            | Reason::NotAllowed
            | Reason::WorkerLost
            | Reason::Timeout
            | Reason::BadReply => None,
        }
    }
}

/// The `domain` of rejections, as in google.rpc.ErrorInfo. It distinguishes rejections from a
/// worker's answers.
const DOMAIN: &str = "gateway";

/// The time that a client should wait before it repeats a request for which no worker was free in
/// time.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The encoding of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorEncoding {
    /// A message `gateway.v1.Error`.
    Protobuf,
    /// A map whose keys are the field names of `gateway.v1.Error`.
    Msgpack,
    /// An object whose keys are the field names of `gateway.v1.Error`.
    Json,
}

/// A rejection of one request. It is only built when a request is rejected.
///
/// The serialised form has the field names of `gateway.v1.Error` and omits empty and absent fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rejection {
    /// The number of google.rpc.Code.
    pub code: i32,
    /// One sentence for a person.
    pub message: String,
    /// The reason, serialised as its label.
    #[serde(serialize_with = "label")]
    pub reason: Reason,
    /// Always [`DOMAIN`].
    pub domain: &'static str,
    /// The type of the request, in the form of a key of routes.yaml. Empty if the request has no
    /// type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// True if no worker has seen the request, and the request may succeed if it is sent again.
    pub retryable: bool,
    /// The time to wait before the request is sent again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The path of the field with the violation, if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The offset of the violation in the payload, in bytes, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The generation of the snapshot that checked the request.
    pub generation: u64,
    /// All violations, including the first, if the schema has `all_violations: true`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<ViolationEntry>,
}

/// One of a payload's violations. Serialised, it has the field names of `gateway.v1.Violation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ViolationEntry {
    /// The path of the field; empty for the message itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The offset in the payload, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The expectation of the schema. For a broken rule, the rule in words.
    pub expected: String,
    /// The part of the payload that was found instead. Empty for a broken rule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The id of the broken rule, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
}

impl From<Violation> for ViolationEntry {
    fn from(violation: Violation) -> Self {
        Self {
            field: violation.path,
            offset: Some(violation.offset as u64),
            expected: violation.expected,
            found: violation.found,
            rule: violation.rule,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn label<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.label())
}

impl Rejection {
    /// Returns a rejection that concerns no field.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let retry_after = reason.retry_after();
        Self {
            code: reason.code(),
            message: message.into(),
            reason,
            domain: DOMAIN,
            kind: String::new(),
            retryable: retry_after.is_some(),
            retry_after_ms: retry_after.map(milliseconds),
            field: String::new(),
            offset: None,
            generation: 0,
            violations: Vec::new(),
        }
    }

    /// Marks the request as retryable after `wait`, which is rounded up to whole milliseconds.
    pub(crate) fn after(self, wait: Duration) -> Self {
        let wait = wait.as_nanos().div_ceil(1_000_000);
        Self {
            retryable: true,
            retry_after_ms: Some(u64::try_from(wait).unwrap_or(u64::MAX)),
            ..self
        }
    }

    /// Marks the request, which no worker has seen, as retryable after [`BUSY_RETRY_AFTER`].
    pub(crate) fn busy(self) -> Self {
        Self {
            retryable: true,
            retry_after_ms: Some(milliseconds(BUSY_RETRY_AFTER)),
            ..self
        }
    }

    /// Marks the request as not retryable, because a worker has seen it. Only the client knows
    /// whether the request may be repeated.
    pub(crate) fn seen(self) -> Self {
        Self {
            retryable: false,
            retry_after_ms: None,
            ..self
        }
    }

    /// Returns a rejection with `reason` for a payload with this violation. The payload belongs to
    /// a request or to an answer.
    pub(crate) fn violation(reason: Reason, mut violation: Violation) -> Self {
        let others = violation.others.take();
        let all = others.map(|others| {
            let all = std::iter::once(violation.clone()).chain(others);
            all.map(ViolationEntry::from).collect()
        });
        Self {
            violations: all.unwrap_or_default(),
            offset: Some(violation.offset as u64),
            message: violation.to_string(),
            field: violation.path,
            ..Self::new(reason, "")
        }
    }

    /// Appends the hint, if there is one, to the message.
    pub(crate) fn with_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => Self {
                message: format!("{}; {hint}", self.message),
                ..self
            },
            None => self,
        }
    }

    /// Returns the payload of the rejection.
    pub(crate) fn encode(&self, encoding: ErrorEncoding) -> Vec<u8> {
        let encoded = match encoding {
            ErrorEncoding::Protobuf => self.to_protobuf().ok(),
            ErrorEncoding::Msgpack => rmp_serde::to_vec_named(self).ok(),
            ErrorEncoding::Json => serde_json::to_vec(self).ok(),
        };
        // Writing strings and integers into memory cannot fail.
        encoded.unwrap_or_default()
    }

    fn to_protobuf(&self) -> protobuf::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(32 + self.message.len() + self.field.len());
        let mut out = CodedOutputStream::vec(&mut bytes);
        out.write_int32(1, self.code)?;
        out.write_string(2, &self.message)?;
        out.write_string(4, self.reason.label())?;
        if !self.field.is_empty() {
            out.write_string(5, &self.field)?;
        }
        if let Some(offset) = self.offset {
            out.write_uint64(6, offset)?;
        }
        if self.generation != 0 {
            out.write_uint64(7, self.generation)?;
        }
        for violation in &self.violations {
            out.write_bytes(8, &violation.to_protobuf()?)?;
        }
        if !self.kind.is_empty() {
            out.write_string(9, &self.kind)?;
        }
        if self.retryable {
            out.write_bool(10, true)?;
        }
        if let Some(retry_after_ms) = self.retry_after_ms {
            out.write_uint64(11, retry_after_ms)?;
        }
        out.write_string(12, self.domain)?;
        out.flush()?;
        drop(out);
        Ok(bytes)
    }
}

impl ViolationEntry {
    fn to_protobuf(&self) -> protobuf::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut out = CodedOutputStream::vec(&mut bytes);
        if !self.field.is_empty() {
            out.write_string(1, &self.field)?;
        }
        if let Some(offset) = self.offset {
            out.write_uint64(2, offset)?;
        }
        out.write_string(3, &self.expected)?;
        if !self.found.is_empty() {
            out.write_string(4, &self.found)?;
        }
        if let Some(rule) = &self.rule {
            out.write_string(5, rule)?;
        }
        out.flush()?;
        drop(out);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection() -> Rejection {
        Rejection {
            field: "address.zip".into(),
            offset: Some(7),
            generation: 3,
            kind: "T".into(),
            ..Rejection::new(Reason::SchemaViolation, "no")
        }
    }

    #[test]
    fn reasons_are_listed_once_each_in_order() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        let labels: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }

    #[test]
    fn a_protobuf_rejection_has_the_field_numbers_of_the_shipped_schema() {
        let expected =
            b"\x08\x03\x12\x02no\x22\x10schema_violation\x2a\x0baddress.zip\x30\x07\x38\x03\
            \x4a\x01T\x62\x07gateway";
        assert_eq!(rejection().encode(ErrorEncoding::Protobuf), expected);
        let full = Rejection::new(Reason::QueueFull, "").encode(ErrorEncoding::Protobuf);
        assert!(
            full.ends_with(b"\x50\x01\x58\x64\x62\x07gateway"),
            "{full:x?}"
        );
    }

    #[test]
    fn all_violations_are_listed_if_the_schema_asks_for_them() {
        let violation = |path: &str, others| Violation {
            path: path.into(),
            expected: "int32".into(),
            found: "nil".into(),
            offset: 9,
            others,
            rule: None,
        };
        let rejection = |others| Rejection::violation(Reason::BadReply, violation("a", others));
        assert_eq!(rejection(None).violations, []);
        assert_eq!(rejection(Some(vec![])).violations.len(), 1);
        let both = rejection(Some(vec![violation("", None)]));
        assert_eq!(both.message, "a: expected int32, found nil at byte 9");
        let json = String::from_utf8(both.encode(ErrorEncoding::Json)).unwrap();
        let one = r#""offset":9,"expected":"int32","found":"nil"}"#;
        assert!(
            json.ends_with(&format!(r#""violations":[{{"field":"a",{one},{{{one}]}}"#)),
            "{json}"
        );
        let wire = both.encode(ErrorEncoding::Protobuf);
        let rest = b"\x10\x09\x1a\x05int32\x22\x03nil";
        let (first, second) = ([&b"\x42\x11\x0a\x01a"[..], rest], [&b"\x42\x0e"[..], rest]);
        let rest = b"\x62\x07gateway".to_vec();
        assert!(
            wire.ends_with(&[first.concat(), second.concat(), rest].concat()),
            "{wire:x?}"
        );
    }

    #[test]
    fn json_and_msgpack_have_the_field_names_and_omit_empty_fields() {
        let json = |r: Rejection| String::from_utf8(r.encode(ErrorEncoding::Json)).unwrap();
        assert_eq!(
            json(rejection()),
            r#"{"code":3,"message":"no","reason":"schema_violation","domain":"gateway","type":"T","retryable":false,"field":"address.zip","offset":7,"generation":3}"#
        );
        assert_eq!(
            json(Rejection::new(Reason::QueueFull, "full")),
            r#"{"code":8,"message":"full","reason":"queue_full","domain":"gateway","retryable":true,"retry_after_ms":100,"generation":0}"#
        );
        let map: std::collections::BTreeMap<String, serde_json::Value> =
            rmp_serde::from_slice(&rejection().encode(ErrorEncoding::Msgpack)).unwrap();
        assert_eq!(map["reason"], "schema_violation");
        assert_eq!(map["offset"], 7);
    }
}
