//! Recipes whose families write what a script says.

use crate::boundary::{Boundaries, Guarded, Verdict};
use crate::config::Document;
use crate::config::decisions::{Boundary, Decision, boundary_trees, decision_trees};
use crate::recipe::{Evaluation, Extent, Recipe, Route, blind, families};
use dialects::Prompt;
use futures_util::FutureExt;
use inference::ask::{Outcome, Over, Question, What};
use inference::fake::Fake;
use inference::handle::{Classifier, Cost};
use selection::algorithms::Candidates;
use selection::candidate::Candidate;
use selection::providers::ProviderModel;
use selection::requirements::Requirements;
use signals::catalog::ExternalModel;
use signals::decision::{Decisions, Ranking, Strategy};
use signals::declared::Declared;
use signals::families::learned::{Head, Learned};
use signals::families::{Signal, SignalError, SignalInput, Watch};
use signals::projection::Projections;
use signals::projection::section as document;
use signals::projection::step::{Cut, Step};
use signals::report::{Key, Keys, Kind, SignalReport};
use signals::rules::{OnUnknown, RuleNode};
use signals::used;
use std::sync::Arc;
use std::time::Instant;

/// What a family writes about one `type:name`.
#[derive(Debug, Clone, Default)]
pub(super) struct Fact {
    pub(super) key: String,
    pub(super) matched: bool,
    pub(super) confidence: Option<f64>,
    pub(super) value: Option<f64>,
    pub(super) failed: bool,
}

pub(super) fn found(key: &str, confidence: Option<f64>) -> Fact {
    Fact {
        key: key.to_owned(),
        matched: true,
        confidence,
        ..Fact::default()
    }
}

pub(super) fn missed(key: &str) -> Fact {
    Fact {
        key: key.to_owned(),
        ..Fact::default()
    }
}

/// Rules of one family that are evaluated together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: &'static str,
    /// `None`: a heuristic.
    pub(super) cost: Option<Cost>,
    /// About every key that it may write.
    pub(super) facts: Vec<Fact>,
    pub(super) health: Health,
}

/// Whether a group's model answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Sound,
    /// It fails, and the group writes nothing but that.
    Down,
    /// A part of the text was not read.
    Partial,
}

/// A policy, and what its families find.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    pub(super) decisions: Vec<Decision>,
    /// They may allow the models `m0` to `m3` and the places `here` (where the service `preference`
    /// is) and `there`.
    pub(super) boundaries: Vec<Boundary>,
    pub(super) by_confidence: bool,
    pub(super) ranking: Ranking,
    pub(super) projections: document::Projections,
    /// A level of complexity rule `c` that stands only if all these matched.
    pub(super) composer: Option<(String, Vec<String>)>,
    /// The request fails where a failure leaves that open.
    pub(super) refuses: bool,
    pub(super) top_k: i64,
    pub(super) groups: Vec<Group>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Routed {
    pub(super) winner: String,
    /// Its bits.
    pub(super) confidence: Option<u64>,
    pub(super) category: Option<String>,
    pub(super) candidate: Option<usize>,
}

/// What came of a request, and at what cost.
pub(super) struct Run {
    pub(super) routed: Option<Routed>,
    /// Decisions that a failure leaves open.
    pub(super) unknown: Vec<(usize, OnUnknown)>,
    /// Something fails the request: a decision of this index, or a composed rule.
    pub(super) refused: Option<Option<usize>>,
    /// Groups in the order in which they were asked.
    pub(super) asked: Vec<String>,
    pub(super) verdict: Verdict,
    pub(super) report: SignalReport,
}

impl Script {
    pub(super) fn run(&self, extent: Extent<'_>, only: Option<&str>) -> Run {
        let recipe = self.recipe();
        let fake = Fake::default();
        let prompt = Prompt::default();
        let input = SignalInput::new(&prompt, None);
        let reading = recipe
            .read(&input, extent, &Guarded::free(&fake), Instant::now())
            .now_or_never()
            .unwrap()
            .unwrap();
        let Evaluation {
            report,
            verdict,
            mut unknown,
        } = reading;
        unknown.retain(|(index, _)| recipe.is_asked(*index, only));
        let failing = unknown.iter().find(|it| it.1 == OnUnknown::FailRequest);
        let failing = failing.map(|(index, _)| Some(*index));
        let routed = recipe.decide(&report, only).map(|decided| Routed {
            winner: recipe.routes[decided.index].name.to_string(),
            confidence: decided.confidence.map(f64::to_bits),
            category: recipe
                .decisions
                .category(decided.index, &report)
                .map(str::to_owned),
            candidate: recipe.routes[decided.index]
                .candidates
                .select_any()
                .candidate,
        });
        let asked = fake
            .asked()
            .iter()
            .map(|asked| asked.trim_end_matches(": ").to_owned())
            .collect();
        Run {
            routed,
            refused: failing.or(report.unresolved().map(|_| None)),
            unknown,
            asked,
            verdict,
            report,
        }
    }

