//! Streams made by hand: each type, blocks, chunks of any size, and what is malformed.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod blocks;
mod chunks;
mod malformed;
mod support;
mod types;
