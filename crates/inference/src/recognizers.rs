//! Recognizers: entities that rules can find, and verify where the entity carries a checksum.
//!
//! One pass over the text as a reader sees it ([`legible`](crate::legible)). Each recognizer starts at a mark (an at sign, the first digit of a
//! number, the first letter of a word) and reads a bounded stretch around it, so the cost is linear
//! in the text whatever it holds.
//!
//! Confidences say what a policy may rely on:
//!
//! | confidence | found by |
//! |---|---|
//! | 1.0 | a checksum: CREDIT_CARD (Luhn, issuer and length), IBAN_CODE (country, length and mod 97) |
//! | 0.9 to 0.99 | form that nothing else has, or form and a word near it: EMAIL_ADDRESS, IP_ADDRESS, US_SSN, PHONE_NUMBER, US_DRIVER_LICENSE, national numbers, a date of birth |
//! | 0.3 to 0.6 | form alone, of what rarely names anybody: DATE_TIME, AGE, ZIP_CODE, DOMAIN_NAME, TITLE, loopback addresses |
//!
//! The last row stays below every sensible threshold on purpose: a policy whose allow-list is empty
//! fires on any entity that reaches its threshold, and a weekday or a link must not count as
//! personal data. Who wants them sets a lower threshold.

mod around;
mod card;
mod date;
mod email;
mod iban;
mod ip;
mod licence;
mod national;
mod number;
mod phone;
mod ssn;
mod text;
mod weak;

use crate::ask::Entity;
use text::{Text, is_word};

/// Types that rules can find.
pub const KINDS: [&str; 36] = [
    "AGE",
    "AU_TFN",
    "BR_CNPJ",
    "BR_CPF",
    "CA_SIN",
    "CN_RESIDENT_ID",
    "CREDIT_CARD",
    "DATE_TIME",
    "DE_TAX_ID",
    "DOMAIN_NAME",
    "EMAIL_ADDRESS",
    "ES_NIE",
    "ES_NIF",
    "FR_NIR",
    "IBAN_CODE",
    "ID_NIK",
    "IN_AADHAAR",
    "IN_PAN",
    "IP_ADDRESS",
    "IT_FISCAL_CODE",
    "JP_MY_NUMBER",
    "KR_RRN",
    "NL_BSN",
    "PHONE_NUMBER",
    "PL_PESEL",
    "RU_INN",
    "RU_SNILS",
    "TH_TNIN",
    "TITLE",
    "TR_TCKN",
    "UA_RNOKPP",
    "UK_NHS",
    "US_DRIVER_LICENSE",
    "US_SSN",
    "VN_CCCD",
    "ZIP_CODE",
];

/// Bytes that are read together: what is made of them takes twelve times their room.
const SLICE: usize = 128 << 10;
/// Bytes on both sides of a slice that are read with it. What stands around an entity tells by far
/// fewer what it is.
const AROUND: usize = 4 << 10;

/// Entities of `text`, in order of their start, without overlaps: the surer one stands, of equals
/// the longer.
#[must_use]
pub fn find(text: &str) -> Vec<Entity> {
    let mut search = Search::default();
    while !search.read_on(text) {}
    search.found
}

/// A search through a text, slice by slice, so that others have their turn between two slices.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// What was found so far.
    pub(crate) found: Vec<Entity>,
    /// Bytes of the text that were read.
    read: usize,
    /// Scalars of the text that were read.
    scalars: usize,
}

impl Search {
    /// Reads one more slice. Returns whether it was the last.
    pub(crate) fn read_on(&mut self, text: &str) -> bool {
        self.read_slice(text, SLICE, AROUND)
    }

    fn read_slice(&mut self, text: &str, slice: usize, around: usize) -> bool {
        let scalars =
            |from: usize, to: usize| text.get(from..to).unwrap_or_default().chars().count();
        let (from, first) = (self.read, self.scalars);
        let to = text.ceil_char_boundary(from + slice);
        let begin = text.floor_char_boundary(from.saturating_sub(around));
        let end = text.ceil_char_boundary(to + around);
        let (before, own) = (scalars(begin, from), scalars(from, to));

        let entities = find_together(text.get(begin..end).unwrap_or_default());
        let entities = entities
            .into_iter()
            .filter(|entity| (before..before + own).contains(&entity.start));
        self.found.extend(entities.map(|entity| Entity {
            start: entity.start - before + first,
            end: entity.end - before + first,
            ..entity
        }));
        self.scalars += own;
        self.read = to;
        to >= text.len()
    }
}

/// Entities across the joints of texts that follow each other: a number that somebody writes half in
/// one turn and half in the next, between its groups or within one. Only those that a checksum or
/// their form proves; each with the number of the text that it ends in.
#[must_use]
pub fn across(texts: &[&str]) -> Vec<Across> {
    let apart = across_joints(texts, |_, _| "\n");
    let is_digit = |scalar: Option<char>| scalar.is_some_and(|scalar| scalar.is_ascii_digit());
    let fused = across_joints(texts, |before, after| {
        let goes_on = is_digit(before.chars().next_back()) && is_digit(after.chars().next());
        if goes_on { "" } else { "\n" }
    });
    apart.into_iter().chain(fused).collect()
}

