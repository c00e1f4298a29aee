//! What must hold when everything has come to rest, whatever has happened before: looked at from
//! outside, in Postgres, the bucket and the mailbox.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use devstack::Mailbox;
use sink::{S3Config, Sink};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::eventually;
use crate::world::World;

/// A job, as far as it matters here.
#[derive(sqlx::FromRow)]
struct Row {
    job_id: Uuid,
    status: String,
    /// Those of its files.
    object_keys: Vec<String>,
    file_size: Option<i64>,
    /// The events that end a job.
    ends: Vec<String>,
    checkpoints: i64,
    /// Notifications that a channel has had already.
    repeated: i64,
}

impl World {
    /// Waits until nothing is left to do, then checks that each job has one end and each completed
    /// job its objects, that the bucket holds nothing else, and that nobody is told of one job twice.
    ///
    /// # Errors
    ///
    /// What does not hold, or what is not done in time.
    pub async fn check_invariants(&self) -> Result<()> {
        eventually("that nothing is left to do", async || {
            Ok((self.left_to_do().await? == 0).then_some(()))
        })
        .await?;
        let violations = self.violations().await?;
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }

    /// Counts the jobs, removals and notifications that are not done.
    ///
    /// # Errors
    ///
    /// When Postgres fails.
    pub async fn left_to_do(&self) -> Result<i64> {
        let sql = "SELECT (SELECT count(*) FROM export_jobs WHERE completed_at IS NULL)
                        + (SELECT count(*) FROM export_removals)
                        + (SELECT count(*) FROM export_notifications WHERE status = 'PENDING')";
        let left = sqlx::query_scalar(sql);
        Ok(left.fetch_one(&mut self.postgres().await?).await?)
    }

    /// Returns all that should not be, in words.
    ///
    /// # Errors
    ///
    /// When a service fails.
    pub async fn violations(&self) -> Result<Vec<String>> {
        let jobs = jobs(&mut self.postgres().await?).await?;
        let mut objects = self.objects().await?;
        let mut violations: Vec<_> = self
            .uploads()
            .await?
            .into_iter()
            .map(|key| format!("an upload to {key} is left behind"))
            .collect();
        for job in jobs {
            let id = job.job_id;
            let end = match job.status.as_str() {
                "COMPLETED" | "EXPIRED" => "completed",
                "FAILED" => "failed",
                "CANCELLED" => "cancelled",
                status => {
                    violations.push(format!("{id} has no end: {status}"));
                    continue;
                }
            };
            if job.ends != [end] {
                violations.push(format!("{id} is {}, with {:?}", job.status, job.ends));
            }
            if job.checkpoints > 0 {
                violations.push(format!("{id} has ended and has checkpoints"));
            }
            if job.repeated > 0 {
                violations.push(format!("{id} has {} notifications too many", job.repeated));
            }
            if job.status == "COMPLETED" {
                let sizes = job.object_keys.iter().map(|key| objects.remove(key));
                let size = sizes.sum::<Option<i64>>();
                if size != job.file_size {
                    violations.push(format!("{id} has files of {size:?} bytes"));
                }
            }
        }
        violations.extend(objects.keys().map(|key| format!("{key} belongs to no job")));
        violations.extend(self.unknown_mails().await?);
        Ok(violations)
    }

    /// Returns the e-mails that are none of a notification, of which a job has one at most. One that
    /// comes twice is no second one: the server took it in the moment in which its answer was lost.
    async fn unknown_mails(&self) -> Result<Vec<String>> {
        let notifications: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM export_notifications")
            .fetch_all(&mut self.postgres().await?)
            .await?;
        let mailbox = Mailbox::new(&self.env.mailbox_url);
        let mut mails = mailbox.messages_to(&self.ours.email).await?;
        mails.retain(|mail| {
            let known = |id: &Uuid| mail.message_id.starts_with(&id.to_string());
            !notifications.iter().any(known)
        });
        let unknown = mails.into_iter();
        Ok(unknown
            .map(|mail| format!("an e-mail {} is of no notification", mail.message_id))
            .collect())
    }

    /// Lists the objects of the bucket with their sizes.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn objects(&self) -> Result<BTreeMap<String, i64>> {
        let sink = self.sink().await?;
        let (mut objects, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = sink.list_objects("", cursor).await?;
            for object in page.objects {
                objects.insert(object.key, i64::try_from(object.size_bytes)?);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(objects);
            }
        }
    }

    /// Lists the keys of uploads that are neither completed nor aborted.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    pub async fn uploads(&self) -> Result<Vec<String>> {
        let sink = self.sink().await?;
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = sink.list_uploads("", cursor).await?;
            keys.extend(page.uploads.into_iter().map(|upload| upload.key));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Opens the bucket.
    ///
    /// # Errors
    ///
    /// When the address of the storage makes no sense.
    pub async fn sink(&self) -> Result<Sink> {
        let s3 = &self.env.s3;
        let config = S3Config {
            endpoint: Some(s3.endpoint.parse()?),
            public_endpoint: None,
            region: s3.region.clone(),
            bucket: s3.bucket.clone(),
            access_key_id: Some(s3.access_key.clone()),
            secret_access_key: Some(s3.secret_key.clone().into()),
            force_path_style: true,
            checksums: false,
            connect_timeout_ms: 5_000,
            read_timeout_ms: 30_000,
            attempt_timeout_ms: 30_000,
            max_attempts: 3,
            part_size_bytes: 8 * 1024 * 1024,
            upload_in_flight_bytes: 8 * 1024 * 1024,
            presign_ttl_s: 60,
        };
        Ok(Sink::new(&config).await?)
    }
}

async fn jobs(postgres: &mut PgConnection) -> Result<Vec<Row>> {
    let sql = "SELECT job_id, status, file_size,
               ARRAY(SELECT object_key FROM export_jobs AS it
                     WHERE it.job_id = job.job_id AND object_key IS NOT NULL
                     UNION ALL
                     SELECT object_key FROM export_files AS file
                     WHERE file.job_id = job.job_id) AS object_keys,
               ARRAY(SELECT kind FROM export_events AS event
                     WHERE event.job_id = job.job_id
                       AND kind IN ('completed', 'failed', 'cancelled')) AS ends,
               (SELECT count(*) FROM export_checkpoints AS part WHERE part.job_id = job.job_id)
                   AS checkpoints,
               (SELECT count(*) - count(DISTINCT channel) FROM export_notifications AS it
                WHERE it.job_id = job.job_id) AS repeated
               FROM export_jobs AS job";
    Ok(sqlx::query_as(sql).fetch_all(postgres).await?)
}
