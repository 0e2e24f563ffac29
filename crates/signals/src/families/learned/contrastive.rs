//! Jailbreak attempts by likeness: nearer to examples of attacks than to examples of harmless
//! requests. One vector of each piece of the texts in scope.
//!
//! ```yaml
//! routing:
//!   signals:
//!     jailbreak:
//!       - name: attack
//!         method: contrastive
//!         jailbreak_patterns: [ignore your instructions]
//!         benign_patterns: [explain the instructions]
//! ```
//!
//! The score is the highest similarity to an attack less the highest to a harmless request, the
//! highest over all pieces; a threshold of 0 or less means 0.1. Kept from the reference: an empty
//! list counts as similarity −1 (`check` warns), and the family is off with the guard. Unlike there
//! it needs no classifier. Failures are as with the classifier.

use super::chunks::{JAILBREAK, chunks};
use super::examples::Examples;
use super::jailbreak::{conclude_unread, guard};
use super::scan::{OnUnreadable, Part, Scan, blocks, parts, truncation};
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use inference::ask::{Outcome, Question, What};
use inference::handle::Embedder;
use inference::prototypes::similarity;
use std::sync::Arc;

const THRESHOLD: f32 = 0.1;
/// Pieces of one text that are read; what lies behind counts as unread.
const MAX_PIECES: usize = 64;

/// Compiles the contrastive rules; nothing without any, or with the guard off.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = building.scope.signals.jailbreak.iter().enumerate();
    let declared: Vec<_> = declared
        .filter(|(_, rule)| rule.reads_requests() && rule.is_contrastive())
        .collect();
    let module = guard(building);
    if declared.is_empty() || module.is_some_and(|module| module.enabled == Some(false)) {
        return None;
    }
    let by = building.encoder(Kind::Jailbreak);
    let mut rules = Vec::new();
    for (index, rule) in declared {
        let at = building.scope.rule(Kind::Jailbreak, index);
        let mut vectors = |texts: &[String], list: &str| {
            let path = format!("{at}.{list}");
            Examples::embed(building, Kind::Jailbreak, &path, &by, texts).into_vectors()
        };
        let attacks = vectors(&rule.jailbreak_patterns, "jailbreak_patterns");
        let harmless = vectors(&rule.benign_patterns, "benign_patterns");
        rules.push(Rule {
            key: building.keys.intern(Kind::Jailbreak, &rule.name),
            threshold: f64::from(if rule.threshold <= 0.0 {
                THRESHOLD
            } else {
                rule.threshold
            }),
            scope: Scan::new(&rule.scan, rule.include_history),
            on_unreadable: rule.on_unreadable.unwrap_or(OnUnreadable::NoMatch),
            attacks,
            harmless,
        });
    }
    let scope = Scan::all(rules.iter().map(|rule| rule.scope));
    let head = Head::new(Kind::Jailbreak, by.cost, rules.iter().map(|rule| rule.key));
    Some(Box::new(ContrastiveSignal {
        by,
        rules,
        scope,
        blocks: blocks(module),
        head,
    }))
}

/// The contrastive rules of one recipe.
struct ContrastiveSignal {
    by: Embedder,
    rules: Vec<Rule>,
    /// What any rule reads.
    scope: Scan,
    blocks: bool,
    head: Head,
}

struct Rule {
    key: Key,
    threshold: f64,
    scope: Scan,
    on_unreadable: OnUnreadable,
    attacks: Vec<Arc<[f32]>>,
    harmless: Vec<Arc<[f32]>>,
}

impl ContrastiveSignal {
    /// The pieces that are asked about, and the scopes of texts that have more.
    fn pieces<'a>(&self, input: &'a SignalInput<'_>) -> (Vec<Part<'a>>, Vec<Scan>) {
        let (mut found, mut cut) = (Vec::new(), Vec::new());
        for part in parts(input, self.scope) {
            let pieces = chunks(part.text, JAILBREAK);
            if pieces.len() > MAX_PIECES {
                cut.push(part.scope);
            }
            found.extend(
                pieces
                    .into_iter()
                    .take(MAX_PIECES)
                    .map(|text| Part { text, ..part }),
            );
        }
        (found, cut)
    }
}

impl Learned for ContrastiveSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let (pieces, _) = self.pieces(input);
        let what = || What::Vector(self.by.clone());
        pieces
            .iter()
            .map(|piece| Question::new(piece.shared(input), what()).for_safety())
            .collect()
    }

    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let (pieces, cut) = self.pieces(input);
        if !cut.is_empty() {
            report.degrade(Kind::Jailbreak, "truncated");
        }
        let mut gaps: Vec<(Scan, String)> = cut
            .into_iter()
            .map(|scope| (scope, "truncated".to_owned()))
            .collect();
        let mut read = Vec::new();
        let answers = answers.iter().map(Some).chain(std::iter::repeat(None));
        for (piece, outcome) in pieces.iter().zip(answers) {
            match answers::vector(Kind::Jailbreak, outcome, report) {
                Ok(vector) => read.push((piece.scope, vector)),
                Err(error) => gaps.push((piece.scope, error)),
            }
            gaps.extend(truncation(outcome).map(|error| (piece.scope, error)));
        }
        let mut highest = report.families[Kind::Jailbreak as usize].confidence;
        for rule in &self.rules {
            let scores = read.iter().filter(|(scope, _)| scope.meets(rule.scope));
            let scores = scores.map(|(_, vector)| rule.score(vector, &self.by));
            let score = scores.max_by(f64::total_cmp);
            if let Some(score) = score.filter(|&score| score >= rule.threshold) {
                report.emit(rule.key);
                report.set_confidence(rule.key, score);
                highest = highest.max(score);
            } else {
                let gap = gaps.iter().find(|(scope, _)| scope.meets(rule.scope));
                conclude_unread(
                    input,
                    rule.key,
                    rule.scope,
                    rule.on_unreadable,
                    gap.map(|(_, error)| &**error),
                    self.blocks,
                    report,
                );
            }
        }
        ran(report, Kind::Jailbreak, highest);
    }
}

impl Rule {
    fn score(&self, query: &[f32], by: &Embedder) -> f64 {
        let nearest = |patterns: &[Arc<[f32]>]| {
            let similarities = patterns
                .iter()
                .map(|pattern| similarity(query, pattern, &by.scale));
            similarities.max_by(f64::total_cmp).unwrap_or(-1.0)
        };
        nearest(&self.attacks) - nearest(&self.harmless)
    }
}
