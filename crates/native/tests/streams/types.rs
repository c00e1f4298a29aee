//! Each type from its bytes.

use crate::support::{column, string, words};

#[test]
fn numbers() {
    assert_eq!(column("Int8", 2, &[1, 0xff]), ["1", "-1"]);
    assert_eq!(column("UInt16", 1, &[1, 2]), ["513"]);
    assert_eq!(column("Int32", 1, &[0, 0, 0, 0x80]), ["-2147483648"]);
    assert_eq!(column("UInt64", 1, &[0xff; 8]), ["18446744073709551615"]);
    assert_eq!(column("Float32", 1, &1.5_f32.to_le_bytes()), ["1.5"]);
    assert_eq!(column("Float64", 1, &(-0.1_f64).to_le_bytes()), ["-0.1"]);
    assert_eq!(column("BFloat16", 1, &[0xc0, 0x3f]), ["1.5"]);
    assert_eq!(column("Bool", 3, &[0, 1, 2]), ["false", "true", "true"]);
    assert_eq!(column("IntervalDay", 1, &[3, 0, 0, 0, 0, 0, 0, 0]), ["3"]);
}

#[test]
fn wide_numbers_are_digits() {
    let least = |width: usize| {
        let mut bytes = vec![0; width];
        bytes[width - 1] = 0x80;
        bytes
    };
    assert_eq!(
        column("Int128", 1, &least(16)),
        ["-170141183460469231731687303715884105728"]
    );
    assert_eq!(
        column("UInt128", 1, &[0xff; 16]),
        ["340282366920938463463374607431768211455"]
    );
    assert_eq!(
        column("Int256", 1, &least(32)),
        ["-57896044618658097711785492504343953926634992332820282019728792003956564819968"]
    );
    assert_eq!(column("Int256", 1, &[0xff; 32]), ["-1"]);
    assert_eq!(
        column("UInt256", 1, &[0xff; 32]),
        ["115792089237316195423570985008687907853269984665640564039457584007913129639935"]
    );
    assert_eq!(column("UInt256", 1, &[0; 32]), ["0"]);
    // 10^38: two groups of 19 digits that are all zero.
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&10_u128.pow(38).to_le_bytes());
    let digits = format!("1{}", "0".repeat(38));
    assert_eq!(column("UInt256", 1, &bytes), [digits]);
}

#[test]
fn decimals_of_all_widths() {
    assert_eq!(
        column("Decimal(9, 2)", 1, &(-5_i32).to_le_bytes()),
        ["-0.05"]
    );
    assert_eq!(column("Decimal(18, 0)", 1, &7_i64.to_le_bytes()), ["7"]);
    assert_eq!(
        column("Decimal(38, 38)", 1, &1_i128.to_le_bytes()),
        [format!("0.{}1", "0".repeat(37))]
    );
    let mut bytes = [0xff; 32];
    bytes[0] = 0xfe;
    assert_eq!(column("Decimal(76, 1)", 1, &bytes), ["-0.2"]);
}

#[test]
fn strings_are_bytes() {
    let long = "x".repeat(300);
    let data = [string(""), string(b"\0\xff"), string(&long)].concat();
    let hex = long.bytes().map(|_| "78").collect::<String>();
    assert_eq!(column("String", 3, &data), ["", "00ff", &hex]);
    assert_eq!(column("FixedString(2)", 2, b"ab\0\0"), ["6162", "0000"]);
}

#[test]
fn times() {
    assert_eq!(
        column("Date", 2, &[0, 0, 0xff, 0xff]),
        ["1970-01-01", "2149-06-06"]
    );
    assert_eq!(column("Date32", 1, &[0xff; 4]), ["1969-12-31"]);
    assert_eq!(
        column("DateTime", 1, &[1, 0, 0, 0]),
        ["1970-01-01T00:00:01Z"]
    );
    assert_eq!(
        column("DateTime('Asia/Kolkata')", 1, &[0xff; 4]),
        ["2106-02-07T11:58:15+05:30"]
    );
    for (precision, expected) in [
        (0, "1970-01-15T06:56:07Z"),
        (1, "1970-01-02T10:17:36.700Z"),
        (2, "1970-01-01T03:25:45.670Z"),
        (3, "1970-01-01T00:20:34.567Z"),
        (4, "1970-01-01T00:02:03.456700Z"),
        (5, "1970-01-01T00:00:12.345670Z"),
        (6, "1970-01-01T00:00:01.234567Z"),
        (7, "1970-01-01T00:00:00.123456700Z"),
        (8, "1970-01-01T00:00:00.012345670Z"),
        (9, "1970-01-01T00:00:00.001234567Z"),
    ] {
        let type_text = format!("DateTime64({precision}, 'UTC')");
        let data = 1_234_567_i64.to_le_bytes();
        assert_eq!(column(&type_text, 1, &data), [expected], "{type_text}");
    }
    assert_eq!(
        column("Time", 1, &(-3_599_999_i32).to_le_bytes()),
        ["-999:59:59"]
    );
    assert_eq!(
        column("Time64(3)", 1, &(-1_i64).to_le_bytes()),
        ["-00:00:00.001"]
    );
    assert_eq!(column("Time64(0)", 1, &5_i64.to_le_bytes()), ["00:00:05"]);
}

