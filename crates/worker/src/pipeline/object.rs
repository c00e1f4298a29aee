//! The object that an export writes: with a single request when it is small, else part by part,
//! with a checkpoint behind each slice.

use std::mem;

use bytes::Bytes;
use domain::ExportedFile;
use encode::{Assembler, EncodeError, EncodedBlock};
use sink::{ObjectKind, PartBuffer, PartUploads, Sink, UploadId, UploadedPart};
use store::StoreError;
use store::removals::Stored;
use store::uploads::{Checkpoint, UploadPlan};

use crate::lease::{Lease, Note};
use crate::metrics::Written;
use crate::object_key;
use crate::pipeline::PipelineError;
use crate::pipeline::assembly::{Assembly, Seal};
use crate::pipeline::resume::{Resumption, stored};

/// How many part numbers are reserved at a time: one write to Postgres for each 256 MiB at first.
const PARTS_AHEAD: u16 = 32;

/// The highest part number that S3 knows.
pub(super) const LAST_PART: u16 = 10_000;

/// Writes one object.
pub(super) struct ObjectWriter {
    sink: Sink,
    lease: Lease,
    key: String,
    kind: ObjectKind,
    plan: UploadPlan,
    /// Away while a blocking thread works on it.
    assembly: Option<Assembly>,
    buffer: PartBuffer,
    written: Written,
    upload: Option<Upload>,
    /// Whether it is settled what the row of the job says of the key and the upload: a write on its
    /// way could still name them.
    noted: bool,
    /// The slices that wait for their last parts to arrive.
    pending: Option<Pending>,
}

struct Upload {
    id: UploadId,
    parts: PartUploads,
    /// The last number that this claim may use.
    reserved: u16,
    /// The last number that it has used.
    last: u16,
    /// The parts up to the last checkpoint.
    checkpointed: Vec<UploadedPart>,
}

/// A checkpoint but for its parts.
struct Pending {
    last_part: u16,
    checkpoint: Checkpoint,
}

impl ObjectWriter {
    /// Starts an object. Nothing is stored before there are enough bytes for a part.
    pub(super) fn new(sink: Sink, lease: Lease, plan: UploadPlan, assembler: Assembler) -> Self {
        let claim = lease.claim();
        // The token makes the key this claim's own: a worker that has lost its lease begins no
        // object that its successor may begin too.
        let key = object_key::of(&claim.job, claim.token());
        let buffer = sink.part_buffer(1);
        let assembly = Assembly::new(assembler);
        Self::with(sink, lease, plan, key, assembly, buffer, None)
    }

    /// Goes on with an object behind its last checkpoint, with part numbers that no claim before
    /// this one can have used.
    pub(super) fn resume(
        sink: Sink,
        lease: Lease,
        resumption: Resumption,
        assembly: Assembly,
    ) -> Self {
        let Resumption {
            plan,
            key,
            upload_id,
            parts_reserved,
            parts,
            ..
        } = resumption;
        let buffer = sink.part_buffer(parts_reserved + 1);
        let upload = Upload {
            parts: PartUploads::new(&sink, &key, &upload_id),
            id: upload_id,
            reserved: parts_reserved,
            last: parts_reserved,
            checkpointed: parts,
        };
        Self::with(sink, lease, plan, key, assembly, buffer, Some(upload))
    }

    fn with(
        sink: Sink,
        lease: Lease,
        plan: UploadPlan,
        key: String,
        assembly: Assembly,
        buffer: PartBuffer,
        upload: Option<Upload>,
    ) -> Self {
        let job = &lease.claim().job;
        let (request, written) = (&job.request, Written::by(job));
        let kind = ObjectKind {
            content_type: request.output.content_type().to_owned(),
            file_name: request.file_name(),
        };
        Self {
            sink,
            lease,
            key,
            kind,
            plan,
            assembly: Some(assembly),
            buffer,
            written,
            noted: upload.is_some(),
            upload,
            pending: None,
        }
    }

    /// Returns what the file is made of.
    pub(super) fn plan(&self) -> &UploadPlan {
        &self.plan
    }

    /// Appends a block. Waits when the storage is slower than the encoders.
    pub(super) async fn append(&mut self, block: EncodedBlock) -> Result<(), PipelineError> {
        let rows = block.rows();
        let (assembly, bytes) = self.assemble(|assembly| assembly.push(block)).await?;
        self.assembly = Some(assembly);
        self.written.block(rows, bytes.len());
        self.store(bytes).await?;
        self.settle(false).await
    }

    /// Ends a slice, the `slices`-th of the file, behind `rows` rows. There is a checkpoint once
    /// all bytes up to here are stored, unless they are too few for a part.
    pub(super) async fn end_slice(
        &mut self,
        slices: usize,
        rows: u64,
    ) -> Result<(), PipelineError> {
        self.settle(true).await?;
        let Some(part) = self.buffer.cut() else {
            return Ok(());
        };
        let last_part = part.number;
        self.submit(part).await?;
        let step = move |assembly: Assembly| assembly.checkpoint(slices, rows);
        let (assembly, checkpoint) = self.assemble(step).await?;
        self.assembly = Some(assembly);
        self.pending = Some(Pending {
            last_part,
            checkpoint,
        });
        Ok(())
    }

