//! gzip and zstd around CSV and JSON, and blocks in the wrong place.

use std::io::Read;
use std::slice::from_ref;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use domain::{
    Classify, Compression, CsvOptions, ErrorClass, ErrorCode, JsonLayout, JsonOptions, Output,
    ParquetCompression,
};
use encode::{BlockPosition, EncodeError, Encoder, GzipLevel, LevelError, Levels, ZstdLevel};
use flate2::read::{GzDecoder, MultiGzDecoder};

use crate::fixtures::{csv, every_type, file, file_at, json, parquet, split, text_file, texts};
use crate::parquet::read;

fn json_lines(compression: Compression) -> Output {
    Output::Json {
        options: JsonOptions {
            layout: JsonLayout::Lines,
        },
        compression,
    }
}

fn all(mut reader: impl Read) -> String {
    let mut text = String::new();
    reader
        .read_to_string(&mut text)
        .expect("every member is whole");
    text
}

#[test]
fn blocks_are_members_of_one_gzip_file() {
    let batch = every_type();
    let plain = text_file(&json(JsonLayout::Lines), &batch);
    let gzip = file(
        &json_lines(Compression::Gzip),
        batch.schema_ref(),
        &split(&batch, &[1, 1]),
    );
    assert_eq!(all(MultiGzDecoder::new(&gzip[..])), plain);
    // A member a block, so that blocks can be compressed apart.
    let first_line = plain.split_inclusive('\n').next().unwrap();
    assert_eq!(all(GzDecoder::new(&gzip[..])), first_line);
    // No time in it: the same rows are the same bytes.
    assert_eq!(gzip[4..8], [0; 4]);
}

#[test]
fn levels_change_the_size_only() {
    let lines = (0..4_000).map(|row| format!("{row} of {} by {}", row * 7 % 1_000, row % 13));
    let lines: Vec<_> = lines.collect();
    let lines: Vec<_> = lines.iter().map(|line| Some(line.as_str())).collect();
    let batch = texts(&lines);
    let made = |output: &Output, gzip: u8, zstd: u8| {
        let levels = Levels {
            gzip: gzip.try_into().unwrap(),
            zstd: zstd.try_into().unwrap(),
        };
        file_at(levels, output, batch.schema_ref(), &split(&batch, &[1_000]))
    };
    let plain = text_file(&json(JsonLayout::Lines), &batch);

    let gzip = [0, 6, 12].map(|level| made(&json_lines(Compression::Gzip), level, 1));
    for file in &gzip {
        assert_eq!(all(MultiGzDecoder::new(&file[..])), plain);
    }
    assert!(gzip[1].len() < gzip[0].len() && gzip[2].len() < gzip[1].len());

    let zstd = [1, 9].map(|level| made(&json_lines(Compression::Zstd), 0, level));
    for file in &zstd {
        assert_eq!(zstd::decode_all(&file[..]).unwrap(), plain.as_bytes());
    }
    assert!(zstd[1].len() < zstd[0].len());

    let parquet = [1, 9].map(|level| made(&parquet(ParquetCompression::Zstd), 0, level));
    assert!(parquet[1].len() < parquet[0].len());
    assert_eq!(parquet.map(read), [batch.clone(), batch.clone()]);
}

#[test]
fn a_file_can_have_blocks_of_several_levels() {
    let batch = every_type();
    let levels = |zstd: u8| Levels {
        zstd: zstd.try_into().unwrap(),
        ..Levels::default()
    };
    let output = json_lines(Compression::Zstd);
    let encoder = |zstd| Encoder::new(&output, batch.schema(), Vec::new(), levels(zstd)).unwrap();
    let (one, other) = (encoder(1), encoder(9));
    let mut begun = one.assembler();
    let first = one.encode(from_ref(&batch), BlockPosition::First).unwrap();
    let mut file = begun.push(first).unwrap().to_vec();
    let mut resumed = other.resume([begun.checkpoint().unwrap()]).unwrap();
    let later = other
        .encode(from_ref(&batch), BlockPosition::Later)
        .unwrap();
    file.extend_from_slice(&resumed.push(later).unwrap());
    file.extend_from_slice(&resumed.finish().unwrap());
    let plain = text_file(&json(JsonLayout::Lines), &batch);
    assert_eq!(
        zstd::decode_all(&file[..]).unwrap(),
        plain.repeat(2).as_bytes()
    );
}

#[test]
fn levels_that_there_are_not_are_refused() {
    for level in [1, 3, 13] {
        assert_eq!(GzipLevel::try_from(level), Err(LevelError::Gzip));
    }
    for level in [0, 10] {
        assert_eq!(ZstdLevel::try_from(level), Err(LevelError::Zstd));
    }
}

