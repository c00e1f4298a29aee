//! How fast log rows are decoded, beside the same rows as an Arrow IPC stream.
//!
//! The rows are made here, or are those of a file that `NATIVE_FILE` names. A second argument of
//! each benchmark is the size of the chunks that the bytes come in.

#[path = "decode/rows.rs"]
mod rows;

use std::hint::black_box;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use native::{Decoder, Limits};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const CHUNKS: &[usize] = &[64 << 10, 1 << 20];

static NATIVE: LazyLock<Bytes> = LazyLock::new(|| match std::env::var_os("NATIVE_FILE") {
    Some(path) => std::fs::read(path).expect("NATIVE_FILE can be read").into(),
    None => rows::blocks(8, 65_409).into(),
});

static BATCHES: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| decoded(&NATIVE, 1 << 20));

/// The same rows, without dictionaries as without compression.
static IPC: LazyLock<Bytes> = LazyLock::new(|| {
    let schema = BATCHES[0].schema();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).expect("a schema");
    for batch in BATCHES.iter() {
        writer.write(batch).expect("a batch");
    }
    writer.into_inner().expect("the end").into()
});

fn main() {
    divan::main();
}

fn decoded(bytes: &Bytes, chunk: usize) -> Vec<RecordBatch> {
    let mut decoder = Decoder::new(Limits::default());
    let mut batches = Vec::new();
    for start in (0..bytes.len()).step_by(chunk) {
        decoder.push(bytes.slice(start..bytes.len().min(start + chunk)));
        while let Some(block) = decoder.next_block().expect("well-formed bytes") {
            batches.push(block.batch);
        }
    }
    decoder.finish().expect("whole blocks");
    batches
}

#[divan::bench(args = CHUNKS)]
fn native(bencher: Bencher<'_, '_>, chunk: usize) {
    bencher
        .counter(BytesCount::new(NATIVE.len()))
        .bench_local(|| {
            let mut decoder = Decoder::new(Limits::default());
            for start in (0..NATIVE.len()).step_by(chunk) {
                decoder.push(NATIVE.slice(start..NATIVE.len().min(start + chunk)));
                while let Some(block) = decoder.next_block().expect("well-formed bytes") {
                    black_box(block);
                }
            }
        });
}

#[divan::bench(args = CHUNKS)]
fn arrow_ipc(bencher: Bencher<'_, '_>, chunk: usize) {
    bencher.counter(BytesCount::new(IPC.len())).bench_local(|| {
        let mut decoder = StreamDecoder::new();
        for start in (0..IPC.len()).step_by(chunk) {
            let mut buffer = Buffer::from(IPC.slice(start..IPC.len().min(start + chunk)));
            while let Some(batch) = decoder.decode(&mut buffer).expect("well-formed bytes") {
                black_box(batch);
            }
        }
    });
}

/// What no decoder can beat: the bytes, copied once.
#[divan::bench]
fn memcpy(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(NATIVE.len()))
        .bench_local(|| {
            for chunk in NATIVE.chunks(1 << 20) {
                black_box(chunk.to_vec());
            }
        });
}

/// One column of each kind alone.
#[divan::bench(args = rows::KINDS)]
fn column(bencher: Bencher<'_, '_>, kind: &str) {
    let bytes = Bytes::from(rows::column(kind, 65_409));
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| decoded(black_box(&bytes), 1 << 20));
}
