//! The compression of a page of a Parquet file.

use std::io;

use domain::ParquetCompression;
use libdeflater::{CompressionLvl, Compressor as Deflate};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use snap::raw::Encoder as Snappy;
use zstd::bulk::Compressor as Zstd;
use zstd::zstd_safe::CParameter;

/// The level of zstd, 1 to 22.
const ZSTD_LEVEL: i32 = 1;

/// How many bits of a hash the table of zstd has, of 13 or 14 on that level: all of the table stays near the
/// processor, which takes a sixth off the time and adds a hundredth to the size.
const ZSTD_HASH_BITS: u32 = 11;

/// The level of gzip where the `parquet` crate compresses, 0 to 9.
const GZIP_LEVEL: u32 = 3;

/// The level of libdeflate that makes pages as large as [`GZIP_LEVEL`] does.
const DEFLATE_LEVEL: i32 = 1;

/// Tells the `parquet` crate how to compress.
pub(crate) fn compression(kind: ParquetCompression) -> Result<Compression, ParquetError> {
    Ok(match kind {
        ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        ParquetCompression::Snappy => Compression::SNAPPY,
        ParquetCompression::Gzip => Compression::GZIP(GzipLevel::try_new(GZIP_LEVEL)?),
        ParquetCompression::None => Compression::UNCOMPRESSED,
    })
}

/// Compresses pages one after the other, in memory that it keeps.
pub(crate) enum PageCodec {
    None,
    Snappy(Box<Snappy>),
    Gzip(Deflate),
    Zstd(Zstd<'static>),
}

impl PageCodec {
    pub(crate) fn new(kind: ParquetCompression) -> io::Result<Self> {
        Ok(match kind {
            ParquetCompression::None => Self::None,
            ParquetCompression::Snappy => Self::Snappy(Box::new(Snappy::new())),
            ParquetCompression::Gzip => {
                let level = CompressionLvl::new(DEFLATE_LEVEL);
                let level = level.map_err(|_| io::Error::other("libdeflate has no such level"))?;
                Self::Gzip(Deflate::new(level))
            }
            ParquetCompression::Zstd => {
                let mut zstd = Zstd::new(ZSTD_LEVEL)?;
                zstd.set_parameter(CParameter::HashLog(ZSTD_HASH_BITS))?;
                Self::Zstd(zstd)
            }
        })
    }

    pub(crate) fn compress(&mut self, page: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(page),
            Self::Snappy(snappy) => Ok(snappy.compress_vec(&page)?),
            Self::Gzip(deflate) => {
                let mut member = vec![0; deflate.gzip_compress_bound(page.len())];
                let length = deflate
                    .gzip_compress(&page, &mut member)
                    .map_err(io::Error::other)?;
                member.truncate(length);
                Ok(member)
            }
            Self::Zstd(zstd) => zstd.compress(&page),
        }
    }
}
