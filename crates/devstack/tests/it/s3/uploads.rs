//! Multipart uploads, as S3 has them.

use std::time::Duration;

use anyhow::Result;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::CompletedPart;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use reqwest::{Body, StatusCode};
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::task::JoinHandle;

use super::{BUCKET, PART, Server, Upload, code};
use crate::support::{eventually, http};

/// The MD5 of the MD5s of [`PART`] times `a`, once more `b` and ten times `c`.
const ETAG: &str = "\"70099f99f206a09d50cab43d5c57469e-3\"";

/// Counts the files of uploads that the server has.
fn part_files(server: &Server) -> Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(server.dir.path().join("s3"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        files += usize::from(name.starts_with(".upload") || name.starts_with(".tmp."));
    }
    Ok(files)
}

async fn content(server: &Server, key: &str) -> Result<Vec<u8>> {
    let object = server.client.get_object().bucket(BUCKET).key(key);
    let body = object.send().await?.body.collect().await?;
    Ok(body.into_bytes().to_vec())
}

fn named(number: i32, etag: &str) -> CompletedPart {
    CompletedPart::builder()
        .part_number(number)
        .e_tag(etag)
        .build()
}

#[tokio::test]
async fn numbers_may_have_gaps_and_parts_may_be_left_out() -> Result<()> {
    let server = Server::start().await?;
    let create = server.client.create_multipart_upload().bucket(BUCKET);
    let create = create
        .key("dir/key")
        .content_type("text/csv")
        .content_disposition("attachment; filename=\"logs.csv\"")
        .metadata("rows", "3");
    let upload = Upload {
        client: server.client.clone(),
        key: "dir/key".to_owned(),
        id: create.send().await?.upload_id.unwrap(),
    };
    // Those that are named get the numbers of those that are not.
    upload.part(1, vec![b'!'; PART]).await?;
    let last = upload.part(10_000, vec![b'c'; 10]).await?;
    upload.part(7, vec![b'!'; 3]).await?;
    let first = upload.part(2, vec![b'!'; PART]).await?;
    let second = upload.part(3, vec![b'b'; PART + 1]).await?;
    let replaced = upload.part(2, vec![b'a'; PART]).await?;
    let outdated = [first, second.clone(), last.clone()];
    assert_eq!(
        code(upload.complete(&outdated).await).as_deref(),
        Some("InvalidPart")
    );

    upload.complete(&[replaced, second, last]).await?;
    let expected = [vec![b'a'; PART], vec![b'b'; PART + 1], vec![b'c'; 10]].concat();
    assert!(content(&server, "dir/key").await? == expected);
    let head = server.client.head_object().bucket(BUCKET).key("dir/key");
    let head = head.send().await?;
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(
        head.content_disposition(),
        Some("attachment; filename=\"logs.csv\"")
    );
    assert_eq!(head.metadata().unwrap()["rows"], "3");
    assert_eq!(head.e_tag(), Some(ETAG));
    assert_eq!(part_files(&server)?, 0);
    Ok(())
}

#[tokio::test]
async fn an_object_of_parts_has_any_key_that_an_object_may_have() -> Result<()> {
    let server = Server::start().await?;
    let key = format!("dir/{}", "k".repeat(150));
    let put = server.client.put_object().bucket(BUCKET).key(&key);
    put.body(b"whole".to_vec().into()).send().await?;
    let upload = server.create(&key).await?;
    let part = upload.part(1, b"parts".to_vec()).await?;
    upload.complete(&[part]).await?;
    assert_eq!(content(&server, &key).await?, b"parts");
    let objects = server
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await?;
    assert_eq!(objects.contents().len(), 1);
    Ok(())
}

#[tokio::test]
async fn only_what_is_right_is_completed() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.create("key").await?;
    let first = upload.part(1, vec![b'a'; PART]).await?;
    let second = upload.part(2, vec![b'b'; PART - 1]).await?;
    let third = upload.part(3, vec![b'c'; 1]).await?;
    let etag = first.e_tag().unwrap().to_owned();
    for (parts, expected) in [
        (vec![second.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), named(4, &etag)], "InvalidPart"),
        (vec![first.clone(), named(3, &etag)], "InvalidPart"),
        (
            vec![first.clone(), second.clone(), third.clone()],
            "EntityTooSmall",
        ),
        (vec![], "MalformedXML"),
    ] {
        let refused = code(upload.complete(&parts).await);
        assert_eq!(refused.as_deref(), Some(expected), "{parts:?}");
    }
    for number in [0, 10_001] {
        let refused = code(upload.part(number, vec![b'x']).await);
        assert_eq!(refused.as_deref(), Some("InvalidArgument"));
    }
    assert_eq!(server.size("key").await, None);
    upload.complete(&[first, third]).await?;
    assert_eq!(server.size("key").await, i64::try_from(PART + 1).ok());
    Ok(())
}

