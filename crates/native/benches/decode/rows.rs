//! Log rows like those of the OpenTelemetry Collector, written as Native.

use fastrand::Rng;

/// The columns that are measured alone.
pub(crate) const KINDS: &[&str] = &[
    "times",
    "ids",
    "bodies",
    "low cardinality",
    "attributes",
    "nullable numbers",
];

/// Makes blocks of log rows.
pub(crate) fn blocks(blocks: usize, rows: usize) -> Vec<u8> {
    let mut rng = Rng::with_seed(1);
    let mut bytes = Vec::new();
    for _ in 0..blocks {
        header(&mut bytes, 10, rows);
        times(&mut bytes, &mut rng, rows);
        texts(&mut bytes, "TraceId", rows, || hex(&mut rng, 32));
        texts(&mut bytes, "SpanId", rows, || hex(&mut rng, 16));
        low_cardinality(&mut bytes, &mut rng, "SeverityText", rows);
        low_cardinality(&mut bytes, &mut rng, "ServiceName", rows);
        bodies(&mut bytes, &mut rng, rows);
        attributes(&mut bytes, &mut rng, "ResourceAttributes", rows, 6);
        texts(&mut bytes, "ScopeName", rows, || {
            "io.example.http".to_owned()
        });
        attributes(&mut bytes, &mut rng, "ScopeAttributes", rows, 0);
        attributes(&mut bytes, &mut rng, "LogAttributes", rows, 4);
    }
    bytes
}

/// Makes a block of one column.
pub(crate) fn column(kind: &str, rows: usize) -> Vec<u8> {
    let mut rng = Rng::with_seed(1);
    let mut bytes = Vec::new();
    header(&mut bytes, 1, rows);
    match kind {
        "times" => times(&mut bytes, &mut rng, rows),
        "ids" => texts(&mut bytes, "TraceId", rows, || hex(&mut rng, 32)),
        "bodies" => bodies(&mut bytes, &mut rng, rows),
        "low cardinality" => low_cardinality(&mut bytes, &mut rng, "ServiceName", rows),
        "attributes" => attributes(&mut bytes, &mut rng, "LogAttributes", rows, 4),
        _ => {
            begin(&mut bytes, "Value", "Nullable(Float64)");
            bytes.extend((0..rows).map(|_| u8::from(rng.u8(..) < 20)));
            bytes.extend((0..rows).flat_map(|_| rng.f64().to_le_bytes()));
        }
    }
    bytes
}

fn header(bytes: &mut Vec<u8>, columns: usize, rows: usize) {
    var_uint(bytes, columns);
    var_uint(bytes, rows);
}

fn begin(bytes: &mut Vec<u8>, name: &str, type_text: &str) {
    text(bytes, name);
    text(bytes, type_text);
}

fn times(bytes: &mut Vec<u8>, rng: &mut Rng, rows: usize) {
    begin(bytes, "Timestamp", "DateTime64(9)");
    for _ in 0..rows {
        bytes.extend_from_slice(&rng.u64(..1 << 60).to_le_bytes());
    }
}

fn texts(bytes: &mut Vec<u8>, name: &str, rows: usize, mut each: impl FnMut() -> String) {
    begin(bytes, name, "String");
    for _ in 0..rows {
        text(bytes, &each());
    }
}

fn bodies(bytes: &mut Vec<u8>, rng: &mut Rng, rows: usize) {
    const WORDS: &[&str] = &[
        "request",
        "to",
        "/api/cart",
        "failed",
        "after",
        "ms",
        "user",
        "retry",
    ];
    begin(bytes, "Body", "String");
    for _ in 0..rows {
        let words = (0..rng.usize(3..20)).map(|_| WORDS[rng.usize(..WORDS.len())]);
        text(bytes, &words.collect::<Vec<_>>().join(" "));
    }
}

fn low_cardinality(bytes: &mut Vec<u8>, rng: &mut Rng, name: &str, rows: usize) {
    begin(bytes, name, "LowCardinality(String)");
    words(bytes, &[1]);
    dictionary(bytes, 8, rows, || rng.u8(1..8));
}

fn attributes(bytes: &mut Vec<u8>, rng: &mut Rng, name: &str, rows: usize, each: usize) {
    begin(bytes, name, "Map(LowCardinality(String), String)");
    words(bytes, &[1]);
    for row in 1..=rows {
        words(bytes, &[(row * each) as u64]);
    }
    if each == 0 {
        return;
    }
    dictionary(bytes, 12, rows * each, || rng.u8(1..12));
    for _ in 0..rows * each {
        match rng.u8(..4) {
            0 => text(bytes, "200"),
            1 => text(bytes, "/api/cart/{id}"),
            2 => text(bytes, "checkout-7f8b9c-x2x"),
            _ => text(bytes, &hex(rng, 12)),
        }
    }
}

fn dictionary(bytes: &mut Vec<u8>, keys: u64, rows: usize, mut index: impl FnMut() -> u8) {
    words(bytes, &[0x600, keys]);
    text(bytes, "");
    for key in 1..keys {
        text(bytes, &format!("http.attribute.{key}"));
    }
    words(bytes, &[rows as u64]);
    bytes.extend((0..rows).map(|_| index()));
}

fn hex(rng: &mut Rng, digits: usize) -> String {
    let digits = (0..digits).map(|_| char::from_digit(rng.u32(..16), 16));
    digits.map(|digit| digit.unwrap_or('0')).collect()
}

fn words(bytes: &mut Vec<u8>, words: &[u64]) {
    bytes.extend(words.iter().flat_map(|each| each.to_le_bytes()));
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    var_uint(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn var_uint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}
