//! What a window of time says about the expressions of a table's keys, so that ClickHouse reads only
//! the granules that can have rows of it.
//!
//! ClickHouse derives some of this from the condition on the time itself, but not for
//! `toStartOfFiveMinutes(Timestamp), …, Timestamp`, the key of today's collectors, and not for a
//! column that has the time in seconds.

use chrono::TimeDelta;

use crate::expression::quoted;
use crate::server_type::split_list;

/// The column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    /// As the server writes it.
    pub(crate) column_type: String,
    /// `DEFAULT`, `MATERIALIZED`, `ALIAS`, or empty.
    pub(crate) default_kind: String,
    pub(crate) default_expression: String,
}

/// An expression over the columns of a table that never falls while the time rises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyBound {
    /// The expression.
    pub(crate) sql: String,
    /// The same expression of a bound of the window.
    of_bound: Vec<Step>,
    /// The type that a bound is cast to first: that of the time.
    time_type: String,
    /// How much the window is widened first.
    pub(crate) margin: TimeDelta,
}

impl KeyBound {
    /// Returns the expression's value for a bound of the window.
    pub(crate) fn of(&self, bound: &str) -> String {
        let cast = format!("CAST({bound}, '{}')", escaped(&self.time_type));
        apply(&self.of_bound, cast)
    }
}

/// Finds the bounds of a table: `time` is the name of its time column, and `keys` are its sorting
/// key and its partition key.
pub(crate) fn key_bounds(time: &str, columns: &[KeyColumn], keys: [&str; 2]) -> Vec<KeyBound> {
    let Some(time) = columns.iter().find(|column| column.name == time) else {
        return Vec::new();
    };
    // An alias is no column of its own: it cannot prune what its expression does not.
    if !is_time(&time.column_type) || time.default_kind == "ALIAS" {
        return Vec::new();
    }
    let derived = columns.iter().filter_map(|column| derived(time, column));
    let derived: Vec<_> = derived.collect();
    let [sorting, partition] = keys;
    let mut bounds: Vec<KeyBound> = Vec::new();
    let mut add = |bound: KeyBound| {
        if !bounds.contains(&bound) {
            bounds.push(bound);
        }
    };
    for element in split_list(sorting) {
        let Some(chain) = Chain::parse(element) else {
            continue;
        };
        if chain.column == time.name {
            // The condition on the time says as much of the time itself.
            if !chain.steps.is_empty() {
                add(chain.bound(&[], &time.column_type));
            }
        } else if let Some((column, steps)) = derived.iter().find(|(it, _)| *it == chain.column) {
            add(Chain::of(column).bound(steps, &time.column_type));
            if !chain.steps.is_empty() {
                add(chain.bound(steps, &time.column_type));
            }
        }
    }
    // ClickHouse knows the least and the greatest value of each column of the partition key.
    for (column, steps) in &derived {
        if mentions(partition, column) {
            add(Chain::of(column).bound(steps, &time.column_type));
        }
    }
    bounds
}

/// Tells whether a column has the time of another in a coarser form, and how it is made of it.
///
/// A `DEFAULT` is trusted: an INSERT could give another value, but then the table's own key would
/// contradict its rows.
fn derived(time: &KeyColumn, column: &KeyColumn) -> Option<(String, Vec<Step>)> {
    if !["DEFAULT", "MATERIALIZED"].contains(&&*column.default_kind) {
        return None;
    }
    let chain = Chain::parse(&column.default_expression)?;
    let is_number = ["UInt32", "UInt64", "Int64"].contains(&&*column.column_type);
    let is_day = ["Date", "Date32"].contains(&&*column.column_type);
    if chain.column != time.name || !(is_number || is_day || is_time(&column.column_type)) {
        return None;
    }
    // A moment cannot become a number by a cast that says how.
    if is_number
        && !chain
            .steps
            .iter()
            .any(|step| step.function.starts_with("toUnix"))
    {
        return None;
    }
    let mut steps = chain.steps;
    steps.push(Step {
        function: "CAST".to_owned(),
        argument: Some(format!("'{}'", escaped(&column.column_type))),
        margin: if is_day { DAY } else { TimeDelta::zero() },
    });
    Some((column.name.clone(), steps))
}

/// Tells whether a type of the server is a moment, and has nothing in it but what it should.
fn is_time(column_type: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "()', /_+-".contains(c);
    (column_type == "DateTime"
        || column_type.starts_with("DateTime(")
        || column_type.starts_with("DateTime64("))
        && column_type.matches('(').count() <= 1
        && column_type.chars().all(is_known)
}

