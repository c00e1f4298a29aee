//! Notifications by webhook, which say what `GET` says of the job.

use std::sync::Arc;

use domain::{Classify, Clock, ErrorClass, ErrorCode, JobState};
use notify::{Call, Event, EventKind, WebhookError, WebhookSender};
use representation::{JobRepresentation, Links};
use store::notifications::{Channel, DueNotification};

use super::Courier;

/// Calls webhooks.
pub struct WebhookCourier {
    /// The way to the receivers.
    pub sender: WebhookSender,
    /// Where exports are to be had.
    pub links: Links,
    /// Dates the calls.
    pub clock: Arc<dyn Clock>,
}

/// Why a webhook was not called, or did not accept the call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The receiver did not accept it.
    #[error("calling the webhook")]
    Call(#[from] WebhookError),
    /// There is nothing to tell any more.
    #[error("the file or the reason of the failure is gone")]
    Outdated,
}

impl Classify for CallError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Call(error) => error.class(),
            Self::Outdated => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

impl Courier for WebhookCourier {
    type Error = CallError;

    const CHANNEL: Channel = Channel::Webhook;
    /// A receiver that hangs must not hold up all others, nor all those of one organization others.
    const AT_ONCE: usize = 16;
    const OF_ONE_ORGANIZATION: usize = 4;

    async fn deliver(&self, due: &DueNotification) -> Result<(), CallError> {
        let job = &due.job;
        let (kind, timestamp) = match job.state {
            JobState::Completed { completed_at, .. } => (EventKind::Completed, completed_at),
            JobState::Failed { completed_at, .. } => (EventKind::Failed, completed_at),
            _ => return Err(CallError::Outdated),
        };
        let to = due.request.notify.webhook.as_ref();
        let call = Call {
            id: due.id,
            organization: job.organization,
            to: to.ok_or(CallError::Outdated)?,
            date: self.clock.now(),
            event: &Event {
                kind,
                timestamp,
                data: JobRepresentation::new(job, &self.links),
            },
        };
        Ok(self.sender.send(&call).await?)
    }
}
