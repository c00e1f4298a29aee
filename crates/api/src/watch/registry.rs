//! Which jobs are watched, and what was last seen of them.
//!
//! Postgres is asked in numbered rounds. A watcher takes only what a round has read that began after
//! the watcher came: what an earlier one has read may be older than what the client knows. So that a
//! change in between is not lost, the next round returns the job whether or not it has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::JobId;
use store::jobs::Watched;
use tokio::sync::watch;

use crate::snapshot::Snapshot;

/// A job, as a round has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) round: u64,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// What to ask Postgres for.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) jobs: Vec<Watched>,
}

/// The jobs that are watched. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobId, Entry>,
    round: u64,
    /// Whether somebody begins rounds.
    polled: bool,
}

#[derive(Debug)]
struct Entry {
    changes: watch::Sender<Option<Seen>>,
    /// The last round that had begun when a watcher came.
    watched_after: u64,
}

impl Registry {
    /// Adds a watcher. Returns where changes come in, the last round that is too early for it, and
    /// whether the caller has to begin rounds from now on.
    pub(crate) fn enter(&self, job: JobId) -> (watch::Receiver<Option<Seen>>, u64, bool) {
        let mut state = self.state();
        let round = state.round;
        let entry = state.jobs.entry(job).or_insert_with(|| Entry {
            changes: watch::Sender::new(None),
            watched_after: round,
        });
        entry.watched_after = round;
        let changes = entry.changes.subscribe();
        let is_first = !state.polled;
        state.polled = true;
        (changes, round, is_first)
    }

    /// Begins a round, or returns nothing when nobody watches any more; then whoever comes next is
    /// the first one again.
    pub(crate) fn begin_round(&self) -> Option<Round> {
        let mut state = self.state();
        state.jobs.retain(|_, entry| !entry.changes.is_closed());
        if state.jobs.is_empty() {
            state.polled = false;
            return None;
        }
        state.round += 1;
        Some(Round {
            number: state.round,
            jobs: state
                .jobs
                .iter()
                .map(|(id, entry)| entry.watched(*id))
                .collect(),
        })
    }

    /// Tells the watchers what a round has seen. Those of a job that cannot be shown are let go.
    pub(crate) fn publish(&self, round: u64, changed: HashMap<JobId, Option<Arc<Snapshot>>>) {
        let mut state = self.state();
        for (id, snapshot) in changed {
            let Some(snapshot) = snapshot else {
                state.jobs.remove(&id);
                continue;
            };
            if let Some(entry) = state.jobs.get(&id) {
                entry.changes.send_replace(Some(Seen { round, snapshot }));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn watched(&self, id: JobId) -> Watched {
        let last = self.changes.borrow();
        let seen = last
            .as_ref()
            .filter(|seen| seen.round > self.watched_after)
            .map(|seen| (seen.snapshot.updated_at, seen.snapshot.status));
        Watched { id, seen }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use domain::{JobId, JobStatus};
    use uuid::Uuid;

    use super::Registry;
    use crate::entity_tag::EntityTag;
    use crate::snapshot::Snapshot;

    const JOB: Uuid = Uuid::from_u128(1);

    fn changed(snapshot: Option<Snapshot>) -> HashMap<JobId, Option<Arc<Snapshot>>> {
        HashMap::from([(JOB.into(), snapshot.map(Arc::new))])
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            id: JOB.into(),
            updated_at: DateTime::<Utc>::UNIX_EPOCH,
            status: JobStatus::Pending,
            etag: EntityTag::of("{}"),
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn whoever_comes_during_a_round_is_told_by_the_next_one() {
        let registry = Registry::default();
        let (first, _, is_first) = registry.enter(JOB.into());
        assert!(is_first);
        let round = registry.begin_round().unwrap();
        assert_eq!(round.jobs[0].seen, None);
        let (second, after, is_first) = registry.enter(JOB.into());
        assert!(!is_first);
        registry.publish(round.number, changed(Some(snapshot())));
        assert!(
            second.borrow().as_ref().unwrap().round <= after,
            "too early"
        );

        let round = registry.begin_round().unwrap();
        assert_eq!(round.jobs[0].seen, None, "in any case");
        registry.publish(round.number, changed(Some(snapshot())));
        for watcher in [&first, &second] {
            assert!(watcher.borrow().as_ref().unwrap().round > after);
        }
        let seen = registry.begin_round().unwrap().jobs[0].seen;
        assert_eq!(seen, Some((DateTime::UNIX_EPOCH, JobStatus::Pending)));
    }

    #[test]
    fn rounds_end_with_the_last_watcher() {
        let registry = Registry::default();
        let (watcher, _, _) = registry.enter(JOB.into());
        assert!(registry.begin_round().is_some());
        drop(watcher);
        assert!(registry.begin_round().is_none());
        let (mut watcher, _, is_first) = registry.enter(JOB.into());
        assert!(is_first);
        let round = registry.begin_round().unwrap();
        registry.publish(round.number, changed(None));
        assert!(watcher.borrow_and_update().is_none());
        assert!(watcher.has_changed().is_err(), "it is let go");
        assert!(registry.begin_round().is_none());
    }
}