fn mentions(key: &str, column: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.split(|c: char| !is_part(c)).any(|word| word == column)
}

/// A function of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    function: String,
    /// The second argument: a time zone, a mode or a precision.
    argument: Option<String>,
    margin: TimeDelta,
}

/// Functions that make a column's value into another.
struct Chain {
    column: String,
    /// The innermost first.
    steps: Vec<Step>,
}

/// The same day begins up to 26 hours later in another time zone, and once more where clocks go
/// back at midnight.
const DAY: TimeDelta = TimeDelta::hours(30);

/// Hours, and tens of minutes, begin at other times in a time zone that is shifted by a part of an
/// hour, and once more where clocks go back by one. Five and fifteen minutes do not: all shifts are
/// multiples of them.
const HOUR: TimeDelta = TimeDelta::hours(2);

/// Returns how much a window must be widened for a function that never falls, or nothing for another.
///
/// The calendar depends on a time zone. The server has one for the column, which may not be the one
/// that the same function has for a bound, and days and hours repeat where clocks go back.
fn margin(function: &str) -> Option<TimeDelta> {
    Some(match function {
        "toDateTime"
        | "toDateTime64"
        | "toUnixTimestamp"
        | "toUnixTimestamp64Second"
        | "toUnixTimestamp64Milli"
        | "toUnixTimestamp64Micro"
        | "toUnixTimestamp64Nano"
        | "toStartOfSecond"
        | "toStartOfMinute"
        | "toStartOfFiveMinutes"
        | "toStartOfFiveMinute"
        | "toStartOfFifteenMinutes" => TimeDelta::zero(),
        "toStartOfTenMinutes" | "toStartOfHour" => HOUR,
        "toDate" | "toDate32" | "toStartOfDay" | "toStartOfWeek" | "toMonday"
        | "toStartOfMonth" | "toStartOfQuarter" | "toStartOfYear" | "toStartOfISOYear"
        | "toYear" | "toYYYYMM" | "toYYYYMMDD" | "toYYYYMMDDhhmmss" => DAY,
        _ => return None,
    })
}

impl Chain {
    fn of(column: &str) -> Self {
        Self {
            column: column.to_owned(),
            steps: Vec::new(),
        }
    }

    /// Reads `f(g(column), 'zone')`, if all its functions are known.
    fn parse(sql: &str) -> Option<Self> {
        let sql = sql.trim();
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let Some((function, rest)) = sql.split_once('(') else {
            let unquoted = sql.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            return is_name(unquoted.unwrap_or(sql)).then(|| Self::of(unquoted.unwrap_or(sql)));
        };
        let margin = margin(function)?;
        let arguments = split_list(rest.strip_suffix(')')?);
        let (inner, argument) = match arguments[..] {
            [inner] => (inner, None),
            [inner, argument] if is_literal(argument) => (inner, Some(argument.to_owned())),
            _ => return None,
        };
        let mut chain = Self::parse(inner)?;
        chain.steps.push(Step {
            function: function.to_owned(),
            argument,
            margin,
        });
        Some(chain)
    }

    /// Makes the bound of this expression, of whose column `first` is made of the time.
    fn bound(&self, first: &[Step], time_type: &str) -> KeyBound {
        let of_bound: Vec<_> = first.iter().chain(&self.steps).cloned().collect();
        KeyBound {
            sql: apply(&self.steps, quoted(&self.column)),
            margin: (of_bound.iter().map(|step| step.margin).max()).unwrap_or_default(),
            of_bound,
            time_type: time_type.to_owned(),
        }
    }
}

/// Tells whether an argument is a number or the name of a time zone.
fn is_literal(text: &str) -> bool {
    let zone = text.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
    let is_zone = |zone: &str| {
        zone.chars()
            .all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c))
    };
    zone.map_or_else(|| text.bytes().all(|b| b.is_ascii_digit()), is_zone)
}

fn apply(steps: &[Step], to: String) -> String {
    steps.iter().fold(to, |inner, step| {
        let Step {
            function, argument, ..
        } = step;
        match argument {
            Some(argument) => format!("{function}({inner}, {argument})"),
            None => format!("{function}({inner})"),
        }
    })
}

