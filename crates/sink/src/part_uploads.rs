//! Uploads several parts at once, within a budget of memory.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
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
    in_flight: BTreeSet<u16>,
    /// What is uploaded and was not taken.
    uploaded: BTreeMap<u16, UploadedPart>,
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
            in_flight: BTreeSet::new(),
            uploaded: BTreeMap::new(),
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
        self.collect_finished()?;
        let size_bytes = part.bytes.len() as u64;
        while self.in_flight_bytes + size_bytes > self.sink.upload_in_flight_bytes
            && let Some(finished) = self.tasks.join_next().await
        {
            self.collect(finished)?;
        }
        self.in_flight_bytes += size_bytes;
        self.in_flight.insert(part.number);
        let (sink, key, upload) = (self.sink.clone(), self.key.clone(), self.upload.clone());
        let span = tracing::info_span!("part.upload", part.number = part.number, size_bytes);
        self.tasks
            .spawn(async move { sink.upload_part(&key, &upload, part).await }.instrument(span));
        Ok(())
    }

    /// Takes the parts up to `number` that were not taken before, in the order of the file, or
    /// returns nothing when one of them is still on its way. Does not wait.
    ///
    /// # Errors
    ///
    /// That of any part that failed.
    pub fn uploaded_up_to(&mut self, number: u16) -> Result<Option<Vec<UploadedPart>>, SinkError> {
        self.collect_finished()?;
        if self.in_flight.range(..=number).next().is_some() {
            return Ok(None);
        }
        let rest = self.uploaded.split_off(&number.saturating_add(1));
        let taken = mem::replace(&mut self.uploaded, rest);
        Ok(Some(taken.into_values().collect()))
    }

    /// Waits for the parts up to `number`, and takes those that were not taken before, in the order
    /// of the file.
    ///
    /// Dropping it before it is done takes nothing.
    ///
    /// # Errors
    ///
    /// That of any part that failed.
    pub async fn wait_up_to(&mut self, number: u16) -> Result<Vec<UploadedPart>, SinkError> {
        loop {
            if let Some(parts) = self.uploaded_up_to(number)? {
                return Ok(parts);
            }
            match self.tasks.join_next().await {
                Some(finished) => self.collect(finished)?,
                // Its error was returned before.
                None => return Err(SinkError::BrokenParts("one was not uploaded".to_owned())),
            }
        }
    }

    fn collect_finished(&mut self) -> Result<(), SinkError> {
        while let Some(finished) = self.tasks.try_join_next() {
            self.collect(finished)?;
        }
        Ok(())
    }

    fn collect(
        &mut self,
        finished: Result<Result<UploadedPart, SinkError>, JoinError>,
    ) -> Result<(), SinkError> {
        let part = finished??;
        self.in_flight_bytes -= part.size_bytes;
        self.in_flight.remove(&part.number);
        self.uploaded.insert(part.number, part);
        Ok(())
    }
}
