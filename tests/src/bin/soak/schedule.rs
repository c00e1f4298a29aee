//! Which fault strikes when: the same for the same seed.

use std::fmt;
use std::time::Duration;

use devstack::Operation;
use fastrand::Rng;

/// Workers that run.
pub(crate) const WORKERS: usize = 3;

/// The time between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 2_000..5_500;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9` of a worker, which is started anew.
    KillWorker { worker: usize },
    /// SIGSTOP past the lease, then SIGCONT.
    FreezeWorker { worker: usize, ms: u64 },
    /// SIGTERM, and a new worker.
    DeployWorker { worker: usize },
    /// `kill -9` of the API, which is started anew.
    KillApi,
    /// Redis dies and comes back empty.
    KillRedis,
    /// Postgres dies and comes back.
    KillPostgres,
    /// The connections of the workers to Postgres break off after some bytes.
    CutPostgres { after: u64 },
    /// The answers of ClickHouse break off after some bytes.
    CutClickHouse { after: u64 },
    /// The answers of ClickHouse stop for a while.
    StallClickHouse { ms: u64 },
    /// ClickHouse refuses connections for a while.
    RefuseClickHouse { ms: u64 },
    /// S3 answers with a status instead of doing something.
    FailS3 {
        operation: Operation,
        status: u16,
        times: usize,
    },
    /// S3 does something, and its answer is lost.
    LoseS3Answer { operation: Operation },
    /// S3 stops answering for a while.
    StallS3 { ms: u64 },
    /// The mail server refuses, for now.
    RefuseMail { reply: u16 },
    /// The mail server takes a mail and says nothing.
    DropMail,
}

/// A fault and its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// Returns the faults of a soak.
pub(crate) fn schedule(seed: u64, length: Duration) -> Vec<Event> {
    let mut random = Rng::with_seed(seed);
    let mut events = Vec::new();
    let mut at = Duration::from_secs(5);
    while at < length {
        let fault = fault(&mut random);
        events.push(Event { at, fault });
        at += Duration::from_millis(random.u64(PAUSE_MS));
    }
    events
}

fn fault(random: &mut Rng) -> Fault {
    let worker = random.usize(0..WORKERS);
    match random.u32(0..19) {
        0..=2 => Fault::KillWorker { worker },
        3 => Fault::FreezeWorker {
            worker,
            ms: random.u64(3_500..6_000),
        },
        4..=5 => Fault::DeployWorker { worker },
        6 => Fault::KillApi,
        7 => Fault::KillRedis,
        8 => Fault::KillPostgres,
        9 => Fault::CutPostgres {
            after: random.u64(0..20_000),
        },
        10..=11 => Fault::CutClickHouse {
            after: random.u64(0..30_000_000),
        },
        12 => Fault::StallClickHouse {
            ms: random.u64(1_000..4_000),
        },
        13 => Fault::RefuseClickHouse {
            ms: random.u64(500..2_000),
        },
        14 => Fault::FailS3 {
            operation: operation(random),
            status: if random.bool() { 500 } else { 503 },
            times: random.usize(1..8),
        },
        15 => Fault::FailS3 {
            // An error in the body of an answer that seems fine, which only this request has.
            operation: Operation::CompleteMultipartUpload,
            status: 200,
            times: random.usize(1..8),
        },
        16 => Fault::LoseS3Answer {
            operation: operation(random),
        },
        17 => Fault::StallS3 {
            ms: random.u64(500..3_000),
        },
        _ if random.bool() => Fault::RefuseMail { reply: 451 },
        _ => Fault::DropMail,
    }
}

fn operation(random: &mut Rng) -> Operation {
    let operations = [
        Operation::PutObject,
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::AbortMultipartUpload,
        Operation::DeleteObject,
        Operation::HeadObject,
        Operation::ListParts,
    ];
    operations[random.usize(0..operations.len())]
}

impl Fault {
    /// Returns what kind of fault it is.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::KillWorker { .. } => "kill -9 of a worker",
            Self::FreezeWorker { .. } => "SIGSTOP of a worker past its lease",
            Self::DeployWorker { .. } => "SIGTERM of a worker",
            Self::KillApi => "kill -9 of the API",
            Self::KillRedis => "Redis lost",
            Self::KillPostgres => "Postgres killed",
            Self::CutPostgres { .. } => "connections to Postgres cut",
            Self::CutClickHouse { .. } => "answers of ClickHouse cut",
            Self::StallClickHouse { .. } => "ClickHouse stalled",
            Self::RefuseClickHouse { .. } => "ClickHouse away",
            Self::FailS3 { .. } => "errors of S3",
            Self::LoseS3Answer { .. } => "answer of S3 lost",
            Self::StallS3 { .. } => "S3 stalled",
            Self::RefuseMail { .. } => "mail refused",
            Self::DropMail => "mail taken without an answer",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::schedule;

    const LENGTH: Duration = Duration::from_mins(10);

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        assert_eq!(schedule(7, LENGTH), schedule(7, LENGTH));
        assert_ne!(schedule(7, LENGTH), schedule(8, LENGTH));
    }

    #[test]
    fn ten_minutes_have_a_hundred_faults_of_every_kind() {
        let mut kinds = BTreeSet::new();
        for seed in 0..20 {
            let events = schedule(seed, LENGTH);
            assert!(events.len() >= 100, "{}", events.len());
            kinds.extend(events.iter().map(|event| event.fault.kind()));
        }
        assert_eq!(kinds.len(), 15, "{kinds:?}");
    }
}
