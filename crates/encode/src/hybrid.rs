//! Small numbers in Parquet's hybrid of runs and packed bits: levels and places in a dictionary.

/// How many numbers are packed together.
const GROUP: usize = 8;

/// How many groups stand behind one byte that says how many.
const MOST_GROUPS: u8 = 63;

/// Appends numbers of `width` bits, 32 at most, as the format's encoding `RLE` has them
/// (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>): a run where a group and what
/// follows is the same, packed bits elsewhere.
pub(crate) fn encode<T>(mut numbers: &[T], width: u8, out: &mut Vec<u8>)
where
    T: Copy + Default + Eq + Into<u32>,
{
    let mut packed = Packed { head: 0, groups: 0 };
    while let Some((group, rest)) = numbers.split_first_chunk::<GROUP>() {
        let number = group[0];
        if *group == [number; GROUP] {
            let more = rest.iter().take_while(|other| **other == number).count();
            packed.end(out);
            repeat(number.into(), GROUP + more, width, out);
            numbers = &rest[more..];
        } else {
            packed.push(group, width, out);
            numbers = rest;
        }
    }
    if !numbers.is_empty() {
        let mut group = [T::default(); GROUP];
        group[..numbers.len()].copy_from_slice(numbers);
        packed.push(&group, width, out);
    }
    packed.end(out);
}

/// Returns how many bits the numbers up to `greatest` need.
pub(crate) fn width(greatest: u32) -> u8 {
    // 32 at most.
    (u32::BITS - greatest.leading_zeros()).to_le_bytes()[0]
}

fn repeat(number: u32, times: usize, width: u8, out: &mut Vec<u8>) {
    length(times << 1, out);
    let bytes = usize::from(width.div_ceil(8));
    out.extend_from_slice(&number.to_le_bytes()[..bytes]);
}

/// Groups of packed numbers.
struct Packed {
    /// Where the byte is that is to say how many.
    head: usize,
    groups: u8,
}

impl Packed {
    fn push<T: Copy + Into<u32>>(&mut self, group: &[T; GROUP], width: u8, out: &mut Vec<u8>) {
        if self.groups == 0 {
            self.head = out.len();
            out.push(0);
        }
        let (mut bits, mut filled) = (0_u64, 0);
        for number in group {
            bits |= u64::from((*number).into()) << filled;
            filled += u32::from(width);
            if filled >= u32::BITS {
                out.extend_from_slice(&bits.to_le_bytes()[..4]);
                bits >>= u32::BITS;
                filled -= u32::BITS;
            }
        }
        out.extend_from_slice(&bits.to_le_bytes()[..filled as usize / 8]);
        self.groups += 1;
        if self.groups == MOST_GROUPS {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut [u8]) {
        if self.groups > 0 {
            out[self.head] = self.groups << 1 | 1;
            self.groups = 0;
        }
    }
}

/// Appends a number as ULEB128.
fn length(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(numbers: &[u32], width: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(numbers, width, &mut bytes);
        bytes
    }

    #[test]
    fn bits_are_packed_as_the_format_says() {
        // The specification's own example.
        let packed = [0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(encoded(&[0, 1, 2, 3, 4, 5, 6, 7], 3)[1..], packed);
        assert_eq!(encoded(&[1, 2, 3], 8), [3, 1, 2, 3, 0, 0, 0, 0, 0]);
        let wide = [0xffff_ffff_u32, 0, 1, 0, 0xffff_fffe, 0, 2, 0];
        let bytes: Vec<_> = wide
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        assert_eq!(encoded(&wide, 32)[1..], bytes);
    }

    #[test]
    fn what_repeats_is_a_run() {
        assert!(encoded(&[], 7).is_empty());
        assert_eq!(encoded(&[0; 100], 0), [0xc8, 1]);
        assert_eq!(encoded(&[300; 8], 9), [16, 44, 1]);
        // The group before a run takes seven of its numbers.
        let runs = [&[1; 1][..], &[2; 17], &[3; 2]].concat();
        let first = [3, 1, 2, 2, 2, 2, 2, 2, 2];
        let last = [3, 3, 3, 0, 0, 0, 0, 0, 0];
        assert_eq!(encoded(&runs, 8), [&first[..], &[20, 2], &last].concat());
    }

    #[test]
    fn one_byte_says_how_many_groups_follow() {
        let numbers: Vec<u32> = (0..2).cycle().take(64 * GROUP).collect();
        let most = [vec![0x7f], vec![0xaa; 63]].concat();
        assert_eq!(encoded(&numbers, 1), [&most[..], &[3, 0xaa]].concat());
    }

    #[test]
    fn widths_are_the_least() {
        assert_eq!([0, 1, 2, 3, 4, u32::MAX].map(width), [0, 1, 2, 2, 3, 32]);
    }
}
