//! A part of an upload, as a file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use futures::StreamExt as _;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{StreamingBlob, Timestamp};
use s3s::{S3Error, S3Result, s3_error};
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

/// The bytes of a part. Dropping it removes them.
#[derive(Debug)]
pub(super) struct PartFile {
    pub(super) path: TempPath,
    pub(super) md5: [u8; 16],
    pub(super) size_bytes: u64,
    pub(super) last_modified: Timestamp,
}

impl PartFile {
    /// Writes a body into a file in `dir`. One that breaks off leaves nothing.
    pub(super) async fn receive(dir: &Path, mut body: StreamingBlob) -> S3Result<Self> {
        let file = NamedTempFile::with_prefix_in(".tmp.", dir).map_err(S3Error::internal_error)?;
        let (file, path) = file.into_parts();
        let mut file = BufWriter::new(File::from_std(file));
        let mut md5 = Md5::new();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            md5.update(&bytes);
            file.write_all(&bytes)
                .await
                .map_err(S3Error::internal_error)?;
        }
        file.flush().await.map_err(S3Error::internal_error)?;
        let metadata = fs::metadata(&path).map_err(S3Error::internal_error)?;
        let last_modified = metadata.modified().map_err(S3Error::internal_error)?;
        Ok(Self {
            path,
            md5: md5.finalize(),
            size_bytes: metadata.len(),
            last_modified: last_modified.into(),
        })
    }

    pub(super) fn etag(&self) -> String {
        hex(&self.md5)
    }

    /// Moves the bytes to where nothing is yet.
    pub(super) fn move_to(self, path: &Path) -> S3Result<Self> {
        self.path.persist(path).map_err(S3Error::internal_error)?;
        let path = TempPath::try_from_path(path).map_err(S3Error::internal_error)?;
        Ok(Self { path, ..self })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
