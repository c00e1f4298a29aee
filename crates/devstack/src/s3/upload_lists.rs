//! Lists of uploads and of their parts, in pages.

use s3s::dto::{
    ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Part,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::page_size;
use super::uploads::{Upload, Uploads};

impl Uploads {
    /// Lists parts in the order of their numbers.
    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    pub(super) async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let size = page_size(input.max_parts);
        let after = input.part_number_marker.unwrap_or_default();
        let found = |upload: &mut Upload| {
            let parts = upload.parts.range(after.saturating_add(1)..);
            let parts = parts.map(|(number, part)| {
                Ok(Part {
                    e_tag: Some(ETag::Strong(part.etag())),
                    last_modified: Some(part.last_modified.clone()),
                    part_number: Some(*number),
                    size: Some(i64::try_from(part.size_bytes).map_err(S3Error::internal_error)?),
                    ..Part::default()
                })
            });
            parts.collect::<S3Result<Vec<_>>>()
        };
        let parts = self.with(&input.bucket, &input.key, &input.upload_id, found)?;
        let (parts, more) = page(parts, size);
        Ok(S3Response::new(ListPartsOutput {
            is_truncated: Some(more),
            max_parts: Some(size),
            // S3 gives it also when there is no more.
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            part_number_marker: input.part_number_marker,
            parts: Some(parts),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        }))
    }

    /// Lists uploads in the order of their keys, and those of one key in the order of their ids.
    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let size = page_size(input.max_uploads);
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let is_next = |key: &str, id: &str| match (&input.key_marker, &input.upload_id_marker) {
            (Some(last_key), Some(last_id)) => (key, id) > (last_key, last_id),
            (Some(last_key), None) => key > last_key.as_str(),
            (None, _) => true,
        };
        let mut uploads: Vec<_> = self
            .open()
            .iter()
            .filter(|(id, upload)| {
                let request = &upload.request;
                request.bucket == input.bucket
                    && request.key.starts_with(prefix)
                    && is_next(&request.key, id)
            })
            .map(|(id, upload)| MultipartUpload {
                initiated: Some(upload.initiated.clone()),
                key: Some(upload.request.key.clone()),
                upload_id: Some(id.clone()),
                ..MultipartUpload::default()
            })
            .collect();
        uploads.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
        let (uploads, more) = page(uploads, size);
        let last = uploads.last().filter(|_| more);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(more),
            max_uploads: Some(size),
            next_key_marker: last.and_then(|upload| upload.key.clone()),
            next_upload_id_marker: last.and_then(|upload| upload.upload_id.clone()),
            uploads: Some(uploads),
            bucket: Some(input.bucket),
            key_marker: input.key_marker,
            prefix: input.prefix,
            upload_id_marker: input.upload_id_marker,
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

/// Returns the first page of what is left, and whether there is more.
fn page<T>(mut items: Vec<T>, size: i32) -> (Vec<T>, bool) {
    let size = usize::try_from(size).unwrap_or_default();
    let more = items.len() > size && size > 0;
    items.truncate(size);
    (items, more)
}
