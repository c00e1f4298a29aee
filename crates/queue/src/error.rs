//! What can go wrong with the queue. None of it can fail a job.

use std::time::Duration;

use apalis::prelude::{TaskSinkError, WorkerError};

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The configuration makes no sense.
    #[error("the queue configuration is wrong: {0}")]
    Config(&'static str),
    /// Redis did not answer in time.
    #[error("redis did not answer within {0:?}")]
    Timeout(Duration),
    /// Redis could not be reached, or refused a command.
    #[error("a redis command failed")]
    Redis(#[from] redis::RedisError),
    /// The message could not be pushed.
    #[error("the wake-up could not be pushed")]
    Push(#[from] TaskSinkError<apalis_redis::Error>),
    /// The apalis worker ended.
    #[error("the queue's worker ended")]
    Worker(#[from] WorkerError),
}
