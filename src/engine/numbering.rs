//! The first numbers of requests.

use std::ops::Range;

/// The range of the first request's number. Tokens are short enough to read, and the few numbers
/// that are in use at a time hardly ever occur in two processes.
const FIRST_NUMBERS: Range<u64> = 100_000_000_000..1_000_000_000_000;

/// Returns the number of the first request, which is random. A worker may answer a request of an
/// earlier process, or of another gateway, and that answer must not be taken for the answer to a
/// request of this process.
pub(super) fn first_number() -> u64 {
    fastrand::u64(FIRST_NUMBERS)
}
