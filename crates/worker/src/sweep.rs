//! Looks through the bucket for what nobody knows of: what a worker stored at the moment in which it
//! died, or after its lease had ended.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sink::{Sink, SinkError};
use store::removals::{self, Stored};
use store::{PgPool, StoreError, acquire};

use crate::object_key;

/// Why the bucket could not be looked through.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The storage did not list it.
    #[error("listing the bucket")]
    Sink(#[from] SinkError),
    /// The database did not say what is needed.
    #[error("comparing with the jobs")]
    Store(#[from] StoreError),
}

/// Has removed what is older than `min_age` and no job of this database needs. Returns how much
/// that is. What does not have a key of ours, or is of a job that is not in this database, stays.
///
/// # Errors
///
/// When the storage or the database fails; what was found before is removed all the same.
pub async fn run(pool: &PgPool, sink: &Sink, min_age: Duration) -> Result<u64, SweepError> {
    // The age by the clock that all workers share.
    let now = removals::now(&mut *acquire(pool).await?).await?;
    let min_age = TimeDelta::from_std(min_age).unwrap_or(TimeDelta::MAX);
    let old = |at: DateTime<Utc>| now - at >= min_age;
    let mut found = 0;
    let mut cursor = None;
    loop {
        let page = sink.list_uploads("", cursor).await?;
        let uploads = page
            .uploads
            .into_iter()
            .filter(|upload| old(upload.initiated));
        let uploads = uploads
            .filter_map(|upload| stored(upload.key, Some(upload.upload_id.as_str().to_owned())));
        found += add(pool, uploads.collect()).await?;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut cursor = None;
    loop {
        let page = sink.list_objects("", cursor).await?;
        let objects = page
            .objects
            .into_iter()
            .filter(|object| old(object.last_modified));
        let objects = objects.filter_map(|object| stored(object.key, None));
        found += add(pool, objects.collect()).await?;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn stored(object_key: String, upload_id: Option<String>) -> Option<Stored> {
    let job = object_key::job(&object_key)?;
    Some(Stored {
        job,
        object_key,
        upload_id,
    })
}

async fn add(pool: &PgPool, stored: Vec<Stored>) -> Result<u64, StoreError> {
    if stored.is_empty() {
        return Ok(0);
    }
    removals::add_unneeded(&mut *acquire(pool).await?, &stored).await
}
