//! The sections of the configuration that `export-api` reads. The worker's are not looked at.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU64};

use domain::{FilterLimits, RequestLimits};
use ipnet::IpNet;
use notify::WebhookConfig;
use queue::QueueConfig;
use runtime::logging::LogConfig;
use runtime::traces::TracesConfig;
use secrecy::SecretString;
use serde::Deserialize;
use sink::S3Config;
use source::{ClickHouseConfig, DatasetsConfig};
use store::PostgresConfig;
use store::quotas::{Quota, QuotasConfig};
use url::Url;

use crate::auth::Permission;
use crate::middleware::Origin;
use crate::proxies::ForwardedHeader;

/// The configuration of `export-api`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// The HTTP server.
    pub http: HttpConfig,
    /// Who may call.
    pub auth: AuthConfig,
    /// How large a request may be.
    pub limits: LimitsConfig,
    /// What organizations may have.
    pub quotas: QuotasConfig,
    /// How often organizations may ask.
    pub rate_limit: RateLimitConfig,
    /// What estimates may cost.
    pub estimate: EstimateConfig,
    /// Postgres.
    pub postgres: PostgresConfig,
    /// Redis.
    pub redis: QueueConfig,
    /// The bucket.
    pub s3: S3Config,
    /// ClickHouse, for estimates.
    pub clickhouse: ClickHouseConfig,
    /// Webhooks.
    pub notify: WebhookConfig,
    /// The catalogue.
    pub datasets: DatasetsConfig,
    /// The log.
    pub log: LogConfig,
    /// Traces.
    pub traces: TracesConfig,
}

/// The section `http`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where `/metrics` listens.
    pub metrics_listen: SocketAddr,
    /// The address under which clients reach the service, for absolute links; without one, links
    /// are paths.
    pub public_url: Option<Url>,
    /// How long a request may take, from its headers to the answer.
    pub request_timeout_ms: u64,
    /// How long a client may take to send the headers, and how long a connection may idle.
    pub header_timeout_ms: u64,
    /// The largest body.
    pub body_limit_bytes: usize,
    /// Connections at the same time; more wait.
    pub max_connections: NonZeroU16,
    /// Requests that are answered at the same moment, those that wait for changes apart; more are
    /// refused.
    pub max_requests: NonZeroU16,
    /// The largest headers of a request, its first line included.
    pub max_header_bytes: usize,
    /// The origins of pages that may call the API from a browser.
    pub cors_origins: Vec<Origin>,
    /// Clients that wait for changes of jobs at the same time, on this process.
    pub max_watchers: u16,
    /// How long requests may go on after SIGTERM.
    pub shutdown_grace_s: u64,
    /// How long a readiness check may take.
    pub ready_timeout_ms: u64,
    /// The networks of the proxies in front of the service, which are believed when they say whom
    /// they serve.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they do.
    pub forwarded_header: ForwardedHeader,
}

/// The section `auth`. Exactly one of `hs256_secret` and `jwks_url` is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The secret of HS256 tokens, 32 bytes or more.
    pub hs256_secret: Option<SecretString>,
    /// Where the issuer publishes its RS256, ES256 and Ed25519 keys.
    pub jwks_url: Option<Url>,
    /// How long fetched keys are used without asking again.
    pub jwks_cache_s: u64,
    /// How long they are trusted when the issuer cannot be reached.
    pub jwks_stale_s: u64,
    /// The shortest time between two fetches, whatever tokens name.
    pub jwks_refetch_s: u64,
    /// How long one fetch may take.
    pub jwks_timeout_ms: u64,
    /// The `iss` that a token must have; any when there is none.
    pub issuer: Option<String>,
    /// The `aud` that a token must have; any when there is none.
    pub audience: Option<String>,
    /// The name or path of the claim that holds the user.
    pub user_claim: String,
    /// The name or path of the claim that holds the organization.
    pub organization_claim: String,
    /// The fields of datasets that claims narrow, by the names or paths of these claims.
    pub narrow_by: HashMap<String, String>,
    /// The names or paths of the claims that hold permissions or roles; without any everybody may
    /// do what concerns nobody else.
    pub permissions_claims: Vec<String>,
    /// What the roles that the claims may name are permitted to do.
    pub roles: HashMap<String, Vec<Permission>>,
    /// How far the clocks of the issuer and of this machine may be apart.
    pub leeway_s: u64,
}

/// The section `rate_limit`. 0 is no limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Requests for exports of one organization a minute, over all processes.
    pub create_per_minute: u32,
    /// Its other requests, at each process.
    pub other_per_minute: u32,
}

/// The section `limits`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Names in `columns`.
    pub max_columns: usize,
    /// Conditions of a filter.
    pub max_filter_conditions: usize,
    /// Levels of `all`, `any` and `not`.
    pub max_filter_depth: usize,
    /// Values of one condition.
    pub max_filter_values: usize,
    /// Bytes of one text value.
    pub max_filter_value_bytes: usize,
    /// Schedules of one organization.
    pub max_schedules: u32,
    /// The shortest time between two runs of a schedule.
    pub min_schedule_interval_s: u32,
}

/// The section `estimate`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstimateConfig {
    /// How long ClickHouse may count the rows of one.
    pub count_timeout_ms: u64,
    /// How many are made at the same time, on this process.
    pub max_concurrent: u16,
    /// Bytes of rows that an export is taken to read, encode and store in a second, where no earlier
    /// ones say how long it takes.
    pub sample_bytes_per_s: NonZeroU64,
}

impl LimitsConfig {
    /// Returns how large a request of an organization may be.
    pub fn of(&self, quota: &Quota) -> RequestLimits {
        RequestLimits {
            filter: FilterLimits {
                max_conditions: self.max_filter_conditions,
                max_depth: self.max_filter_depth,
                max_values: self.max_filter_values,
                max_value_bytes: self.max_filter_value_bytes,
            },
            max_range: quota.max_range(),
            max_columns: self.max_columns,
        }
    }
}
