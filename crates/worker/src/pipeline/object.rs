//! An object that an export writes: with a single request when it is small, else part by part.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use domain::{ExportedFile, Split};
use encode::{Assembler, EncodeError, EncodedBlock};
use sink::{ObjectKind, PartBuffer, PartUploads, Sink, UploadId, UploadedPart};
use store::StoreError;
use store::files::{WholeFile, WholeUpload};
use store::removals::Stored;
use store::uploads::{Checkpoint, NewUpload, UploadPlan};

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
    plan: Arc<UploadPlan>,
    /// Its place in the export, from 1.
    number: u32,
    key: String,
    kind: ObjectKind,
    rows: u64,
    /// Away while a blocking thread works on it.
    assembly: Option<Assembly>,
    buffer: PartBuffer,
    written: Written,
    upload: Option<Upload>,
    /// Whether the row of the job is the one that names it.
    is_of_job: bool,
    /// Whether it is settled what the database says of the key and the upload: a write on its way could
    /// still name them.
    noted: bool,
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

/// A checkpoint in an object, but for the parts that are still on their way.
pub(super) struct Pending {
    last_part: u16,
    pub(super) checkpoint: Checkpoint,
}

/// What an object is once its last byte is on its way.
pub(super) struct Ended {
    pub(super) whole: WholeFile,
    /// How many of its parts checkpoints name.
    pub(super) checkpointed: usize,
}

impl ObjectWriter {
    /// Starts the object of a file by its number. Nothing is stored before there are enough bytes for a
    /// part.
    pub(super) fn new(
        sink: Sink,
        lease: Lease,
        plan: Arc<UploadPlan>,
        number: u32,
        assembler: Assembler,
    ) -> Self {
        Self::with(sink, lease, plan, number, Assembly::new(assembler))
    }

    /// Goes on with an object behind its last checkpoint, with part numbers that no claim before
    /// this one can have used.
    pub(super) async fn resume(
        sink: Sink,
        lease: Lease,
        resumption: Resumption,
        assembly: Assembly,
    ) -> Result<Self, PipelineError> {
        let done = resumption.done();
        let number = u32::try_from(resumption.files.len()).unwrap_or(u32::MAX) + 1;
        let before: u64 = resumption.files.iter().map(|file| file.file.rows).sum();
        let Resumption {
            plan,
            key,
            upload_id,
            parts_reserved,
            parts,
            rest,
            ..
        } = resumption;
        let upload = Upload {
            parts: PartUploads::new(&sink, &key, &upload_id),
            id: upload_id,
            reserved: parts_reserved,
            last: parts_reserved,
            checkpointed: parts,
        };
        let mut object = Self {
            buffer: sink.part_buffer(parts_reserved + 1),
            key,
            rows: done.rows.saturating_sub(before),
            upload: Some(upload),
            is_of_job: true,
            noted: true,
            ..Self::with(sink, lease, plan, number, assembly)
        };
        object.store(rest.into()).await?;
        Ok(object)
    }

    fn with(
        sink: Sink,
        lease: Lease,
        plan: Arc<UploadPlan>,
        number: u32,
        assembly: Assembly,
    ) -> Self {
        let claim = lease.claim();
        let (request, written) = (&claim.request, Written::by(claim));
        let kind = ObjectKind {
            content_type: request.output.content_type().to_owned(),
            file_name: request.file_name(number),
        };
        // The token makes the key this claim's own: a worker that has lost its lease begins no
        // object that its successor may begin too.
        let key = object_key::of(claim, number);
        Self {
            buffer: sink.part_buffer(1),
            sink,
            lease,
            plan,
            number,
            key,
            kind,
            rows: 0,
            assembly: Some(assembly),
            written,
            upload: None,
            is_of_job: number == 1,
            noted: false,
        }
    }

    /// Returns its place in the export, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Tells whether the file must end before a block.
    pub(super) fn is_full_for(
        &mut self,
        block: &EncodedBlock,
        split: Split,
    ) -> Result<bool, PipelineError> {
        Ok(match split {
            _ if self.rows == 0 => false,
            Split::Rows(most) => self.rows >= most,
            Split::Bytes(most) => {
                let assembly = self.assembly.as_mut().ok_or(PipelineError::EncoderGone)?;
                assembly.most_bytes_with(block)? > most
            }
        })
    }

    /// Appends a block. Waits when the storage is slower than the encoders.
    pub(super) async fn append(&mut self, block: EncodedBlock) -> Result<(), PipelineError> {
        let rows = block.rows();
        let (assembly, bytes) = self.assemble(|assembly| assembly.push(block)).await?;
        self.assembly = Some(assembly);
        self.rows += rows;
        self.written.block(rows, bytes.len());
        self.store(bytes).await
    }

