//! The files of an export, one after the other, with a checkpoint behind each slice. As a rule there is one.

use std::sync::Arc;

use domain::{ExportedFile, ExportedFiles, Split};
use encode::{EncodedBlock, Encoder};
use sink::Sink;
use store::files::WholeFile;
use store::removals::Stored;
use store::uploads::{Checkpoint, UploadPlan};

use crate::lease::{Lease, Note};
use crate::pipeline::PipelineError;
use crate::pipeline::assembly::Assembly;
use crate::pipeline::object::{Ended, ObjectWriter, Pending};
use crate::pipeline::publish::publish;
use crate::pipeline::resume::Resumption;

/// Writes the files of an export.
pub(super) struct FilesWriter {
    sink: Sink,
    lease: Lease,
    plan: Arc<UploadPlan>,
    encoder: Arc<Encoder>,
    /// The file that is being written.
    object: ObjectWriter,
    /// Those before it.
    whole: Vec<WholeFile>,
    /// How many of them checkpoints name.
    named: usize,
    /// The slices that wait for their last parts to arrive.
    pending: Option<Pending>,
}

impl FilesWriter {
    /// Starts the first file.
    pub(super) fn new(sink: Sink, lease: Lease, plan: UploadPlan, encoder: Arc<Encoder>) -> Self {
        let plan = Arc::new(plan);
        let object = ObjectWriter::new(
            sink.clone(),
            lease.clone(),
            Arc::clone(&plan),
            1,
            encoder.assembler(),
        );
        Self {
            sink,
            lease,
            plan,
            encoder,
            object,
            whole: Vec::new(),
            named: 0,
            pending: None,
        }
    }

    /// Goes on behind the last checkpoint.
    pub(super) async fn resume(
        sink: Sink,
        lease: Lease,
        resumption: Resumption,
        assembly: Assembly,
        encoder: Arc<Encoder>,
    ) -> Result<Self, PipelineError> {
        let (plan, whole) = (Arc::clone(&resumption.plan), resumption.files.clone());
        let object = ObjectWriter::resume(sink.clone(), lease.clone(), resumption, assembly);
        Ok(Self {
            object: object.await?,
            sink,
            lease,
            plan,
            encoder,
            named: whole.len(),
            whole,
            pending: None,
        })
    }

    /// Returns what the files are made of.
    pub(super) fn plan(&self) -> &UploadPlan {
        &self.plan
    }

    /// Appends a block, to the next file if this one is full. Waits when the storage is slower than the
    /// encoders.
    pub(super) async fn append(&mut self, block: EncodedBlock) -> Result<(), PipelineError> {
        if let Some(split) = self.lease.claim().request.split
            && self.object.is_full_for(&block, split)?
        {
            self.turn().await?;
        }
        self.object.append(block).await?;
        self.settle(false).await
    }

    /// Ends the file and starts the next. It becomes an object behind the next checkpoint: until then,
    /// whoever goes on from the last one needs its upload.
    async fn turn(&mut self) -> Result<(), PipelineError> {
        let next = self.object.number() + 1;
        if next > Split::MAX_FILES {
            return Err(PipelineError::TooManyFiles);
        }
        self.settle(true).await?;
        self.whole.push(self.object.end().await?.whole);
        self.object = ObjectWriter::new(
            self.sink.clone(),
            self.lease.clone(),
            Arc::clone(&self.plan),
            next,
            self.encoder.assembler(),
        );
        Ok(())
    }

    /// Ends a slice, the `slices`-th of the export, behind `rows` rows. There is a checkpoint once all bytes
    /// up to here are stored, unless they are too few for a part.
    pub(super) async fn end_slice(
        &mut self,
        slices: usize,
        rows: u64,
    ) -> Result<(), PipelineError> {
        self.settle(true).await?;
        let has_turned = self.whole.len() > self.named;
        self.pending = self.object.checkpoint(slices, rows, has_turned).await?;
        Ok(())
    }

    /// Writes the checkpoint whose parts have arrived; `wait`s for them, or looks only.
    pub(super) async fn settle(&mut self, wait: bool) -> Result<(), PipelineError> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        if !self.object.settle(pending, wait).await? {
            return Ok(());
        }
        let checkpoint = &pending.checkpoint;
        let whole = &self.whole[self.named..];
        let upload = self.object.upload().ok_or(PipelineError::EncoderGone)?;
        let note = if whole.is_empty() {
            Note::Checkpoint(checkpoint)
        } else {
            Note::Turn {
                whole,
                upload: &upload,
                checkpoint,
            }
        };
        self.lease.note(&note).await?;
        tracing::debug!(slices = checkpoint.slices, "checkpoint");
        self.pending = None;
        self.object.belongs_to_job();
        self.publish().await
    }

    /// Ends the last file, and makes all of them visible.
    pub(super) async fn finish(&mut self) -> Result<Vec<ExportedFile>, PipelineError> {
        if self.whole.is_empty() {
            return self.finish_only().await.map(|file| vec![file]);
        }
        self.settle(true).await?;
        self.whole.push(self.object.end().await?.whole);
        let files: Vec<_> = self.whole.iter().map(|whole| whole.file.clone()).collect();
        // Whoever comes after a crash now finds the objects, or has only to complete them.
        let note = Note::AllWhole {
            whole: &self.whole[self.named..],
            totals: &ExportedFiles::from(files.clone()).totals(),
        };
        self.lease.note(&note).await?;
        self.publish().await?;
        Ok(files)
    }

    async fn finish_only(&mut self) -> Result<ExportedFile, PipelineError> {
        let Ended {
            mut whole,
            checkpointed,
        } = self.object.end().await?;
        if let Some(upload) = &whole.upload {
            // The same as for several, but in the row of the job.
            let last = Checkpoint {
                slices: self.plan.slices.len(),
                rows: whole.file.rows,
                size_bytes: whole.file.size_bytes,
                parts: upload.parts[checkpointed..].to_vec(),
                encoder: Vec::new(),
                sha256_state: Vec::new(),
                rest: Vec::new(),
            };
            let file = &whole.file;
            self.lease.note(&Note::Whole { file, last: &last }).await?;
        }
        publish(&self.sink, &mut whole).await?;
        Ok(whole.file)
    }

    /// Makes objects of the files that the database names since now.
    async fn publish(&mut self) -> Result<(), PipelineError> {
        for whole in &mut self.whole[self.named..] {
            publish(&self.sink, whole).await?;
        }
        self.named = self.whole.len();
        Ok(())
    }

    /// Returns what this attempt may have stored, as far as the database can say now whether it is needed.
    /// The rest is for the sweep to find.
    pub(super) fn stored(&self) -> Vec<Stored> {
        let whole = self.whole.iter().flat_map(|whole| {
            let upload = whole.upload.as_ref().map(|upload| Some(upload.id.clone()));
            upload.into_iter().chain([None]).map(|upload_id| Stored {
                job: self.lease.claim().job.id,
                object_key: whole.file.object_key.clone(),
                upload_id,
            })
        });
        whole.chain(self.object.stored()).collect()
    }
}
