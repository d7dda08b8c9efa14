//! The first numbers of requests.

use std::ops::Range;

/// The range of the first request's number. A worker receives a request's number in a token, and a
/// person can still read a token with 12 digits. The range is so large that two processes hardly
/// ever use the same numbers at the same time.
const FIRST_NUMBERS: Range<u64> = 100_000_000_000..1_000_000_000_000;

/// Returns the number of the first request, which is random. A worker may answer a request of an
/// earlier process, or of another gateway, and that answer must not be taken for the answer to a
/// request of this process.
pub(super) fn first_number() -> u64 {
    fastrand::u64(FIRST_NUMBERS)
}
