//! Arrays as ClickHouse sends them, turned into those of the canonical schema: bytes to text,
//! with U+FFFD for what is not UTF-8, and the names of nested fields.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, ListArray, MapArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};

use crate::error::SourceError;

/// Turns a batch into one of the canonical schema.
pub(crate) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SourceError> {
    check_names(&batch.schema(), schema)?;
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            array(column, field.data_type())
                .map_err(|detail| SourceError::Schema(format!("{}: {detail}", field.name())))
        })
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(SourceError::Decode)
}

/// Checks that the columns are those that were asked for, in that order.
pub(crate) fn check_names(received: &Schema, expected: &Schema) -> Result<(), SourceError> {
    let names = |schema: &Schema| -> Vec<String> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    let (received, expected) = (names(received), names(expected));
    if received == expected {
        Ok(())
    } else {
        Err(SourceError::Schema(format!(
            "{received:?} instead of {expected:?}"
        )))
    }
}

fn array(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    match (array.data_type(), target) {
        (source, target) if source == target => Ok(Arc::clone(array)),
        (DataType::Binary, DataType::Utf8) => Ok(Arc::new(text(array.as_binary()))),
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = self::array(list.values(), field.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(Arc::clone(field), offsets, values, nulls);
            list.map(|list| Arc::new(list) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = field.data_type() else {
                return Err("is a map of no entries".to_owned());
            };
            let entries = structure(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let map = MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted);
            map.map(|map| Arc::new(map) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            structure(array.as_struct(), fields).map(|array| Arc::new(array) as ArrayRef)
        }
        (source, target) => Err(format!("is {source} instead of {target}")),
    }
}

/// The members of a structure are told by their places: `Map` has its own names for its two.
fn structure(array: &StructArray, fields: &Fields) -> Result<StructArray, String> {
    if array.num_columns() != fields.len() {
        return Err(format!(
            "has {} members instead of {}",
            array.num_columns(),
            fields.len()
        ));
    }
    let columns = array
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| self::array(column, field.data_type()))
        .collect::<Result<_, _>>()?;
    StructArray::try_new(fields.clone(), columns, array.nulls().cloned())
        .map_err(|error| error.to_string())
}

fn text(bytes: &BinaryArray) -> StringArray {
    StringArray::try_from_binary(bytes.clone()).unwrap_or_else(|_| {
        bytes
            .iter()
            .map(|value| value.map(String::from_utf8_lossy))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, BinaryArray};

    use super::text;

    #[test]
    fn only_what_is_not_utf8_is_replaced() {
        let bytes = BinaryArray::from_opt_vec(vec![
            Some("ünï".as_bytes()),
            Some(b"a\xff\xfeb"),
            None,
            Some(b""),
            Some(b"\xe2\x82"),
        ]);
        let text = text(&bytes);
        let values: Vec<_> = text.iter().collect();
        assert_eq!(
            values,
            [
                Some("ünï"),
                Some("a\u{fffd}\u{fffd}b"),
                None,
                Some(""),
                Some("\u{fffd}")
            ]
        );
        assert_eq!(text.null_count(), 1);
    }
}