    fn recipe(&self) -> Recipe {
        let mut keys = Keys::default();
        let declared = declared();
        let composer = self
            .composer
            .as_ref()
            .map(|(_, all)| node("AND", all.iter().map(|rule| leaf(rule)).collect()));
        let composed = |rule: &str| composer.as_ref().filter(|_| rule == "c");
        let bounding = used::used(
            boundary_trees(&self.boundaries),
            &self.projections,
            composed,
        );
        let trees = decision_trees(&self.decisions).chain(boundary_trees(&self.boundaries));
        let used = used::used(trees, &self.projections, composed);
        let projections = Projections::build(&self.projections, &mut keys, &declared);
        let strategy = if self.by_confidence {
            Strategy::Confidence
        } else {
            Strategy::Priority
        };
        let decisions = Decisions::build(
            self.decisions.iter().map(Decision::spec),
            strategy,
            self.ranking,
            &mut keys,
            &declared,
        )
        .unwrap();
        let withholds = self.ranking == Ranking::V04 || decisions.keep_unknown();
        let projections = projections.withholding(withholds);
        let boundaries =
            Boundaries::build(&self.boundaries, &document(), &mut keys, &declared).unwrap();
        let mut signals: Vec<Box<dyn Signal>> = Vec::new();
        let mut learned: Vec<Box<dyn Learned>> = Vec::new();
        for group in &self.groups {
            let scripted = Scripted::new(group, &mut keys);
            if group.cost.is_some() {
                learned.push(Box::new(scripted))
            } else {
                signals.push(Box::new(scripted))
            }
        }
        learned.sort_by_key(|family| family.cost());
        // A rule with negative examples.
        let difference = key("embedding:ed", &mut keys);
        keys.note_difference(difference);
        let mut steps: Vec<Box<dyn Step>> = Vec::new();
        if let Some((own, all)) = &self.composer {
            let all = all.iter().map(|rule| key(rule, &mut keys)).collect();
            steps.push(Box::new(Composer {
                all,
                own: [key(own, &mut keys)],
                refuses: self.refuses,
            }));
        }
        steps.push(Box::new(Cut::new(Kind::Embedding, self.top_k, &keys)));
        Recipe {
            replay: None,
            name: "default".into(),
            declared,
            decisions,
            falls_back: false,
            routes: self.decisions.iter().map(route).collect(),
            projections,
            signals,
            steps,
            idle: Vec::new(),
            pace: 0.0,
            blind: blind(&boundaries, &keys, &learned),
            learned,
            boundaries,
            keys,
            used: families(&used),
            bounding: families(&bounding),
            watched: Default::default(),
        }
    }
}

fn document() -> Document {
    let model = |name: &str, location: &str| ProviderModel {
        name: name.into(),
        location: location.into(),
        ..ProviderModel::default()
    };
    let service = ExternalModel {
        name: "preference".into(),
        location: "here".into(),
        ..ExternalModel::default()
    };
    let mut document = Document::default();
    document.providers.models = vec![
        model("m0", "here"),
        model("m1", "here"),
        model("m2", "there"),
        model("m3", ""),
    ];
    document.global.model_catalog.external = vec![service];
    document
}

fn declared() -> Declared {
    let mut declared = Declared::default();
    for (name, categories) in [("da", &[][..]), ("db", &["math".to_owned()]), ("dc", &[])] {
        declared.push_domain(name, categories);
    }
    ["ea", "eb", "ec", "ed"]
        .iter()
        .for_each(|name| declared.push(Kind::Embedding, name));
    declared
}

fn route(decision: &Decision) -> Route {
    let algorithm = decision
        .algorithm
        .as_ref()
        .map(|block| block.kind.clone())
        .unwrap_or_default();
    let candidates = decision
        .model_refs
        .iter()
        .cloned()
        .map(Candidate::unknown)
        .collect();
    Route {
        destination: None,
        strict_translation: false,
        requirements: Requirements::default(),
        not_run: Vec::new(),
        replay: None,
        tier: decision.tier,
        name: decision.name.as_str().into(),
        candidates: Candidates::new(
            &decision.name,
            candidates,
            crate::algorithms::method(&algorithm),
            None,
        ),
        forecaster: Arc::default(),
        algorithm,
        final_model: String::new(),
        learning: None,
        plugin_names: Vec::new(),
        backends: Vec::new(),
        looper: None,
        plugins: Vec::new(),
    }
}

