//! The bytes of the file in order, with their number and their checksum.

use bytes::Bytes;
use encode::{Assembler, EncodeError, EncodedBlock};
use sha2::{Digest, Sha256};

/// Puts encoded blocks together and hashes what comes out. CPU work: not for the async runtime.
pub(super) struct Assembly {
    assembler: Assembler,
    sha256: Sha256,
    size_bytes: u64,
}

/// What is known of a file once its last byte is.
#[derive(Debug)]
pub(super) struct Seal {
    /// In lower-case hexadecimal.
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
}

impl Assembly {
    /// Starts a file.
    pub(super) fn new(assembler: Assembler) -> Self {
        Self {
            assembler,
            sha256: Sha256::new(),
            size_bytes: 0,
        }
    }

    /// Returns the bytes that the next block adds to the file.
    pub(super) fn push(mut self, block: EncodedBlock) -> Result<(Self, Bytes), EncodeError> {
        let bytes = self.assembler.push(block)?;
        self.sha256.update(&bytes);
        self.size_bytes += bytes.len() as u64;
        Ok((self, bytes))
    }

    /// Returns the last bytes of the file, and what is known of all of them.
    pub(super) fn finish(mut self) -> Result<(Seal, Bytes), EncodeError> {
        let bytes = self.assembler.finish()?;
        self.sha256.update(&bytes);
        let seal = Seal {
            sha256: hex::encode(self.sha256.finalize()),
            size_bytes: self.size_bytes + bytes.len() as u64,
        };
        Ok((seal, bytes))
    }
}
