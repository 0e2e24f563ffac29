//! The characters that a pattern tells apart.

use std::collections::HashMap;

/// Characters in classes: a pattern treats all of one class alike.
#[derive(Debug)]
pub(super) struct Alphabet {
    /// The classes of the ASCII characters.
    ascii: Box<[usize]>,
    /// The first character of each range, with the range's class; sorted, the first is 0.
    ranges: Vec<(u32, usize)>,
}

/// Ranges of characters, the ends included.
pub(super) type Ranges = Vec<(u32, u32)>;

impl Alphabet {
    /// Makes the classes that `sets` tell apart; and which of the sets each class belongs to.
    pub(super) fn of(sets: &[Ranges]) -> (Self, Vec<Vec<bool>>) {
        let ends = |&(first, last): &(u32, u32)| [first, last + 1];
        let mut firsts: Vec<u32> = sets.iter().flatten().flat_map(ends).collect();
        firsts.push(0);
        firsts.sort_unstable();
        firsts.dedup();

        let mut classes: HashMap<Vec<bool>, usize> = HashMap::new();
        let mut members = Vec::new();
        let mut ranges: Vec<(u32, usize)> = Vec::with_capacity(firsts.len());
        for first in firsts {
            let membership: Vec<bool> = sets.iter().map(|set| contains(set, first)).collect();
            let class = *classes.entry(membership).or_insert_with_key(|membership| {
                members.push(membership.clone());
                members.len() - 1
            });
            if ranges.last().is_none_or(|(_, last)| *last != class) {
                ranges.push((first, class));
            }
        }
        let mut alphabet = Self {
            ascii: Box::default(),
            ranges,
        };
        alphabet.ascii = (0..128_u8).map(|c| alphabet.find(c.into())).collect();
        (alphabet, members)
    }

    /// Returns the class of a character.
    pub(super) fn class(&self, c: char) -> usize {
        match self.ascii.get(c as usize) {
            Some(class) => *class,
            None => self.find(c.into()),
        }
    }

    fn find(&self, c: u32) -> usize {
        let after = self.ranges.partition_point(|(first, _)| *first <= c);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.map_or(0, |(_, class)| *class)
    }
}

fn contains(set: &Ranges, c: u32) -> bool {
    let after = set.partition_point(|(first, _)| *first <= c);
    let range = after.checked_sub(1).and_then(|at| set.get(at));
    range.is_some_and(|(_, last)| c <= *last)
}
