//! The life of jobs as a state machine: whatever happens in whatever order, through workers that
//! are alive, late or dead, the database does what the [`model`] does and the [`rules`] hold.

mod model;
mod rules;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use domain::{ErrorCode, Failure, JobId, OrganizationId, Progress};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use store::jobs::{self, Claim, Claimed, NewJob, Scope, Terms};
use store::quotas::{QuotaRule, RunningLimits};
use store::uploads;
use store::{PgConnection, StoreError, removals};

use crate::db::{Db, IDLE, LEASE, RETENTION, begin_upload, checkpoint, worker};
use crate::quotas::{quotas, rule};
use model::{Answer, Model};
use rules::Row;

/// One death makes a job a suspect here, so that there are some.
const TERMS: Terms<'_> = Terms {
    alone_after: 1,
    ..IDLE
};

/// How many organizations there are.
const ORGANIZATIONS: usize = 3;

/// How many jobs each of them may have at work.
const MAX_RUNNING: [u32; ORGANIZATIONS] = [2, 2, 1];

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody of one of the organizations asks for an export.
    Post { organization: usize },
    /// A worker asks for a job; a busy one has others.
    Claim { busy: bool },
    /// Somebody cancels a job, or deletes its file.
    Withdraw { job: Index },
    /// Retention looks for files whose time is over, and takes so many.
    Expire { limit: u32 },
    /// The worker of a job is silent until its lease has ended.
    LeaseEnds { job: Index },
    /// A job has waited long enough to be tried again.
    WaitEnds { job: Index },
    /// The time of the file of a job is over.
    RetentionEnds { job: Index },
    /// A claim is used. It may be any that was ever handed out: workers do not know that they are
    /// late.
    Use { claim: Index, work: Work },
    /// A claim that holds is used, if there is one.
    Work { claim: Index, work: Work },
}

/// What a worker does with a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Check,
    Renew,
    Progress {
        rows: u16,
        percent: u8,
    },
    BeginObject,
    BeginUpload,
    ReserveParts(u16),
    /// The next checkpoint, or the last one once more since the answer was lost.
    Checkpoint {
        again: bool,
    },
    Seal,
    Resume,
    StartOver,
    Complete,
    Fail,
    Retry {
        wait: bool,
    },
    Release,
    /// Has removed all that the claim knows of and the job does not need; not fenced.
    Disown,
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        1 => Just(Work::Check),
        1 => Just(Work::Renew),
        2 => (0..300_u16, 0..100_u8).prop_map(|(rows, percent)| Work::Progress { rows, percent }),
        4 => Just(Work::BeginObject),
        4 => Just(Work::BeginUpload),
        3 => (1..=10_000_u16).prop_map(Work::ReserveParts),
        6 => any::<bool>().prop_map(|again| Work::Checkpoint { again }),
        3 => Just(Work::Seal),
        3 => Just(Work::Resume),
        2 => Just(Work::StartOver),
        2 => Just(Work::Complete),
        1 => Just(Work::Fail),
        3 => any::<bool>().prop_map(|wait| Work::Retry { wait }),
        2 => Just(Work::Release),
        3 => Just(Work::Disown),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any_one = any::<Index>;
    prop_oneof![
        3 => (0..ORGANIZATIONS).prop_map(|organization| Step::Post { organization }),
        12 => any::<bool>().prop_map(|busy| Step::Claim { busy }),
        1 => any_one().prop_map(|job| Step::Withdraw { job }),
        3 => (1..3_u32).prop_map(|limit| Step::Expire { limit }),
        8 => any_one().prop_map(|job| Step::LeaseEnds { job }),
        2 => any_one().prop_map(|job| Step::WaitEnds { job }),
        4 => any_one().prop_map(|job| Step::RetentionEnds { job }),
        24 => (any_one(), work()).prop_map(|(claim, work)| Step::Use { claim, work }),
        44 => (any_one(), work()).prop_map(|(claim, work)| Step::Work { claim, work }),
    ]
}

#[test]
fn whatever_happens_the_rules_hold() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let db = runtime.block_on(Db::fresh())?;
    let mut runner = TestRunner::new(Config {
        cases: 120,
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 20..90);
    runner.run(&steps, |steps| {
        let outcome = runtime.block_on(play(&db, &steps));
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    })?;
    Ok(())
}

/// Plays the steps of a case.
async fn play(db: &Db, steps: &[Step]) -> Result<()> {
    let mut world = World::new(db).await?;
    world.take(&Step::Post { organization: 0 }).await?;
    for (number, step) in steps.iter().enumerate() {
        let played = world.take(step).await;
        played.map_err(|error| error.context(format!("step {number}, {step:?}")))?;
    }
    Ok(())
}

/// The database next to its model.
struct World<'a> {
    db: &'a Db,
    conn: sqlx::pool::PoolConnection<sqlx::Postgres>,
    model: Model,
    /// Numbered as in the model, and new for each case: when they had jobs before counts.
    organizations: Vec<OrganizationId>,
    running: RunningLimits,
    /// Every claim that was ever handed out, numbered as in the model.
    claims: Vec<Claim>,
    /// What the database showed after the last step.
    shown: Vec<Row>,
}

