//! Scores: weighted sums over signals, knowledge-base metrics and other projections.

use super::trace::{InputTrace, ScoreTrace};
use crate::config::projections as config;
use crate::report::{Key, Keys, Kind, SignalReport, kb_metric};
use crate::signals::Problem;
use std::collections::HashMap;

/// A score in evaluation order.
#[derive(Debug, Clone)]
pub(super) struct Score {
    /// Its index in the document.
    pub(super) index: usize,
    name: Box<str>,
    inputs: Vec<Input>,
}

#[derive(Debug, Clone)]
struct Input {
    kind: Box<str>,
    name: Box<str>,
    weight: f64,
    source: Source,
}

/// Where a summand comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The stored raw number, matched or not; absent is 0.
    Raw(Key),
    /// Confidence of a match, 1.0 if it has none or none above 0; without a match 0.
    Confidence(Key),
    /// One number for a match, another for none.
    Binary { key: Key, on_match: f64, miss: f64 },
    /// The same whatever the request: a family that never counts as matched here.
    Constant(f64),
    /// The value of a score, by index in the document.
    Score(usize),
    /// The confidence of an emitted mapping output.
    Output(Key),
}

/// The values computed so far, by index in the document.
#[derive(Debug, Default)]
pub(super) struct Scores(Vec<(usize, f64)>);

impl Scores {
    pub(super) fn push(&mut self, index: usize, value: f64) {
        self.0.push((index, value));
    }

    fn get(&self, index: usize) -> f64 {
        self.0
            .iter()
            .find(|(other, _)| *other == index)
            .map_or(0.0, |(_, value)| *value)
    }
}

/// Compiles scores and puts each after those it depends on.
pub(super) fn build(
    scores: &[config::Score],
    mappings: &[config::Mapping],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Vec<Score> {
    let names = Names::new(scores, mappings, problems);
    let mut needs = Vec::new();
    let mut built = Vec::new();
    for (index, score) in scores.iter().enumerate() {
        let mut inputs = Vec::new();
        let mut own_needs = Vec::new();
        for (input_index, input) in score.inputs.iter().enumerate() {
            match compile(input, keys, &names) {
                Ok((compiled, need)) => {
                    inputs.push(compiled);
                    own_needs.extend(need);
                }
                Err(message) => {
                    problems.push(problem(index, &format!(".inputs[{input_index}]"), message))
                }
            }
        }
        needs.push(own_needs);
        let name = score.name.as_str().into();
        built.push(Some(Score {
            index,
            name,
            inputs,
        }));
    }
    let mut order = Order::new(&needs);
    for (index, score) in scores.iter().enumerate() {
        if let Err(Cycle) = order.visit(index) {
            let message = format!(
                "score \"{}\" depends on itself through its projection inputs",
                score.name
            );
            problems.push(problem(index, "", message));
        }
    }
    order
        .done
        .iter()
        .filter_map(|&index| built[index].take())
        .collect()
}

impl Score {
    pub(super) fn compute(&self, report: &SignalReport, computed: &Scores) -> f64 {
        self.inputs
            .iter()
            .map(|input| input.weight * input.source.read(report, computed))
            .sum()
    }

    /// Each summand's factor and source, in order.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (f64, &Source)> {
        self.inputs
            .iter()
            .map(|input| (input.weight, &input.source))
    }

    pub(super) fn trace(&self, report: &SignalReport, computed: &Scores) -> ScoreTrace<'_> {
        let inputs = self.inputs.iter().map(|input| {
            let value = input.source.read(report, computed);
            InputTrace {
                kind: &input.kind,
                name: &input.name,
                weight: input.weight,
                value,
                contribution: input.weight * value,
            }
        });
        ScoreTrace {
            name: &self.name,
            score: self.compute(report, computed),
            inputs: inputs.collect(),
        }
    }
}

impl Source {
    fn read(&self, report: &SignalReport, computed: &Scores) -> f64 {
        match *self {
            Self::Raw(key) => report.value(key).unwrap_or(0.0),
            Self::Confidence(key) if report.is_matched(key) => report
                .confidence(key)
                .filter(|&stored| stored > 0.0)
                .unwrap_or(1.0),
            Self::Confidence(_) => 0.0,
            Self::Binary {
                key,
                on_match,
                miss,
            } => {
                if report.is_matched(key) {
                    on_match
                } else {
                    miss
                }
            }
            Self::Constant(value) => value,
            Self::Score(index) => computed.get(index),
            Self::Output(key) => report.confidence(key).unwrap_or(0.0),
        }
    }
}

