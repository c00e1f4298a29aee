//! Blocks of codes (RFC 1951 section 3.2.3).

use crate::bits::{Bits, Code};
use crate::codes::{codes, lengths};
use crate::repeats::Sequence;

/// The symbols for bytes, the end of a block and lengths, of which the last two mean nothing.
const SYMBOLS: usize = 288;
const END: usize = 256;
const FIRST_LENGTH: usize = 257;
/// The symbols for distances, of which the last two mean nothing.
const DISTANCES: usize = 32;
/// The symbols for lengths of codes.
const LENGTHS: usize = 19;

/// Four bytes as they are fit between two flushes.
const LONGEST_SYMBOL: usize = 14;
const LONGEST_DISTANCE: usize = 15;
/// RFC 1951 section 3.2.7.
const LONGEST_LENGTH: usize = 7;
const ORDER_OF_LENGTHS: [usize; LENGTHS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// What a block that is not compressed can hold.
const MOST_STORED: usize = 0xffff;

/// Writes a block, the way that takes least.
pub(crate) fn write(text: &[u8], sequences: &[Sequence], is_last: bool, bits: &mut Bits<'_>) {
    let counts = Counts::of(text, sequences);
    let dynamic = Lengths::for_counts(&counts);
    let description = Description::of(&dynamic);
    let fixed = Lengths::fixed();

    let dynamic_size = description.size() + dynamic.size(&counts);
    let fixed_size = fixed.size(&counts);
    if stored_size(text) <= dynamic_size.min(fixed_size) {
        store(text, is_last, bits);
    } else if fixed_size <= dynamic_size {
        begin(is_last, 1, fixed_size, bits);
        write_sequences(text, sequences, &fixed, bits);
    } else {
        begin(is_last, 2, dynamic_size, bits);
        description.write(bits);
        write_sequences(text, sequences, &dynamic, bits);
    }
}

fn begin(is_last: bool, kind: u32, size: usize, bits: &mut Bits<'_>) {
    bits.announce(size / 8 + 2);
    bits.add(Code {
        bits: u32::from(is_last) | kind << 1,
        count: 3,
    });
    bits.flush();
}

/// Returns the bits of a text that is not compressed.
fn stored_size(text: &[u8]) -> usize {
    (text.len() + text.len().div_ceil(MOST_STORED).max(1) * 5) * 8
}

fn store(text: &[u8], is_last: bool, bits: &mut Bits<'_>) {
    let mut rest = text;
    loop {
        let (block, after) = rest.split_at(rest.len().min(MOST_STORED));
        rest = after;
        begin(is_last && rest.is_empty(), 0, 0, bits);
        let length = u16::try_from(block.len()).expect("no more than that");
        bits.append(&length.to_le_bytes());
        bits.append(&(!length).to_le_bytes());
        bits.append(block);
        if rest.is_empty() {
            break;
        }
    }
}

/// How often each symbol occurs.
struct Counts {
    symbols: [u32; SYMBOLS],
    distances: [u32; DISTANCES],
}

impl Counts {
    fn of(text: &[u8], sequences: &[Sequence]) -> Self {
        let mut symbols = [0; SYMBOLS];
        let mut distances = [0; DISTANCES];
        // Two bytes that follow each other are often the same, and would wait for each other.
        let mut seconds = [0; 256];
        let mut rest = text;
        for sequence in sequences {
            let (literals, repeated) = rest.split_at(sequence.literals as usize);
            let (pairs, single) = literals.as_chunks::<2>();
            for [first, second] in pairs {
                symbols[usize::from(*first)] += 1;
                seconds[usize::from(*second)] += 1;
            }
            for byte in single {
                symbols[usize::from(*byte)] += 1;
            }
            if sequence.length > 0 {
                let (symbol, _) = LENGTH_SYMBOLS[usize::from(sequence.length)];
                symbols[FIRST_LENGTH + symbol] += 1;
                distances[distance_symbol(sequence.distance)] += 1;
            }
            rest = &repeated[usize::from(sequence.length)..];
        }
        for (symbol, count) in symbols.iter_mut().zip(seconds) {
            *symbol += count;
        }
        symbols[END] = 1;
        Self { symbols, distances }
    }
}

/// How long the code of each symbol is.
struct Lengths {
    symbols: [u8; SYMBOLS],
    distances: [u8; DISTANCES],
}

impl Lengths {
    fn for_counts(counts: &Counts) -> Self {
        Self {
            symbols: lengths(&counts.symbols, LONGEST_SYMBOL),
            distances: lengths(&counts.distances, LONGEST_DISTANCE),
        }
    }

    /// RFC 1951 section 3.2.6.
    fn fixed() -> Self {
        Self {
            symbols: std::array::from_fn(|symbol| match symbol {
                144..=255 => 9,
                256..=279 => 7,
                _ => 8,
            }),
            distances: [5; DISTANCES],
        }
    }

    /// Returns the bits of a block without its description.
    fn size(&self, counts: &Counts) -> usize {
        let symbols = counts.symbols.iter().zip(self.symbols).enumerate();
        let symbols = symbols.map(|(symbol, (count, length))| {
            let extra = symbol
                .checked_sub(FIRST_LENGTH)
                .map_or(0, |length| LENGTH_EXTRA[length]);
            *count as usize * (usize::from(length) + extra as usize)
        });
        let distances = counts.distances.iter().zip(self.distances).enumerate();
        let distances = distances.map(|(symbol, (count, length))| {
            *count as usize * (usize::from(length) + DISTANCE_EXTRA[symbol] as usize)
        });
        3 + symbols.sum::<usize>() + distances.sum::<usize>()
    }
}

/// What tells a decoder how long the codes are (RFC 1951 section 3.2.7).
struct Description {
    /// How many symbols and distances are described.
    symbols: usize,
    distances: usize,
    /// Symbols for lengths, each with what is written behind it.
    runs: Vec<(usize, Code)>,
    lengths: [u8; LENGTHS],
}

impl Description {
    fn of(described: &Lengths) -> Self {
        let symbols = described.symbols.iter().rposition(|length| *length > 0);
        let symbols = symbols.map_or(0, |last| last + 1).max(FIRST_LENGTH);
        let distances = described.distances.iter().rposition(|length| *length > 0);
        let distances = distances.map_or(0, |last| last + 1).max(1);
        let all = [
            &described.symbols[..symbols],
            &described.distances[..distances],
        ];
        let runs = runs(&all.concat());
        let mut counts = [0; LENGTHS];
        for (symbol, _) in &runs {
            counts[*symbol] += 1;
        }
        Self {
            symbols,
            distances,
            runs,
            lengths: lengths(&counts, LONGEST_LENGTH),
        }
    }

    /// Returns how many lengths of lengths are written.
    fn count(&self) -> usize {
        let last = ORDER_OF_LENGTHS
            .iter()
            .rposition(|symbol| self.lengths[*symbol] > 0);
        last.map_or(0, |last| last + 1).max(4)
    }

    /// Returns its bits.
    fn size(&self) -> usize {
        let runs = self
            .runs
            .iter()
            .map(|(symbol, behind)| usize::from(self.lengths[*symbol]) + behind.count as usize);
        14 + self.count() * 3 + runs.sum::<usize>()
    }

    fn write(&self, bits: &mut Bits<'_>) {
        let number = |number: usize, count| Code {
            bits: u32::try_from(number).expect("small numbers"),
            count,
        };
        bits.add(number(self.symbols - FIRST_LENGTH, 5));
        bits.add(number(self.distances - 1, 5));
        bits.add(number(self.count() - 4, 4));
        bits.flush();
        for symbol in &ORDER_OF_LENGTHS[..self.count()] {
            bits.add(number(usize::from(self.lengths[*symbol]), 3));
            bits.flush();
        }
        let codes = codes(&self.lengths);
        for (symbol, behind) in &self.runs {
            bits.add(codes[*symbol]);
            bits.add(*behind);
            bits.flush();
        }
    }
}

/// Returns symbols for lengths of codes, with one for each run of the same.
fn runs(lengths: &[u8]) -> Vec<(usize, Code)> {
    let run = |symbol, count: usize, least, bits| {
        let behind = Code {
            bits: u32::try_from(count - least).expect("no run is that long"),
            count: bits,
        };
        (symbol, behind)
    };
    let mut runs = Vec::new();
    for same in lengths.chunk_by(|one, other| one == other) {
        let one = (usize::from(same[0]), Code::default());
        let mut left = same.len();
        if same[0] == 0 {
            while left >= 11 {
                let count = left.min(138);
                runs.push(run(18, count, 11, 7));
                left -= count;
            }
            if left >= 3 {
                runs.push(run(17, left, 3, 3));
                left = 0;
            }
        } else if left >= 4 {
            runs.push(one);
            left -= 1;
            while left >= 3 {
                let count = left.min(6);
                runs.push(run(16, count, 3, 2));
                left -= count;
            }
        }
        runs.extend(std::iter::repeat_n(one, left));
    }
    runs
}

fn write_sequences(text: &[u8], sequences: &[Sequence], lengths: &Lengths, bits: &mut Bits<'_>) {
    let symbols = codes(&lengths.symbols);
    let distances = codes(&lengths.distances);
    let bytes: &[Code; 256] = symbols.first_chunk().expect("all bytes are symbols");
    let lengths = LENGTH_SYMBOLS.map(|(symbol, extra)| {
        let code = symbols[FIRST_LENGTH + symbol];
        Code {
            bits: code.bits | extra << code.count,
            count: code.count + LENGTH_EXTRA[symbol],
        }
    });
    let mut rest = text;
    for sequence in sequences {
        let (literals, repeated) = rest.split_at(sequence.literals as usize);
        let (fours, few) = literals.as_chunks::<4>();
        for four in fours {
            for byte in four {
                bits.add(bytes[usize::from(*byte)]);
            }
            bits.flush();
        }
        for byte in few {
            bits.add(bytes[usize::from(*byte)]);
        }
        bits.flush();
        if sequence.length > 0 {
            bits.add(lengths[usize::from(sequence.length)]);
            let symbol = distance_symbol(sequence.distance);
            bits.add(distances[symbol]);
            let count = DISTANCE_EXTRA[symbol];
            bits.add(Code {
                bits: u32::from(sequence.distance) & ((1 << count) - 1),
                count,
            });
            bits.flush();
        }
        rest = &repeated[usize::from(sequence.length)..];
    }
    bits.add(symbols[END]);
    bits.flush();
}

/// How many bits follow the symbol of a length, from [`FIRST_LENGTH`] on (RFC 1951 section 3.2.5).
const LENGTH_EXTRA: [u32; SYMBOLS - FIRST_LENGTH] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0,
];

/// How many bits follow the symbol of a distance.
const DISTANCE_EXTRA: [u32; DISTANCES] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13, 0, 0,
];

/// For each length from 3 to 258 its symbol, and what is written behind that.
static LENGTH_SYMBOLS: [(usize, u32); 259] = length_symbols();

const fn length_symbols() -> [(usize, u32); 259] {
    let mut symbols = [(0, 0); 259];
    let (mut length, mut symbol) = (3, 0);
    while symbol < 28 {
        let mut extra = 0;
        while extra < 1 << LENGTH_EXTRA[symbol] {
            symbols[length] = (symbol, extra);
            length += 1;
            extra += 1;
        }
        symbol += 1;
    }
    // The last of these has a symbol of its own.
    symbols[258] = (28, 0);
    symbols
}

/// Returns the symbol of a distance, which is given less one.
#[inline]
fn distance_symbol(distance: u16) -> usize {
    match distance.checked_ilog2() {
        None | Some(0) => usize::from(distance),
        Some(bits) => bits as usize * 2 + usize::from(distance >> (bits - 1) & 1),
    }
}
