//! What the cases have in common.

pub const PERSON: &[u8] =
    b"\x08\xb9\x60\x12\x0cAda Lovelace\x1a\x0fada@example.org\x22\x06\x01\x14\xac\x02\xa0\x1f";

/// Messages a read: what a busy client sends meanwhile.
pub const BURST: u64 = 100;
