//! Texts of a dictionary as they are written, once for all rows that have them.

use std::cell::OnceCell;

use crate::column::Text;

/// Texts in each of the ways in which they are written, once that is asked for.
#[derive(Default)]
pub(crate) struct Written {
    /// JSON strings.
    pub(crate) json: OnceCell<Strings>,
    /// JSON strings inside of a quoted cell of CSV.
    pub(crate) quoted_json: OnceCell<Strings>,
    /// Cells of CSV.
    pub(crate) csv: OnceCell<Strings>,
}

/// Texts as they are written, one behind the other.
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
}

impl Strings {
    /// Writes each of some texts.
    pub(crate) fn of(texts: &Text, write: impl Fn(&str, &mut Vec<u8>)) -> Self {
        let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
        for index in 0..texts.len() {
            write(texts.value(index), &mut bytes);
            bounds.push(bytes.len());
        }
        Self { bytes, bounds }
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.bounds[index]..self.bounds[index + 1]]
    }
}
