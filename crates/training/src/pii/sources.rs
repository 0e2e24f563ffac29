//! Public data sets: sentences with marked spans, and texts without names.

use super::TrainError;
use super::text::Example;
use super::values::Random;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

#[derive(Deserialize)]
struct Marked {
    full_text: String,
    spans: Vec<MarkedSpan>,
    template_id: u64,
}

#[derive(Deserialize)]
struct MarkedSpan {
    entity_type: String,
    start_position: usize,
    end_position: usize,
}

#[derive(Deserialize)]
struct Labelled {
    text: String,
    label: u64,
}

/// The marked sentences: those to train on, and those of every fifth template, which are held out.
pub(super) fn marked(data: &Path) -> Result<(Vec<Example>, Vec<Example>), TrainError> {
    let path = data.join("train/pii_presidio_synth_v2.json.gz");
    let rows: Vec<Marked> =
        serde_json::from_str(&unzipped(&path)?).map_err(|problem| TrainError::Data {
            path,
            problem: problem.into(),
        })?;
    let ids: BTreeSet<u64> = rows.iter().map(|row| row.template_id).collect();
    let held: BTreeSet<u64> = ids.into_iter().step_by(5).collect();
    let (held, kept): (Vec<Marked>, Vec<Marked>) = rows
        .into_iter()
        .partition(|row| held.contains(&row.template_id));
    Ok((
        kept.iter().map(example).collect(),
        held.iter().map(example).collect(),
    ))
}

/// Their streets go on with city and country: only what stands before the first line's end or comma
/// is a street for us, the rest counts for nothing.
fn example(row: &Marked) -> Example {
    let places: Vec<usize> = row
        .full_text
        .char_indices()
        .map(|(at, _)| at)
        .chain([row.full_text.len()])
        .collect();
    let mut example = Example {
        text: row.full_text.clone(),
        ..Example::default()
    };
    for span in &row.spans {
        let (Some(&start), Some(&end)) = (
            places.get(span.start_position),
            places.get(span.end_position),
        ) else {
            continue;
        };
        let kind = match span.entity_type.as_str() {
            "PERSON" => 0,
            "GPE" => 1,
            "ORGANIZATION" => 2,
            "STREET_ADDRESS" => 3,
            _ => continue,
        };
        let value = row.full_text.get(start..end).unwrap_or_default();
        let street = value.split(['\n', ',']).next().unwrap_or_default();
        match (kind, street.chars().any(|scalar| scalar.is_ascii_digit())) {
            (3, true) => {
                example.spans.push((start, start + street.len(), kind));
                example.ignored.push((start + street.len(), end));
            }
            (3, false) => example.ignored.push((start, end)),
            _ => example.spans.push((start, end, kind)),
        }
    }
    example.spans.sort_unstable();
    example
}

/// Texts without names, `count` of each set: those that have capitals only where a sentence begins.
pub(super) fn plain(
    data: &Path,
    count: usize,
    random: &mut Random,
) -> Result<Vec<Example>, TrainError> {
    let bank = unzipped(&data.join("train/intents_banking77_train.csv.gz"))?;
    let bank = bank
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with('"'))
        .filter_map(|line| Some(line.rsplit_once(',')?.0.to_owned()));
    let prompts = unzipped(&data.join("train/jailbreak.jsonl.gz"))?;
    let prompts = prompts
        .lines()
        .filter_map(|line| serde_json::from_str::<Labelled>(line).ok());
    let prompts = prompts
        .filter(|prompt| prompt.label == 0)
        .map(|prompt| prompt.text);
    let mut all = Vec::new();
    for set in [bank.collect::<Vec<_>>(), prompts.collect()] {
        let mut set: Vec<String> = set.into_iter().filter(|text| is_plain(text)).collect();
        random.shuffle(&mut set);
        all.extend(set.into_iter().take(count).map(|text| Example {
            text,
            ..Example::default()
        }));
    }
    Ok(all)
}

/// No capital within a sentence but `I` and `A`, and no name before a verb at its beginning.
fn is_plain(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let begins = |at: usize| {
        at == 0
            || words
                .get(at - 1)
                .is_some_and(|before| before.ends_with(['.', '!', '?', ':']))
    };
    let capital = |word: &str| {
        word.trim_start_matches(['"', '\'', '('])
            .starts_with(char::is_uppercase)
    };
    let own = |word: &str| word == "I" || word == "A" || word.starts_with("I'");
    let inner = words
        .iter()
        .enumerate()
        .any(|(at, word)| capital(word) && !begins(at) && !own(word));
    let verb = words
        .get(1)
        .is_some_and(|word| matches!(*word, "is" | "was" | "said" | "has" | "had" | "and"));
    !inner && !verb && text.len() < 300 && !text.is_empty()
}

fn unzipped(path: &Path) -> Result<String, TrainError> {
    let failed = |problem: std::io::Error| TrainError::Data {
        path: path.to_owned(),
        problem: problem.into(),
    };
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).map_err(failed)?)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}
