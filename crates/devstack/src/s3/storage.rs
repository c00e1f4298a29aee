//! The operations of S3: objects as `s3s-fs` has them, multipart uploads as S3 has them.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

use super::page_size;
use super::uploads::Uploads;

/// What is stored below one directory.
pub(super) struct Storage {
    objects: Arc<FileSystem>,
    uploads: Uploads,
}

impl Storage {
    /// Stores everything below `root`.
    pub(super) fn new(root: &Path, objects: FileSystem) -> Self {
        let objects = Arc::new(objects);
        Self {
            uploads: Uploads::new(root, objects.clone()),
            objects,
        }
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

/// Writes the methods of [`S3`], each of which asks one part of the storage.
macro_rules! operations {
    ($($part:ident.$name:ident($input:ident) -> $output:ident;)*) => {$(
        fn $name<'life0, 'async_trait>(
            &'life0 self,
            request: S3Request<$input>,
        ) -> Answer<'async_trait, $output>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(self.$part.$name(request))
        }
    )*};
}

impl S3 for Storage {
    operations! {
        objects.create_bucket(CreateBucketInput) -> CreateBucketOutput;
        objects.delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
        objects.head_bucket(HeadBucketInput) -> HeadBucketOutput;
        objects.list_buckets(ListBucketsInput) -> ListBucketsOutput;
        objects.get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        objects.get_object(GetObjectInput) -> GetObjectOutput;
        objects.head_object(HeadObjectInput) -> HeadObjectOutput;
        objects.put_object(PutObjectInput) -> PutObjectOutput;
        objects.copy_object(CopyObjectInput) -> CopyObjectOutput;
        objects.delete_object(DeleteObjectInput) -> DeleteObjectOutput;
        objects.delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
        objects.list_objects(ListObjectsInput) -> ListObjectsOutput;
        uploads.create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
        uploads.upload_part(UploadPartInput) -> UploadPartOutput;
        uploads.list_parts(ListPartsInput) -> ListPartsOutput;
        uploads.list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
        uploads.complete_multipart_upload(CompleteMultipartUploadInput)
            -> CompleteMultipartUploadOutput;
        uploads.abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    }

    fn list_objects_v2<'life0, 'async_trait>(
        &'life0 self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> Answer<'async_trait, ListObjectsV2Output>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        // `s3s-fs` gives as many as it is asked for.
        request.input.max_keys = Some(page_size(request.input.max_keys));
        self.objects.list_objects_v2(request)
    }
}
