//! Where the chunks end makes no difference, and no bytes make a panic.

use native::Block;
use proptest::prelude::*;

use crate::support::{block, decode, string, words};

/// A block of every kind of column, two rows each.
fn all() -> Vec<u8> {
    let long = "long ".repeat(60);
    let dictionary = [
        words(&[1, 0x601, 3]),
        string(""),
        string("ä"),
        string(&long),
    ]
    .concat();
    let low_cardinality = [dictionary, words(&[2]), vec![2, 0, 1, 0]].concat();
    let map = [
        words(&[1, 2, 3]),
        [
            words(&[0x600, 2]),
            string(""),
            string("key"),
            words(&[3]),
            vec![1, 1, 0],
        ]
        .concat(),
        [string("v"), string(&long), string("")].concat(),
    ];
    let strings = [string(&long), string("x")].concat();
    block(
        2,
        &[
            ("a", "UInt8", &[1, 2]),
            ("b", "Int256", &[7; 64]),
            ("c", "String", &strings),
            ("d", "Nullable(UInt16)", &[0, 1, 1, 2, 0, 0]),
            ("e", "LowCardinality(Nullable(String))", &low_cardinality),
            ("f", "Map(LowCardinality(String), String)", &map.concat()),
            ("g", "Tuple(x FixedString(3), y Bool)", b"abcdef\x00\x01"),
            (
                "h",
                "Array(Array(UInt8))",
                &[words(&[2, 3]), words(&[1, 1, 2]), vec![5, 6]].concat(),
            ),
            ("i", "Enum16('a' = 1, 'b' = 300)", &[1, 0, 44, 1]),
            ("j", "DateTime64(7, 'Asia/Tokyo')", &words(&[1, 2])),
            ("k", "UUID", &[9; 32]),
            ("l", "Tuple()", b"00"),
            ("m", "Nullable(Nothing)", b"\x01\x0100"),
        ],
    )
}

fn two() -> Vec<u8> {
    all().repeat(2)
}

fn whole() -> Vec<Block> {
    decode(&two(), &[usize::MAX]).unwrap()
}

#[test]
fn chunks_of_every_size_give_the_same_blocks() {
    let (bytes, whole) = (two(), whole());
    assert_eq!(whole.len(), 2);
    for size in 1..bytes.len() {
        assert_eq!(decode(&bytes, &[size]).unwrap(), whole, "{size}");
    }
}

#[test]
fn chunks_may_be_empty() {
    assert_eq!(decode(&two(), &[0, 1, 0, 0, 50]).unwrap(), whole());
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn random_chunks_give_the_same_blocks(sizes in prop::collection::vec(1_usize..200, 1..20)) {
        prop_assert_eq!(decode(&two(), &sizes).unwrap(), whole());
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        size in 1_usize..100,
    ) {
        decode(&bytes, &[size]).ok();
    }

    #[test]
    fn changed_streams_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        removed in any::<prop::sample::Index>(),
        length in 0_usize..10,
        size in 1_usize..2000,
    ) {
        let mut bytes = two();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let start = removed.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.drain(start..end);
        // The same either way, were it an error or not.
        let (one, other) = (decode(&bytes, &[size]), decode(&bytes, &[usize::MAX]));
        prop_assert_eq!(one.is_ok(), other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            // Not compared with `==`: bytes can become a NaN.
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }

    #[test]
    fn random_data_of_any_type_never_panics(
        type_text in prop::sample::select(TYPES),
        rows in 0_u8..5,
        data in prop::collection::vec(prop_oneof![Just(0), Just(1), 0_u8..8, any::<u8>()], 0..120),
        size in 1_usize..100,
    ) {
        let bytes = block(rows, &[("c", type_text, &data)]);
        decode(&bytes, &[size]).ok();
    }
}

const TYPES: &[&str] = &[
    "String",
    "FixedString(3)",
    "Array(String)",
    "Array(Nullable(Array(UInt8)))",
    "Map(String, UInt8)",
    "LowCardinality(String)",
    "LowCardinality(Nullable(UInt16))",
    "Array(LowCardinality(String))",
    "Map(String, JSON)",
    "Nullable(Tuple(LowCardinality(String), UInt8))",
    "Enum8('a' = 1, 'b' = 2)",
    "Enum16('a' = -300, 'b' = 2)",
    "Nullable(Enum8('a' = 1))",
    "DateTime64(1)",
    "Time64(9)",
    "IPv6",
    "UInt256",
    "Tuple(Bool, Nothing)",
];
