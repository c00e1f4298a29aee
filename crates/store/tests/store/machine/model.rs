//! What a job is and what happens to it, without a database: the short version of the store.

use domain::JobStatus::{self, Cancelled, Completed, Expired, Failed, Pending, Processing};
use domain::{ExportedFile, JobId};
use store::removals::Stored;
use store::uploads::{self, Unfinished};

use super::rules::Row;
use super::{MAX_RUNNING, TERMS, Work};
use crate::db::{checkpoint, file, plan};

/// What a step answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// The claim does not hold.
    LeaseLost,
    /// No job is due.
    Nothing,
    /// The job that is due must be alone in its process.
    Suspect,
    /// A job, and what its worker learns.
    Claimed {
        job: JobId,
        token: i64,
        attempts: u32,
        deaths: u32,
        found: Option<Box<Unfinished>>,
    },
    /// What has become of the job that was withdrawn.
    Withdrawn(Option<JobStatus>),
    /// So many files were expired.
    Expired(u64),
    /// So much is to be removed.
    Added(u64),
}

/// All jobs, all claims, and a clock.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) jobs: Vec<Job>,
    claims: Vec<Handed>,
    /// Grows whenever it is looked at.
    clock: u64,
}

/// A claim that was handed out.
#[derive(Debug)]
struct Handed {
    job: usize,
    token: i64,
    /// What it has found or has tried to store.
    known: Vec<Stored>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    /// Whose it is.
    organization: usize,
    status: JobStatus,
    token: i64,
    attempts: u32,
    deaths: u32,
    progress: i32,
    rows: u64,
    /// Since when it may be claimed; none while a worker has it, or while it waits.
    due: Option<u64>,
    /// When it was begun.
    started: Option<u64>,
    /// Since when the time of its file is over.
    over: Option<u64>,
    key: Option<String>,
    upload: Option<Upload>,
    checkpoints: Vec<u16>,
    events: Vec<&'static str>,
    mails: Vec<&'static str>,
    removals: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) parts_reserved: u16,
    sealed: Option<ExportedFile>,
}

impl Model {
    /// Adds a job that is due at once.
    pub(super) fn post(&mut self, id: JobId, organization: usize) -> Answer {
        let due = Some(self.tick());
        self.jobs.push(Job {
            id,
            organization,
            status: Pending,
            token: 0,
            attempts: 0,
            deaths: 0,
            progress: 0,
            rows: 0,
            due,
            started: None,
            over: None,
            key: None,
            upload: None,
            checkpoints: Vec::new(),
            events: vec!["requested"],
            mails: Vec::new(),
            removals: Vec::new(),
        });
        Answer::Done
    }

    /// Hands out the job that has been due for longest, of the organization whose turn it is, unless
    /// it has killed too many workers for one that has other jobs. To take over a job is to count a
    /// death, to take one that waits is to count an attempt.
    pub(super) fn claim(&mut self, busy: bool) -> Answer {
        let now = self.tick();
        let due = (0..self.jobs.len()).filter(|&job| {
            let job = &self.jobs[job];
            job.due.is_some() && self.at_work(job.organization) < MAX_RUNNING[job.organization]
        });
        let next = due.min_by_key(|&job| {
            let job = &self.jobs[job];
            (
                self.at_work(job.organization),
                self.last_start(job.organization),
                job.due,
            )
        });
        let Some(number) = next else {
            return Answer::Nothing;
        };
        let job = &mut self.jobs[number];
        let died = u32::from(job.status == Processing);
        if busy && job.deaths + died == TERMS.alone_after {
            return Answer::Suspect;
        }
        if job.token == 0 {
            job.events.push("started");
            job.started = Some(now);
        }
        job.deaths += died;
        job.attempts += 1 - died;
        job.token += 1;
        job.status = Processing;
        job.due = None;
        self.claims.push(Handed {
            job: number,
            token: job.token,
            known: job.stored(),
        });
        Answer::Claimed {
            job: job.id,
            token: job.token,
            attempts: job.attempts,
            deaths: job.deaths,
            found: job.unfinished().map(Box::new),
        }
    }

    /// Counts the jobs of an organization that a worker has.
    fn at_work(&self, organization: usize) -> u32 {
        let jobs = self
            .jobs
            .iter()
            .filter(|job| job.organization == organization);
        let at_work = jobs.filter(|job| job.status == Processing && job.due.is_none());
        at_work.map(|_| 1).sum()
    }

    /// Counts the rows of all files that there ever were.
    pub(super) fn rows_used(&self) -> u64 {
        let done = self
            .jobs
            .iter()
            .filter(|job| matches!(job.status, Completed | Expired));
        done.map(|job| job.rows).sum()
    }

