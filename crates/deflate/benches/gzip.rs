//! How fast lines become gzip members on one core, in bytes of text, beside libdeflate's fastest level.

use divan::Bencher;
use divan::counter::BytesCount;
use libdeflater::{CompressionLvl, Compressor};

/// As much text as exports put into a member.
const MEMBER: usize = 1024 * 1024;

fn main() {
    divan::main();
}

/// Makes lines of CSV like those of log records.
fn lines() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::new();
    while text.len() < MEMBER {
        let service = random.choice(["cart", "checkout", "search"]);
        let service = service.expect("one of three");
        let line = [
            format!("2026-01-01T00:00:00.{:09}Z", random.u32(..1_000_000_000)),
            format!("{:032x},{:016x}", random.u128(..), random.u64(..)),
            format!(
                "{service},cache miss for key product:{}",
                random.u16(..5000)
            ),
            format!(
                "\"{{\"\"service.name\"\":\"\"{service}\"\",\"\"cloud.region\"\":\"\"us-east-1\"\",\"\"k8s.pod.name\"\":\"\"{service}-{:x}\"\"}}\"\r\n",
                random.u8(..)
            ),
        ];
        text.push_str(&line.join(","));
    }
    text.into_bytes()
}

#[divan::bench]
fn ours(bencher: Bencher<'_, '_>) {
    let text = lines();
    let mut gzip = deflate::Gzip::new();
    let mut file = Vec::new();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| {
            file.clear();
            gzip.append_member(&text, &mut file);
            file.len()
        });
}

#[divan::bench]
fn libdeflate(bencher: Bencher<'_, '_>) {
    let text = lines();
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut file = vec![0; compressor.gzip_compress_bound(text.len())];
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| compressor.gzip_compress(&text, &mut file));
}
