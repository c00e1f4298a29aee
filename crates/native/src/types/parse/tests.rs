use super::{Type, TypeError, parse};
use crate::limits::Limits;

fn parsed(text: &str) -> Type {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    parse(text, &Limits::default()).expect_err(text).to_string()
}

fn tuple(members: &[(&str, Type)]) -> Type {
    let members = members.iter();
    Type::Tuple(
        members
            .map(|(name, each)| ((*name).to_owned(), each.clone()))
            .collect(),
    )
}

#[test]
fn simple_types_are_their_names() {
    assert_eq!(parsed("UInt64"), Type::UInt64);
    assert_eq!(parsed("UUID"), Type::Uuid);
    assert_eq!(parsed("IntervalDay"), Type::Int64);
    assert_eq!(parsed("FixedString(16)"), Type::FixedString(16));
    assert_eq!(
        parsed("Decimal(38, 3)"),
        Type::Decimal {
            precision: 38,
            scale: 3
        }
    );
}

#[test]
fn a_time_without_a_zone_is_an_instant() {
    let zone = "UTC".into();
    assert_eq!(parsed("DateTime"), Type::DateTime { zone });
    let zone = "Europe/Berlin".into();
    assert_eq!(parsed("DateTime('Europe/Berlin')"), Type::DateTime { zone });
    let (precision, zone) = (9, "UTC".into());
    assert_eq!(
        parsed("DateTime64(9)"),
        Type::DateTime64 { precision, zone }
    );
    let (precision, zone) = (0, "Etc/GMT+1".into());
    assert_eq!(
        parsed("DateTime64(0, 'Etc/GMT+1')"),
        Type::DateTime64 { precision, zone }
    );
}

#[test]
fn names_of_enums_have_escapes() {
    let names = vec![
        (-128, "b\\".to_owned()),
        (1, "it's, (a) = 1\n".to_owned()),
        (2, "ü`".to_owned()),
    ];
    assert_eq!(
        parsed(r"Enum8('it\'s, (a) = 1\n' = 1, 'b\\' = -128, 'ü`' = 2)"),
        Type::Enum8(names)
    );
    let names = vec![(-32_768, String::new()), (32_767, "x".to_owned())];
    assert_eq!(
        parsed("Enum16('' = -32768, 'x' = 32767)"),
        Type::Enum16(names)
    );
}

#[test]
fn tuples_have_names_or_numbers() {
    assert_eq!(parsed("Tuple()"), tuple(&[]));
    assert_eq!(
        parsed("Tuple(UInt8, String)"),
        tuple(&[("1", Type::UInt8), ("2", Type::String)])
    );
    assert_eq!(
        parsed("Tuple(String String, `a \\`b)` Nullable(UInt8), c_1 Tuple(x Date))"),
        tuple(&[
            ("String", Type::String),
            ("a `b)", Type::Nullable(Box::new(Type::UInt8))),
            ("c_1", tuple(&[("x", Type::Date)])),
        ])
    );
    let nested = tuple(&[("a", Type::Int8), ("b", Type::Ipv4)]);
    assert_eq!(
        parsed("Nested(a Int8, b IPv4)"),
        Type::Array(Box::new(nested))
    );
}

#[test]
fn custom_names_are_what_they_stand_for() {
    let point = tuple(&[("1", Type::Float64), ("2", Type::Float64)]);
    assert_eq!(parsed("Point"), point);
    let ring = Type::Array(Box::new(point));
    assert_eq!(parsed("Ring"), ring);
    assert_eq!(parsed("Polygon"), Type::Array(Box::new(ring)));
    assert_eq!(parsed("SimpleAggregateFunction(sum, UInt64)"), Type::UInt64);
}

#[test]
fn versions_are_counted() {
    let nested = parsed(
        "Array(Tuple(a Map(LowCardinality(String), LowCardinality(Nullable(String))), \
         b Nullable(Tuple(LowCardinality(UInt8))), c Array(JSON)))",
    );
    assert_eq!(nested.versions(), 4);
}

