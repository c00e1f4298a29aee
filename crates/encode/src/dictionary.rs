//! The distinct texts of a column chunk, in the order in which they come.

use std::hash::BuildHasher;
use std::mem;

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

/// Where a text is. With its hash, so that none is made again when the table grows.
struct Place {
    hash: u64,
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
        let hash = hasher.hash_one(text);
        let is_it = |it: &Place| it.hash == hash && at(page, starts, it.place) == text;
        if let Some(it) = places.find(hash, is_it) {
            return it.place;
        }
        let place = u32::try_from(starts.len() - 1).expect("a page is far smaller than 4 GiB");
        plain::write(text, page);
        starts.push(page.len() + plain::LENGTH_BYTES);
        places.insert_unique(hash, Place { hash, place }, |it| it.hash);
        place
    }

    /// Returns the text at a place, if there is one.
    pub(crate) fn text(&self, place: u32) -> Option<&[u8]> {
        ((place as usize) < self.len()).then(|| at(&self.page, &self.starts, place))
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

fn at<'a>(page: &'a [u8], starts: &[usize], place: u32) -> &'a [u8] {
    let place = place as usize;
    &page[starts[place]..starts[place + 1] - plain::LENGTH_BYTES]
}
