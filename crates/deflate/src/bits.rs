//! Bits behind the bytes of a file, the lowest first (RFC 1951 section 3.1.1).

/// So many bits, up to 32 of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Code {
    pub(crate) bits: u32,
    pub(crate) count: u32,
}

/// What is appended to a file.
pub(crate) struct Bits<'a> {
    /// With room behind `at` for what was announced.
    file: &'a mut Vec<u8>,
    at: usize,
    /// What is not yet in whole bytes of the file.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(file: &'a mut Vec<u8>) -> Self {
        Self {
            at: file.len(),
            file,
            held: 0,
            count: 0,
        }
    }

    /// Makes room for so many bytes, and for those that are held.
    pub(crate) fn announce(&mut self, bytes: usize) {
        // A flush writes eight bytes, of which all may be to come.
        self.file.resize(self.at + bytes + 16, 0);
    }

    /// Adds bits, up to 56 of them between two flushes.
    #[inline]
    pub(crate) fn add(&mut self, Code { bits, count }: Code) {
        self.held |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Puts whole bytes into the file.
    #[inline]
    pub(crate) fn flush(&mut self) {
        self.file[self.at..self.at + 8].copy_from_slice(&self.held.to_le_bytes());
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.held >>= bytes * 8;
        self.count %= 8;
    }

    /// Adds bits that make the last byte whole, and ends the file there.
    pub(crate) fn fill_byte(&mut self) {
        self.announce(0);
        self.count = self.count.next_multiple_of(8);
        self.flush();
        self.file.truncate(self.at);
    }

    /// Appends whole bytes, which begin with the next whole byte.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.fill_byte();
        self.file.extend_from_slice(bytes);
        self.at = self.file.len();
    }
}
