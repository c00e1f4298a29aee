//! The object that an export writes: with a single request when it is small, else part by part.

use std::error::Error;
use std::mem;

use bytes::Bytes;
use domain::ExportedFile;
use encode::{Assembler, EncodeError, EncodedBlock};
use sink::{ObjectKind, PartBuffer, PartUploads, Sink, UploadId};

use crate::lease::Lease;
use crate::pipeline::PipelineError;
use crate::pipeline::assembly::{Assembly, Seal};

/// Writes one object.
pub(super) struct ObjectWriter {
    sink: Sink,
    lease: Lease,
    key: String,
    kind: ObjectKind,
    /// Away while a blocking thread works on it.
    assembly: Option<Assembly>,
    parts: PartBuffer,
    upload_id: Option<UploadId>,
    uploads: Option<PartUploads>,
    /// Whether the storage was asked to make the object visible, whatever it answered.
    published: bool,
}

impl ObjectWriter {
    /// Starts an object. Nothing is stored before there are enough bytes for a part.
    pub(super) fn new(sink: Sink, lease: Lease, assembler: Assembler) -> Self {
        let claim = lease.claim();
        let job = &claim.job;
        let file_name = job.request.file_name();
        Self {
            // The token makes the key this claim's own: a worker that has lost its lease writes
            // to another object than its successor.
            key: format!(
                "{}/{}/{}/{file_name}",
                job.organization,
                job.id,
                claim.token()
            ),
            kind: ObjectKind {
                content_type: job.request.output.content_type().to_owned(),
                file_name,
            },
            assembly: Some(Assembly::new(assembler)),
            parts: sink.part_buffer(),
            upload_id: None,
            uploads: None,
            published: false,
            sink,
            lease,
        }
    }

    /// Appends a block. Waits when the storage is slower than the encoders.
    pub(super) async fn append(&mut self, block: EncodedBlock) -> Result<(), PipelineError> {
        let (assembly, bytes) = self.assemble(|assembly| assembly.push(block)).await?;
        self.assembly = Some(assembly);
        self.store(bytes).await
    }

    /// Writes what comes behind the last block, and makes the object of `rows` rows visible.
    pub(super) async fn finish(&mut self, rows: u64) -> Result<ExportedFile, PipelineError> {
        let (Seal { sha256, size_bytes }, bytes) = self.assemble(Assembly::finish).await?;
        self.store(bytes).await?;
        self.publish(size_bytes).await?;
        Ok(ExportedFile {
            object_key: self.key.clone(),
            size_bytes,
            rows,
            sha256,
        })
    }

    /// Removes what is stored so far, as far as that is possible now.
    pub(super) async fn abort(mut self) {
        // Parts that are still on their way would outlive the upload.
        drop(self.uploads.take());
        if let Some(upload_id) = &self.upload_id
            && let Err(error) = self.sink.abort_upload(&self.key, upload_id).await
        {
            tracing::warn!(error = &error as &dyn Error, "the upload is left behind");
        }
        if self.published
            && let Err(error) = self.sink.delete_object(&self.key).await
        {
            tracing::warn!(error = &error as &dyn Error, "the object is left behind");
        }
    }

    async fn assemble<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(Assembly) -> Result<(T, Bytes), EncodeError> + Send + 'static,
    ) -> Result<(T, Bytes), PipelineError> {
        let assembly = self.assembly.take().ok_or(PipelineError::EncoderGone)?;
        let done = tokio::task::spawn_blocking(move || step(assembly)).await;
        Ok(done.map_err(|_| PipelineError::EncoderGone)??)
    }

    async fn store(&mut self, mut bytes: Bytes) -> Result<(), PipelineError> {
        while !bytes.is_empty() {
            if let Some(part) = self.parts.fill(&mut bytes)? {
                self.uploads().await?.submit(part).await?;
            }
        }
        Ok(())
    }

    /// Returns the multipart upload, which begins with the first part.
    async fn uploads(&mut self) -> Result<&mut PartUploads, PipelineError> {
        if self.upload_id.is_none() {
            let upload_id = self.sink.create_upload(&self.key, &self.kind).await?;
            let id = self.upload_id.insert(upload_id);
            // Noted before the first part, so that a crash leaves nothing that nobody knows of.
            self.lease
                .record_upload(&self.key, Some(id.as_str()))
                .await?;
            return Ok(self
                .uploads
                .insert(PartUploads::new(&self.sink, &self.key, id)));
        }
        self.uploads.as_mut().ok_or(PipelineError::EncoderGone)
    }

    async fn publish(&mut self, size_bytes: u64) -> Result<(), PipelineError> {
        let last = mem::replace(&mut self.parts, self.sink.part_buffer()).finish();
        if let (Some(upload_id), Some(mut uploads)) = (&self.upload_id, self.uploads.take()) {
            if let Some(last) = last {
                uploads.submit(last).await?;
            }
            let parts = uploads.finish().await?;
            self.published = true;
            self.sink
                .complete_upload(&self.key, upload_id, &parts, size_bytes)
                .await?;
        } else {
            self.lease.record_upload(&self.key, None).await?;
            let whole = last.map_or_else(Bytes::new, |part| part.bytes);
            self.published = true;
            self.sink.put_object(&self.key, whole, &self.kind).await?;
        }
        Ok(())
    }
}
