//! What becomes of a job after an error: the one place that decides it.

use std::time::Duration;

use domain::{ErrorClass, Failure, JobId};
use serde::Deserialize;

/// The section `retry`.
#[derive(Clone, Debug, Deserialize)]
pub struct RetryConfig {
    /// How often a job is tried before it fails.
    pub max_attempts: u32,
    /// How long it waits in between.
    #[serde(flatten)]
    pub backoff: Backoff,
}

/// Waits that become longer.
#[derive(Clone, Debug, Deserialize)]
pub struct Backoff {
    /// The wait after the first attempt; it doubles with each further one.
    pub first_delay_ms: u64,
    /// The longest wait.
    pub max_delay_ms: u64,
}

/// The longest time that the other side may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_hours(1);

/// What becomes of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after this long.
    Retry(Duration),
    /// It has failed.
    Fail(Failure),
    /// It goes back as it was, since the worker was told to stop.
    Release,
}

impl RetryConfig {
    /// Judges an error of the `attempt`-th attempt, counted from 1, to do `job`.
    /// `failure` is what its owner is told if the job has failed.
    pub fn judge(&self, class: ErrorClass, failure: Failure, job: JobId, attempt: u32) -> Verdict {
        match class {
            ErrorClass::Cancelled => Verdict::Release,
            ErrorClass::Transient { retry_after } if attempt < self.max_attempts => {
                let delay = self.backoff.delay(job, attempt);
                let wanted = retry_after.unwrap_or_default().min(LONGEST_WISH);
                Verdict::Retry(delay.max(wanted))
            }
            ErrorClass::Transient { .. } | ErrorClass::Permanent => Verdict::Fail(failure),
        }
    }
}

impl Backoff {
    /// Returns the exponential back-off before the attempt after the `attempt`-th, between its half and its whole.
    ///
    /// The jitter comes from the job's id, which is random already.
    pub fn delay(&self, job: JobId, attempt: u32) -> Duration {
        let doubled = 1_u64
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u64::MAX);
        let full = self
            .first_delay_ms
            .saturating_mul(doubled)
            .min(self.max_delay_ms);
        let random = job.as_uuid().as_u64_pair().1.rotate_left(attempt % 8 * 8);
        Duration::from_millis(full - random % (full / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{ErrorClass, ErrorCode, JobId};
    use uuid::Uuid;

    use super::{Backoff, RetryConfig, Verdict};

    const CONFIG: RetryConfig = RetryConfig {
        max_attempts: 5,
        backoff: Backoff {
            first_delay_ms: 1_000,
            max_delay_ms: 6_000,
        },
    };
    const CODE: ErrorCode = ErrorCode::SourceUnavailable;

    fn job(id: u128) -> JobId {
        Uuid::from_u128(id).into()
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_is_spread() {
        for (attempt, full) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 6_000)] {
            let waits: Vec<_> = (0_u128..100)
                .map(|id| {
                    CONFIG.backoff.delay(
                        job(id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
                        attempt,
                    )
                })
                .collect();
            let (half, full) = (Duration::from_millis(full / 2), Duration::from_millis(full));
            assert!(
                waits.iter().all(|wait| (half..=full).contains(wait)),
                "{waits:?}"
            );
            assert!(waits.iter().any(|wait| *wait < half.mul_f32(1.5)));
            assert!(waits.iter().any(|wait| *wait > half.mul_f32(1.5)));
        }
    }

    #[test]
    fn attempts_end() {
        let judge = |attempt| CONFIG.judge(ErrorClass::TRANSIENT, CODE.into(), job(7), attempt);
        assert!(matches!(judge(4), Verdict::Retry(_)));
        assert_eq!(judge(5), Verdict::Fail(CODE.into()));
    }

    #[test]
    fn the_other_side_may_ask_for_more_time() {
        let retry_after = Some(Duration::from_mins(1));
        let verdict = CONFIG.judge(
            ErrorClass::Transient { retry_after },
            CODE.into(),
            job(7),
            1,
        );
        assert_eq!(verdict, Verdict::Retry(Duration::from_mins(1)));
    }

    #[test]
    fn the_other_side_may_not_ask_for_a_year() {
        let retry_after = Some(Duration::from_hours(365 * 24));
        let verdict = CONFIG.judge(
            ErrorClass::Transient { retry_after },
            CODE.into(),
            job(7),
            1,
        );
        assert_eq!(verdict, Verdict::Retry(Duration::from_hours(1)));
    }

    #[test]
    fn permanent_errors_fail_at_once_and_a_shutdown_costs_nothing() {
        let judge = |class| CONFIG.judge(class, CODE.into(), job(7), 1);
        assert_eq!(judge(ErrorClass::Permanent), Verdict::Fail(CODE.into()));
        assert_eq!(judge(ErrorClass::Cancelled), Verdict::Release);
    }
}
