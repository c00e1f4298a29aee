//! Texts of a record batch on their way into column chunks.

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
    dictionary: Option<Keys<'a>>,
}

/// What stands for the texts of an array in an Arrow dictionary.
struct Keys<'a> {
    keys: &'a [i32],
    /// For each text of that dictionary, its place in the one of the column chunk.
    places: Vec<u32>,
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
                let keys = Keys {
                    keys: array.keys().values(),
                    places: vec![UNKNOWN; values.len()],
                };
                (values, Some(keys))
            }
            _ => return None,
        };
        Some(Self {
            nulls: array.logical_nulls(),
            values,
            dictionary,
        })
    }

    /// Adds a text to a chunk, or NULL.
    pub(crate) fn add(&mut self, row: usize, chunk: &mut TextChunk<'_>) {
        if self.is_null(row) {
            chunk.null();
        } else {
            self.put(row, chunk.slot());
        }
    }

    /// Adds a text to a chunk that is likely the one `last` time, or NULL. The place of it is noted there.
    pub(crate) fn add_again(&mut self, row: usize, last: &mut u32, chunk: &mut TextChunk<'_>) {
        if self.is_null(row) {
            chunk.null();
        } else {
            self.put_again(row, last, chunk.slot());
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn put(&mut self, row: usize, slot: Slot<'_>) {
        match (&mut self.dictionary, slot) {
            (Some(Keys { keys, places }), Slot::Coded(dictionary, out)) => {
                let key = keys[row].as_usize();
                if places[key] == UNKNOWN {
                    places[key] = dictionary.place(self.values.value(key).as_bytes());
                }
                out.push(places[key]);
            }
            (_, slot) => slot.put(self.text(row)),
        }
    }

    fn put_again(&mut self, row: usize, last: &mut u32, slot: Slot<'_>) {
        let text = self.text(row);
        match slot {
            Slot::Coded(dictionary, out) => {
                if dictionary.text(*last) != Some(text) {
                    *last = dictionary.place(text);
                }
                out.push(*last);
            }
            slot @ Slot::Plain(_) => slot.put(text),
        }
    }

    /// Returns a number that is the same for the same texts, and small, once they are in a chunk.
    pub(crate) fn number(&self, row: usize) -> Option<usize> {
        let Keys { keys, places } = self.dictionary.as_ref()?;
        let place = places[keys[row].as_usize()];
        (place != UNKNOWN).then_some(place as usize)
    }

    fn text(&self, row: usize) -> &'a [u8] {
        let index = match &self.dictionary {
            Some(Keys { keys, .. }) => keys[row].as_usize(),
            None => row,
        };
        self.values.value(index).as_bytes()
    }
}
