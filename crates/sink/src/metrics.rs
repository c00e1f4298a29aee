//! What this crate counts: every request to the storage, by operation.

use std::time::Instant;

use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use metrics::{counter, describe_counter, describe_histogram, histogram};

/// How long the storage takes.
const REQUESTS: &str = "export_s3_request_seconds";
/// How often it is asked again.
const RETRIES: &str = "export_s3_retries_total";

/// Measures the requests of a client; those whose answer nobody waits for any more are not counted.
#[derive(Debug)]
pub(crate) struct Measure;

#[derive(Debug)]
struct Begun(Instant);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_histogram!(REQUESTS, "Requests to S3, their retries included");
    describe_counter!(RETRIES, "Requests that were sent to S3 again");
}

impl Intercept for Measure {
    fn name(&self) -> &'static str {
        "Measure"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Begun(Instant::now()));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(operation), Some(Begun(begun))) =
            (config.load::<Metadata>(), config.load::<Begun>())
        else {
            return Ok(());
        };
        let operation = operation.name().to_owned();
        let outcome = match context.output_or_error() {
            Some(Ok(_)) => "ok",
            _ => "error",
        };
        let attempts = config.load::<RequestAttempts>();
        let retries = attempts.map_or(0, |made| made.attempts().saturating_sub(1));
        histogram!(REQUESTS, "operation" => operation.clone(), "outcome" => outcome)
            .record(begun.elapsed());
        counter!(RETRIES, "operation" => operation).increment(retries.into());
        Ok(())
    }
}
