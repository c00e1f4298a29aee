//! Reading the options of a request.

mod schema;

use serde_json::Value;

use crate::members::{Members, NUL, one, one_of, text};
use crate::output::{
    Compression, CsvOptions, Format, JsonLayout, JsonOptions, Output, ParquetCompression,
    ParquetOptions, RowOrder,
};
use crate::violation::{Pointer, Violation};

pub use schema::options_schema;

/// The options of the format that was asked for.
pub(super) enum Options {
    Csv(CsvOptions),
    Json(JsonOptions),
    Parquet(ParquetOptions),
}

impl Options {
    pub(super) fn default_of(format: Format) -> Self {
        match Output::default_of(format) {
            Output::Csv { options, .. } => Self::Csv(options),
            Output::Json { options, .. } => Self::Json(options),
            Output::Parquet { options } => Self::Parquet(options),
        }
    }

    pub(super) fn with(self, compression: Option<Compression>) -> Result<Output, String> {
        let around =
            |format| compression.unwrap_or_else(|| Output::default_of(format).compression());
        match (self, compression) {
            (Self::Csv(options), _) => Ok(Output::Csv {
                options,
                compression: around(Format::Csv),
            }),
            (Self::Json(options), _) => Ok(Output::Json {
                options,
                compression: around(Format::Json),
            }),
            (Self::Parquet(options), None | Some(Compression::None)) => {
                Ok(Output::Parquet { options })
            }
            (Self::Parquet(_), Some(compression)) => Err(format!(
                "{compression} cannot be put around Parquet, which compresses inside; \
                 use options.parquet.compression"
            )),
        }
    }
}

/// Reads the options: those of the format, and the order of the rows.
pub(super) fn options(
    value: &Value,
    at: &Pointer,
    format: Format,
) -> Result<(Options, RowOrder), Vec<Violation>> {
    let mut members = Members::of(value, at.clone())?;
    let order = members.optional("order", |value, at| {
        one_of(value, at, RowOrder::parse, RowOrder::NAMES)
    });
    let options = match format {
        Format::Csv => members.optional("csv", csv_options).map(Options::Csv),
        Format::Json => members.optional("json", json_options).map(Options::Json),
        Format::Parquet => members
            .optional("parquet", parquet_options)
            .map(Options::Parquet),
    };
    members.finish()?;
    Ok((
        options.unwrap_or_else(|| Options::default_of(format)),
        order.unwrap_or(RowOrder::Time),
    ))
}

fn csv_options(value: &Value, at: &Pointer) -> Result<CsvOptions, Vec<Violation>> {
    let mut members = Members::of(value, at.clone())?;
    let default = CsvOptions::default();
    let delimiter = members.optional("delimiter", |value, at| match text(value, at)?.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
        _ => Err(one(
            at,
            "must be one ASCII character other than a quote or a line break",
        )),
    });
    let null = members.optional("null", |value, at| match text(value, at)? {
        long if long.len() > 16 => Err(one(at, "is longer than 16 bytes")),
        text if text.contains('\0') => Err(one(at, NUL)),
        text => Ok(text.to_owned()),
    });
    let escape_formulas = members.optional("escape_formulas", |value, at| {
        value
            .as_bool()
            .ok_or_else(|| one(at, "must be true or false"))
    });
    members.finish()?;
    Ok(CsvOptions {
        delimiter: delimiter.unwrap_or(default.delimiter),
        null: null.unwrap_or(default.null),
        escape_formulas: escape_formulas.unwrap_or(default.escape_formulas),
    })
}

fn json_options(value: &Value, at: &Pointer) -> Result<JsonOptions, Vec<Violation>> {
    let mut members = Members::of(value, at.clone())?;
    let layout = members.optional("layout", |value, at| {
        one_of(value, at, JsonLayout::parse, JsonLayout::NAMES)
    });
    members.finish()?;
    Ok(layout.map_or_else(JsonOptions::default, |layout| JsonOptions { layout }))
}

fn parquet_options(value: &Value, at: &Pointer) -> Result<ParquetOptions, Vec<Violation>> {
    let mut members = Members::of(value, at.clone())?;
    let compression = members.optional("compression", |value, at| {
        one_of(
            value,
            at,
            ParquetCompression::parse,
            ParquetCompression::NAMES,
        )
    });
    members.finish()?;
    Ok(
        compression.map_or_else(ParquetOptions::default, |compression| ParquetOptions {
            compression,
        }),
    )
}
