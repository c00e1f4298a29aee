//! `cargo xtask fuzz`: whatever the bytes are, they are unpacked as they were, and hardly grow.

#![no_main]

use std::io::Read as _;

use deflate::Gzip;
use flate2::read::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((times, piece)) = data.split_first() else {
        return;
    };
    // What repeats from far is rare in what a fuzzer makes.
    let text = [piece, &[*times; 300], piece].concat().repeat(usize::from(*times));
    let mut file = Vec::new();
    Gzip::new().append_member(&text, &mut file);
    assert!(file.len() <= text.len() + text.len() / 1000 + 24);
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(&file[..]);
    decoder.read_to_end(&mut unpacked).expect("a gzip file");
    assert!(unpacked == text);
});
