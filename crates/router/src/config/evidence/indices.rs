//! What indices say of models: records of benchmarks, mapped to numbers from 0 to 1 and averaged.

use super::super::Document;
use super::built_in::{self, BuiltIn};
use super::{BenchmarkIndex, EvaluationRecord, Evidence, IndexComponent, Normalization};
use selection::candidate::ModelRef;
use selection::card::{IndexValue, ModelDescriptions};
use selection::providers::reasoning::SwitchKind;

/// Nested indices are followed to this depth; checks refuse cycles.
const DEEPEST: usize = 16;

/// What is asked of an index.
struct Asked<'a> {
    evidence: &'a Evidence,
    /// Names of the model in records.
    models: Vec<&'a str>,
    /// The effort in records, in other words for the same thing, too.
    efforts: Vec<String>,
}

/// Returns what an index says of a candidate at its effort; `None` where records do not tell.
pub(in crate::config) fn value(
    document: &Document,
    index: &str,
    candidate: &ModelRef,
) -> Option<IndexValue> {
    let asked = Asked {
        evidence: &document.evaluation,
        models: names(document, candidate),
        efforts: efforts(document, candidate),
    };
    asked.index(index.trim(), DEEPEST)
}

/// Returns the names by which records speak of a candidate's model: its adapter, itself, its id in a
/// catalog.
fn names<'a>(document: &'a Document, candidate: &'a ModelRef) -> Vec<&'a str> {
    let model = candidate.model.trim();
    let provider = document.provider_model(model);
    let catalog = provider.map_or("", |provider| provider.catalog.trim());
    let names = [candidate.lora_name.trim(), model, catalog];
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

/// Returns the words by which records name the effort of a candidate. A record without an effort is
/// one of the model as it comes.
fn efforts(document: &Document, candidate: &ModelRef) -> Vec<String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mode = candidate.reasoning_mode.trim();
    let model = document.provider_model(candidate.model.trim());
    let written = model
        .and_then(|model| model.reasoning.as_ref())
        .and_then(|reasoning| reasoning.written_out());
    if candidate.reasons() == Some(false) {
        let disabled = written.map(|it| it.disabled).unwrap_or_default();
        let mut words: Vec<String> = owned(&["none", "disabled"]);
        words.extend(Some(disabled).filter(|word| !word.is_empty()));
        return words;
    }
    if !candidate.reasoning_effort.is_empty() {
        return vec![candidate.reasoning_effort.clone()];
    }

    let default = &document.providers.defaults.default_reasoning_effort;
    let family = model.map_or("", |model| model.reasoning_family.as_str());
    let families = &document.providers.defaults.reasoning_families;
    let is_toggle = |kind: &str| kind == SwitchKind::ChatTemplateKwargs.as_str();
    match (written, families.get(family)) {
        (Some(it), _) if it.levels.is_empty() => match mode {
            "" => owned(&["enabled", "default", ""]),
            mode => vec![mode.to_owned()],
        },
        (Some(it), _) if it.levels.contains(default) => vec![default.clone()],
        (Some(it), _) if !it.default.is_empty() => vec![it.default],
        (None, Some(it)) if is_toggle(&it.kind) => owned(&["enabled", "default", ""]),
        (None, Some(_)) if !default.is_empty() => vec![default.clone()],
        _ => owned(&["default", ""]),
    }
}

