//! Personal data: entities in the texts in scope, less the types that a rule allows. Recognizers
//! with checksums and a head on the token states, over the whole of every text.
//!
//! ```yaml
//! routing:
//!   signals:
//!     pii:
//!       - {name: strict, threshold: 0.8, pii_types_allowed: [EMAIL_ADDRESS], scan: [current, tool_results]}
//! ```
//!
//! A match has no confidence and counts 1.0. What differs from the reference, for safety's sake: an
//! omitted threshold is the module's (0.9 without one), not 0; tool results can be read at all;
//! user texts that look like a wrapper are read; and unless the document says
//! `modules.classifier.pii.on_error: allow`, a text that could not be read, or not to its end,
//! matches. So does a document whose text cannot be read, where the rule reads its place; for a
//! boundary so does any attachment, unless the rule says `on_unreadable: no_match`.

use super::models::check_module;
use super::scan::{
    OnUnreadable, Scan, ScanScope, Unreadable, blocks, is_sealed, parts, truncation, unread_places,
    unreadable,
};
use super::{Building, Head, Learned, SignalInput, answers, check_threshold, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use crate::wanted::Asked;
use document::Findings;
use inference::ask::{Entity, Outcome, Question, What};
use inference::handle::Tagger;
use inference::recognizers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Detection of personal data.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PiiRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least confidence of a found entity; omitted means the module's threshold.
    pub threshold: f32,
    /// Read earlier turns too.
    pub include_history: bool,
    /// Entity types that do not count; empty means that every type counts.
    pub pii_types_allowed: Vec<String>,
    /// Merit's own: which texts are read; omitted means what `include_history` says.
    pub scan: Vec<ScanScope>,
    /// Merit's own: whether attachments, whose text cannot be read, match. Omitted means that
    /// documents do, and that boundaries hold for pictures, sounds and films too.
    pub on_unreadable: Option<OnUnreadable>,
}

impl PiiRule {
    fn check(&self, at: &str, findings: &mut Findings) {
        if self.threshold == 0.0 {
            findings.note(
                at,
                "`threshold` is omitted: the module's is taken, where the reference takes 0",
            );
        }
        check_threshold(&format!("{at}.threshold"), self.threshold, findings);
    }
}

/// Reports what is wrong with the rules, and what leaves them without effect.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.pii.iter().enumerate() {
        rule.check(&scope.rule(Kind::Pii, index), findings);
    }
    check_module(scope, Kind::Pii, &Asked::tagger(scope.models), findings);
}

/// Compiles the rules; nothing without any, or with the module off.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.pii;
    let asked = Asked::tagger(building.scope.models);
    if declared.is_empty() || asked.is_off() {
        return None;
    }
    let by = building.tagger(Kind::Pii, &asked);
    let usual = asked.threshold(None);
    let rules = declared.iter().map(|rule| Rule {
        key: building.keys.intern(Kind::Pii, &rule.name),
        threshold: if rule.threshold == 0.0 {
            usual
        } else {
            rule.threshold
        },
        allowed: rule
            .pii_types_allowed
            .iter()
            .map(|kind| kind.trim().to_uppercase())
            .collect(),
        scope: Scan::new(&rule.scan, rule.include_history),
        on_unreadable: rule.on_unreadable,
    });
    let rules: Vec<Rule> = rules.collect();
    let scope = Scan::all(rules.iter().map(|rule| rule.scope));
    let head = Head::new(Kind::Pii, by.cost, rules.iter().map(|rule| rule.key));
    Some(Box::new(PiiSignal {
        by,
        rules,
        scope,
        blocks: blocks(asked.module),
        head,
    }))
}

/// The rules of one recipe.
struct PiiSignal {
    by: Tagger,
    rules: Vec<Rule>,
    /// What any rule reads.
    scope: Scan,
    blocks: bool,
    head: Head,
}

struct Rule {
    key: Key,
    threshold: f32,
    /// Upper case.
    allowed: Vec<String>,
    scope: Scan,
    on_unreadable: Option<OnUnreadable>,
}

