//! Copies of frames of the requests that workers and judges have. A rejection of such a request
//! would need these frames, which are mostly headers. They are copied, because a frame keeps its
//! whole receive buffer alive. The memory of the copies is reused.

/// The maximum number of empty buffers that are kept for reuse. Their memory is at most 512 KiB,
/// which is this number times [`SPARE_CAPACITY_MAX`].
const SPARE_BUFFERS_MAX: usize = 1024;

/// The maximum capacity of a buffer that is kept for reuse, in bytes. Usual headers, such as a
/// number or a trace ID, are shorter.
const SPARE_CAPACITY_MAX: usize = 512;

/// The size of the length that precedes each frame, in bytes.
const LENGTH_SIZE: usize = size_of::<u64>();

/// The copied frames of one request, usually none.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<Box<Copies>>);

/// A buffer of frames. The length of each frame precedes the frame.
#[derive(Debug, Default)]
struct Copies {
    bytes: Vec<u8>,
}

/// Empty buffers, which are reused for later frames.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes are used again, too")]
pub(super) struct CopyPool(Vec<Box<Copies>>);

impl CopyPool {
    /// Returns copies of these frames, in a buffer that is reused if there is one.
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
        let size = frames.clone().map(|frame| LENGTH_SIZE + frame.len());
        bytes.reserve_exact(size.sum());
        for frame in frames {
            bytes.extend_from_slice(&(frame.len() as u64).to_le_bytes());
            bytes.extend_from_slice(frame);
        }
        Kept(Some(copies))
    }

    /// Takes back frames that are not needed any more. Keeps their buffer for later frames, unless
    /// the buffer is large or enough buffers are kept.
    #[inline]
    pub(super) fn give_back(&mut self, Kept(copies): Kept) {
        if let Some(mut copies) = copies
            && copies.bytes.capacity() <= SPARE_CAPACITY_MAX
            && self.0.len() < SPARE_BUFFERS_MAX
        {
            copies.bytes.clear();
            self.0.push(copies);
        }
    }
}

impl Kept {
    /// Returns the frames.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_ref().map_or(&[][..], |copies| &copies.bytes);
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<LENGTH_SIZE>()?;
            let (frame, others) = after.split_at(u64::from_le_bytes(*length) as usize);
            rest = others;
            Some(frame)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_headers_are_unchanged_and_their_memory_is_reused() {
        let mut pool = CopyPool::default();
        let all: [&[Vec<u8>]; 4] = [
            &[],
            &[vec![]],
            &[b"id".to_vec(), vec![], vec![7; 300]],
            &[vec![0; 9]],
        ];
        for headers in all {
            let kept = pool.keep(headers.iter().map(Vec::as_slice));
            assert!(kept.frames().eq(headers));
            assert_eq!(kept.0.is_none(), headers.is_empty());
            pool.give_back(kept);
            // One buffer is reused for each list of headers.
            assert!(pool.0.len() <= 1);
        }
        let large = pool.keep([&[7; SPARE_CAPACITY_MAX][..]].into_iter());
        pool.give_back(large);
        assert_eq!(pool.0.len(), 0, "a large buffer is not kept");
    }
}
