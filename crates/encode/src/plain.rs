//! Texts as Parquet's encoding `PLAIN` has them: each behind its length.

use std::iter;

/// How many bytes stand before a text.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Appends a text of less than 4 GiB: no Arrow array of texts with offsets of 32 bits has a longer one.
pub(crate) fn write(text: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("a text of an array with offsets of 32 bits");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
}

/// Returns the texts of a page that [`write`] has written.
pub(crate) fn texts(mut page: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (length, rest) = page.split_first_chunk()?;
        let (text, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        page = rest;
        Some(text)
    })
}
