//! Traces: the spans of both binaries, sent to a collector over OTLP, and how a trace goes on from a
//! request to the worker.

mod exporter;

use std::collections::HashMap;
use std::time::Duration;

use domain::TraceParent;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::traces::exporter::Exporter;

/// The crates whose spans are sent; others have spans of their own, which tell users nothing.
const OURS: [&str; 3] = ["api", "sink", "worker"];

/// How long the end of the process may wait for the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The section `traces`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// Where the collector takes OTLP over HTTP; without one nothing is traced.
    pub endpoint: Option<Url>,
    /// Which part of the traces that begin here is kept, 0 to 1. Those that a caller has begun are
    /// kept if the caller says so.
    pub sample_ratio: f64,
}

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The part that is kept is none.
    #[error("traces.sample_ratio must be between 0 and 1")]
    Ratio,
    /// The endpoint makes no sense, or there is no thread for it.
    #[error("traces.endpoint cannot be used")]
    Exporter(#[from] ExporterBuildError),
}

/// Where the spans of this process go, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Prepares to send the spans of the binary `service`. Connects to nothing: a collector that is
    /// away costs its spans, and a line in the log now and then.
    ///
    /// # Errors
    ///
    /// When the configuration makes no sense.
    pub fn new(config: &TracesConfig, service: &'static str) -> Result<Self, TracesError> {
        if !(0.0..=1.0).contains(&config.sample_ratio) {
            return Err(TracesError::Ratio);
        }
        let Some(endpoint) = &config.endpoint else {
            return Ok(Self::default());
        };
        let resource = Resource::builder_empty()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::TraceIdRatioBased(config.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_batch_exporter(Exporter::new(endpoint)?)
            .build();
        Ok(Self(Some(provider)))
    }

    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer("data-export");
        // Lines of the log stay in the log: spans say how long what took.
        let ours = filter_fn(|metadata| {
            let target = metadata.target().split("::").next().unwrap_or_default();
            metadata.is_span() && *metadata.level() <= Level::INFO && OURS.contains(&target)
        });
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO));
        Some(layer)
    }

    /// Sends what has not been sent yet, as far as the collector takes it within three seconds.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let flush = move || provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        // The exporter has said what went wrong, if anything did.
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}

/// Lets `span`, which has not been entered yet, go on with the trace of somebody else.
pub fn follow(span: &Span, parent: Option<&TraceParent>) {
    let Some(parent) = parent else { return };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.as_str().to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    // Fails where nothing is traced.
    let _ = span.set_parent(context);
}

/// Gives `span` a name in the trace that says more than the one in the log.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Returns where in which trace the caller is, for whoever goes on with it.
pub fn current() -> Option<TraceParent> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject(&mut carrier);
    TraceParent::parse(carrier.get(TRACEPARENT)?)
}

/// Returns the span that the caller is in, if it is traced.
pub(crate) fn current_span() -> Option<SpanContext> {
    let context = Context::map_current(|context| context.span().span_context().clone());
    context.is_valid().then_some(context)
}

const TRACEPARENT: &str = "traceparent";
