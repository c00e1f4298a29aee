//! An export whose processes end early.

use std::collections::VecDeque;
use std::slice::from_ref;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use domain::{Compression, CsvOptions, JsonLayout, JsonOptions, Output, ParquetCompression};
use encode::{Assembler, BlockPosition, Encoder, Levels};

use crate::fixtures::parquet;

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

/// Returns every kind of file.
pub(crate) fn outputs() -> Vec<Output> {
    let text = COMPRESSIONS.into_iter().flat_map(|compression| {
        let json = |layout| Output::Json {
            options: JsonOptions { layout },
            compression,
        };
        [
            csv(compression),
            json(JsonLayout::Lines),
            json(JsonLayout::Array),
        ]
    });
    let pages = [ParquetCompression::Zstd, ParquetCompression::None].map(parquet);
    text.chain(pages).collect()
}

pub(crate) fn csv(compression: Compression) -> Output {
    Output::Csv {
        options: CsvOptions::default(),
        compression,
    }
}

pub(crate) fn encoder(output: &Output, schema: &SchemaRef) -> Encoder {
    let metadata = vec![("export.dataset".to_owned(), "logs".to_owned())];
    Encoder::new(output, schema.clone(), metadata, Levels::default()).expect("the types are known")
}

/// What happens to an export besides blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The next block.
    Block,
    Checkpoint,
    /// The process ends, and another goes on from the last checkpoint.
    Crash,
}

/// An export that survives its processes.
pub(crate) struct Export<'a> {
    output: &'a Output,
    blocks: &'a [RecordBatch],
    encoder: Encoder,
    assembler: Assembler,
    file: Vec<u8>,
    next: usize,
    pub(crate) checkpoints: Vec<Bytes>,
    /// The bytes and blocks that are safe.
    safe: (usize, usize),
}

impl<'a> Export<'a> {
    pub(crate) fn new(output: &'a Output, blocks: &'a [RecordBatch]) -> Self {
        let encoder = encoder(output, blocks[0].schema_ref());
        Self {
            output,
            blocks,
            assembler: encoder.assembler(),
            encoder,
            file: Vec::new(),
            next: 0,
            checkpoints: Vec::new(),
            safe: (0, 0),
        }
    }

    /// Lets the events happen, then pushes the blocks that are left and ends the file.
    pub(crate) fn file(mut self, events: &[Event]) -> Vec<u8> {
        let mut events: VecDeque<_> = events.iter().copied().collect();
        loop {
            match events.pop_front().unwrap_or(Event::Block) {
                Event::Block if self.next < self.blocks.len() => self.push(),
                Event::Block if events.is_empty() => break,
                Event::Block => {}
                Event::Checkpoint => self.checkpoint(),
                Event::Crash => self.crash(),
            }
        }
        let end = self.assembler.finish().expect("the file can be ended");
        self.file.extend_from_slice(&end);
        self.file
    }

    pub(crate) fn push(&mut self) {
        let opened = self.blocks[..self.next]
            .iter()
            .any(|block| block.num_rows() > 0);
        let position = if opened {
            BlockPosition::Later
        } else {
            BlockPosition::First
        };
        let block = self
            .encoder
            .encode(from_ref(&self.blocks[self.next]), position)
            .expect("the batch can be encoded");
        let bytes = self
            .assembler
            .push(block)
            .expect("the block belongs at its place");
        self.file.extend_from_slice(&bytes);
        self.next += 1;
    }

    pub(crate) fn checkpoint(&mut self) {
        let checkpoint = self.assembler.checkpoint().expect("the state can be kept");
        self.checkpoints.push(checkpoint);
        self.safe = (self.file.len(), self.next);
    }

    pub(crate) fn crash(&mut self) {
        self.file.truncate(self.safe.0);
        self.next = self.safe.1;
        self.encoder = encoder(self.output, self.blocks[0].schema_ref());
        self.assembler = self
            .encoder
            .resume(&self.checkpoints)
            .expect("the checkpoints are whole");
    }
}
