//! Log rows like those of the OpenTelemetry Collector, as the source hands them over.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, MapArray, RecordBatch, StringArray,
    StructArray, TimestampNanosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use fastrand::Rng;

/// Makes a batch of rows.
pub(crate) fn logs(rows: usize) -> RecordBatch {
    let mut rng = Rng::with_seed(1);
    let mut time = 1_767_225_600_000_000_000;
    let times = (0..rows).map(|_| {
        time += rng.i64(0..2_000_000);
        time
    });
    let times: TimestampNanosecondArray = times.collect::<Vec<_>>().into();
    let columns: [(&str, ArrayRef); 8] = [
        ("timestamp", Arc::new(times.with_timezone("UTC"))),
        ("trace_id", texts(rows, || hex(&mut rng, 32))),
        ("span_id", texts(rows, || hex(&mut rng, 16))),
        ("severity_text", chosen(&mut rng, rows, "LEVEL", 4)),
        ("service_name", chosen(&mut rng, rows, "service", 40)),
        ("body", texts(rows, || body(&mut rng))),
        ("resource_attributes", attributes(&mut rng, rows, 6)),
        ("log_attributes", attributes(&mut rng, rows, 4)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Leaves maps out.
pub(crate) fn without_maps(batch: &RecordBatch) -> RecordBatch {
    let fields = batch.schema();
    let flat = fields.fields().iter().enumerate();
    let flat = flat.filter(|(_, field)| !matches!(field.data_type(), DataType::Map(..)));
    let flat: Vec<usize> = flat.map(|(index, _)| index).collect();
    batch.project(&flat).expect("columns of the batch")
}

/// Takes texts out of their dictionaries.
pub(crate) fn without_dictionaries(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let fields: Vec<_> = schema.fields().iter().map(|field| plain(field)).collect();
    let columns = batch.columns().iter().zip(&fields);
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).expect("texts"));
    let columns = columns.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the same columns")
}

fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(plain(entries)), *sorted),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain(field)).collect())
        }
        other => other.clone(),
    };
    field.clone().with_data_type(data_type)
}

fn texts(rows: usize, mut text: impl FnMut() -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..rows).map(|_| text())))
}

/// Makes a column of texts of which there are only a few.
fn chosen(rng: &mut Rng, rows: usize, name: &str, values: i32) -> ArrayRef {
    let keys = Int32Array::from_iter_values((0..rows).map(|_| rng.i32(0..values)));
    dictionary(keys, name, values)
}

fn dictionary(keys: Int32Array, name: &str, values: i32) -> ArrayRef {
    let values = StringArray::from_iter_values((0..values).map(|value| format!("{name}-{value}")));
    let array = DictionaryArray::<Int32Type>::new(keys, Arc::new(values));
    Arc::new(array)
}

/// Makes maps of so many entries in each row, with keys out of a dictionary.
fn attributes(rng: &mut Rng, rows: usize, entries: i32) -> ArrayRef {
    let length = usize::try_from(entries).expect("a few");
    let keys = (0..rows).flat_map(|_| 0..entries);
    let keys = dictionary(keys.collect::<Vec<_>>().into(), "attribute.key", entries);
    let values = texts(rows * length, || format!("value-{}", rng.u16(..5_000)));
    let fields = vec![
        Field::new("keys", keys.data_type().clone(), false),
        Field::new("values", DataType::Utf8, false),
    ];
    let entries = StructArray::new(fields.into(), vec![keys, values], None);
    let field = Field::new("entries", entries.data_type().clone(), false);
    let offsets = OffsetBuffer::from_lengths((0..rows).map(|_| length));
    Arc::new(MapArray::new(
        Arc::new(field),
        offsets,
        entries,
        None,
        false,
    ))
}

fn hex(rng: &mut Rng, length: usize) -> String {
    (0..length)
        .map(|_| char::from(b"0123456789abcdef"[rng.usize(..16)]))
        .collect()
}

fn body(rng: &mut Rng) -> String {
    format!(
        "request {} to /api/v1/carts/{} took {} ms, \"cached\": {}",
        rng.u32(..),
        rng.u16(..),
        rng.u16(..2_000),
        rng.bool()
    )
}
