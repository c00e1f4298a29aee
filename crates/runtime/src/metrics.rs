//! Metrics: what every crate counts through the facade `metrics`, as text for Prometheus.

use std::time::Duration;

use metrics::{Gauge, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Which binary of which version this is.
const BUILD_INFO: &str = "export_build_info";

/// Upper bounds of the buckets of every histogram, in seconds: from a request to a long export.
const BUCKETS_S: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0,
    7_200.0,
];

/// How often what histograms have recorded is added up, so that it takes no room when nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// The text format, which every version of Prometheus reads.
const CONTENT_TYPE: (&str, &str) = ("content-type", "text/plain; version=0.0.4; charset=utf-8");

/// What this process has counted. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Begins to count for the binary `service`. Whatever is counted or described before is lost, so
    /// call it first. Must be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When something counts already.
    pub fn install(service: &'static str) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_S)?
            .install_recorder()?;
        let process = Collector::default();
        process.describe();
        describe_gauge!(BUILD_INFO, "1, for the binary and its version");
        gauge!(BUILD_INFO, "service" => service, "version" => env!("CARGO_PKG_VERSION")).set(1);
        let upkeep = recorder.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self { recorder, process })
    }

    /// Answers `GET /metrics`: a header and the text.
    pub fn scrape(&self) -> ([(&'static str, &'static str); 1], String) {
        self.process.collect();
        ([CONTENT_TYPE], self.recorder.render())
    }
}

/// One more in a gauge, until it is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// Adds one.
    pub fn in_gauge(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
