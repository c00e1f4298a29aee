//! The catalogue, the planner and the reader against a real engine.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod engines;
mod estimate;
mod faults;
mod filters;
mod keys;
mod large_filters;
mod order;
mod plan;
mod presets;
mod profiles;
mod resolve;
mod support;
mod tables;
mod values;