#[test]
fn a_small_file_is_one_member() {
    let batch = texts(&[Some("a"), Some("b")]);
    let output = Output::Csv {
        options: CsvOptions::default(),
        compression: Compression::Gzip,
    };
    let gzip = file(&output, batch.schema_ref(), from_ref(&batch));
    assert_eq!(all(GzDecoder::new(&gzip[..])), "text\r\na\r\nb\r\n");
}

#[test]
fn blocks_are_frames_of_one_zstd_file() {
    let batch = every_type();
    let zstd = file(
        &json_lines(Compression::Zstd),
        batch.schema_ref(),
        &split(&batch, &[1, 1]),
    );
    let text = String::from_utf8(zstd::decode_all(&zstd[..]).unwrap()).unwrap();
    assert_eq!(text, text_file(&json(JsonLayout::Lines), &batch));
}

#[test]
fn a_file_of_nothing_is_still_compressed() {
    let schema = every_type().schema();
    let gzip = file(&json_lines(Compression::Gzip), &schema, &[]);
    assert_eq!(all(MultiGzDecoder::new(&gzip[..])), "");
    assert_eq!(gzip[..2], [0x1f, 0x8b]);
    let zstd = file(&json_lines(Compression::Zstd), &schema, &[]);
    assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), b"");
    assert_eq!(zstd[..4], [0x28, 0xb5, 0x2f, 0xfd]);
}

#[test]
fn the_same_blocks_are_the_same_bytes() {
    let batch = every_type();
    let outputs = [
        json_lines(Compression::Gzip),
        json_lines(Compression::Zstd),
        parquet(ParquetCompression::Zstd),
    ];
    for output in outputs {
        let twice = [(); 2].map(|()| file(&output, batch.schema_ref(), &split(&batch, &[2])));
        assert_eq!(twice[0], twice[1]);
    }
}

#[test]
fn the_assembler_opens_the_file_if_the_first_rows_come_late() {
    let batch = texts(&[Some("a")]);
    for output in [csv(CsvOptions::default()), json(JsonLayout::Array)] {
        let encoder = Encoder::new(&output, batch.schema(), Vec::new(), Levels::default()).unwrap();
        let mut assembler = encoder.assembler();
        let mut late = Vec::new();
        let empty = RecordBatch::new_empty(batch.schema());
        for (batch, position) in [
            (&empty, BlockPosition::First),
            (&batch, BlockPosition::Later),
        ] {
            let block = encoder.encode(from_ref(batch), position).unwrap();
            late.extend_from_slice(&assembler.push(block).unwrap());
        }
        late.extend_from_slice(&assembler.finish().unwrap());
        assert_eq!(String::from_utf8(late).unwrap(), text_file(&output, &batch));
    }
}

#[test]
fn a_block_in_the_wrong_place_is_refused() {
    let batch = texts(&[Some("a")]);
    let encoder = |output: &Output| {
        Encoder::new(output, batch.schema(), Vec::new(), Levels::default()).unwrap()
    };
    let csv = encoder(&csv(CsvOptions::default()));
    let parquet = encoder(&parquet(ParquetCompression::None));
    let first = || csv.encode(from_ref(&batch), BlockPosition::First).unwrap();

    let mut assembler = csv.assembler();
    assembler.push(first()).unwrap();
    assert!(matches!(
        assembler.push(first()),
        Err(EncodeError::MisplacedBlock)
    ));
    assert!(matches!(
        parquet.assembler().push(first()),
        Err(EncodeError::MisplacedBlock)
    ));
}

#[test]
fn a_type_that_cannot_be_written_is_refused_before_the_file_begins() {
    let nested = |data_type| DataType::List(Field::new("element", data_type, true).into());
    for (data_type, culprit) in [
        (
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
        ),
        (
            nested(DataType::Duration(TimeUnit::Second)),
            DataType::Duration(TimeUnit::Second),
        ),
        (
            DataType::Dictionary(DataType::Int32.into(), DataType::Null.into()),
            DataType::Null,
        ),
        (
            DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()),
            DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()),
        ),
    ] {
        let schema = Schema::new(vec![Field::new("odd", data_type, true)]).into();
        let Err(error) = Encoder::new(
            &json_lines(Compression::None),
            schema,
            Vec::new(),
            Levels::default(),
        ) else {
            panic!("{culprit} is refused")
        };
        assert_eq!(
            error.to_string(),
            format!("column \"odd\" holds values of type {culprit}, which cannot be exported")
        );
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::Permanent, ErrorCode::EncodingFailed)
        );
    }
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let encoder = Encoder::new(
        &csv(CsvOptions::default()),
        every_type().schema(),
        Vec::new(),
        Levels::default(),
    )
    .unwrap();
    let other = encoder.encode(&[texts(&[Some("a")])], BlockPosition::First);
    assert!(matches!(other, Err(EncodeError::SchemaMismatch)));
}

#[test]
fn threads_can_share_an_encoder() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Encoder>();
    sent::<encode::EncodedBlock>();
    sent::<encode::Assembler>();
}
