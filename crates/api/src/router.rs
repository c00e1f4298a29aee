//! The routes and what is around them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::config::HttpConfig;
use crate::middleware::{
    allow, assign, caught, harden, limit_concurrency, limit_rate, limit_time, measure, render,
    trace,
};
use crate::problem::{Problem, ProblemCode};
use crate::routes::{
    create_export, create_schedule, delete_export, delete_schedule, docs, docs_script, docs_style,
    download_export, estimate_export, follow_link, get_audit, get_export, get_manifest,
    get_schedule, get_webhook_secret, healthz, list_datasets, list_exports, list_schedules,
    openapi_json, readyz, revoke_links, watch_export,
};

/// Builds the service.
pub fn router(app: App, config: &HttpConfig) -> Router {
    let places = Arc::new(Semaphore::new(config.max_requests.get().into()));
    let exports = Router::new()
        .route("/api/v1/export", get(list_exports).post(create_export))
        .route("/api/v1/export/datasets", get(list_datasets))
        .route("/api/v1/export/estimate", post(estimate_export))
        .route("/api/v1/export/webhook-secret", get(get_webhook_secret))
        .route(
            "/api/v1/export/schedules",
            get(list_schedules).post(create_schedule),
        )
        .route(
            "/api/v1/export/schedules/{id}",
            get(get_schedule).delete(delete_schedule),
        )
        .route("/api/v1/export/{id}", get(get_export).delete(delete_export))
        .route("/api/v1/export/{id}/audit", get(get_audit))
        .route("/api/v1/export/{id}/download", get(download_export))
        .route("/api/v1/export/{id}/events", get(watch_export))
        .route("/api/v1/export/{id}/links", delete(revoke_links))
        .route("/api/v1/export/{id}/manifest", get(get_manifest))
        .route("/api/v1/links/{token}", get(follow_link))
        .route_layer(from_fn_with_state(app.clone(), limit_rate))
        .route_layer(from_fn_with_state(places, limit_concurrency));
    let routes = exports
        .route("/openapi.json", get(openapi_json))
        .route("/docs", get(docs))
        .route("/docs/style.css", get(docs_style))
        .route("/docs/script.js", get(docs_script))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(app);
    surround(routes, config)
}

/// Puts around `routes` what every route has in common, the first layer outermost.
fn surround(routes: Router, config: &HttpConfig) -> Router {
    let layers = ServiceBuilder::new()
        .layer(from_fn(assign))
        .layer(map_response(harden))
        .option_layer(allow(&config.cors_origins))
        .layer(from_fn(render))
        .layer(from_fn(trace))
        .layer(from_fn(measure))
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn_with_state(
            Duration::from_millis(config.request_timeout_ms),
            limit_time,
        ))
        .layer(DefaultBodyLimit::max(config.body_limit_bytes));
    routes
        .fallback(async || Problem::new(ProblemCode::UnknownRoute, "Check the path."))
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemCode::MethodNotAllowed,
                "The header Allow lists those that are.",
            )
        })
        .layer(layers)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::surround;
    use crate::config::HttpConfig;
    use crate::proxies::ForwardedHeader;

    #[tokio::test]
    async fn a_panic_is_an_answer_that_says_nothing() {
        let config = HttpConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            metrics_listen: "127.0.0.1:0".parse().unwrap(),
            public_url: None,
            request_timeout_ms: 1000,
            header_timeout_ms: 1000,
            body_limit_bytes: 1000,
            max_connections: NonZeroU16::MIN,
            shutdown_grace_s: 1,
            ready_timeout_ms: 1000,
            max_requests: NonZeroU16::MIN,
            max_header_bytes: 1000,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            max_watchers: 1,
        };
        let routes = Router::new().route("/", get(async || -> () { panic!("a secret") }));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = surround(routes, &config).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
