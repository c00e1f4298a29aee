//! The least and the greatest texts of a column chunk and of each of its pages, by which readers skip
//! what they do not look for.

use parquet::basic::{BoundaryOrder, Type};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnIndexBuilder;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// How many bytes of a text are kept.
const KEPT_BYTES: usize = 64;

/// Gathers bounds, page by page.
pub(crate) struct Bounds {
    pages: ColumnIndexBuilder,
    chunk: Option<Range>,
    last: Option<Range>,
    is_ascending: bool,
    is_descending: bool,
    nulls: u64,
}

#[derive(Clone)]
struct Range {
    least: String,
    greatest: String,
}

impl Bounds {
    pub(crate) fn new() -> Self {
        Self {
            pages: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            chunk: None,
            last: None,
            is_ascending: true,
            is_descending: true,
            nulls: 0,
        }
    }

    /// Takes in the texts of a page, which has so many NULLs beside them.
    pub(crate) fn page<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t [u8]>,
        nulls: u64,
    ) -> Result<(), ParquetError> {
        self.nulls += nulls;
        let page = Range::of(texts);
        let is_null = page.is_none();
        let (least, greatest) = page.as_ref().map_or_else(Default::default, |page| {
            (at_most(&page.least), at_least(&page.greatest))
        });
        let nulls = i64::try_from(nulls)?;
        self.pages.append(is_null, least, greatest, nulls, None);
        let Some(page) = page else {
            return Ok(());
        };
        if let Some(last) = &self.last {
            self.is_ascending &= last.least <= page.least && last.greatest <= page.greatest;
            self.is_descending &= last.least >= page.least && last.greatest >= page.greatest;
        }
        match &mut self.chunk {
            Some(chunk) => chunk.widen(&page),
            chunk @ None => *chunk = Some(page.clone()),
        }
        self.last = Some(page);
        Ok(())
    }

    /// Returns the bounds of the chunk, and those of the pages.
    pub(crate) fn finish(mut self) -> Result<(Statistics, ColumnIndexMetaData), ParquetError> {
        self.pages
            .set_boundary_order(match (self.is_ascending, self.is_descending) {
                (true, _) => BoundaryOrder::ASCENDING,
                (false, true) => BoundaryOrder::DESCENDING,
                (false, false) => BoundaryOrder::UNORDERED,
            });
        let bounds = self.chunk.map(|Range { least, greatest }| {
            let is_exact = [&least, &greatest].map(|text| text.len() <= KEPT_BYTES);
            (at_most(&least), at_least(&greatest), is_exact)
        });
        let (least, greatest, [least_is_exact, greatest_is_exact]) = match bounds {
            Some((least, greatest, are_exact)) => (Some(least), Some(greatest), are_exact),
            None => (None, None, [true; 2]),
        };
        let [least, greatest] = [least, greatest].map(|text| text.map(ByteArray::from));
        let statistics = ValueStatistics::new(least, greatest, None, Some(self.nulls), false)
            .with_min_is_exact(least_is_exact)
            .with_max_is_exact(greatest_is_exact);
        Ok((Statistics::ByteArray(statistics), self.pages.build()?))
    }
}

impl Range {
    fn of<'t>(mut texts: impl Iterator<Item = &'t [u8]>) -> Option<Self> {
        let first = texts.next()?;
        let (mut least, mut greatest) = (Ordered::of(first), Ordered::of(first));
        for text in texts.map(Ordered::of) {
            if text < least {
                least = text;
            } else if text > greatest {
                greatest = text;
            }
        }
        Some(Self {
            least: text(least.text),
            greatest: text(greatest.text),
        })
    }

    fn widen(&mut self, by: &Self) {
        if by.least < self.least {
            self.least.clone_from(&by.least);
        }
        if by.greatest > self.greatest {
            self.greatest.clone_from(&by.greatest);
        }
    }
}

/// A text behind its first bytes as a number, by which nearly all texts differ already.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ordered<'t> {
    first: u64,
    text: &'t [u8],
}

impl<'t> Ordered<'t> {
    fn of(text: &'t [u8]) -> Self {
        let first = text.first_chunk().copied().unwrap_or_else(|| {
            let mut first = [0; 8];
            first[..text.len()].copy_from_slice(text);
            first
        });
        Self {
            first: u64::from_be_bytes(first),
            text,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let text = str::from_utf8(bytes).expect("texts are UTF-8");
    text.to_owned()
}

/// Returns the beginning of a text, which is no greater than the text.
fn at_most(text: &str) -> Vec<u8> {
    text[..text.floor_char_boundary(KEPT_BYTES)].into()
}

/// Returns a short text that is no less than a text: its beginning with a greater last character.
fn at_least(text: &str) -> Vec<u8> {
    if text.len() <= KEPT_BYTES {
        return text.into();
    }
    let mut short = text[..text.floor_char_boundary(KEPT_BYTES)].to_owned();
    while let Some(last) = short.pop() {
        if let Some(greater) = (last..=char::MAX).nth(1) {
            short.push(greater);
            return short.into();
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bounds_hold() {
        let long = |last: &str| format!("{}{last}and more", "a".repeat(KEPT_BYTES - 4));
        for text in [
            String::new(),
            "short".to_owned(),
            "a".repeat(KEPT_BYTES),
            long("bbbb"),
            long("bbb\u{d7ff}"),
            long("\u{10ffff}"),
            "\u{10ffff}".repeat(KEPT_BYTES),
        ] {
            assert!(at_most(&text) <= text.clone().into_bytes(), "{text}");
            assert!(at_least(&text) >= text.clone().into_bytes(), "{text}");
            assert!(at_most(&text).len() <= KEPT_BYTES, "{text}");
        }
        assert_eq!(at_least(&"a".repeat(KEPT_BYTES + 1)).last(), Some(&b'b'));
    }
}
