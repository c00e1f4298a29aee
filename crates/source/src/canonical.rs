//! Arrays as ClickHouse sends them, turned into those of the schema of an export: bytes to text, with
//! U+FFFD for what is not UTF-8, JSON to maps, and the names of nested fields. A dictionary stays one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, ListArray, MapArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};

use crate::error::SourceError;
use crate::json_map;

/// Turns a batch into one that fits a schema, but for dictionaries in place of texts.
pub(crate) fn batch(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch, SourceError> {
    check_names(&batch.schema(), schema)?;
    let columns = batch.columns().iter().zip(schema.fields());
    let (fields, columns): (Vec<_>, Vec<_>) = columns
        .map(|(column, field)| {
            member(column, field)
                .map_err(|problem| SourceError::Schema(format!("{} {problem}", field.name())))
        })
        .collect::<Result<_, _>>()?;
    let schema = Schema::new(fields);
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| SourceError::Schema(error.to_string()))
}

/// Checks that the columns are those that were asked for, in that order.
fn check_names(received: &Schema, expected: &Schema) -> Result<(), SourceError> {
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

/// Turns the values of a field, and tells what the field is then.
fn member(array: &ArrayRef, field: &FieldRef) -> Result<(FieldRef, ArrayRef), String> {
    if !field.is_nullable() && array.null_count() > 0 {
        return Err("has NULLs, which its definition does not allow".to_owned());
    }
    let array = self::array(array, field.data_type())?;
    let field = Field::clone(field).with_data_type(array.data_type().clone());
    Ok((Arc::new(field), array))
}

fn array(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    match (array.data_type(), target) {
        (source, target) if source == target => Ok(Arc::clone(array)),
        (DataType::Binary, DataType::Utf8) => Ok(Arc::new(text(array.as_binary()))),
        (DataType::FixedSizeBinary(_), DataType::Utf8) => {
            // As ClickHouse casts it: without the zeros that fill it up.
            let trimmed = array.as_fixed_size_binary().iter().map(|value| {
                let end = |value: &[u8]| value.iter().rposition(|byte| *byte != 0);
                value.map(|value| &value[..end(value).map_or(0, |last| last + 1)])
            });
            Ok(Arc::new(text(&trimmed.collect())))
        }
        (DataType::Dictionary(..), DataType::Utf8) => {
            let dictionary = array.as_any_dictionary();
            let values = self::array(dictionary.values(), target)?;
            Ok(dictionary.with_values(values))
        }
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let (field, values) = member(list.values(), field)?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(field, offsets, values, nulls);
            list.map(|list| Arc::new(list) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (DataType::Binary, DataType::Map(entries, _)) => {
            json_map::maps(array, entries).map(|maps| Arc::new(maps) as ArrayRef)
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = field.data_type() else {
                return Err("is a map of no entries".to_owned());
            };
            let entries = structure(map.entries(), fields)?;
            let field = Field::clone(field).with_data_type(entries.data_type().clone());
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let map = MapArray::try_new(Arc::new(field), offsets, entries, nulls, *sorted);
            map.map(|map| Arc::new(map) as ArrayRef)
                .map_err(|error| error.to_string())
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            structure(array.as_struct(), fields).map(|array| Arc::new(array) as ArrayRef)
        }
        (source, DataType::Utf8) => Err(format!(
            "has {source} where a text should be; its definition must CAST it"
        )),
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
    let members = array.columns().iter().zip(fields);
    let (fields, columns): (Vec<_>, Vec<_>) = members
        .map(|(column, field)| member(column, field))
        .collect::<Result<_, _>>()?;
    StructArray::try_new(fields.into(), columns, array.nulls().cloned())
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
