//! Multipart uploads as S3 has them.
//!
//! Those of `s3s-fs` take no gaps between part numbers and any `ETag`, cannot be listed, answer
//! `AccessDenied` once they are gone, and are slow to complete.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, PutObjectInput, Timestamp, UploadPartInput,
    UploadPartOutput,
};
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempPath;
use uuid::Uuid;

use super::files::Files;
use super::part_file::PartFile;

const NUMBERS: RangeInclusive<i32> = 1..=10_000;
const SMALLEST_BYTES: u64 = 5 * 1024 * 1024;
/// Where objects are while they are made of parts.
const MAKING: &str = ".making";

/// The uploads that are neither completed nor aborted. Clones share them.
#[derive(Clone)]
pub(super) struct Uploads {
    root: PathBuf,
    objects: Arc<FileSystem>,
    open: Arc<Mutex<BTreeMap<String, Upload>>>,
}

/// An upload. Dropping it removes its parts.
pub(super) struct Upload {
    pub(super) request: CreateMultipartUploadInput,
    pub(super) initiated: Timestamp,
    pub(super) parts: BTreeMap<i32, PartFile>,
    /// A file that shows who looks into the directory that the upload is open.
    _marker: TempPath,
}

impl Upload {
    /// Tells whether it is what a request means.
    fn is_of(&self, bucket: &str, key: &str) -> bool {
        self.request.bucket == bucket && self.request.key == key
    }
}

impl Uploads {
    pub(super) fn new(root: &Path, objects: Arc<FileSystem>) -> Self {
        Self {
            root: root.to_owned(),
            objects,
            open: Arc::default(),
        }
    }

    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let request = request.input;
        let id = Uuid::new_v4().to_string();
        let marker = tempfile::Builder::new()
            .prefix(&format!(".upload-{id}."))
            .tempfile_in(&self.root)
            .map_err(S3Error::internal_error)?;
        let created = marker.as_file().metadata().and_then(|file| file.modified());
        let output = CreateMultipartUploadOutput {
            bucket: Some(request.bucket.clone()),
            key: Some(request.key.clone()),
            upload_id: Some(id.clone()),
            ..CreateMultipartUploadOutput::default()
        };
        let upload = Upload {
            request,
            initiated: created.map_err(S3Error::internal_error)?.into(),
            parts: BTreeMap::new(),
            _marker: marker.into_temp_path(),
        };
        self.open().insert(id, upload);
        Ok(S3Response::new(output))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput {
            body,
            bucket,
            key,
            part_number,
            upload_id,
            ..
        } = request.input;
        if !NUMBERS.contains(&part_number) {
            return Err(s3_error!(InvalidArgument));
        }
        self.with(&bucket, &key, &upload_id, |_| Ok(()))?;
        let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let part = PartFile::receive(&self.root, body).await?;
        let etag = part.etag();
        // The upload may be gone by now, and then so is the part.
        self.with(&bucket, &key, &upload_id, |upload| {
            // No two files have one name, so that dropping one never removes another.
            let unique = Uuid::new_v4();
            let name = format!(".upload_id-{upload_id}.part-{part_number}.{unique}");
            let part = part.move_to(&self.root.join(name))?;
            upload.parts.insert(part_number, part);
            Ok(())
        })?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..UploadPartOutput::default()
        }))
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let named = request.input.multipart_upload.clone();
        let named = named.and_then(|named| named.parts).unwrap_or_default();
        let mut upload = {
            let input = &request.input;
            let mut open = self.open();
            let upload = find(&mut open, &input.bucket, &input.key, &input.upload_id)?;
            check(upload, &named)?;
            // Whoever comes next finds nothing to complete or to abort.
            open.remove(&input.upload_id)
                .ok_or_else(|| s3_error!(NoSuchUpload))?
        };
        let numbers: BTreeSet<_> = named.iter().filter_map(|part| part.part_number).collect();
        upload.parts.retain(|number, _| numbers.contains(number));
        // Once it has begun it goes on, also when the client hangs up.
        tokio::spawn(self.clone().make_object(request, upload))
            .await
            .map_err(S3Error::internal_error)?
    }

    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let mut open = self.open();
        find(&mut open, &input.bucket, &input.key, &input.upload_id)?;
        open.remove(&input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    /// Makes an object of the parts of an upload, and shows it when it is whole.
    ///
    /// `s3s-fs` would read all parts again to hash them, on one core, where S3 answers at once. It writes an
    /// empty object, with all that is kept beside the bytes, and the bytes come in here.
    async fn make_object(
        self,
        request: S3Request<CompleteMultipartUploadInput>,
        upload: Upload,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let CompleteMultipartUploadInput {
            bucket,
            key,
            upload_id,
            ..
        } = request.input.clone();
        let empty = empty_object(upload.request, &upload_id);
        let empty = request.map_input(|_| empty);
        self.objects.put_object(empty).await?;
        let made = Files::of(&self.root, MAKING, &upload_id);
        let object = Files::of(&self.root, &bucket, &key);
        let etag = tokio::task::spawn_blocking(move || {
            let etag = made.fill(upload.parts.into_values())?;
            made.move_to(&object)?;
            io::Result::Ok(etag)
        });
        let etag = etag.await.map_err(S3Error::internal_error)?;
        let etag = etag.map_err(S3Error::internal_error)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            e_tag: Some(ETag::Strong(etag)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    /// Does something with an open upload.
    pub(super) fn with<T>(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        action: impl FnOnce(&mut Upload) -> S3Result<T>,
    ) -> S3Result<T> {
        action(find(&mut self.open(), bucket, key, id)?)
    }

    pub(super) fn open(&self) -> MutexGuard<'_, BTreeMap<String, Upload>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a>(
    open: &'a mut BTreeMap<String, Upload>,
    bucket: &str,
    key: &str,
    id: &str,
) -> S3Result<&'a mut Upload> {
    open.get_mut(id)
        .filter(|upload| upload.is_of(bucket, key))
        .ok_or_else(|| s3_error!(NoSuchUpload))
}

/// An object with the properties of an upload. Its key is short: `s3s-fs` makes names of files of keys.
fn empty_object(upload: CreateMultipartUploadInput, key: &str) -> PutObjectInput {
    PutObjectInput {
        bucket: MAKING.to_owned(),
        key: key.to_owned(),
        body: Some(Body::empty().into()),
        metadata: upload.metadata,
        cache_control: upload.cache_control,
        content_disposition: upload.content_disposition,
        content_encoding: upload.content_encoding,
        content_language: upload.content_language,
        content_type: upload.content_type,
        expires: upload.expires,
        website_redirect_location: upload.website_redirect_location,
        ..PutObjectInput::default()
    }
}

/// Checks that the named parts can become an object.
fn check(upload: &Upload, named: &[CompletedPart]) -> S3Result<()> {
    let (Some(last), true) = (
        named.last(),
        named.is_sorted_by(|a, b| a.part_number < b.part_number),
    ) else {
        return Err(if named.is_empty() {
            s3_error!(MalformedXML)
        } else {
            s3_error!(InvalidPartOrder)
        });
    };
    for part in named {
        let uploaded = part
            .part_number
            .and_then(|number| upload.parts.get(&number))
            .filter(|uploaded| {
                let etag = part.e_tag.as_ref();
                etag.is_some_and(|etag| etag.value() == uploaded.etag())
            })
            .ok_or_else(|| s3_error!(InvalidPart))?;
        if uploaded.size_bytes < SMALLEST_BYTES && part.part_number != last.part_number {
            return Err(s3_error!(EntityTooSmall));
        }
    }
    Ok(())
}
