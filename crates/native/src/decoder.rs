//! The stream: blocks, and the headers of their columns.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use bytes::{Buf as _, Bytes};

use crate::block::Block;
use crate::error::NativeError;
use crate::header::Header;
use crate::input::{Elements, Input, Text, TextError, VarUInt};
use crate::limits::Limits;

/// Decodes one stream.
///
/// Bytes go in as they come, blocks come out when they are complete. Each byte is looked at once:
/// a value that is cut by the end of a chunk is kept in part, and what is complete goes straight
/// from the chunk into the array.
///
/// ```
/// use native::{Decoder, Limits, NativeError};
///
/// let mut decoder = Decoder::new(Limits::default());
/// decoder.push("\u{1}\u{2}\u{1}n\u{5}UI".into());
/// assert_eq!(decoder.next_block()?, None);
/// decoder.push("nt8\u{7}\u{8}".into());
/// let block = decoder.next_block()?.expect("that was all of it");
/// assert_eq!(block.columns[0].type_text, "UInt8");
/// assert_eq!(block.batch.num_rows(), 2);
/// decoder.finish()?;
/// # Ok::<_, NativeError>(())
/// ```
pub struct Decoder {
    limits: Limits,
    chunks: VecDeque<Bytes>,
    header: Header,
    step: Step,
    /// Bytes of the block at hand.
    bytes: usize,
    columns: usize,
    rows: usize,
    arrays: Vec<ArrayRef>,
}

/// What is read next.
enum Step {
    Columns(VarUInt),
    Rows(VarUInt),
    Name(Text),
    Type(Text, Vec<u8>),
    Versions(Elements<8>, usize),
    Data,
    Complete,
    Failed,
}

