//! A column chunk of texts, in pages, with a dictionary as long as that is small.
//!
//! The `parquet` crate looks each value up in the dictionary by its bytes, also where an Arrow array
//! has it in a dictionary already. Here whoever knows the place of a text gives that.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::bounds::Bounds;
use crate::dictionary::Dictionary;
use crate::hybrid;
use crate::page_codec::PageCodec;
use crate::plain;
use crate::rows::AT_ONCE;

/// After how many texts a dictionary must be worth it.
const TRIAL: usize = 1024;

/// How large a place in a dictionary is, at most.
const PLACE_BYTES: usize = 4;

/// Writes a column chunk.
pub(crate) struct TextChunk<'a> {
    column: ColumnDescPtr,
    /// The level up to which what is there is defined.
    defined: u8,
    /// The level at which the values of a list repeat, 0 where there is none.
    repeated: u8,
    compression: Compression,
    limits: Limits,
    codec: &'a mut PageCodec,
    dictionary: Dictionary,
    /// Whether what comes next goes by its place in the dictionary.
    is_coded: bool,
    page: OpenPage,
    /// The data pages up to now.
    pages: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    /// Where there are to be any.
    bounds: Option<Bounds>,
    totals: Totals,
}

/// How large pages get.
struct Limits {
    page_bytes: usize,
    page_rows: usize,
    dictionary_bytes: usize,
}

/// What is not yet in a page.
#[derive(Default)]
struct OpenPage {
    rows: usize,
    repetition: Vec<u8>,
    definition: Vec<u8>,
    texts: usize,
    places: Vec<u32>,
    plain: Vec<u8>,
}

#[derive(Default)]
struct Totals {
    rows: u64,
    values: i64,
    texts: usize,
    compressed: usize,
    uncompressed: usize,
    coded_pages: i32,
    plain_pages: i32,
}

/// Where the next texts of a chunk go.
pub(crate) enum Slot<'a> {
    /// By its place in the dictionary.
    Coded(&'a mut Dictionary, &'a mut Vec<u32>),
    /// As it is.
    Plain(&'a mut Vec<u8>),
}

impl<'a> TextChunk<'a> {
    pub(crate) fn new(
        column: ColumnDescPtr,
        properties: &WriterProperties,
        codec: &'a mut PageCodec,
    ) -> Self {
        let statistics = properties.statistics_enabled(column.path());
        Self {
            compression: properties.compression(column.path()),
            limits: Limits {
                page_bytes: properties.data_page_size_limit(),
                page_rows: properties.data_page_row_count_limit(),
                dictionary_bytes: properties.dictionary_page_size_limit(),
            },
            defined: level(column.max_def_level()),
            repeated: level(column.max_rep_level()),
            column,
            codec,
            dictionary: Dictionary::new(),
            is_coded: true,
            page: OpenPage::default(),
            pages: TrackedWrite::new(Vec::new()),
            offsets: OffsetIndexBuilder::new(),
            bounds: (statistics != EnabledStatistics::None).then(Bounds::new),
            totals: Totals::default(),
        }
    }

    /// Begins some rows, which do not cross a multiple of [`AT_ONCE`]. In each of them come
    /// [lists](Self::list) where there can be more than one value, and then for each value
    /// [NULL](Self::null) or a text for a [slot](Self::slot).
    pub(crate) fn begin(&mut self, rows: usize) -> Result<(), ParquetError> {
        if self.page.rows.is_multiple_of(AT_ONCE) {
            self.make_room()?;
        }
        self.page.rows += rows;
        Ok(())
    }

    /// Begins a list of so many values. One without any is defined up to the level `empty`.
    pub(crate) fn list(&mut self, values: usize, empty: u8) {
        let page = &mut self.page;
        if values == 0 {
            page.definition.push(empty);
        }
        let end = page.repetition.len() + values.max(1);
        page.repetition.push(0);
        page.repetition.resize(end, self.repeated);
    }

    /// Adds NULL.
    pub(crate) fn null(&mut self) {
        self.page.definition.push(self.defined.saturating_sub(1));
    }

