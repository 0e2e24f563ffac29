//! Lists of values for slots, and chance.

use super::languages::Language;
use inference::token_head::lexicon::Lexicon;
use std::collections::BTreeMap;

const LISTS: &str = include_str!("../../corpus/pii_values.txt");
const NAMES: &str = include_str!("../../corpus/pii_names.txt");

/// Lists by section.
#[derive(Debug)]
pub(super) struct Values {
    lists: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Values {
    /// The lists of the corpus; those of names are the sections `all.first`, `all.last` and
    /// `all.city`.
    pub(super) fn shipped() -> Self {
        let mut lists = BTreeMap::new();
        read(LISTS, &mut lists);
        let mut names = BTreeMap::new();
        read(NAMES, &mut names);
        for (section, all) in [
            ("first", "all.first"),
            ("last", "all.last"),
            ("city", "all.city"),
        ] {
            lists.insert(all, names.remove(section).unwrap_or_default());
        }
        Self { lists }
    }

    /// The list of a section; empty if there is none.
    pub(super) fn list(&self, section: &str) -> &[&'static str] {
        self.lists
            .get(section)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// What the head knows by heart, with the names of `languages`.
    pub(super) fn lexicon(&self, languages: &[Language]) -> Lexicon {
        let under = |prefixes: &[&str]| -> Vec<String> {
            let section = |name: &str| {
                prefixes
                    .iter()
                    .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}.")))
            };
            let lists = self.lists.iter().filter(|(name, _)| section(name));
            lists
                .flat_map(|(_, list)| list)
                .map(|value| value.trim_start_matches("the ").to_lowercase())
                .collect()
        };
        let with = |prefixes: &[&str], section: &str| {
            let lists = languages
                .iter()
                .flat_map(|language| language.values(section));
            let values = lists.map(str::to_lowercase);
            under(prefixes).into_iter().chain(values).collect()
        };
        Lexicon::new(&[
            with(&["first", "all.first"], "first"),
            with(&["last", "all.last"], "last"),
            with(&["city", "all.city"], "place"),
            under(&["country", "state"]),
            with(&["org.known", "org.more"], "org"),
        ])
    }
}

fn read(text: &'static str, lists: &mut BTreeMap<&'static str, Vec<&'static str>>) {
    let mut section = "";
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => section = name,
            None => lists.entry(section).or_default().extend(
                line.split(',')
                    .map(str::trim)
                    .filter(|value| !value.is_empty()),
            ),
        }
    }
}

/// Chance from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// From `from` to `to`, both included.
    pub(super) fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// From 0 to 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// True so often.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.unit() < share
    }

    /// One of a list, which is not empty.
    pub(super) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(list.len());
        list.get(at).copied().unwrap_or_default()
    }

    /// Puts a list into another order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}
