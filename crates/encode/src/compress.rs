//! A block's text on its way through gzip or zstd.

use std::io::{self, Write};

use domain::Compression;
use flate2::write::GzEncoder;
use zstd::Encoder as ZstdEncoder;

/// The level of gzip, 0 to 9. Telemetry is half as large again at 1, and about a tenth smaller at 6,
/// which takes nearly twice the time.
const GZIP_LEVEL: u32 = 3;

/// The level of zstd, 1 to 22. Telemetry gets no smaller at 3, which takes twice the time.
const ZSTD_LEVEL: i32 = 1;

/// How much text gathers before it is compressed: little enough to stay in the processor's cache.
const CHUNK_BYTES: usize = 128 * 1024;

/// One gzip member or zstd frame.
///
/// A concatenation of either is a valid file (RFC 1952 section 2.2, RFC 8878 section 3), so blocks
/// can be compressed apart from each other.
pub(crate) struct Member {
    text: Vec<u8>,
    compressor: Compressor,
}

enum Compressor {
    None,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Member {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        let compressor = match compression {
            Compression::None => Compressor::None,
            Compression::Gzip => Compressor::Gzip(GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(GZIP_LEVEL),
            )),
            Compression::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Compressor::Zstd(encoder)
            }
        };
        Ok(Self {
            text: Vec::new(),
            compressor,
        })
    }

    /// Compresses one piece of text.
    pub(crate) fn of(text: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
        let mut member = Self::new(compression)?;
        member.text.extend_from_slice(text);
        member.finish()
    }

    /// Lets `write` append text.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.text);
        if self.text.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.drain()
    }

    fn drain(&mut self) -> io::Result<()> {
        match &mut self.compressor {
            Compressor::None => return Ok(()),
            Compressor::Gzip(encoder) => encoder.write_all(&self.text)?,
            Compressor::Zstd(encoder) => encoder.write_all(&self.text)?,
        }
        self.text.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.drain()?;
        match self.compressor {
            Compressor::None => Ok(self.text),
            Compressor::Gzip(encoder) => encoder.finish(),
            Compressor::Zstd(encoder) => encoder.finish(),
        }
    }
}
