//! Gzip members of lines of text, [RFC 1951] and [RFC 1952].
//!
//! Compressors for everything look for a repetition at every byte. What repeats in lines of telemetry are
//! cells, keys and words. Looking for them only where a word begins takes half of the time, and finds longer
//! ones: fewer that begin in the middle of something by chance.
//!
//! [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951
//! [RFC 1952]: https://www.rfc-editor.org/rfc/rfc1952

mod bits;
mod block;
mod codes;
mod repeats;

use flate2::Crc;

use crate::bits::Bits;
use crate::repeats::{Repeats, Sequence};

/// RFC 1952 section 2.3: the magic number, deflate, no flags, no time, compressed fast, on some system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Compresses one text after the other, in memory that it keeps: about half a megabyte,
/// and more after a text that repeats itself without end.
///
/// The same text gives the same bytes, whatever came before.
#[derive(Default)]
pub struct Gzip {
    repeats: Repeats,
    sequences: Vec<Sequence>,
}

impl Gzip {
    /// Makes one that has not compressed anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a member with all of a text to a file.
    ///
    /// Any bytes are text, and grow by at most a thousandth and 24 bytes.
    pub fn append_member(&mut self, text: &[u8], file: &mut Vec<u8>) {
        file.extend_from_slice(&HEADER);
        self.append_blocks(text, &mut Bits::new(file));
        let mut crc = Crc::new();
        crc.update(text);
        file.extend_from_slice(&crc.sum().to_le_bytes());
        file.extend_from_slice(&crc.amount().to_le_bytes());
    }

    fn append_blocks(&mut self, text: &[u8], bits: &mut Bits<'_>) {
        self.repeats.forget();
        let mut start = 0;
        loop {
            let end = self.repeats.find(text, start, &mut self.sequences);
            let is_last = end == text.len();
            block::write(&text[start..end], &self.sequences, is_last, bits);
            if is_last {
                break;
            }
            start = end;
        }
        bits.fill_byte();
    }
}
