//! Cuts a stream of bytes into the parts of a multipart upload.

use std::mem;

use bytes::Bytes;

use crate::error::SinkError;

const MAX_PARTS: u16 = 10_000;
/// How many parts have the first size.
const FIRST_PARTS: u16 = 4_000;
/// After how many more parts the size doubles, each time.
const PARTS_PER_DOUBLING: u16 = 1_000;

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place in the file, from 1.
    pub number: u16,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Collects bytes until a part is full.
///
/// S3 takes 10,000 parts. They begin small, for small files to need little memory, and double
/// every 1,000 from the 4,001st on, for large files to fit: with 8 MiB at first, about 1 TiB. Where
/// a part begins and ends depends only on the bytes before it, never on the chunks they came in.
#[derive(Debug)]
pub struct PartBuffer {
    first_size: usize,
    /// Of the part that is being filled.
    number: u16,
    bytes: Vec<u8>,
}

impl PartBuffer {
    /// Makes an empty buffer for the first part, of `first_size` bytes.
    pub(crate) fn new(first_size: usize) -> Self {
        Self {
            first_size,
            number: 1,
            bytes: Vec::new(),
        }
    }

    /// Takes bytes from the front of `chunk` and returns a part once it is full.
    ///
    /// Call it until `chunk` is empty. A part that lies within one chunk is not copied.
    ///
    /// # Errors
    ///
    /// [`SinkError::TooLarge`] when all 10,000 parts are full.
    pub fn fill(&mut self, chunk: &mut Bytes) -> Result<Option<Part>, SinkError> {
        if chunk.is_empty() {
            return Ok(None);
        }
        let size = part_size(self.number, self.first_size).ok_or(SinkError::TooLarge)?;
        if self.bytes.is_empty() && chunk.len() >= size {
            let bytes = chunk.split_to(size);
            return Ok(Some(self.next_part(bytes)));
        }
        let wanted = size - self.bytes.len();
        let taken = chunk.split_to(wanted.min(chunk.len()));
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(size);
        }
        self.bytes.extend_from_slice(&taken);
        if taken.len() < wanted {
            return Ok(None);
        }
        let bytes = mem::take(&mut self.bytes).into();
        Ok(Some(self.next_part(bytes)))
    }

    /// Returns the last part, or nothing when the file ended with a full one or is empty.
    ///
    /// When its number is 1, it is the whole file and needs no multipart upload.
    pub fn finish(mut self) -> Option<Part> {
        let bytes = mem::take(&mut self.bytes);
        (!bytes.is_empty()).then(|| self.next_part(bytes.into()))
    }

    fn next_part(&mut self, bytes: Bytes) -> Part {
        let number = self.number;
        self.number += 1;
        Part { number, bytes }
    }
}

/// Returns how many bytes a part has unless it is the last, or nothing behind the last number.
fn part_size(number: u16, first_size: usize) -> Option<usize> {
    if number > MAX_PARTS {
        return None;
    }
    let doublings = number
        .saturating_sub(FIRST_PARTS)
        .div_ceil(PARTS_PER_DOUBLING);
    Some(first_size << doublings)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Part, PartBuffer, part_size};
    use crate::error::SinkError;

    const MIB: usize = 1024 * 1024;

    fn cut(first_size: usize, chunks: impl IntoIterator<Item = Bytes>) -> Vec<Part> {
        let mut buffer = PartBuffer::new(first_size);
        let mut parts = Vec::new();
        for mut chunk in chunks {
            while !chunk.is_empty() {
                parts.extend(buffer.fill(&mut chunk).unwrap());
            }
        }
        parts.extend(buffer.finish());
        parts
    }

    #[test]
    fn parts_grow_to_a_tebibyte() {
        let size = |number| part_size(number, 8 * MIB).map(|size| size / MIB);
        for (number, mib) in [
            (1, 8),
            (4000, 8),
            (4001, 16),
            (5000, 16),
            (5001, 32),
            (9001, 512),
        ] {
            assert_eq!(size(number), Some(mib), "part {number}");
        }
        assert_eq!(size(10_001), None);
        let total: usize = (1..=10_000).filter_map(size).sum();
        assert_eq!(total / 1024, 1015, "GiB");
    }

    #[test]
    fn what_fits_into_no_part_is_an_error() {
        let mut buffer = PartBuffer::new(1);
        let all = 4000 + 1000 * (2 + 4 + 8 + 16 + 32 + 64);
        let mut file = Bytes::from(vec![0; all + 1]);
        let mut parts = 0;
        while file.len() > 1 {
            parts += buffer.fill(&mut file).unwrap().iter().count();
        }
        assert_eq!(parts, 10_000);
        assert!(matches!(buffer.fill(&mut file), Err(SinkError::TooLarge)));
    }

    #[test]
    fn a_part_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from(vec![7; 25]);
        let parts = cut(10, [chunk.clone()]);
        assert_eq!(parts[1].bytes.as_ptr(), chunk[10..].as_ptr());
    }

    #[test]
    fn an_empty_file_has_no_part_and_a_full_part_no_empty_one_behind_it() {
        assert_eq!(cut(10, []), []);
        assert_eq!(cut(10, [Bytes::from_static(&[0; 20])]).len(), 2);
    }

    proptest! {
        #[test]
        fn the_chunks_do_not_matter(
            file in prop::collection::vec(any::<u8>(), 0..9_000),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            // Small enough for the parts to begin to grow.
            let whole = cut(2, [Bytes::from(file.clone())]);

            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
            cuts.extend([0, file.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|ends| Bytes::copy_from_slice(&file[ends[0]..ends[1]]));
            let parts = cut(2, chunks);

            prop_assert_eq!(&parts, &whole);
            prop_assert_eq!(parts.iter().flat_map(|part| &part.bytes[..]).copied().collect::<Vec<_>>(), file);
            for (part, number) in parts.iter().zip(1..) {
                prop_assert_eq!(part.number, number);
                let size = part_size(number, 2).unwrap();
                prop_assert!(part.bytes.len() == size || usize::from(number) == parts.len());
            }
        }
    }
}