fn across_joints(texts: &[&str], by: impl Fn(&str, &str) -> &'static str) -> Vec<Across> {
    let mut joined = String::new();
    let mut joints = Vec::new();
    for text in texts {
        let text = text.trim();
        joined.push_str(by(&joined, text));
        joints.push(joined.chars().count());
        let head = text.floor_char_boundary(JOINED);
        let tail = text.ceil_char_boundary(text.len().saturating_sub(JOINED));
        let cut = (head < tail).then(|| (text.get(..head), text.get(tail..)));
        match cut {
            Some((Some(head), Some(tail))) => joined.extend([head, " … ", tail]),
            _ => joined.push_str(text),
        }
    }
    let proven = find_together(&joined)
        .into_iter()
        .filter(|entity| PROVEN.contains(&&*entity.kind) && entity.confidence >= LIKELY);
    proven
        .filter_map(|entity| {
            let ends_in = joints.partition_point(|joint| *joint < entity.end);
            let ends_in = ends_in.checked_sub(1)?;
            let is_across = joints
                .get(ends_in)
                .is_some_and(|joint| entity.start < *joint);
            is_across.then_some(Across { entity, ends_in })
        })
        .collect()
}

/// An entity across texts.
#[derive(Debug, Clone)]
pub struct Across {
    /// What was found; its places are of no single text.
    pub entity: Entity,
    /// Which of the texts it ends in.
    pub ends_in: usize,
}

/// Bytes at both ends of a text that are read together with its neighbours.
const JOINED: usize = 64;
/// Types that are found across texts.
const PROVEN: [&str; 3] = ["CREDIT_CARD", "IBAN_CODE", "US_SSN"];

#[cfg(test)]
fn find_in_slices(text: &str, slice: usize, around: usize) -> Vec<Entity> {
    let mut search = Search::default();
    while !search.read_slice(text, slice, around) {}
    search.found
}

fn find_together(text: &str) -> Vec<Entity> {
    let text = Text::new(text);
    scan(&text)
        .into_iter()
        .map(|found| text.entity(found))
        .collect()
}

/// The entities of rules and of a token head as one list in order of their start. A verified or
/// likely one of the rules stands, and what the head found across it gives way; a weak one of the
/// rules gives way to the head.
#[must_use]
pub fn merge(recognized: Vec<Entity>, tagged: Vec<Entity>) -> Vec<Entity> {
    let (strong, weak): (Vec<Entity>, Vec<Entity>) = recognized
        .into_iter()
        .partition(|entity| entity.confidence >= LIKELY);
    let mut merged = strong;
    for group in [tagged, weak] {
        let before = merged.clone();
        merged.extend(group.into_iter().filter(|entity| !crosses(&before, entity)));
        merged.sort_by_key(|entity| (entity.start, entity.end));
    }
    merged
}

/// Below this a form alone was seen.
const LIKELY: f32 = 0.9;

/// Whether `entity` overlaps one of `sorted`, which do not overlap each other.
fn crosses(sorted: &[Entity], entity: &Entity) -> bool {
    let next = sorted.partition_point(|other| other.end <= entity.start);
    sorted
        .get(next)
        .is_some_and(|other| other.start < entity.end)
}

/// What a recognizer found: scalars `start..end` of a type.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    kind: &'static str,
    start: usize,
    end: usize,
    confidence: f32,
}

impl Found {
    fn new(kind: &'static str, start: usize, end: usize, confidence: f32) -> Self {
        Self {
            kind,
            start,
            end,
            confidence,
        }
    }
}

/// Everything found, settled: by confidence, then by length.
fn scan(text: &Text) -> Vec<Found> {
    let mut found = Vec::new();
    for at in 0..text.len() {
        start_at(text, at, &mut found);
    }
    settle(found)
}

/// Asks the recognizers whose mark stands at `at`.
fn start_at(text: &Text, at: usize, found: &mut Vec<Found>) {
    let Some(mark) = text.get(at) else { return };
    match mark {
        '@' => found.extend(email::around(text, at)),
        '.' => found.extend(weak::domain_around(text, at)),
        '+' | '(' => found.extend(phone::at(text, at)),
        ':' => found.extend(ip::v6_from(text, at)),
        _ if mark.is_ascii_digit() && text.begins_word(at) => number_at(text, at, found),
        _ if mark.is_ascii_digit() && !text.before(at).is_some_and(|it| it.is_ascii_digit()) => {
            found.extend(card::glued(text, at));
        }
        _ if mark.is_alphabetic() && is_word(mark) && text.begins_word(at) => {
            word_at(text, at, found)
        }
        _ => {}
    }
}

fn number_at(text: &Text, at: usize, found: &mut Vec<Found>) {
    found.extend(ip::v6_from(text, at));
    found.extend(ip::v4_at(text, at));
    found.extend(card::at(text, at));
    found.extend(ssn::at(text, at));
    found.extend(phone::at(text, at));
    found.extend(date::at_number(text, at));
    found.extend(weak::zip_at(text, at));
    found.extend(weak::age_at(text, at));
    found.extend(licence::at(text, at));
    national::at_number(text, at, found);
}

fn word_at(text: &Text, at: usize, found: &mut Vec<Found>) {
    found.extend(ip::v6_from(text, at));
    found.extend(iban::at(text, at));
    found.extend(licence::at(text, at));
    found.extend(date::at_month(text, at));
    found.extend(weak::title_at(text, at));
    national::at_word(text, at, found);
}

/// Keeps the surest of what overlaps. Found spans are short, so only a few lie across each other.
fn settle(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        let weaker = |kept: &Found| {
            (kept.confidence, kept.end - kept.start) < (next.confidence, next.end - next.start)
        };
        let stands = kept
            .iter()
            .rev()
            .take_while(|kept| kept.end > next.start)
            .all(weaker);
        if stands {
            while kept.last().is_some_and(|kept| kept.end > next.start) {
                kept.pop();
            }
            kept.push(next);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
