//! Holds the stack against what its users need of it.

mod gateway;
mod proxy;
mod s3;
mod smtp;
mod stack;
mod support;
