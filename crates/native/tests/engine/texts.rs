//! What becomes text becomes the engine's own text.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::client::Client;

fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    let array = cast(array, &DataType::Utf8).unwrap();
    array
        .as_string::<i32>()
        .iter()
        .map(|each| each.map(str::to_owned))
        .collect()
}

/// Checks that each value is the text that the engine makes of it.
async fn check(expression: &str, source: &str) {
    let sql = format!("SELECT {expression} AS x, toString(x) FROM {source}");
    let blocks = Client::new().blocks(&sql, 1000, 1000).await;
    let rows: usize = blocks.iter().map(|block| block.batch.num_rows()).sum();
    assert!(rows > 0, "{sql}");
    for block in blocks {
        let columns = block.batch.columns();
        assert_eq!(texts(&columns[0]), texts(&columns[1]), "{sql}");
    }
}

#[tokio::test]
async fn addresses() {
    for zeros in [
        "''",
        "'::'",
        "'::1.2.3.4'",
        "'::ffff:1.2.3.4'",
        "'::1'",
        "'1::'",
        "'1:0:0:2::3'",
        "'::ffff'",
        "'::1:2'",
        "'0:0:0:0:0:0:1:0'",
        "'0:0:0:0:0:1:0:0'",
        "'1:0:2:0:3:0:4:0'",
        "'2001:db8:0:1:1:1:1:1'",
        "'0:1::'",
        "'::ffff:0:0'",
        "'::fffe:1.2.3.4'",
    ] {
        check(&format!("toIPv6OrDefault({zeros})"), "numbers(1)").await;
    }
    // Addresses of which each group is zero half of the time.
    let groups = (0..8).map(|group| {
        format!("if(cityHash64(number, {group}) % 3 > 0, '0', lower(hex(cityHash64(number, 9, {group}) % 65536)))")
    });
    let address = format!(
        "toIPv6(concatWithSeparator(':', {}))",
        groups.collect::<Vec<_>>().join(", ")
    );
    check(&address, "numbers(3000)").await;
    check("toIPv4(toUInt32(cityHash64(number)))", "numbers(500)").await;
    check("generateUUIDv4(number)", "numbers(500)").await;
}

#[tokio::test]
async fn wide_numbers() {
    for wide in ["Int128", "UInt128", "Int256", "UInt256"] {
        let source = format!("generateRandom('x {wide}', 3) LIMIT 1000");
        check("x", &format!("(SELECT x FROM {source})")).await;
        let powers = format!("bitShiftLeft(to{wide}(1), number) - to{wide}(number % 2)");
        check(&powers, "numbers(256)").await;
        check(
            &format!("to{wide}(number) * toInt128('10000000000000000000')"),
            "numbers(20)",
        )
        .await;
    }
}

#[tokio::test]
async fn times_of_day() {
    check(
        "CAST(toInt32(number) * 7199 - 3599999, 'Time')",
        "numbers(1001)",
    )
    .await;
    for precision in 0..=9 {
        let time =
            format!("CAST((toInt64(number) * 7199 - 3599999) / 1000.0, 'Time64({precision})')");
        check(&time, "numbers(1001)").await;
    }
}

#[tokio::test]
async fn names_of_enums() {
    let names = r#"CAST(toInt8(number + 1), 'Enum8(\'it\\\'s\' = 1, \'a, b) = 2\' = 2, \'\\n\\t\\\\ü`\"\' = 3)')"#;
    check(names, "numbers(3)").await;
    check(&format!("toNullable({names})"), "numbers(3)").await;
}

