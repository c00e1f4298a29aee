//! An error with all its causes, in one line.

use std::error::Error;
use std::process::ExitCode;

/// Returns the messages of an error and of its causes, outermost first. A cause that the message before it
/// ends with is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = source.source();
    }
    text
}

/// Ends a program: an error is told to people, without a backtrace.
pub fn exit_code<E: AsRef<dyn Error + Send + Sync>>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("storing: {0}")]
    struct Telling(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("the export failed")]
    struct Silent(#[source] Telling);

    #[test]
    fn no_cause_is_told_twice() {
        let error = Silent(Telling(io::Error::other("the disk is full")));
        let told = "the export failed: storing: the disk is full";
        assert_eq!(chain(&error), told);
    }
}
