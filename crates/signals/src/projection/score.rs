//! Scores: weighted sums over signals, knowledge-base metrics and other projections.

use super::section;
use super::trace::{InputTrace, ScoreTrace};
use crate::report::{Key, Keys, Kind, SignalReport, kb_metric};
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

/// The values computed so far, by index in the document; `None` of one that is withheld.
#[derive(Debug, Default)]
pub(super) struct Scores(Vec<(usize, Option<f64>)>);

impl Scores {
    pub(super) fn push(&mut self, index: usize, value: Option<f64>) {
        self.0.push((index, value));
    }

    fn get(&self, index: usize) -> f64 {
        self.computed(index).flatten().unwrap_or(0.0)
    }

    fn is_withheld(&self, index: usize) -> bool {
        self.computed(index) == Some(None)
    }

    fn computed(&self, index: usize) -> Option<Option<f64>> {
        let found = self.0.iter().find(|(other, _)| *other == index);
        found.map(|(_, value)| *value)
    }
}

/// Compiles scores and puts each after those it depends on. An input that cannot be read is left
/// out, and one that closes a circle is computed too late and counts 0.
pub(super) fn build(
    scores: &[section::Score],
    mappings: &[section::Mapping],
    keys: &mut Keys,
) -> Vec<Score> {
    let names = Names::new(scores, mappings);
    let compiled = scores.iter().enumerate().map(|(index, score)| {
        let inputs = score.inputs.iter();
        Some(Score {
            index,
            name: score.name.as_str().into(),
            inputs: inputs
                .filter_map(|input| compile(input, keys, &names))
                .collect(),
        })
    });
    let mut built: Vec<Option<Score>> = compiled.collect();

    let needs = needs(scores, mappings);
    let mut order = Order::new(&needs);
    (0..scores.len()).for_each(|index| order.visit(index));
    order
        .done
        .iter()
        .filter_map(|&index| built[index].take())
        .collect()
}

/// Returns the scores that each score must be computed after, by index.
pub(super) fn needs(scores: &[section::Score], mappings: &[section::Mapping]) -> Vec<Vec<usize>> {
    let names = Names::new(scores, mappings);
    let of = |score: &section::Score| {
        let inputs = score.inputs.iter();
        inputs.filter_map(|input| names.need(input)).collect()
    };
    scores.iter().map(of).collect()
}

impl Score {
    pub(super) fn compute(&self, report: &SignalReport, computed: &Scores) -> f64 {
        self.inputs
            .iter()
            .map(|input| input.weight * input.source.read(report, computed))
            .sum()
    }

    /// The first input that is unknown, as it failed.
    pub(super) fn unknown_input(&self, report: &SignalReport, computed: &Scores) -> Option<&str> {
        let mut inputs = self.inputs.iter();
        let input = inputs.find(|input| input.source.is_unknown(report, computed));
        input.map(|input| &*input.name)
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
            withheld: false,
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

impl Source {
    /// It failed, and what is read in its place says nothing.
    fn is_unknown(&self, report: &SignalReport, computed: &Scores) -> bool {
        match *self {
            Self::Raw(key)
            | Self::Confidence(key)
            | Self::Output(key)
            | Self::Binary { key, .. } => report.is_unknown(key),
            Self::Score(index) => computed.is_withheld(index),
            Self::Constant(_) => false,
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
    fn new(scores: &'a [section::Score], mappings: &'a [section::Mapping]) -> Self {
        let mut names = Self::default();
        for (index, score) in scores.iter().enumerate() {
            names.scores.insert(&score.name, index);
        }
        for mapping in mappings {
            let outputs = mapping.outputs.iter();
            names
                .outputs
                .extend(outputs.map(|output| (output.name.as_str(), mapping.source.as_str())));
        }
        names
    }

    /// The score that must be computed before this input is read.
    fn need(&self, input: &section::ScoreInput) -> Option<usize> {
        if Kind::parse(&input.kind) != Some(Kind::Projection) {
            return None;
        }
        let score = if input.names_output() {
            self.outputs.get(input.name.as_str())?
        } else {
            input.name.as_str()
        };
        self.scores.get(score).copied()
    }
}

/// One input; nothing if there is no such type, score or output.
fn compile(input: &section::ScoreInput, keys: &mut Keys, names: &Names<'_>) -> Option<Input> {
    let kind = input.kind.trim().to_lowercase();
    let mut name = input.name.clone();
    let source = match kind.as_str() {
        "kb_metric" => {
            name = format!("{}:{}", input.kb, input.metric);
            Source::Raw(kb_metric(keys, &input.kb, &input.metric))
        }
        "projection" if input.names_output() => {
            names.need(input)?;
            Source::Output(keys.intern(Kind::Projection, &input.name))
        }
        "projection" => Source::Score(names.need(input)?),
        other => signal(input, Kind::parse(other)?, keys),
    };
    Some(Input {
        kind: input.kind.as_str().into(),
        name: name.into(),
        weight: input.weight,
        source,
    })
}

fn signal(input: &section::ScoreInput, family: Kind, keys: &mut Keys) -> Source {
    let key = keys.intern(family, &input.name);
    // Roles are known only after projections; the other two have no list of matches here.
    let never_matched = matches!(family, Kind::Authz | Kind::Metadata | Kind::Classifier);
    match input.value_source.trim().to_lowercase().as_str() {
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

impl<'a> Order<'a> {
    fn new(needs: &'a [Vec<usize>]) -> Self {
        Self {
            needs,
            open: vec![false; needs.len()],
            done: Vec::new(),
        }
    }

    fn visit(&mut self, index: usize) {
        if self.done.contains(&index) || std::mem::replace(&mut self.open[index], true) {
            return;
        }
        let needs = self.needs;
        needs[index].iter().for_each(|&need| self.visit(need));
        self.open[index] = false;
        self.done.push(index);
    }
}
