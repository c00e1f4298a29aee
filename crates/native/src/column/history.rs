//! How much to allocate: what the block before had for as many rows.

/// What the last array had. All of it had come, so it is safe to allocate once more, and that
/// saves growing step by step, which copies.
#[derive(Clone, Copy, Default)]
pub(super) struct History {
    rows: usize,
    length: usize,
}

impl History {
    /// Remembers an array of so many rows, and the length of its vector.
    pub(super) fn remember(&mut self, rows: usize, length: usize) {
        *self = Self { rows, length };
    }

    /// Returns how long a vector for so many rows may become: an eighth more than the last, and
    /// no more than that for more rows.
    pub(super) fn expect(&self, rows: usize) -> usize {
        if self.rows == 0 {
            return 0;
        }
        let expected = if rows < self.rows {
            // Less than the length, even where the product is cut.
            self.length.saturating_mul(rows) / self.rows
        } else {
            self.length
        };
        expected + expected / 8
    }
}

#[cfg(test)]
mod tests {
    use super::History;

    #[test]
    fn no_more_is_expected_than_came() {
        let mut history = History::default();
        assert_eq!(history.expect(1 << 30), 0);
        history.remember(100, 1600);
        assert_eq!(history.expect(100), 1800);
        assert_eq!(history.expect(1 << 30), 1800);
        assert_eq!(history.expect(50), 900);
        assert_eq!(history.expect(0), 0);
        history.remember(1, usize::MAX / 2);
        assert_eq!(history.expect(0), 0);
    }
}
