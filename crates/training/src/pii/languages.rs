//! Texts in other languages than English: templates with slots, sentences with spans marked in
//! place, and sentences that hold no name.

use super::fill::Filler;
use super::text::{Example, restyle};
use super::values::{Random, Values};
use super::{Languages, TrainError};
use inference::token_head::KINDS;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// The folder of the corpus with a file for each language.
const FOLDER: &str = "pii_languages";

/// What ends the name of such a file, behind the language.
const ENDING: &str = ".txt";

/// One line in so many is held out to choose the turning points.
const HELD_OUT: usize = 9;

/// The texts of one language.
#[derive(Debug)]
pub(super) struct Language {
    /// Its ISO-639-1 code.
    pub(super) code: String,
    sections: BTreeMap<String, Vec<String>>,
}

impl Language {
    /// Reads languages of a corpus, in order of their codes.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub(super) fn read(corpus: &Path, languages: Languages) -> Result<Vec<Self>, TrainError> {
        let folder = corpus.join(FOLDER);
        let failed = |path: &Path, error: std::io::Error| TrainError::Data {
            path: path.to_owned(),
            problem: error.into(),
        };
        let entries = std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
        let mut read = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let Some(code) = name.strip_suffix(ENDING) else {
                continue;
            };
            if languages == Languages::All || code == "en" {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
                read.push(Self {
                    code: code.to_owned(),
                    sections: sections(&text),
                });
            }
        }
        read.sort_by(|one, other| one.code.cmp(&other.code));
        Ok(read)
    }

    /// Returns the values of a list, one a line.
    pub(super) fn values(&self, section: &str) -> impl Iterator<Item = &str> {
        self.lines(section).iter().map(String::as_str)
    }

    /// Returns the sentences that stand as they are: with spans marked in place, and without any.
    fn written(&self, held_out: bool) -> Vec<Example> {
        let sections = ["inflected", "public", "clean"];
        let lines = sections.map(|section| self.chosen(section, held_out));
        lines.concat().into_iter().map(marked).collect()
    }

    /// Makes `count` texts to train on; each sentence that stands as it is is among them.
    pub(super) fn generated(
        &self,
        values: &Values,
        count: usize,
        random: &mut Random,
    ) -> Vec<Example> {
        let written = self.written(false);
        let slots = self.slots();
        let templates = self.chosen("templates", false);
        let made = count.saturating_sub(written.len());
        let text = |_| {
            let mut text = self.filled(&templates, &slots, values, random);
            let more = [0, 0, 0, 0, 1, 1, 2];
            for _ in 0..more.get(random.below(7)).copied().unwrap_or_default() {
                text.text.push_str(random.pick(&[" ", " ", "\n", "\n\n"]));
                text.append(&match random.chance(0.6) || written.is_empty() {
                    true => self.filled(&templates, &slots, values, random),
                    false => written
                        .get(random.below(written.len()))
                        .cloned()
                        .unwrap_or_default(),
                });
            }
            text
        };
        let made: Vec<Example> = (0..made).map(text).collect();
        made.into_iter().chain(written).collect()
    }

    /// Makes texts that no training saw: those held out, and the templates held out once each.
    pub(super) fn held_out(&self, values: &Values, random: &mut Random) -> Vec<Example> {
        let slots = self.slots();
        let templates = self.chosen("templates", true);
        let filled = |template| self.filled(&[template], &slots, values, random);
        let filled: Vec<Example> = templates.into_iter().map(filled).collect();
        filled.into_iter().chain(self.written(true)).collect()
    }

    fn lines(&self, section: &str) -> &[String] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    /// The lines that are held out, or the others.
    fn chosen(&self, section: &str, held_out: bool) -> Vec<&str> {
        let lines = self.lines(section).iter().enumerate();
        let chosen = lines.filter(|(at, _)| (at % HELD_OUT == HELD_OUT - 1) == held_out);
        chosen.map(|(_, line)| line.as_str()).collect()
    }

    fn slots(&self) -> Slots<'_> {
        Slots {
            order: Order::of(&self.code),
            first: self.lines("first"),
            last: self.lines("last"),
            full: self.lines("full"),
            place: self.lines("place"),
            organisation: self.lines("org"),
            street: self.lines("street"),
        }
    }

    fn filled(
        &self,
        templates: &[&str],
        slots: &Slots<'_>,
        values: &Values,
        random: &mut Random,
    ) -> Example {
        let mut text = Example::default();
        let mut rest = templates
            .get(random.below(templates.len()))
            .copied()
            .unwrap_or_default();
        while let Some((before, after)) = rest.split_once('{') {
            push(&mut text.text, before);
            let Some((slot, after)) = after.split_once('}') else {
                text.text.push('{');
                rest = after;
                continue;
            };
            rest = after;
            let start = text.text.len();
            match slots.value(slot, random) {
                Some((kind, value)) => {
                    text.text.push_str(&value);
                    text.spans.push((start, text.text.len(), kind));
                }
                None => text.text.push_str(&self.plain(slot, values, random)),
            }
        }
        push(&mut text.text, rest);
        restyle(&mut text, random);
        text
    }

    /// What is filled and not labelled.
    fn plain(&self, slot: &str, values: &Values, random: &mut Random) -> String {
        const URLS: [&str; 3] = [
            "https://example.com/a/17",
            "www.example.org",
            "http://10.0.0.7:8080/",
        ];
        let slot = match slot {
            "amount" => "amt",
            "url" => return random.pick(&URLS).into(),
            slot => slot,
        };
        let mut filler = Filler {
            values,
            random,
            language: &self.code,
        };
        filler.fill(slot)
    }
}

