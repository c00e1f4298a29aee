//! A catalogue that follows the server.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::catalogue::Catalogue;
use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::preset::Preset;
use crate::query::Query;

/// How long to wait before the server is asked again that could not be asked yet.
const FIRST_LOOKS: Duration = Duration::from_secs(5);

/// What can be exported, by what the server had when it was asked last. Cheap to clone.
///
/// Before the first answer it is what the preset expects, so that requests are taken while
/// ClickHouse is down.
#[derive(Clone)]
pub struct LiveCatalogue(Arc<Shared>);

struct Shared {
    preset: Preset,
    clickhouse: ClickHouse,
    current: RwLock<Arc<Catalogue>>,
    /// When the last look began that got an answer.
    looked: Mutex<Option<Instant>>,
}

impl LiveCatalogue {
    /// Makes a catalogue that has not looked yet.
    pub fn new(preset: Preset, clickhouse: ClickHouse) -> Self {
        let current = RwLock::new(Arc::new(preset.assumed()));
        Self(Arc::new(Shared {
            preset,
            clickhouse,
            current,
            looked: Mutex::new(None),
        }))
    }

    /// Returns what can be exported, as far as is known.
    pub fn current(&self) -> Arc<Catalogue> {
        let current = self.0.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what can be exported, after the first look.
    ///
    /// # Errors
    ///
    /// When the server was never asked and cannot be asked now.
    pub async fn looked(&self) -> Result<Arc<Catalogue>, SourceError> {
        let mut looked = self.0.looked.lock().await;
        if looked.is_none() {
            self.look(&mut looked).await?;
        }
        Ok(self.current())
    }

    /// Asks the server again. Callers that wait for a look that began after their call share it.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked; what was known stays.
    pub async fn refresh(&self) -> Result<Arc<Catalogue>, SourceError> {
        let called = Instant::now();
        let mut looked = self.0.looked.lock().await;
        if looked.is_none_or(|at| at < called) {
            self.look(&mut looked).await?;
        }
        Ok(self.current())
    }

    /// Checks that ClickHouse answers what exports ask: of each dataset it is asked for no rows.
    ///
    /// # Errors
    ///
    /// When it does not, or with settings that let answers be short.
    pub async fn check(&self) -> Result<(), SourceError> {
        self.0.clickhouse.ping().await?;
        match self.ask_for_nothing(&self.current()).await {
            Err(SourceError::Engine(exception)) if exception.is_unknown_name() => {
                let now = self.refresh().await?;
                self.ask_for_nothing(&now).await
            }
            answer => answer,
        }
    }

    async fn ask_for_nothing(&self, catalogue: &Catalogue) -> Result<(), SourceError> {
        for (name, dataset) in catalogue.datasets() {
            let Some(query) = Query::of_nobody(dataset) else {
                continue;
            };
            let answer = self.0.clickhouse.ask_for_nothing(&query).await;
            if answer.is_err() {
                tracing::warn!(
                    dataset = name,
                    "clickhouse refused the statement of a dataset"
                );
            }
            answer?;
        }
        Ok(())
    }

    async fn look(&self, looked: &mut Option<Instant>) -> Result<(), SourceError> {
        let Shared {
            preset,
            clickhouse,
            current,
            ..
        } = &*self.0;
        let begun = Instant::now();
        let seen = clickhouse.look(preset).await?;
        let found = preset.resolve(&seen);
        let is_first = looked.replace(begun).is_none();
        if is_first || found != *self.current() {
            let lacks = found.lacks().iter();
            let lacks: Vec<_> = lacks
                .map(|lack| format!("{}: {}", lack.dataset, lack.what))
                .collect();
            let datasets: Vec<_> = found.datasets().map(|(name, _)| name).collect();
            tracing::info!(?datasets, ?lacks, "tables of clickhouse resolved");
            *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        }
        Ok(())
    }

    /// Asks the server at once and then again and again, for ever.
    pub async fn follow(&self, interval: Duration) {
        let mut failed = false;
        loop {
            let mut wait = interval;
            match self.refresh().await {
                Ok(_) => failed = false,
                Err(error) => {
                    if !failed {
                        let error = &error as &dyn Error;
                        tracing::warn!(error, "tables of clickhouse unknown; will retry");
                    }
                    failed = true;
                    wait = wait.min(FIRST_LOOKS);
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}