#[tokio::test]
async fn an_upload_that_is_over_or_never_was_is_not_found() -> Result<()> {
    let server = Server::start().await?;
    let (completed, aborted) = (server.create("a").await?, server.create("b").await?);
    let part = completed.part(1, vec![b'x'; 10]).await?;
    completed.complete(std::slice::from_ref(&part)).await?;
    aborted.part(1, vec![b'x'; 10]).await?;
    aborted.abort().await?;
    assert_eq!(part_files(&server)?, 0);

    let of = |key: &str, id: &str| Upload {
        client: server.client.clone(),
        key: key.to_owned(),
        id: id.to_owned(),
    };
    let open = server.create("c").await?;
    for upload in [
        completed,
        aborted,
        of("a", "unknown"),
        of("another", &open.id),
    ] {
        let gone = Some("NoSuchUpload".to_owned());
        assert_eq!(code(upload.part(1, vec![b'x'; 10]).await), gone);
        assert_eq!(
            code(upload.complete(std::slice::from_ref(&part)).await),
            gone
        );
        assert_eq!(code(upload.abort().await), gone);
        let refused = upload.list().send().await.unwrap_err();
        let status = refused
            .raw_response()
            .map(|answer| answer.status().as_u16());
        assert_eq!(status, Some(404));
        assert_eq!(code(Err::<(), _>(refused)), gone);
    }
    assert_eq!(server.size("a").await, Some(10));
    Ok(())
}

#[tokio::test]
async fn of_two_completions_at_once_one_succeeds() -> Result<()> {
    let server = Server::start().await?;
    for round in 0..5 {
        let key = format!("key-{round}");
        let upload = server.create(&key).await?;
        let first = [upload.part(1, vec![b'a'; PART]).await?];
        let second = [upload.part(2, vec![b'b'; PART]).await?];
        let done = join_all(vec![
            upload.complete(&first),
            upload.complete(&second),
            upload.complete(&first),
        ])
        .await;
        let winner = done.iter().position(Result::is_ok).unwrap();
        for (index, result) in done.into_iter().enumerate() {
            let expected = (index != winner).then(|| "NoSuchUpload".to_owned());
            assert_eq!(code(result), expected);
        }
        let letter = [b'a', b'b', b'a'][winner];
        assert!(content(&server, &key).await? == vec![letter; PART]);
    }
    assert_eq!(part_files(&server)?, 0);
    Ok(())
}

#[tokio::test]
async fn parts_on_their_way_do_not_outlive_their_upload() -> Result<()> {
    let server = Server::start().await?;
    let (aborted, completed) = (server.create("a").await?, server.create("b").await?);
    let part = [completed.part(2, vec![b'b'; PART]).await?];
    let files = part_files(&server)?;
    let (to_aborted, first) = late_part(&aborted).await?;
    let (to_completed, second) = late_part(&completed).await?;
    eventually("both are on their way", async || {
        Ok(part_files(&server)? == files + 2)
    })
    .await?;

    aborted.abort().await?;
    completed.complete(&part).await?;
    for (rest, answer) in [(to_aborted, first), (to_completed, second)] {
        rest.send(()).unwrap();
        assert_eq!(answer.await??, StatusCode::NOT_FOUND);
    }
    assert!(content(&server, "b").await? == vec![b'b'; PART]);
    assert_eq!(part_files(&server)?, 0);
    Ok(())
}

/// Begins to send part 1, and sends the rest of it when told so.
async fn late_part(
    upload: &Upload,
) -> Result<(oneshot::Sender<()>, JoinHandle<reqwest::Result<StatusCode>>)> {
    let request = upload.client.upload_part().bucket(BUCKET).key(&upload.key);
    let request = request.upload_id(&upload.id).part_number(1);
    let hour = PresigningConfig::expires_in(Duration::from_hours(1))?;
    let link = request.presigned(hour).await?;
    let (rest, told) = oneshot::channel();
    let begin = stream::once(async { Ok::<_, RecvError>("!".repeat(PART)) });
    let end = stream::once(async { told.await.map(|()| "!".repeat(PART)) });
    let put = http()?
        .put(link.uri())
        .header("Content-Length", 2 * PART)
        .body(Body::wrap_stream(begin.chain(end)))
        .send();
    let answer = tokio::spawn(async { Ok(put.await?.status()) });
    Ok((rest, answer))
}
