//! Personal data: spans that are found, and spans that are there.

use crate::asking::Asking;
use crate::report::{Report, Table, at_least, figure};
use crate::sets::{Sets, evaluation, lines};
use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use inference::ask::{Answer, Entity, What};
use inference::catalog::{Catalog as _, Wanted};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// Kinds with a form that can be verified.
const STRUCTURED: [&str; 6] = [
    "EMAIL_ADDRESS",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "US_SSN",
    "PHONE_NUMBER",
];
/// Kinds that only language tells.
const NAMES: [&str; 3] = ["PERSON", "GPE", "ORGANIZATION"];
const OTHERS: [&str; 1] = ["STREET_ADDRESS"];
/// From what confidence an entity counts: the default of documents.
const THRESHOLD: f32 = 0.9;

/// A sentence and what is in it.
#[derive(Debug, Clone, Deserialize)]
struct Sentence {
    #[serde(alias = "full_text")]
    text: String,
    spans: Vec<Span>,
    #[serde(default)]
    lang: String,
}

/// In Unicode scalar values, the end exclusive.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Span {
    #[serde(alias = "start_position")]
    start: usize,
    #[serde(alias = "end_position")]
    end: usize,
    #[serde(alias = "entity_type")]
    label: String,
}

pub(crate) fn run(asking: &Asking, sets: &Sets, report: &mut Report) -> Result<()> {
    let own = lines(&evaluation().join("pii_sentences.jsonl"))?;
    report.add(measure(
        asking,
        "pii, 200 sentences written for this",
        &own,
        true,
    )?);
    let languages = lines(&evaluation().join("pii_languages.jsonl"))?;
    report.add(by_language(asking, &languages)?);
    if let Some(data) = sets.data() {
        let synthetic = unpack(&data.join("pii_presidio_synth_v2.json.gz"))?;
        let title = "pii, structured kinds in 1,500 made-up sentences (presidio-research)";
        let mut table = measure(asking, title, &synthetic, false)?;
        table.note("All these card numbers pass Luhn, some with 12 digits only; many phone numbers are local ones without a prefix.");
        report.add(table);
    }
    Ok(())
}

fn tagger(asking: &Asking) -> Result<What> {
    let tagger = asking.models.library.tagger(&Wanted::default())?;
    Ok(What::Entities(tagger))
}

fn texts(sentences: &[Sentence]) -> Vec<String> {
    let texts = sentences.iter().map(|sentence| sentence.text.clone());
    texts.collect()
}

fn pace(asking: &Asking, sentences: &[Sentence]) -> Result<f64> {
    asking.pace(&texts(sentences), &tagger(asking)?)
}

/// The entities of each sentence that count.
fn find(asking: &Asking, sentences: &[Sentence]) -> Result<Vec<Vec<Entity>>> {
    let answers = asking.answers(&texts(sentences), &tagger(asking)?)?;
    let counted = |answer| {
        let Answer::Entities(entities) = answer else {
            bail!("the answer is no list of entities")
        };
        let entities = entities.into_iter();
        Ok(entities
            .filter(|entity| entity.confidence >= THRESHOLD)
            .collect())
    };
    answers.into_iter().map(counted).collect()
}

/// F1 by overlap of what language tells, recall of what has a form, and sentences without personal
/// data in which something is found.
fn by_language(asking: &Asking, sentences: &[Sentence]) -> Result<Table> {
    let found = find(asking, sentences)?;
    let mut by_language: BTreeMap<&str, (Vec<Sentence>, Vec<Vec<Entity>>)> = BTreeMap::new();
    for (sentence, found) in sentences.iter().zip(found) {
        for language in ["all", &sentence.lang] {
            let (sentences, all) = by_language.entry(language).or_default();
            sentences.push(sentence.clone());
            all.push(found.clone());
        }
    }

    let head = [
        "language",
        "sentences",
        "PERSON F1",
        "GPE F1",
        "ORGANIZATION F1",
        "STREET_ADDRESS F1",
        "phone recall",
        "other structured recall",
        "clean flagged",
    ];
    let mut table = Table::new("pii, by language", &head);
    for (language, (sentences, found)) in &by_language {
        let tally = |kinds: &[&str]| Tally::of(sentences, found, kinds);
        let labels = sentences.iter().flat_map(|sentence| &sentence.spans);
        let mut structured: Vec<&str> = labels.map(|span| span.label.as_str()).collect();
        structured.retain(|kind| !NAMES.contains(kind) && !OTHERS.contains(kind));
        structured.retain(|kind| *kind != "PHONE_NUMBER");

        let names = NAMES.iter().chain(&OTHERS);
        let names = names.map(|kind| figure(tally(&[kind]).overlap_f1()));
        let recalls = [&["PHONE_NUMBER"][..], &structured];
        let recalls = recalls.map(|kinds| figure(tally(kinds).overlap_recall()));
        let clean = sentences.iter().zip(found);
        let clean = clean.filter(|(sentence, _)| sentence.spans.is_empty());
        let (count, wrong) = clean.fold((0, 0), |(count, wrong), (_, found)| {
            (count + 1, wrong + usize::from(!found.is_empty()))
        });
        let cells = [(*language).to_owned(), sentences.len().to_string()];
        let cells = cells.into_iter().chain(names).chain(recalls);
        table.row(cells.chain([format!("{wrong} of {count}")]).collect());
    }
    table.note("F1 and recall count spans that overlap one of their kind.");
    Ok(table)
}

