//! A collector of traces: takes OTLP over HTTP and keeps what it gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A running collector. It stops when it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it takes traces.
    pub url: String,
    spans: Spans,
    _server: JoinSet<()>,
}

/// A span that has ended. Ids are in hexadecimal.
#[derive(Clone, Debug)]
pub struct Span {
    /// The process.
    pub service: String,
    /// What was done.
    pub name: String,
    /// The trace.
    pub trace_id: String,
    /// The id.
    pub span_id: String,
    /// That of the span around it; empty where there is none.
    pub parent_id: String,
}

type Spans = Arc<Mutex<Vec<Span>>>;

impl Collector {
    /// Starts a collector.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1/traces", listener.local_addr()?);
        let spans = Spans::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.unwrap_or(()) });
        Ok(Self {
            url,
            spans,
            _server: server,
        })
    }

    /// Returns the spans of a trace by their names; of those that have the same name, the last.
    pub fn trace(&self, trace_id: &str) -> HashMap<String, Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = spans.iter().filter(|span| span.trace_id == trace_id);
        spans
            .map(|span| (span.name.clone(), span.clone()))
            .collect()
    }
}

async fn take(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let taken = request.resource_spans.iter().flat_map(of_service);
    let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
    spans.extend(taken);
    StatusCode::OK
}

fn of_service(spans: &ResourceSpans) -> Vec<Span> {
    let attributes = spans
        .resource
        .iter()
        .flat_map(|resource| &resource.attributes);
    let service = attributes
        .filter(|attribute| attribute.key == "service.name")
        .find_map(
            |attribute| match attribute.value.as_ref()?.value.as_ref()? {
                Value::StringValue(name) => Some(name.clone()),
                _ => None,
            },
        )
        .unwrap_or_default();
    let spans = spans.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans
        .map(|span| Span {
            service: service.clone(),
            name: span.name.clone(),
            trace_id: hex::encode(&span.trace_id),
            span_id: hex::encode(&span.span_id),
            parent_id: hex::encode(&span.parent_span_id),
        })
        .collect()
}
