//! A directory that belongs to one running service and goes away with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// An empty directory, removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes `dir/name` an empty directory, whatever was there.
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self> {
        let path = std::path::absolute(dir.join(name))?;
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("cannot clear {}", path.display()));
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Makes an empty directory among the temporary files.
    pub(crate) fn temporary() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("devstack-").tempdir()?;
        Ok(Self(dir.keep()))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // It is gone already after `remove`; otherwise the next start clears it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
