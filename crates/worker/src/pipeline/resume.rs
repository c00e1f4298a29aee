//! Going on where another attempt ended: in the same upload, behind its last checkpoint.

use domain::ExportedFile;
use encode::Encoder;
use sha2::{Digest, Sha256};
use sink::{Sink, UploadId, UploadedPart};
use source::{BlockLimits, Query};
use store::uploads::{Checkpoint, StoredPart, Unfinished, Upload, UploadPlan};

use crate::lease::Lease;
use crate::pipeline::PipelineError;
use crate::pipeline::assembly::Assembly;
use crate::pipeline::attempt::Done;

/// The beginning of a file that is stored already.
pub(super) struct Resumption {
    pub(super) plan: UploadPlan,
    pub(super) key: String,
    pub(super) upload_id: UploadId,
    pub(super) parts_reserved: u16,
    /// In the order of the file.
    pub(super) parts: Vec<UploadedPart>,
    pub(super) checkpoints: Vec<Checkpoint>,
}

impl Resumption {
    /// Returns how much of the file that is.
    pub(super) fn done(&self) -> Done {
        self.checkpoints
            .last()
            .map_or_else(Done::default, |last| Done {
                slices: last.slices,
                rows: last.rows,
            })
    }
}

/// What an attempt finds when it begins.
pub(super) enum Beginning {
    /// Nothing.
    Nothing,
    /// The first slices of the file.
    Slices(Box<Resumption>, Assembly),
    /// The whole file, which only the database does not know of yet.
    Whole(ExportedFile),
}

const GONE: &str = "the upload is gone, or one of its parts";

/// Stands for everything besides the slices that the bytes of a file depend on: a file can only be
/// continued where all of it is the same.
pub(super) fn fingerprint(query: &Query, lease: &Lease, limits: BlockLimits) -> String {
    let output = &lease.claim().job.request.output;
    let parts = [
        env!("CARGO_PKG_VERSION").to_owned(),
        query.text(),
        format!("{:?}", query.schema()),
        format!(
            "{} {}",
            output.format().as_str(),
            output.compression().as_str()
        ),
        lease.claim().job.request.options_json().to_string(),
        format!("{limits:?}"),
    ];
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

/// Finds what earlier attempts have stored, or has it removed when it is of no use.
///
/// # Errors
///
/// When the database or the storage fails, or the lease is lost.
pub(super) async fn find(
    sink: &Sink,
    lease: &Lease,
    encoder: &Encoder,
    fingerprint: &str,
) -> Result<Beginning, PipelineError> {
    let Some(Unfinished { object_key, upload }) = &lease.claim().unfinished else {
        return Ok(Beginning::Nothing);
    };
    let found = match upload {
        Some(upload) => look(sink, lease, encoder, fingerprint, object_key, upload).await?,
        None => Err("it would have been stored with a single request"),
    };
    match found {
        Ok(Beginning::Slices(resumption, assembly)) => {
            let Done { slices, rows } = resumption.done();
            let repeated_rows = lease.claim().job.rows_exported.saturating_sub(rows);
            tracing::info!(slices, rows, repeated_rows, "resuming");
            lease.resume().await?;
            Ok(Beginning::Slices(resumption, assembly))
        }
        Ok(beginning) => Ok(beginning),
        Err(reason) => {
            tracing::warn!(reason, "starting over");
            lease.start_over().await?;
            Ok(Beginning::Nothing)
        }
    }
}

/// Compares what the database says of an upload with what this attempt would write and with what
/// the storage has; where they differ, the inner error says in what.
async fn look(
    sink: &Sink,
    lease: &Lease,
    encoder: &Encoder,
    fingerprint: &str,
    key: &str,
    upload: &Upload,
) -> Result<Result<Beginning, &'static str>, PipelineError> {
    let upload_id = UploadId::from(upload.id.clone());
    let checkpoints = lease.checkpoints().await?;
    let parts = checkpoints.iter().flat_map(|checkpoint| &checkpoint.parts);
    let parts: Vec<_> = parts.map(uploaded).collect();
    let there = sink.list_parts(key, &upload_id).await?;
    let complete = there
        .as_ref()
        .is_some_and(|there| parts.iter().all(|part| there.contains(part)));
    if let Some(file) = &upload.sealed {
        // Whatever has changed since: the file was whole. It may even be an object already.
        let completed = sink.complete_upload(key, &upload_id, &parts, file.size_bytes);
        let Err(error) = completed.await else {
            return Ok(Ok(Beginning::Whole(file.clone())));
        };
        // A file that may be there is not made again before the storage says that it is not.
        if complete || sink.has_object(key).await? {
            return Err(error.into());
        }
        return Ok(Err(GONE));
    }
    if !complete {
        return Ok(Err(GONE));
    }
    let Some(plan) = &upload.plan else {
        return Ok(Err("another version of the service began it"));
    };
    if plan.fingerprint != fingerprint {
        return Ok(Err(
            "the dataset, the configuration or the version of the service changed",
        ));
    }
    let deltas = checkpoints.iter().map(|checkpoint| &checkpoint.encoder);
    let Ok(assembler) = encoder.resume(deltas) else {
        return Ok(Err("what the encoder had to know cannot be read"));
    };
    let assembly = match checkpoints.last() {
        Some(last) => Assembly::resume(assembler, last),
        None => Some(Assembly::new(assembler)),
    };
    let Some(assembly) = assembly else {
        return Ok(Err("the checksum so far cannot be read"));
    };
    let resumption = Resumption {
        plan: plan.clone(),
        key: key.to_owned(),
        upload_id,
        parts_reserved: upload.parts_reserved,
        parts,
        checkpoints,
    };
    Ok(Ok(Beginning::Slices(Box::new(resumption), assembly)))
}

/// Returns a part as the database knows it.
pub(super) fn stored(part: &UploadedPart) -> StoredPart {
    StoredPart {
        number: part.number,
        size_bytes: part.size_bytes,
        etag: part.etag.clone(),
    }
}

fn uploaded(part: &StoredPart) -> UploadedPart {
    UploadedPart {
        number: part.number,
        size_bytes: part.size_bytes,
        etag: part.etag.clone(),
    }
}