    /// Tells when a job of an organization was last begun.
    fn last_start(&self, organization: usize) -> Option<u64> {
        let jobs = self
            .jobs
            .iter()
            .filter(|job| job.organization == organization);
        jobs.filter_map(|job| job.started).max()
    }

    /// Cancels a job that has not ended, deletes the file of one that is completed.
    pub(super) fn withdraw(&mut self, job: usize) -> Answer {
        let job = &mut self.jobs[job];
        match job.status {
            Pending | Processing => {
                job.give_up();
                job.end(Cancelled, "cancelled");
            }
            // Retention has it already.
            Completed if job.over.is_some() => return Answer::Withdrawn(Some(Expired)),
            Completed => job.expire("deleted"),
            Failed | Cancelled | Expired => {}
        }
        Answer::Withdrawn(Some(job.status))
    }

    /// Expires the files whose time is over, those that wait longest first.
    pub(super) fn expire(&mut self, limit: u32) -> Answer {
        let over = self.jobs.iter_mut().filter(|job| job.status == Completed);
        let mut over: Vec<_> = over.filter(|job| job.over.is_some()).collect();
        over.sort_by_key(|job| job.over);
        over.truncate(limit as usize);
        for job in &mut over {
            job.expire("expired");
        }
        Answer::Expired(over.len() as u64)
    }

    pub(super) fn lease_ends(&mut self, job: usize) -> Answer {
        self.becomes_due(job, Processing)
    }

    pub(super) fn wait_ends(&mut self, job: usize) -> Answer {
        self.becomes_due(job, Pending)
    }

    fn becomes_due(&mut self, job: usize, status: JobStatus) -> Answer {
        let now = self.tick();
        let job = &mut self.jobs[job];
        if job.status == status {
            job.due.get_or_insert(now);
        }
        Answer::Done
    }

    pub(super) fn retention_ends(&mut self, job: usize) -> Answer {
        let now = self.tick();
        let job = &mut self.jobs[job];
        if job.status == Completed {
            job.over.get_or_insert(now);
        }
        Answer::Done
    }

    /// Tells whether a claim is the latest of a job that is being worked on.
    pub(super) fn holds(&self, claim: usize) -> bool {
        let job = self.job(claim);
        job.status == Processing && job.token == self.claims[claim].token
    }

    /// Does something to the job of a claim that holds.
    fn fenced(&mut self, claim: usize, write: impl FnOnce(&mut Job)) -> Answer {
        if !self.holds(claim) {
            return Answer::LeaseLost;
        }
        write(&mut self.jobs[self.claims[claim].job]);
        Answer::Done
    }

    pub(super) fn check(&mut self, claim: usize) -> Answer {
        self.fenced(claim, |_| ())
    }

    pub(super) fn renew(&mut self, claim: usize) -> Answer {
        self.fenced(claim, |job| job.due = None)
    }

    pub(super) fn progress(&mut self, claim: usize, rows: u64, percent: i32) -> Answer {
        self.fenced(claim, |job| {
            job.rows = job.rows.max(rows);
            job.progress = job.progress.max(percent);
        })
    }

    /// An object that is stored with one request never takes the place of an upload.
    pub(super) fn begin_object(&mut self, claim: usize, key: String) -> Answer {
        self.knows(claim, &key, None);
        if self.job(claim).upload.is_some() {
            return Answer::LeaseLost;
        }
        self.fenced(claim, |job| job.key = Some(key))
    }

    pub(super) fn begin_upload(&mut self, claim: usize, key: String, upload: Upload) -> Answer {
        self.knows(claim, &key, Some(&upload.id));
        self.knows(claim, &key, None);
        self.fenced(claim, |job| {
            job.key = Some(key);
            job.upload = Some(upload);
        })
    }

    pub(super) fn reserve_parts(&mut self, claim: usize, to: u16) -> Answer {
        self.fenced(claim, |job| {
            if let Some(upload) = &mut job.upload {
                upload.parts_reserved = upload.parts_reserved.max(to);
            }
        })
    }

    pub(super) fn checkpoint(&mut self, claim: usize, slices: u16) -> Answer {
        self.fenced(claim, |job| job.advance(slices))
    }

    pub(super) fn seal(&mut self, claim: usize, slices: u16, file: ExportedFile) -> Answer {
        self.fenced(claim, |job| {
            job.advance(slices);
            if let Some(upload) = &mut job.upload {
                upload.sealed = Some(file);
            }
        })
    }

    pub(super) fn resume(&mut self, claim: usize) -> Answer {
        self.fenced(claim, |job| job.events.push("resumed"))
    }

    pub(super) fn start_over(&mut self, claim: usize) -> Answer {
        self.fenced(claim, |job| {
            job.give_up();
            job.events.push("started_over");
        })
    }

