//! The catalogue, the planner and the reader against a real engine.

mod faults;
mod filters;
mod plan;
mod presets;
mod resolve;
mod support;
mod values;
