//! Members, as other programs unpack them.

use std::io::Read as _;

use deflate::Gzip;
use flate2::read::MultiGzDecoder;
use libdeflater::Decompressor;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Compresses a text, and checks that two other implementations unpack it.
fn packed(text: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    Gzip::new().append_member(text, &mut file);
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(&file[..])
        .read_to_end(&mut unpacked)
        .expect("a gzip file");
    assert!(unpacked == text);
    let mut unpacked = vec![0; text.len()];
    let length = Decompressor::new().gzip_decompress(&file, &mut unpacked);
    assert_eq!(length, Ok(text.len()));
    assert!(unpacked == text);
    file
}

/// Returns lines as telemetry has them.
fn lines(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = Vec::new();
    for second in 0..count {
        let service = random
            .choice(["cart", "checkout", "search"])
            .expect("one of three");
        let pod = random.u8(..);
        text.extend_from_slice(
            format!(
                "2026-01-01T00:00:{second:02}.{:09}Z,{:032x},{service},\"{{\"\"service.name\"\":\"\"{service}\"\",\"\"k8s.pod.name\"\":\"\"{service}-{pod:02x}\"\"}}\",cache miss for key product:{}\r\n",
                random.u32(..1_000_000_000),
                random.u128(..),
                random.u16(..5000),
            )
            .as_bytes(),
        );
    }
    text
}

#[test]
fn nothing_is_a_member_too() {
    assert_eq!(packed(b"").len(), 20);
}

#[test]
fn short_texts_get_no_description_of_codes() {
    assert!(packed(b"a short line\r\n").len() <= 18 + 16);
}

#[test]
fn lines_are_smaller_than_by_libdeflate() {
    let text = lines(10_000);
    let level = libdeflater::CompressionLvl::new(1).unwrap();
    let mut other = libdeflater::Compressor::new(level);
    let mut file = vec![0; other.gzip_compress_bound(text.len())];
    let length = other.gzip_compress(&text, &mut file).unwrap();
    assert!(packed(&text).len() < length);
}

#[test]
fn what_cannot_be_smaller_hardly_grows() {
    for length in [1, 100, 65_535, 65_536, 65_537, 1_000_000] {
        let mut random = vec![0; length];
        fastrand::Rng::with_seed(1).fill(&mut random);
        assert!(packed(&random).len() <= length + length / 1000 + 24);
    }
}

#[test]
fn repetitions_of_every_length() {
    let text = lines(1000);
    for length in (1..600).chain([32_768, 100_000]) {
        packed(&text[..length].repeat(3));
        packed(&[b"a".repeat(length), b"-".to_vec()].concat().repeat(2));
    }
}

#[test]
fn repetitions_of_every_distance() {
    let mut random = fastrand::Rng::with_seed(1);
    for distance in [32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 98_304] {
        let between: Vec<u8> = (0..distance - 14)
            .map(|_| random.alphanumeric() as u8)
            .collect();
        let word = b" some words at";
        packed(&[&word[..], &between, word, &between, word].concat());
    }
}

#[test]
fn the_bytes_do_not_depend_on_what_came_before() {
    let text = lines(3000);
    let mut gzip = Gzip::new();
    let mut file = Vec::new();
    gzip.append_member(&text[1000..], &mut file);
    let second = file.len();
    gzip.append_member(&text, &mut file);
    assert!(file[second..] == packed(&text));
}

proptest! {
    #[test]
    fn any_bytes(text: Vec<u8>) {
        packed(&text);
    }

    /// Words of bytes like few others, at random.
    #[test]
    fn any_words(words in vec(vec(prop_oneof![Just(b'a'), Just(b' '), any::<u8>()], 1..40), 1..20), order in vec(any::<Index>(), 1..3000)) {
        let text: Vec<&[u8]> = order.iter().map(|index| &index.get(&words)[..]).collect();
        packed(&text.concat());
    }
}