    /// Writes the checkpoint whose parts have arrived; `wait`s for them, or looks only.
    pub(super) async fn settle(&mut self, wait: bool) -> Result<(), PipelineError> {
        let (Some(pending), Some(upload)) = (&mut self.pending, &mut self.upload) else {
            return Ok(());
        };
        let parts = if wait {
            upload.parts.wait_up_to(pending.last_part).await?
        } else if let Some(parts) = upload.parts.uploaded_up_to(pending.last_part)? {
            parts
        } else {
            return Ok(());
        };
        pending.checkpoint.parts = parts.iter().map(stored).collect();
        self.lease
            .note(&Note::Checkpoint(&pending.checkpoint))
            .await?;
        tracing::debug!(slices = pending.checkpoint.slices, "checkpoint");
        upload.checkpointed.extend(parts);
        self.pending = None;
        Ok(())
    }

    /// Writes what comes behind the last block, and makes the object of `rows` rows visible.
    pub(super) async fn finish(&mut self, rows: u64) -> Result<ExportedFile, PipelineError> {
        let (Seal { sha256, size_bytes }, bytes) = self.assemble(Assembly::finish).await?;
        self.written.block(0, bytes.len());
        self.store(bytes).await?;
        let file = ExportedFile {
            object_key: self.key.clone(),
            size_bytes,
            rows,
            sha256,
        };
        let buffer = mem::replace(&mut self.buffer, self.sink.part_buffer(1));
        let last = buffer.finish();
        if self.upload.is_none() {
            let whole = last.map_or_else(Bytes::new, |part| part.bytes);
            let noted = self.lease.note(&Note::Object { key: &self.key }).await;
            self.noted = is_settled(&noted);
            noted?;
            self.sink.put_object(&self.key, whole, &self.kind).await?;
            return Ok(file);
        }
        if let Some(last) = last {
            self.submit(last).await?;
        }
        self.publish(&file).await?;
        Ok(file)
    }

    /// Returns what this attempt may have stored, as far as the row of the job can say now whether it
    /// is needed. The rest is for the sweep to find.
    pub(super) fn stored(&self) -> Vec<Stored> {
        if !self.noted {
            return Vec::new();
        }
        let stored = |upload_id| Stored {
            job: self.lease.claim().job.id,
            object_key: self.key.clone(),
            upload_id,
        };
        let upload = self.upload.as_ref();
        let upload = upload.map(|upload| stored(Some(upload.id.as_str().to_owned())));
        upload.into_iter().chain([stored(None)]).collect()
    }

    async fn assemble<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(Assembly) -> Result<T, EncodeError> + Send + 'static,
    ) -> Result<T, PipelineError> {
        let assembly = self.assembly.take().ok_or(PipelineError::EncoderGone)?;
        let done = tokio::task::spawn_blocking(move || step(assembly)).await;
        Ok(done.map_err(|_| PipelineError::EncoderGone)??)
    }

    async fn store(&mut self, mut bytes: Bytes) -> Result<(), PipelineError> {
        while !bytes.is_empty() {
            if let Some(part) = self.buffer.fill(&mut bytes)? {
                self.submit(part).await?;
            }
        }
        Ok(())
    }

    /// Uploads a part, the first of which begins the upload.
    async fn submit(&mut self, part: sink::Part) -> Result<(), PipelineError> {
        let number = part.number;
        let reserved = number.saturating_add(PARTS_AHEAD - 1).min(LAST_PART);
        if self.upload.is_none() {
            self.begin(reserved).await?;
        }
        let upload = self.upload.as_mut().ok_or(PipelineError::EncoderGone)?;
        if number > upload.reserved {
            self.lease.note(&Note::PartsReserved(reserved)).await?;
            upload.reserved = reserved;
        }
        upload.last = number;
        Ok(upload.parts.submit(part).await?)
    }

    async fn begin(&mut self, reserved: u16) -> Result<(), PipelineError> {
        let id = self.sink.create_upload(&self.key, &self.kind).await?;
        let parts = PartUploads::new(&self.sink, &self.key, &id);
        let upload = self.upload.insert(Upload {
            id,
            parts,
            reserved,
            last: 0,
            checkpointed: Vec::new(),
        });
        // Noted before the first part, so that a crash leaves nothing that nobody knows of.
        let note = Note::Upload {
            key: &self.key,
            id: upload.id.as_str(),
            plan: &self.plan,
            parts_reserved: reserved,
        };
        let noted = self.lease.note(&note).await;
        self.noted = is_settled(&noted);
        Ok(noted?)
    }

    /// Makes an upload whose parts are all on their way an object.
    async fn publish(&mut self, file: &ExportedFile) -> Result<(), PipelineError> {
        let upload = self.upload.as_mut().ok_or(PipelineError::EncoderGone)?;
        let parts = upload.parts.wait_up_to(upload.last).await?;
        // Whoever comes after a crash now finds the object, or has only to complete it.
        let last = Checkpoint {
            slices: self.plan.slices.len(),
            rows: file.rows,
            size_bytes: file.size_bytes,
            parts: parts.iter().map(stored).collect(),
            encoder: Vec::new(),
            sha256_state: Vec::new(),
        };
        self.lease.note(&Note::Whole { file, last: &last }).await?;
        upload.checkpointed.extend(parts);
        self.sink
            .complete_upload(&self.key, &upload.id, &upload.checkpointed, file.size_bytes)
            .await?;
        Ok(())
    }
}

/// Tells whether a note is in the row, or never will be.
fn is_settled(noted: &Result<(), StoreError>) -> bool {
    matches!(noted, Ok(()) | Err(StoreError::LeaseLost))
}
