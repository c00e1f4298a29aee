//! Uploads several parts at once, within a budget of memory.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use crate::client::Sink;
use crate::error::SinkError;
use crate::multipart::{UploadId, UploadedPart};
use crate::part_buffer::Part;

/// The parts of one file on their way to the storage. Dropping it stops them.
#[derive(Debug)]
pub struct PartUploads {
    sink: Sink,
    key: Arc<str>,
    upload: UploadId,
    in_flight_bytes: u64,
    tasks: JoinSet<Result<UploadedPart, SinkError>>,
    uploaded: Vec<UploadedPart>,
}

impl PartUploads {
    /// Makes an empty set for the parts of `upload`.
    pub fn new(sink: &Sink, key: &str, upload: &UploadId) -> Self {
        Self {
            sink: sink.clone(),
            key: key.into(),
            upload: upload.clone(),
            in_flight_bytes: 0,
            tasks: JoinSet::new(),
            uploaded: Vec::new(),
        }
    }

    /// Starts the upload of a part, once the parts before it have left enough room.
    ///
    /// A part that is larger than all the room there is goes alone.
    ///
    /// # Errors
    ///
    /// That of a part before it.
    pub async fn submit(&mut self, part: Part) -> Result<(), SinkError> {
        while let Some(finished) = self.tasks.try_join_next() {
            self.collect(finished)?;
        }
        let size_bytes = part.bytes.len() as u64;
        while self.in_flight_bytes + size_bytes > self.sink.upload_in_flight_bytes
            && let Some(finished) = self.tasks.join_next().await
        {
            self.collect(finished)?;
        }
        self.in_flight_bytes += size_bytes;
        let (sink, key, upload) = (self.sink.clone(), self.key.clone(), self.upload.clone());
        self.tasks
            .spawn(async move { sink.upload_part(&key, &upload, part).await }.in_current_span());
        Ok(())
    }

    /// Waits for all parts and returns them in the order of the file.
    ///
    /// # Errors
    ///
    /// That of the first part that failed.
    pub async fn finish(mut self) -> Result<Vec<UploadedPart>, SinkError> {
        while let Some(finished) = self.tasks.join_next().await {
            self.collect(finished)?;
        }
        self.uploaded.sort_unstable_by_key(|part| part.number);
        Ok(self.uploaded)
    }

    fn collect(
        &mut self,
        finished: Result<Result<UploadedPart, SinkError>, JoinError>,
    ) -> Result<(), SinkError> {
        let part = finished??;
        self.in_flight_bytes -= part.size_bytes;
        self.uploaded.push(part);
        Ok(())
    }
}
