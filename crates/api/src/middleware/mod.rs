//! What happens around every route, from the outside in: request id, security headers, problem
//! documents, log, metrics, panics, timeout.

mod measure;
mod panics;
mod render;
mod request_id;
mod security;
mod timeout;
mod trace;

pub use measure::measure;
pub use panics::caught;
pub use render::render;
pub use request_id::{RequestId, assign};
pub use security::harden;
pub use timeout::limit_time;
pub use trace::trace;
