//! How fast log rows are encoded, on one thread and on two, beside what the Arrow crates write.
//!
//! Every speed is in bytes of the same rows as CSV, so that the formats can be compared.

#[path = "encode/rows.rs"]
mod rows;

use std::hint::black_box;
use std::slice::from_ref;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow_csv::WriterBuilder;
use arrow_json::LineDelimitedWriter;
use divan::Bencher;
use divan::counter::BytesCount;
use domain::{Compression, CsvOptions, JsonLayout, JsonOptions, Output, ParquetOptions};
use encode::{BlockPosition, Encoder, Levels};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as PageCompression, ZstdLevel};
use parquet::file::properties::WriterProperties;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const THREADS: &[usize] = &[1, 2];

/// Rows of a block, about as many as `pipeline.block_bytes` allows.
const ROWS: usize = 16_384;

/// Rows with maps in them, and columns that hold texts as ClickHouse stores them: often in a dictionary.
static LOGS: LazyLock<RecordBatch> = LazyLock::new(|| rows::logs(ROWS));

/// The same rows without what arrow-csv cannot write.
static FLAT: LazyLock<RecordBatch> = LazyLock::new(|| rows::without_maps(&LOGS));

/// The same rows without what arrow-json cannot write.
static PLAIN: LazyLock<RecordBatch> = LazyLock::new(|| rows::without_dictionaries(&LOGS));

fn main() {
    divan::main();
}

fn csv(compression: Compression) -> Output {
    Output::Csv {
        options: CsvOptions::default(),
        compression,
    }
}

fn json(compression: Compression) -> Output {
    let layout = JsonLayout::Lines;
    Output::Json {
        options: JsonOptions { layout },
        compression,
    }
}

fn encoder(output: &Output, batch: &RecordBatch) -> Encoder {
    Encoder::new(output, batch.schema(), Vec::new(), Levels::default()).expect("known types")
}

fn encode(encoder: &Encoder, batch: &RecordBatch) -> Vec<u8> {
    let mut file = encoder.assembler();
    let block = encoder
        .encode(from_ref(batch), BlockPosition::First)
        .expect("a block");
    let bytes = file.push(block).expect("the first block");
    bytes.into()
}

fn size_as_csv(batch: &RecordBatch) -> BytesCount {
    BytesCount::new(encode(&encoder(&csv(Compression::None), batch), batch).len())
}

fn ours(bencher: Bencher<'_, '_>, output: &Output, batch: &RecordBatch) {
    let encoder = encoder(output, batch);
    let position = BlockPosition::First;
    bencher
        .counter(size_as_csv(batch))
        .bench(|| black_box(encoder.encode(from_ref(batch), position)).is_ok());
}

#[divan::bench(threads = THREADS)]
fn csv_none(bencher: Bencher<'_, '_>) {
    ours(bencher, &csv(Compression::None), &LOGS);
}

#[divan::bench(threads = THREADS)]
fn csv_gzip(bencher: Bencher<'_, '_>) {
    ours(bencher, &csv(Compression::Gzip), &LOGS);
}

#[divan::bench(threads = THREADS)]
fn csv_zstd(bencher: Bencher<'_, '_>) {
    ours(bencher, &csv(Compression::Zstd), &LOGS);
}

#[divan::bench]
fn csv_flat(bencher: Bencher<'_, '_>) {
    ours(bencher, &csv(Compression::None), &FLAT);
}

#[divan::bench]
fn csv_flat_by_arrow(bencher: Bencher<'_, '_>) {
    bencher.counter(size_as_csv(&FLAT)).bench(|| {
        let mut writer = WriterBuilder::new().build(Vec::new());
        writer.write(&FLAT).expect("flat columns");
        black_box(writer.into_inner())
    });
}

#[divan::bench(threads = THREADS)]
fn json_none(bencher: Bencher<'_, '_>) {
    ours(bencher, &json(Compression::None), &LOGS);
}

#[divan::bench]
fn json_none_by_arrow(bencher: Bencher<'_, '_>) {
    bencher.counter(size_as_csv(&LOGS)).bench(|| {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&PLAIN).expect("known types");
        black_box(writer.into_inner())
    });
}

#[divan::bench(threads = THREADS)]
fn json_gzip(bencher: Bencher<'_, '_>) {
    ours(bencher, &json(Compression::Gzip), &LOGS);
}

#[divan::bench(threads = THREADS)]
fn parquet_zstd(bencher: Bencher<'_, '_>) {
    let options = ParquetOptions::default();
    ours(bencher, &Output::Parquet { options }, &LOGS);
}

#[divan::bench(threads = THREADS)]
fn parquet_zstd_by_arrow(bencher: Bencher<'_, '_>) {
    let zstd = PageCompression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
    let properties = WriterProperties::builder().set_compression(zstd).build();
    bencher.counter(size_as_csv(&LOGS)).bench(|| {
        let mut writer = ArrowWriter::try_new(Vec::new(), LOGS.schema(), Some(properties.clone()))
            .expect("known types");
        writer.write(&LOGS).expect("a batch");
        black_box(writer.into_inner().expect("a file"))
    });
}