impl Rule {
    fn denies(&self, entity: &Entity) -> bool {
        entity.confidence >= self.threshold && !self.allowed.contains(&entity.kind.to_uppercase())
    }
}

impl Learned for PiiSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let asked = parts(input, self.scope);
        let what = || What::Entities(self.by.clone());
        asked
            .iter()
            .map(|part| Question::new(part.shared(input), what()).for_safety())
            .collect()
    }

    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let parts = parts(input, self.scope);
        let answers = answers.iter().map(Some).chain(std::iter::repeat(None));
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        for (part, outcome) in parts.iter().zip(answers) {
            match answers::entities(outcome, report) {
                Ok(entities) => found.push((part.scope, entities)),
                Err(error) => gaps.push((part.scope, error)),
            }
            gaps.extend(truncation(outcome).map(|error| (part.scope, error)));
        }
        let across = recognizers::across(&turns(input));
        for (scope, entity) in across.iter().map(|it| (placed(it, input), &it.entity)) {
            found.push((scope, std::slice::from_ref(entity)));
        }
        for scope in unread_places(input).filter(|scope| scope.meets(self.scope)) {
            report.degrade(Kind::Pii, "unread");
            gaps.push((scope, "a text is not read".to_owned()));
        }
        let mut best: f64 = 0.0;
        for rule in &self.rules {
            let read = found
                .iter()
                .filter(|(scope, _)| scope.meets(rule.scope))
                .flat_map(|(_, entities)| *entities);
            let denied = read
                .filter(|entity| rule.denies(entity))
                .map(|entity| f64::from(entity.confidence));
            if let Some(confidence) = denied.max_by(f64::total_cmp) {
                report.emit(rule.key);
                best = best.max(confidence);
            } else if let Some((_, error)) = gaps.iter().find(|(scope, _)| scope.meets(rule.scope))
            {
                report.fail(rule.key, error.as_str());
                if self.blocks {
                    report.assume(rule.key);
                }
            } else {
                self.conclude_unread(rule, input, report);
            }
        }
        ran(report, Kind::Pii, best);
    }
}

/// Turns of a user that are read together, the newest.
const TURNS: usize = 64;

/// The user's last turns, the current one at the end.
fn turns<'a>(input: &'a SignalInput<'_>) -> Vec<&'a str> {
    let texts = &input.prompt.texts;
    let earlier = texts.prior_user.len().saturating_sub(TURNS);
    let earlier = texts.prior_user.iter().skip(earlier);
    earlier
        .chain(std::iter::once(&texts.current))
        .map(String::as_str)
        .collect()
}

/// Where what was found across turns counts: where it ends.
fn placed(found: &recognizers::Across, input: &SignalInput<'_>) -> Scan {
    let current = input.prompt.texts.prior_user.len().min(TURNS);
    if found.ends_in == current {
        Scan::CURRENT
    } else {
        Scan::HISTORY
    }
}

impl PiiSignal {
    /// Concludes on a rule that found nothing in the texts, by what is no text.
    fn conclude_unread(&self, rule: &Rule, input: &SignalInput<'_>, report: &mut SignalReport) {
        let is_demanded = rule.on_unreadable == Some(OnUnreadable::Match);
        match unreadable(input, rule.scope, rule.on_unreadable) {
            Unreadable::Matched => {
                let error = "an attachment is not read";
                report.note_failure(rule.key, Kind::Pii, "unreadable", error);
                if is_demanded {
                    report.emit(rule.key);
                } else if self.blocks {
                    report.assume(rule.key);
                }
            }
            Unreadable::Doubted => {
                report.note(Kind::Pii, "unreadable");
                report.doubt(&[rule.key]);
            }
            Unreadable::Passed if is_sealed(input, rule.scope) => {
                report.note(Kind::Pii, "sealed");
            }
            Unreadable::Passed => {}
        }
    }
}
