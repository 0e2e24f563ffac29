//! Lists of names as Bloom filters: a kilobyte holds some eight hundred names, and one in sixty
//! other words seems to be listed.

use super::sheet::Word;

/// Lists: first names, surnames, cities, countries and regions, organisations.
pub const LISTS: usize = 5;
/// Their names in the weights' file.
pub const NAMES: [&str; LISTS] = ["first", "last", "city", "region", "organisation"];
/// Words of the longest name that is looked up.
const LONGEST: usize = 3;
/// Places of a name in a filter.
const HASHES: u64 = 4;
/// Bits a name.
const SHARE: usize = 10;

/// The lists of a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lexicon {
    /// Bits of each list, eight a byte.
    pub filters: [Vec<u8>; LISTS],
}

impl Lexicon {
    /// Filters of lists of names in lower case.
    #[must_use]
    pub fn new(lists: &[Vec<String>; LISTS]) -> Self {
        Self {
            filters: std::array::from_fn(|list| {
                lists
                    .get(list)
                    .map(|names| filter(names))
                    .unwrap_or_default()
            }),
        }
    }

    /// Whether list `list` seems to hold `name`, which is in lower case.
    #[must_use]
    pub fn holds(&self, list: usize, name: &str) -> bool {
        let Some(filter) = self.filters.get(list).filter(|filter| !filter.is_empty()) else {
            return false;
        };
        places(name, filter.len())
            .all(|(byte, bit)| filter.get(byte).is_some_and(|bits| bits & bit != 0))
    }

    /// A bit for each list that holds a word, or up to three words in a row.
    #[must_use]
    pub fn marks(&self, text: &str, words: &[Word]) -> Vec<u8> {
        let mut marks = vec![0; words.len()];
        for (at, word) in words.iter().enumerate() {
            for count in 1..=LONGEST.min(words.len() - at) {
                let end = words.get(at + count - 1).map_or(word.end, |last| last.end);
                let Some(name) = text
                    .get(word.start..end)
                    .filter(|name| name.starts_with(char::is_alphabetic))
                else {
                    break;
                };
                let name = name.to_lowercase();
                let held = (0..LISTS)
                    .filter(|list| self.holds(*list, &name))
                    .fold(0, |held, list| held | 1 << list);
                marks
                    .iter_mut()
                    .skip(at)
                    .take(count)
                    .for_each(|marks| *marks |= held);
            }
        }
        marks
    }
}

fn filter(names: &[String]) -> Vec<u8> {
    let bytes = (names.len() * SHARE).div_ceil(8).max(1);
    let mut filter = vec![0; bytes];
    for (byte, bit) in names.iter().flat_map(|name| places(name, bytes)) {
        if let Some(bits) = filter.get_mut(byte) {
            *bits |= bit;
        }
    }
    filter
}

/// Byte and bit of each hash of a name.
fn places(name: &str, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let (first, second) = (hash ^ hash >> 29, hash.rotate_right(17) | 1);
    let bits = (bytes * 8) as u64;
    (0..HASHES).map(move |index| {
        let bit = first.wrapping_add(index.wrapping_mul(second)) % bits;
        ((bit / 8) as usize, 1 << (bit % 8))
    })
}
