//! Exports of several files: each opens by itself, and one after the other they are the export that was not
//! split.

use anyhow::{Context, Result, ensure};
use e2e::{ADMIN, Api, Download, Job, World};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::access::BY_SCOPE;
use crate::bucket::{Bucket, insert_bulk};
use crate::files;

/// Slices and blocks that end elsewhere than the files.
const SMALL: [(&str, &str); 4] = [
    ("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "1700"),
    ("EXPORT__PIPELINE__BLOCK_ROWS", "300"),
    ("EXPORT__PIPELINE__ROW_GROUP_ROWS", "300"),
    ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
];

/// Every kind of file.
fn requests() -> [Value; 7] {
    [
        json!({"format": "csv"}),
        json!({"format": "csv", "compression": "none"}),
        json!({"format": "csv", "compression": "zstd"}),
        json!({"format": "json"}),
        json!({"format": "json", "compression": "zstd"}),
        json!({"format": "json", "options": {"json": {"layout": "array"}}}),
        json!({"format": "parquet"}),
    ]
}

fn with_split(request: &Value, split: &Value) -> Value {
    let mut request = request.clone();
    request["options"]["split"] = split.clone();
    request
}

/// Reads a file of a request by itself.
pub(crate) fn read(request: &Value, bytes: Vec<u8>) -> Result<Vec<Value>> {
    let text = match request["compression"].as_str() {
        _ if request["format"] == "parquet" => return files::parquet(bytes),
        Some("none") => bytes,
        Some("zstd") => zstd::decode_all(&bytes[..])?,
        _ => files::gunzip(&bytes)?,
    };
    match request["format"].as_str() {
        Some("csv") => {
            let mut reader = csv::Reader::from_reader(&text[..]);
            let records = reader.records();
            records.map(|record| Ok(record?.iter().collect())).collect()
        }
        _ if !request["options"]["json"].is_null() => Ok(serde_json::from_slice(&text)?),
        _ => files::json_lines(&text),
    }
}

/// Checks that each of some files can be read by itself, and that their rows are those of the export that was
/// not split. Returns how many each has.
async fn check(api: &Api, request: &Value, parts: Vec<Download>) -> Result<Vec<usize>> {
    let whole = api.completed(&api.accepted(request).await?).await?;
    let whole = read(request, api.download(&whole).await?.bytes)?;
    let mut counts = Vec::new();
    let mut rows = Vec::new();
    for part in parts {
        let some = read(request, part.bytes).with_context(|| request.to_string())?;
        counts.push(some.len());
        rows.extend(some);
    }
    ensure!(rows == whole, "{request}: other rows");
    Ok(counts)
}

async fn split(api: &Api, request: &Value, split: &Value) -> Result<Job> {
    let id = api.accepted(&with_split(request, split)).await?;
    api.completed(&id).await
}

#[tokio::test]
async fn each_file_but_the_last_has_as_many_rows_as_were_asked_for() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 4_321).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&SMALL).await?;
    for request in requests() {
        let job = split(&api, &request, &json!({"max_rows": 1_000})).await?;
        assert_eq!(job["rows_exported"], 4_321, "{job}");
        assert_eq!(job["file"], Value::Null, "{job}");
        assert_eq!(job["download_url"], Value::Null, "{job}");
        let files = api.download_all(&job).await?;
        let counts = check(&api, &request, files).await?;
        assert_eq!(counts, [1_000, 1_000, 1_000, 1_000, 321], "{request}");
    }
    world.check_invariants().await
}

#[tokio::test]
async fn no_file_has_more_bytes_than_were_asked_for() -> Result<()> {
    const MOST: usize = 1024 * 1024;
    let world = World::new().await?;
    insert_bulk(&world, &world.ours, 4_000).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&SMALL).await?;
    for request in requests() {
        let job = split(&api, &request, &json!({"max_bytes": MOST})).await?;
        let files = api.download_all(&job).await?;
        let sizes: Vec<_> = files.iter().map(|file| file.bytes.len()).collect();
        assert!(sizes.len() > 2, "{request}: {sizes:?}");
        assert!(
            sizes.iter().all(|size| *size <= MOST),
            "{request}: {sizes:?}"
        );
        let full = sizes.iter().rev().skip(1).min().context("a file")?;
        assert!(*full > MOST / 2, "{request}: {sizes:?}");
        check(&api, &request, files).await?;
    }
    world.check_invariants().await
}

