//! The settings of queries, and which of them a server lets this user send.
//!
//! Users have profiles: some may change no setting at all (`readonly = 1`), some settings are constant or
//! bounded, and proxies drop parameters. So the server is asked, in one statement that carries the settings,
//! which values count for it. What only makes queries faster or safer for the server is left out where it is
//! refused. What keeps answers whole must count, whoever set it; otherwise nothing is exported.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::client::ClickHouse;
use crate::config::ClickHouseConfig;
use crate::error::SourceError;

/// How long the answer of a server counts.
const FRESH: Duration = Duration::from_mins(5);

/// The same of an answer that keeps exports from running.
const FRESH_IF_UNSAFE: Duration = Duration::from_secs(5);

/// A setting that queries are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    need: Need,
    /// Whether servers of the oldest version that is supported do not know it.
    is_new: bool,
}

/// When an answer could be short, or pass for whole, without a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Always,
    /// Where rows come from other servers.
    Distributed,
    /// The setting makes queries faster, or easier for the server.
    Never,
}

/// Profiles can end an answer early or leave rows out of it, and say nothing.
const ALWAYS: &[(&str, &str)] = &[
    // Rows that are left out.
    ("discard_query_data", "0"),
    ("ignore_cold_parts_seconds", "0"),
    // Results of earlier queries.
    ("use_query_cache", "0"),
    // Shards that are away.
    ("skip_unavailable_shards", "0"),
    // Limits that end an answer as if it were whole; an error is told.
    ("distinct_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("partial_result_on_first_cancel", "0"),
    ("read_overflow_mode", "throw"),
    ("read_overflow_mode_leaf", "throw"),
    ("result_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("timeout_overflow_mode_leaf", "throw"),
    ("transfer_overflow_mode", "throw"),
    // The end of gzip proves that an answer is whole.
    ("enable_http_compression", "1"),
];

/// The same, but what counts of these cannot be asked: a query uses them up before it reads settings.
const SHORTENING: &[(&str, &str)] = &[("limit", "0"), ("offset", "0")];

/// By default, replicas that are behind answer when all others are, too.
const DISTRIBUTED: (&str, &str) = ("fallback_to_stale_replicas_for_distributed_queries", "0");

/// Returns all settings that queries on telemetry are to have.
pub(crate) fn wanted(config: &ClickHouseConfig) -> Vec<Setting> {
    let always = ALWAYS.iter().map(|setting| (setting, Need::Always));
    let needed = always.chain([(&DISTRIBUTED, Need::Distributed)]);
    let needed = needed.map(|((name, value), need)| Setting {
        name,
        value: (*value).to_owned(),
        need,
        is_new: *name == "discard_query_data",
    });
    let shortening = SHORTENING
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let helpful = [
        ("log_comment", "data export".to_owned()),
        ("readonly", "2".to_owned()),
        (
            "max_execution_time",
            config.max_execution_time_s.to_string(),
        ),
        ("max_block_size", config.max_block_rows.to_string()),
        ("http_send_timeout", config.send_timeout_s.to_string()),
        ("http_receive_timeout", config.send_timeout_s.to_string()),
        (
            "cancel_http_readonly_queries_on_client_close",
            "1".to_owned(),
        ),
        // Gzip packs nothing on this level, it only proves the end: hardly more work than copying.
        ("http_zlib_compression_level", "0".to_owned()),
        ("output_format_native_write_json_as_string", "1".to_owned()),
        // A count is one number, also where there is nothing to count.
        ("extremes", "0".to_owned()),
        ("empty_result_for_aggregation_by_empty_set", "0".to_owned()),
        ("aggregate_functions_null_for_empty", "0".to_owned()),
        // A number in JSON stays one, whatever its size.
        ("output_format_json_quote_64bit_integers", "0".to_owned()),
        // Otherwise a map of which a condition names a key is read twice: for the key, and for the rows.
        ("optimize_functions_to_subcolumns", "0".to_owned()),
    ];
    let limits = [
        ("max_memory_usage", config.max_memory_usage_bytes),
        ("max_threads", config.max_threads.into()),
    ];
    let limits = limits.into_iter().filter(|(_, limit)| *limit > 0);
    let limits = limits.map(|(name, limit)| (name, limit.to_string()));
    let helpful = shortening.chain(helpful).chain(limits);
    let helpful = helpful.map(|(name, value)| Setting {
        name,
        value,
        need: Need::Never,
        is_new: false,
    });
    needed.chain(helpful).collect()
}

/// What a server says of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Those that are sent.
    pub(crate) sent: Vec<(&'static str, String)>,
    /// Those that are needed and do not count, as a profile has to have them: `limit = 0`.
    missing: Vec<String>,
}

impl Agreed {
    /// Tells whether a setting may be sent with another value.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.sent.iter().any(|(sent, _)| *sent == name)
    }

    fn is_fresh(&self, age: Duration) -> bool {
        age < if self.missing.is_empty() {
            FRESH
        } else {
            FRESH_IF_UNSAFE
        }
    }
}

/// What the server said last, and when.
#[derive(Debug, Default)]
pub(crate) struct Agreement(Mutex<Option<(Arc<Agreed>, Instant)>>);

impl Agreement {
    fn get(&self) -> Option<(Arc<Agreed>, Instant)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn set(&self, agreed: &Arc<Agreed>) {
        let now = (Arc::clone(agreed), Instant::now());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl ClickHouse {
    /// Returns what the profile of the user has to say and does not, such as `limit = 0`, as far as that was
    /// found out. Until it does, every query on telemetry is refused.
    pub fn missing_settings(&self) -> Vec<String> {
        let agreed = self.agreement.get();
        agreed.map_or_else(Vec::new, |(agreed, _)| agreed.missing.clone())
    }

    /// Returns the settings of a query on telemetry, which it asks the server for every few minutes.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unsafe`] when answers could be short without a word, or when the server does not answer.
    pub(crate) async fn settings(&self) -> Result<Arc<Agreed>, SourceError> {
        let last = self.agreement.get();
        let agreed = match last {
            Some((agreed, at)) if agreed.is_fresh(at.elapsed()) => agreed,
            last => {
                let agreed = Arc::new(self.agree().await?);
                if last.is_none_or(|(last, _)| last != agreed) {
                    tell(&agreed, &wanted(&self.config));
                }
                self.agreement.set(&agreed);
                agreed
            }
        };
        if agreed.missing.is_empty() {
            Ok(agreed)
        } else {
            Err(SourceError::Unsafe(agreed.missing.clone()))
        }
    }

    /// Has the server asked again where it refused a setting that it took before.
    pub(crate) fn review_settings<T>(&self, answer: &Result<T, SourceError>) {
        if let Err(SourceError::Engine(exception)) = answer
            && exception.refuses_setting()
        {
            self.agreement.clear();
        }
    }

    /// Finds out which settings the server takes, and which values count.
    async fn agree(&self) -> Result<Agreed, SourceError> {
        let wanted = wanted(&self.config);
        let mut sent: Vec<_> = wanted.iter().collect();
        loop {
            let names: Vec<_> = wanted.iter().map(|it| format!("'{}'", it.name)).collect();
            // One row: a profile may let no more through, or not even that.
            let sql = format!(
                "SELECT arrayStringConcat(groupArray(concat(name, '=', value)), '\n'),
                        assumeNotNull((SELECT count() FROM system.tables WHERE engine = 'Distributed'))
                 FROM system.settings WHERE name IN ({})",
                names.join(", ")
            );
            let pairs = sent.iter().map(|it| (it.name, it.value.as_str()));
            match self.ask_small::<Values>(&sql, pairs).await {
                Ok(values) => {
                    let mut agreed = compare(&wanted, &sent, values.first());
                    if self.are_answers_shortened().await? {
                        let missing = SHORTENING.iter();
                        let missing = missing.map(|(name, value)| format!("{name} = {value}"));
                        agreed.missing.extend(missing);
                    }
                    return Ok(agreed);
                }
                Err(clickhouse::error::Error::BadResponse(text)) if !sent.is_empty() => {
                    let Some(kept) = without_refused(&sent, &text) else {
                        return Err(clickhouse::error::Error::BadResponse(text).into());
                    };
                    sent = kept;
                }
                Err(clickhouse::error::Error::TimedOut) => {
                    return Err(SourceError::Stalled(self.idle_timeout()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl ClickHouse {
    /// Tells whether the profile has a limit or an offset for the rows of every answer, and the service
    /// cannot send another one.
    async fn are_answers_shortened(&self) -> Result<bool, clickhouse::error::Error> {
        let sql = "SELECT countIf(changed OR value != '0') FROM system.settings
                   WHERE name IN ('limit', 'offset')";
        match self.ask_small::<u64>(sql, std::iter::empty()).await {
            Ok(changed) if changed == [0] => return Ok(false),
            Ok(_) | Err(clickhouse::error::Error::BadResponse(_)) => {}
            Err(error) => return Err(error),
        }
        let only_one = [("limit", "1"), ("offset", "0"), ("use_query_cache", "0")];
        let sql = "SELECT number FROM numbers(2)";
        Ok(
            match self.ask_small::<u64>(sql, only_one.into_iter()).await {
                Ok(rows) => rows != [0],
                Err(clickhouse::error::Error::BadResponse(_)) => true,
                Err(error) => return Err(error),
            },
        )
    }
}

/// Leaves out the settings that an error names; nothing when it is about something else.
fn without_refused<'a>(sent: &[&'a Setting], error: &str) -> Option<Vec<&'a Setting>> {
    let is_about_settings = [
        "READONLY",
        "SETTING_CONSTRAINT_VIOLATION",
        "UNKNOWN_SETTING",
    ]
    .iter()
    .any(|name| error.contains(&format!("({name})")));
    let named = |name: &str| {
        let words = error.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.into_iter().any(|word| word == name)
    };
    let kept: Vec<_> = sent.iter().copied().filter(|it| !named(it.name)).collect();
    (is_about_settings && kept.len() < sent.len()).then_some(kept)
}

/// Settings as lines of `name=value`, and how many distributed tables there are.
type Values = (String, u64);

fn compare(wanted: &[Setting], sent: &[&Setting], values: Option<&Values>) -> Agreed {
    let counts = |it: &&Setting| {
        // Without an answer there is an offset, which is told.
        let Some((values, _)) = values else {
            return true;
        };
        let mut values = values.lines().filter_map(|line| line.split_once('='));
        match values.find(|(name, _)| *name == it.name) {
            Some((_, value)) => value == it.value,
            None => it.is_new,
        }
    };
    let is_needed = |it: &&Setting| match it.need {
        Need::Always => true,
        Need::Distributed => values.is_none_or(|(_, tables)| *tables > 0),
        Need::Never => false,
    };
    let missing = wanted.iter().filter(|it| is_needed(it) && !counts(it));
    Agreed {
        sent: sent.iter().map(|it| (it.name, it.value.clone())).collect(),
        missing: missing
            .map(|it| format!("{} = {}", it.name, it.value))
            .collect(),
    }
}

/// Tells operators once what was found.
fn tell(agreed: &Agreed, wanted: &[Setting]) {
    let refused: Vec<_> = wanted
        .iter()
        .map(|it| it.name)
        .filter(|name| !agreed.allows(name))
        .collect();
    if !refused.is_empty() {
        info!(?refused, "clickhouse refuses settings; they are left out");
    }
    if !agreed.missing.is_empty() {
        warn!(missing = ?agreed.missing, "the profile of the clickhouse user lets answers be short");
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Setting, without_refused};

    #[test]
    fn a_setting_is_left_out_when_an_error_names_it() {
        let setting = |name| Setting {
            name,
            value: "1".to_owned(),
            need: Need::Never,
            is_new: false,
        };
        let (limit, limits) = (setting("max_block_size"), setting("max_threads"));
        let sent = [&limit, &limits];
        for error in [
            "Code: 164. DB::Exception: Cannot modify 'max_threads' setting in readonly mode. (READONLY)",
            "Code: 452. DB::Exception: Setting max_threads should not be changed. (SETTING_CONSTRAINT_VIOLATION)",
            "Code: 115. DB::Exception: Unknown setting 'max_threads'. (UNKNOWN_SETTING)",
        ] {
            assert_eq!(without_refused(&sent, error), Some(vec![&limit]), "{error}");
        }
        for error in [
            "Code: 62. DB::Exception: max_threads (SYNTAX_ERROR)",
            "Code: 164. DB::Exception: Cannot modify 'max_threads_of_another' (READONLY)",
        ] {
            assert_eq!(without_refused(&sent, error), None, "{error}");
        }
    }
}
