//! Rejection → frames: the gateway's own answers.
//!
//! One [`Reason`] enum names every way that a request is turned down; its [`Reason::label`] is the
//! word on the wire, in logs and in metrics. The payload's schema is `schemas/gateway/v1/error.proto`.

use std::time::Duration;

use protobuf::CodedOutputStream;
use serde::Serialize;

use gateway_schema::Violation;

/// Why a request got the gateway's answer instead of a worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Reason {
    /// Too few or too many frames, an empty or oversize type.
    Malformed,
    /// No route matches the type.
    UnknownType,
    /// The payload fails its schema.
    SchemaViolation,
    /// Over `limits.message`.
    TooLarge,
    /// The route doesn't take messages from this frontend.
    NotAllowed,
    /// The client has as much open as it may.
    ClientLimit,
    /// The pool's queue is full.
    QueueFull,
    /// The deadline passed and the pool had no worker.
    NoWorker,
    /// The worker that held the request went away.
    WorkerLost,
    /// The deadline passed, in the queue or at a worker.
    Timeout,
    /// The worker's answer fails the reply schema or the limits.
    BadReply,
    /// The gateway is draining.
    ShuttingDown,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Reason; 12] = [
        Reason::Malformed,
        Reason::UnknownType,
        Reason::SchemaViolation,
        Reason::TooLarge,
        Reason::NotAllowed,
        Reason::ClientLimit,
        Reason::QueueFull,
        Reason::NoWorker,
        Reason::WorkerLost,
        Reason::Timeout,
        Reason::BadReply,
        Reason::ShuttingDown,
    ];

    /// The word for it on the wire, in logs and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownType => "unknown_type",
            Reason::SchemaViolation => "schema_violation",
            Reason::TooLarge => "too_large",
            Reason::NotAllowed => "not_allowed",
            Reason::ClientLimit => "client_limit",
            Reason::QueueFull => "queue_full",
            Reason::NoWorker => "no_worker",
            Reason::WorkerLost => "worker_lost",
            Reason::Timeout => "timeout",
            Reason::BadReply => "bad_reply",
            Reason::ShuttingDown => "shutting_down",
        }
    }

    /// The number in the answer's `code`, of google.rpc.Code.
    pub fn code(self) -> i32 {
        match self {
            Reason::Malformed | Reason::SchemaViolation | Reason::TooLarge => 3,
            Reason::Timeout => 4,
            Reason::NotAllowed => 7,
            Reason::ClientLimit | Reason::QueueFull => 8,
            Reason::UnknownType => 12,
            Reason::BadReply => 13,
            Reason::NoWorker | Reason::WorkerLost | Reason::ShuttingDown => 14,
        }
    }
}

impl Reason {
    /// Returns how long a client should wait before it sends the request again; none where the same request
    /// would fare no better, or where a worker may have seen it.
    pub(crate) fn retry_after(self) -> Option<Duration> {
        match self {
            // Soon over: each answer makes room.
            Reason::ClientLimit | Reason::QueueFull => Some(Duration::from_millis(100)),
            // Workers and gateways that restart take about as long.
            Reason::NoWorker | Reason::ShuttingDown => Some(Duration::from_secs(1)),
            Reason::Malformed
            | Reason::UnknownType
            | Reason::SchemaViolation
            | Reason::TooLarge
            | Reason::NotAllowed
            | Reason::WorkerLost
            | Reason::Timeout
            | Reason::BadReply => None,
        }
    }
}

/// The `domain` of the gateway's own answers, as in google.rpc.ErrorInfo: what tells them from a worker's.
const DOMAIN: &str = "gateway";

/// How long a client should wait whose request no worker was free for in time.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How the gateway's own answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorEncoding {
    /// A message `gateway.v1.Error`.
    Protobuf,
    /// A map by the field names of `gateway.v1.Error`.
    Msgpack,
    /// An object by the field names of `gateway.v1.Error`.
    Json,
}

/// The gateway's answer to one request. Cold: built only when a request is turned down.
///
/// Serialised, it has the field names of `gateway.v1.Error`, without those that are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rejection {
    /// google.rpc.Code's number.
    pub code: i32,
    /// One sentence for a person.
    pub message: String,
    /// [`Reason::label`].
    #[serde(serialize_with = "label")]
    pub reason: Reason,
    /// Always [`DOMAIN`].
    pub domain: &'static str,
    /// Type of the request, as a key of routes.yaml would have it; empty if its message has none.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Whether no worker has seen the request and it may succeed if it is sent again.
    pub retryable: bool,
    /// How long to wait before that, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Path of the field at fault, if one is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Byte of the payload where the fault lies, if it lies in the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Generation of the snapshot that judged the request.
    pub generation: u64,
    /// All that is wrong with the payload, the first included, where all violations are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violated>,
}

/// One of a payload's violations. Serialised, it has the field names of `gateway.v1.Violation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violated {
    /// Path of the field at fault; empty for the message itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Byte of the payload where the fault lies; none for a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What the schema asks for.
    pub expected: String,
    /// What the payload holds; empty for a rule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// Id of the rule that is broken, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
}

impl From<Violation> for Violated {
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
    /// A rejection that no field is to blame for.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
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

    /// Returns the rejection of a request that no worker has seen, which may be sent again once workers are less
    /// busy.
    pub fn busy(self) -> Self {
        Self {
            retryable: true,
            retry_after_ms: Some(milliseconds(BUSY_RETRY_AFTER)),
            ..self
        }
    }

    /// Returns the rejection of a request that a worker has seen: only its client knows whether it may be done twice.
    pub fn seen(self) -> Self {
        Self {
            retryable: false,
            retry_after_ms: None,
            ..self
        }
    }

    /// A payload's violation, as `reason` (a request's or an answer's).
    pub fn violation(reason: Reason, mut violation: Violation) -> Self {
        let others = violation.others.take();
        let all = others.map(|others| {
            let all = std::iter::once(violation.clone()).chain(others);
            all.map(Violated::from).collect()
        });
        Self {
            violations: all.unwrap_or_default(),
            offset: Some(violation.offset as u64),
            message: violation.to_string(),
            field: violation.path,
            ..Self::new(reason, "")
        }
    }

    /// Returns the rejection with a remark after its sentence.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => Self {
                message: format!("{}; {hint}", self.message),
                ..self
            },
            None => self,
        }
    }

    /// The payload of the answer.
    pub fn encode(&self, encoding: ErrorEncoding) -> Vec<u8> {
        let encoded = match encoding {
            ErrorEncoding::Protobuf => self.to_protobuf().ok(),
            ErrorEncoding::Msgpack => rmp_serde::to_vec_named(self).ok(),
            ErrorEncoding::Json => serde_json::to_vec(self).ok(),
        };
        // Writing strings and integers into memory has no way to fail.
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

impl Violated {
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
    fn protobuf_has_the_numbers_of_the_shipped_schema() {
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
    fn all_violations_are_listed_where_they_are_asked_for() {
        let violation = |path: &str, others| Violation {
            path: path.into(),
            expected: "int32".into(),
            found: "nil".into(),
            offset: 9,
            others,
            rule: None,
        };
        let of = |others| Rejection::violation(Reason::BadReply, violation("a", others));
        assert_eq!(of(None).violations, []);
        assert_eq!(of(Some(vec![])).violations.len(), 1);
        let both = of(Some(vec![violation("", None)]));
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
    fn json_and_msgpack_have_its_names_and_leave_out_what_is_empty() {
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
