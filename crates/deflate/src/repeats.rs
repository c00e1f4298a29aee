//! Where a text repeats what stands before.

/// How far back a repetition may look (RFC 1951 section 2).
const WINDOW: usize = 32 * 1024;
/// The longest that one code stands for, and the shortest.
const LONGEST: usize = 258;
const SHORTEST: usize = 3;

/// How many bytes the beginnings of two words have in common at least: shorter ones are cheaper as they are.
const BEGINNING: u32 = 5;
/// The same for the distance of the last repetition, where it is likely a row that goes on as another did.
const GOES_ON: u32 = 6;

/// The logarithm of how many beginnings are remembered, with two places each: they fit into the processor's
/// fastest cache, and a window of lines has half as many words.
const TABLE_BITS: u32 = 13;
/// In a repetition, a word is remembered after so many bytes.
const BETWEEN_REMEMBERED: usize = 32;

/// How many bytes are read at a place and behind it.
const READ: usize = 16;

/// How many codes a block has: enough for the codes to be worth what they take, and few enough to follow the
/// text as it changes.
const BLOCK_CODES: usize = 64 * 1024;

/// Bytes of a text as they are, then some that repeat what stands before.
#[derive(Clone, Copy)]
pub(crate) struct Sequence {
    /// How many bytes as they are.
    pub(crate) literals: u32,
    /// How many bytes repeat, or none.
    pub(crate) length: u16,
    /// How far back they stand, less one.
    pub(crate) distance: u16,
}

/// Looks for repetitions.
pub(crate) struct Repeats {
    /// For the beginning of a word, the last two places where it stood, of which the lower bits are enough:
    /// what is farther away than they can tell is out of reach.
    places: Vec<[u16; 2]>,
    /// The distance of the last repetition.
    last: usize,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            places: vec![[0; 2]; 1 << TABLE_BITS],
            last: 0,
        }
    }
}

impl Repeats {
    /// Forgets the text before this one.
    pub(crate) fn forget(&mut self) {
        self.places.fill([0; 2]);
        self.last = 0;
    }

    /// Makes the sequences of a block that begins at `start`, and returns where it ends.
    pub(crate) fn find(
        &mut self,
        text: &[u8],
        start: usize,
        sequences: &mut Vec<Sequence>,
    ) -> usize {
        sequences.clear();
        let end = text.len().saturating_sub(READ);
        // Up to where the sequences reach, and how many bytes of that are as they are.
        let (mut done, mut literals) = (start, 0);
        let mut at = start;
        while at < end {
            if sequences.len() + literals + (at - done) >= BLOCK_CODES {
                sequences.push(Sequence::literals(at - done));
                return at;
            }
            let word = read(text, at);
            let Some((distance, ahead)) = self.repetition(text, at, word) else {
                at += word_behind(word)
                    .unwrap_or_else(|| 8 + word_behind(read(text, at + 8)).unwrap_or(8));
                continue;
            };
            let behind = common_behind(&text[done..at], &text[..at - distance]);
            let next = at + ahead;
            self.remember_within(text, at, next.min(end));
            literals += at - behind - done;
            push(sequences, at - behind - done, behind + ahead, distance);
            self.last = distance;
            at = next;
            done = next;
        }
        sequences.push(Sequence::literals(text.len() - done));
        text.len()
    }

    /// Returns how far back what stands at a place has stood before, and how much of it. Remembers the place.
    #[inline]
    fn repetition(&mut self, text: &[u8], at: usize, word: u64) -> Option<(usize, usize)> {
        let [last, before_last] = self.remember(at, word);
        if let Some(length) = common_from(text, at, word, self.last, GOES_ON) {
            return Some((self.last, length));
        }
        let [near, far] = [last, before_last].map(|place| {
            // Zero, or as far as a place can tell.
            usize::from(low_bits(at).wrapping_sub(place))
        });
        let near_length = common_from(text, at, word, near, BEGINNING);
        let far_length = common_from(text, at, word, far, BEGINNING);
        if far_length > near_length {
            far_length.map(|length| (far, length))
        } else {
            near_length.map(|length| (near, length))
        }
    }

