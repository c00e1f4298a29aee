//! One way through the pipeline: from where earlier attempts have come to the whole file.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{ExportedFile, FileContents, Split};
use encode::Encoder;
use source::{Catalogue, PlanOptions, Query, SourceError};
use store::uploads::UploadPlan;
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::lease::{Lease, Note};
use crate::pipeline::files::FilesWriter;
use crate::pipeline::progress::ProgressMeter;
use crate::pipeline::read::{Encoded, Reader};
use crate::pipeline::resume::{self, Beginning, Sealed};
use crate::pipeline::{Pipeline, PipelineError, Stops};

/// Among how many rows those of a job are counted one by one, which takes some 50 ms.
const COUNTED_AMONG: u64 = 250_000;

/// An attempt to make the files of a job.
pub(super) struct Attempt<'a> {
    pipeline: &'a Pipeline,
    lease: &'a Lease,
    stops: &'a Stops,
    /// What is being written.
    files: Option<FilesWriter>,
    /// By what the request was resolved.
    catalogue: Option<Arc<Catalogue>>,
    /// What is being read: how the ids of its queries begin.
    query_id: Mutex<Option<String>>,
}

/// How much of an export there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) slices: usize,
    pub(super) rows: u64,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, lease: &'a Lease, stops: &'a Stops) -> Self {
        Self {
            pipeline,
            lease,
            stops,
            files: None,
            catalogue: None,
            query_id: Mutex::new(None),
        }
    }

    pub(super) async fn run(&mut self) -> Result<Vec<ExportedFile>, PipelineError> {
        let (pipeline, lease) = (self.pipeline, self.lease);
        let sink = pipeline.sink.clone();
        let sealed = resume::find_sealed(&sink, lease).await?;
        if let Sealed::Whole(files) = sealed {
            return Ok(files);
        }
        let claim = lease.claim();
        let query = self.resolve().await?;
        let limits = pipeline.read_limits(&claim.request);
        let encoder = Encoder::new(
            &claim.request.output,
            query.schema(),
            file_metadata(lease),
            pipeline.config.levels(),
        )?;
        let encoder = Arc::new(encoder);
        let fingerprint = resume::fingerprint(&query, lease, limits.block);

        let begun = match sealed {
            Sealed::Gone => Beginning::Nothing,
            _ => resume::find(&sink, lease, &encoder, &fingerprint).await?,
        };
        let (files, done) = match begun {
            Beginning::Slices(resumption, assembly) => {
                let (done, encoder) = (resumption.done(), Arc::clone(&encoder));
                let files =
                    FilesWriter::resume(sink, lease.clone(), *resumption, assembly, encoder);
                (files.await?, done)
            }
            Beginning::Nothing => {
                let contents = FileContents {
                    columns: query.columns(),
                    service_version: env!("CARGO_PKG_VERSION").to_owned(),
                };
                let note = Note::Contents(&contents);
                let noted = async { Ok(lease.note(&note).await?) };
                let ((), plan) = tokio::try_join!(noted, self.plan(&query, fingerprint))?;
                let files = FilesWriter::new(sink, lease.clone(), plan, Arc::clone(&encoder));
                (files, Done::default())
            }
        };
        let files = self.files.insert(files);
        let plan = files.plan().clone();
        let interval = pipeline.config.progress_interval();
        let mut progress =
            ProgressMeter::start(lease.clone(), done.rows, plan.rows_estimated, interval).await?;

        // Room for one block less than may be in flight: the writer holds one more.
        let (blocks, in_order) = mpsc::channel(pipeline.config.blocks_in_flight() - 1);
        let reader = Reader {
            pool: &pipeline.pool,
            lease,
            stop: &self.stops.soon,
            source: pipeline.clickhouse.reader(&query, limits),
            encoder: &encoder,
            slice_rows: plan.rows_estimated / plan.slices.len().max(1) as u64,
            query_id: &self.query_id,
        };
        let read = reader.read(&plan.slices, done, blocks);
        let write = write(in_order, files, &mut progress, done.slices);
        let (whole, ()) = tokio::try_join!(read, write)?;
        if !whole {
            files.settle(true).await?;
            return Err(PipelineError::Stopped);
        }
        files.finish().await
    }

    /// Finds what the request names in what ClickHouse has. What was taken for a request may be newer than
    /// the last look.
    async fn resolve(&mut self) -> Result<Query, PipelineError> {
        let live = &self.pipeline.catalogue;
        let claim = self.lease.claim();
        let job = &claim.job;
        let catalogue = self.catalogue.insert(live.looked().await?);
        if let Ok(query) = catalogue.resolve(&claim.request, job.organization, &job.narrowed_to) {
            return Ok(query);
        }
        *catalogue = live.refresh().await?;
        catalogue
            .resolve(&claim.request, job.organization, &job.narrowed_to)
            .map_err(PipelineError::Dataset)
    }

    /// Looks at the tables again after ClickHouse has said that it does not have something. Where they
    /// changed, another attempt finds what there is now.
    pub(super) async fn explain(&self, error: SourceError) -> PipelineError {
        match self.pipeline.catalogue.refresh().await {
            Ok(now) if self.catalogue.as_ref().is_some_and(|then| *then != now) => {
                PipelineError::TablesChanged(error)
            }
            Ok(_) => PipelineError::Source(error),
            Err(error) => PipelineError::Source(error),
        }
    }

    async fn plan(&self, query: &Query, fingerprint: String) -> Result<UploadPlan, PipelineError> {
        let split = self.lease.claim().request.split;
        let options = PlanOptions {
            target_slice_rows: self.pipeline.config.target_slice_rows,
            // How many files there would be must be right.
            counted_among: match split {
                Some(Split::Rows(_)) => None,
                _ => Some(COUNTED_AMONG),
            },
        };
        let plan = self
            .pipeline
            .clickhouse
            .plan(query, &options)
            .instrument(tracing::info_span!("export.plan"))
            .await?;
        tracing::info!(
            rows = plan.rows_estimated,
            slices = plan.slices.len(),
            "planned"
        );
        if let Some(Split::Rows(most)) = split
            && plan.rows_estimated.div_ceil(most) > Split::MAX_FILES.into()
        {
            return Err(PipelineError::TooManyFiles);
        }
        Ok(UploadPlan {
            fingerprint,
            rows_estimated: plan.rows_estimated,
            slices: plan.slices,
        })
    }

    /// Leaves nothing behind that no job needs: a query that still runs, and what was stored for a
    /// job that is somebody else's now. What the row of the job names stays.
    pub(super) async fn leave(self) {
        let query_id = self.query_id.into_inner();
        let query_id = query_id.unwrap_or_else(PoisonError::into_inner);
        let kill = async {
            let Some(query_id) = query_id else { return };
            if let Err(error) = self.pipeline.clickhouse.kill(&query_id).await {
                tracing::debug!(error = &error as &dyn Error, "the query ends by itself");
            }
        };
        let disown = async {
            let Some(files) = self.files else { return };
            let stored = files.stored();
            // Parts that are still on their way could outlive their upload.
            drop(files);
            if let Err(error) = self.lease.disown(&stored).await {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "what is stored is left to be found"
                );
            }
        };
        tokio::join!(kill, disown);
    }
}

