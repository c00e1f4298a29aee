//! A database of its own for each test, with an organization and a user in it.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta};
use devstack::Env;
use domain::{
    ExportJob, ExportRequest, ExportedFile, FileColumn, FileContents, JobId, Narrowing,
    OrganizationId, RequestLimits, TimeRange, UserId, WorkerId,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use store::events::{self, Actor};
use store::jobs::{self, Claim, Claimed, NewJob, Scope, Terms};
use store::quotas::RunningLimits;
use store::removals::Stored;
use store::uploads::{self, Checkpoint, NewUpload, StoredPart, UploadPlan};
use store::{PostgresConfig, StoreError};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_mins(1);
pub(crate) const RETENTION: Duration = Duration::from_hours(24);

/// What a worker offers that has nothing else to do.
pub(crate) const IDLE: Terms<'_> = Terms {
    lease: LEASE,
    busy: false,
    alone_after: 2,
    running: &RunningLimits::NONE,
};

/// What a worker offers that has other jobs.
pub(crate) const BUSY: Terms<'_> = Terms { busy: true, ..IDLE };

/// The key and the upload of [`Db::uploading`].
pub(crate) const KEY: &str = "exports/1.csv.gz";
pub(crate) const UPLOAD: &str = "upload-1";
pub(crate) const LOCATION: &str = "s3://bucket/exports/1.csv.gz";

pub(crate) struct Db {
    pub(crate) pool: PgPool,
    pub(crate) organization: OrganizationId,
    pub(crate) user: UserId,
}

/// Connects to a new, empty database.
pub(crate) async fn empty() -> Result<(PostgresConfig, PgPool)> {
    let url = devstack::fresh_database(Env::shared()).await?;
    let config = PostgresConfig {
        url: SecretString::from(url),
        url_file: None,
        max_connections: 8,
        acquire_timeout_ms: 20_000,
        statement_timeout_ms: 20_000,
        migration_lock_timeout_s: 20,
    };
    let pool = store::connect(&config, "store-test")?;
    Ok((config, pool))
}

impl Db {
    pub(crate) async fn fresh() -> Result<Self> {
        let (config, pool) = empty().await?;
        store::migrate(&config).await?;
        let user = Uuid::new_v4();
        let organization = new_organization(&pool).await?;
        sqlx::query(
            "INSERT INTO users (user_id, organization_id, email) VALUES ($1, $2, 'ada@acme.test')",
        )
        .bind(user)
        .bind(organization.as_uuid())
        .execute(&pool)
        .await?;
        Ok(Self {
            pool,
            organization,
            user: user.into(),
        })
    }

    /// Adds another organization, for which the user acts, too.
    pub(crate) async fn new_organization(&self) -> Result<OrganizationId> {
        new_organization(&self.pool).await
    }

    pub(crate) async fn conn(&self) -> Result<PoolConnection<Postgres>> {
        Ok(store::acquire(&self.pool).await?)
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor {
            user: Some(self.user),
            ip: Some([203, 0, 113, 7].into()),
            user_agent: Some("curl/8.5.0".to_owned()),
        }
    }

    /// The jobs of the user.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            organization: self.organization,
            narrowed_to: Narrowing::default(),
            user: Some(self.user),
        }
    }

    pub(crate) fn new_job(&self) -> NewJob {
        NewJob {
            id: Uuid::new_v4().into(),
            organization: self.organization,
            narrowed_to: Narrowing::default(),
            user: self.user,
            actor: self.actor(),
            request: request(&json!({})),
            trace: None,
            run: None,
        }
    }

    /// Posts a job that asks for a day of logs.
    pub(crate) async fn post(&self) -> Result<JobId> {
        self.post_for(self.organization).await
    }

    /// Posts a job of an organization.
    pub(crate) async fn post_for(&self, organization: OrganizationId) -> Result<JobId> {
        let job = NewJob {
            organization,
            ..self.new_job()
        };
        let job = jobs::insert(&mut *self.conn().await?, job).await?;
        Ok(job.id)
    }

    /// Claims the job that is due, for a worker that has no other.
    pub(crate) async fn claim(&self) -> Result<Option<Claim>> {
        match jobs::claim(&mut *self.conn().await?, &worker(1), &IDLE).await? {
            Claimed::Job(claim) => Ok(Some(*claim)),
            Claimed::Nothing => Ok(None),
            Claimed::Suspect => bail!("an idle worker may take any job"),
            Claimed::Invalid(job) => bail!("the request of {job} makes no sense"),
        }
    }

    /// Posts a job and claims it.
    pub(crate) async fn claimed(&self) -> Result<Claim> {
        let job = self.post().await?;
        let claim = self.claim().await?.expect("the job is due");
        assert_eq!(claim.job.id, job);
        Ok(claim)
    }

    /// Posts a job and claims it for a worker that has begun an upload for it.
    pub(crate) async fn uploading(&self) -> Result<Claim> {
        let claim = self.claimed().await?;
        begin_upload(&mut *self.conn().await?, &claim, KEY, UPLOAD, 32).await?;
        Ok(claim)
    }

    /// Posts a job and completes it with [`file`].
    pub(crate) async fn completed(&self) -> Result<Claim> {
        let claim = self.uploading().await?;
        jobs::complete(
            &mut *self.conn().await?,
            &claim,
            &file().into(),
            LOCATION,
            RETENTION,
        )
        .await?;
        Ok(claim)
    }

    /// Lets every lease end and takes the job over.
    pub(crate) async fn take_over(&self) -> Result<Claim> {
        self.expire_leases().await?;
        Ok(self.claim().await?.expect("the lease has ended"))
    }

    /// Returns a job as its owner sees it.
    pub(crate) async fn get(&self, job: JobId) -> Result<ExportJob> {
        let job = jobs::get(&mut *self.conn().await?, &self.scope(), job).await?;
        Ok(job.expect("the job is there"))
    }

    /// Returns what has happened to a job, oldest first.
    pub(crate) async fn trail(&self, job: JobId) -> Result<Vec<&'static str>> {
        let trail = events::list(&mut *self.conn().await?, job, None, 100).await?;
        Ok(trail.iter().map(|event| event.kind.as_str()).collect())
    }

    /// Returns what is to be removed, in the order in which it was added.
    pub(crate) async fn removals(&self) -> Result<Vec<Stored>> {
        let rows: Vec<(Uuid, String, Option<String>)> = sqlx::query_as(
            "SELECT job_id, object_key, upload_id FROM export_removals ORDER BY removal_id",
        )
        .fetch_all(&self.pool)
        .await?;
        let stored = rows.into_iter().map(|(job, object_key, upload_id)| Stored {
            job: job.into(),
            object_key,
            upload_id,
        });
        Ok(stored.collect())
    }

    /// Lets every lease end, of jobs and of notifications.
    pub(crate) async fn expire_leases(&self) -> Result<()> {
        for table in [
            "UPDATE export_jobs SET lease_until = now() WHERE lease_until IS NOT NULL",
            "UPDATE export_notifications SET lease_until = now() WHERE lease_until IS NOT NULL",
        ] {
            sqlx::query(table).execute(&self.pool).await?;
        }
        Ok(())
    }
}

