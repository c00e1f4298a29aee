//! What happens around every route, from the outside in: request id, security headers, other origins,
//! problem documents, log, metrics, panics, timeout; and around those that need a token, the limits of
//! concurrency and of rate.

mod concurrency;
mod cors;
mod measure;
mod panics;
mod rate;
mod render;
mod request_id;
mod security;
mod timeout;
mod trace;

pub(crate) use concurrency::limit_concurrency;
pub(crate) use cors::allow;
pub use cors::{NoOrigin, Origin};
pub use measure::measure;
pub use panics::caught;
pub(crate) use rate::limit_rate;
pub use render::render;
pub use request_id::{RequestId, assign};
pub use security::harden;
pub use timeout::limit_time;
pub use trace::trace;
