//! The problems of each operation, with an example of each.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use domain::{JobStatus, Pointer, Violation};
use serde_json::Value;
use store::quotas::{Exceeded, Resource};
use utoipa::Modify;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema};

use crate::openapi::headers::{RETRY_AFTER, header};
use crate::problem::{self, Problem, ProblemCode};

/// What can go wrong with whatever needs a token, besides [`ALWAYS`].
const WITH_TOKEN: &[ProblemCode] = &[
    ProblemCode::TokenMissing,
    ProblemCode::TokenInvalid,
    ProblemCode::TokenExpired,
    ProblemCode::OrganizationMissing,
    ProblemCode::PermissionMissing,
    ProblemCode::RateLimited,
];

/// What can go wrong with whatever is about an export.
const ALWAYS: &[ProblemCode] = &[
    ProblemCode::Internal,
    ProblemCode::Unavailable,
    ProblemCode::Overloaded,
    ProblemCode::Timeout,
];

/// Adds the problems to the operations, and an example of each code to their schema.
pub(super) struct Problems;

impl Modify for Problems {
    fn modify(&self, description: &mut OpenApi) {
        let schemas = &mut description.components.get_or_insert_default().schemas;
        if let Some(RefOr::T(Schema::Object(schema))) = schemas.get_mut("Problem") {
            schema.examples = ProblemCode::ALL
                .iter()
                .filter_map(|code| example(*code))
                .collect();
        }
        for item in description.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            operations.into_iter().flatten().for_each(add);
        }
    }
}

/// Returns what else can go wrong with an operation.
fn of(operation: &str) -> &'static [ProblemCode] {
    match operation {
        "create_export" => &[
            ProblemCode::InvalidJson,
            ProblemCode::InvalidIdempotencyKey,
            ProblemCode::UnknownPrincipal,
            ProblemCode::IdempotencyKeyInUse,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnsupportedMediaType,
            ProblemCode::InvalidRequest,
            ProblemCode::IdempotencyKeyReused,
            ProblemCode::QueueQuotaExceeded,
            ProblemCode::RowQuotaExceeded,
            ProblemCode::ByteQuotaExceeded,
        ],
        "estimate_export" => &[
            ProblemCode::InvalidJson,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnsupportedMediaType,
            ProblemCode::InvalidRequest,
            ProblemCode::TooManyEstimates,
        ],
        "list_exports" => &[ProblemCode::InvalidRequest],
        "get_export" => &[
            ProblemCode::NotFound,
            ProblemCode::InvalidRequest,
            ProblemCode::TooManyWatchers,
        ],
        "watch_export" => &[ProblemCode::NotFound, ProblemCode::TooManyWatchers],
        "download_export" => &[
            ProblemCode::NotFound,
            ProblemCode::NotReady,
            ProblemCode::ExportFailed,
            ProblemCode::ExportCancelled,
            ProblemCode::AdoptedFile,
            ProblemCode::Expired,
            ProblemCode::FileNotFound,
            ProblemCode::SeveralFiles,
            ProblemCode::InvalidRequest,
        ],
        "follow_link" => &[ProblemCode::SeveralFiles],
        "get_manifest" => &[
            ProblemCode::NotFound,
            ProblemCode::NotReady,
            ProblemCode::ExportFailed,
            ProblemCode::ExportCancelled,
            ProblemCode::AdoptedFile,
            ProblemCode::Expired,
        ],
        "create_schedule" => &[
            ProblemCode::InvalidJson,
            ProblemCode::TooManySchedules,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnsupportedMediaType,
            ProblemCode::InvalidRequest,
        ],
        "get_schedule" | "delete_schedule" => &[ProblemCode::ScheduleNotFound],
        "get_webhook_secret" => &[ProblemCode::NoWebhooks],
        "get_audit" => &[ProblemCode::NotFound, ProblemCode::InvalidRequest],
        "delete_export" | "revoke_links" => &[ProblemCode::NotFound],
        _ => &[],
    }
}

fn add(operation: &mut Operation) {
    // The documentation of a handler lists its errors too, in fewer words.
    if let Some(description) = &mut operation.description
        && let Some((own, _)) = description.split_once("# Errors")
    {
        *description = own.trim_end().to_owned();
    }
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let with_token: &[_] = match (&operation.security, id) {
        (Some(_), _) => WITH_TOKEN,
        (None, "follow_link") => &[],
        (None, _) => return,
    };
    let mut by_status = BTreeMap::<u16, Vec<ProblemCode>>::new();
    for code in with_token.iter().chain(ALWAYS).chain(of(id)) {
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(*code);
    }
    for (status, codes) in by_status {
        let meanings: Vec<_> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.as_str(), code.meaning()))
            .collect();
        let mut response = ResponseBuilder::new()
            .description(meanings.join("\n\n"))
            .content(problem::CONTENT_TYPE, content(&codes));
        if codes.iter().copied().any(says_when) {
            response = response.header_ref(RETRY_AFTER, header(RETRY_AFTER));
        }
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), RefOr::T(response.build()));
    }
}

/// Tells whether an answer says when to ask again.
fn says_when(code: ProblemCode) -> bool {
    let passes = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let is_soon_over = matches!(
        code,
        ProblemCode::NotReady | ProblemCode::IdempotencyKeyInUse
    );
    is_soon_over || passes.contains(&code.status())
}

fn content(codes: &[ProblemCode]) -> Content {
    let examples = codes.iter().map(|code| {
        let example = ExampleBuilder::new()
            .summary(code.title())
            .value(example(*code));
        (code.as_str(), example)
    });
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build()
}

/// Returns the document of a problem as a client may see it.
pub(super) fn example(code: ProblemCode) -> Option<Value> {
    let problem = match code {
        ProblemCode::InvalidRequest => {
            let pointer = Pointer::root().child("end_time");
            Problem::invalid_request(vec![Violation::new(pointer, "must be after start_time")])
        }
        ProblemCode::QueueQuotaExceeded => used_up(Resource::Queue, 100),
        ProblemCode::RowQuotaExceeded => used_up(Resource::Rows, 1_000_000_000),
        ProblemCode::ByteQuotaExceeded => used_up(Resource::Bytes, 1 << 40),
        ProblemCode::NotReady => {
            Problem::new(code, code.meaning()).job_status(JobStatus::Processing)
        }
        ProblemCode::ExportFailed => {
            Problem::new(code, code.meaning()).job_status(JobStatus::Failed)
        }
        ProblemCode::ExportCancelled => {
            Problem::new(code, code.meaning()).job_status(JobStatus::Cancelled)
        }
        ProblemCode::AdoptedFile | ProblemCode::SeveralFiles => {
            Problem::new(code, code.meaning()).job_status(JobStatus::Completed)
        }
        ProblemCode::Expired => Problem::new(code, code.meaning()).job_status(JobStatus::Expired),
        _ => Problem::new(code, code.meaning()),
    };
    serde_json::to_value(problem.document("b3f1c2d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d")).ok()
}

fn used_up(resource: Resource, limit: u64) -> Problem {
    Problem::from(Exceeded {
        resource,
        limit,
        used: limit,
        day_ends_in: Duration::ZERO,
    })
}
