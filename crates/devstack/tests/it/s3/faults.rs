//! What the server is told to do wrong.

use anyhow::Result;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use devstack::Operation;
use reqwest::StatusCode;

use super::{BUCKET, PART, Server, Upload, client, code};

const COMPLETE: Operation = Operation::CompleteMultipartUpload;

#[tokio::test]
async fn a_refusal_comes_as_often_as_it_is_told() -> Result<()> {
    let server = Server::start().await?;
    let env = server.s3.env(BUCKET);
    let patient = client(&env, &env.secret_key, 3);
    let faults = server.s3.faults();

    faults.fail(Operation::UploadPart, StatusCode::SERVICE_UNAVAILABLE, 2);
    let upload = Upload::create(&patient, "patient").await?;
    let part = upload.part(1, vec![b'x'; 10]).await?;
    assert_eq!(faults.left(Operation::UploadPart), 0);
    upload.complete(&[part]).await?;
    assert_eq!(server.size("patient").await, Some(10));

    for (status, expected) in [(500, "InternalError"), (403, "AccessDenied")] {
        faults.fail(Operation::PutObject, StatusCode::from_u16(status)?, 1);
        let put = || server.client.put_object().bucket(BUCKET).key("put");
        let body = || ByteStream::from(vec![b'x'; PART]);
        assert_eq!(
            code(put().body(body()).send().await).as_deref(),
            Some(expected)
        );
        assert_eq!(server.size("put").await, None, "nothing was done");
    }
    server.put("put").await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_is_lost_after_the_work_is_done() -> Result<()> {
    let server = Server::start().await?;
    let faults = server.s3.faults();
    for (key, answered) in [("refused", true), ("hung-up", false)] {
        let upload = server.create(key).await?;
        let part = upload.part(1, vec![b'x'; 10]).await?;
        if answered {
            faults.fail_after(COMPLETE, StatusCode::INTERNAL_SERVER_ERROR, 1);
        } else {
            faults.hang_up_after(COMPLETE, 1);
        }
        let error = upload.complete(&[part]).await.unwrap_err();
        assert_eq!(error.code().is_some(), answered, "{error:?}");
        assert_eq!(server.size(key).await, Some(10));
    }
    Ok(())
}

#[tokio::test]
async fn a_200_may_have_an_error_in_its_body() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.create("key").await?;
    let part = upload.part(1, vec![b'x'; 10]).await?;
    server.s3.faults().fail(COMPLETE, StatusCode::OK, 1);

    let id = &upload.id;
    let complete = server.client.complete_multipart_upload().bucket(BUCKET);
    let refused = complete.key("key").upload_id(id).send().await.unwrap_err();
    let answer = refused
        .raw_response()
        .map(|answer| answer.status().as_u16());
    assert_eq!((answer, refused.code()), (Some(200), Some("InternalError")));

    assert_eq!(server.size("key").await, None);
    upload.complete(&[part]).await?;
    assert_eq!(server.size("key").await, Some(10));
    Ok(())
}

#[tokio::test]
async fn lists_can_fail_too() -> Result<()> {
    let server = Server::start().await?;
    let upload = server.create("key").await?;
    let uploads = || server.client.list_multipart_uploads().bucket(BUCKET);
    let objects = || server.client.list_objects_v2().bucket(BUCKET);
    let slow = Some("SlowDown".to_owned());
    for operation in [
        Operation::ListParts,
        Operation::ListMultipartUploads,
        Operation::ListObjects,
    ] {
        let faults = server.s3.faults();
        faults.fail(operation, StatusCode::SERVICE_UNAVAILABLE, 1);
    }
    assert_eq!(code(upload.list().send().await), slow);
    assert_eq!(code(uploads().send().await), slow);
    assert_eq!(code(objects().send().await), slow);
    upload.list().send().await?;
    uploads().send().await?;
    objects().send().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_its_data() -> Result<()> {
    let server = Server::start().await?;
    server.put("put").await?;
    let upload = server.create("parts").await?;
    let part = upload.part(1, vec![b'x'; 10]).await?;
    let faults = server.s3.faults();
    faults.fail(Operation::HeadObject, StatusCode::INTERNAL_SERVER_ERROR, 9);
    assert_eq!(server.size("put").await, None);
    faults.clear();
    assert_eq!(server.size("put").await, Some(10));

    server.s3.kill().await;
    assert_eq!(server.size("put").await, None);
    server.s3.restart().await?;
    assert_eq!(server.size("put").await, Some(10));
    upload.complete(&[part]).await?;
    assert_eq!(server.size("parts").await, Some(10));
    server.s3.stop().await
}
