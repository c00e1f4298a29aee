//! What is malformed is refused, and costs no memory.

use crate::support::{chain, decode, refused, string, words};

const PREFIX: &str = "column \"c\" of type ";

#[test]
fn columns_say_what_is_wrong() {
    for (type_text, rows, data, message) in [
        ("String", 1, vec![0xff; 11], "has a length that is too long"),
        (
            "String",
            1,
            vec![0x80, 0x80, 0x80, 0x80, 0x08],
            "has more than 2^31 - 1 bytes in one block, which Arrow cannot count",
        ),
        (
            "FixedString(16777215)",
            129,
            vec![],
            "has more than 2^31 - 1 bytes in one block, which Arrow cannot count",
        ),
        (
            "Array(UInt8)",
            2,
            words(&[2, 1]),
            "has lists that end before they start",
        ),
        (
            "Array(UInt8)",
            1,
            words(&[u64::MAX]),
            "has lists that end before they start",
        ),
        (
            "Array(UInt8)",
            1,
            words(&[1 << 31]),
            "has more than 2^31 - 1 elements of lists in one block, which Arrow cannot count",
        ),
        (
            "Enum8('a' = 1)",
            2,
            vec![1, 2],
            "has the number 2, which is none of the enum",
        ),
        (
            "DateTime64(8)",
            1,
            words(&[u64::MAX >> 1]),
            "has a time that does not fit into 64 bits of the unit nanosecond",
        ),
        (
            "Dynamic",
            1,
            vec![],
            "has the type Dynamic, which cannot be read; cast it to String in the query",
        ),
        (
            "Array(UInt8",
            1,
            vec![],
            "has a type that lacks a ) at \"\"",
        ),
    ] {
        let message = format!("{PREFIX}{type_text}: {message}");
        assert_eq!(refused(type_text, rows, &data), message);
    }
}

#[test]
fn dictionaries_say_what_is_wrong() {
    for (type_text, rows, data, message) in [
        (
            "LowCardinality(String)",
            1,
            words(&[2]),
            "is serialized in the unknown version 2",
        ),
        (
            "LowCardinality(String)",
            1,
            words(&[1, 0x700]),
            "has a dictionary with the unknown flags 0x700",
        ),
        (
            "LowCardinality(String)",
            1,
            words(&[1, 0x604]),
            "has a dictionary with the unknown flags 0x604",
        ),
        (
            "LowCardinality(String)",
            1,
            words(&[1, 0x600, 1 << 40]),
            "has more than 2^31 - 1 values of a dictionary in one block, which Arrow cannot count",
        ),
        (
            "LowCardinality(UInt8)",
            1,
            [words(&[1, 0x600, 1]), vec![0], words(&[2])].concat(),
            "has 2 indexes into a dictionary instead of 1",
        ),
        (
            "LowCardinality(UInt8)",
            1,
            [words(&[1, 0x600, 1]), vec![0], words(&[1]), vec![1]].concat(),
            "has the index 1 into a dictionary of 1",
        ),
        (
            "LowCardinality(UInt8)",
            1,
            [words(&[1, 0x603, 1]), vec![0], words(&[1, 1 << 32])].concat(),
            "has the index 4294967296 into a dictionary of 1",
        ),
    ] {
        let message = format!("{PREFIX}{type_text}: {message}");
        assert_eq!(refused(type_text, rows, &data), message);
    }
}

#[test]
fn headers_say_what_is_wrong() {
    for (bytes, message) in [
        (
            vec![0xff; 11],
            "the header of a block has a number that is too long",
        ),
        (vec![0, 1], "a block has rows but no columns"),
        (vec![0xff, 0xff, 1], "a block has more columns than 10000"),
        (
            [vec![1, 1], vec![0xff; 9], vec![1]].concat(),
            "a block has more bytes of a name than 65536",
        ),
    ] {
        let error = decode(&bytes, &[1]).unwrap_err();
        assert_eq!(chain(&error), message);
    }
}

/// Were anything allocated for the counts here, the test would end for lack of memory.
#[test]
fn counts_alone_cost_nothing() {
    let rows = [0xff, 0xff, 0xff, 0xff, 0x03];
    for type_text in [
        "UInt64",
        "Decimal(76, 0)",
        "String",
        "Nullable(UUID)",
        "LowCardinality(String)",
        "Array(Array(String))",
        "Map(String, Tuple(Int256, Int256, Int256, Int256))",
        "FixedString(1)",
    ] {
        let header = [&[1][..], &rows, &string("c"), &string(type_text)].concat();
        let streams = (0..2000).map(|_| {
            let mut decoder = native::Decoder::new(native::Limits::default());
            decoder.push(header.clone().into());
            decoder.push(vec![1, 0, 0, 0, 0, 0, 0, 0, 0].into());
            assert!(matches!(decoder.next_block(), Ok(None)));
            decoder
        });
        let streams: Vec<_> = streams.collect();
        assert_eq!(streams.len(), 2000);
    }
    let wide = format!("Tuple({}UInt8)", "Ring, ".repeat(170_000));
    let type_text = format!("{}{wide}{}", "Array(".repeat(62), ")".repeat(62));
    let error = refused(&type_text, 0, &[]);
    let message = "has a type that is made of more than 10000";
    assert!(error.ends_with(message), "{error}");
    let endless = [words(&[(1 << 31) - 1]), vec![0; 100]].concat();
    assert_eq!(
        refused("Array(Int256)", 1, &endless),
        "the stream ends inside of a block"
    );
}
