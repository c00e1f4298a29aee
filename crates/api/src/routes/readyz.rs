//! `GET /readyz`: whether requests can be served, and what is down.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use source::{Lack, SourceError};
use store::StoreError;
use tracing::warn;
use utoipa::ToSchema;

use crate::app::App;

/// What the service can do at the moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    status: Status,
    dependencies: Dependencies,
    /// Tables and columns that the preset of datasets names and ClickHouse does not have. They are not
    /// offered; everything else works.
    missing: Vec<Missing>,
}

/// What a dataset lacks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Missing {
    #[schema(example = "logs")]
    dataset: String,
    /// A table or a column.
    #[schema(example = "column event_name")]
    what: String,
}

impl From<&Lack> for Missing {
    fn from(lack: &Lack) -> Self {
        Self {
            dataset: lack.dataset.clone(),
            what: lack.what.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Everything.
    Ready,
    /// Jobs can be made and read; something that they need later is down.
    Degraded,
    /// Nothing.
    Down,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    pub(crate) postgres: Dependency,
    pub(crate) redis: Dependency,
    pub(crate) s3: Dependency,
    pub(crate) clickhouse: Dependency,
}

/// Never the reason: it may name hosts and users. The log has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Dependency {
    status: &'static str,
    #[schema(value_type = u64)]
    latency_ms: u128,
    /// What an operator has to do, if that is known.
    detail: Option<String>,
}

impl Readiness {
    pub(crate) fn of(dependencies: Dependencies, lacks: &[Lack]) -> Self {
        let Dependencies {
            postgres,
            redis,
            s3,
            clickhouse,
        } = &dependencies;
        let rest_is_up = redis.up() && s3.up() && clickhouse.up();
        let status = match (postgres.up(), rest_is_up) {
            (true, true) => Status::Ready,
            (true, false) => Status::Degraded,
            (false, _) => Status::Down,
        };
        Self {
            status,
            dependencies,
            missing: lacks.iter().map(Missing::from).collect(),
        }
    }
}

impl Dependency {
    pub(crate) fn new(is_up: bool, latency_ms: u128) -> Self {
        Self {
            status: if is_up { "up" } else { "down" },
            latency_ms,
            detail: None,
        }
    }

    fn up(&self) -> bool {
        self.status == "up"
    }
}

/// Answers 200 when Postgres, without which nothing works, is up, else 503.
#[utoipa::path(
    get, path = "/readyz", tag = "service",
    responses(
        (status = 200, description = "Requests are served; what is down is named.", body = Readiness),
        (status = 503, description = "Postgres is down or not migrated, and nothing works without it.", body = Readiness),
    ),
)]
pub async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let (postgres, redis, s3, clickhouse) = tokio::join!(
        check(
            "postgres",
            app.ready_timeout,
            store::check_schema(&app.pool)
        ),
        check("redis", app.ready_timeout, app.wakeups.ping()),
        check("s3", app.ready_timeout, app.sink.ping()),
        check("clickhouse", app.ready_timeout, app.catalogue.check()),
    );
    let dependencies = Dependencies {
        postgres,
        redis,
        s3,
        clickhouse,
    };
    let catalogue = app.catalogue.current();
    let readiness = Readiness::of(dependencies, catalogue.lacks());
    let code = match readiness.status {
        Status::Ready | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(readiness))
}

/// Says what an operator has to do about an error, without a host or a user.
fn detail(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return error.remedy().map(str::to_owned);
    }
    if let Some(SourceError::Unsafe(missing)) = error.downcast_ref() {
        let missing = missing.join(", ");
        return Some(format!(
            "The profile of the ClickHouse user must say: {missing}."
        ));
    }
    None
}

async fn check<E: Error + 'static>(
    name: &str,
    limit: Duration,
    ping: impl Future<Output = Result<(), E>>,
) -> Dependency {
    let begin = Instant::now();
    let result = tokio::time::timeout(limit, ping).await;
    let error: Option<&dyn Error> = match &result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(elapsed) => Some(elapsed),
    };
    if let Some(error) = error {
        warn!(dependency = name, error, "dependency is down");
    }
    let detail = error.and_then(detail);
    Dependency {
        detail,
        ..Dependency::new(error.is_none(), begin.elapsed().as_millis())
    }
}
