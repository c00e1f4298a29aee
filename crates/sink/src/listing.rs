//! What a bucket has: its objects and the uploads that nobody ended, page by page.

use aws_sdk_s3::primitives::DateTime as SdkDateTime;
use aws_sdk_s3::types::{MultipartUpload, Object};
use chrono::{DateTime, Utc};

use crate::client::Sink;
use crate::error::SinkError;
use crate::multipart::UploadId;

/// An object of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Where it is.
    pub key: String,
    /// Its bytes.
    pub size_bytes: u64,
    /// When it was stored, by the storage's clock.
    pub last_modified: DateTime<Utc>,
}

/// Some objects, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, 1,000 at most.
    pub objects: Vec<StoredObject>,
    /// Where the next page begins, unless this is the last.
    pub next: Option<ObjectCursor>,
}

/// A place in the list of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectCursor(String);

/// A multipart upload that is neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingUpload {
    /// Where its object would be.
    pub key: String,
    /// The storage's name for it.
    pub upload_id: UploadId,
    /// When it began, by the storage's clock.
    pub initiated: DateTime<Utc>,
}

/// Some uploads, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPage {
    /// The uploads, 1,000 at most.
    pub uploads: Vec<PendingUpload>,
    /// Where the next page begins, unless this is the last.
    pub next: Option<UploadCursor>,
}

/// A place in the list of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadCursor {
    key: String,
    upload_id: Option<String>,
}

impl Sink {
    /// Lists a page of the objects whose keys begin with `prefix`, with one request: the first
    /// page, or the one that begins at `after`.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers.
    pub async fn list_objects(
        &self,
        prefix: &str,
        after: Option<ObjectCursor>,
    ) -> Result<ObjectPage, SinkError> {
        const OPERATION: &str = "ListObjectsV2";
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_continuation_token(after.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(SinkError::of(OPERATION))?;
        let objects = answer
            .contents()
            .iter()
            .map(stored)
            .collect::<Option<_>>()
            .ok_or_else(|| {
                SinkError::unavailable(OPERATION, "an object has no key, size or time")
            })?;
        Ok(ObjectPage {
            objects,
            next: answer.next_continuation_token.map(ObjectCursor),
        })
    }

    /// Lists a page of the uploads whose keys begin with `prefix`, with one request: the first
    /// page, or the one that begins at `after`.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers.
    pub async fn list_uploads(
        &self,
        prefix: &str,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, SinkError> {
        const OPERATION: &str = "ListMultipartUploads";
        let (key, upload_id) = after.map(|cursor| (cursor.key, cursor.upload_id)).unzip();
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_key_marker(key)
            .set_upload_id_marker(upload_id.flatten())
            .send()
            .await
            .map_err(SinkError::of(OPERATION))?;
        let uploads = answer
            .uploads()
            .iter()
            .map(pending)
            .collect::<Option<_>>()
            .ok_or_else(|| SinkError::unavailable(OPERATION, "an upload has no key, id or time"))?;
        let upload_id = answer.next_upload_id_marker;
        // Some servers name the end of the last page, too.
        let next = answer
            .next_key_marker
            .filter(|_| answer.is_truncated == Some(true));
        Ok(UploadPage {
            uploads,
            next: next.map(|key| UploadCursor { key, upload_id }),
        })
    }
}

fn stored(object: &Object) -> Option<StoredObject> {
    Some(StoredObject {
        key: object.key()?.to_owned(),
        size_bytes: object.size()?.try_into().ok()?,
        last_modified: time(object.last_modified()?)?,
    })
}

fn pending(upload: &MultipartUpload) -> Option<PendingUpload> {
    Some(PendingUpload {
        key: upload.key()?.to_owned(),
        upload_id: upload.upload_id()?.to_owned().into(),
        initiated: time(upload.initiated()?)?,
    })
}

fn time(time: &SdkDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
