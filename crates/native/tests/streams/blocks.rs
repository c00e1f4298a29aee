//! What a stream is made of.

use arrow::datatypes::{DataType, Field, TimeUnit};
use native::{Decoder, Limits};

use crate::support::{block, chain, decode, shown, string, words};

fn numbers(rows: u8) -> Vec<u8> {
    let data: Vec<_> = (0..rows).collect();
    block(rows, &[("n", "UInt8", &data)])
}

#[test]
fn an_answer_may_be_empty() {
    assert_eq!(decode(&[], &[1]).unwrap(), []);
    assert_eq!(decode(&[0, 0], &[1]).unwrap(), []);
}

#[test]
fn a_block_without_rows_tells_the_columns() {
    let types = [
        "Map(LowCardinality(String), String)",
        "FixedString(3)",
        "Nullable(Tuple())",
        "Array(Enum8('a' = 1))",
        "Tuple(a LowCardinality(Nullable(UInt8)), Nothing)",
    ];
    let columns: Vec<_> = types.iter().map(|each| ("c", *each, &[][..])).collect();
    let bytes = block(0, &columns);
    let blocks = decode(&bytes, &[7]).unwrap();
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].batch.num_rows(), 0);
    assert_eq!(blocks[0].batch.num_columns(), types.len());
    assert_eq!(blocks[0].columns[1].type_text, "FixedString(3)");
}

#[test]
fn blocks_follow_each_other() {
    let bytes = [numbers(0), numbers(3), vec![0, 0], numbers(2)].concat();
    let blocks = decode(&bytes, &[bytes.len()]).unwrap();
    let rows: Vec<_> = blocks
        .iter()
        .map(|each| shown(each.batch.column(0)))
        .collect();
    assert_eq!(rows, [vec![], vec!["0", "1", "2"], vec!["0", "1"]]);
}

#[test]
fn types_become_fields() {
    let bytes = block(
        0,
        &[
            ("t", "DateTime64(4, 'Europe/Berlin')", &[]),
            ("n", "Array(Nullable(Decimal(40, 2)))", &[]),
            (
                "m",
                "Map(LowCardinality(String), LowCardinality(Nullable(String)))",
                &[],
            ),
        ],
    );
    let blocks = decode(&bytes, &[bytes.len()]).unwrap();
    let zone = Some("Europe/Berlin".into());
    let item = Field::new("item", DataType::Decimal256(40, 2), true);
    let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Binary.into());
    let entry = vec![
        Field::new("key", dictionary.clone(), false),
        Field::new("value", dictionary, true),
    ];
    let entries = Field::new("entries", DataType::Struct(entry.into()), false);
    let expected = [
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, zone), false),
        Field::new("n", DataType::List(item.into()), false),
        Field::new("m", DataType::Map(entries.into(), false), false),
    ];
    let schema = blocks[0].batch.schema();
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|each| (**each).clone())
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn names_need_not_be_utf8() {
    let bytes = [vec![1, 1], string(b"a\xff"), string("UInt8"), vec![7]].concat();
    let blocks = decode(&bytes, &[1]).unwrap();
    assert_eq!(blocks[0].columns[0].name, "a\u{fffd}");
}

#[test]
fn nothing_but_nulls_has_null_buffers() {
    let bytes = block(2, &[("n", "Nullable(UInt8)", &[0, 0, 1, 2])]);
    let blocks = decode(&bytes, &[bytes.len()]).unwrap();
    assert!(blocks[0].batch.column(0).nulls().is_none());
}

#[test]
fn blocks_share_the_names_of_an_enum() {
    let one = block(1, &[("e", "Enum8('a' = 1)", &[1])]);
    let blocks = decode(&one.repeat(2), &[3]).unwrap();
    let names: Vec<_> = blocks
        .iter()
        .map(|each| each.batch.column(0).to_data().child_data()[0].buffers()[1].as_ptr())
        .collect();
    assert_eq!(names[0], names[1]);
}

#[test]
fn all_blocks_have_the_same_columns() {
    let other = |name, type_text| block(1, &[(name, type_text, &[1])]);
    for (second, message) in [
        (
            other("m", "UInt8"),
            "a block has the column \"m\" of type UInt8 where those before it have the column \"n\" of type UInt8",
        ),
        (
            other("n", "Int8"),
            "a block has the column \"n\" of type Int8 where those before it have the column \"n\" of type UInt8",
        ),
        (
            vec![2, 1],
            "a block has 2 columns where those before it have 1 columns",
        ),
    ] {
        let bytes = [numbers(1), second].concat();
        assert_eq!(chain(&decode(&bytes, &[1]).unwrap_err()), message);
    }
}

#[test]
fn a_cut_is_an_error_unless_it_is_between_blocks() {
    let data = [words(&[1, 0x600, 1]), string("k"), words(&[2]), vec![0, 0]].concat();
    let block = block(
        2,
        &[
            ("a", "UInt8", &[1, 2]),
            ("l", "LowCardinality(String)", &data),
        ],
    );
    let bytes = block.repeat(2);
    for cut in 0..=bytes.len() {
        let result = decode(&bytes[..cut], &[cut.max(1)]);
        if cut % block.len() == 0 {
            assert_eq!(result.unwrap().len(), cut / block.len());
        } else {
            assert_eq!(
                chain(&result.unwrap_err()),
                "the stream ends inside of a block"
            );
        }
    }
}

#[test]
fn bytes_that_nobody_asked_for_are_no_end() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(numbers(1).into());
    assert!(decoder.finish().is_err());
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        columns: 2,
        rows: 3,
        block_bytes: 40,
        name_bytes: 4,
        type_bytes: 13,
        type_depth: 2,
        type_parts: 10,
    };
    let column = |name, type_text| block(3, &[(name, type_text, &[])]);
    for (bytes, message) in [
        (vec![3], "a block has more columns than 2"),
        (vec![1, 4], "a block has more rows than 3"),
        (
            column("abcde", "UInt8"),
            "a block has more bytes of a name than 4",
        ),
        (
            column("a", "FixedString(10)"),
            "a block has more bytes of a type than 13",
        ),
        (column("a", "String"), "a block has more bytes than 40"),
        (
            column("a", "Tuple(Tuple(x"),
            "column \"a\" of type Tuple(Tuple(x: has a type that is nested deeper than 2 levels",
        ),
    ] {
        let mut decoder = Decoder::new(limits);
        decoder.push([bytes, vec![9; 100]].concat().into());
        let error = decoder.next_block().expect_err(message);
        assert_eq!(chain(&error), message);
        assert_eq!(
            decoder.next_block().unwrap_err().to_string(),
            "the stream was found to be malformed before"
        );
        assert!(decoder.finish().is_err());
    }
}
