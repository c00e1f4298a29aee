//! JSON.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use domain::JsonLayout;
use proptest::prelude::*;
use serde_json::{Value, json as value};

use crate::fixtures::{batch, every_type, file, json, map, split, text_file, texts};

#[test]
fn every_type_has_its_form() {
    let lines = text_file(&json(JsonLayout::Lines), &every_type());
    insta::assert_snapshot!(lines, @r#"
    {"text":"plain","large_text":"=1+1","dictionary":"ERROR","boolean":true,"int8":1,"int16":1,"int32":1,"int64":1,"uint8":1,"uint16":1,"uint32":1,"uint64":1,"float32":0.1,"float64":1e+300,"decimal":1.2345,"second":"1970-01-01T00:00:01.000000000Z","milli":"1970-01-01T00:00:00.001000000Z","micro":"1970-01-01T00:00:00.000001000Z","nano":"2026-01-01T00:00:00.123456789Z","date":"2026-01-01","binary":"00ff","fixed":"cafe","map":{"http.route":"/a?b=\"c\"","empty":null},"list":[1,null,18446744073709551615],"events":[{"timestamp":"1970-01-01T00:00:01.000000007Z","name":"exception","attributes":{"stack":"a\n\tb"}},{"timestamp":"1969-12-31T23:59:59.999999999Z","name":null,"attributes":null}]}
    {"text":"a \"b\",\r\n\u0001é\\","large_text":"","dictionary":"","boolean":false,"int8":-128,"int16":-32768,"int32":-2147483648,"int64":-9223372036854775808,"uint8":255,"uint16":65535,"uint32":4294967295,"uint64":18446744073709551615,"float32":null,"float64":null,"decimal":-0.0001,"second":"1969-12-31T23:59:59.000000000Z","milli":"1969-12-31T23:59:59.999000000Z","micro":"1969-12-31T23:59:59.999999000Z","nano":"1969-12-31T23:59:59.999999999Z","date":"1969-12-31","binary":"","fixed":"00ff","map":{},"list":[],"events":[]}
    {"text":null,"large_text":null,"dictionary":null,"boolean":null,"int8":null,"int16":null,"int32":null,"int64":null,"uint8":null,"uint16":null,"uint32":null,"uint64":null,"float32":null,"float64":null,"decimal":null,"second":null,"milli":null,"micro":null,"nano":null,"date":null,"binary":null,"fixed":null,"map":null,"list":null,"events":null}
    "#);
}

#[test]
fn an_array_has_an_object_a_line() {
    let rows = texts(&[Some("a"), None, Some("=1")]);
    insta::assert_snapshot!(text_file(&json(JsonLayout::Array), &rows), @r#"
    [{"text":"a"},
    {"text":null},
    {"text":"=1"}]
    "#);
}

#[test]
fn a_file_without_rows_is_valid() {
    let schema = every_type().schema();
    let empty = RecordBatch::new_empty(schema.clone());
    for blocks in [vec![], vec![empty.clone()], vec![empty.clone(), empty]] {
        assert_eq!(file(&json(JsonLayout::Lines), &schema, &blocks), b"");
        assert_eq!(file(&json(JsonLayout::Array), &schema, &blocks), b"[]\n");
    }
}

#[test]
fn names_are_escaped() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let rows = batch(vec![("a\"b", column.clone()), ("\n", column)]);
    assert_eq!(
        text_file(&json(JsonLayout::Lines), &rows),
        "{\"a\\\"b\":1,\"\\n\":1}\n"
    );
}

/// Floats that `serde_json` reads without rounding, and those that are no numbers.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<i32>().prop_map(|eighths| f64::from(eighths) / 8.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ]
}

prop_compose! {
    fn row()(
        text in prop::option::of(any::<String>()),
        signed in prop::option::of(any::<i64>()),
        unsigned: u64,
        float in float(),
        pairs in prop::option::of(prop::collection::btree_map(any::<String>(), prop::option::of(any::<String>()), 0..4)),
    ) -> (Value, Value, Value, f64, Option<Vec<(String, Option<String>)>>) {
        (value!(text), value!(signed), value!(unsigned), float, pairs.map(|pairs| pairs.into_iter().collect()))
    }
}

proptest! {
    #[test]
    fn any_row_reads_back(
        rows in prop::collection::vec(row(), 0..12),
        lengths in prop::collection::vec(0_usize..5, 0..4),
    ) {
        let maps: Vec<Option<Vec<_>>> = rows.iter().map(|row| row.4.as_ref().map(|pairs| {
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect()
        })).collect();
        let maps: Vec<_> = maps.iter().map(Option::as_deref).collect();
        let batch = batch(vec![
            ("text", Arc::new(rows.iter().map(|row| row.0.as_str()).collect::<StringArray>())),
            ("signed", Arc::new(rows.iter().map(|row| row.1.as_i64()).collect::<Int64Array>())),
            ("unsigned", Arc::new(rows.iter().map(|row| row.2.as_u64()).collect::<UInt64Array>())),
            ("float", Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Float64Array>())),
            ("map", Arc::new(map(&maps))),
        ]);
        let expected: Vec<Value> = rows.into_iter().map(|(text, signed, unsigned, float, pairs)| {
            // A float that is no number is null for serde_json too.
            let map = pairs.map(|pairs| pairs.into_iter().map(|(key, text)| (key, value!(text))).collect());
            value!({
                "text": text, "signed": signed, "unsigned": unsigned, "float": float,
                "map": map.map_or(Value::Null, Value::Object),
            })
        }).collect();

        let lines = text_file(&json(JsonLayout::Lines), &batch);
        let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&read, &expected);
        let array = text_file(&json(JsonLayout::Array), &batch);
        prop_assert_eq!(serde_json::from_str::<Vec<Value>>(&array).unwrap(), expected);

        for (layout, whole) in [(JsonLayout::Lines, lines), (JsonLayout::Array, array)] {
            let blocks = file(&json(layout), batch.schema_ref(), &split(&batch, &lengths));
            prop_assert_eq!(String::from_utf8(blocks).unwrap(), whole);
        }
    }
}