#[test]
fn what_arrow_has_no_type_for_is_text() {
    let uuid = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
    let (mut high, mut low) = (uuid[..8].to_vec(), uuid[8..].to_vec());
    high.reverse();
    low.reverse();
    assert_eq!(
        column("UUID", 1, &[high, low].concat()),
        ["00112233-4455-6677-8899-aabbccddeeff"]
    );
    assert_eq!(column("IPv4", 1, &[4, 3, 2, 1]), ["1.2.3.4"]);
    let mut address = [0; 16];
    address[15] = 1;
    assert_eq!(column("IPv6", 1, &address), ["::1"]);
    address[12] = 1;
    assert_eq!(column("IPv6", 1, &address), ["::1.0.0.1"]);
    address[10..12].fill(0xff);
    assert_eq!(column("IPv6", 1, &address), ["::ffff:1.0.0.1"]);
}

#[test]
fn enums_are_names() {
    assert_eq!(
        column("Enum8('a' = -1, 'b' = 5)", 2, &[5, 0xff]),
        ["b", "a"]
    );
    assert_eq!(
        column(
            "Enum16('a' = -32768, 'b' = 32767)",
            2,
            &[0xff, 0x7f, 0, 0x80]
        ),
        ["b", "a"]
    );
    // Zero is the value in place of NULL, even if it is none of the enum.
    assert_eq!(
        column("Nullable(Enum8('b' = 5))", 2, &[1, 0, 0, 5]),
        ["NULL", "b"]
    );
}

#[test]
fn nothing_is_null() {
    assert_eq!(
        column("Nullable(Nothing)", 2, b"\x01\x0100"),
        ["NULL", "NULL"]
    );
    assert_eq!(column("Tuple()", 1, b"0"), ["{}"]);
    assert_eq!(column("Array(Nothing)", 1, &words(&[0])), ["[]"]);
}

#[test]
fn nulls_are_ahead_of_the_values() {
    let data = [&[0, 1, 0][..], &string("61"), &string(""), &string("b")].concat();
    assert_eq!(column("Nullable(String)", 3, &data), ["3631", "NULL", "62"]);
    let data = [1, 0, 7, 8, 1, 2];
    assert_eq!(
        column("Nullable(Tuple(UInt8, x UInt8))", 2, &data),
        ["NULL", "{1: 8, x: 2}"]
    );
}

#[test]
fn a_time_that_is_null_may_be_too_great() {
    let data = [&[1, 0][..], &words(&[u64::MAX >> 1, 1])].concat();
    assert_eq!(
        column("Nullable(DateTime64(8))", 2, &data),
        ["NULL", "1970-01-01T00:00:00.000000010Z"]
    );
}

#[test]
fn low_cardinality_has_indexes_of_four_widths() {
    for (width, indexes) in [
        (0, vec![2, 1]),
        (1, vec![2, 0, 1, 0]),
        (2, vec![2, 0, 0, 0, 1, 0, 0, 0]),
        (3, words(&[2, 1])),
    ] {
        let keys = [string(""), string("x"), string("y")].concat();
        let data = [words(&[1, 0x600 | width, 3]), keys, words(&[2]), indexes].concat();
        assert_eq!(column("LowCardinality(String)", 2, &data), ["79", "78"]);
    }
}

#[test]
fn the_first_of_a_dictionary_may_be_null() {
    let data = [
        words(&[1, 0x600, 3]),
        vec![0, 0, 9],
        words(&[3]),
        vec![2, 0, 1],
    ]
    .concat();
    assert_eq!(
        column("LowCardinality(Nullable(UInt8))", 3, &data),
        ["9", "NULL", "0"]
    );
    assert_eq!(column("LowCardinality(UInt8)", 3, &data), ["9", "0", "0"]);
}

#[test]
fn lists_are_ends_and_elements() {
    let data = [words(&[2, 2, 3]), vec![7, 8, 9]].concat();
    assert_eq!(column("Array(UInt8)", 3, &data), ["[7, 8]", "[]", "[9]"]);
    let data = [words(&[2, 3]), words(&[1, 1, 2]), vec![5, 6]].concat();
    assert_eq!(
        column("Array(Array(UInt8))", 2, &data),
        ["[[5], []]", "[[6]]"]
    );
    let data = [words(&[1]), vec![5, 6]].concat();
    assert_eq!(
        column("Nested(a UInt8, b UInt8)", 1, &data),
        ["[{a: 5, b: 6}]"]
    );
    let point = [
        words(&[1]),
        0.5_f64.to_le_bytes().to_vec(),
        1.0_f64.to_le_bytes().to_vec(),
    ];
    assert_eq!(column("Ring", 1, &point.concat()), ["[{1: 0.5, 2: 1.0}]"]);
}

#[test]
fn versions_of_dictionaries_are_ahead_of_all() {
    let dictionary = [words(&[0x600, 1]), string("k"), words(&[2]), vec![0, 0]].concat();
    let data = [words(&[1]), words(&[1, 2]), dictionary, vec![5, 6]].concat();
    assert_eq!(
        column("Map(LowCardinality(String), UInt8)", 2, &data),
        ["{6b: 5}", "{6b: 6}"]
    );
    // Without elements there is no dictionary.
    let data = [words(&[1]), words(&[0])].concat();
    assert_eq!(column("Array(LowCardinality(String))", 1, &data), ["[]"]);
}
