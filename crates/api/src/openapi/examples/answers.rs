//! Answers as a client may see them, made of the types that are sent.

use std::net::Ipv4Addr;
use std::slice;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ExportJob, ExportRequest, ExportedFile, FileColumn, FileContents, JobId, JobState, Narrowing,
    Progress, RequestLimits, Schedule, ScheduleRequest,
};
use representation::{JobRepresentation, Links};
use serde::Serialize;
use serde_json::{Value, to_value};
use source::{Catalogue, Lack};
use store::events::{Actor, Event, EventKind};
use store::jobs::{Listed, Position};
use url::Url;
use uuid::Uuid;

use crate::estimate::{Basis, Estimate};
use crate::openapi::request;
use crate::openapi::schedule::example as schedule_request;
use crate::routes::download_export::Download;
use crate::routes::follow_link::DEAD_LINK;
use crate::routes::get_audit::AuditPage;
use crate::routes::get_manifest::Manifest;
use crate::routes::get_webhook_secret::Secrets;
use crate::routes::healthz::Health;
use crate::routes::list_datasets::Datasets;
use crate::routes::list_exports::Page;
use crate::routes::list_exports::query::PageQuery;
use crate::routes::readyz::{Dependencies, Dependency, Readiness};
use crate::routes::schedules::list_schedules::Schedules;
use crate::routes::schedules::representation::ScheduleRepresentation;
use crate::snapshot::Snapshot;

/// A dataset as an operator may define it.
const PRESET: &str = r#"
    [logs]
    title = "Logs"
    table = "otel_logs"
    time = "Timestamp"
    tenant = "ResourceAttributes['organization.id']"
    order_by = []
    columns = [
        { name = "timestamp", type = "timestamp", sql = "Timestamp" },
        { name = "severity_text", type = "string", sql = "SeverityText" },
        { name = "attributes", type = "map<string, string>", sql = "LogAttributes" },
    ]
"#;

