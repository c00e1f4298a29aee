//! Work that must not go on after a moment, not even in a process that slept through it.
//!
//! A timer fires when the process has time to look at it. A process that was stopped for an hour in
//! the middle of its work would do the next step of it first. Here the clock is looked at before
//! each step.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use tokio::time::sleep_until;

/// Does work until `deadline`, and returns nothing when that comes first.
pub(crate) async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = before(|| deadline, work) => done,
        () = sleep_until(deadline.into()) => None,
    }
}

/// Does work step by step as long as the moment that `deadline` tells has not come. It is asked
/// before each step; nothing wakes work that waits when the moment comes.
pub(crate) async fn before<T>(
    deadline: impl Fn() -> Instant,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if Instant::now() >= deadline() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::{Duration, Instant};

    use super::{before, until};

    #[tokio::test]
    async fn work_in_time_is_done() {
        let deadline = Instant::now() + Duration::from_mins(1);
        assert_eq!(until(deadline, ready(7)).await, Some(7));
    }

    #[tokio::test]
    async fn work_that_waits_ends_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(10);
        assert_eq!(until(deadline, pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn no_step_is_made_after_the_deadline() {
        let deadline = Instant::now();
        let step = async { panic!("a step") };
        assert_eq!(before(|| deadline, step).await, None::<()>);
    }
}