impl Decoder {
    /// Makes a decoder of a stream that has not begun.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunks: VecDeque::new(),
            header: Header::default(),
            step: Step::Columns(VarUInt::default()),
            bytes: 0,
            columns: 0,
            rows: 0,
            arrays: Vec::new(),
        }
    }

    /// Takes the next bytes. They are decoded, and given back, by [`next_block`](Self::next_block).
    pub fn push(&mut self, bytes: Bytes) {
        self.chunks.push_back(bytes);
    }

    /// Returns the next block if all of it is there, or nothing if more bytes are needed.
    ///
    /// A block without rows is returned, too: it tells the columns. One that has no columns either
    /// is passed over.
    ///
    /// # Errors
    ///
    /// When the stream is malformed, has a type that cannot be decoded, is over a limit, or is
    /// more than Arrow can count. Nothing can be read from the decoder any more then.
    pub fn next_block(&mut self) -> Result<Option<Block>, NativeError> {
        if let Step::Failed = self.step {
            return Err(NativeError::Failed);
        }
        let result = self.read_block();
        if result.is_err() {
            self.step = Step::Failed;
            self.chunks.clear();
        }
        result
    }

    /// Checks that the stream ended where a block may end.
    ///
    /// That it is whole cannot be told from the format, which has no mark of the end.
    ///
    /// # Errors
    ///
    /// [`NativeError::Truncated`] inside of a block or if there are bytes that nobody asked for;
    /// [`NativeError::Failed`] after another error.
    pub fn finish(self) -> Result<(), NativeError> {
        match self.step {
            Step::Failed => Err(NativeError::Failed),
            Step::Columns(number)
                if !number.is_begun() && self.chunks.iter().all(Bytes::is_empty) =>
            {
                Ok(())
            }
            _ => Err(NativeError::Truncated),
        }
    }

    fn read_block(&mut self) -> Result<Option<Block>, NativeError> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            let mut input = Input::new(&chunk);
            let block = self.read_chunk(&mut input);
            let used = chunk.len() - input.rest().len();
            self.bytes = self.bytes.saturating_add(used);
            if self.bytes > self.limits.block_bytes {
                return Err(limit("bytes", self.limits.block_bytes));
            }
            let block = block?;
            chunk.advance(used);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
            if block.is_some() {
                self.bytes = 0;
                return Ok(block);
            }
        }
        Ok(None)
    }

    /// Reads up to the end of the chunk or of the block.
    fn read_chunk(&mut self, input: &mut Input<'_>) -> Result<Option<Block>, NativeError> {
        loop {
            let next = match &mut self.step {
                Step::Columns(number) => match number.read(input) {
                    Ok(Some(columns)) => {
                        self.columns = within("columns", columns, self.limits.columns)?;
                        Step::Rows(VarUInt::default())
                    }
                    Ok(None) => return Ok(None),
                    Err(_) => return Err(NativeError::Number),
                },
                Step::Rows(number) => match number.read(input) {
                    Ok(Some(rows)) => {
                        self.rows = within("rows", rows, self.limits.rows)?;
                        self.begin_block()?
                    }
                    Ok(None) => return Ok(None),
                    Err(_) => return Err(NativeError::Number),
                },
                Step::Name(text) => {
                    match read_text(text, input, "bytes of a name", self.limits.name_bytes)? {
                        Some(name) => Step::Type(Text::default(), name),
                        None => return Ok(None),
                    }
                }
                Step::Type(text, name) => {
                    match read_text(text, input, "bytes of a type", self.limits.type_bytes)? {
                        Some(type_text) => {
                            let name = std::mem::take(name);
                            self.begin_column(&name, &type_text)?
                        }
                        None => return Ok(None),
                    }
                }
                Step::Versions(number, left) => {
                    if *left == 0 {
                        Step::Data
                    } else if let Some(version) = number.one(input) {
                        *left -= 1;
                        let place = self.arrays.len();
                        self.header
                            .check_version(place, u64::from_le_bytes(version))?;
                        continue;
                    } else {
                        return Ok(None);
                    }
                }
                Step::Data => {
                    let place = self.arrays.len();
                    if !self.header.read(place, input)? {
                        return Ok(None);
                    }
                    self.finish_column()?
                }
                Step::Complete => {
                    self.step = Step::Columns(VarUInt::default());
                    let arrays = std::mem::take(&mut self.arrays);
                    return self.header.block(arrays).map(Some);
                }
                Step::Failed => return Err(NativeError::Failed),
            };
            self.step = next;
        }
    }

    fn begin_block(&self) -> Result<Step, NativeError> {
        if self.columns > 0 {
            self.header.check_count(self.columns)?;
            Ok(Step::Name(Text::default()))
        } else if self.rows == 0 {
            Ok(Step::Columns(VarUInt::default()))
        } else {
            Err(NativeError::NoColumns)
        }
    }

    fn begin_column(&mut self, name: &[u8], type_text: &[u8]) -> Result<Step, NativeError> {
        let place = self.arrays.len();
        let versions = self
            .header
            .begin(place, name, type_text, self.rows, &self.limits)?;
        if self.rows == 0 {
            return self.finish_column();
        }
        Ok(Step::Versions(Elements::default(), versions))
    }

    fn finish_column(&mut self) -> Result<Step, NativeError> {
        let array = self.header.finish(self.arrays.len())?;
        self.arrays.push(array);
        Ok(if self.arrays.len() == self.columns {
            Step::Complete
        } else {
            Step::Name(Text::default())
        })
    }
}

fn read_text(
    text: &mut Text,
    input: &mut Input<'_>,
    what: &'static str,
    most: usize,
) -> Result<Option<Vec<u8>>, NativeError> {
    text.read(input, most).map_err(|error| match error {
        TextError::Number => NativeError::Number,
        TextError::Limit => limit(what, most),
    })
}

fn within(what: &'static str, number: u64, most: usize) -> Result<usize, NativeError> {
    usize::try_from(number)
        .ok()
        .filter(|number| *number <= most)
        .ok_or_else(|| limit(what, most))
}

fn limit(what: &'static str, limit: usize) -> NativeError {
    NativeError::Limit { what, limit }
}
