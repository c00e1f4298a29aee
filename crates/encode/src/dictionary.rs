//! The distinct texts of a column chunk, in the order in which they come.

use std::hash::BuildHasher;
use std::mem;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::plain;

/// A dictionary page in the making.
pub(crate) struct Dictionary {
    hasher: DefaultHashBuilder,
    places: HashTable<Place>,
    /// Where each text begins in the page, and where the next one would.
    starts: Vec<usize>,
    /// The texts as the format's encoding `PLAIN` has them.
    page: Vec<u8>,
}

/// Where a text is, with half of its hash: none is made again when the table grows, and the table of a
/// large dictionary is half as large as with all of it.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    place: u32,
}

impl Dictionary {
    pub(crate) fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            places: HashTable::new(),
            starts: vec![plain::LENGTH_BYTES],
            page: Vec::new(),
        }
    }

    /// Returns the place of a text, which is a new one if it has not come before.
    pub(crate) fn place(&mut self, text: &[u8]) -> u32 {
        let Self {
            hasher,
            places,
            starts,
            page,
        } = self;
        let hash = (hasher.hash_one(text) >> u32::BITS) as u32;
        let is_it = |it: &Place| it.hash == hash && at(page, starts, it.place) == text;
        match places.entry(whole(hash), is_it, |it| whole(it.hash)) {
            Entry::Occupied(it) => it.get().place,
            Entry::Vacant(vacant) => {
                let place = starts.len() - 1;
                let place = u32::try_from(place).expect("a page is far smaller than 4 GiB");
                plain::write(text, page);
                starts.push(page.len() + plain::LENGTH_BYTES);
                vacant.insert(Place { hash, place });
                place
            }
        }
    }

    /// Returns the texts at some places, each once.
    pub(crate) fn texts(&self, places: &[u32]) -> impl Iterator<Item = &[u8]> {
        let mut is_seen = vec![false; self.len()];
        let places = places.iter();
        let unseen =
            places.filter(move |place| !mem::replace(&mut is_seen[**place as usize], true));
        unseen.map(|place| at(&self.page, &self.starts, *place))
    }

    /// Returns the number of texts.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns how large its page is.
    pub(crate) fn bytes(&self) -> usize {
        self.page.len()
    }

    /// Returns the texts as a page has them.
    pub(crate) fn into_page(self) -> Vec<u8> {
        self.page
    }
}

/// Returns half a hash as both halves: the table finds a place by the lowest bits, and tells what is there
/// from something else by the highest.
fn whole(half: u32) -> u64 {
    u64::from(half) << u32::BITS | u64::from(half)
}

fn at<'a>(page: &'a [u8], starts: &[usize], place: u32) -> &'a [u8] {
    let place = place as usize;
    &page[starts[place]..starts[place + 1] - plain::LENGTH_BYTES]
}
