//! The HTTP service: routes, authentication and problem documents.

mod app;
mod auth;
mod client;
mod config;
mod entity_tag;
mod estimate;
mod json;
mod metrics;
pub mod middleware;
mod openapi;
mod paging;
mod parameters;
mod problem;
mod proxies;
mod rate;
mod readable;
mod router;
pub mod routes;
mod scrape;
mod server;
mod snapshot;
mod wait;
mod watch;

pub use app::{App, SetupError};
pub use auth::{
    Admin, AuthError, AuthSetupError, Creator, InvalidToken, Permission, Principal, Reader,
    Verifier, WebhookOwner,
};
pub use client::Client;
pub use config::{AuthConfig, Config, EstimateConfig, HttpConfig, LimitsConfig, RateLimitConfig};
pub use entity_tag::IfNoneMatch;
pub use estimate::TooManyEstimates;
pub use json::JsonBody;
pub use problem::{Problem, ProblemCode};
pub use proxies::ForwardedHeader;
pub use router::router;
pub use scrape::Scrape;
pub use server::serve;
pub use watch::TooManyWatchers;
