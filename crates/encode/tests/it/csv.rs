//! CSV.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use csv::ReaderBuilder;
use domain::CsvOptions;
use proptest::prelude::*;

use crate::fixtures::{csv, every_type, file, split, text_file, texts};

fn read(file: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(file)
        .into_records()
        .map(|record| record.expect("each line has as many cells"))
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect()
}

fn options(delimiter: u8, null: &str, escape_formulas: bool) -> CsvOptions {
    CsvOptions {
        delimiter,
        null: null.to_owned(),
        escape_formulas,
    }
}

#[test]
fn every_type_has_its_text() {
    let batch = every_type();
    let file = text_file(&csv(CsvOptions::default()), &batch);
    let records = read(file.as_bytes(), b',');
    let listing: Vec<String> = (0..batch.num_columns())
        .map(|column| {
            let cells: Vec<_> = records
                .iter()
                .map(|record| record[column].as_str())
                .collect();
            format!("{}: {:?} {:?} {:?}", cells[0], cells[1], cells[2], cells[3])
        })
        .collect();
    insta::assert_snapshot!(listing.join("\n"), @r#"
    text: "plain" "a \"b\",\r\n\u{1}é\\" ""
    large_text: "'=1+1" "" ""
    dictionary: "ERROR" "" ""
    boolean: "true" "false" ""
    int8: "1" "-128" ""
    int16: "1" "-32768" ""
    int32: "1" "-2147483648" ""
    int64: "1" "-9223372036854775808" ""
    uint8: "1" "255" ""
    uint16: "1" "65535" ""
    uint32: "1" "4294967295" ""
    uint64: "1" "18446744073709551615" ""
    float32: "0.1" "-Infinity" ""
    float64: "1e+300" "NaN" ""
    decimal: "1.2345" "-0.0001" ""
    second: "1970-01-01T00:00:01.000000000Z" "1969-12-31T23:59:59.000000000Z" ""
    milli: "1970-01-01T00:00:00.001000000Z" "1969-12-31T23:59:59.999000000Z" ""
    micro: "1970-01-01T00:00:00.000001000Z" "1969-12-31T23:59:59.999999000Z" ""
    nano: "2026-01-01T00:00:00.123456789Z" "1969-12-31T23:59:59.999999999Z" ""
    date: "2026-01-01" "1969-12-31" ""
    binary: "00ff" "" ""
    fixed: "cafe" "00ff" ""
    map: "{\"http.route\":\"/a?b=\\\"c\\\"\",\"empty\":null}" "{}" ""
    list: "[1,null,18446744073709551615]" "[]" ""
    events: "[{\"timestamp\":\"1970-01-01T00:00:01.000000007Z\",\"name\":\"exception\",\"attributes\":{\"stack\":\"a\\n\\tb\"}},{\"timestamp\":\"1969-12-31T23:59:59.999999999Z\",\"name\":null,\"attributes\":null}]" "[]" ""
    "#);
}

#[test]
fn lines_end_with_crlf_and_only_what_must_be_is_quoted() {
    let batch = every_type().project(&[0, 1, 2, 7, 18]).unwrap();
    assert_eq!(
        text_file(&csv(options(b';', "\\N", true)), &batch),
        concat!(
            "text;large_text;dictionary;int64;nano\r\n",
            "plain;\"'=1+1\";ERROR;1;2026-01-01T00:00:00.123456789Z\r\n",
            "\"a \"\"b\"\",\r\n\u{1}é\\\";;;-9223372036854775808;1969-12-31T23:59:59.999999999Z\r\n",
            "\\N;\\N;\\N;\\N;\\N\r\n",
        )
    );
}

#[test]
fn an_empty_text_is_quoted_and_null_is_not() {
    let rows = texts(&[Some(""), Some("NULL"), None, Some("x")]);
    let of = |null| text_file(&csv(options(b',', null, true)), &rows);
    assert_eq!(of("NULL"), "text\r\n\"\"\r\n\"NULL\"\r\nNULL\r\nx\r\n");
    // A line of nothing would be skipped, so a NULL that is alone and empty is quoted too.
    assert_eq!(of(""), "text\r\n\"\"\r\nNULL\r\n\"\"\r\nx\r\n");
    // Quotes are all that can keep such a NULL together.
    assert_eq!(of("a,b"), "text\r\n\"\"\r\nNULL\r\n\"a,b\"\r\nx\r\n");
}

#[test]
fn formulas_are_escaped_in_text_only() {
    let rows = texts(&[
        Some("=1"),
        Some("+1"),
        Some("-1"),
        Some("@a"),
        Some("\ta"),
        Some("\ra"),
        Some("a=1"),
    ]);
    let escaped = text_file(&csv(CsvOptions::default()), &rows);
    let cells: Vec<_> = read(escaped.as_bytes(), b',')
        .into_iter()
        .flatten()
        .skip(1)
        .collect();
    assert_eq!(cells, ["'=1", "'+1", "'-1", "'@a", "'\ta", "'\ra", "a=1"]);

    let as_it_is = text_file(&csv(options(b',', "", false)), &rows);
    let cells: Vec<_> = read(as_it_is.as_bytes(), b',')
        .into_iter()
        .flatten()
        .skip(1)
        .collect();
    assert_eq!(cells, ["=1", "+1", "-1", "@a", "\ta", "\ra", "a=1"]);

    let numbers = every_type().project(&[7, 14]).unwrap();
    let file = text_file(&csv(CsvOptions::default()), &numbers);
    assert!(file.contains("-9223372036854775808,-0.0001\r\n"), "{file}");
}

#[test]
fn a_file_without_rows_has_a_header() {
    let schema = every_type().project(&[0, 3]).unwrap().schema();
    let output = csv(CsvOptions::default());
    assert_eq!(file(&output, &schema, &[]), b"text,boolean\r\n");
    let empty = RecordBatch::new_empty(schema.clone());
    assert_eq!(
        file(&output, &schema, &[empty.clone(), empty]),
        b"text,boolean\r\n"
    );
}

#[test]
fn any_delimiter_leaves_the_cells_as_they_are() {
    let batch = every_type();
    let expected = read(
        text_file(&csv(options(b',', "", true)), &batch).as_bytes(),
        b',',
    );
    for delimiter in (1..=127).filter(|byte| !b"\"\r\n".contains(byte)) {
        let file = text_file(&csv(options(delimiter, "", true)), &batch);
        assert_eq!(
            read(file.as_bytes(), delimiter),
            expected,
            "delimiter {delimiter}"
        );
    }
}

prop_compose! {
    fn delimiter()(byte in 1_u8..=127) -> u8 {
        if b"\"\r\n".contains(&byte) { b',' } else { byte }
    }
}

fn awkward_text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(String::new())),
        1 => Just(Some("NULL".to_owned())),
        4 => r#"[-=+@'",;|\t\r\n a-cé😀]{0,12}"#.prop_map(Some),
        2 => any::<String>().prop_map(Some),
    ]
}

