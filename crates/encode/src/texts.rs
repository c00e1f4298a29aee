//! Texts of a record batch on their way into column chunks.

use std::ops::Range;

use arrow::array::{Array, AsArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, DataType, Int32Type};

use crate::text_chunk::{Slot, TextChunk};

/// The place of a text that has not been looked up yet.
const UNKNOWN: u32 = u32::MAX;

/// An array of texts.
pub(crate) struct Texts<'a> {
    nulls: Option<NullBuffer>,
    values: &'a StringArray,
    dictionary: Option<Indexes<'a>>,
}

/// Which text of an Arrow dictionary each text of an array is.
pub(crate) struct Indexes<'a> {
    indexes: &'a [i32],
    /// For each text of that dictionary, its place in the one of the column chunk.
    places: Vec<u32>,
}

/// A text and its place in the dictionary of a column chunk.
#[derive(Clone, Copy)]
pub(crate) struct Last<'a> {
    text: &'a [u8],
    place: u32,
}

impl Indexes<'_> {
    /// Returns how many texts the Arrow dictionary has.
    pub(crate) fn distinct(&self) -> usize {
        self.places.len()
    }
}

impl<'a> Texts<'a> {
    /// Returns nothing for arrays of another type.
    pub(crate) fn new(array: &'a dyn Array) -> Option<Self> {
        let (values, dictionary) = match array.data_type() {
            DataType::Utf8 => (array.as_string(), None),
            DataType::Dictionary(key, value)
                if (key.as_ref(), value.as_ref()) == (&DataType::Int32, &DataType::Utf8) =>
            {
                let array = array.as_dictionary::<Int32Type>();
                let values = array.values().as_string::<i32>();
                let indexes = Indexes {
                    indexes: array.keys().values(),
                    places: vec![UNKNOWN; values.len()],
                };
                (values, Some(indexes))
            }
            _ => return None,
        };
        Some(Self {
            nulls: array.logical_nulls(),
            values,
            dictionary,
        })
    }

    /// Adds texts to a chunk, and NULL where there is none.
    pub(crate) fn add(&mut self, rows: Range<usize>, chunk: &mut TextChunk<'_>) {
        self.each(rows, chunk, Self::put);
    }

    /// Adds the values of maps to a chunk. What a key had last time it often has again, so that is noted
    /// for each text of the dictionary that the keys are in.
    pub(crate) fn add_values(
        &mut self,
        rows: Range<usize>,
        keys: &Indexes<'_>,
        last: &mut [Option<Last<'a>>],
        chunk: &mut TextChunk<'_>,
    ) {
        self.each(rows, chunk, |texts, rows, slot| match slot {
            Slot::Coded(dictionary, out) if texts.dictionary.is_none() => {
                for (row, key) in rows.clone().zip(&keys.indexes[rows]) {
                    let text = texts.text(row);
                    let last = &mut last[key.as_usize()];
                    let place = match last {
                        Some(last) if last.text == text => last.place,
                        last => {
                            let place = dictionary.place(text);
                            *last = Some(Last { text, place });
                            place
                        }
                    };
                    out.push(place);
                }
            }
            slot => texts.put(rows, slot),
        });
    }

    /// Has rows put into a chunk, all at once where none is NULL.
    fn each(
        &mut self,
        rows: Range<usize>,
        chunk: &mut TextChunk<'_>,
        mut put: impl FnMut(&mut Self, Range<usize>, Slot<'_>),
    ) {
        if self.nulls.is_none() {
            let texts = rows.len();
            return put(self, rows, chunk.slot(texts));
        }
        for row in rows {
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                chunk.null();
            } else {
                put(self, row..row + 1, chunk.slot(1));
            }
        }
    }

    fn put(&mut self, rows: Range<usize>, mut slot: Slot<'_>) {
        match (&mut self.dictionary, &mut slot) {
            (Some(Indexes { indexes, places }), Slot::Coded(dictionary, out)) => {
                for index in &indexes[rows] {
                    let index = index.as_usize();
                    if places[index] == UNKNOWN {
                        places[index] = dictionary.place(self.values.value(index).as_bytes());
                    }
                    out.push(places[index]);
                }
            }
            _ => rows.for_each(|row| slot.put(self.text(row))),
        }
    }

    /// Returns which text of an Arrow dictionary each is, where they come in one.
    pub(crate) fn indexes(&self) -> Option<&Indexes<'a>> {
        self.dictionary.as_ref()
    }

    fn text(&self, row: usize) -> &'a [u8] {
        let index = match &self.dictionary {
            Some(Indexes { indexes, .. }) => indexes[row].as_usize(),
            None => row,
        };
        self.values.value(index).as_bytes()
    }
}
