//! Makes objects of files whose parts are all stored.

use sink::{Sink, SinkError, UploadId};
use store::files::WholeFile;

use crate::pipeline::resume::uploaded;

/// Completes the upload of a file that is not known to be an object.
pub(super) async fn publish(sink: &Sink, whole: &mut WholeFile) -> Result<(), SinkError> {
    let Some(upload) = &whole.upload else {
        return Ok(());
    };
    let (file, id) = (&whole.file, UploadId::from(upload.id.clone()));
    let parts: Vec<_> = upload.parts.iter().map(uploaded).collect();
    sink.complete_upload(&file.object_key, &id, &parts, file.size_bytes)
        .await?;
    whole.upload = None;
    Ok(())
}
