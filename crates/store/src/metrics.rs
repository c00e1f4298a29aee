//! What this crate counts: what has become of jobs and notifications, once it is committed.

use domain::ErrorCode;
use metrics::{counter, describe_counter};

use crate::notifications::Channel;

const ENDED: &str = "export_jobs_ended_total";
const RETRIED: &str = "export_job_retries_total";
const LEASES_LOST: &str = "export_leases_lost_total";
const CHECKPOINTS: &str = "export_checkpoints_total";
const RESUMED: &str = "export_resumes_total";
const STARTED_OVER: &str = "export_restarts_total";
const MAILS: &str = "export_mails_total";
const CALLS: &str = "export_webhook_calls_total";

/// The code of a job that has not failed.
const NONE: &str = "none";

/// What has become of an attempt to notify somebody.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Sent,
    Retried,
    GivenUp,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Retried, Self::GivenUp];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
        }
    }
}

/// Says what the numbers mean, and starts all of them at 0: a rate needs a value before the first
/// event.
pub(crate) fn describe() {
    describe_counter!(ENDED, "Jobs that have ended, by outcome and error code");
    describe_counter!(
        RETRIED,
        "Attempts after which a job waits to be tried again"
    );
    describe_counter!(
        LEASES_LOST,
        "Leases that ended under a worker, counted by whoever took the job over"
    );
    describe_counter!(CHECKPOINTS, "Checkpoints that were written");
    describe_counter!(RESUMED, "Attempts that went on behind a checkpoint");
    describe_counter!(
        STARTED_OVER,
        "Attempts that began anew, since what was stored was of no use"
    );
    describe_counter!(MAILS, "Attempts to send an e-mail, by outcome");
    describe_counter!(CALLS, "Attempts to call a webhook, by outcome");
    for outcome in ["completed", "cancelled"] {
        ended(outcome, NONE, 0);
    }
    for code in ErrorCode::ALL {
        ended("failed", code.as_str(), 0);
    }
    for name in [RETRIED, LEASES_LOST, CHECKPOINTS, RESUMED, STARTED_OVER] {
        counter!(name).increment(0);
    }
    for outcome in Outcome::ALL {
        for name in [MAILS, CALLS] {
            counter!(name, "outcome" => outcome.as_str()).increment(0);
        }
    }
}

fn ended(outcome: &'static str, code: &'static str, jobs: u64) {
    counter!(ENDED, "outcome" => outcome, "code" => code).increment(jobs);
}

pub(crate) fn completed() {
    ended("completed", NONE, 1);
}

pub(crate) fn failed(code: ErrorCode) {
    ended("failed", code.as_str(), 1);
}

pub(crate) fn cancelled() {
    ended("cancelled", NONE, 1);
}

pub(crate) fn retried() {
    counter!(RETRIED).increment(1);
}

pub(crate) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

pub(crate) fn checkpoint() {
    counter!(CHECKPOINTS).increment(1);
}

pub(crate) fn resumed() {
    counter!(RESUMED).increment(1);
}

pub(crate) fn started_over() {
    counter!(STARTED_OVER).increment(1);
}

pub(crate) fn notified(channel: Channel, outcome: Outcome) {
    let name = match channel {
        Channel::Email => MAILS,
        Channel::Webhook => CALLS,
    };
    counter!(name, "outcome" => outcome.as_str()).increment(1);
}
