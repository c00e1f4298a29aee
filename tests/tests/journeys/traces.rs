//! Traces: one leads from the request to the e-mail, through both processes.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::free_port;
use e2e::{Collector, PATIENCE, Span, World, eventually, whole_request};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bucket::insert_bulk;
use crate::exports::plain;

/// As a dashboard that is traced itself would send it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test]
async fn one_trace_leads_from_the_request_to_the_mail() -> Result<()> {
    let world = World::new().await?;
    insert_bulk(&world, &world.ours, 12_000).await?;
    let collector = Collector::start().await?;
    let settings = [
        ("EXPORT__TRACES__ENDPOINT", collector.url.as_str()),
        ("EXPORT__LOG__FORMAT", "json"),
        ("EXPORT__S3__PART_SIZE_BYTES", "5242880"),
    ];
    let port = free_port()?;
    let api = world.api_at(port, &settings).await?;
    let worker = world.worker(&settings).await?;
    let id = post_traced(&world, port).await?;
    api.completed(&id).await?;
    world.check_invariants().await?;
    let (api_log, worker_log) = (api.service.log().to_owned(), worker.log().to_owned());
    worker.stop(PATIENCE).await?;
    api.service.stop(PATIENCE).await?;

    let spans = collector.trace(TRACE);
    let span = |service, name| find(&spans, service, name);
    let request = span("export-api", "POST /api/v1/export")?;
    assert_eq!(request.parent_id, CALLER);
    let run = span("export-worker", "export.run")?;
    for (service, name, parent) in [
        ("export-api", "job.wake", request),
        ("export-worker", "export.run", request),
        ("export-worker", "export.plan", run),
        ("export-worker", "slice.read", run),
        ("export-worker", "part.upload", run),
        ("export-worker", "upload.complete", run),
        ("export-worker", "export.complete", run),
        ("export-worker", "notification.send", request),
    ] {
        let span = span(service, name)?;
        assert_eq!(span.parent_id, parent.span_id, "{span:?} in {parent:?}");
    }

    for (log, message) in [(api_log, "request answered"), (worker_log, "exported")] {
        let text = fs::read_to_string(log)?;
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        let is_ours = |line: &&Value| line["message"] == message && line["trace_id"] == TRACE;
        let line = lines.iter().find(is_ours).context(message)?;
        assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{line}");
    }
    Ok(())
}

fn find<'a>(spans: &'a HashMap<String, Span>, service: &str, name: &str) -> Result<&'a Span> {
    let span = spans.get(name);
    let span = span.with_context(|| format!("no span {name} among {:?}", spans.keys()))?;
    ensure!(span.service == service, "{span:?}");
    Ok(span)
}

/// Requests an export as a traced caller does, and returns its id.
async fn post_traced(world: &World, port: u16) -> Result<String> {
    let body = whole_request(&plain())?;
    let answer = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/api/v1/export"))
        .bearer_auth(e2e::token(&world.env.jwt_secret, &world.ours)?)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&body)
        .send()
        .await?;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let job: Value = answer.json().await?;
    Ok(job["job_id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_line() -> Result<()> {
    let world = World::new().await?;
    world.seed("otel", &world.ours, 100).await?;
    let nowhere = format!("http://127.0.0.1:{}/v1/traces", free_port()?);
    let settings = [("EXPORT__TRACES__ENDPOINT", nowhere.as_str())];
    let api = world.api(&settings).await?;
    let worker = world.worker(&settings).await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    let log = worker.log().to_owned();
    let complaints = || -> Result<usize> {
        let text = fs::read_to_string(&log)?;
        Ok(text.matches("spans are lost").count())
    };
    eventually("a line about it", async || {
        Ok((complaints()? > 0).then_some(()))
    })
    .await?;
    api.completed(&api.accepted(&json!({})).await?).await?;
    let stopping = Instant::now();
    worker.stop(PATIENCE).await?;
    assert!(
        stopping.elapsed() < Duration::from_secs(10),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!(complaints()?, 1);
    Ok(())
}