#[test]
fn what_is_not_known_is_named() {
    for name in ["Dynamic", "Variant(UInt8, String)", "QBit(Float32, 8)"] {
        let text = format!("Array({name})");
        let bare = name.split('(').next().unwrap();
        assert_eq!(
            refused(&text),
            format!("has the type {bare}, which cannot be read; cast it to String in the query")
        );
    }
}

#[test]
fn what_is_no_type_is_refused() {
    for (text, problem) in [
        ("", r#"has no name at """#),
        ("UInt8)", r#"goes on at ")""#),
        ("Array(UInt8", r#"lacks a ) at """#),
        ("Array", r#"lacks a ( at """#),
        ("Map(UInt8)", r#"lacks a comma at ")""#),
        ("FixedString(0)", r#"has no number or a wrong one at "0)""#),
        (
            "FixedString(99999999999999999999)",
            r#"has no number or a wrong one at "99999999999999999999)""#,
        ),
        (
            "Decimal(77, 1)",
            r#"has no number or a wrong one at "77, 1)""#,
        ),
        ("Decimal(5, 6)", r#"has no number or a wrong one at "6)""#),
        ("DateTime64(10)", r#"has no number or a wrong one at "10)""#),
        (
            "DateTime('UTC",
            r#"has a quote that does not end at "'UTC""#,
        ),
        ("Enum8()", r#"has no quote at ")""#),
        (
            "Enum8('a' = 128)",
            r#"has no number or a wrong one at "128)""#,
        ),
        ("Enum8('a' = 1, 'b' = 1)", r#"has a number twice at """#),
        ("Enum8('a\\", r#"has a quote that does not end at "'a\\""#),
        ("Tuple(`a`UInt8)", r#"lacks a space at "UInt8)""#),
        (
            "Nullable(Nullable(UInt8))",
            r#"is a Nullable of what can be NULL itself at """#,
        ),
        (
            "LowCardinality(Array(UInt8))",
            r#"is a LowCardinality of what is no single value at """#,
        ),
    ] {
        assert_eq!(
            refused(text),
            format!("has a type that {problem}"),
            "{text}"
        );
    }
}

#[test]
fn depth_is_limited() {
    let text = format!("{}UInt8{}", "Array(".repeat(3), ")".repeat(3));
    let parse = |text: &str, type_depth| {
        let limits = Limits {
            type_depth,
            ..Limits::default()
        };
        parse(text, &limits)
    };
    assert!(parse(&text, 4).is_ok());
    assert_eq!(parse(&text, 3), Err(TypeError::TooDeep(3)));
    let endless = "Tuple(".repeat(1_000_000);
    assert_eq!(parse(&endless, 64), Err(TypeError::TooDeep(64)));
}

#[test]
fn parts_are_limited() {
    let parse = |type_parts| {
        let limits = Limits {
            type_parts,
            ..Limits::default()
        };
        parse("Map(String, Array(UInt8))", &limits)
    };
    assert!(parse(4).is_ok());
    assert_eq!(parse(3), Err(TypeError::TooMany(3)));
}

#[test]
fn what_json_is_stored_by_is_skipped() {
    for text in [
        "JSON",
        "JSON(max_dynamic_paths=3)",
        "JSON(a.b Array(Tuple(UInt8)), `c)` Enum8('(' = 1), SKIP d)",
        r"JSON(SKIP REGEXP '\)\'')",
    ] {
        assert_eq!(parsed(text), Type::Json, "{text}");
        let map = format!("Map(String, {text})");
        let json = Box::new(Type::Json);
        assert_eq!(parsed(&map), Type::Map(Box::new(Type::String), json));
    }
    for text in ["JSON(", "JSON(a Array(UInt8)", "JSON(`a)"] {
        refused(text);
    }
}
