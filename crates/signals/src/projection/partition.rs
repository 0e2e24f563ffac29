//! Partitions: among the rules of one family at most one matches.

use super::section;
use super::step::Step;
use super::trace::PartitionTrace;
use crate::declared::Declared;
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::scope::Scope;
use document::{Findings, suggestion};

/// A partition of two or more rules.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    name: Box<str>,
    kind: Kind,
    members: Vec<Key>,
    default: Option<Key>,
    /// τ of the softmax; `None` leaves the winner its confidence.
    temperature: Option<f64>,
}

/// What a partition did.
pub(super) struct Outcome {
    winner: Option<Key>,
    default_used: bool,
}

impl section::Partition {
    pub(super) fn check(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        let semantics = ["exclusive", "softmax_exclusive"];
        if !semantics.contains(&self.semantics.as_str()) {
            let hint = suggestion(&self.semantics, semantics);
            findings.error(
                format!("{at}.semantics"),
                format!("`exclusive` or `softmax_exclusive` is wanted{hint}"),
            );
        }
        if self.semantics == "softmax_exclusive" && self.temperature <= 0.0 {
            findings.error(
                format!("{at}.temperature"),
                "`softmax_exclusive` needs a temperature above 0",
            );
        }

        self.check_members(scope, at, findings);
        if self.default.is_empty() {
            findings.error(
                at,
                "`default` is missing: the member that stands in when none matched",
            );
        } else if !self.members.contains(&self.default) {
            findings.error(
                format!("{at}.default"),
                format!("`{}` is no member", self.default),
            );
        }
    }

    /// Checks that the members are of one family: the one that most of them belong to.
    fn check_members(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        let domains = scope.names(Kind::Domain);
        let embeddings = scope.names(Kind::Embedding);
        let members = || self.members.iter().map(String::as_str);
        let in_domains = members().filter(|member| domains.contains(member)).count();
        let in_embeddings = members()
            .filter(|member| embeddings.contains(member))
            .count();
        let family = if in_domains >= in_embeddings {
            &domains
        } else {
            &embeddings
        };

        for (index, member) in members().enumerate() {
            let path = format!("{at}.members[{index}]");
            if !domains.contains(&member) && !embeddings.contains(&member) {
                let hint = suggestion(member, domains.iter().chain(&embeddings).copied());
                findings.error(
                    path,
                    format!("no domain or embedding rule is called `{member}`{hint}"),
                );
            } else if !family.contains(&member) {
                findings.error(
                    path,
                    format!("the members are of one family, `{member}` is of the other"),
                );
            }
        }
        if self.members.len() < 2 {
            findings.warn(
                format!("{at}.members"),
                "fewer than two members: the partition does nothing",
            );
        }
    }
}

/// Compiles partitions: those over domains first, then those over embeddings. One with fewer than
/// two members of a family does nothing there.
pub(super) fn build(
    partitions: &[section::Partition],
    keys: &mut Keys,
    declared: &Declared,
) -> Vec<Partition> {
    let mut built = Vec::new();
    for kind in [Kind::Domain, Kind::Embedding] {
        for partition in partitions {
            let mut names: Vec<&str> = Vec::new();
            for member in &partition.members {
                if declared.contains(kind, member) && !names.contains(&member.as_str()) {
                    names.push(member);
                }
            }
            if names.len() < 2 {
                continue;
            }
            built.push(Partition {
                name: partition.name.as_str().into(),
                kind,
                default: names
                    .contains(&partition.default.as_str())
                    .then(|| keys.intern(kind, &partition.default)),
                members: names
                    .into_iter()
                    .map(|name| keys.intern(kind, name))
                    .collect(),
                temperature: (partition.semantics == "softmax_exclusive")
                    .then_some(partition.temperature),
            });
        }
    }
    built
}

impl Step for Partition {
    fn reads(&self) -> &[Key] {
        &self.members
    }

    fn writes(&self) -> &[Key] {
        &self.members
    }

    fn adds(&self) -> Option<Key> {
        self.default
    }

    fn apply(&self, _keys: &Keys, report: &mut SignalReport) {
        self.run(report);
    }
}

impl Partition {
    pub(super) fn apply_traced<'a>(
        &'a self,
        keys: &'a Keys,
        report: &mut SignalReport,
    ) -> PartitionTrace<'a> {
        let contenders = self
            .contenders(report)
            .map(|(key, confidence)| (keys.name(key), confidence))
            .collect();
        let outcome = self.run(report);
        PartitionTrace {
            name: &self.name,
            signal_type: self.kind.as_str(),
            contenders,
            winner: outcome.winner.map(|key| keys.name(key)),
            confidence: outcome.winner.and_then(|key| report.confidence(key)),
            default_used: outcome.default_used,
        }
    }

    pub(super) fn run(&self, report: &mut SignalReport) -> Outcome {
        let mut best: Option<(Key, f64)> = None;
        let mut count = 0_usize;
        for (key, confidence) in self.contenders(report) {
            count += 1;
            if best.is_none_or(|(_, highest)| confidence > highest) {
                best = Some((key, confidence));
            }
        }
        let Some((winner, highest)) = best else {
            // The default stands in even if its family never ran: the reference's rule.
            let absent = self.default.filter(|&key| !report.is_matched(key));
            if let Some(default) = absent {
                report.emit(default);
            }
            return Outcome {
                winner: None,
                default_used: absent.is_some(),
            };
        };
        // A lone contender keeps its raw score also under softmax.
        if count > 1 {
            let share = self
                .temperature
                .map(|temperature| self.softmax(highest, temperature, report));
            for &member in &self.members {
                if member != winner
                    && report.confidence(member).is_some()
                    && report.is_matched(member)
                {
                    report.withdraw(member);
                }
            }
            if let Some(share) = share {
                report.set_confidence(winner, share);
            }
        }
        Outcome {
            winner: Some(winner),
            default_used: false,
        }
    }

    /// Matched members that have a confidence, in match order.
    fn contenders<'a>(&'a self, report: &'a SignalReport) -> impl Iterator<Item = (Key, f64)> + 'a {
        report
            .matches()
            .filter(|key| self.members.contains(key))
            .filter_map(|key| report.confidence(key).map(|confidence| (key, confidence)))
    }

    /// The winner's share in the softmax over all contenders.
    fn softmax(&self, highest: f64, temperature: f64, report: &SignalReport) -> f64 {
        let temperature = if temperature > 0.0 { temperature } else { 1.0 };
        let sum: f64 = self
            .contenders(report)
            .map(|(_, confidence)| ((confidence - highest) / temperature).exp())
            .sum();
        1.0 / sum
    }
}
