//! The right to work on a job: renewed while the work goes on, and every write goes through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{
    Classify, ErrorClass, ExportedFile, ExportedFiles, Failure, FileContents, FileTotals, Progress,
};
use store::files::{self, WholeFile};
use store::jobs::{self, Claim};
use store::removals::{self, Stored};
use store::uploads::{self, Checkpoint, NewUpload};
use store::{PgPool, StoreError, acquire, contents};
use tokio_util::sync::CancellationToken;

use crate::deadline;

/// How long to wait before Postgres is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a job may have been cancelled before its worker knows, at most.
const CHECK: Duration = Duration::from_secs(1);

/// A claimed job and the database in which it is claimed.
///
/// Each write to the job is fenced with the claim's token: after the lease is lost it changes nothing
/// and answers [`StoreError::LeaseLost`].
#[derive(Clone, Debug)]
pub struct Lease {
    pool: PgPool,
    claim: Arc<Claim>,
    length: Duration,
    /// Until when the lease holds for sure, by the clock of this process.
    held_until: Arc<Mutex<Instant>>,
    /// Whether there is a checkpoint of this claim.
    advanced: Arc<AtomicBool>,
}

impl Lease {
    /// Takes charge of a claim that was asked for at `asked` and holds for `length`.
    pub fn new(pool: PgPool, claim: Claim, length: Duration, asked: Instant) -> Self {
        Self {
            pool,
            claim: Arc::new(claim),
            length,
            held_until: Arc::new(Mutex::new(asked + length)),
            advanced: Arc::default(),
        }
    }

    /// Returns the claim.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns how often the job has been tried since its last checkpoint, this time included.
    pub fn attempts(&self) -> u32 {
        if self.advanced.load(Ordering::Relaxed) {
            1
        } else {
            self.claim.attempts
        }
    }

