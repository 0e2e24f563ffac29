//! What is wrong with benchmarks, indices and records.

use super::{BenchmarkIndex, Evidence, IndexComponent, Normalization, built_in};
use document::Findings;
use std::collections::HashSet;

/// Reports what is wrong with `evaluation`.
pub(in crate::config) fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut ids = HashSet::new();
    for (index, benchmark) in evidence.benchmarks.iter().enumerate() {
        let path = format!("evaluation.benchmarks[{index}]");
        id(&path, &benchmark.id, &mut ids, findings);
        for (number, metric) in benchmark.metrics.iter().enumerate() {
            let path = format!("{path}.metrics[{number}].normalization");
            normalization(&path, metric.normalization.as_ref(), findings);
        }
    }
    let mut ids = HashSet::new();
    for (index, own) in evidence.indices.iter().enumerate() {
        let path = format!("evaluation.indices[{index}]");
        id(&path, &own.id, &mut ids, findings);
        self::index(evidence, &path, own, findings);
    }
    for (index, record) in evidence.records.iter().enumerate() {
        let path = format!("evaluation.records[{index}]");
        if record.model.trim().is_empty() {
            findings.error(&path, "`model` is missing");
        }
        if record.benchmark.trim().is_empty() {
            findings.error(&path, "`benchmark` is missing");
        }
    }
}

fn id<'a>(path: &str, id: &'a str, ids: &mut HashSet<&'a str>, findings: &mut Findings) {
    let path = format!("{path}.id");
    let is_built_in = built_in::INDICES.iter().any(|index| index.id == id);
    if !is_id(id) {
        findings.error(
            path,
            "an id looks like `namespace/name@1.0.0`, in lower case",
        );
    } else if is_built_in || built_in::is_benchmark(id) {
        findings.error(path, format!("`{id}` is built in: use an id of your own"));
    } else if !ids.insert(id) {
        findings.error(path, format!("`{id}` is defined already"));
    }
}

/// Tells whether a text is `namespace/name@N[.N[.N]]`.
fn is_id(id: &str) -> bool {
    let Some((name, version)) = id.split_once('@') else {
        return false;
    };
    let is_name = |part: &str| {
        let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        !part.is_empty() && part.chars().all(is_fit)
    };
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let parts = version.split('.').count();
    let names = name.split_once('/');
    names.is_some_and(|(space, name)| is_name(space) && is_name(name))
        && parts <= 3
        && version.split('.').all(is_number)
}

fn index(evidence: &Evidence, path: &str, own: &BenchmarkIndex, findings: &mut Findings) {
    if !own.scale.is_empty() && !matches!(own.scale.as_slice(), [low, high] if low < high) {
        let message = "the least and the largest value are wanted, in this order";
        findings.error(format!("{path}.scale"), message);
    }
    if own.components.is_empty() {
        findings.error(path, "`components` is missing");
    }
    for (number, part) in own.components.iter().enumerate() {
        let path = format!("{path}.components[{number}]");
        component(evidence, &path, part, findings);
    }
    if let Some(missing) = &own.missing {
        let is_share = missing.minimum.is_some_and(|it| (0.0..=1.0).contains(&it));
        if missing.policy == "require_coverage" && !is_share {
            let path = format!("{path}.missing.minimum");
            findings.error(path, "`require_coverage` needs a number from 0 to 1");
        }
    }
    if reaches(evidence, &own.id, &own.id, &mut HashSet::new()) {
        let message = format!("`{}` is made of itself", own.id);
        findings.error(format!("{path}.components"), message);
    }
}

fn component(evidence: &Evidence, path: &str, part: &IndexComponent, findings: &mut Findings) {
    let is_measured = !part.benchmark.is_empty() || !part.metric.is_empty();
    match (is_measured, part.index.is_empty()) {
        (true, false) => findings.error(path, "`index` excludes `benchmark` and `metric`"),
        (false, true) => findings.error(path, "`benchmark` and `metric`, or `index`, is missing"),
        (false, false) => {
            if let Some(message) = evidence.unknown_index(&part.index) {
                findings.error(format!("{path}.index"), message);
            }
        }
        (true, true) if part.benchmark.is_empty() => {
            findings.error(path, "`benchmark` is missing");
        }
        (true, true) if part.metric.is_empty() => findings.error(path, "`metric` is missing"),
        (true, true) => {}
    }
    if !(part.weight > 0.0 && part.weight.is_finite()) {
        findings.error(format!("{path}.weight"), "a weight above 0 is wanted");
    }
    let path = format!("{path}.normalization");
    normalization(&path, part.normalization.as_ref(), findings);
}

fn normalization(path: &str, how: Option<&Normalization>, findings: &mut Findings) {
    let Some(how) = how else { return };
    let is_wrong = match how.kind.as_str() {
        "linear_clamp" => how.min.unwrap_or(0.0) >= how.max.unwrap_or(1.0),
        "piecewise_linear" => {
            let pairs = how.points.iter().zip(how.points.iter().skip(1));
            let mut pairs = pairs;
            how.points.len() < 2 || pairs.any(|(left, right)| left.input >= right.input)
        }
        "lookup" => how.values.is_empty(),
        _ => false,
    };
    if is_wrong {
        let message = match how.kind.as_str() {
            "linear_clamp" => "`min` must be below `max`",
            "lookup" => "`values` is missing",
            _ => "two `points` or more are wanted, by rising `input`",
        };
        findings.error(path, message);
    }
}

/// Tells whether an index is made of another, at any depth.
fn reaches<'a>(
    evidence: &'a Evidence,
    from: &str,
    wanted: &str,
    seen: &mut HashSet<&'a str>,
) -> bool {
    let Some(own) = evidence.index(from) else {
        return false;
    };
    let inner = own.components.iter().map(|part| part.index.as_str());
    let inner: Vec<&str> = inner.filter(|id| !id.is_empty()).collect();
    inner
        .into_iter()
        .any(|id| id == wanted || (seen.insert(id) && reaches(evidence, id, wanted, seen)))
}