#[tokio::test]
async fn files_of_many_parts_are_whole() -> Result<()> {
    let world = World::new().await?;
    insert_bulk(&world, &world.ours, 20_000).await?;
    let api = world.api(&[]).await?;
    let settings = [
        &SMALL[1..],
        &[("EXPORT__PIPELINE__TARGET_SLICE_ROWS", "7000")],
    ]
    .concat();
    let _worker = world.worker(&settings).await?;
    let request = json!({"format": "json", "compression": "none"});
    let job = split(&api, &request, &json!({"max_rows": 9_000})).await?;
    let files = api.download_all(&job).await?;
    assert!(files[0].bytes.len() > 2 * 5 * 1024 * 1024);
    let counts = check(&api, &request, files).await?;
    assert_eq!(counts, [9_000, 9_000, 2_000]);
    world.check_invariants().await
}

#[tokio::test]
async fn an_export_that_fits_into_one_file_is_as_any_other() -> Result<()> {
    let world = World::new().await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    // Exactly full is not too full, and no rows are a file, too.
    for rows in [0, 1_000] {
        if rows > 0 {
            world.seed("otel", &world.ours, rows).await?;
        }
        for request in requests() {
            let job = split(&api, &request, &json!({"max_rows": 1_000})).await?;
            let by_itself = api.download(&job).await?;
            let name = job["file"]["name"].as_str().context("a name")?;
            assert!(name.contains("Z-0001."), "{name}");
            assert!(by_itself.disposition.contains(name));
            let by_number = api.download_all(&job).await?;
            assert_eq!(by_number.len(), 1);
            assert_eq!(by_number[0].bytes, by_itself.bytes);
            let found = read(&request, by_itself.bytes)?;
            assert_eq!(found.len() as u64, rows, "{request}");
        }
    }
    world.check_invariants().await
}

#[tokio::test]
async fn one_of_several_files_is_asked_for_by_its_number() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 2_500).await?;
    let api = world.api(&[BY_SCOPE]).await?;
    let _worker = world.worker(&[]).await?;
    let request = json!({"format": "csv"});
    let job = split(&api, &request, &json!({"max_rows": 1_000})).await?;
    let id = job["job_id"].as_str().context("an id")?;
    let download = format!("/api/v1/export/{id}/download");

    for (query, status, code) in [
        ("", StatusCode::CONFLICT, "several_files"),
        ("?file=4", StatusCode::NOT_FOUND, "file_not_found"),
        (
            "?file=0",
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
        ),
        (
            "?file=2147483648",
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
        ),
    ] {
        let (answer, problem) = api.get(&format!("{download}{query}")).await?;
        assert_eq!(
            (answer, &problem["code"]),
            (status, &json!(code)),
            "{query}"
        );
    }
    let head = api
        .send(Method::HEAD, &format!("{download}?file=3"), None)
        .await?;
    assert_eq!(head.status(), StatusCode::FOUND);
    let (status, link) = api
        .get(&format!("{download}?file=3&redirect=false"))
        .await?;
    assert_eq!(status, StatusCode::OK);
    let name = link["name"].as_str().context("a name")?;
    assert!(name.ends_with("Z-0003.csv.gz"), "{name}");
    let file = api.fetch(link["url"].as_str().context("a URL")?).await?;
    assert_eq!(read(&request, file.bytes)?.len(), 500);

    let theirs = api
        .get_as(&world.theirs, &format!("{download}?file=1"))
        .await?;
    assert_eq!(theirs.status(), StatusCode::NOT_FOUND);

    let told = api.audit(&world.colleague(ADMIN).await?, id).await?;
    let downloads: Vec<_> = told
        .iter()
        .filter(|event| event["kind"] == "downloaded")
        .map(|event| &event["file"])
        .collect();
    assert_eq!(downloads, [3]);
    Ok(())
}

