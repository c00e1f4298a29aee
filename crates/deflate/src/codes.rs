//! Codes of Huffman, the most frequent symbols the shortest (RFC 1951 section 3.2.2).

use crate::bits::Code;

/// The longest code that there can be for anything.
const LONGEST: usize = 15;

/// Returns the length in bits of the code of each symbol, none longer than `most`, which must be enough for all
/// symbols. A symbol that does not occur has none, which is 0, but at least two symbols have: decoders want each
/// sequence of bits to mean something.
pub(crate) fn lengths<const N: usize>(counts: &[u32; N], most: usize) -> [u8; N] {
    let mut used: Vec<(u32, usize)> = (0..N)
        .filter(|symbol| counts[*symbol] > 0)
        .map(|symbol| (counts[symbol], symbol))
        .collect();
    let unused = (0..N).filter(|symbol| counts[*symbol] == 0);
    let missing = 2_usize.saturating_sub(used.len());
    used.extend(unused.take(missing).map(|symbol| (0, symbol)));
    used.sort_unstable();

    let counts: Vec<u32> = used.iter().map(|(count, _)| *count).collect();
    let mut of_length = limited(&depths(&counts), most);
    let mut lengths = [0; N];
    let mut length = most;
    // The rarest have the longest.
    for (_, symbol) in used {
        while of_length[length] == 0 {
            length -= 1;
        }
        of_length[length] -= 1;
        lengths[symbol] = u8::try_from(length).expect("no code is that long");
    }
    lengths
}

/// Returns how deep in the best tree each of at least two leaves is, which are sorted by their weights.
fn depths(leaves: &[u32]) -> Vec<usize> {
    let nodes = 2 * leaves.len() - 1;
    let root = nodes - 1;
    // Behind the leaves come the nodes above them, which are made in the order of their weights too.
    let mut weights = leaves.to_vec();
    let mut parents = vec![root; nodes];
    let (mut leaf, mut inner) = (0, leaves.len());
    for node in leaves.len()..nodes {
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf = leaf < leaves.len() && (inner == node || weights[leaf] <= weights[inner]);
            let lightest = if is_leaf { &mut leaf } else { &mut inner };
            weight += weights[*lightest];
            parents[*lightest] = node;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; nodes];
    for node in (0..root).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(leaves.len());
    depths
}

/// Returns how many codes of each length there are if none is longer than `most`.
fn limited(depths: &[usize], most: usize) -> [u32; LONGEST + 1] {
    let mut of_length = [0; LONGEST + 1];
    for depth in depths {
        of_length[(*depth).min(most)] += 1;
    }
    // Of all sequences of `most` bits, how many begin with a code: those that were cut begin with too many.
    let mut taken: u32 = (1..=most)
        .map(|length| of_length[length] << (most - length))
        .sum();
    while taken > 1 << most {
        // The longest code below the limit becomes two, one of which is for a code that was cut.
        let longest = (1..most).rev().find(|length| of_length[*length] > 0);
        let longest = longest.expect("there are fewer symbols than codes");
        of_length[longest] -= 1;
        of_length[longest + 1] += 2;
        of_length[most] -= 1;
        taken -= 1;
    }
    of_length
}

/// Returns the codes of those lengths, with the bits in the order in which they are written.
pub(crate) fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut symbols: Vec<usize> = (0..N).filter(|symbol| lengths[*symbol] > 0).collect();
    symbols.sort_by_key(|symbol| lengths[*symbol]);
    let mut codes = [Code::default(); N];
    let (mut next, mut before) = (0_u32, 0);
    for symbol in symbols {
        let count = u32::from(lengths[symbol]);
        next <<= count - before;
        before = count;
        codes[symbol] = Code {
            bits: next.reverse_bits() >> (32 - count),
            count,
        };
        next += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{codes, lengths};

    proptest! {
        #[test]
        fn every_sequence_of_bits_means_something(counts: [u32; 30], rare in 0_u32..30, most in 6_usize..=15) {
            // The more they differ, the longer the codes would be.
            let counts: [u32; 30] = std::array::from_fn(|symbol| (counts[symbol] >> 8) >> (u32::try_from(symbol).unwrap() % (rare + 1)));
            let lengths = lengths(&counts, most);
            let taken: u32 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (most - usize::from(*length))).sum();
            prop_assert_eq!(taken, 1 << most);
            for symbol in 0..30 {
                prop_assert!(counts[symbol] == 0 || lengths[symbol] > 0);
                for other in 0..30 {
                    prop_assert!(counts[symbol] <= counts[other] || lengths[symbol] <= lengths[other] || lengths[other] == 0);
                }
            }
            let codes = codes(&lengths);
            for (symbol, code) in codes.iter().enumerate() {
                for other in codes.iter().skip(symbol + 1) {
                    let shorter = code.count.min(other.count);
                    prop_assert!(shorter == 0 || (code.bits ^ other.bits).trailing_zeros() < shorter);
                }
            }
        }
    }
}