/// Returns an answer of an operation that is no problem.
pub(super) fn of(operation: &str, status: &str) -> Option<Value> {
    match (operation, status) {
        ("create_export", "202") => shown(&pending()?),
        ("get_export", "200") => shown(&completed()?),
        ("delete_export", "200") => shown(&cancelled()?),
        ("watch_export", "200") => events(),
        ("list_exports", "200") => page(),
        ("list_datasets", "200") => datasets(),
        ("estimate_export", "200") => json(&Estimate {
            rows: Some(48_210),
            exact: true,
            size_bytes: Some(2_731_904),
            seconds: Some(2),
            basis: Some(Basis::Exports),
        }),
        ("download_export", "200") => download(),
        ("get_manifest", "200") => manifest(),
        ("get_audit", "200") => audit(),
        ("follow_link", "404") => Some(DEAD_LINK.into()),
        ("get_webhook_secret", "200") => {
            json(&Secrets::of(&["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]))
        }
        ("create_schedule", "201") | ("get_schedule", "200") => {
            json(&ScheduleRepresentation::new(&schedule()?))
        }
        ("list_schedules", "200") => json(&Schedules::of([&schedule()?].into_iter())),
        ("healthz", "200") => json(&Health::OK),
        ("readyz", "200") => json(&readiness(true)),
        ("readyz", "503") => json(&readiness(false)),
        _ => None,
    }
}

fn json(answer: &impl Serialize) -> Option<Value> {
    to_value(answer).ok()
}

fn links() -> Option<Links> {
    let public = Url::parse("https://export.example.com").ok()?;
    Some(Links::new(Some(&public)))
}

/// The time of the request and so many seconds.
fn after(seconds: i64) -> Option<DateTime<Utc>> {
    let requested: DateTime<Utc> = "2026-01-02T08:00:00Z".parse().ok()?;
    requested.checked_add_signed(TimeDelta::seconds(seconds))
}

/// A job that was just requested.
fn pending() -> Option<ExportJob> {
    let body = request::examples()
        .into_iter()
        .find_map(|(name, _, body)| (name == "filtered").then_some(body))?;
    let user = Uuid::from_u128(0x0b00_0000_0000_4000_8000_0000_0000_0001);
    let organization = Uuid::from_u128(0x0a00_0000_0000_4000_8000_0000_0000_0001);
    let request = ExportRequest::parse(&body, &RequestLimits::NONE).ok()?;
    Some(ExportJob::requested(
        id(1),
        user.into(),
        organization.into(),
        Narrowing::default(),
        request,
        None,
        after(0)?,
    ))
}

fn id(number: u128) -> JobId {
    Uuid::from_u128(0x019b_7ddb_6c00_7000_8000_0000_0000_0000 + number).into()
}

fn processing() -> Option<ExportJob> {
    Some(ExportJob {
        state: JobState::Processing,
        progress: Progress::of_rows(20_000, 48_210),
        rows_exported: 20_000,
        rows_estimated: Some(48_210),
        started_at: after(1),
        updated_at: after(2)?,
        ..pending()?
    })
}

fn completed() -> Option<ExportJob> {
    let file = ExportedFile {
        object_key: format!("0a000000-0000-4000-8000-000000000001/{}/1/logs.csv", id(1)),
        size_bytes: 2_731_904,
        rows: 48_210,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
    };
    Some(ExportJob {
        progress: Progress::DONE,
        rows_exported: file.rows,
        state: JobState::Completed {
            files: file.into(),
            completed_at: after(3)?,
            expires_at: after(3 + 7 * 86_400)?,
        },
        updated_at: after(3)?,
        ..processing()?
    })
}

fn cancelled() -> Option<ExportJob> {
    Some(ExportJob {
        state: JobState::Cancelled {
            completed_at: after(3)?,
        },
        updated_at: after(3)?,
        ..processing()?
    })
}

fn shown(job: &ExportJob) -> Option<Value> {
    json(&JobRepresentation::new(job, &links()?))
}

fn events() -> Option<Value> {
    let event = |name: &str, job: ExportJob| {
        let Snapshot { etag, body, .. } = Snapshot::of(&job, &links()?).ok()?;
        let id = etag.as_str();
        Some(format!(
            "event: {name}\nid: {id}\nretry: 2000\ndata: {body}\n\n"
        ))
    };
    let progress = event("progress", processing()?)?;
    let end = event("end", completed()?)?;
    Some(format!("{progress}{end}").into())
}

fn page() -> Option<Value> {
    let listed = |number, job: ExportJob| Listed {
        position: Position {
            created_at: job.created_at,
            id: id(number),
        },
        job: Ok(ExportJob {
            id: id(number),
            ..job
        }),
    };
    let listed = [
        listed(2, processing()?),
        listed(1, completed()?),
        listed(0, cancelled()?),
    ];
    let query = PageQuery::parse(Some("limit=2")).ok()?;
    json(&Page::of(&listed, &query, &links()?))
}

fn datasets() -> Option<Value> {
    let catalogue = Catalogue::load(&[("example", PRESET)]).ok()?;
    json(&Datasets::of(&catalogue, &Narrowing::default()))
}

fn schedule() -> Option<Schedule> {
    let job = pending()?;
    let now = after(0)?;
    let request = ScheduleRequest::parse(&schedule_request(), TimeDelta::zero(), now).ok()?;
    Some(Schedule {
        id: Uuid::from_u128(0x019b_7ddb_6c00_7000_8000_0000_0000_1000).into(),
        organization: job.organization,
        narrowed_to: job.narrowed_to,
        user: job.user,
        next_run_at: request.recurrence.next_after(now),
        request,
        failure: None,
        last_run_at: None,
        last_job: None,
        created_at: now,
    })
}

fn file_of(job: &ExportJob) -> Option<&ExportedFile> {
    match &job.state {
        JobState::Completed { files, .. } => files.only(),
        _ => None,
    }
}

fn download() -> Option<Value> {
    let job = completed()?;
    let file = file_of(&job)?;
    let url = format!(
        "https://s3.example.com/exports/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=300&X-Amz-Signature=…",
        file.object_key
    );
    json(&Download {
        url,
        expires_at: after(5 * 60)?,
        name: job.request.as_ref().ok()?.file_name(1),
        size_bytes: file.size_bytes,
        sha256: &file.sha256,
    })
}

fn manifest() -> Option<Value> {
    let job = completed()?;
    let file = file_of(&job)?;
    let column = |name: &str, value_type: &str| FileColumn {
        name: name.to_owned(),
        value_type: value_type.to_owned(),
        nullable: false,
    };
    let contents = FileContents {
        columns: vec![
            column("timestamp", "timestamp"),
            column("severity_text", "string"),
            column("body", "string"),
        ],
        service_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    json(&Manifest::new(
        &job,
        job.request.as_ref().ok()?,
        slice::from_ref(file),
        Some(&contents),
        &links()?,
    ))
}

fn audit() -> Option<Value> {
    let job = completed()?;
    let event = |id: i64, kind, actor: Option<Actor>| {
        Some(Event {
            id,
            kind,
            actor,
            file: None,
            at: after(id)?,
        })
    };
    let user = Actor {
        user: Some(job.user),
        ip: Some(Ipv4Addr::new(203, 0, 113, 7).into()),
        user_agent: Some("dashboard/1.0".to_owned()),
    };
    let events = [
        event(0, EventKind::Requested, Some(user.clone()))?,
        event(1, EventKind::Started, None)?,
        event(3, EventKind::Completed, None)?,
        event(60, EventKind::Downloaded, Some(user))?,
    ];
    json(&AuditPage::of(job.id, &events, 3, &links()?))
}

fn readiness(is_up: bool) -> Readiness {
    let dependency = |latency_ms| Dependency::new(true, latency_ms);
    let dependencies = Dependencies {
        postgres: Dependency::new(is_up, if is_up { 2 } else { 2_000 }),
        redis: dependency(1),
        s3: dependency(9),
        clickhouse: dependency(4),
    };
    let lack = Lack {
        dataset: "logs".to_owned(),
        what: "column event_name".to_owned(),
    };
    Readiness::of(dependencies, &[lack])
}