impl<'a> World<'a> {
    async fn new(db: &'a Db) -> Result<Self> {
        let mut conn = db.conn().await?;
        // What another case has left must not be claimed in this one.
        sqlx::query(
            "UPDATE export_jobs
             SET status = CASE status WHEN 'COMPLETED' THEN 'EXPIRED' ELSE 'CANCELLED' END,
                 completed_at = COALESCE(completed_at, now()),
                 lease_owner = NULL, lease_until = NULL
             WHERE status IN ('PENDING', 'PROCESSING', 'COMPLETED')",
        )
        .execute(&mut *conn)
        .await?;
        let mut organizations = Vec::new();
        for _ in 0..ORGANIZATIONS {
            organizations.push(db.new_organization().await?);
        }
        Ok(Self {
            db,
            conn,
            model: Model::default(),
            running: running(&organizations),
            organizations,
            claims: Vec::new(),
            shown: Vec::new(),
        })
    }

    /// Takes a step in the database and in the model, and compares.
    async fn take(&mut self, step: &Step) -> Result<()> {
        let (answer, expected, user) = match *step {
            Step::Post { organization } => {
                let job = NewJob {
                    organization: self.organizations[organization],
                    ..self.db.new_job()
                };
                let job = jobs::insert(&mut self.conn, job).await?;
                (Answer::Done, self.model.post(job.id, organization), None)
            }
            Step::Claim { busy } => (self.claim(busy).await?, self.model.claim(busy), None),
            Step::Withdraw { job } => {
                let job = job.index(self.model.jobs.len());
                let (id, organization) = self.model.jobs[job].name();
                let scope = Scope {
                    organization: self.organizations[organization],
                    ..self.db.scope()
                };
                let told = jobs::withdraw(&mut self.conn, &scope, id, &self.db.actor()).await?;
                let told = told.map(|job| job.state.status());
                (Answer::Withdrawn(told), self.model.withdraw(job), None)
            }
            Step::Expire { limit } => {
                let number = jobs::expire(&mut self.conn, limit).await?;
                (Answer::Expired(number), self.model.expire(limit), None)
            }
            Step::LeaseEnds { job } => {
                let job = job.index(self.model.jobs.len());
                let statement = "UPDATE export_jobs SET lease_until = now()
                                 WHERE job_id = $1 AND lease_until > now()";
                self.let_time_pass(statement, job).await?;
                (Answer::Done, self.model.lease_ends(job), None)
            }
            Step::WaitEnds { job } => {
                let job = job.index(self.model.jobs.len());
                let statement = "UPDATE export_jobs SET run_after = now()
                                 WHERE job_id = $1 AND run_after > now()";
                self.let_time_pass(statement, job).await?;
                (Answer::Done, self.model.wait_ends(job), None)
            }
            Step::RetentionEnds { job } => {
                let job = job.index(self.model.jobs.len());
                let statement = "UPDATE export_jobs SET expires_at = now()
                                 WHERE job_id = $1 AND expires_at > now()";
                self.let_time_pass(statement, job).await?;
                (Answer::Done, self.model.retention_ends(job), None)
            }
            Step::Use { claim, work } => {
                let all: Vec<_> = (0..self.claims.len()).collect();
                let Some(claim) = pick(&all, claim) else {
                    return Ok(());
                };
                let (answer, expected) = self.work(claim, work).await?;
                (answer, expected, Some((claim, work)))
            }
            Step::Work { claim, work } => {
                let holding = (0..self.claims.len()).filter(|claim| self.model.holds(*claim));
                let Some(claim) = pick(&holding.collect::<Vec<_>>(), claim) else {
                    return Ok(());
                };
                let (answer, expected) = self.work(claim, work).await?;
                (answer, expected, Some((claim, work)))
            }
        };
        ensure!(
            answer == expected,
            "the store answers {answer:?}, the model {expected:?}"
        );

        let ids: Vec<JobId> = self.model.jobs.iter().map(|job| job.id).collect();
        let shown = rules::show(&mut self.conn, &ids).await?;
        let user = user.filter(|(_, work)| *work != Work::Disown);
        let user = user.map(|(claim, _)| &self.claims[claim]);
        rules::check(&self.shown, &shown, user)?;
        for (row, job) in shown.iter().zip(&self.model.jobs) {
            let expected = job.row();
            ensure!(
                *row == expected,
                "the database has\n{row:#?}, the model\n{expected:#?}"
            );
        }
        let rows: i64 = sqlx::query_scalar(
            "SELECT COALESCE(sum(rows), 0)::bigint FROM export_usage
             WHERE organization_id = ANY ($1)",
        )
        .bind(
            self.organizations
                .iter()
                .map(|id| id.as_uuid())
                .collect::<Vec<_>>(),
        )
        .fetch_one(&mut *self.conn)
        .await?;
        ensure!(
            rows.unsigned_abs() == self.model.rows_used(),
            "each completed job counts once, and {rows} rows are counted"
        );
        self.shown = shown;
        Ok(())
    }

