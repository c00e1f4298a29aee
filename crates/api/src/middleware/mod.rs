//! What happens around every route, from the outside in: request id, log, security headers,
//! problem documents, panics, timeout; and around those that need a token, the rate limit.

mod panics;
mod rate;
mod render;
mod request_id;
mod security;
mod timeout;
mod trace;

pub use panics::caught;
pub(crate) use rate::limit_rate;
pub use render::render;
pub use request_id::{RequestId, assign};
pub use security::harden;
pub use timeout::limit_time;
pub use trace::trace;