/// Writes blocks in the order in which they were read, with checkpoints between slices.
async fn write(
    mut encoded: mpsc::Receiver<Encoded>,
    files: &mut FilesWriter,
    progress: &mut ProgressMeter,
    mut slices: usize,
) -> Result<(), PipelineError> {
    while let Some(encoded) = encoded.recv().await {
        match encoded {
            Encoded::Block(encoding) => {
                let block = encoding.await.map_err(|_| PipelineError::EncoderGone)??;
                let rows = block.rows();
                files.append(block).await?;
                progress.advance(rows).await?;
            }
            Encoded::EndOfSlice => {
                slices += 1;
                files.end_slice(slices, progress.rows()).await?;
            }
        }
    }
    Ok(())
}

/// What a Parquet file says about itself: what it was made from, and nothing that another export of
/// the same would not say.
fn file_metadata(lease: &Lease) -> Vec<(String, String)> {
    let request = &lease.claim().request;
    let (start, end) = (request.range.start(), request.range.end());
    let mut metadata = vec![
        ("export.data_type", request.data_type.to_string()),
        (
            "export.start_time",
            start.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        ),
        (
            "export.end_time",
            end.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        ),
        (
            "export.service_version",
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
    ];
    if let Some(filters) = &request.filters {
        metadata.push(("export.filters", filters.as_posted().to_string()));
    }
    metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