prop_compose! {
    fn awkward_rows()(columns in 1_usize..4, rows in 0_usize..12)
        (cells in prop::collection::vec(prop::collection::vec(awkward_text(), rows), columns))
        -> Vec<Vec<Option<String>>> { cells }
}

/// Makes a batch, `times` as long as the cells of the columns.
fn batch_of(columns: &[Vec<Option<String>>], times: usize, in_dictionaries: bool) -> RecordBatch {
    let columns = columns.iter().enumerate().map(|(index, cells)| {
        let cells = vec![&cells[..]; times].concat();
        let array: ArrayRef = if in_dictionaries {
            let cells = cells.iter().map(Option::as_deref);
            Arc::new(cells.collect::<DictionaryArray<Int32Type>>())
        } else {
            Arc::new(StringArray::from(cells))
        };
        (format!("c{index}"), array, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns are equally long")
}

proptest! {
    #[test]
    fn any_text_reads_back(
        columns in awkward_rows(),
        delimiter in delimiter(),
        null in prop_oneof![Just(""), Just("NULL"), Just("\\N"), Just("a,b"), Just("\"")],
        escape_formulas: bool,
        times in prop_oneof![Just(1_usize), Just(10)],
        in_dictionaries: bool,
    ) {
        let batch = batch_of(&columns, times, in_dictionaries);
        let file = text_file(&csv(options(delimiter, null, escape_formulas)), &batch);
        let records = read(file.as_bytes(), delimiter);
        prop_assert_eq!(records.len(), batch.num_rows() + 1);
        for (row, record) in records[1..].iter().enumerate() {
            let expected: Vec<String> = columns.iter().map(|cells| match &cells[row % cells.len()] {
                None => null.to_owned(),
                Some(text) if escape_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']) =>
                    format!("'{text}"),
                Some(text) => text.clone(),
            }).collect();
            prop_assert_eq!(record, &expected);
        }
    }

    #[test]
    fn blocks_do_not_show(columns in awkward_rows(), lengths in prop::collection::vec(0_usize..5, 0..4)) {
        let batch = batch_of(&columns, 1, false);
        let output = csv(CsvOptions::default());
        let whole = text_file(&output, &batch);
        let blocks = file(&output, batch.schema_ref(), &split(&batch, &lengths));
        prop_assert_eq!(String::from_utf8(blocks).unwrap(), whole);
    }
}
