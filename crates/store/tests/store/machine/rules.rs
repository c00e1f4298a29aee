//! What holds for every job at every moment, seen in nothing but the database.

use anyhow::{Result, ensure};
use domain::JobId;
use store::PgConnection;
use store::jobs::Claim;
use uuid::Uuid;

/// A job as the database shows it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) status: String,
    pub(super) token: i64,
    pub(super) attempts: i32,
    pub(super) deaths: i32,
    pub(super) progress: i32,
    pub(super) rows_exported: i64,
    /// Whether it may be claimed now.
    pub(super) is_due: bool,
    pub(super) object_key: Option<String>,
    pub(super) upload_id: Option<String>,
    pub(super) has_plan: bool,
    pub(super) parts_reserved: i32,
    /// Whether size and checksum of a file are known.
    pub(super) has_file: bool,
    /// How many slices each of them ends behind.
    pub(super) checkpoints: Vec<i32>,
    pub(super) events: Vec<String>,
    pub(super) mails: Vec<String>,
    /// Keys of objects; for an upload with its id behind it.
    pub(super) removals: Vec<String>,
}

/// Reads jobs, in the order of their ids.
pub(super) async fn show(conn: &mut PgConnection, jobs: &[JobId]) -> Result<Vec<Row>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.as_uuid()).collect();
    let rows = sqlx::query_as(
        "SELECT status, token, attempts, lost_leases AS deaths, progress, rows_exported,
                status IN ('PENDING', 'PROCESSING')
                    AND COALESCE(lease_until, run_after) <= now() AS is_due,
                object_key, upload_id, upload_plan IS NOT NULL AS has_plan, parts_reserved,
                file_size IS NOT NULL AND sha256 IS NOT NULL AS has_file,
                ARRAY(SELECT slices FROM export_checkpoints AS it WHERE it.job_id = job.job_id
                      ORDER BY slices) AS checkpoints,
                ARRAY(SELECT kind FROM export_events AS it WHERE it.job_id = job.job_id
                      ORDER BY event_id) AS events,
                ARRAY(SELECT kind FROM export_notifications AS it WHERE it.job_id = job.job_id
                      ORDER BY created_at) AS mails,
                ARRAY(SELECT concat_ws(' ', it.object_key, it.upload_id)
                      FROM export_removals AS it WHERE it.job_id = job.job_id
                      ORDER BY removal_id) AS removals
         FROM unnest($1) WITH ORDINALITY AS asked (job_id, place)
         JOIN export_jobs AS job USING (job_id) ORDER BY place",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Compares the jobs before a step with the jobs after it, which was taken with a claim or without.
pub(super) fn check(before: &[Row], after: &[Row], user: Option<&Claim>) -> Result<()> {
    for (number, job) in after.iter().enumerate() {
        let was = before.get(number);
        let checked = job.is_consistent();
        let checked = checked.and_then(|()| was.map_or(Ok(()), |was| job.follows(was)));
        checked.map_err(|error| error.context(format!("before {was:#?}, after {job:#?}")))?;
    }
    // Only the latest claim of a job that is being worked on can change anything.
    let changed = before.iter().zip(after).filter(|(was, is)| was != is);
    if let Some(claim) = user {
        for (was, is) in changed {
            ensure!(
                was.status == "PROCESSING" && was.token == claim.token(),
                "a claim that does not hold has changed {was:#?} to {is:#?}"
            );
        }
    }
    Ok(())
}

impl Row {
    fn is_live(&self) -> bool {
        matches!(self.status.as_str(), "PENDING" | "PROCESSING")
    }

    fn is_consistent(&self) -> Result<()> {
        let ends = ["completed", "failed", "cancelled"];
        let mut ends = self
            .events
            .iter()
            .filter(|kind| ends.contains(&kind.as_str()));
        let (end, another) = (ends.next(), ends.next());
        ensure!(another.is_none(), "a job has two ends");
        let expected = match self.status.as_str() {
            "PENDING" | "PROCESSING" => None,
            "EXPIRED" => Some("completed".to_owned()),
            status => Some(status.to_lowercase()),
        };
        ensure!(end == expected.as_ref(), "a job has the end of its status");
        ensure!(self.mails.len() <= 1, "a job has two notifications");

        if self.status == "COMPLETED" {
            let key = self.object_key.as_ref();
            let key = key.filter(|key| !self.removals.contains(key));
            ensure!(key.is_some(), "the file of a completed job is kept");
        }
        if !self.checkpoints.is_empty() {
            let has_upload = self.upload_id.is_some();
            ensure!(
                self.is_live() && has_upload,
                "checkpoints are of an upload of a live job"
            );
        }
        if !self.is_live() && self.status != "COMPLETED" {
            let key = self.object_key.as_ref();
            ensure!(
                self.upload_id.is_none() && key.is_none_or(|key| self.removals.contains(key)),
                "what an ended job has stored is removed"
            );
        }
        Ok(())
    }

    fn follows(&self, was: &Self) -> Result<()> {
        ensure!(self.token >= was.token, "a token never comes twice");
        ensure!(
            self.events.starts_with(&was.events),
            "nobody changes the audit trail"
        );
        ensure!(
            self.removals.starts_with(&was.removals),
            "what is to be removed stays so until it is"
        );
        if was.is_live() {
            let back = self.progress < was.progress || self.rows_exported < was.rows_exported;
            ensure!(!(back && self.is_live()), "a job never goes back");
        } else {
            let expires = (was.status.as_str(), self.status.as_str()) == ("COMPLETED", "EXPIRED");
            ensure!(expires || self.status == was.status, "an end is an end");
        }
        // What a job has stored it names until it is removed, but for an upload that has become
        // the object of the completed job.
        if let Some(key) = &was.object_key {
            let named = self.object_key.as_ref() == Some(key);
            ensure!(named || self.removals.contains(key), "an object is lost");
            if let Some(upload) = &was.upload_id {
                let named = self.upload_id.as_ref() == Some(upload);
                let consumed = self.status == "COMPLETED" && self.object_key.as_ref() == Some(key);
                let removed = self.removals.contains(&format!("{key} {upload}"));
                ensure!(named || consumed || removed, "an upload is lost");
            }
        }
        Ok(())
    }
}
