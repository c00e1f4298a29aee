//! What is in the bucket.

use std::time::Duration;

use domain::{Clock, SystemClock};
use futures::{StreamExt, TryStreamExt, stream};
use sink::SinkError;

use crate::support::{file, fresh_sink, kind};

/// One more than a page.
const MANY: usize = 1_001;

fn keys() -> Vec<String> {
    (0..MANY)
        .map(|index| format!("exports/{index:04}/a b+&%.csv"))
        .collect()
}

#[tokio::test]
async fn objects_are_listed_page_by_page() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let begin = SystemClock.now() - Duration::from_mins(1);
    let keys = keys();
    sink.put_object("elsewhere/a", file(1), &kind()).await?;
    stream::iter(&keys)
        .map(async |key| sink.put_object(key, file(key.len()), &kind()).await)
        .buffer_unordered(16)
        .try_collect::<()>()
        .await?;

    let first = sink.list_objects("exports/", None).await?;
    assert_eq!(first.objects.len(), 1_000);
    let second = sink.list_objects("exports/", first.next).await?;
    assert_eq!((second.objects.len(), second.next), (1, None));
    let objects = [first.objects, second.objects].concat();
    for (object, key) in objects.iter().zip(&keys) {
        assert_eq!(&object.key, key);
        assert_eq!(object.size_bytes, key.len() as u64);
        assert!(object.last_modified > begin && object.last_modified <= SystemClock.now());
    }

    let nothing = sink.list_objects("nowhere/", None).await?;
    assert_eq!((nothing.objects.len(), nothing.next), (0, None));
    let all = sink.list_objects("", None).await?;
    assert_eq!(all.objects[0].key, "elsewhere/a");
    Ok(())
}

#[tokio::test]
async fn uploads_are_listed_page_by_page() -> anyhow::Result<()> {
    let sink = fresh_sink().await?;
    let begin = SystemClock.now() - Duration::from_mins(1);
    let keys = keys();
    sink.create_upload("elsewhere/a", &kind()).await?;
    let mut created: Vec<_> = stream::iter(&keys)
        .map(async |key| Ok::<_, SinkError>((key, sink.create_upload(key, &kind()).await?)))
        .buffer_unordered(16)
        .try_collect()
        .await?;
    created.sort_unstable_by_key(|(key, _)| *key);
    // Ended ones are not among them.
    let ended = sink.create_upload("exports/0000/ended", &kind()).await?;
    sink.abort_upload("exports/0000/ended", &ended).await?;

    let first = sink.list_uploads("exports/", None).await?;
    assert_eq!(first.uploads.len(), 1_000);
    let second = sink.list_uploads("exports/", first.next).await?;
    assert_eq!((second.uploads.len(), second.next), (1, None));
    let uploads = [first.uploads, second.uploads].concat();
    for (upload, (key, id)) in uploads.iter().zip(&created) {
        assert_eq!((&upload.key, &upload.upload_id), (*key, id));
        assert!(upload.initiated > begin && upload.initiated <= SystemClock.now());
    }

    for upload in uploads {
        sink.abort_upload(&upload.key, &upload.upload_id).await?;
    }
    let nothing = sink.list_uploads("exports/", None).await?;
    assert_eq!((nothing.uploads.len(), nothing.next), (0, None));
    Ok(())
}
