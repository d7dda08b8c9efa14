//! What is kept of requests that workers have, headers above all: copied, since an answer of the gateway's own would need them and a frame
//! must not keep what it was received in, into memory that is used again.

/// Emptied places that are kept, to be used again.
const PLACES_KEPT: usize = 1024;

/// Bytes that a place may have room for and still be kept: usual headers, such as a number or a trace's, are shorter.
const ROOM_KEPT: usize = 512;

/// Bytes in which a header's length stands before it.
const LENGTH: usize = size_of::<u64>();

/// Frames of one request, which mostly has none to be kept.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<Box<Copies>>);

/// Frames, each behind its length.
#[derive(Debug, Default)]
struct Copies {
    bytes: Vec<u8>,
}

/// Memory for those to come, boxes included.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes are used again, too")]
pub(super) struct Shelf(Vec<Box<Copies>>);

impl Shelf {
    /// Copies these frames.
    #[inline]
    pub(super) fn keep<'a>(
        &mut self,
        frames: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Kept {
        if frames.len() == 0 {
            return Kept::default();
        }
        let mut copies = self.0.pop().unwrap_or_default();
        let bytes = &mut copies.bytes;
        let size = frames.clone().map(|frame| LENGTH + frame.len());
        bytes.reserve_exact(size.sum());
        for frame in frames {
            bytes.extend_from_slice(&(frame.len() as u64).to_le_bytes());
            bytes.extend_from_slice(frame);
        }
        Kept(Some(copies))
    }

    /// These are not needed any more.
    #[inline]
    pub(super) fn give_back(&mut self, Kept(copies): Kept) {
        if let Some(mut copies) = copies
            && copies.bytes.capacity() <= ROOM_KEPT
            && self.0.len() < PLACES_KEPT
        {
            copies.bytes.clear();
            self.0.push(copies);
        }
    }
}

impl Kept {
    /// The frames, each in memory of its own.
    pub(super) fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut rest = self.0.as_ref().map_or(&[][..], |copies| &copies.bytes);
        while let Some((length, behind)) = rest.split_first_chunk::<LENGTH>() {
            let (frame, others) = behind.split_at(u64::from_le_bytes(*length) as usize);
            frames.push(frame.to_vec());
            rest = others;
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were_and_memory_is_used_again() {
        let mut shelf = Shelf::default();
        let all: [&[Vec<u8>]; 4] = [
            &[],
            &[vec![]],
            &[b"id".to_vec(), vec![], vec![7; 300]],
            &[vec![0; 9]],
        ];
        for headers in all {
            let kept = shelf.keep(headers.iter().map(Vec::as_slice));
            assert_eq!(kept.frames(), headers);
            assert_eq!(kept.0.is_none(), headers.is_empty());
            shelf.give_back(kept);
            // One place serves them all, each in its turn.
            assert!(shelf.0.len() <= 1);
        }
        let large = shelf.keep([&[7; ROOM_KEPT][..]].into_iter());
        shelf.give_back(large);
        assert_eq!(shelf.0.len(), 0, "what was grown for one is given back");
    }
}
