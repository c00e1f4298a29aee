//! Reading from bytes that may end anywhere: whoever reads keeps what it has so far, and goes on
//! when there are more.

/// The part of a chunk that nobody has read yet.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn skip(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    /// Takes so many bytes, or as many as there are.
    pub(crate) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// A number is longer than 64 bits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Reads a `VarUInt`: seven bits a byte, the lowest first, the eighth set in all but the last.
#[derive(Debug, Default)]
pub(crate) struct VarUInt {
    value: u64,
    shift: u32,
}

impl VarUInt {
    /// Returns the number once it is complete.
    pub(crate) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<u64>, TooLong> {
        while let [byte] = *input.take(1) {
            let bits = u64::from(byte & 0x7f);
            if self.shift > 63 || bits << self.shift >> self.shift != bits {
                return Err(TooLong);
            }
            self.value |= bits << self.shift;
            self.shift += 7;
            if byte < 0x80 {
                return Ok(Some(std::mem::take(self).value));
            }
        }
        Ok(None)
    }

    /// Says whether there is a number of which some bytes were read.
    pub(crate) fn is_begun(&self) -> bool {
        self.shift > 0
    }
}

/// Reads elements of a fixed width, and keeps one that is not complete.
#[derive(Debug)]
pub(crate) struct Elements<const WIDTH: usize> {
    partial: [u8; WIDTH],
    length: usize,
}

impl<const WIDTH: usize> Default for Elements<WIDTH> {
    fn default() -> Self {
        Self {
            partial: [0; WIDTH],
            length: 0,
        }
    }
}

impl<const WIDTH: usize> Elements<WIDTH> {
    /// Hands on up to `left` elements in runs as long as possible, and counts `left` down.
    pub(crate) fn read(
        &mut self,
        input: &mut Input<'_>,
        left: &mut usize,
        mut each: impl FnMut(&[[u8; WIDTH]]),
    ) {
        if *left > 0 && self.length > 0 {
            let Some(element) = self.one(input) else {
                return;
            };
            each(&[element]);
            *left -= 1;
        }
        let (whole, _) = input.rest().as_chunks::<WIDTH>();
        let whole = &whole[..whole.len().min(*left)];
        if !whole.is_empty() {
            each(whole);
            *left -= whole.len();
            input.skip(whole.len() * WIDTH);
        }
        if *left > 0 {
            // Fewer bytes than an element are left.
            let part = input.take(WIDTH);
            self.partial[..part.len()].copy_from_slice(part);
            self.length = part.len();
        }
    }

    /// Returns one element once it is complete.
    pub(crate) fn one(&mut self, input: &mut Input<'_>) -> Option<[u8; WIDTH]> {
        let part = input.take(WIDTH - self.length);
        self.partial[self.length..][..part.len()].copy_from_slice(part);
        self.length += part.len();
        if self.length < WIDTH {
            return None;
        }
        self.length = 0;
        Some(self.partial)
    }
}

/// Reads a text of the header: a length and that many bytes.
#[derive(Debug, Default)]
pub(crate) struct Text {
    number: VarUInt,
    length: Option<usize>,
    bytes: Vec<u8>,
}

/// What is wrong with a text of the header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// Its length is no number.
    Number,
    /// It is longer than is allowed.
    Limit,
}

impl Text {
    /// Returns the text once it is complete.
    pub(crate) fn read(
        &mut self,
        input: &mut Input<'_>,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, TextError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.number.read(input).map_err(|_| TextError::Number)? {
                Some(length) => {
                    let length = usize::try_from(length).map_err(|_| TextError::Limit)?;
                    if length > limit {
                        return Err(TextError::Limit);
                    }
                    *self.length.insert(length)
                }
                None => return Ok(None),
            },
        };
        self.bytes
            .extend_from_slice(input.take(length - self.bytes.len()));
        if self.bytes.len() < length {
            return Ok(None);
        }
        Ok(Some(std::mem::take(self).bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Elements, Input, Text, TextError, TooLong, VarUInt};

    fn number(bytes: &[u8]) -> Result<Option<u64>, TooLong> {
        let mut number = VarUInt::default();
        for byte in bytes {
            if let Some(value) = number.read(&mut Input::new(&[*byte]))? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        assert_eq!(number(&[0]), Ok(Some(0)));
        assert_eq!(number(&[0x7f]), Ok(Some(127)));
        assert_eq!(number(&[0x80, 1]), Ok(Some(128)));
        assert_eq!(number(&[0x80]), Ok(None));
        let mut greatest = [0xff; 10];
        greatest[9] = 1;
        assert_eq!(number(&greatest), Ok(Some(u64::MAX)));
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 2;
        assert_eq!(number(&bytes), Err(TooLong));
        assert_eq!(number(&[0x80; 11]), Err(TooLong));
    }

    #[test]
    fn elements_may_be_cut_anywhere() {
        let bytes: Vec<u8> = (0..20).collect();
        for size in 1..=bytes.len() {
            let mut elements = Elements::<3>::default();
            let (mut left, mut seen, mut unread) = (5, Vec::new(), 0);
            for chunk in bytes.chunks(size) {
                let mut input = Input::new(chunk);
                elements.read(&mut input, &mut left, |run| {
                    seen.extend(run.iter().copied());
                });
                unread += input.rest().len();
            }
            assert_eq!(seen.concat(), bytes[..15], "{size}");
            assert_eq!((left, unread), (0, 5), "{size}");
        }
    }

    #[test]
    fn a_text_is_limited() {
        let read = |bytes: &[u8]| Text::default().read(&mut Input::new(bytes), 3);
        assert_eq!(read(b"\x03abcd"), Ok(Some(b"abc".to_vec())));
        assert_eq!(read(b"\x03ab"), Ok(None));
        assert_eq!(read(b"\x04"), Err(TextError::Limit));
        assert_eq!(read(&[0xff; 10]), Err(TextError::Number));
    }
}
