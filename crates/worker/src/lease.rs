//! The right to work on a job: renewed while the work goes on, and every write goes through it.

use std::time::{Duration, Instant};

use domain::{Classify, ErrorClass, ExportedFile, Failure, Progress};
use store::jobs::{self, Claim};
use store::{PgPool, StoreError, acquire};
use tokio_util::sync::CancellationToken;

/// How long to wait before Postgres is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// A claimed job and the database in which it is claimed.
///
/// Each write is fenced with the claim's token: after the lease is lost it changes nothing and
/// answers [`StoreError::LeaseLost`].
#[derive(Clone, Debug)]
pub struct Lease {
    pool: PgPool,
    claim: Claim,
    length: Duration,
}

impl Lease {
    /// Takes charge of a claim that holds for `length` without a renewal.
    pub fn new(pool: PgPool, claim: Claim, length: Duration) -> Self {
        Self {
            pool,
            claim,
            length,
        }
    }

    /// Returns the claim.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Renews the lease until it is lost, then cancels `stop`.
    ///
    /// A database that cannot be reached loses the lease as well, once its time is over.
    pub async fn keep(self, stop: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.length / 3).await;
            let asked = Instant::now();
            // A network that hangs must not hide that the lease ends.
            let answer = tokio::time::timeout(self.length / 3, self.renew()).await;
            match answer {
                Ok(Ok(())) => renewed = asked,
                Ok(Err(StoreError::LeaseLost)) => break,
                Ok(Err(_)) | Err(_) if renewed.elapsed() >= self.length * 2 / 3 => break,
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "lease not renewed yet"
                ),
                Err(_) => tracing::warn!("lease not renewed in time"),
            }
        }
        tracing::warn!(job.id = %self.claim.job.id, "lease lost");
        stop.cancel();
    }

    async fn renew(&self) -> Result<(), StoreError> {
        jobs::renew(&mut *acquire(&self.pool).await?, &self.claim, self.length).await
    }

    /// Tells pollers how far the job is.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres fails.
    pub async fn progress(&self, rows: u64, estimated: u64) -> Result<(), StoreError> {
        let percent = Progress::of_rows(rows, estimated);
        let mut conn = acquire(&self.pool).await?;
        jobs::progress(&mut conn, &self.claim, rows, Some(estimated), percent).await
    }

    /// Notes where the object will be, before anything is uploaded.
    ///
    /// Waits for a Postgres that cannot be reached: the end of the lease cancels the work anyway.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres refuses.
    pub async fn record_upload(
        &self,
        key: &str,
        upload_id: Option<&str>,
    ) -> Result<(), StoreError> {
        loop {
            let noted = async {
                let mut conn = acquire(&self.pool).await?;
                jobs::record_upload(&mut conn, &self.claim, key, upload_id).await
            };
            match noted.await {
                Err(error) if matches!(error.class(), ErrorClass::Transient { .. }) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the upload is not noted yet"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                noted => return noted,
            }
        }
    }

    /// Ends the attempt. A job that ends with it gets its event and its notification.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres fails.
    pub async fn end(&self, ending: &Ending<'_>) -> Result<(), StoreError> {
        let conn = &mut *acquire(&self.pool).await?;
        let claim = &self.claim;
        match ending {
            Ending::Completed {
                file,
                location,
                retention,
            } => jobs::complete(conn, claim, file, location, *retention).await,
            Ending::Failed { failure, cause } => jobs::fail(conn, claim, failure, cause).await,
            Ending::Retry { delay, cause } => jobs::retry(conn, claim, *delay, cause).await,
            Ending::Released => jobs::release(conn, claim).await,
        }
    }
}

/// How an attempt ends. Operators see the causes, users do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<'a> {
    /// The file is at `location`, for as long as `retention`.
    Completed {
        /// The file.
        file: &'a ExportedFile,
        /// Where it is, for people.
        location: String,
        /// How long it stays.
        retention: Duration,
    },
    /// There will be no file.
    Failed {
        /// What users are told.
        failure: Failure,
        /// What happened.
        cause: String,
    },
    /// The job is tried again.
    Retry {
        /// After this long.
        delay: Duration,
        /// What happened.
        cause: String,
    },
    /// The job goes back as if it had not been taken.
    Released,
}
