//! Calm output: a line per step with a mark and the time it took.

use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use console::{Term, style};
use indicatif::{ProgressBar, ProgressStyle};

const TITLE_WIDTH: usize = 64;
const TICK: Duration = Duration::from_millis(90);
const SPINNER: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";

/// Something that takes a while: a spinner on a terminal, and one line when it is over.
///
/// Dropped before [`Step::done`], it counts as failed.
#[derive(Debug)]
pub(crate) struct Step {
    title: String,
    spinner: ProgressBar,
    started: Instant,
    failed: bool,
}

impl Step {
    /// Begins a step. The title is an order: `Start Redis`.
    pub(crate) fn begin(title: impl Into<String>) -> Self {
        let title = title.into();
        let spinner = ProgressBar::new_spinner()
            .with_style(
                bar_style("  {spinner:.cyan} {prefix}  {wide_msg:.dim}").tick_chars(SPINNER),
            )
            .with_prefix(title.clone());
        spinner.enable_steady_tick(TICK);
        Self {
            title,
            spinner,
            started: Instant::now(),
            failed: true,
        }
    }

    /// Says what the step is doing at the moment.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.spinner.set_message(text.into());
    }

    /// Ends the step well.
    pub(crate) fn done(mut self) {
        self.failed = false;
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
        line(!self.failed, &self.title, self.started.elapsed());
    }
}

/// Does `work` as a step.
///
/// # Errors
///
/// Those of `work`.
pub(crate) async fn step<T>(title: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let step = Step::begin(title);
    let outcome = work.await?;
    step.done();
    Ok(outcome)
}

/// Stops what a command has started, as its last step.
///
/// # Errors
///
/// Those of `work`.
pub(crate) async fn stop(work: impl Future<Output = Result<()>>) -> Result<()> {
    println!();
    step("Stop and remove everything", work).await
}

/// Prints the line of something that is over.
pub(crate) fn line(well: bool, title: &str, elapsed: Duration) {
    let mark = if well {
        style("✓").green()
    } else {
        style("✗").red()
    };
    let time = style(seconds(elapsed)).dim();
    println!("  {mark} {title:<TITLE_WIDTH$} {time}");
}

/// Prints a heading with an empty line before it.
pub(crate) fn heading(text: &str) {
    println!("\n{}", style(text).bold());
}

/// Prints a name and what belongs to it.
pub(crate) fn entry(name: &str, value: impl std::fmt::Display) {
    println!("  {} {value}", style(format!("{name:<16}")).dim());
}

/// Prints an error and its causes.
pub(crate) fn error(error: &Error) {
    let print = |text: String| Term::stderr().write_line(&text);
    let mark = style("error:").red().bold().for_stderr();
    // There is nowhere to say that standard error is closed.
    let _ = print(format!("\n{mark} {error}"));
    for cause in error.chain().skip(1) {
        let _ = print(format!("  caused by: {cause}"));
    }
}

/// Returns a style of a progress bar.
///
/// # Panics
///
/// When the template cannot be read; all of them are constants.
pub(crate) fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that parses")
}

/// Writes a duration as seconds with one digit behind the point.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
