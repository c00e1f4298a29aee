//! What a request to S3 asks for.

use hyper::{Method, Request};

/// An operation of S3 that a test may want to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// GET of an object.
    GetObject,
    /// HEAD of an object.
    HeadObject,
    /// PUT of an object as a whole.
    PutObject,
    /// DELETE of an object.
    DeleteObject,
    /// The begin of a multipart upload.
    CreateMultipartUpload,
    /// A part of a multipart upload.
    UploadPart,
    /// The end of a multipart upload.
    CompleteMultipartUpload,
    /// The abort of a multipart upload.
    AbortMultipartUpload,
    /// The list of the parts of a multipart upload.
    ListParts,
    /// The list of the multipart uploads of a bucket.
    ListMultipartUploads,
    /// The list of the objects of a bucket.
    ListObjects,
    /// HEAD of a bucket.
    HeadBucket,
}

impl Operation {
    /// Recognises the operation of a path-style request.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let mut path = request.uri().path().trim_start_matches('/').splitn(2, '/');
        let bucket = path.next().is_some_and(|bucket| !bucket.is_empty());
        let key = path.next().is_some_and(|key| !key.is_empty());
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes()).any(|(parameter, _)| parameter == name)
        };
        if !key {
            return match *request.method() {
                _ if !bucket => None,
                Method::HEAD => Some(Self::HeadBucket),
                Method::GET if has("uploads") => Some(Self::ListMultipartUploads),
                Method::GET if has("list-type") => Some(Self::ListObjects),
                _ => None,
            };
        }
        let upload = has("uploadId");
        match *request.method() {
            Method::GET if upload => Some(Self::ListParts),
            Method::GET => Some(Self::GetObject),
            Method::HEAD => Some(Self::HeadObject),
            Method::PUT if upload => Some(Self::UploadPart),
            Method::PUT => Some(Self::PutObject),
            Method::POST if upload => Some(Self::CompleteMultipartUpload),
            Method::POST if has("uploads") => Some(Self::CreateMultipartUpload),
            Method::DELETE if upload => Some(Self::AbortMultipartUpload),
            Method::DELETE => Some(Self::DeleteObject),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::Operation;

    #[test]
    fn operations_are_told_apart() {
        for (method, uri, operation) in [
            ("GET", "/b/k?X-Amz-Signature=0", Some(Operation::GetObject)),
            ("GET", "/b/k?uploadId=1", Some(Operation::ListParts)),
            ("GET", "/b?list-type=2", Some(Operation::ListObjects)),
            ("GET", "/b/?uploads", Some(Operation::ListMultipartUploads)),
            ("GET", "/b?location", None),
            ("HEAD", "/b/dir/k", Some(Operation::HeadObject)),
            ("HEAD", "/b/", Some(Operation::HeadBucket)),
            ("PUT", "/b/k", Some(Operation::PutObject)),
            ("PUT", "/b", None),
            (
                "PUT",
                "/b/k?partNumber=1&uploadId=1",
                Some(Operation::UploadPart),
            ),
            (
                "POST",
                "/b/k?uploads",
                Some(Operation::CreateMultipartUpload),
            ),
            (
                "POST",
                "/b/k?uploadId=1",
                Some(Operation::CompleteMultipartUpload),
            ),
            (
                "DELETE",
                "/b/k?uploadId=1",
                Some(Operation::AbortMultipartUpload),
            ),
            ("DELETE", "/b/k", Some(Operation::DeleteObject)),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert_eq!(Operation::of(&request), operation, "{method} {uri}");
        }
    }
}