    /// Completes the job; once it is, the same claim may say so again.
    pub(super) fn complete(&mut self, claim: usize, file: &ExportedFile) -> Answer {
        let job = self.job(claim);
        let key = Some(&file.object_key);
        if (job.status, job.token, job.key.as_ref()) == (Completed, self.claims[claim].token, key) {
            return Answer::Done;
        }
        self.fenced(claim, |job| {
            job.end(Completed, "completed");
            job.mails.push("completed");
            job.progress = 100;
            job.rows = file.rows;
            job.key = Some(file.object_key.clone());
            job.upload = None;
            job.checkpoints.clear();
        })
    }

    pub(super) fn fail(&mut self, claim: usize) -> Answer {
        self.fenced(claim, |job| {
            job.give_up();
            job.end(Failed, "failed");
            job.mails.push("failed");
        })
    }

    pub(super) fn retry(&mut self, claim: usize, wait: bool) -> Answer {
        let now = self.tick();
        self.fenced(claim, |job| {
            job.status = Pending;
            job.due = (!wait).then_some(now);
        })
    }

    /// Gives the job back as if it had not been taken.
    pub(super) fn release(&mut self, claim: usize) -> Answer {
        let now = self.tick();
        self.fenced(claim, |job| {
            job.status = Pending;
            job.due = Some(now);
            job.attempts = job.attempts.saturating_sub(1);
        })
    }

    /// Adds what a claim knows of to the removals, but for what its job needs.
    pub(super) fn disown(&mut self, claim: usize) -> Answer {
        let known = self.known(claim);
        let job = &mut self.jobs[self.claims[claim].job];
        let before = job.removals.len();
        for stored in known {
            let removal = (stored.object_key, stored.upload_id);
            if !job.needs(&removal.0, removal.1.as_deref()) && !job.removals.contains(&removal) {
                job.removals.push(removal);
            }
        }
        Answer::Added((job.removals.len() - before) as u64)
    }

    /// Returns what a worker does that is about to do something. One that has the job keeps to an
    /// order; one that is late may do anything.
    pub(super) fn sensible(&self, claim: usize, work: Work) -> Work {
        if !self.holds(claim) {
            return work;
        }
        let job = self.job(claim);
        let sealed = job.upload.as_ref().map(|upload| upload.sealed.is_some());
        match (work, sealed) {
            // Parts, and all that is known of them, are of an upload,
            (
                Work::BeginUpload
                | Work::ReserveParts(_)
                | Work::Checkpoint { .. }
                | Work::Seal
                | Work::Resume,
                None,
            ) => match job.key {
                None => Work::BeginUpload,
                // which does not begin before what is there is given up.
                Some(_) => Work::StartOver,
            },
            // A file that is sealed has no more slices.
            (Work::Checkpoint { again: false }, Some(true)) => Work::Complete,
            (Work::Checkpoint { again: true }, Some(false)) if job.checkpoints.is_empty() => {
                Work::Checkpoint { again: false }
            }
            _ => work,
        }
    }

    /// Returns the key that a claim stores under: what the job has, or one that was never used.
    pub(super) fn key(&mut self, claim: usize) -> String {
        let now = self.tick();
        let job = self.job(claim);
        let fresh = || format!("{}/{now}", job.id);
        job.key
            .clone()
            .filter(|_| self.holds(claim))
            .unwrap_or_else(fresh)
    }

    /// Returns the upload that a claim begins: what the job has, or a new one.
    pub(super) fn upload(&mut self, claim: usize) -> Upload {
        let now = self.tick();
        let there = self.job(claim).upload.clone();
        there
            .filter(|_| self.holds(claim))
            .unwrap_or_else(|| Upload {
                id: format!("upload-{now}"),
                parts_reserved: 32,
                sealed: None,
            })
    }

    /// Returns up to which slice the next checkpoint goes.
    pub(super) fn next_slices(&self, claim: usize, again: bool) -> u16 {
        let last = self.job(claim).checkpoints.last().copied();
        last.map_or(1, |last| if again { last } else { last + 1 })
    }

    /// Returns what the upload is sealed with, the same each time.
    pub(super) fn seal_of(&self, claim: usize) -> (u16, ExportedFile) {
        let job = self.job(claim);
        let sealed = job.upload.as_ref().and_then(|it| it.sealed.clone());
        let slices = self.next_slices(claim, sealed.is_some());
        let file = sealed.unwrap_or_else(|| ExportedFile {
            object_key: job.key.clone().unwrap_or_default(),
            rows: checkpoint(slices).rows,
            ..file()
        });
        (slices, file)
    }

