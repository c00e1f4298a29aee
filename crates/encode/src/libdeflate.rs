//! Gzip by libdeflate.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

/// Compresses texts one after the other, in memory that it keeps.
pub(crate) struct Libdeflate(Compressor);

impl Libdeflate {
    /// Makes a compressor of a level from 1 to 12.
    pub(crate) fn new(level: u8) -> io::Result<Self> {
        let level = CompressionLvl::new(level.into());
        let level = level.map_err(|_| io::Error::other("libdeflate has no such level"))?;
        Ok(Self(Compressor::new(level)))
    }

    /// Appends a gzip member.
    pub(crate) fn append_member(&mut self, text: &[u8], members: &mut Vec<u8>) -> io::Result<()> {
        let start = members.len();
        members.resize(start + self.0.gzip_compress_bound(text.len()), 0);
        let length = self
            .0
            .gzip_compress(text, &mut members[start..])
            .map_err(io::Error::other)?;
        members.truncate(start + length);
        Ok(())
    }
}
