//! The segments for the keys of maps in the paths of violations.

use super::check::Value;
use crate::violation::excerpt;

/// Returns the path segment for a key, such as `["k"]` or `[7]`. The segment is empty for values
/// that cannot be keys.
pub(super) fn segment(key: &Value) -> String {
    match key {
        Value::Text(text) => format!("[{}]", excerpt(text.as_bytes())),
        Value::Bytes(bytes) => format!("[{}]", excerpt(bytes)),
        Value::Signed(value) => format!("[{value}]"),
        Value::Unsigned(value) => format!("[{value}]"),
        Value::Bool(value) => format!("[{value}]"),
        Value::Float(_) | Value::Time(_) | Value::Paths(_) => String::new(),
    }
}