    /// Returns where the next so many texts go.
    pub(crate) fn slot(&mut self, texts: usize) -> Slot<'_> {
        let page = &mut self.page;
        let end = page.definition.len() + texts;
        page.definition.resize(end, self.defined);
        page.texts += texts;
        if self.is_coded {
            Slot::Coded(&mut self.dictionary, &mut page.places)
        } else {
            Slot::Plain(&mut page.plain)
        }
    }

    /// Ends the page when it is full, and the dictionary when it has grown too large, or most texts are
    /// new to it.
    fn make_room(&mut self) -> Result<(), ParquetError> {
        let Limits {
            page_bytes,
            page_rows,
            dictionary_bytes,
        } = self.limits;
        let page = &self.page;
        let distinct = self.dictionary.len();
        let texts = self.totals.texts + page.texts;
        let is_vain = texts >= TRIAL && distinct > texts / 2;
        let is_outgrown = self.is_coded && (is_vain || self.dictionary.bytes() > dictionary_bytes);
        let bytes = page.plain.len() + page.places.len() * PLACE_BYTES;
        if is_outgrown || page.rows >= page_rows || bytes >= page_bytes {
            self.end_page()?;
        }
        self.is_coded &= !is_outgrown;
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let page = &mut self.page;
        if page.rows == 0 {
            return Ok(());
        }
        let values = page.definition.len();
        if let Some(bounds) = &mut self.bounds {
            let nulls = (values - page.texts) as u64;
            if self.is_coded {
                bounds.page(self.dictionary.texts(&page.places), nulls)?;
            } else {
                bounds.page(plain::texts(&page.plain), nulls)?;
            }
        }
        let mut bytes = Vec::with_capacity(page.plain.len() + page.places.len() * 2);
        write_levels(&page.repetition, self.repeated, &mut bytes);
        write_levels(&page.definition, self.defined, &mut bytes);
        let encoding = if self.is_coded {
            self.totals.coded_pages += 1;
            let greatest = self.dictionary.len().saturating_sub(1);
            let width = hybrid::width(u32::try_from(greatest)?);
            bytes.push(width);
            hybrid::encode(&page.places, width, &mut bytes);
            Encoding::RLE_DICTIONARY
        } else {
            self.totals.plain_pages += 1;
            bytes.extend_from_slice(&page.plain);
            Encoding::PLAIN
        };
        let uncompressed = bytes.len();
        let data = Page::DataPage {
            buf: self.codec.compress(bytes)?.into(),
            num_values: u32::try_from(values)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = write_page(CompressedPage::new(data, uncompressed), &mut self.pages)?;
        self.offsets.append_row_count(i64::try_from(page.rows)?);
        self.offsets.append_offset_and_size(
            i64::try_from(written.offset)?,
            i32::try_from(written.compressed_size)?,
        );
        self.totals.rows += page.rows as u64;
        self.totals.texts += page.texts;
        self.totals.values += i64::from(written.num_values);
        self.totals.add(&written);
        page.clear();
        Ok(())
    }

    /// Returns the bytes of the chunk, and what the row group has to know of it.
    pub(crate) fn finish(mut self) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        self.end_page()?;
        let mut chunk = TrackedWrite::new(Vec::new());
        let mut encodings = vec![Encoding::RLE];
        let mut pages = Vec::new();
        if self.totals.coded_pages > 0 {
            let num_values = u32::try_from(self.dictionary.len())?;
            let texts = self.dictionary.into_page();
            let uncompressed = texts.len();
            let dictionary = Page::DictionaryPage {
                buf: self.codec.compress(texts)?.into(),
                num_values,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let page = CompressedPage::new(dictionary, uncompressed);
            self.totals.add(&write_page(page, &mut chunk)?);
            encodings.extend([Encoding::PLAIN, Encoding::RLE_DICTIONARY]);
            pages.push(count(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
            pages.push(count(
                PageType::DATA_PAGE,
                Encoding::RLE_DICTIONARY,
                self.totals.coded_pages,
            ));
        }
        if self.totals.plain_pages > 0 {
            encodings.push(Encoding::PLAIN);
            pages.push(count(
                PageType::DATA_PAGE,
                Encoding::PLAIN,
                self.totals.plain_pages,
            ));
        }
        let dictionary_bytes = chunk.bytes_written();
        let mut chunk = chunk.into_inner()?;
        chunk.append(&mut self.pages.into_inner()?);
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(pages)
            .set_total_compressed_size(i64::try_from(self.totals.compressed)?)
            .set_total_uncompressed_size(i64::try_from(self.totals.uncompressed)?)
            .set_num_values(self.totals.values)
            .set_data_page_offset(0);
        let mut column_index = None;
        if let Some(bounds) = self.bounds {
            let (statistics, pages) = bounds.finish()?;
            metadata = metadata.set_statistics(statistics);
            column_index = Some(pages);
        }
        let close = ColumnCloseResult {
            bytes_written: chunk.len() as u64,
            rows_written: self.totals.rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index,
            offset_index: Some(self.offsets.build()),
        };
        Ok((
            chunk.into(),
            close.update_dictionary_location(dictionary_bytes)?,
        ))
    }
}

impl OpenPage {
    /// Makes it empty, with the memory that it has.
    fn clear(&mut self) {
        self.rows = 0;
        self.texts = 0;
        self.repetition.clear();
        self.definition.clear();
        self.places.clear();
        self.plain.clear();
    }
}

impl Totals {
    fn add(&mut self, page: &PageWriteSpec) {
        self.compressed += page.compressed_size;
        self.uncompressed += page.uncompressed_size;
    }
}

impl Slot<'_> {
    /// Puts a text in.
    pub(crate) fn put(&mut self, text: &[u8]) {
        match self {
            Slot::Coded(dictionary, places) => places.push(dictionary.place(text)),
            Slot::Plain(page) => plain::write(text, page),
        }
    }
}

/// Returns a level of a column, of which there are few.
fn level(level: i16) -> u8 {
    u8::try_from(level).expect("schemas are not nested that deep")
}

fn write_levels(levels: &[u8], greatest: u8, out: &mut Vec<u8>) {
    if greatest == 0 {
        return;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    hybrid::encode(levels, hybrid::width(greatest.into()), out);
    let length = u32::try_from(out.len() - start - 4).expect("a page is far smaller than 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn write_page(
    page: CompressedPage,
    out: &mut TrackedWrite<Vec<u8>>,
) -> Result<PageWriteSpec, ParquetError> {
    SerializedPageWriter::new(out).write_page(page)
}

fn count(page_type: PageType, encoding: Encoding, count: i32) -> PageEncodingStats {
    PageEncodingStats {
        page_type,
        encoding,
        count,
    }
}
