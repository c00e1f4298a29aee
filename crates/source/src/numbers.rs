//! Small answers to queries on telemetry: rows of numbers.

use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::client::ClickHouse;
use crate::error::SourceError;
use crate::exception::Exception;
use crate::inflate::Inflate;
use crate::metrics::{self, Purpose};
use crate::sql::Statement;

/// The largest answer that is read, after unpacking: some times that of a histogram.
const MOST_BYTES: usize = 1024 * 1024;

impl ClickHouse {
    /// Returns the rows of an answer, if it is there `within` so long: of each the last `N` columns, which are
    /// numbers. `settings` stand over those that all queries have.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses the query, or takes too long, or the answer is another.
    pub(crate) async fn numbers<const N: usize>(
        &self,
        statement: Statement,
        within: Duration,
        settings: &[(&'static str, String)],
    ) -> Result<Vec<[u64; N]>, SourceError> {
        let asked = Instant::now();
        let answer = async {
            let how = [("default_format", "TabSeparated")];
            let answer = self.begin(statement, &how, settings, within).await?;
            text(answer).await
        };
        let answer = tokio::time::timeout(within, answer)
            .await
            .unwrap_or(Err(SourceError::Stalled(within)));
        metrics::asked(Purpose::Count, &answer, asked.elapsed());
        parse(&answer?)
    }
}

/// Reads an answer to its end.
async fn text(mut answer: Answer) -> Result<String, SourceError> {
    let Some(mut chunk) = answer.chunk().await? else {
        return Ok(String::new());
    };
    answer.check_encoding()?;
    let mut inflate = Inflate::new();
    let mut text = Vec::new();
    loop {
        let mut packed = &chunk[..];
        while let Some(bytes) = inflate.next(&mut packed)? {
            text.extend_from_slice(&bytes);
            if text.len() > MOST_BYTES {
                let problem = "with more than was asked for";
                return Err(SourceError::Answer(problem.to_owned()));
            }
        }
        match answer.chunk().await? {
            Some(next) => chunk = next,
            None => break,
        }
    }
    let text = String::from_utf8_lossy(&text);
    match Exception::parse(&text) {
        Some(exception) => Err(SourceError::Engine(exception)),
        None if inflate.is_whole() => Ok(text.into_owned()),
        None => Err(SourceError::Truncated),
    }
}

fn parse<const N: usize>(text: &str) -> Result<Vec<[u64; N]>, SourceError> {
    let row = |line: &str| {
        let mut row = [0; N];
        let mut columns = line.rsplit('\t');
        for number in row.iter_mut().rev() {
            *number = columns.next()?.parse().ok()?;
        }
        Some(row)
    };
    let rows: Option<_> = text.lines().map(row).collect();
    rows.ok_or_else(|| SourceError::Answer(format!("with rows that do not end in {N} numbers")))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn rows_are_read_and_nothing_else() {
        let rows = parse("1\t2\n18446744073709551615\t0\n").unwrap();
        assert_eq!(rows, [[1, 2], [u64::MAX, 0]]);
        assert_eq!(parse::<1>("").unwrap(), [[0; 1]; 0]);
        assert_eq!(parse("default\ta\\tb\t3\t4\n").unwrap(), [[3, 4]]);
        for other in ["1\n", "1\t-2\n", "1\t\n", "\n", "a\tb\n", "-1\t2\n"] {
            assert!(parse::<2>(other).is_err(), "{other:?}");
        }
    }
}
