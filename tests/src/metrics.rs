//! What a process says to Prometheus, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::iter;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// The answer to one `GET /metrics`.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// By name, without the suffixes of a histogram.
    pub families: BTreeMap<String, Family>,
    /// By what stands before the value: `name{label="value",…}`.
    samples: BTreeMap<String, String>,
}

/// A metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it says of itself.
    pub help: String,
    /// The names of its labels.
    pub labels: BTreeSet<String>,
}

impl Scrape {
    /// Asks a process that listens on `port`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it is not the text format.
    pub async fn of(port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let answer = reqwest::get(url).await?.error_for_status()?;
        let kind = &answer.headers()["content-type"];
        ensure!(
            kind.to_str()?.starts_with("text/plain; version=0.0.4"),
            "{kind:?}"
        );
        Self::parse(&answer.text().await?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            scrape
                .line(line)
                .with_context(|| format!("{line:?} is no line of the text format"))?;
        }
        Ok(scrape)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ')?;
            help.clone_into(&mut self.entry(name).help);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ')?;
            kind.clone_into(&mut self.entry(name).kind);
        } else {
            let (series, value) = line.rsplit_once(' ')?;
            self.samples.insert(series.to_owned(), value.to_owned());
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = self.family(name)?.0.to_owned();
            let labels = labels.trim_end_matches('}').split("\",");
            let names = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            let names = names.filter(|name| name != "le");
            self.entry(&family).labels.extend(names);
        }
        Some(())
    }

    fn entry(&mut self, name: &str) -> &mut Family {
        self.families.entry(name.to_owned()).or_default()
    }

    /// Returns the metric, and its name, of a name that may have a suffix of histograms.
    pub fn family(&self, name: &str) -> Option<(&str, &Family)> {
        let bases = ["_bucket", "_sum", "_count"].map(|suffix| name.strip_suffix(suffix));
        let names = iter::once(name).chain(bases.into_iter().flatten());
        names
            .filter_map(|name| self.families.get_key_value(name))
            .map(|(name, family)| (name.as_str(), family))
            .next()
    }

    /// Returns what was counted: the sum of the series of a metric, or of one of its suffixes, that
    /// have all these labels.
    ///
    /// # Errors
    ///
    /// When there is none, or a value is no whole number.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        let values = self.values::<u64>(name, labels)?;
        Ok(values.iter().sum())
    }

    /// Returns the value of a metric without labels.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn value(&self, name: &str) -> Result<f64> {
        let values = self.values(name, &[])?;
        Ok(values[0])
    }

    fn values<T: FromStr<Err: Error + Send + Sync + 'static>>(
        &self,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Vec<T>> {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let values = self
            .samples
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(series, value)| value.parse().with_context(|| format!("{series} {value}")))
            .collect::<Result<Vec<T>>>()?;
        ensure!(!values.is_empty(), "there is no {name} with {labels:?}");
        Ok(values)
    }

    /// Returns the names of everything that can be asked for, suffixes of histograms included.
    pub fn names(&self) -> BTreeSet<&str> {
        let names = self.samples.keys();
        names
            .filter_map(|series| series.split('{').next())
            .collect()
    }
}
