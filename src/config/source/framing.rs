//! The framing of the messages of a frontend's clients and of a pool's workers.

use super::super::quoted::quoted;
use super::super::section::{Section, Spanned, text};
use super::super::value::pattern;
use super::super::yaml::NodeKind;
use crate::reply::ErrorEncoding;
use crate::route::TypePattern;
use crate::snapshot::{EngineKind, EnvelopeMode, ErrorFrames, Framing, WorkerFrames, Workers};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The encoding of rejections if neither the route's schema nor the frontend sets one.
const ENCODING_DEFAULT: ErrorEncoding = ErrorEncoding::Json;

const ENCODINGS: [(&str, ErrorEncoding); 3] = [
    ("json", ErrorEncoding::Json),
    ("msgpack", ErrorEncoding::Msgpack),
    ("protobuf", ErrorEncoding::Protobuf),
];

const ERROR_FRAMES: [(&str, ErrorFrames); 2] = [
    ("frames", ErrorFrames::All),
    ("payload", ErrorFrames::Payload),
];

/// The framing of a frontend's messages and their answers.
pub(super) struct FrontendFrames {
    /// The value of `type` as written, or `None` if the key is absent. If the key is present, the
    /// messages of the frontend's clients have no type frame.
    pub kind: Option<Spanned<String>>,
    /// The encoding of rejections if the request's route has no schema, or if no route matches.
    pub errors: ErrorEncoding,
    pub framing: Framing,
}

/// Reads `type`, `envelope` and `errors` of a frontend.
pub(super) fn frontend_frames(
    section: &mut Section<'_>,
    what: &str,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> FrontendFrames {
    let kind = section.node("type");
    let kind = kind.and_then(|node| text(node, "type", found));
    let bytes = kind.as_ref().and_then(|kind| type_bytes(kind, found));
    if let (Some(kind), EngineKind::Libzmq) = (&kind, engine) {
        let why = "libzmq can't distinguish a REQ client from a DEALER, so the payload of a message without \
                   a type can't be found: use engine native";
        found.push(unsupported("\"type\"", kind, why));
    }
    let modes = [
        ("auto", EnvelopeMode::Auto),
        ("routed", EnvelopeMode::Routed),
    ];
    let envelope = section.word("envelope", &modes, found);
    if let Some(mode) = &envelope
        && mode.value == EnvelopeMode::Routed
        && engine == EngineKind::Libzmq
    {
        let why = "use engine native, or connect the clients without a proxy";
        found.push(unsupported("envelope \"routed\"", mode, why));
    }
    let (errors, frames) = errors(section, what, found);
    // A REQ client that sends no types reads a single frame. After an answer of several frames, the
    // client could not send again, because it would not have read all frames.
    let frames = frames.unwrap_or(match kind {
        Some(_) => ErrorFrames::Payload,
        None => ErrorFrames::All,
    });
    FrontendFrames {
        kind,
        errors,
        framing: Framing {
            kind: bytes,
            envelope: envelope.map_or(EnvelopeMode::Auto, |spanned| spanned.value),
            errors: frames,
        },
    }
}

/// Returns the bytes of a type. Reports a pattern or an invalid type, and returns `None` for it.
fn type_bytes(kind: &Spanned<String>, found: &mut Diagnostics) -> Option<Box<[u8]>> {
    let fault = match pattern(&kind.value) {
        Ok(TypePattern::Exact(bytes)) => return Some(bytes),
        Ok(TypePattern::Prefix(_)) => "expected one type, without a * at the end".to_owned(),
        Err(fault) => fault,
    };
    let wrong = format!("\"type\" can't be {}", quoted(&kind.value));
    let fault = Diagnostic::error(wrong).at(kind.place.clone()).label(fault);
    found.push(fault);
    None
}

/// Reads `errors`, which is an encoding, or a map of encoding and frames. Returns the encoding or
/// its default, and the frames, which are `None` if they are not set.
fn errors(
    section: &mut Section<'_>,
    what: &str,
    found: &mut Diagnostics,
) -> (ErrorEncoding, Option<ErrorFrames>) {
    let Some(node) = section.node("errors") else {
        return (ENCODING_DEFAULT, None);
    };
    let is_frames = ERROR_FRAMES.iter().any(|(word, _)| *word == node.text());
    match node.kind {
        NodeKind::Map(_) => {
            let mut errors = Section::open(node, format!("errors of {what}"), &[], found);
            let encoding = errors.word("encoding", &ENCODINGS, found);
            let frames = errors.word("as", &ERROR_FRAMES, found);
            errors.close(found);
            let encoding = encoding.map_or(ENCODING_DEFAULT, |spanned| spanned.value);
            (encoding, frames.map(|spanned| spanned.value))
        }
        _ if is_frames => {
            let fault = Diagnostic::error(format!("\"errors\" can't be {}", node.found()))
                .at(node.place.clone())
                .label("expected \"json\", \"msgpack\" or \"protobuf\"")
                .help(format!("did you mean {{ as: {} }}?", node.text()));
            found.push(fault);
            (ENCODING_DEFAULT, None)
        }
        _ => {
            let encoding = section.word("errors", &ENCODINGS, found);
            (
                encoding.map_or(ENCODING_DEFAULT, |spanned| spanned.value),
                None,
            )
        }
    }
}

/// Reads `frames` of a pool. `workers` are the kinds of workers that the pool accepts.
pub(super) fn worker_frames(
    section: &mut Section<'_>,
    workers: Workers,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> WorkerFrames {
    let words = [
        ("typed", WorkerFrames::Typed),
        ("payload", WorkerFrames::Payload),
        ("delimited", WorkerFrames::Delimited),
    ];
    let Some(frames) = section.word("frames", &words, found) else {
        return WorkerFrames::Typed;
    };
    let word = words.iter().find(|(_, value)| *value == frames.value);
    let word = word.map_or("", |(word, _)| *word);
    if frames.value != WorkerFrames::Typed && engine == EngineKind::Libzmq {
        let what = format!("frames {word:?}");
        found.push(unsupported(&what, &frames, "use engine native"));
    } else if frames.value == WorkerFrames::Delimited && workers == Workers::Rep {
        let fault = Diagnostic::error("REP workers receive no delimiter")
            .at(frames.place.clone())
            .label("expected \"payload\"")
            .help("a REP socket removes the delimiter by itself: write frames: payload");
        found.push(fault);
    }
    frames.value
}

/// Returns the error of a value that engine libzmq cannot honour.
fn unsupported<T>(what: &str, at: &Spanned<T>, remedy: &str) -> Diagnostic {
    Diagnostic::error(format!("{what} is not supported by engine libzmq"))
        .at(at.place.clone())
        .label("remove it")
        .help(remedy)
}
