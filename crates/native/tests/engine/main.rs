//! The decoder against the engine: the same rows as Native, and in another form.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod client;
mod compared;
mod random;
mod row_binary;
mod samples;
mod texts;
mod types;
mod values;