    async fn claim(&mut self, busy: bool) -> Result<Answer> {
        let terms = Terms {
            busy,
            running: &self.running,
            ..TERMS
        };
        let claim = match jobs::claim(&mut self.conn, &worker(1), &terms).await? {
            Claimed::Nothing => return Ok(Answer::Nothing),
            Claimed::Suspect => return Ok(Answer::Suspect),
            Claimed::Invalid(job) => bail!("the request of {job} makes no sense"),
            Claimed::Job(claim) => claim,
        };
        let found = Answer::Claimed {
            job: claim.job.id,
            token: claim.token(),
            attempts: claim.attempts,
            deaths: claim.deaths,
            found: claim.unfinished.clone().map(Box::new),
        };
        self.claims.push(*claim);
        Ok(found)
    }

    async fn let_time_pass(&mut self, statement: &'static str, job: usize) -> Result<()> {
        sqlx::query(statement)
            .bind(self.model.jobs[job].id.as_uuid())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Uses a claim. Returns the answers of the store and of the model.
    async fn work(&mut self, number: usize, work: Work) -> Result<(Answer, Answer)> {
        let Self {
            conn,
            model,
            claims,
            ..
        } = self;
        let conn: &mut PgConnection = conn;
        let claim = &claims[number];
        let (result, expected) = match model.sensible(number, work) {
            Work::Check => (jobs::check(conn, claim).await, model.check(number)),
            Work::Renew => (jobs::renew(conn, claim, LEASE).await, model.renew(number)),
            Work::Progress { rows, percent } => {
                let shown = Progress::new(percent).expect("it is below 100");
                (
                    jobs::progress(conn, claim, rows.into(), None, shown).await,
                    model.progress(number, rows.into(), percent.into()),
                )
            }
            Work::BeginObject => {
                let key = model.key(number);
                (
                    uploads::begin_object(conn, claim, &key).await,
                    model.begin_object(number, key),
                )
            }
            Work::BeginUpload => {
                let (key, upload) = (model.key(number), model.upload(number));
                let reserved = upload.parts_reserved;
                (
                    begin_upload(conn, claim, &key, &upload.id, reserved).await,
                    model.begin_upload(number, key, upload),
                )
            }
            Work::ReserveParts(to) => (
                uploads::reserve_parts(conn, claim, to).await,
                model.reserve_parts(number, to),
            ),
            Work::Checkpoint { again } => {
                let slices = model.next_slices(number, again);
                (
                    uploads::add_checkpoint(conn, claim, &checkpoint(slices)).await,
                    model.checkpoint(number, slices),
                )
            }
            Work::Seal => {
                let (slices, file) = model.seal_of(number);
                let last = checkpoint(slices);
                (
                    uploads::seal(conn, claim, &file, &last).await,
                    model.seal(number, slices, file),
                )
            }
            Work::Resume => (uploads::resume(conn, claim).await, model.resume(number)),
            Work::StartOver => (
                uploads::start_over(conn, claim).await.map(drop),
                model.start_over(number),
            ),
            Work::Complete => {
                let file = model.file(number);
                (
                    jobs::complete(
                        conn,
                        claim,
                        &file.clone().into(),
                        "s3://bucket/key",
                        RETENTION,
                    )
                    .await,
                    model.complete(number, &file),
                )
            }
            Work::Fail => {
                let failure = Failure::from(ErrorCode::Internal);
                (
                    jobs::fail(conn, claim, &failure, "a bug").await,
                    model.fail(number),
                )
            }
            Work::Retry { wait } => {
                let delay = if wait { LEASE } else { Duration::ZERO };
                (
                    jobs::retry(conn, claim, delay, "connection reset").await,
                    model.retry(number, wait),
                )
            }
            Work::Release => (jobs::release(conn, claim).await, model.release(number)),
            Work::Disown => {
                let known = model.known(number);
                let added = removals::add_unneeded(conn, &known).await?;
                return Ok((Answer::Added(added), model.disown(number)));
            }
        };
        let answer = match result {
            Ok(()) => Answer::Done,
            Err(StoreError::LeaseLost) => Answer::LeaseLost,
            Err(error) => return Err(error.into()),
        };
        Ok((answer, expected))
    }
}

/// Makes the limits of [`MAX_RUNNING`], the last of which differs from the default.
fn running(organizations: &[OrganizationId]) -> RunningLimits {
    let [default, .., last] = MAX_RUNNING;
    let mut quotas = quotas(default, 0);
    quotas.rules = vec![QuotaRule {
        max_running: Some(last),
        ..rule(organizations[ORGANIZATIONS - 1])
    }];
    quotas.running()
}

fn pick(claims: &[usize], index: Index) -> Option<usize> {
    (!claims.is_empty()).then(|| *index.get(claims))
}