    /// Notes where a word stands, and returns where it stood.
    #[inline]
    fn remember(&mut self, at: usize, word: u64) -> [u16; 2] {
        // The multiplier of SplitMix64: any odd number with bits all over does.
        let hash = (word << (64 - 8 * BEGINNING)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let places = &mut self.places[(hash >> (64 - TABLE_BITS)) as usize];
        std::mem::replace(places, [low_bits(at), places[0]])
    }

    /// Notes where some of the words stand that are repeated.
    #[inline]
    fn remember_within(&mut self, text: &[u8], start: usize, end: usize) {
        let mut at = start + BETWEEN_REMEMBERED;
        while at + 8 < end {
            at += word_behind(read(text, at)).unwrap_or(8);
            self.remember(at, read(text, at));
            at += BETWEEN_REMEMBERED;
        }
    }
}

impl Sequence {
    fn literals(count: usize) -> Self {
        Self {
            literals: u32::try_from(count).expect("a block has fewer bytes as they are"),
            length: 0,
            distance: 0,
        }
    }
}

/// Adds a repetition of any length.
#[inline]
fn push(sequences: &mut Vec<Sequence>, literals: usize, length: usize, distance: usize) {
    let mut sequence = Sequence::literals(literals);
    sequence.distance = u16::try_from(distance - 1).expect("a distance is within the window");
    let mut left = length;
    while left > 0 {
        let length = match left {
            0..=LONGEST => left,
            // What is left must not be too short.
            _ if left < LONGEST + SHORTEST => LONGEST - SHORTEST,
            _ => LONGEST,
        };
        sequence.length = u16::try_from(length).expect("no code is for more");
        sequences.push(sequence);
        sequence.literals = 0;
        left -= length;
    }
}

/// Returns how many bytes are at a place as they are so far before it, if at least so many are.
#[inline]
fn common_from(text: &[u8], at: usize, word: u64, distance: usize, least: u32) -> Option<usize> {
    if distance == 0 || distance > WINDOW || distance > at {
        return None;
    }
    let before = at - distance;
    let difference = read(text, before) ^ word;
    if difference.trailing_zeros() < least * 8 {
        return None;
    }
    if difference != 0 {
        return Some(difference.trailing_zeros() as usize / 8);
    }
    Some(8 + common(&text[before + 8..], &text[at + 8..]))
}

/// Returns how many bytes two texts begin with in common.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    let (ones, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    for (index, (one, other)) in ones.iter().zip(others).enumerate() {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return index * 8 + difference.trailing_zeros() as usize / 8;
        }
    }
    let same = ones.len().min(others.len()) * 8;
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Returns how many bytes two texts end with in common.
#[inline]
fn common_behind(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(one, other)| one == other).count()
}

/// Returns how many bytes behind the first of eight the next word begins, if one of them ends the one before:
/// any but an ASCII letter or digit does.
#[inline]
fn word_behind(bytes: u64) -> Option<usize> {
    const HIGH: u64 = all(0x80);
    let low = bytes & !HIGH;
    // The highest bit of each byte says whether the lower ones are at least this.
    let at_least = |bytes: u64, least: u8| bytes + all(0x80 - least);
    let lower_case = low | all(0x20);
    let is_digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let is_letter = at_least(lower_case, b'a') & !at_least(lower_case, b'z' + 1);
    let ends = (bytes | !(is_digit | is_letter)) & HIGH;
    (ends != 0).then(|| ends.trailing_zeros() as usize / 8 + 1)
}

const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[inline]
fn read(text: &[u8], at: usize) -> u64 {
    let bytes = text[at..at + 8].first_chunk().expect("eight bytes");
    u64::from_le_bytes(*bytes)
}

#[inline]
fn low_bits(place: usize) -> u16 {
    let [lowest, next, ..] = place.to_le_bytes();
    u16::from_le_bytes([lowest, next])
}
