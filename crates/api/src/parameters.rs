//! Reading the query of an address, with everything that is wrong with it at once.

use domain::{Pointer, Violation};
use url::form_urlencoded;

/// The parameters of a query, taken one by one; what is left is unknown. A violation points at a
/// parameter as if they were the members of an object.
pub(crate) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl Parameters {
    /// Takes a query apart.
    pub(crate) fn of(query: Option<&str>) -> Self {
        Self {
            given: form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            known: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Reads a parameter that may be missing. `parse` says what is wrong with its value.
    pub(crate) fn optional<T, E: Into<String>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name);
        let (_, value) = values.next()?;
        if values.next().is_some() {
            self.blame(name, "is given more than once");
            return None;
        }
        match parse(value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.blame(name, detail);
                None
            }
        }
    }

    /// Says that a parameter is wrong.
    pub(crate) fn blame(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = Pointer::root().child(name);
        self.violations.push(Violation::new(pointer, detail));
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Violation>> {
        let known = self.known.join(", ");
        let mut unknown: Vec<String> = Vec::new();
        for (name, _) in &self.given {
            if !self.known.contains(&name.as_str()) && !unknown.contains(name) {
                unknown.push(name.clone());
            }
        }
        for name in unknown {
            self.blame(&name, format!("is unknown; known are {known}"));
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(self.violations)
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Violation;

    use super::Parameters;

    fn read(query: &str) -> Result<Option<u8>, Vec<String>> {
        let mut parameters = Parameters::of(Some(query));
        let number = parameters.optional("number", |text| {
            text.parse::<u8>().map_err(|_| "must be a small number")
        });
        let tell = |wrong: Vec<Violation>| wrong.iter().map(ToString::to_string).collect();
        parameters.finish().map(|()| number).map_err(tell)
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("number=%37"), Ok(Some(7)));
        assert_eq!(
            read("number=many&colour=red&colour=blue&a%2Fb"),
            Err(vec![
                "/number: must be a small number".to_owned(),
                "/colour: is unknown; known are number".to_owned(),
                "/a~1b: is unknown; known are number".to_owned(),
            ])
        );
        assert_eq!(
            read("number=1&number=1"),
            Err(vec!["/number: is given more than once".to_owned()])
        );
    }
}