fn key(written: &str, keys: &mut Keys) -> Key {
    let (kind, name) = written.split_once(':').unwrap();
    keys.intern(Kind::parse(kind).unwrap(), name)
}

/// `type:name`, and for classifiers `classifier:name:label`.
pub(super) fn leaf(rule: &str) -> RuleNode {
    let (kind, name) = rule.split_once(':').unwrap();
    let labelled = name.split_once(':').filter(|_| kind == "classifier");
    let (name, label) = labelled.unwrap_or((name, ""));
    RuleNode {
        kind: kind.to_owned(),
        name: name.to_owned(),
        label: label.to_owned(),
        ..RuleNode::default()
    }
}

pub(super) fn node(operator: &str, conditions: Vec<RuleNode>) -> RuleNode {
    RuleNode {
        operator: operator.to_owned(),
        conditions,
        ..RuleNode::default()
    }
}

struct Scripted {
    group: Group,
    head: Head,
}

impl Scripted {
    fn new(group: &Group, keys: &mut Keys) -> Self {
        let interned: Vec<Key> = group
            .facts
            .iter()
            .map(|fact| key(&fact.key, keys))
            .collect();
        Self {
            group: group.clone(),
            head: Head::new(
                keys.kind(interned[0]),
                group.cost.unwrap_or(Cost::Rules),
                interned,
            ),
        }
    }

    fn write(&self, report: &mut SignalReport) {
        for (fact, &key) in self.group.facts.iter().zip(&self.head.keys) {
            if let Some(confidence) = fact.confidence {
                report.set_confidence(key, confidence);
            }
            if let Some(value) = fact.value {
                report.set_value(key, value);
            }
            if fact.failed {
                report.fail(key, "scripted");
            }
            match (fact.matched, fact.failed) {
                (true, false) => report.emit(key),
                (true, true) => report.assume(key),
                (false, _) => {}
            }
        }
    }
}

impl Signal for Scripted {
    fn kind(&self) -> Kind {
        self.head.kind
    }

    fn evaluate(
        &self,
        _input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        self.write(report);
        Ok(())
    }

    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

impl Learned for Scripted {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, _input: &SignalInput<'_>) -> Vec<Question> {
        let name = self.group.name.into();
        let classifier = Classifier {
            name,
            labels: [].into(),
            threshold: None,
            cost: self.cost(),
            backing: None,
        };
        vec![Question::new(
            "".into(),
            What::Labels(classifier, Over::Sample),
        )]
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        assert_eq!(answers.len(), 1);
        match (&answers[0], self.group.health) {
            (Err(failure), _) => {
                report.degrade(self.head.kind, failure.reason());
                self.head
                    .keys
                    .iter()
                    .for_each(|&key| report.fail(key, failure.to_string()));
            }
            (Ok(_), Health::Sound) => self.write(report),
            (Ok(_), Health::Down) => {
                report.degrade(self.head.kind, "down");
                self.head
                    .keys
                    .iter()
                    .for_each(|&key| report.fail(key, "down"));
            }
            (Ok(_), Health::Partial) => {
                report.degrade(self.head.kind, "truncated");
                // What a note that is there already would hide.
                report.fail(self.head.keys[0], "truncated");
                self.write(report);
            }
        }
    }
}

/// Takes a match back unless all of some others are there; its confidence stays.
struct Composer {
    all: Vec<Key>,
    own: [Key; 1],
    refuses: bool,
}

impl Step for Composer {
    fn reads(&self) -> &[Key] {
        &self.all
    }

    fn writes(&self) -> &[Key] {
        &self.own
    }

    fn may_refuse(&self) -> bool {
        self.refuses
    }

    fn apply(&self, _keys: &Keys, report: &mut SignalReport) {
        let is_met = |key: &Key| report.is_matched(*key) || report.is_unknown(*key);
        let is_unknown = self.all.iter().any(|key| report.is_unknown(*key));
        let is_open = is_unknown && self.all.iter().all(is_met);
        if self.refuses && is_open && report.is_matched(self.own[0]) {
            report.refuse(self.own[0]);
        }
        if !self.all.iter().all(|&key| report.is_matched(key)) {
            let confidence = report.confidence(self.own[0]);
            report.withdraw(self.own[0]);
            confidence
                .into_iter()
                .for_each(|confidence| report.set_confidence(self.own[0], confidence));
        }
    }
}
