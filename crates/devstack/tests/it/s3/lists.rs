//! Lists of parts, uploads and objects, page by page.

use anyhow::{Context as _, Result};

use super::{BUCKET, Server};

#[tokio::test]
async fn parts_are_listed_in_pages() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.create("key").await?;
    let mut expected: Vec<(i32, i64, String)> = Vec::new();
    for (number, size) in [(9, 3), (2, 1), (10_000, 4), (7, 2), (2, 5)] {
        let part = upload.part(number, vec![b'x'; size]).await?;
        expected.retain(|(listed, ..)| *listed != number);
        expected.push((number, i64::try_from(size)?, part.e_tag.unwrap()));
    }
    expected.sort();

    for size in [1, 2, 3, 4, 5] {
        let mut listed = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let page = upload.list().max_parts(size);
            let page = page.set_part_number_marker(marker).send().await?;
            assert!(page.parts().len() <= usize::try_from(size)?);
            for part in page.parts() {
                assert!(part.last_modified().is_some());
                let etag = part.e_tag().unwrap().to_owned();
                listed.push((part.part_number().unwrap(), part.size().unwrap(), etag));
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            marker = Some(page.next_part_number_marker().context("marker")?.to_owned());
        }
        assert_eq!(listed, expected, "{size} per page");
    }
    let parts = upload.list().max_parts(9_999).send().await?;
    assert_eq!(parts.max_parts(), Some(1000));
    Ok(())
}

#[tokio::test]
async fn uploads_are_listed_in_pages() -> Result<()> {
    let server = Server::start().await?;
    server.s3.create_bucket("another")?;
    let other = server.client.create_multipart_upload().bucket("another");
    other.key("exports/a").send().await?;
    let mut expected = Vec::new();
    for key in [
        "exports/b",
        "exports/a",
        "exports/b",
        "elsewhere",
        "exports/c",
    ] {
        let upload = server.create(key).await?;
        if key.starts_with("exports/") {
            expected.push((upload.key, upload.id));
        }
    }
    let done = server.create("exports/d").await?;
    done.abort().await?;
    expected.sort();

    for size in [1, 2, 3, 4, 5] {
        let mut listed = Vec::new();
        let (mut key, mut id) = (None, None);
        loop {
            let page = server.client.list_multipart_uploads().bucket(BUCKET);
            let page = page.prefix("exports/").max_uploads(size);
            let page = page.set_key_marker(key).set_upload_id_marker(id);
            let page = page.send().await?;
            for upload in page.uploads() {
                assert!(upload.initiated().is_some());
                let (key, id) = (upload.key().unwrap(), upload.upload_id().unwrap());
                listed.push((key.to_owned(), id.to_owned()));
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
            assert!(key.is_some() && id.is_some());
        }
        assert_eq!(listed, expected, "{size} per page");
    }
    // Without an id, those of that key are passed over.
    let rest = server.client.list_multipart_uploads().bucket(BUCKET);
    let rest = rest.key_marker("exports/b").send().await?;
    let keys: Vec<_> = rest.uploads().iter().map(|upload| upload.key()).collect();
    assert_eq!(keys, [Some("exports/c")]);
    Ok(())
}

#[tokio::test]
async fn objects_are_listed_in_pages() -> Result<()> {
    let server = Server::start().await?;
    let mut expected = vec!["exports/a", "exports/b/c", "exports/b-c", "exports/z"];
    for key in expected.iter().chain(&["elsewhere"]) {
        server.put(key).await?;
    }
    expected.sort_unstable();

    for size in [1, 2, 3, 4, 5] {
        let mut listed = Vec::new();
        let mut token = None;
        loop {
            let page = server.client.list_objects_v2().bucket(BUCKET);
            let page = page.prefix("exports/").max_keys(size);
            let page = page.set_continuation_token(token).send().await?;
            for object in page.contents() {
                assert!(object.last_modified().is_some());
                assert_eq!(object.size(), Some(10));
                listed.push(object.key().unwrap().to_owned());
            }
            token = page.next_continuation_token;
            assert_eq!(page.is_truncated, Some(token.is_some()));
            if token.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{size} per page");
    }
    let page = server.client.list_objects_v2().bucket(BUCKET);
    let page = page.max_keys(5_000).send().await?;
    assert_eq!(page.max_keys(), Some(1000));
    Ok(())
}
