//! The gzip around an answer, RFC 1952.
//!
//! Native has no mark of its end, and HTTP's can be faked by whatever sits in between. Gzip ends with
//! the length and the checksum of all that came before.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

use crate::error::SourceError;

/// The window of deflate: 32 KiB, the largest there is.
const WINDOW_BITS: u8 = 15;

/// What comes out at once, at most, however well it was packed.
const PIECE_BYTES: usize = 1024 * 1024;

/// The least room that is made for what comes out.
const ROOM: usize = 16 * 1024;

/// Unpacks one answer.
pub(crate) struct Inflate {
    stream: Decompress,
    is_whole: bool,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            stream: Decompress::new_gzip(WINDOW_BITS),
            is_whole: false,
        }
    }

    /// Takes bytes from the front of `packed` and returns what they unpack to, or nothing when there
    /// is no more to come from them.
    ///
    /// # Errors
    ///
    /// When they are no gzip, have another checksum, or go on behind the end.
    pub(crate) fn next(&mut self, packed: &mut &[u8]) -> Result<Option<Bytes>, SourceError> {
        let mut out = Vec::new();
        if !self.is_whole {
            out.reserve_exact((packed.len() + ROOM).min(PIECE_BYTES));
            let before = self.stream.total_in();
            let status = self
                .stream
                .decompress_vec(packed, &mut out, FlushDecompress::None)
                .map_err(SourceError::Gzip)?;
            let used = self.stream.total_in() - before;
            *packed = &packed[usize::try_from(used).unwrap_or(packed.len())..];
            self.is_whole = status == Status::StreamEnd;
        }
        if self.is_whole && !packed.is_empty() {
            return Err(SourceError::Trailing);
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }

    /// Says whether the end has come, with the right checksum and length.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::{Inflate, PIECE_BYTES};
    use crate::error::SourceError;

    fn packed(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], chunk: usize) -> Result<(Vec<u8>, bool), SourceError> {
        let mut inflate = Inflate::new();
        let mut text = Vec::new();
        for mut chunk in packed.chunks(chunk) {
            while let Some(bytes) = inflate.next(&mut chunk)? {
                assert!(bytes.len() <= PIECE_BYTES);
                text.extend_from_slice(&bytes);
            }
            assert!(chunk.is_empty());
        }
        Ok((text, inflate.is_whole()))
    }

    #[test]
    fn what_was_packed_comes_out_however_it_is_cut_into_chunks() {
        let text = "a line that comes again and again\n".repeat(100_000);
        for level in [0, 1, 9] {
            let packed = packed(text.as_bytes(), level);
            for chunk in [1, 7, 1_000, packed.len()] {
                let (unpacked, is_whole) = unpack(&packed, chunk).unwrap();
                assert!(is_whole && unpacked == text.as_bytes(), "{level} {chunk}");
            }
        }
        assert_eq!(unpack(&packed(b"", 0), 5).unwrap(), (Vec::new(), true));
    }

    #[test]
    fn it_is_whole_at_its_last_byte_only() {
        let packed = packed(b"some text", 0);
        for end in 0..packed.len() {
            assert!(!unpack(&packed[..end], 100).unwrap().1, "cut at {end}");
        }
        let longer = [&packed[..], b"!"].concat();
        assert!(matches!(unpack(&longer, 100), Err(SourceError::Trailing)));
        assert!(matches!(unpack(&longer, 1), Err(SourceError::Trailing)));
    }

    #[test]
    fn another_byte_is_noticed() {
        let whole = packed(b"some text that is long enough", 0);
        // The fields of the head between are of no account.
        for at in [0, 1, 2].into_iter().chain(10..whole.len()) {
            let mut other = whole.clone();
            other[at] ^= 1;
            let unpacked = unpack(&other, 100);
            assert!(!matches!(unpacked, Ok((_, true))), "another byte at {at}");
        }
    }
}