impl Asked<'_> {
    /// Returns the value of an index on its own scale.
    fn index(&self, id: &str, depth: usize) -> Option<IndexValue> {
        if let Some(own) = self.evidence.index(id) {
            return self.defined(own, depth);
        }
        let components = built_in::INDICES.iter().find(|index| index.id == id)?;
        self.built_in(components, depth)
    }

    fn defined(&self, index: &BenchmarkIndex, depth: usize) -> Option<IndexValue> {
        let values = index.components.iter();
        let values = values.map(|part| (part.weight, self.component(part, depth)));
        let (mean, coverage) = mean(values)?;
        let missing = index.missing.as_ref();
        let least = match missing.map_or("", |missing| missing.policy.as_str()) {
            "reported_only" => 0.0,
            "require_coverage" => missing.and_then(|it| it.minimum).unwrap_or(1.0),
            _ => 1.0,
        };
        let (low, high) = scale(index);
        // Weights that add up to 1 on paper may not do so in binary.
        (coverage + 1e-9 >= least).then_some(IndexValue {
            score: low + mean * (high - low),
            coverage,
        })
    }

    fn built_in(&self, index: &BuiltIn, depth: usize) -> Option<IndexValue> {
        let deeper = depth.checked_sub(1)?;
        let values = index.components.iter().map(|(weight, part)| {
            let value = match part {
                built_in::Part::Index(id) => self.index(id, deeper).map(|it| it.score / 100.0),
                built_in::Part::Benchmark(benchmark) => self.measured(benchmark),
            };
            (*weight, value)
        });
        let (mean, coverage) = mean(values)?;
        (coverage + 1e-9 >= 1.0).then_some(IndexValue {
            score: mean * 100.0,
            coverage,
        })
    }

    /// Returns what a benchmark that the reference knows says, whichever metric records name.
    fn measured(&self, benchmark: &built_in::Benchmark) -> Option<f64> {
        let mut records = self.records(|record| benchmark.is(&record.benchmark));
        let value = records.find_map(|record| built_in::metric(&record.metrics))?;
        Some(value.clamp(0.0, 1.0))
    }

    fn component(&self, part: &IndexComponent, depth: usize) -> Option<f64> {
        if !part.index.is_empty() {
            let value = self.index(&part.index, depth.checked_sub(1)?)?.score;
            let own = self.evidence.index(&part.index);
            let (low, high) = own.map_or((0.0, 100.0), scale);
            let share = (value - low) / (high - low);
            return mapped(share, part.normalization.as_ref());
        }
        let value = self.recorded(part)?;
        let of_metric = self.evidence.metric(&part.benchmark, &part.metric);
        let of_metric = of_metric.and_then(|metric| metric.normalization.as_ref());
        mapped(value, part.normalization.as_ref().or(of_metric))
    }

    /// Returns the value of the first listed profile that has a record.
    fn recorded(&self, part: &IndexComponent) -> Option<f64> {
        let value = |record: &EvaluationRecord| record.metrics.get(&part.metric).copied();
        let mut profiles: Vec<&str> = part.benchmark_profiles.iter().map(|it| &**it).collect();
        profiles.extend(Some(&*part.benchmark_profile).filter(|it| !it.is_empty()));
        let is_open = profiles.is_empty();
        if is_open {
            let benchmark = self.evidence.benchmark(&part.benchmark);
            profiles.extend(benchmark.map(|benchmark| &*benchmark.default_profile));
            profiles.push("");
        }
        let of = |profile: &str| {
            let mut records = self.records(|record| {
                record.benchmark == part.benchmark && record.benchmark_profile == profile
            });
            records.find_map(value)
        };
        let listed = profiles.into_iter().find_map(of);
        let any = || {
            let mut records = self.records(|record| record.benchmark == part.benchmark);
            records.find_map(value)
        };
        listed.or_else(|| is_open.then(any).flatten())
    }

    /// Returns the records of the model at its effort.
    fn records(
        &self,
        is_asked: impl Fn(&EvaluationRecord) -> bool,
    ) -> impl Iterator<Item = &EvaluationRecord> {
        let records = self.evidence.records.iter();
        records.filter(move |record| {
            self.models.contains(&record.model.as_str())
                && self.efforts.contains(&record.reasoning_effort)
                && is_asked(record)
        })
    }
}

/// Returns the mean over what is known, and the share of the weights that this is.
fn mean(values: impl Iterator<Item = (f64, Option<f64>)>) -> Option<(f64, f64)> {
    let (mut sum, mut known, mut all) = (0.0, 0.0, 0.0);
    for (weight, value) in values {
        all += weight;
        if let Some(value) = value {
            sum += weight * value;
            known += weight;
        }
    }
    (known > 0.0).then(|| (sum / known, known / all))
}

fn scale(index: &BenchmarkIndex) -> (f64, f64) {
    match index.scale.as_slice() {
        [low, high] => (*low, *high),
        _ => (0.0, 100.0),
    }
}

/// Returns a value as a number from 0 to 1; `None` for one that a table does not list.
fn mapped(value: f64, normalization: Option<&Normalization>) -> Option<f64> {
    let Some(how) = normalization else {
        return Some(value.clamp(0.0, 1.0));
    };
    let mapped = match how.kind.as_str() {
        "one_minus" => 1.0 - value,
        "linear_clamp" => {
            let (low, high) = (how.min.unwrap_or(0.0), how.max.unwrap_or(1.0));
            (value - low) / (high - low)
        }
        "logistic" => {
            let (slope, middle) = (how.k.unwrap_or(1.0), how.x0.unwrap_or(0.0));
            1.0 / (1.0 + (-slope * (value - middle)).exp())
        }
        "piecewise_linear" => curve(value, how)?,
        "lookup" => {
            let mut rows = how.values.iter();
            let is_row = |key: &str| key.parse::<f64>().is_ok_and(|key| key == value);
            *rows.find(|(key, _)| is_row(key))?.1
        }
        _ => value,
    };
    mapped.is_finite().then(|| mapped.clamp(0.0, 1.0))
}

/// Returns the height of a curve, level before its first corner and after its last.
fn curve(value: f64, how: &Normalization) -> Option<f64> {
    let (first, last) = (how.points.first()?, how.points.last()?);
    if value <= first.input {
        return Some(first.output);
    }
    let mut pairs = how.points.iter().zip(how.points.iter().skip(1));
    let Some((left, right)) = pairs.find(|(_, right)| value <= right.input) else {
        return Some(last.output);
    };
    let share = (value - left.input) / (right.input - left.input);
    Some(left.output + share * (right.output - left.output))
}
