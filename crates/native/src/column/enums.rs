//! `Enum8` and `Enum16`: numbers, the names of which are in the text of the type.
//!
//! They become a dictionary array whose dictionary, all names, is made once and shared by all
//! blocks: a writer can escape, quote or hash each name once and needs not look at a row's text.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use crate::column::{Column, scalars};
use crate::error::ColumnError;

pub(super) fn enum8(names: &[(i16, String)]) -> Box<dyn Column> {
    let names = Names::new(names);
    scalars::fixed(move |values: Vec<i8>, nulls| {
        names.array(values.into_iter().map(i16::from), nulls)
    })
}

pub(super) fn enum16(names: &[(i16, String)]) -> Box<dyn Column> {
    let names = Names::new(names);
    scalars::fixed(move |values: Vec<i16>, nulls| names.array(values.into_iter(), nulls))
}

/// The names in the order of their numbers.
struct Names {
    texts: ArrayRef,
    numbers: Vec<i16>,
    /// The place of each number from the first on, or -1; for numbers without wide gaps.
    places: Option<Vec<i32>>,
}

impl Names {
    fn new(names: &[(i16, String)]) -> Self {
        let texts = names.iter().map(|(_, name)| Some(name.as_str()));
        let numbers: Vec<_> = names.iter().map(|(number, _)| *number).collect();
        let mut places = Vec::new();
        for (place, number) in (0..).zip(&numbers) {
            let distance = usize::from(number.abs_diff(numbers[0]));
            if distance > 4 * numbers.len() + 16 {
                places.clear();
                break;
            }
            places.resize(distance, -1);
            places.push(place);
        }
        Self {
            texts: Arc::new(texts.collect::<StringArray>()),
            places: (!places.is_empty()).then_some(places),
            numbers,
        }
    }

    /// Returns the place of a number among the names, or -1.
    fn place(&self, number: i16) -> i32 {
        let place = match &self.places {
            Some(places) => usize::try_from(i32::from(number) - i32::from(self.numbers[0]))
                .ok()
                .and_then(|distance| places.get(distance).copied()),
            None => (self.numbers.binary_search(&number).ok())
                .and_then(|place| i32::try_from(place).ok()),
        };
        place.unwrap_or(-1)
    }

    fn array(
        &self,
        values: impl ExactSizeIterator<Item = i16> + Clone,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ColumnError> {
        let mut keys: Vec<_> = values.clone().map(|number| self.place(number)).collect();
        if keys.iter().any(|key| *key < 0) {
            for ((row, key), number) in keys.iter_mut().enumerate().zip(values) {
                if *key < 0 && !nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    return Err(ColumnError::EnumNumber(number));
                }
                *key = (*key).max(0);
            }
        }
        let keys = Int32Array::try_new(keys.into(), nulls)?;
        let texts = Arc::clone(&self.texts);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(
            keys, texts,
        )?))
    }
}
