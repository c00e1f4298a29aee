//! Going on where another attempt ended: in the same upload, behind its last checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ExportedFile;
use encode::Encoder;
use sha2::{Digest, Sha256};
use sink::{Sink, UploadId, UploadedPart};
use source::{BlockLimits, Query};
use store::files::{WholeFile, WholeUpload};
use store::uploads::{Checkpoint, StoredPart, Unfinished, Upload, UploadPlan};
use tokio::task::spawn_blocking;

use crate::lease::Lease;
use crate::pipeline::PipelineError;
use crate::pipeline::assembly::Assembly;
use crate::pipeline::attempt::Done;
use crate::pipeline::object::LAST_PART;
use crate::pipeline::publish::publish;

/// The beginning of an export that is stored already.
pub(super) struct Resumption {
    /// The files that are whole.
    pub(super) files: Vec<WholeFile>,
    pub(super) plan: Arc<UploadPlan>,
    /// Of the object that the last checkpoint is in.
    pub(super) key: String,
    pub(super) upload_id: UploadId,
    pub(super) parts_reserved: u16,
    /// In the order of the file.
    pub(super) parts: Vec<UploadedPart>,
    /// What stands behind them.
    pub(super) rest: Vec<u8>,
    pub(super) checkpoints: Vec<Checkpoint>,
}

impl Resumption {
    /// Returns how much of the export that is.
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
    /// The first slices.
    Slices(Box<Resumption>, Assembly),
}

/// What has become of files whose parts were all stored.
pub(super) enum Sealed {
    /// No attempt has come that far.
    No,
    /// They are objects, which only the database does not know of yet.
    Whole(Vec<ExportedFile>),
    /// One is lost, and the job begins anew.
    Gone,
}

/// How often a job may begin anew.
const MOST_BEGINNINGS: u64 = 10;

const GONE: &str = "the upload is gone, or one of its parts";

