//! The files that `s3s-fs` keeps of an object.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::crypto::{Checksum as _, Md5};
use serde_json::json;

use super::part_file::{PartFile, hex};

/// Where the parts of an object are.
pub(super) struct Files {
    bytes: PathBuf,
    metadata: PathBuf,
    checksums: PathBuf,
}

impl Files {
    /// Names the files of an object.
    pub(super) fn of(root: &Path, bucket: &str, key: &str) -> Self {
        let [name, of] = [key, bucket].map(|text| URL_SAFE_NO_PAD.encode(text));
        let beside = |kind| root.join(format!(".bucket-{of}.object-{name}.{kind}.json"));
        Self {
            bytes: root.join(bucket).join(key),
            metadata: beside("metadata"),
            checksums: beside("internal"),
        }
    }

    /// Makes parts the bytes of the object, and tells its `ETag`, which is the MD5 of their MD5s.
    pub(super) fn fill(
        &self,
        parts: impl ExactSizeIterator<Item = PartFile>,
    ) -> io::Result<String> {
        let count = parts.len();
        let mut md5 = Md5::new();
        let mut bytes = File::create(&self.bytes)?;
        for part in parts {
            md5.update(&part.md5);
            io::copy(&mut File::open(&part.path)?, &mut bytes)?;
        }
        let etag = format!("{}-{count}", hex(&md5.finalize()));
        fs::write(&self.checksums, json!({ "e_tag": etag }).to_string())?;
        Ok(etag)
    }

    /// Makes an object of a new name of them. Who sees it sees all of it.
    pub(super) fn move_to(&self, new: &Self) -> io::Result<()> {
        if let Some(dir) = new.bytes.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::rename(&self.metadata, &new.metadata)?;
        fs::rename(&self.checksums, &new.checksums)?;
        fs::rename(&self.bytes, &new.bytes)
    }
}