#[tokio::test]
async fn dates_and_decimals() {
    check("toDate(number * 65)", "numbers(1000)").await;
    check("toDate32('1900-01-01') + number * 140", "numbers(1000)").await;
    for (precision, scale) in [(9, 4), (18, 10), (38, 0), (38, 38), (76, 5)] {
        let source = format!(
            "(SELECT x FROM generateRandom('x Decimal({precision}, {scale})', 5) LIMIT 500)"
        );
        let sql = format!("SELECT x, toDecimalString(x, {scale}) FROM {source}");
        for block in Client::new().blocks(&sql, 100, 1000).await {
            let columns = block.batch.columns();
            assert_eq!(texts(&columns[0]), texts(&columns[1]), "{sql}");
        }
    }
}

#[tokio::test]
async fn names_of_members_come_through() {
    let sql = r"SELECT CAST((1, 2, 3), 'Tuple(`a\\`b)` UInt8, `ü\\n` UInt8, String UInt8)') t";
    let blocks = Client::new().blocks(sql, 10, 1).await;
    let names = blocks[0].batch.column(0).as_struct().column_names();
    assert_eq!(names, ["a`b)", "ü\n", "String"]);
}

#[tokio::test]
async fn the_rest_of_the_types() {
    let sql = "SELECT toBFloat16(1.5) a, toIntervalDay(-3) b, [NULL] c, [] d, tuple() e, NULL f, \
               CAST(5, 'SimpleAggregateFunction(sum, UInt64)') g, \
               CAST([(1, 'x')], 'Nested(a UInt8, b String)') h";
    let blocks = Client::new().blocks(sql, 10, 1).await;
    let batch = &blocks[0].batch;
    let options = arrow::util::display::FormatOptions::new().with_null("NULL");
    let shown: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            let formatter =
                arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
            formatter.value(0).to_string()
        })
        .collect();
    assert_eq!(
        shown,
        [
            "1.5",
            "-3",
            "[NULL]",
            "[]",
            "{}",
            "NULL",
            "5",
            "[{a: 1, b: 78}]"
        ]
    );
}

#[tokio::test]
async fn json() {
    let json = r#"('{"a": {"b": [' || number || ', null]}, "c": "ü\\"", "t": "2026-01-01"}')::"#;
    for json_type in [
        "JSON",
        "JSON(a.b Array(Nullable(UInt8)), max_dynamic_paths = 1, SKIP c)",
    ] {
        check(&format!("{json}{json_type}"), "numbers(5)").await;
        let nullable = format!("if(number % 2 = 0, NULL, {json}{json_type})");
        check(&nullable, "numbers(5)").await;
    }
    let nested = format!(
        "SELECT map('k', [{json}JSON]) a, ({json}JSON, toString(number)::LowCardinality(String)) b \
         FROM numbers(5)"
    );
    crate::compared::check(&Client::new(), &nested, 2, 7).await;
}

#[tokio::test]
async fn json_that_comes_as_it_is_stored_is_refused() {
    let settings = [("output_format_native_write_json_as_string", "0")];
    let sql = "SELECT '{}'::JSON x";
    let bytes = Client::new().bytes(sql, "Native", &settings).await;
    let mut decoder = native::Decoder::new(native::Limits::default());
    decoder.push(bytes);
    let error = decoder.next_block().unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    let expected = "is serialized in the unknown version ";
    assert!(reason.starts_with(expected), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    for (expression, type_text) in [
        ("1::Dynamic", "Dynamic"),
        ("1::Variant(UInt8, String)", "Variant"),
        ("sumState(1)", "AggregateFunction"),
    ] {
        let bytes = Client::new()
            .bytes(&format!("SELECT {expression} x"), "Native", &[])
            .await;
        let mut decoder = native::Decoder::new(native::Limits::default());
        decoder.push(bytes);
        let error = decoder.next_block().unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            reason,
            format!(
                "has the type {type_text}, which cannot be read; cast it to String in the query"
            )
        );
    }
}

#[tokio::test]
async fn an_empty_answer_is_no_block() {
    let blocks = Client::new().blocks("SELECT 1 WHERE 0", 10, 1).await;
    assert!(blocks.iter().all(|block| block.batch.num_rows() == 0));
}