async fn new_organization(pool: &PgPool) -> Result<OrganizationId> {
    let id = Uuid::new_v4();
    sqlx::query("INSERT INTO organizations (organization_id, name) VALUES ($1, 'Acme')")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(id.into())
}

/// What others may reach: a colleague, the user in another organization, and its admins; and what the user
/// and the admins may reach who see only the rows of a tenant.
pub(crate) fn elsewhere(db: &Db) -> [Scope; 5] {
    let other = Uuid::new_v4();
    [
        Scope {
            user: Some(other.into()),
            ..db.scope()
        },
        Scope {
            organization: other.into(),
            ..db.scope()
        },
        Scope {
            organization: other.into(),
            user: None,
            ..db.scope()
        },
        Scope {
            narrowed_to: narrowed(&[("tenant_id", "a")]),
            ..db.scope()
        },
        Scope {
            narrowed_to: narrowed(&[("tenant_id", "a")]),
            user: None,
            ..db.scope()
        },
    ]
}

pub(crate) fn narrowed(fields: &[(&str, &str)]) -> Narrowing {
    let fields = fields.iter();
    fields
        .map(|(field, value)| ((*field).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn worker(number: u32) -> WorkerId {
    WorkerId::new("test", 1, number)
}

/// A request for a day of logs, with some members of its body changed.
pub(crate) fn request(changes: &Value) -> ExportRequest {
    let mut body = json!({
        "data_type": "logs", "format": "csv",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
    });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    ExportRequest::parse(&body, &RequestLimits::NONE).expect("a valid request")
}

/// An upload and the object that it becomes, in the order in which they are removed.
pub(crate) fn upload_and_object(job: JobId) -> [Stored; 2] {
    [Some(UPLOAD.to_owned()), None].map(|upload_id| Stored {
        job,
        object_key: KEY.to_owned(),
        upload_id,
    })
}

/// A plan of three slices whose bounds need every digit that they have.
pub(crate) fn plan() -> UploadPlan {
    let start = DateTime::from_timestamp_nanos(1_767_225_600_123_456_789);
    let slice = |number: i64| {
        let bound = |number| start + TimeDelta::nanoseconds(number * 1_234_567_891);
        TimeRange::new(bound(number), bound(number + 1)).expect("it is not empty")
    };
    UploadPlan {
        fingerprint: "otel logs csv gzip 1.0".to_owned(),
        rows_estimated: 40,
        slices: (0..3).map(slice).collect(),
    }
}

/// Has a job name an upload that is made of [`plan`].
pub(crate) async fn begin_upload(
    conn: &mut PgConnection,
    claim: &Claim,
    object_key: &str,
    id: &str,
    parts_reserved: u16,
) -> Result<(), StoreError> {
    let upload = NewUpload {
        object_key,
        id,
        plan: &plan(),
        parts_reserved,
    };
    uploads::begin(conn, claim, &upload).await
}

/// A checkpoint behind the `slices`-th slice, each of which has three rows in one part.
pub(crate) fn checkpoint(slices: u16) -> Checkpoint {
    Checkpoint {
        slices: slices.into(),
        rows: u64::from(slices) * 3,
        size_bytes: u64::from(slices) * 8_388_608,
        parts: vec![StoredPart {
            number: slices,
            size_bytes: 8_388_608,
            etag: format!("\"{slices}\""),
        }],
        encoder: vec![0, 0xff, u8::try_from(slices).unwrap_or_default()],
        sha256_state: vec![0xfe; 32],
        rest: Vec::new(),
    }
}

pub(crate) fn file_contents() -> FileContents {
    let column = |name: &str, nullable| FileColumn {
        name: name.to_owned(),
        value_type: "string".to_owned(),
        nullable,
    };
    FileContents {
        columns: vec![column("body", false), column("tenant_id", true)],
        service_version: "1.2.3".to_owned(),
    }
}

pub(crate) fn file() -> ExportedFile {
    ExportedFile {
        object_key: KEY.to_owned(),
        size_bytes: 1_234,
        rows: 42,
        sha256: "ab".repeat(32),
    }
}