fn escaped(column_type: &str) -> String {
    column_type.replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::{KeyColumn, key_bounds};

    fn column(name: &str, column_type: &str, default: &str) -> KeyColumn {
        let (kind, expression) = default.split_once(' ').unwrap_or_default();
        KeyColumn {
            name: name.to_owned(),
            column_type: column_type.to_owned(),
            default_kind: kind.to_owned(),
            default_expression: expression.to_owned(),
        }
    }

    /// The bounds of a table whose time is `t`, each as its condition on the start.
    fn bounds(columns: &[KeyColumn], sorting: &str, partition: &str) -> Vec<String> {
        let bounds = key_bounds("t", columns, [sorting, partition]);
        let text = |bound: &super::KeyBound| {
            let margin = bound.margin.num_hours();
            format!("{} >= {} [{margin}]", bound.sql, bound.of("start"))
        };
        bounds.iter().map(text).collect()
    }

    #[test]
    fn the_time_of_a_key_is_bounded_by_the_same_function() {
        let time = [column("t", "DateTime64(9, 'Asia/Jakarta')", "")];
        let bound = |key| bounds(&time, key, "toDate(t)").join(" ");
        let start = "CAST(start, 'DateTime64(9, \\'Asia/Jakarta\\')')";
        for (key, function, margin) in [
            (
                "toStartOfFiveMinutes(t), s, t",
                "toStartOfFiveMinutes(_)",
                0,
            ),
            ("s, toDateTime(t), t", "toDateTime(_)", 0),
            ("s, toUnixTimestamp64Nano(t)", "toUnixTimestamp64Nano(_)", 0),
            ("toStartOfHour(`t`, 'UTC'), s", "toStartOfHour(_, 'UTC')", 2),
            ("toYYYYMM(t)", "toYYYYMM(_)", 30),
            (
                "toUnixTimestamp(toStartOfDay(t))",
                "toUnixTimestamp(toStartOfDay(_))",
                30,
            ),
        ] {
            let (ours, theirs) = (function.replace('_', "`t`"), function.replace('_', start));
            assert_eq!(bound(key), format!("{ours} >= {theirs} [{margin}]"));
        }
    }

    #[test]
    fn other_keys_have_no_bounds() {
        let time = [column("t", "DateTime64(9)", "")];
        for key in [
            "s, t",
            "-toUnixTimestamp(t)",
            "toHour(t)",
            "toStartOfHour(u)",
            "toDateTime(t, z)",
            "cityHash64(t)",
            "toStartOfInterval(t, toIntervalMinute(5))",
            "",
        ] {
            assert_eq!(bounds(&time, key, ""), [""; 0], "{key}");
        }
        let alias = [column("t", "DateTime64(9)", "ALIAS toDateTime(u)")];
        assert_eq!(bounds(&alias, "toStartOfHour(t)", ""), [""; 0]);
        let evil = [column("t", "DateTime64(9)') OR (1", "")];
        assert_eq!(bounds(&evil, "toStartOfHour(t)", ""), [""; 0]);
    }

    #[test]
    fn a_column_that_is_made_of_the_time_is_bounded() {
        let table = |kind: &str| {
            [
                column("t", "DateTime64(9)", ""),
                column("seconds", "DateTime", &format!("{kind} toDateTime(t)")),
                column("day", "Date", &format!("{kind} toDate(t)")),
                column("other", "DateTime", &format!("{kind} toDateTime(u)")),
            ]
        };
        let seconds = "CAST(toDateTime(CAST(start, 'DateTime64(9)')), 'DateTime')";
        for kind in ["DEFAULT", "MATERIALIZED"] {
            assert_eq!(
                bounds(&table(kind), "s, seconds, t", "toDate(seconds)"),
                [format!("`seconds` >= {seconds} [0]")]
            );
            assert_eq!(
                bounds(&table(kind), "toStartOfFiveMinutes(seconds), other", "day"),
                [
                    format!("`seconds` >= {seconds} [0]"),
                    format!(
                        "toStartOfFiveMinutes(`seconds`) >= toStartOfFiveMinutes({seconds}) [0]"
                    ),
                    "`day` >= CAST(toDate(CAST(start, 'DateTime64(9)')), 'Date') [30]".to_owned(),
                ]
            );
        }
        assert_eq!(bounds(&table("ALIAS"), "seconds, day", "day"), [""; 0]);
        assert_eq!(bounds(&table(""), "seconds, day", "day"), [""; 0]);
    }
}
