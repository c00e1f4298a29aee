//! The compression of a page of a Parquet file.

use std::io;

use domain::ParquetCompression;
use parquet::basic::{Compression, GzipLevel, ZstdLevel as PageZstdLevel};
use parquet::errors::ParquetError;
use snap::raw::Encoder as Snappy;
use zstd::bulk::Compressor as Zstd;
use zstd::zstd_safe::CParameter;

use crate::levels::ZstdLevel;
use crate::libdeflate::Libdeflate;

/// How many bits of a hash the table of zstd has on its first level, for pages that would have 13 and
/// more: all of the table stays near the processor, which takes a sixth off the time and adds a
/// hundredth to the size.
const ZSTD_HASH_BITS: u32 = 11;

/// The level of gzip where the `parquet` crate compresses, 0 to 9.
const GZIP_LEVEL: u32 = 3;

/// The level of libdeflate that makes pages as large as [`GZIP_LEVEL`] does.
const DEFLATE_LEVEL: u8 = 1;

/// Tells the `parquet` crate how to compress.
pub(crate) fn compression(
    kind: ParquetCompression,
    zstd: ZstdLevel,
) -> Result<Compression, ParquetError> {
    Ok(match kind {
        ParquetCompression::Zstd => Compression::ZSTD(PageZstdLevel::try_new(zstd.get())?),
        ParquetCompression::Snappy => Compression::SNAPPY,
        ParquetCompression::Gzip => Compression::GZIP(GzipLevel::try_new(GZIP_LEVEL)?),
        ParquetCompression::None => Compression::UNCOMPRESSED,
    })
}

/// Compresses pages one after the other, in memory that it keeps.
pub(crate) enum PageCodec {
    None,
    Snappy(Box<Snappy>),
    Gzip(Libdeflate),
    Zstd(Zstd<'static>),
}

impl PageCodec {
    pub(crate) fn new(kind: ParquetCompression, level: ZstdLevel) -> io::Result<Self> {
        Ok(match kind {
            ParquetCompression::None => Self::None,
            ParquetCompression::Snappy => Self::Snappy(Box::new(Snappy::new())),
            ParquetCompression::Gzip => Self::Gzip(Libdeflate::new(DEFLATE_LEVEL)?),
            ParquetCompression::Zstd => {
                let mut zstd = Zstd::new(level.get())?;
                if level.get() == 1 {
                    zstd.set_parameter(CParameter::HashLog(ZSTD_HASH_BITS))?;
                }
                Self::Zstd(zstd)
            }
        })
    }

    pub(crate) fn compress(&mut self, page: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(page),
            Self::Snappy(snappy) => Ok(snappy.compress_vec(&page)?),
            Self::Gzip(deflate) => {
                let mut member = Vec::new();
                deflate.append_member(&page, &mut member)?;
                Ok(member)
            }
            Self::Zstd(zstd) => zstd.compress(&page),
        }
    }
}
