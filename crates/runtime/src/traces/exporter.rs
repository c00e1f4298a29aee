//! Sends spans over OTLP, and complains seldom when nobody takes them.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SpanData};
use url::Url;

/// How long the collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time between two lines of the log.
const PAUSE: Duration = Duration::from_mins(5);

/// Sends batches of spans, on the thread that gathers them.
#[derive(Debug)]
pub(super) struct Exporter {
    otlp: SpanExporter,
    complained: Mutex<Option<Instant>>,
}

impl Exporter {
    pub(super) fn new(endpoint: &Url) -> Result<Self, ExporterBuildError> {
        let otlp = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint.as_str())
            .with_timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            otlp,
            complained: Mutex::default(),
        })
    }

    fn complain(&self, error: &(dyn Error + 'static)) {
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|last| last.elapsed() >= PAUSE) {
            *complained = Some(Instant::now());
            tracing::warn!(error, "spans are lost: the collector does not take them");
        }
    }
}

impl trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.otlp.export(batch).await;
        if let Err(error) = &exported {
            self.complain(error);
        }
        exported
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
