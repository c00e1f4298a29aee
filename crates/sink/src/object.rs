//! Objects as wholes: put, measure, delete.

use aws_sdk_s3::error::SdkError;
use bytes::Bytes;

use crate::client::Sink;
use crate::disposition;
use crate::error::SinkError;

/// What a browser is told about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKind {
    /// The media type.
    pub content_type: String,
    /// The name under which it is saved.
    pub file_name: String,
}

impl ObjectKind {
    pub(crate) fn disposition(&self) -> String {
        disposition::attachment(&self.file_name)
    }
}

impl Sink {
    /// Returns where an object is, for people and tools: an `s3://` URL, which opens nothing.
    pub fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// Stores a small object at once.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers. After a timeout it may be stored all the same.
    #[tracing::instrument(name = "object.put", skip_all, fields(size_bytes = body.len()))]
    pub async fn put_object(
        &self,
        key: &str,
        body: Bytes,
        kind: &ObjectKind,
    ) -> Result<(), SinkError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(&kind.content_type)
            .content_disposition(kind.disposition())
            .body(body.into())
            .send()
            .await
            .map(drop)
            .map_err(SinkError::of("PutObject"))
    }

    /// Deletes an object; that it is not there is no error.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers.
    pub async fn delete_object(&self, key: &str) -> Result<(), SinkError> {
        self.client
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map(drop)
            .map_err(SinkError::of("DeleteObject"))
    }

    /// Tells whether there is an object.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers besides yes and no.
    pub async fn has_object(&self, key: &str) -> Result<bool, SinkError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let head = head.send().await;
        let answer = head.as_ref().err().and_then(SdkError::raw_response);
        if answer.is_some_and(|answer| answer.status().as_u16() == 404) {
            return Ok(false);
        }
        head.map(|_| true).map_err(SinkError::of("HeadObject"))
    }

    /// Asks for the size of an object, in bytes.
    pub(crate) async fn size_bytes(&self, key: &str) -> Result<u64, SinkError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map_err(SinkError::of("HeadObject"))?;
        head.content_length()
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| SinkError::unavailable("HeadObject", "the answer has no length"))
    }
}
