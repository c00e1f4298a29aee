//! The tokens of the text of a type.

use super::TypeError;

/// A text, from the next token on.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn starts_with(&self, letter: char) -> bool {
        self.rest.starts_with(letter)
    }

    pub(super) fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|each: char| !each.is_ascii_alphanumeric() && each != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<T, TypeError> {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let sign = self.rest.len() - digits.len();
        let end = digits
            .find(|each: char| !each.is_ascii_digit())
            .unwrap_or(digits.len());
        let (text, rest) = self.rest.split_at(sign + end);
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        let number = number.ok_or_else(|| self.malformed("has no number or a wrong one"))?;
        self.rest = rest;
        Ok(number)
    }

    /// Reads a text in quotes, with the escapes of `writeAnyEscapedString`.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, TypeError> {
        let mut text = String::new();
        let mut letters = self.rest.chars();
        if letters.next() != Some(quote) {
            return Err(self.malformed("has no quote"));
        }
        loop {
            match letters.next() {
                Some('\\') => match letters.next() {
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some('0') => text.push('\0'),
                    Some(other) => text.push(other),
                    None => return Err(self.malformed("has a quote that does not end")),
                },
                Some(letter) if letter == quote => break,
                Some(letter) => text.push(letter),
                None => return Err(self.malformed("has a quote that does not end")),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }

    /// Skips what is in parentheses, with them: they end where as many are closed as were opened,
    /// apart from those in quotes.
    pub(super) fn skip_parentheses(&mut self) -> Result<(), TypeError> {
        let mut depth = 0_usize;
        loop {
            let Some(letter) = self.rest.chars().next() else {
                return Err(self.malformed("lacks a )"));
            };
            if matches!(letter, '`' | '\'') {
                self.quoted(letter)?;
                continue;
            }
            self.rest = &self.rest[letter.len_utf8()..];
            match letter {
                '(' => depth += 1,
                ')' if depth == 1 => return Ok(()),
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(super) fn accept(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(super) fn expect(&mut self, token: &'static str) -> Result<(), TypeError> {
        if self.accept(token) {
            return Ok(());
        }
        Err(self.malformed(match token {
            "(" => "lacks a (",
            ")" => "lacks a )",
            ", " => "lacks a comma",
            " = " => "lacks a =",
            _ => "lacks a space",
        }))
    }

    pub(super) fn malformed(&self, problem: &'static str) -> TypeError {
        TypeError::Malformed {
            problem,
            rest: self.rest.chars().take(40).collect(),
        }
    }
}
