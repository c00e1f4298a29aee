//! The files that `s3s-fs` keeps of an object.

use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