fn measure(asking: &Asking, title: &str, sentences: &[Sentence], all: bool) -> Result<Table> {
    let found = find(asking, sentences)?;
    let head = [
        "kind",
        "spans",
        "precision",
        "recall",
        "F1",
        "overlap: precision",
        "recall",
        "F1",
        "goal",
    ];
    let mut table = Table::new(title, &head);
    let groups: &[&[&str]] = if all {
        &[&STRUCTURED, &NAMES, &OTHERS]
    } else {
        &[&STRUCTURED]
    };
    for kinds in groups {
        for kind in *kinds {
            table.row(Tally::of(sentences, &found, &[kind]).row(kind, String::new()));
        }
    }
    let structured = Tally::of(sentences, &found, &STRUCTURED);
    let goal = if all {
        at_least(structured.precision().min(structured.recall()), 0.98)
    } else {
        String::new()
    };
    table.row(structured.row("all structured", goal));
    if all {
        let names = Tally::of(sentences, &found, &NAMES);
        table.row(names.row("person, place, organisation", at_least(names.f1(), 0.75)));
        let clean = sentences
            .iter()
            .zip(&found)
            .filter(|(sentence, _)| sentence.spans.is_empty());
        let (count, wrong) = clean.fold((0, 0), |sum, (_, found)| {
            (sum.0 + 1, sum.1 + usize::from(!found.is_empty()))
        });
        table.note(format!(
            "In {wrong} of {count} sentences without personal data something is found."
        ));
    }
    table.note(format!(
        "Counted from a confidence of {THRESHOLD}; p50 {:.1} ms.",
        pace(asking, sentences)?
    ));
    Ok(table)
}

/// Spans of some kinds.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    there: usize,
    found: usize,
    /// Found with the very bounds.
    exact: usize,
    /// Of those there, those that some found one touches; of those found, those that touch one that
    /// is there.
    touched: usize,
    touching: usize,
}

impl Tally {
    fn of(sentences: &[Sentence], found: &[Vec<Entity>], kinds: &[&str]) -> Self {
        let mut tally = Self::default();
        for (sentence, found) in sentences.iter().zip(found) {
            let there: Vec<&Span> = sentence
                .spans
                .iter()
                .filter(|span| kinds.contains(&span.label.as_str()))
                .collect();
            let found: Vec<&Entity> = found
                .iter()
                .filter(|entity| kinds.contains(&&*entity.kind))
                .collect();
            let same = |span: &Span, entity: &Entity| span.label == *entity.kind;
            let touch =
                |span: &Span, entity: &Entity| span.start < entity.end && entity.start < span.end;
            tally.there += there.len();
            tally.found += found.len();
            for span in &there {
                let alike = || found.iter().filter(|entity| same(span, entity));
                tally.exact += usize::from(
                    alike().any(|entity| (entity.start, entity.end) == (span.start, span.end)),
                );
                tally.touched += usize::from(alike().any(|entity| touch(span, entity)));
            }
            let touches = |entity: &&&Entity| {
                there
                    .iter()
                    .any(|span| same(span, entity) && touch(span, entity))
            };
            tally.touching += found.iter().filter(touches).count();
        }
        tally
    }

    fn precision(&self) -> f64 {
        share(self.exact, self.found)
    }

    fn recall(&self) -> f64 {
        share(self.exact, self.there)
    }

    fn overlap_recall(&self) -> f64 {
        share(self.touched, self.there)
    }

    fn overlap_f1(&self) -> f64 {
        harmonic(share(self.touching, self.found), self.overlap_recall())
    }

    fn f1(&self) -> f64 {
        harmonic(self.precision(), self.recall())
    }

    fn row(&self, name: &str, goal: String) -> Vec<String> {
        let (precision, recall) = (share(self.touching, self.found), self.overlap_recall());
        let figures = [
            self.precision(),
            self.recall(),
            self.f1(),
            precision,
            recall,
            self.overlap_f1(),
        ];
        let cells = [name.to_owned(), self.there.to_string()]
            .into_iter()
            .chain(figures.map(figure));
        cells.chain([goal]).collect()
    }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn harmonic(left: f64, right: f64) -> f64 {
    if left + right > 0.0 {
        2.0 * left * right / (left + right)
    } else {
        0.0
    }
}

fn unpack(file: &Path) -> Result<Vec<Sentence>> {
    let packed = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_str(&std::io::read_to_string(
        GzDecoder::new(packed),
    )?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, start: usize, end: usize) -> Entity {
        Entity {
            kind: kind.into(),
            confidence: 1.0,
            start,
            end,
        }
    }

    fn sentence(spans: &[(&str, usize, usize)]) -> Sentence {
        let span = |(label, start, end): &(&str, usize, usize)| Span {
            start: *start,
            end: *end,
            label: (*label).into(),
        };
        Sentence {
            text: String::new(),
            lang: String::new(),
            spans: spans.iter().map(span).collect(),
        }
    }

    #[test]
    fn counts_bounds_and_touches() {
        let sentences = [
            sentence(&[("PERSON", 0, 4), ("PERSON", 10, 14), ("GPE", 20, 25)]),
            sentence(&[]),
        ];
        let found = [
            vec![
                entity("PERSON", 0, 4),
                entity("PERSON", 9, 12),
                entity("PERSON", 20, 25),
            ],
            vec![entity("GPE", 0, 1)],
        ];
        let people = Tally::of(&sentences, &found, &["PERSON"]);
        assert_eq!(
            people,
            Tally {
                there: 2,
                found: 3,
                exact: 1,
                touched: 2,
                touching: 2
            }
        );
        let places = Tally::of(&sentences, &found, &["GPE"]);
        assert_eq!(
            places,
            Tally {
                there: 1,
                found: 1,
                exact: 0,
                touched: 0,
                touching: 0
            }
        );
        assert!((people.f1() - 0.4).abs() < 1e-9);
        assert_eq!(Tally::default().f1().to_bits(), 0.0_f64.to_bits());
    }
}
