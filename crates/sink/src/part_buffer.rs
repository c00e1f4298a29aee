//! Cuts a stream of bytes into the parts of a multipart upload.

use std::mem;

use bytes::Bytes;

use crate::error::SinkError;

const MAX_PARTS: u16 = 10_000;
/// The smallest part that S3 takes, unless it is the last.
pub(crate) const SMALLEST_PART: usize = 5 * 1024 * 1024;
/// The most that is held back. The last part, with that on top, must not pass S3's 5 GiB.
const LARGEST_SPARE: usize = 1024 * 1024 * 1024;
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
/// every 1,000 from the 4,001st on, for large files to fit: with 8 MiB at first, about 1 TiB.
///
/// Between two parts it may be [cut](Self::cut), so that all bytes so far are in parts. As only the
/// last part of a file may be smaller than S3's smallest, a full part is given out only when enough
/// for one more is there: half of it again, or S3's smallest. So a buffer holds one and a half
/// parts at most, or for parts below 10 MiB 5 MiB more than one. Where a part begins and ends
/// depends only on the bytes before it and on the cuts, never on the chunks they came in.
#[derive(Debug)]
pub struct PartBuffer {
    first_size: usize,
    smallest: usize,
    /// Of the part that is being filled.
    number: u16,
    bytes: Vec<u8>,
}

impl PartBuffer {
    /// Makes an empty buffer whose first part has the number `number`, for a storage that takes no
    /// part below `smallest` bytes. Part 1 has `first_size`, which is no less.
    pub(crate) fn new(first_size: usize, smallest: usize, number: u16) -> Self {
        Self {
            first_size,
            smallest,
            number,
            bytes: Vec::new(),
        }
    }

    /// Takes bytes from the front of `chunk` and returns a part once it is full.
    ///
    /// Call it until `chunk` is empty.
    ///
    /// # Errors
    ///
    /// [`SinkError::TooLarge`] when all 10,000 parts are full.
    pub fn fill(&mut self, chunk: &mut Bytes) -> Result<Option<Part>, SinkError> {
        if chunk.is_empty() {
            return Ok(None);
        }
        let size = part_size(self.number, self.first_size).ok_or(SinkError::TooLarge)?;
        let full = size + self.spare(size);
        if self.bytes.len() >= full {
            return Err(SinkError::TooLarge);
        }
        let wanted = full - self.bytes.len();
        let taken = chunk.split_to(wanted.min(chunk.len()));
        self.bytes.reserve_exact(wanted);
        self.bytes.extend_from_slice(&taken);
        // No number is left for what would stay behind the last part: it gets all.
        if taken.len() < wanted || self.number == MAX_PARTS {
            return Ok(None);
        }
        let rest = self.bytes.split_off(size);
        let mut bytes = mem::replace(&mut self.bytes, rest);
        bytes.shrink_to_fit();
        Ok(Some(self.next_part(bytes)))
    }

    /// Returns everything that is there as one part, or nothing and keeps it when that would be too
    /// small.
    ///
    /// What comes after a cut begins a part.
    pub fn cut(&mut self) -> Option<Part> {
        let size = part_size(self.number, self.first_size)?;
        if self.bytes.len() < self.spare(size) {
            return None;
        }
        let bytes = mem::take(&mut self.bytes);
        Some(self.next_part(bytes))
    }

    /// Returns what is there and in no part yet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the last part, or nothing when nothing came since a cut.
    ///
    /// When no part was given out before, it is the whole file and needs no multipart upload.
    pub fn finish(mut self) -> Option<Part> {
        let bytes = mem::take(&mut self.bytes);
        (!bytes.is_empty()).then(|| self.next_part(bytes))
    }

    /// Returns how many bytes are kept when a part of `size` bytes is given out.
    fn spare(&self, size: usize) -> usize {
        (size / 2).clamp(self.smallest, LARGEST_SPARE.max(self.smallest))
    }

