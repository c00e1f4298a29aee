//! Objects in parts: create, upload, complete or abort.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::client::Sink;
use crate::error::SinkError;
use crate::object::ObjectKind;
use crate::part_buffer::Part;

/// The storage's name for a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId(String);

impl UploadId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for UploadId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// A part that the storage has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// Its place in the file, from 1.
    pub number: u16,
    /// Its bytes.
    pub size_bytes: u64,
    /// What the storage knows it by.
    pub etag: String,
}

impl Sink {
    /// Begins an upload. Keep the id: without it, only the bucket's lifecycle rule frees the parts.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers.
    pub async fn create_upload(&self, key: &str, kind: &ObjectKind) -> Result<UploadId, SinkError> {
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(&kind.content_type)
            .content_disposition(kind.disposition())
            .send()
            .await
            .map_err(SinkError::of("CreateMultipartUpload"))?;
        created
            .upload_id
            .map(UploadId)
            .ok_or_else(|| SinkError::unavailable("CreateMultipartUpload", "the answer has no id"))
    }

    /// Uploads one part; one of the same number before it is replaced.
    ///
    /// # Errors
    ///
    /// Whatever the storage answers.
    pub async fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        part: Part,
    ) -> Result<UploadedPart, SinkError> {
        let size_bytes = part.bytes.len() as u64;
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload.as_str())
            .part_number(part.number.into())
            .body(part.bytes.into())
            .send()
            .await
            .map_err(SinkError::of("UploadPart"))?;
        Ok(UploadedPart {
            number: part.number,
            size_bytes,
            etag: answer
                .e_tag
                .ok_or_else(|| SinkError::unavailable("UploadPart", "the answer has no ETag"))?,
        })
    }

    /// Makes one object of the parts of a file of `size_bytes` bytes, and frees those that are not
    /// among `parts`. There may be gaps between the numbers.
    ///
    /// Whatever the answer, or the lack of one, the object decides: the key belongs to this file
    /// alone, so when an object of that size is there, the upload is complete. Calling it again
    /// after an error is therefore safe.
    ///
    /// # Errors
    ///
    /// [`SinkError::BrokenParts`] before anything is sent when the numbers of the parts do not rise
    /// or their sizes do not add up to `size_bytes`, [`SinkError::WrongSize`] when the object does
    /// not have that many, otherwise whatever the storage answers.
    #[tracing::instrument(name = "upload.complete", skip_all, fields(size_bytes))]
    pub async fn complete_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
        size_bytes: u64,
    ) -> Result<(), SinkError> {
        check_whole(parts, size_bytes)?;
        let completed = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload.as_str())
            .multipart_upload(manifest(parts))
            .send()
            .await
            .map_err(SinkError::of("CompleteMultipartUpload"));
        match (self.size_bytes(key).await, completed) {
            (Ok(actual), _) if actual == size_bytes => Ok(()),
            (_, Err(error)) | (Err(error), Ok(_)) => Err(error),
            (Ok(actual), Ok(_)) => Err(SinkError::WrongSize {
                expected: size_bytes,
                actual,
            }),
        }
    }

    /// Lists the parts that an upload has, in the order of their numbers, or nothing when there is
    /// no such upload: it was completed or aborted.
    ///
    /// # Errors
    ///
    /// Whatever else the storage answers.
    pub async fn list_parts(
        &self,
        key: &str,
        upload: &UploadId,
    ) -> Result<Option<Vec<UploadedPart>>, SinkError> {
        let mut parts = Vec::new();
        let mut pages = self
            .client
            .list_parts()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload.as_str())
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            if page.as_ref().is_err_and(is_gone) {
                return Ok(None);
            }
            let page = page.map_err(SinkError::of("ListParts"))?;
            for part in page.parts() {
                let part = uploaded(part).ok_or_else(|| {
                    SinkError::unavailable("ListParts", "a part has no number, size or ETag")
                })?;
                parts.push(part);
            }
        }
        Ok(Some(parts))
    }

    /// Ends an upload and frees its parts; that there is no such upload is no error.
    ///
    /// # Errors
    ///
    /// Whatever else the storage answers.
    pub async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<(), SinkError> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload.as_str())
            .send()
            .await;
        if aborted.as_ref().is_err_and(is_gone) {
            return Ok(());
        }
        aborted
            .map(drop)
            .map_err(SinkError::of("AbortMultipartUpload"))
    }
}

/// Tells whether an answer means that there is no such upload. Not every server has S3's code.
fn is_gone<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: Error + ProvideErrorMetadata,
{
    let not_found = error
        .raw_response()
        .is_some_and(|answer| answer.status().as_u16() == 404);
    error.code() == Some("NoSuchUpload") || not_found && error.code() != Some("NoSuchBucket")
}

fn uploaded(part: &aws_sdk_s3::types::Part) -> Option<UploadedPart> {
    Some(UploadedPart {
        number: part.part_number()?.try_into().ok()?,
        size_bytes: part.size()?.try_into().ok()?,
        etag: part.e_tag()?.to_owned(),
    })
}

fn manifest(parts: &[UploadedPart]) -> CompletedMultipartUpload {
    let parts = parts
        .iter()
        .map(|part| {
            CompletedPart::builder()
                .part_number(part.number.into())
                .e_tag(&part.etag)
                .build()
        })
        .collect();
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build()
}

fn check_whole(parts: &[UploadedPart], size_bytes: u64) -> Result<(), SinkError> {
    let falling = parts
        .windows(2)
        .find(|pair| pair[0].number >= pair[1].number);
    if let Some([first, second]) = falling {
        return Err(SinkError::BrokenParts(format!(
            "part {} stands behind part {}",
            second.number, first.number
        )));
    }
    let sum: u64 = parts.iter().map(|part| part.size_bytes).sum();
    if parts.is_empty() || sum != size_bytes {
        return Err(SinkError::BrokenParts(format!(
            "{} parts have {sum} bytes instead of {size_bytes}",
            parts.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{UploadedPart, check_whole};

    fn check(numbers: &[u16], size_bytes: u64) -> Result<(), String> {
        let parts: Vec<_> = numbers
            .iter()
            .map(|number| UploadedPart {
                number: *number,
                size_bytes: 10,
                etag: String::new(),
            })
            .collect();
        check_whole(&parts, size_bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_whole_file_may_be_completed() {
        assert_eq!(check(&[1, 2, 3], 30), Ok(()));
        assert_eq!(check(&[2, 3, 900], 30), Ok(()));
        for (numbers, size_bytes, reason) in [
            (&[2, 1][..], 20, "part 1 stands behind part 2"),
            (&[1, 4, 4], 30, "part 4 stands behind part 4"),
            (&[1, 2], 30, "2 parts have 20 bytes instead of 30"),
            (&[], 0, "0 parts have 0 bytes instead of 0"),
        ] {
            let expected = format!("the uploaded parts are not the file: {reason}");
            assert_eq!(check(numbers, size_bytes), Err(expected));
        }
    }
}