/// Stands for everything besides the slices that the bytes of a file depend on: a file can only be
/// continued where all of it is the same. Levels of compression are none of it, since a file can have
/// blocks of several.
pub(super) fn fingerprint(query: &Query, lease: &Lease, blocks: BlockLimits) -> String {
    let output = &lease.claim().request.output;
    let parts = [
        env!("CARGO_PKG_VERSION").to_owned(),
        query.text(),
        format!("{:?}", query.schema()),
        format!(
            "{} {}",
            output.format().as_str(),
            output.compression().as_str()
        ),
        lease.claim().request.file_options_json().to_string(),
        format!("{blocks:?}"),
    ];
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

/// Finds the files of an attempt that ended between the storing of the last part and the completion
/// of the job. Whatever has changed since: those files are whole.
///
/// # Errors
///
/// When the database or the storage fails, or the lease is lost.
pub(super) async fn find_sealed(sink: &Sink, lease: &Lease) -> Result<Sealed, PipelineError> {
    let Some(Unfinished {
        upload, are_sealed, ..
    }) = &lease.claim().unfinished
    else {
        return Ok(Sealed::No);
    };
    let mut files = match upload {
        _ if *are_sealed => lease.whole_files().await?,
        Some(Upload {
            id,
            sealed: Some(file),
            ..
        }) => {
            let checkpoints = lease.checkpoints().await?;
            vec![WholeFile {
                number: 1,
                file: file.clone(),
                upload: Some(WholeUpload {
                    id: id.clone(),
                    parts: checkpoints.into_iter().flat_map(|it| it.parts).collect(),
                }),
            }]
        }
        _ => return Ok(Sealed::No),
    };
    if !are_published(sink, lease, &mut files).await? {
        return Ok(Sealed::Gone);
    }
    Ok(Sealed::Whole(
        files.into_iter().map(|whole| whole.file).collect(),
    ))
}

/// Makes objects of whole files, or starts over where one is lost, and tells whether it did the first.
async fn are_published(
    sink: &Sink,
    lease: &Lease,
    files: &mut [WholeFile],
) -> Result<bool, PipelineError> {
    for whole in files {
        // It may even be an object already, and the upload gone with that.
        let Err(error) = publish(sink, whole).await else {
            continue;
        };
        // A file that may be there is not made again before the storage says that it is not.
        let (key, upload) = (&whole.file.object_key, &whole.upload);
        if let Some(WholeUpload { id, parts }) = upload {
            let there = sink.list_parts(key, &UploadId::from(id.clone())).await?;
            let parts: Vec<_> = parts.iter().map(uploaded).collect();
            if has(there.as_deref(), &parts) || sink.has_object(key).await? {
                return Err(error.into());
            }
        }
        start_over(lease, GONE).await?;
        return Ok(false);
    }
    Ok(true)
}

/// Finds what earlier attempts have stored, or has it removed when it is of no use.
///
/// # Errors
///
/// When the database or the storage fails, or the lease is lost.
pub(super) async fn find(
    sink: &Sink,
    lease: &Lease,
    encoder: &Arc<Encoder>,
    fingerprint: &str,
) -> Result<Beginning, PipelineError> {
    let Some(Unfinished {
        object_key, upload, ..
    }) = &lease.claim().unfinished
    else {
        return Ok(Beginning::Nothing);
    };
    let found = match object_key.as_ref().zip(upload.as_ref()) {
        Some((key, upload)) => look(sink, lease, encoder, fingerprint, key, upload).await?,
        None => Err("it would have been stored with a single request"),
    };
    match found {
        Ok((mut resumption, assembly)) => {
            if !are_published(sink, lease, &mut resumption.files).await? {
                return Ok(Beginning::Nothing);
            }
            let Done { slices, rows } = resumption.done();
            let repeated_rows = lease.claim().job.rows_exported.saturating_sub(rows);
            tracing::info!(slices, rows, repeated_rows, "resuming");
            lease.resume().await?;
            Ok(Beginning::Slices(Box::new(resumption), assembly))
        }
        Err(reason) => {
            start_over(lease, reason).await?;
            Ok(Beginning::Nothing)
        }
    }
}

async fn start_over(lease: &Lease, reason: &str) -> Result<(), PipelineError> {
    tracing::warn!(reason, "starting over");
    // Each checkpoint forgives what failed before it, also those of work that is thrown away.
    if lease.start_over().await? > MOST_BEGINNINGS {
        return Err(PipelineError::NeverEnds);
    }
    Ok(())
}

/// Compares what the database says of an upload with what this attempt would write and with what
/// the storage has; where they differ, the inner error says in what.
async fn look(
    sink: &Sink,
    lease: &Lease,
    encoder: &Arc<Encoder>,
    fingerprint: &str,
    key: &str,
    upload: &Upload,
) -> Result<Result<(Resumption, Assembly), &'static str>, PipelineError> {
    let Some(plan) = &upload.plan else {
        return Ok(Err("another version of the service began it"));
    };
    if plan.fingerprint != fingerprint {
        return Ok(Err(
            "the dataset, the configuration or the version of the service changed",
        ));
    }
    if upload.parts_reserved >= LAST_PART {
        return Ok(Err("no part numbers are left"));
    }
    let upload_id = UploadId::from(upload.id.clone());
    let checkpoints = lease.checkpoints().await?;
    let parts = parts(&checkpoints);
    let there = sink.list_parts(key, &upload_id).await?;
    if !has(there.as_deref(), &parts) {
        return Ok(Err(GONE));
    }
    let encoder = Arc::clone(encoder);
    let resumed = spawn_blocking(move || {
        let assembly = Assembly::resume(&encoder, &checkpoints);
        (assembly, checkpoints)
    });
    let (assembly, checkpoints) = resumed.await.map_err(|_| PipelineError::EncoderGone)?;
    let Some(assembly) = assembly else {
        return Ok(Err("what the encoder had to know cannot be read"));
    };
    let resumption = Resumption {
        files: lease.whole_files().await?,
        plan: Arc::new(plan.clone()),
        rest: checkpoints
            .last()
            .map_or_else(Vec::new, |last| last.rest.clone()),
        key: key.to_owned(),
        upload_id,
        parts_reserved: upload.parts_reserved,
        parts,
        checkpoints,
    };
    Ok(Ok((resumption, assembly)))
}

/// Returns the parts of all checkpoints, in the order of the file.
fn parts(checkpoints: &[Checkpoint]) -> Vec<UploadedPart> {
    let parts = checkpoints.iter().flat_map(|checkpoint| &checkpoint.parts);
    parts.map(uploaded).collect()
}

/// Tells whether an upload has all these parts. Some servers put an `ETag` in quotes only here or
/// only there.
fn has(there: Option<&[UploadedPart]>, parts: &[UploadedPart]) -> bool {
    let etag = |part: &UploadedPart| part.etag.trim_matches('"').to_owned();
    let Some(there) = there else {
        return false;
    };
    let there: BTreeMap<_, _> = there
        .iter()
        .map(|part| (part.number, (part.size_bytes, etag(part))))
        .collect();
    parts
        .iter()
        .all(|part| there.get(&part.number) == Some(&(part.size_bytes, etag(part))))
}

/// Returns a part as the database knows it.
pub(super) fn stored(part: &UploadedPart) -> StoredPart {
    StoredPart {
        number: part.number,
        size_bytes: part.size_bytes,
        etag: part.etag.clone(),
    }
}

pub(super) fn uploaded(part: &StoredPart) -> UploadedPart {
    UploadedPart {
        number: part.number,
        size_bytes: part.size_bytes,
        etag: part.etag.clone(),
    }
}
