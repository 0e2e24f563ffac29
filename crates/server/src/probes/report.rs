//! What became of the probes of a file, for people and for machines.

use super::{Fault, Probe, Probes};
use crate::cli::LogFormat;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What became of a file.
#[derive(Debug, Serialize)]
pub struct Report {
    file: PathBuf,
    /// Probes that passed.
    passed: usize,
    /// Probes that did not.
    failed: usize,
    /// The rates that were asked for are reached.
    accepted: bool,
    /// Rates that are not reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreached: Vec<String>,
    /// One a probe.
    pub probes: Vec<Outcome>,
}

/// What became of a probe.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Name of the probe.
    pub name: String,
    /// All that was expected came.
    pub passed: bool,
    /// What came otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Signals that found no answer, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unready: Vec<String>,
}

/// How many of how many.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    passed: usize,
    all: usize,
}

impl Tally {
    fn count(&mut self, passed: bool) {
        self.all += 1;
        self.passed += usize::from(passed);
    }

    /// Returns the share that passed, percent; of nothing, all pass.
    fn rate(self) -> f64 {
        match self.all {
            0 => 100.0,
            all => 100.0 * self.passed as f64 / all as f64,
        }
    }
}

impl Report {
    pub(super) fn new(file: &Path, probes: &Probes, outcomes: Vec<Outcome>) -> Self {
        let mut all = Tally::default();
        let mut groups: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut tags: BTreeMap<&str, Tally> = BTreeMap::new();
        for (probe, outcome) in probes.probes.iter().zip(&outcomes) {
            all.count(outcome.passed);
            if let Some(group) = &probe.group {
                groups.entry(group).or_default().count(outcome.passed);
            }
            for kind in kinds(probe) {
                tags.entry(kind).or_default().count(outcome.passed);
            }
        }

        let acceptance = &probes.acceptance;
        let mut decisions = Tally::default();
        let mut unreached = Vec::new();
        for (group, tally) in &groups {
            let least = acceptance.robustness.get(*group).copied().unwrap_or(100.0);
            decisions.count(tally.rate() >= least);
        }
        let mut reach = |what: String, got: f64, least: f64| {
            if got < least {
                unreached.push(format!("{what}: {got:.1} % pass, {least} % must"));
            }
        };
        reach("probes".to_owned(), all.rate(), acceptance.probes);
        reach(
            "decisions".to_owned(),
            decisions.rate(),
            acceptance.decisions,
        );
        let of =
            |tags: &BTreeMap<&str, Tally>, tag: &str| tags.get(tag).copied().unwrap_or_default();
        for (tag, least) in &acceptance.tag_rates {
            reach(format!("probes of {tag}"), of(&tags, tag).rate(), *least);
        }
        for (tag, least) in &acceptance.tag_counts {
            let count = of(&tags, tag).all;
            if count < *least {
                unreached.push(format!("probes of {tag}: {count} are there, {least} must"));
            }
        }
        Self {
            file: file.to_owned(),
            passed: all.passed,
            failed: all.all - all.passed,
            accepted: unreached.is_empty(),
            unreached,
            probes: outcomes,
        }
    }

    /// Returns whether as many probes passed as the file asks; all of them, unless it asks less.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Returns the failures of a file, and a summary.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for outcome in self.probes.iter().filter(|outcome| !outcome.passed) {
            lines.push(format!("failed  {}", outcome.name));
            for fault in &outcome.faults {
                let Fault {
                    what,
                    expected,
                    got,
                } = fault;
                let got = if got.is_empty() { "nothing" } else { got };
                lines.push(format!("        {what}: expected {expected}, got {got}"));
            }
            lines.extend(
                outcome
                    .unready
                    .iter()
                    .map(|signal| format!("        no answer of {signal}")),
            );
        }
        let unreached = self
            .unreached
            .iter()
            .filter(|_| self.failed > 0 || !self.accepted);
        lines.extend(unreached.map(|line| format!("missed  {line}")));
        let (passed, failed) = (self.passed, self.failed);
        lines.push(format!(
            "{}: {passed} passed, {failed} failed",
            self.file.display()
        ));
        lines
    }
}

/// Returns the kinds of requests whose counts and rates a file may ask for.
fn kinds(probe: &Probe) -> Vec<&'static str> {
    const LANGUAGES: [&str; 8] = ["zh", "ja", "ko", "es", "fr", "de", "ru", "ar"];
    let tagged = |fits: &dyn Fn(&str) -> bool| probe.tags.iter().any(|tag| fits(tag));
    let has = |key: &str| probe.request.contains_key(key);
    let kinds = [
        (
            "language",
            tagged(&|tag| tag.starts_with("language:") || LANGUAGES.contains(&tag)),
        ),
        (
            "negative",
            tagged(&|tag| matches!(tag, "negative" | "class:negative")),
        ),
        ("collision", tagged(&|tag| tag == "collision")),
        ("fallback", tagged(&|tag| tag == "fallback")),
        (
            "stress",
            tagged(&|tag| tag == "stress" || tag.starts_with("stress:")),
        ),
        ("tools", has("tools") || tagged(&|tag| tag == "shape:tools")),
        (
            "multi_turn",
            has("messages") || tagged(&|tag| matches!(tag, "multi-turn" | "shape:messages")),
        ),
    ];
    let present = kinds.into_iter().filter(|(_, is_there)| *is_there);
    present.map(|(kind, _)| kind).collect()
}

/// Returns the reports as text.
pub(super) fn written(reports: &[Report], format: LogFormat) -> anyhow::Result<String> {
    Ok(match format {
        LogFormat::Text => {
            let lines: Vec<String> = reports.iter().flat_map(Report::lines).collect();
            lines.join("\n")
        }
        LogFormat::Json => serde_json::to_string_pretty(reports)?,
    })
}
