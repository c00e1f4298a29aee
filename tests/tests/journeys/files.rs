//! Files read back with libraries of others, as JSON values.

use std::io::Read;

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt8Type,
    UInt32Type, UInt64Type,
};
use chrono::{DateTime, SecondsFormat};
use flate2::read::MultiGzDecoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

/// Unpacks a gzip file, of any number of members.
pub(crate) fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut text)?;
    Ok(text)
}

/// Reads an object a line.
pub(crate) fn json_lines(text: &[u8]) -> Result<Vec<Value>> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}

/// How NULL stands in the CSV files of the tests.
pub(crate) const NULL: &str = "\\N";

/// Reads CSV. A cell is what the same column is in `like`: a text, or the JSON that it holds.
pub(crate) fn csv(text: &[u8], like: &[Value]) -> Result<Vec<Value>> {
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers()?.clone();
    let is_text = |name: &str| like.iter().any(|row| row[name].is_string());
    let texts: Vec<_> = header.iter().map(is_text).collect();
    reader
        .records()
        .map(|record| {
            let record = record?;
            let cells = header.iter().zip(&texts).zip(&record);
            let members = cells.map(|((name, is_text), cell)| {
                let value = match cell {
                    NULL => Value::Null,
                    text if *is_text => Value::from(text),
                    json => serde_json::from_str(json).with_context(|| json.to_owned())?,
                };
                Ok((name.to_owned(), value))
            });
            members.collect::<Result<Map<_, _>>>().map(Value::Object)
        })
        .collect()
}

/// Reads Parquet.
pub(crate) fn parquet(bytes: Vec<u8>) -> Result<Vec<Value>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))?.build()?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch?;
        rows.extend((0..batch.num_rows()).map(|row| object(&batch, row)));
    }
    Ok(rows)
}

fn object(batch: &RecordBatch, row: usize) -> Value {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    let members = fields.map(|(field, column)| (field.name().clone(), value(column, row)));
    Value::Object(members.collect())
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            DateTime::from_timestamp_nanos(nanos)
                .to_rfc3339_opts(SecondsFormat::Nanos, true)
                .into()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| value(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let members = columns.map(|(field, column)| (field.name().clone(), value(column, row)));
            Value::Object(members.collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let members = (0..entries.len())
                .map(|entry| (keys.value(entry).to_owned(), value(values, entry)));
            Value::Object(members.collect())
        }
        other => unreachable!("no dataset has a column of {other}"),
    }
}
