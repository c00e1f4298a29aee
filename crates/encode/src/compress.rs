//! A block's text on its way through gzip or zstd.

use std::io::{self, Write};

use deflate::Gzip;
use domain::Compression;
use zstd::Encoder as ZstdEncoder;

use crate::levels::Levels;
use crate::libdeflate::Libdeflate;

/// How much text is a gzip member. Larger ones are not smaller in sum: deflate looks back 32 KiB.
const MEMBER_BYTES: usize = 1024 * 1024;

/// How much text gathers before it goes into a zstd frame: little enough to stay in the processor's
/// cache.
const CHUNK_BYTES: usize = 128 * 1024;

/// How text is compressed.
#[derive(Clone, Copy)]
pub(crate) struct TextCodec {
    pub(crate) compression: Compression,
    pub(crate) levels: Levels,
}

/// Text that is compressed as it comes: gzip members, or one zstd frame.
///
/// A concatenation of either is a valid file (RFC 1952 section 2.2, RFC 8878 section 3), so blocks
/// can be compressed apart from each other.
pub(crate) struct Compressed {
    text: Vec<u8>,
    compressor: Compressor,
}

enum Compressor {
    None,
    Gzip { gzip: GzipBy, members: Vec<u8> },
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

enum GzipBy {
    Deflate(Gzip),
    Libdeflate(Libdeflate),
}

impl Compressed {
    pub(crate) fn new(codec: TextCodec) -> io::Result<Self> {
        let levels = codec.levels;
        let compressor = match codec.compression {
            Compression::None => Compressor::None,
            Compression::Gzip => Compressor::Gzip {
                gzip: match levels.gzip.of_libdeflate() {
                    None => GzipBy::Deflate(Gzip::new()),
                    Some(level) => GzipBy::Libdeflate(Libdeflate::new(level)?),
                },
                members: Vec::new(),
            },
            Compression::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), levels.zstd.get())?;
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
    pub(crate) fn of(text: &[u8], codec: TextCodec) -> io::Result<Vec<u8>> {
        let mut compressed = Self::new(codec)?;
        if let Compressor::Zstd(encoder) = &mut compressed.compressor {
            // It takes no more memory than so much text needs.
            encoder.set_pledged_src_size(Some(text.len() as u64))?;
        }
        compressed.text.extend_from_slice(text);
        compressed.finish()
    }

    /// Makes room for about so many bytes that will come out: text that grows to some ten megabytes piece
    /// by piece is copied several times.
    pub(crate) fn expect(&mut self, bytes: usize) {
        match &mut self.compressor {
            Compressor::None => self.text.reserve(bytes),
            Compressor::Gzip { members, .. } => members.reserve(bytes),
            Compressor::Zstd(encoder) => encoder.get_mut().reserve(bytes),
        }
    }

    /// Lets `write` append text.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        write(&mut self.text);
        let enough = match self.compressor {
            Compressor::None => usize::MAX,
            Compressor::Gzip { .. } => MEMBER_BYTES,
            Compressor::Zstd(_) => CHUNK_BYTES,
        };
        if self.text.len() < enough {
            return Ok(());
        }
        self.drain()
    }

    fn drain(&mut self) -> io::Result<()> {
        match &mut self.compressor {
            Compressor::None => return Ok(()),
            Compressor::Gzip { gzip, members } => match gzip {
                GzipBy::Deflate(gzip) => gzip.append_member(&self.text, members),
                GzipBy::Libdeflate(gzip) => gzip.append_member(&self.text, members)?,
            },
            Compressor::Zstd(encoder) => encoder.write_all(&self.text)?,
        }
        self.text.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        let nothing = match &self.compressor {
            // A file of nothing is a member all the same.
            Compressor::Gzip { members, .. } => self.text.is_empty() && !members.is_empty(),
            _ => false,
        };
        if !nothing {
            self.drain()?;
        }
        match self.compressor {
            Compressor::None => Ok(self.text),
            Compressor::Gzip { members, .. } => Ok(members),
            Compressor::Zstd(encoder) => encoder.finish(),
        }
    }
}
