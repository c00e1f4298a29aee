//! Errors as `application/problem+json` (RFC 9457), each with a stable code.

mod code;

use std::error::Error;
use std::sync::Arc;

use axum::http::header::{IntoHeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::{Classify, ErrorClass, JobStatus, Violation};
use runtime::chain;
use serde::Serialize;
use sink::SinkError;
use store::StoreError;
use store::quotas::{Exceeded, Resource};
use utoipa::ToSchema;

use crate::estimate::TooManyEstimates;
use crate::openapi::vocabulary;
pub use crate::problem::code::ProblemCode;
use crate::watch::TooManyWatchers;

/// The media type of a problem document.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// How many violations one document lists at most; a body may be wrong in thousands of places.
const MAX_ERRORS: usize = 100;

/// When to ask for a place in the queue again, in seconds.
const QUEUE_AGAIN_AFTER: HeaderValue = HeaderValue::from_static("30");

/// An error on its way to the client.
///
/// The response carries it as an extension; [`crate::middleware::render`] writes the document,
/// since only there the id of the request is known.
#[derive(Clone, Debug)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    job_status: Option<JobStatus>,
    quota: Option<QuotaUse>,
    errors: Vec<Violation>,
    headers: HeaderMap,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Says what is wrong this time; `detail` is for whoever made the call.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            job_status: None,
            quota: None,
            errors: Vec::new(),
            headers: HeaderMap::new(),
            source: None,
        }
    }

    /// Says that the request is wrong in all these places.
    pub fn invalid_request(mut violations: Vec<Violation>) -> Self {
        let detail = match violations.len() {
            1 => "One thing is wrong with the request.".to_owned(),
            n if n > MAX_ERRORS => {
                format!("{n} things are wrong with the request; the first {MAX_ERRORS} are listed.")
            }
            n => format!("{n} things are wrong with the request."),
        };
        violations.truncate(MAX_ERRORS);
        Self {
            errors: violations,
            ..Self::new(ProblemCode::InvalidRequest, detail)
        }
    }

    /// Says that there is no such export, for this caller.
    pub fn not_found() -> Self {
        let detail = "There is no export with this id that you may see.";
        Self::new(ProblemCode::NotFound, detail)
    }

    /// Says that something is wrong on our side, without saying what.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "Please try again later; the request id helps us to find the cause.";
        Self::new(ProblemCode::Internal, detail).caused_by(cause)
    }

    /// Says that something that the service needs is down, without saying what.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            ProblemCode::Unavailable,
            "Please try again in a few seconds.",
        )
        .header(RETRY_AFTER, HeaderValue::from_static("5"))
        .caused_by(cause)
    }

    /// Adds the status of the export that the call was about.
    #[must_use]
    pub fn job_status(mut self, status: JobStatus) -> Self {
        self.job_status = Some(status);
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Keeps the cause, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(cause.into()));
        self
    }

    /// Returns the code.
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    /// Returns the cause with all its own causes, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        self.source.as_deref().map(|error| chain(error))
    }

    /// Returns the document that a client reads.
    pub fn document<'a>(&'a self, request_id: &'a str) -> impl Serialize + 'a {
        Document {
            r#type: format!("urn:problem:export:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code,
            job_status: self.job_status,
            quota: self.quota,
            errors: &self.errors,
            request_id,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match (&error, error.class()) {
            (StoreError::UnknownPrincipal(_), _) => {
                let detail =
                    "The platform does not know the user or the organization of the token.";
                Self::new(ProblemCode::UnknownPrincipal, detail).caused_by(error)
            }
            (_, ErrorClass::Transient { .. }) => Self::unavailable(error),
            (_, ErrorClass::Permanent | ErrorClass::Cancelled) => Self::internal(error),
        }
    }
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        match error.class() {
            ErrorClass::Transient { .. } => Self::unavailable(error),
            ErrorClass::Permanent | ErrorClass::Cancelled => Self::internal(error),
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { limit, used, .. } = exceeded;
        let day_ends = HeaderValue::from(exceeded.day_ends_in.as_secs());
        let (code, detail, retry_after) = match exceeded.resource {
            Resource::Queue => (
                ProblemCode::QueueQuotaExceeded,
                format!("{used} exports of the organization wait, and at most {limit} may."),
                QUEUE_AGAIN_AFTER,
            ),
            Resource::Rows => (
                ProblemCode::RowQuotaExceeded,
                format!("The organization has exported {used} rows today (UTC), and may {limit}."),
                day_ends,
            ),
            Resource::Bytes => (
                ProblemCode::ByteQuotaExceeded,
                format!("The organization has exported {used} bytes today (UTC), and may {limit}."),
                day_ends,
            ),
        };
        Self {
            quota: Some(QuotaUse { limit, used }),
            ..Self::new(code, detail)
        }
        .header(RETRY_AFTER, retry_after)
    }
}

impl From<TooManyWatchers> for Problem {
    fn from(error: TooManyWatchers) -> Self {
        let detail = "Please try again in a few seconds, or ask without waiting.";
        Self::new(ProblemCode::TooManyWatchers, detail)
            .header(RETRY_AFTER, HeaderValue::from_static("5"))
            .caused_by(error)
    }
}

impl From<TooManyEstimates> for Problem {
    fn from(error: TooManyEstimates) -> Self {
        let detail = "Please try again in a few seconds, or request the export right away.";
        Self::new(ProblemCode::TooManyEstimates, detail)
            .header(RETRY_AFTER, HeaderValue::from_static("5"))
            .caused_by(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.headers_mut().extend(self.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

/// An error, as `application/problem+json`: the members of RFC 9457, section 3.1, and ours behind
/// them.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// The code as a URN.
    r#type: String,
    /// A sentence that is the same each time.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong this time.
    detail: &'a str,
    /// Codes are stable.
    #[schema(schema_with = vocabulary::problem_code)]
    code: ProblemCode,
    /// The status of the export that the call was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = vocabulary::job_status, required = false)]
    job_status: Option<JobStatus>,
    /// The quota that is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    quota: Option<QuotaUse>,
    /// Everything that is wrong with the request, each with a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(schema_with = vocabulary::violations, required = false)]
    errors: &'a [Violation],
    /// The same as `x-request-id`; names the call in the log.
    request_id: &'a str,
}

/// How much there is of something for the organization, and how much of it is used.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct QuotaUse {
    limit: u64,
    used: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::{Pointer, Violation};
    use serde_json::to_value;

    use super::{Problem, ProblemCode};

    #[test]
    fn codes_differ() {
        let codes: HashSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
    }

    #[test]
    fn the_cause_is_for_the_log_only() {
        let cause = std::io::Error::other("password wrong");
        let problem = Problem::internal(cause);
        assert_eq!(problem.cause_chain().as_deref(), Some("password wrong"));
        let document = to_value(problem.document("r")).unwrap().to_string();
        assert!(!document.contains("password"), "{document}");
    }

    #[test]
    fn a_body_that_is_wrong_everywhere_gets_a_bounded_answer() {
        let violations = vec![Violation::new(Pointer::root(), "is wrong"); 5000];
        let document = to_value(Problem::invalid_request(violations).document("r")).unwrap();
        assert_eq!(document["errors"].as_array().unwrap().len(), 100);
        assert_eq!(
            document["detail"],
            "5000 things are wrong with the request; the first 100 are listed."
        );
    }
}
