//! What the file of an export is: its format, the compression and the options of both.

use serde_json::{Value, json};

use crate::closed_set::closed_set;
use crate::request::DataType;
use crate::time_range::TimeRange;

closed_set! {
    /// The format of a file.
    Format {
        /// Comma-separated values, RFC 4180.
        Csv = "csv",
        /// JSON, RFC 8259: an object a line, or one array.
        Json = "json",
        /// Apache Parquet.
        Parquet = "parquet",
    }
}

closed_set! {
    /// The compression around a CSV or JSON file.
    Compression {
        /// gzip, RFC 1952.
        Gzip = "gzip",
        /// Zstandard, RFC 8878.
        Zstd = "zstd",
        /// None.
        None = "none",
    }
}

closed_set! {
    /// The compression of the pages inside a Parquet file.
    ParquetCompression {
        /// Zstandard.
        Zstd = "zstd",
        /// Snappy.
        Snappy = "snappy",
        /// gzip.
        Gzip = "gzip",
        /// None.
        None = "none",
    }
}

closed_set! {
    /// In which order the rows of a file are.
    RowOrder {
        /// By time, and where times are equal in an order that is always the same.
        Time = "time",
        /// As ClickHouse finds them within each slice of time, which saves it sorting them.
        Storage = "storage",
    }
}

closed_set! {
    /// How the rows of a JSON file stand together.
    JsonLayout {
        /// One object per line (NDJSON).
        Lines = "lines",
        /// One array of objects.
        Array = "array",
    }
}

/// The options of CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// The byte between two cells; ASCII, and neither a quote nor a line break.
    pub delimiter: u8,
    /// The text of a NULL.
    pub null: String,
    /// Whether a text cell that a spreadsheet would run as a formula gets a `'` in front.
    pub escape_formulas: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            null: String::new(),
            escape_formulas: true,
        }
    }
}

/// The options of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// How rows stand together.
    pub layout: JsonLayout,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            layout: JsonLayout::Lines,
        }
    }
}

/// The options of Parquet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetOptions {
    /// The compression of the pages.
    pub compression: ParquetCompression,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: ParquetCompression::Zstd,
        }
    }
}

/// A format with its options. Parquet compresses inside, so nothing can be put around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// CSV.
    Csv {
        /// The options.
        options: CsvOptions,
        /// Around the file.
        compression: Compression,
    },
    /// JSON.
    Json {
        /// The options.
        options: JsonOptions,
        /// Around the file.
        compression: Compression,
    },
    /// Parquet.
    Parquet {
        /// The options.
        options: ParquetOptions,
    },
}

impl Format {
    /// Returns the compressions that can be around a file of the format.
    pub fn compressions(self) -> &'static [Compression] {
        match self {
            Self::Csv | Self::Json => Compression::ALL,
            Self::Parquet => &[Compression::None],
        }
    }
}

impl Output {
    /// Returns what a request gets that names only the format.
    pub fn default_of(format: Format) -> Self {
        let compression = Compression::Gzip;
        match format {
            Format::Csv => Self::Csv {
                options: CsvOptions::default(),
                compression,
            },
            Format::Json => Self::Json {
                options: JsonOptions::default(),
                compression,
            },
            Format::Parquet => Self::Parquet {
                options: ParquetOptions::default(),
            },
        }
    }

    /// Returns the format.
    pub fn format(&self) -> Format {
        match self {
            Self::Csv { .. } => Format::Csv,
            Self::Json { .. } => Format::Json,
            Self::Parquet { .. } => Format::Parquet,
        }
    }

    /// Returns the compression around the file.
    pub fn compression(&self) -> Compression {
        match self {
            Self::Csv { compression, .. } | Self::Json { compression, .. } => *compression,
            Self::Parquet { .. } => Compression::None,
        }
    }

    /// Returns the options as a request would give them, defaults filled in.
    pub fn options_json(&self) -> Value {
        match self {
            Self::Csv { options, .. } => json!({ "csv": {
                "delimiter": char::from(options.delimiter).to_string(),
                "null": options.null,
                "escape_formulas": options.escape_formulas,
            }}),
            Self::Json { options, .. } => json!({ "json": { "layout": options.layout } }),
            Self::Parquet { options } => {
                json!({ "parquet": { "compression": options.compression } })
            }
        }
    }

    /// Returns the file name's ending, such as `csv.gz`.
    pub fn extension(&self) -> String {
        let format = match self {
            Self::Csv { .. } => "csv",
            Self::Json { options, .. } => match options.layout {
                JsonLayout::Lines => "ndjson",
                JsonLayout::Array => "json",
            },
            Self::Parquet { .. } => "parquet",
        };
        match self.compression() {
            Compression::Gzip => format!("{format}.gz"),
            Compression::Zstd => format!("{format}.zst"),
            Compression::None => format.to_owned(),
        }
    }

    /// Returns the media type of the object.
    ///
    /// A compressed file is of the compression's type and carries no `Content-Encoding`: a
    /// browser would unpack it otherwise, and the name would lie.
    pub fn content_type(&self) -> &'static str {
        match (self.compression(), self) {
            (Compression::Gzip, _) => "application/gzip",
            (Compression::Zstd, _) => "application/zstd",
            (Compression::None, Self::Csv { .. }) => "text/csv; charset=utf-8; header=present",
            (Compression::None, Self::Json { options, .. }) => match options.layout {
                JsonLayout::Lines => "application/x-ndjson",
                JsonLayout::Array => "application/json",
            },
            (Compression::None, Self::Parquet { .. }) => "application/vnd.apache.parquet",
        }
    }

    /// Returns a readable name, such as `logs_20260101T000000Z_20260102T000000Z.csv.gz`; with a number, one
    /// such as `logs_20260101T000000Z_20260102T000000Z-0001.csv.gz`.
    pub fn file_name(
        &self,
        data_type: &DataType,
        range: &TimeRange,
        number: Option<u32>,
    ) -> String {
        let basic = "%Y%m%dT%H%M%SZ";
        let number = number.map_or_else(String::new, |number| format!("-{number:04}"));
        format!(
            "{data_type}_{}_{}{number}.{}",
            range.start().format(basic),
            range.end().format(basic),
            self.extension(),
        )
    }
}