    fn next_part(&mut self, bytes: Vec<u8>) -> Part {
        let number = self.number;
        self.number += 1;
        Part {
            number,
            bytes: bytes.into(),
        }
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
    use proptest::sample::Index;

    use super::{Part, PartBuffer, SMALLEST_PART, part_size};
    use crate::error::SinkError;

    const MIB: usize = 1024 * 1024;

    /// Fills a buffer with chunks, and asks for a cut behind those that are marked so.
    fn split(mut buffer: PartBuffer, chunks: impl IntoIterator<Item = (Bytes, bool)>) -> Vec<Part> {
        let mut parts = Vec::new();
        for (mut chunk, cut) in chunks {
            while !chunk.is_empty() {
                parts.extend(buffer.fill(&mut chunk).unwrap());
            }
            if cut {
                parts.extend(buffer.cut());
            }
        }
        parts.extend(buffer.finish());
        parts
    }

    /// Splits bytes that are all one chunk into parts of 10 bytes, of which 5 are the least.
    fn sizes(bytes: usize) -> Vec<usize> {
        let chunk = (Bytes::from(vec![0; bytes]), false);
        let parts = split(PartBuffer::new(10, 5, 1), [chunk]);
        parts.iter().map(|part| part.bytes.len()).collect()
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
    fn a_part_is_given_out_when_enough_for_one_more_is_there() {
        assert_eq!(sizes(0), [0; 0]);
        assert_eq!(sizes(14), [14]);
        assert_eq!(sizes(15), [10, 5]);
        assert_eq!(sizes(24), [10, 14]);
        assert_eq!(sizes(25), [10, 10, 5]);
    }

    #[test]
    fn no_part_passes_the_largest_of_s3() {
        let largest = part_size(10_000, 64 * MIB).unwrap();
        let spare = PartBuffer::new(64 * MIB, SMALLEST_PART, 1).spare(largest);
        assert_eq!(largest + spare, 5 * 1024 * MIB);
    }

    #[test]
    fn a_cut_takes_all_or_nothing() {
        let mut buffer = PartBuffer::new(10, 5, 41);
        let mut fill = |bytes, cut: bool| {
            assert_eq!(buffer.fill(&mut Bytes::from_static(bytes)).unwrap(), None);
            cut.then(|| buffer.cut()).flatten()
        };
        assert_eq!(fill(b"1234", true), None);
        let part = |number, bytes| Part {
            number,
            bytes: Bytes::from_static(bytes),
        };
        assert_eq!(fill(b"5", true), Some(part(41, b"12345")));
        assert_eq!(
            fill(b"abcdefghijklmn", true),
            Some(part(42, b"abcdefghijklmn"))
        );
        assert_eq!(fill(b"x", false), None);
        assert_eq!(buffer.finish(), Some(part(43, b"x")));
    }

    #[test]
    fn what_fits_into_no_part_is_an_error() {
        let mut buffer = PartBuffer::new(1, 1, 1);
        let all = 4000 + 1000 * (2 + 4 + 8 + 16 + 32 + 64);
        // The last part has what is held back, too.
        let mut file = Bytes::from(vec![0; all + 32 + 1]);
        let mut parts = 0;
        while file.len() > 1 {
            parts += buffer.fill(&mut file).unwrap().iter().count();
        }
        assert_eq!(parts, 9_999);
        assert!(matches!(buffer.fill(&mut file), Err(SinkError::TooLarge)));
        let last = buffer.finish().unwrap();
        assert_eq!((last.number, last.bytes.len()), (10_000, 64 + 32));
    }

    #[test]
    fn there_is_no_part_behind_the_last_number() {
        let mut buffer = PartBuffer::new(1, 1, 10_000);
        buffer.fill(&mut Bytes::from_static(&[0; 40])).unwrap();
        assert_eq!(buffer.cut().map(|part| part.number), Some(10_000));
        assert_eq!(buffer.cut(), None);
        let mut more = Bytes::from_static(&[0]);
        assert!(matches!(buffer.fill(&mut more), Err(SinkError::TooLarge)));
        assert_eq!(buffer.finish(), None);
    }

    proptest! {
        #[test]
        fn only_bytes_and_cuts_matter(
            file in prop::collection::vec(any::<u8>(), 0..4_000),
            cuts in prop::collection::vec(any::<Index>(), 0..10),
            chunks in prop::collection::vec(any::<Index>(), 0..40),
            // From where on the parts begin to grow, too.
            number in prop_oneof![Just(1), 3_900_u16..4_100],
        ) {
            let places = |indices: &[Index]| -> Vec<_> {
                indices.iter().map(|index| index.index(file.len() + 1)).collect()
            };
            let cuts = places(&cuts);
            let parts = |chunks: &[Index]| {
                let mut ends = [places(chunks), cuts.clone(), vec![0, file.len()]].concat();
                ends.sort_unstable();
                ends.dedup();
                let chunks = ends.windows(2).map(|ends| {
                    let bytes = Bytes::copy_from_slice(&file[ends[0]..ends[1]]);
                    (bytes, cuts.contains(&ends[1]))
                });
                split(PartBuffer::new(8, 3, number), chunks)
            };

            let whole = parts(&[]);
            prop_assert_eq!(&parts(&chunks), &whole);
            prop_assert_eq!(whole.iter().flat_map(|part| &part.bytes[..]).copied().collect::<Vec<_>>(), file);
            for (index, part) in whole.iter().enumerate() {
                prop_assert_eq!(usize::from(part.number), usize::from(number) + index);
                let size = part_size(part.number, 8).unwrap();
                prop_assert!(part.bytes.len() < size + size / 2);
                prop_assert!(part.bytes.len() >= 3 || index + 1 == whole.len());
            }
        }
    }
}