#[tokio::test]
async fn the_mail_has_a_link_for_each_file() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 2_500).await?;
    let port = devstack::free_port()?;
    let base = format!("http://127.0.0.1:{port}");
    let public_url = ("EXPORT__HTTP__PUBLIC_URL", &*base);
    let api = world.api_at(port, &[public_url]).await?;
    let _worker = world.worker(&[public_url]).await?;
    for (number, kind) in ["presigned", "service"].into_iter().enumerate() {
        let request = json!({"options": {"notify": {"link": kind}}});
        let job = split(&api, &request, &json!({"max_rows": 1_000})).await?;
        let mails = world.mails(number + 1).await?;
        let mail = &mails[number];
        let links: Vec<_> = mail
            .text
            .split_whitespace()
            .filter(|word| word.starts_with("http"))
            .collect();
        assert_eq!(links.len(), 3, "{}", mail.text);
        let described = &api.manifest(&local(&job, &base)).await?["files"];
        for (number, link) in links.into_iter().enumerate() {
            let link = match link.strip_prefix(&base) {
                None => link.to_owned(),
                Some(path) => {
                    let (link, _) = path.split_once('?').context("a number")?;
                    let none = api.anonymous(Method::GET, &format!("{link}?file=0"));
                    assert_eq!(none.send().await?.status(), StatusCode::CONFLICT);
                    let answer = api.anonymous(Method::GET, path).send().await?;
                    assert_eq!(answer.status(), StatusCode::FOUND);
                    answer.headers()[LOCATION].to_str()?.to_owned()
                }
            };
            let file = api.fetch(&link).await?;
            let described = &described[number];
            assert_eq!(described["size_bytes"], file.bytes.len());
            let name = described["name"].as_str().context("a name")?;
            assert!(file.disposition.contains(name), "{}", file.disposition);
            assert!(mail.text.contains(name) && mail.html.contains(name));
        }
    }
    Ok(())
}

/// Returns a job with the path of its manifest in place of the address.
fn local(job: &Job, base: &str) -> Job {
    let mut job = job.clone();
    let url = job["manifest_url"].as_str().unwrap_or_default();
    job["manifest_url"] = url.replace(base, "").into();
    job
}

#[tokio::test]
async fn deleting_the_export_deletes_every_file() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    world.seed("otel", &world.ours, 2_500).await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let job = split(&api, &json!({}), &json!({"max_rows": 1_000})).await?;
    assert_eq!(bucket.objects()?.len(), 3);
    let id = job["job_id"].as_str().context("an id")?;
    assert_eq!(api.delete(id).await?["status"], "EXPIRED");
    bucket.settled(0).await?;
    let (status, problem) = api
        .get(&format!("/api/v1/export/{id}/download?file=1"))
        .await?;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::GONE, &json!("expired"))
    );
    world.check_invariants().await
}

#[tokio::test]
async fn an_export_of_too_many_files_fails_before_anything_is_stored() -> Result<()> {
    let mut world = World::new().await?;
    let bucket = Bucket::start(&mut world).await?;
    let rows = "INSERT INTO otel_logs (Timestamp, TimestampTime, ResourceAttributes) \
         SELECT toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + number % 86400 AS t, t, \
         map('telemetryflow.organization.id', {organization:String}) FROM numbers(1000001)";
    let organization = world.ours.organization.to_string();
    world
        .clickhouse
        .run(rows, &[("organization", &*organization)])
        .await?;
    let api = world.api(&[]).await?;
    let _worker = world.worker(&[]).await?;
    let id = api
        .accepted(&with_split(&json!({}), &json!({"max_rows": 1_000})))
        .await?;
    let job = api.failed(&id).await?;
    assert_eq!(job["error"]["code"], "too_many_files", "{job}");
    assert_eq!(job["rows_exported"], 0, "{job}");
    bucket.settled(0).await
}