    /// Renews the lease until it is lost, or the job is cancelled, and then cancels `stop`.
    ///
    /// A database that cannot be reached loses the lease as well, once its time is over.
    pub async fn keep(self, stop: CancellationToken) {
        let mut renewed = Instant::now();
        let pause = CHECK.min(self.length / 3);
        loop {
            tokio::time::sleep(pause).await;
            let asked = Instant::now();
            let renew = asked + pause > renewed + self.length / 3;
            let answer = async {
                let mut conn = acquire(&self.pool).await?;
                if renew {
                    jobs::renew(&mut conn, &self.claim, self.length).await
                } else {
                    jobs::check(&mut conn, &self.claim).await
                }
            };
            // A network that hangs must not hide that the lease ends.
            match tokio::time::timeout(self.length / 3, answer).await {
                Ok(Ok(())) if renew => {
                    renewed = asked;
                    *self
                        .held_until
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = asked + self.length;
                }
                Ok(Ok(())) => {}
                Ok(Err(StoreError::LeaseLost)) => break,
                Ok(Err(_)) | Err(_) if renewed.elapsed() >= self.length * 2 / 3 => break,
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "lease not renewed yet"
                ),
                Err(_) => tracing::warn!("lease not renewed in time"),
            }
        }
        tracing::warn!(job.id = %self.claim.job.id, "the lease is lost, or the job cancelled");
        stop.cancel();
    }

    /// Does work as long as the lease holds, and returns nothing when it ended before.
    ///
    /// Nothing of the work happens after that, see the module `deadline`.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let held_until = || {
            *self
                .held_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        deadline::before(held_until, work).await
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

    /// Notes what is stored. Waits for a Postgres that cannot be reached: the end of the lease
    /// cancels the work anyway.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres refuses.
    pub async fn note(&self, note: &Note<'_>) -> Result<(), StoreError> {
        loop {
            match self.try_note(note).await {
                Err(error) if matches!(error.class(), ErrorClass::Transient { .. }) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the state is not noted yet"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                noted => return noted,
            }
        }
    }

    async fn try_note(&self, note: &Note<'_>) -> Result<(), StoreError> {
        let conn = &mut *acquire(&self.pool).await?;
        let claim = &*self.claim;
        match *note {
            Note::Contents(file) => contents::note(conn, claim, file).await,
            Note::Object { key } => uploads::begin_object(conn, claim, key).await,
            Note::Upload(upload) => uploads::begin(conn, claim, upload).await,
            Note::FurtherFile { number, key, id } => {
                files::begin(conn, claim, number, key, id).await
            }
            Note::PartsReserved(number) => uploads::reserve_parts(conn, claim, number).await,
            Note::Checkpoint(checkpoint) => {
                let noted = uploads::add_checkpoint(conn, claim, checkpoint).await;
                noted.map(|()| self.advance())
            }
            Note::Turn {
                whole,
                upload,
                checkpoint,
            } => {
                let noted = files::turn(conn, claim, whole, upload, checkpoint).await;
                noted.map(|()| self.advance())
            }
            Note::Whole { file, last } => {
                let noted = uploads::seal(conn, claim, file, last).await;
                noted.map(|()| self.advance())
            }
            Note::AllWhole { whole, totals } => {
                let noted = files::seal(conn, claim, whole, totals).await;
                noted.map(|()| self.advance())
            }
        }
    }

    fn advance(&self) {
        self.advanced.store(true, Ordering::Relaxed);
    }

    /// Returns the files of the job that are whole, if there are several.
    ///
    /// # Errors
    ///
    /// When Postgres fails.
    pub async fn whole_files(&self) -> Result<Vec<WholeFile>, StoreError> {
        files::whole(&mut *acquire(&self.pool).await?, &self.claim).await
    }

    /// Returns the checkpoints of the job.
    ///
    /// # Errors
    ///
    /// When Postgres fails.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        uploads::checkpoints(&mut *acquire(&self.pool).await?, &self.claim).await
    }

    /// Notes that this attempt goes on where another one ended.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres fails.
    pub async fn resume(&self) -> Result<(), StoreError> {
        uploads::resume(&mut *acquire(&self.pool).await?, &self.claim).await
    }

    /// Gives up what earlier attempts have stored. Returns how often the job has begun anew.
    ///
    /// # Errors
    ///
    /// When the lease is lost, or Postgres fails.
    pub async fn start_over(&self) -> Result<u64, StoreError> {
        uploads::start_over(&mut *acquire(&self.pool).await?, &self.claim).await
    }

    /// Has what this attempt has stored removed, unless the job needs it.
    ///
    /// # Errors
    ///
    /// When Postgres fails.
    pub async fn disown(&self, stored: &[Stored]) -> Result<(), StoreError> {
        removals::add_unneeded(&mut *acquire(&self.pool).await?, stored)
            .await
            .map(drop)
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
                files,
                location,
                retention,
            } => jobs::complete(conn, claim, files, location, *retention).await,
            Ending::Failed { failure, cause } => jobs::fail(conn, claim, failure, cause).await,
            Ending::Retry { delay, cause } => jobs::retry(conn, claim, *delay, cause).await,
            Ending::Released => jobs::release(conn, claim).await,
        }
    }
}

/// What an attempt stores, before or after it does so.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// A file is begun.
    Contents(&'a FileContents),
    /// An object is about to be stored with one request.
    Object {
        /// Its key.
        key: &'a str,
    },
    /// An upload was begun, and parts are about to follow.
    Upload(&'a NewUpload<'a>),
    /// A file behind the first is about to be stored.
    FurtherFile {
        /// Its place in the export.
        number: u32,
        /// The key of the object.
        key: &'a str,
        /// The upload to it, if there is one.
        id: Option<&'a str>,
    },
    /// Higher part numbers may be used.
    PartsReserved(u16),
    /// The first slices of the file are stored.
    Checkpoint(&'a Checkpoint),
    /// Files are whole, and the first slices are stored up to this checkpoint in another one.
    Turn {
        /// Those that have become so since the last checkpoint.
        whole: &'a [WholeFile],
        /// The other one.
        upload: &'a NewUpload<'a>,
        /// The beginning of that.
        checkpoint: &'a Checkpoint,
    },
    /// All parts of the only file are stored, and about to be made an object.
    Whole {
        /// The file.
        file: &'a ExportedFile,
        /// The parts since the last checkpoint.
        last: &'a Checkpoint,
    },
    /// The same of several files.
    AllWhole {
        /// Those that have become so since the last checkpoint.
        whole: &'a [WholeFile],
        /// All of them.
        totals: &'a FileTotals,
    },
}

/// How an attempt ends. Operators see the causes, users do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<'a> {
    /// The files are at `location`, for as long as `retention`.
    Completed {
        /// The files.
        files: &'a ExportedFiles,
        /// Where they are, for people.
        location: String,
        /// How long they stay.
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
