//! The codes of problems.

use axum::http::StatusCode;
use serde::Serialize;

macro_rules! problem_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong with a call. Codes are stable; titles and details may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum ProblemCode {
            $($(#[doc = $doc])* #[serde(rename = $code)] $name,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the code as it stands in a problem document.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns the status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns what it means, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// Returns the sentence that is the same each time.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// The body is no JSON, names a member twice, or holds U+0000.
    InvalidJson = "invalid_json", BAD_REQUEST, "The body is not valid JSON.";
    /// `Idempotency-Key` is sent twice, or is no string of 1 to 255 printable ASCII characters.
    InvalidIdempotencyKey = "invalid_idempotency_key", BAD_REQUEST, "The idempotency key is not valid.";
    /// There is no bearer token.
    TokenMissing = "token_missing", UNAUTHORIZED, "A bearer token is required.";
    /// The token is malformed, signed by somebody else, or not meant for this service.
    TokenInvalid = "token_invalid", UNAUTHORIZED, "The bearer token is not valid.";
    /// The token was valid once.
    TokenExpired = "token_expired", UNAUTHORIZED, "The bearer token has expired.";
    /// The token is valid, but the platform does not know its user or organization.
    UnknownPrincipal = "unknown_principal", FORBIDDEN, "The user or the organization is not known.";
    /// The token is valid, but names no organization (`auth.organization_claim`).
    OrganizationMissing = "organization_missing", FORBIDDEN, "The token names no organization.";
    /// The token is valid, but does not have the permission that the call needs.
    PermissionMissing = "permission_missing", FORBIDDEN, "The call is not permitted.";
    /// There is no such path.
    UnknownRoute = "unknown_route", NOT_FOUND, "There is nothing at this path.";
    /// There is no such export, or it belongs to somebody else.
    NotFound = "not_found", NOT_FOUND, "There is no such export.";
    /// The export has no file of this number.
    FileNotFound = "file_not_found", NOT_FOUND, "There is no such file.";
    /// There is no such schedule, or it belongs to somebody else.
    ScheduleNotFound = "schedule_not_found", NOT_FOUND, "There is no such schedule.";
    /// The service has no secret to sign webhooks with (`notify.webhook_secrets`).
    NoWebhooks = "no_webhooks", NOT_FOUND, "Webhooks are not set up.";
    /// The path exists, but not for this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here.";
    /// The export is still waiting or running.
    NotReady = "not_ready", CONFLICT, "The export is not ready yet.";
    /// The export has failed, so it has no file.
    ExportFailed = "export_failed", CONFLICT, "The export has failed.";
    /// The export was cancelled, so it has no file.
    ExportCancelled = "export_cancelled", CONFLICT, "The export was cancelled.";
    /// The export has several files, so `file` must name one by its number.
    SeveralFiles = "several_files", CONFLICT, "The export has several files.";
    /// The file was made by another module, before this service took over, and is not in its storage.
    AdoptedFile = "adopted_file", CONFLICT, "The file is not in the storage of the service.";
    /// The organization has as many schedules as it may have (`limits.max_schedules`).
    TooManySchedules = "too_many_schedules", CONFLICT, "There are too many schedules.";
    /// A request with the same `Idempotency-Key` is being answered at this moment.
    IdempotencyKeyInUse = "idempotency_key_in_use", CONFLICT, "A request with this idempotency key is in progress.";
    /// The file was kept for its time and is gone, or somebody deleted it.
    Expired = "expired", GONE, "The file of the export is gone.";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large.";
    /// The body is not declared as plain JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON.";
    /// The body is JSON, or the query is readable, but asks for something impossible; `errors`
    /// lists everything.
    InvalidRequest = "invalid_request", UNPROCESSABLE_ENTITY, "The request is not valid.";
    /// Within 24 hours, `Idempotency-Key` came with another body.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request.";
    /// The organization asks too often (`rate_limit`).
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "The organization sends too many requests.";
    /// As many exports of the organization wait as may (`quotas.max_queued`).
    QueueQuotaExceeded = "queue_quota_exceeded", TOO_MANY_REQUESTS, "Too many exports of the organization wait.";
    /// The organization has exported as many rows as it may on one day (`quotas.max_rows_per_day`).
    RowQuotaExceeded = "row_quota_exceeded", TOO_MANY_REQUESTS, "The organization has used up its rows of the day.";
    /// The organization has exported as many bytes as it may on one day (`quotas.max_bytes_per_day`).
    ByteQuotaExceeded = "byte_quota_exceeded", TOO_MANY_REQUESTS, "The organization has used up its bytes of the day.";
    /// A fault of the service.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side.";
    /// The service cannot reach something that it needs.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is not available at the moment.";
    /// As many requests are answered at the same moment as one process lets in (`http.max_requests`).
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service has too much to do at the moment.";
    /// As many clients wait for changes as one process lets in (`http.max_watchers`).
    TooManyWatchers = "too_many_watchers", SERVICE_UNAVAILABLE, "Too many clients wait for changes.";
    /// As many estimates are made as one process makes at once (`estimate.max_concurrent`).
    TooManyEstimates = "too_many_estimates", SERVICE_UNAVAILABLE, "Too many estimates are made at once.";
    /// The call took longer than the service allows.
    Timeout = "timeout", SERVICE_UNAVAILABLE, "The call took too long.";
}
