//! The cryptography of CURVE (RFC 26, "Cryptography"): X25519 to agree on a key, and XSalsa20 and
//! Poly1305 to seal and open boxes. There are two implementations with the same interface. Nothing
//! else in this crate uses a cryptographic library.

mod box_key;
#[cfg(not(feature = "sodium"))]
mod rust;
#[cfg(feature = "sodium")]
mod sodium;
mod terms;

pub(super) use box_key::BoxKey;
#[cfg(not(feature = "sodium"))]
pub(super) use rust::{DirectionKey, SharedKey, public_key};
#[cfg(feature = "sodium")]
pub(super) use sodium::{DirectionKey, SharedKey, public_key};
pub(super) use terms::{Forged, KEY, NONCE, PREFIX, SHORT, TAG};

/// The error of an operating system that provides no random bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRandomness;

/// Returns unpredictable bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around the ends of the blocks of Salsa20 and of Poly1305, and of the parts that the
    /// fast implementations process at once. The first 32 bytes of a box are sealed separately, so
    /// a part of 512 bytes ends at byte 544.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..300)
            .chain(543..546)
            .chain(1055..1058)
            .chain([511, 512, 513, 4096, 70_000])
    }

    fn keys() -> (SharedKey, DirectionKey, [u8; PREFIX]) {
        let (ours, theirs) = (random().unwrap(), random().unwrap());
        let shared = SharedKey::new(&public_key(&theirs), &ours).unwrap();
        let prefix = random().unwrap();
        let direction = shared.direction(&prefix);
        (shared, direction, prefix)
    }

    /// Returns a content of this length, and a short nonce.
    fn content(length: usize) -> (Vec<u8>, [u8; SHORT]) {
        let content = (0..length).map(|n| (n * 7 + length) as u8).collect();
        (content, random().unwrap())
    }

    fn whole(prefix: &[u8; PREFIX], short: &[u8; SHORT]) -> [u8; NONCE] {
        [&prefix[..], short].concat().try_into().unwrap()
    }

    #[test]
    fn the_key_of_a_direction_seals_the_same_boxes_as_the_shared_key() {
        let (shared, direction, prefix) = keys();
        for length in lengths() {
            let (content, short) = content(length);
            let (mut by_shared, mut by_direction) = (vec![], vec![]);
            shared.seal_onto(&whole(&prefix, &short), &[&content], &mut by_shared);
            direction.seal_onto(&short, &[&content], &mut by_direction);
            assert_eq!(by_direction, by_shared, "{length} bytes");
            let opened = direction.open(&short, &mut by_shared).unwrap();
            assert_eq!(opened, content, "{length} bytes");
        }
    }

    #[test]
    fn the_key_of_a_direction_opens_no_box_that_was_changed() {
        let (_, direction, _) = keys();
        for length in [0, 1, 31, 32, 33, 61, 64, 65, 200] {
            let (content, mut short) = content(length);
            let mut sealed = vec![];
            direction.seal_onto(&short, &[&content], &mut sealed);
            for bit in 0..8 * sealed.len() {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let before = changed.clone();
                assert_eq!(direction.open(&short, &mut changed), Err(Forged), "{bit}");
                assert_eq!(changed, before, "the bytes of a forged box are left alone");
            }
            let mut cut = sealed[..sealed.len() - 1].to_vec();
            assert_eq!(direction.open(&short, &mut cut), Err(Forged));
            short[SHORT - 1] ^= 1;
            assert_eq!(direction.open(&short, &mut sealed), Err(Forged));
        }
    }
}