/// How a name is put together from a first name and a surname.
#[derive(Debug, Clone, Copy)]
enum Order {
    FirstLast,
    LastFirst,
    /// Without a space between: 王小明.
    Joined,
}

impl Order {
    fn of(language: &str) -> Self {
        match language {
            "zh" | "ja" | "ko" => Self::Joined,
            "vi" => Self::LastFirst,
            _ => Self::FirstLast,
        }
    }
}

/// Values of the slots that are labelled.
struct Slots<'a> {
    order: Order,
    first: &'a [String],
    last: &'a [String],
    full: &'a [String],
    place: &'a [String],
    organisation: &'a [String],
    street: &'a [String],
}

impl Slots<'_> {
    /// A value of a labelled slot, and its place in [`KINDS`](inference::token_head::KINDS).
    fn value(&self, slot: &str, random: &mut Random) -> Option<(usize, String)> {
        Some(match slot {
            "P" => (0, self.person(random)),
            "F" => (0, one(self.first, random).into()),
            "L" => (0, one(self.last, random).into()),
            "G" => (1, one(self.place, random).into()),
            "O" => (2, one(self.organisation, random).into()),
            "S" => (3, self.street(random)),
            _ => return None,
        })
    }

    fn person(&self, random: &mut Random) -> String {
        if random.chance(0.4) {
            return one(self.full, random).into();
        }
        let (first, last) = (one(self.first, random), one(self.last, random));
        match self.order {
            Order::FirstLast => format!("{first} {last}"),
            Order::LastFirst => format!("{last} {first}"),
            Order::Joined => format!("{last}{first}"),
        }
    }

    /// A street, now and then with another number.
    fn street(&self, random: &mut Random) -> String {
        let street = one(self.street, random);
        let change = random.chance(0.5);
        let digit = |sign: char| match sign.is_ascii_digit() && change {
            true => char::from(b'1' + random.below(9) as u8),
            false => sign,
        };
        street.chars().map(digit).collect()
    }
}

/// Appends a part of a line, in which `\n` is a new line.
fn push(text: &mut String, part: &str) {
    text.push_str(&part.replace("\\n", "\n"));
}

/// Reads a sentence with spans such as `[PERSON:Anna]`.
fn marked(line: &str) -> Example {
    let mut example = Example::default();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        push(&mut example.text, before);
        rest = after;
        let span = after.split_once(']').and_then(|(span, after)| {
            let (kind, value) = span.split_once(':')?;
            let kind = KINDS.iter().position(|known| *known == kind)?;
            Some((kind, value, after))
        });
        let Some((kind, value, after)) = span else {
            example.text.push('[');
            continue;
        };
        let start = example.text.len();
        push(&mut example.text, value);
        example.spans.push((start, example.text.len(), kind));
        rest = after;
    }
    push(&mut example.text, rest);
    example
}

/// One of a list; nothing of an empty one.
fn one<'a>(list: &'a [String], random: &mut Random) -> &'a str {
    let at = random.below(list.len());
    list.get(at).map(String::as_str).unwrap_or_default()
}

/// Lines by section; `[[name]]` begins one.
fn sections(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let name = line
            .strip_prefix("[[")
            .and_then(|line| line.strip_suffix("]]"));
        match name {
            Some(name) => name.clone_into(&mut section),
            None => sections
                .entry(section.clone())
                .or_default()
                .push(line.to_owned()),
        }
    }
    sections
}