/// What projection inputs can name.
#[derive(Default)]
struct Names<'a> {
    scores: HashMap<&'a str, usize>,
    /// Mapping outputs, each with the name of its score.
    outputs: HashMap<&'a str, &'a str>,
}

impl<'a> Names<'a> {
    fn new(
        scores: &'a [config::Score],
        mappings: &'a [config::Mapping],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut names = Self::default();
        for (index, score) in scores.iter().enumerate() {
            if names.scores.insert(&score.name, index).is_some() {
                let message = format!("another score is named \"{}\" too", score.name);
                problems.push(problem(index, ".name", message));
            }
            if !matches!(score.method.as_str(), "" | "weighted_sum") {
                let message = format!("unknown method \"{}\"; use weighted_sum", score.method);
                problems.push(problem(index, ".method", message));
            }
        }
        for mapping in mappings {
            let outputs = mapping.outputs.iter();
            names
                .outputs
                .extend(outputs.map(|output| (output.name.as_str(), mapping.source.as_str())));
        }
        names
    }
}

/// One input, and the score that must be computed before it.
fn compile(
    input: &config::ScoreInput,
    keys: &mut Keys,
    names: &Names<'_>,
) -> Result<(Input, Option<usize>), String> {
    let kind = input.kind.trim().to_lowercase();
    let value_source = input.value_source.trim().to_lowercase();
    let mut name = input.name.clone();
    let (source, need) = match kind.as_str() {
        "kb_metric" => {
            name = format!("{}:{}", input.kb, input.metric);
            (Source::Raw(kb_metric(keys, &input.kb, &input.metric)), None)
        }
        "projection" if value_source == "confidence" => {
            let source = names
                .outputs
                .get(input.name.as_str())
                .ok_or_else(|| format!("no mapping output is named \"{}\"", input.name))?;
            let key = keys.intern(Kind::Projection, &input.name);
            (Source::Output(key), names.scores.get(source).copied())
        }
        "projection" => {
            let index = *names
                .scores
                .get(input.name.as_str())
                .ok_or_else(|| format!("no score is named \"{}\"", input.name))?;
            (Source::Score(index), Some(index))
        }
        other => {
            let family = Kind::parse(other)
                .ok_or_else(|| format!("unknown input type \"{}\"", input.kind))?;
            (signal(input, family, &value_source, keys), None)
        }
    };
    let compiled = Input {
        kind: input.kind.as_str().into(),
        name: name.into(),
        weight: input.weight,
        source,
    };
    Ok((compiled, need))
}

fn signal(input: &config::ScoreInput, family: Kind, value_source: &str, keys: &mut Keys) -> Source {
    let key = keys.intern(family, &input.name);
    // Roles are known only after projections; the other two have no list of matches here.
    let never_matched = matches!(family, Kind::Authz | Kind::Metadata | Kind::Classifier);
    match value_source {
        "raw" => Source::Raw(key),
        "confidence" if never_matched => Source::Constant(0.0),
        "confidence" => Source::Confidence(key),
        _ if never_matched => Source::Constant(input.miss),
        _ => Source::Binary {
            key,
            on_match: if input.on_match == 0.0 {
                1.0
            } else {
                input.on_match
            },
            miss: input.miss,
        },
    }
}

/// Depth-first order over dependencies; without dependencies the order of the document.
struct Order<'a> {
    needs: &'a [Vec<usize>],
    open: Vec<bool>,
    done: Vec<usize>,
}

struct Cycle;

impl<'a> Order<'a> {
    fn new(needs: &'a [Vec<usize>]) -> Self {
        Self {
            needs,
            open: vec![false; needs.len()],
            done: Vec::new(),
        }
    }

    fn visit(&mut self, index: usize) -> Result<(), Cycle> {
        if self.done.contains(&index) {
            return Ok(());
        }
        if std::mem::replace(&mut self.open[index], true) {
            return Err(Cycle);
        }
        let needs = self.needs;
        let outcome = needs[index].iter().try_for_each(|&need| self.visit(need));
        self.open[index] = false;
        self.done.push(index);
        outcome
    }
}

fn problem(index: usize, field: &str, message: String) -> Problem {
    Problem {
        path: format!("routing.projections.scores[{index}]{field}"),
        message,
    }
}
