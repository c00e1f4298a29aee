//! `cargo xtask fuzz`: whatever the bytes are, decoding ends, without a panic, the
//! same in one chunk as in many.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use native::{Block, Decoder, Limits, NativeError};

fuzz_target!(|data: &[u8]| {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let stream = Bytes::copy_from_slice(stream);
    let whole = decode(&stream, stream.len().max(1));
    let parts = decode(&stream, usize::from(*size).max(1));
    match (whole, parts) {
        // As text, since bytes can be a NaN.
        (Ok(whole), Ok(parts)) => assert_eq!(format!("{whole:?}"), format!("{parts:?}")),
        (whole, parts) => assert_eq!(whole.is_ok(), parts.is_ok()),
    }
});

fn decode(stream: &Bytes, size: usize) -> Result<Vec<Block>, NativeError> {
    let mut decoder = Decoder::new(Limits::default());
    let mut blocks = Vec::new();
    for start in (0..stream.len()).step_by(size) {
        decoder.push(stream.slice(start..stream.len().min(start + size)));
        while let Some(block) = decoder.next_block()? {
            blocks.push(block);
        }
    }
    decoder.finish()?;
    Ok(blocks)
}