    /// Begins a checkpoint behind the `slices`-th slice and `rows` rows of the export. There is none when the
    /// bytes since the last one are too few for a part, unless there `must` be.
    pub(super) async fn checkpoint(
        &mut self,
        slices: usize,
        rows: u64,
        must: bool,
    ) -> Result<Option<Pending>, PipelineError> {
        let mut rest = Vec::new();
        match self.buffer.cut() {
            Some(part) => self.submit(part).await?,
            None if must => rest.extend_from_slice(self.buffer.bytes()),
            None => return Ok(None),
        }
        if self.upload.is_none() {
            self.begin(PARTS_AHEAD).await?;
        }
        let upload = self.upload.as_ref().ok_or(PipelineError::EncoderGone)?;
        let last_part = upload.last;
        let step = move |assembly: Assembly| assembly.checkpoint(slices, rows, rest);
        let (assembly, checkpoint) = self.assemble(step).await?;
        self.assembly = Some(assembly);
        Ok(Some(Pending {
            last_part,
            checkpoint,
        }))
    }

    /// Completes a checkpoint whose parts have arrived; `wait`s for them, or looks only. Returns whether they
    /// have.
    pub(super) async fn settle(
        &mut self,
        pending: &mut Pending,
        wait: bool,
    ) -> Result<bool, PipelineError> {
        let upload = self.upload.as_mut().ok_or(PipelineError::EncoderGone)?;
        let parts = if wait {
            upload.parts.wait_up_to(pending.last_part).await?
        } else if let Some(parts) = upload.parts.uploaded_up_to(pending.last_part)? {
            parts
        } else {
            return Ok(false);
        };
        pending.checkpoint.parts = parts.iter().map(stored).collect();
        upload.checkpointed.extend(parts);
        Ok(true)
    }

    /// Returns the upload, for the row of the job to name it.
    pub(super) fn upload(&self) -> Option<NewUpload<'_>> {
        self.upload.as_ref().map(|upload| NewUpload {
            object_key: &self.key,
            id: upload.id.as_str(),
            plan: &self.plan,
            parts_reserved: upload.reserved,
        })
    }

    /// Knows that the row of the job names it now.
    pub(super) fn belongs_to_job(&mut self) {
        self.is_of_job = true;
    }

    /// Writes what comes behind the last block, and stores what is left: in an object, or in the last parts
    /// of the upload.
    pub(super) async fn end(&mut self) -> Result<Ended, PipelineError> {
        let (Seal { sha256, size_bytes }, bytes) = self.assemble(Assembly::finish).await?;
        self.written.block(0, bytes.len());
        self.store(bytes).await?;
        let buffer = mem::replace(&mut self.buffer, self.sink.part_buffer(1));
        let last = buffer.finish();
        let mut ended = Ended {
            whole: WholeFile {
                number: self.number,
                file: ExportedFile {
                    object_key: self.key.clone(),
                    size_bytes,
                    rows: self.rows,
                    sha256,
                },
                upload: None,
            },
            checkpointed: 0,
        };
        if self.upload.is_none() {
            self.put(last.map_or_else(Bytes::new, |part| part.bytes))
                .await?;
            return Ok(ended);
        }
        if let Some(last) = last {
            self.submit(last).await?;
        }
        let upload = self.upload.as_mut().ok_or(PipelineError::EncoderGone)?;
        ended.checkpointed = upload.checkpointed.len();
        let parts = upload.parts.wait_up_to(upload.last).await?;
        let parts = upload.checkpointed.iter().chain(&parts);
        ended.whole.upload = Some(WholeUpload {
            id: upload.id.as_str().to_owned(),
            parts: parts.map(stored).collect(),
        });
        Ok(ended)
    }

    /// Returns what this attempt may have stored, as far as the database can say now whether it is needed.
    /// The rest is for the sweep to find.
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

    /// Stores the whole object with one request.
    async fn put(&mut self, whole: Bytes) -> Result<(), PipelineError> {
        let note = if self.is_of_job {
            Note::Object { key: &self.key }
        } else {
            Note::FurtherFile {
                number: self.number,
                key: &self.key,
                id: None,
            }
        };
        let noted = self.lease.note(&note).await;
        self.noted = is_settled(&noted);
        noted?;
        Ok(self.sink.put_object(&self.key, whole, &self.kind).await?)
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
            // Nobody goes on with an upload that the row of the job does not name.
            if self.is_of_job {
                self.lease.note(&Note::PartsReserved(reserved)).await?;
            }
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
        let (key, id) = (self.key.as_str(), upload.id.as_str());
        let noted = if self.is_of_job {
            let upload = NewUpload {
                object_key: key,
                id,
                plan: &self.plan,
                parts_reserved: reserved,
            };
            self.lease.note(&Note::Upload(&upload)).await
        } else {
            let (number, id) = (self.number, Some(id));
            self.lease
                .note(&Note::FurtherFile { number, key, id })
                .await
        };
        self.noted = is_settled(&noted);
        Ok(noted?)
    }
}

/// Tells whether a note is in the database, or never will be.
fn is_settled(noted: &Result<(), StoreError>) -> bool {
    matches!(noted, Ok(()) | Err(StoreError::LeaseLost))
}
