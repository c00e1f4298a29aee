//! The bytes of the file in order, with their number and their checksum.

use bytes::Bytes;
use encode::{Assembler, EncodeError, EncodedBlock, Encoder};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use store::uploads::Checkpoint;

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

    /// Goes on behind the last of some checkpoints, or returns nothing when they cannot be read.
    pub(super) fn resume(encoder: &Encoder, checkpoints: &[Checkpoint]) -> Option<Self> {
        let deltas = checkpoints.iter().map(|checkpoint| &checkpoint.encoder);
        let assembler = encoder.resume(deltas).ok()?;
        let Some(checkpoint) = checkpoints.last() else {
            return Some(Self::new(assembler));
        };
        let state = SerializedState::<Sha256>::try_from(&checkpoint.sha256_state[..]).ok()?;
        Some(Self {
            assembler,
            sha256: Sha256::deserialize(&state).ok()?,
            size_bytes: checkpoint.size_bytes,
        })
    }

    /// Describes the file up to here, which is behind `rows` rows of `slices` slices of the export and ends
    /// with `rest`, but for the parts that it is stored in.
    pub(super) fn checkpoint(
        mut self,
        slices: usize,
        rows: u64,
        rest: Vec<u8>,
    ) -> Result<(Self, Checkpoint), EncodeError> {
        let checkpoint = Checkpoint {
            slices,
            rows,
            size_bytes: self.size_bytes,
            parts: Vec::new(),
            encoder: self.assembler.checkpoint()?.to_vec(),
            sha256_state: self.sha256.serialize().to_vec(),
            rest,
        };
        Ok((self, checkpoint))
    }

    /// Returns how many bytes the file has at most if it ends behind this block, which is the next.
    pub(super) fn most_bytes_with(&mut self, block: &EncodedBlock) -> Result<u64, EncodeError> {
        Ok(self.size_bytes + self.assembler.most_bytes_with(block)?)
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