    /// Returns the file that the job is completed with.
    pub(super) fn file(&mut self, claim: usize) -> ExportedFile {
        let job = self.job(claim);
        let sealed = job.upload.as_ref().and_then(|it| it.sealed.clone());
        let key = job.key.clone();
        sealed.unwrap_or_else(|| ExportedFile {
            object_key: key.unwrap_or_else(|| self.key(claim)),
            ..file()
        })
    }

    /// Returns what a claim has found or has tried to store.
    pub(super) fn known(&self, claim: usize) -> Vec<Stored> {
        self.claims[claim].known.clone()
    }

    fn knows(&mut self, claim: usize, key: &str, upload: Option<&str>) {
        let stored = Stored {
            job: self.job(claim).id,
            object_key: key.to_owned(),
            upload_id: upload.map(str::to_owned),
        };
        self.claims[claim].known.push(stored);
    }

    fn job(&self, claim: usize) -> &Job {
        &self.jobs[self.claims[claim].job]
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Job {
    /// Returns its id and its organization.
    pub(super) fn name(&self) -> (JobId, usize) {
        (self.id, self.organization)
    }

    fn end(&mut self, status: JobStatus, event: &'static str) {
        self.status = status;
        self.due = None;
        self.events.push(event);
    }

    fn expire(&mut self, event: &'static str) {
        self.removals
            .extend(self.key.clone().map(|key| (key, None)));
        self.end(Expired, event);
    }

    /// What is stored is to be removed, the upload before the object that it could become.
    fn give_up(&mut self) {
        let upload = self.upload.take().map(|upload| Some(upload.id));
        if let Some(key) = self.key.take() {
            let stored = upload.into_iter().chain([None]);
            self.removals
                .extend(stored.map(|upload| (key.clone(), upload)));
        }
        self.checkpoints.clear();
    }

    /// A checkpoint forgives what failed before it; a second time it is the same.
    fn advance(&mut self, slices: u16) {
        self.attempts = self.attempts.min(1);
        self.deaths = 0;
        self.rows = self.rows.max(checkpoint(slices).rows);
        if !self.checkpoints.contains(&slices) {
            self.checkpoints.push(slices);
        }
    }

    /// The object while the job may become or is completed, the upload while it may become so.
    fn needs(&self, key: &str, upload: Option<&str>) -> bool {
        let live = matches!(self.status, Pending | Processing);
        let its_own = self.upload.as_ref().map(|upload| upload.id.as_str());
        self.key.as_deref() == Some(key)
            && match upload {
                None => live || self.status == Completed,
                Some(_) => live && its_own == upload,
            }
    }

    fn stored(&self) -> Vec<Stored> {
        let Some(key) = &self.key else {
            return Vec::new();
        };
        let upload = self.upload.as_ref().map(|upload| Some(upload.id.clone()));
        let stored = upload.into_iter().chain([None]).map(|upload_id| Stored {
            job: self.id,
            object_key: key.clone(),
            upload_id,
        });
        stored.collect()
    }

    fn unfinished(&self) -> Option<Unfinished> {
        let upload = self.upload.as_ref().map(|upload| uploads::Upload {
            id: upload.id.clone(),
            plan: Some(plan()),
            parts_reserved: upload.parts_reserved,
            sealed: upload.sealed.clone(),
        });
        let object_key = self.key.clone();
        object_key.is_some().then_some(Unfinished {
            object_key,
            upload,
            are_sealed: false,
        })
    }

    /// Returns what the database should show.
    pub(super) fn row(&self) -> Row {
        let upload = self.upload.as_ref();
        let sealed = upload.and_then(|upload| upload.sealed.as_ref());
        let has_file = matches!(self.status, Completed | Expired) || sealed.is_some();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let removal = |(key, upload): &(String, Option<String>)| match upload {
            Some(upload) => format!("{key} {upload}"),
            None => key.clone(),
        };
        Row {
            status: self.status.to_string(),
            token: self.token,
            attempts: i32::try_from(self.attempts).unwrap_or(i32::MAX),
            deaths: i32::try_from(self.deaths).unwrap_or(i32::MAX),
            progress: self.progress,
            rows_exported: i64::try_from(self.rows).unwrap_or(i64::MAX),
            is_due: self.due.is_some(),
            object_key: self.key.clone(),
            upload_id: upload.map(|upload| upload.id.clone()),
            has_plan: upload.is_some(),
            parts_reserved: upload.map_or(0, |upload| upload.parts_reserved.into()),
            has_file,
            checkpoints: self.checkpoints.iter().copied().map(i32::from).collect(),
            events: texts(&self.events),
            mails: texts(&self.mails),
            removals: self.removals.iter().map(removal).collect(),
        }
    }
}
