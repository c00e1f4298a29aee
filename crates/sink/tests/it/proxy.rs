//! A proxy in front of the storage that breaks what a test wants broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use devstack::Env;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use url::Url;

use crate::support::browser;

/// What becomes of a request.
pub(crate) enum Fate {
    /// The storage answers.
    Pass,
    /// The storage answers, once a permit is there.
    Wait(Arc<Semaphore>),
    /// The storage never sees it.
    Refuse(StatusCode, &'static str),
    /// The storage does it, but its answer is lost.
    LoseAnswer,
}

type Rule = dyn Fn(&Parts) -> Fate + Send + Sync;

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: Url,
    requests: Arc<AtomicUsize>,
    in_flight: Arc<AtomicUsize>,
    rule: Arc<Rule>,
    client: reqwest::Client,
}

impl Proxy {
    pub(crate) async fn start(
        rule: impl Fn(&Parts) -> Fate + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let proxy = Self {
            url: format!("http://{}", listener.local_addr()?).parse()?,
            requests: Arc::default(),
            in_flight: Arc::default(),
            rule: Arc::new(rule),
            client: browser(),
        };
        let router = Router::new().fallback(handle).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(proxy)
    }

    /// How many requests there have been.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Waits until so many requests are open.
    pub(crate) async fn until_in_flight(&self, expected: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.in_flight.load(Ordering::SeqCst) != expected {
            ensure!(
                Instant::now() < deadline,
                "never {expected} requests at once"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn forward(&self, head: Parts, body: Bytes) -> anyhow::Result<Response> {
        let upstream = Env::shared().s3.endpoint.trim_end_matches('/');
        let answer = self
            .client
            .request(head.method, format!("{upstream}{}", head.uri))
            // With the Host that was signed.
            .headers(head.headers)
            .body(body)
            .send()
            .await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        Ok((status, headers, answer.bytes().await?).into_response())
    }
}

struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn enter(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn handle(State(proxy): State<Proxy>, request: Request) -> Response {
    proxy.requests.fetch_add(1, Ordering::SeqCst);
    let _in_flight = InFlight::enter(&proxy.in_flight);
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let fate = (proxy.rule)(&head);
    if let Fate::Refuse(status, body) = fate {
        return (status, [(header::RETRY_AFTER, "7")], Body::from(body)).into_response();
    }
    if let Fate::Wait(gate) = &fate {
        gate.acquire().await.expect("never closed").forget();
    }
    let answer = proxy.forward(head, body).await;
    match (fate, answer) {
        (Fate::LoseAnswer, Ok(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (_, Ok(answer)) => answer,
        (_, Err(error)) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
