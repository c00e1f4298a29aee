//! Reading the options of a request.

mod schema;

use serde_json::Value;

use crate::members::{Members, NUL, one, one_of, text};
use crate::notify::Notify;
use crate::output::{
    Compression, CsvOptions, Format, JsonLayout, JsonOptions, Output, ParquetCompression,
    ParquetOptions, RowOrder,
};
use crate::split::Split;
use crate::violation::{Pointer, Violation};

pub use schema::options_schema;

/// The options of a request.
pub(super) struct Options {
    pub(super) of_format: FormatOptions,
    pub(super) order: RowOrder,
    pub(super) split: Option<Split>,
    pub(super) notify: Notify,
}

impl Options {
    pub(super) fn default_of(format: Format) -> Self {
        Self {
            of_format: FormatOptions::default_of(format),
            order: RowOrder::Time,
            split: None,
            notify: Notify::default(),
        }
    }

    pub(super) fn parse(
        value: &Value,
        at: &Pointer,
        format: Format,
    ) -> Result<Self, Vec<Violation>> {
        let mut members = Members::of(value, at.clone())?;
        let default = Self::default_of(format);
        let order = members.optional("order", |value, at| {
            one_of(value, at, RowOrder::parse, RowOrder::NAMES)
        });
        let split = members.optional("split", Split::parse);
        let notify = members.optional("notify", Notify::parse);
        let of_format = match format {
            Format::Csv => members.optional("csv", csv_options).map(FormatOptions::Csv),
            Format::Json => members
                .optional("json", json_options)
                .map(FormatOptions::Json),
            Format::Parquet => members
                .optional("parquet", parquet_options)
                .map(FormatOptions::Parquet),
        };
        members.finish()?;
        Ok(Self {
            of_format: of_format.unwrap_or(default.of_format),
            order: order.unwrap_or(default.order),
            split,
            notify: notify.unwrap_or(default.notify),
        })
    }
}

/// The options of the format that was asked for.
pub(super) enum FormatOptions {
    Csv(CsvOptions),
    Json(JsonOptions),
    Parquet(ParquetOptions),
}

impl FormatOptions {
    fn default_of(format: Format) -> Self {
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
