//! What the signals of one request found: names interned once per generation, facts in flat arrays.
//!
//! Every name that a rule, a projection or a decision can speak of (`type:name[:suffix]`) becomes a
//! [`Key`] when the generation is built, so that evaluating a request hashes and allocates nothing
//! per leaf.

pub mod outlook;

pub use crate::family::Kind;
use inference::handle::Cost;
use std::collections::HashMap;
use std::time::Duration;

/// An interned `type:name[:suffix]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u32);

impl Key {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The names of one generation's recipe.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    ids: HashMap<(Kind, Box<str>), Key>,
    names: Vec<(Kind, Box<str>)>,
    differences: Vec<Key>,
}

impl Keys {
    /// The key of `kind:name`, made if new.
    pub fn intern(&mut self, kind: Kind, name: &str) -> Key {
        if let Some(key) = self.get(kind, name) {
            return key;
        }
        let key = Key(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.ids.insert((kind, name.into()), key);
        self.names.push((kind, name.into()));
        key
    }

    /// Notes that the numbers of a key are differences of two scores, whatever its family's are.
    pub fn note_difference(&mut self, key: Key) {
        self.differences.push(key);
    }

    /// Tells whether the numbers of a key are differences of two scores.
    #[must_use]
    pub fn is_difference(&self, key: Key) -> bool {
        self.differences.contains(&key)
    }

    /// The key of `kind:name`, if some part of the recipe mentions it.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<Key> {
        self.ids.get(&(kind, Box::from(name))).copied()
    }

    /// The family of a key.
    #[must_use]
    pub fn kind(&self, key: Key) -> Kind {
        self.names[key.index()].0
    }

    /// The name of a key, without its family.
    #[must_use]
    pub fn name(&self, key: Key) -> &str {
        &self.names[key.index()].1
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// No name was interned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All keys in interning order.
    pub fn iter(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.names.len()).map(|index| Key(index as u32))
    }
}

/// The key under which a knowledge base's metric is stored as a value (`kb_metric:<kb>:<metric>`,
/// lower case). No rule leaf can name it.
pub fn kb_metric(keys: &mut Keys, kb: &str, metric: &str) -> Key {
    let name = format!("kb_metric:{}:{}", kb.trim(), metric.trim()).to_lowercase();
    keys.intern(Kind::Kb, &name)
}

/// What was found for one request. Indexed by the [`Keys`] it was made from.
#[derive(Debug, Clone, Default)]
pub struct SignalReport {
    order: Vec<Key>,
    matched: Vec<bool>,
    confidence: Vec<Option<f64>>,
    value: Vec<Option<f64>>,
    errors: Vec<(Key, String)>,
    /// Keys with an error.
    failed: Vec<bool>,
    /// Matches that nothing shows: a failure counts as one.
    assumed: Vec<bool>,
    degraded: Vec<(Kind, &'static str)>,
    doubted: Vec<Key>,
    /// A key that is unknown, which fails the request.
    unresolved: Option<Key>,
    /// How many of the failures and partial evaluations say all about themselves.
    notes: usize,
    /// Time and confidence per family, indexed by `Kind as usize`.
    pub families: [FamilyMetric; Kind::ALL.len()],
    /// What asking models took, indexed by `Cost as usize`.
    pub stages: [StageMetric; 4],
}

/// What asking models of one cost took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageMetric {
    /// From the decision to ask until all have concluded.
    pub elapsed: Duration,
    /// Groups of rules whose questions were asked.
    pub asked: u32,
    /// Groups whose questions could not change the outcome any more, and were not asked.
    pub skipped: u32,
}

impl StageMetric {
    /// The stage was not run, as the outcome was settled without it.
    #[must_use]
    pub fn is_avoided(&self) -> bool {
        self.asked == 0 && self.skipped > 0
    }
}

/// What eval's `metrics` says of one family.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FamilyMetric {
    /// Evaluation time.
    pub elapsed: Duration,
    /// The family's own confidence.
    pub confidence: f64,
    /// The family ran.
    pub ran: bool,
    /// Some of its rules were not evaluated, as they could not change the outcome any more.
    pub skipped: bool,
}

impl SignalReport {
    /// An empty report over `keys`.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self {
            order: Vec::new(),
            matched: vec![false; keys.len()],
            confidence: vec![None; keys.len()],
            value: vec![None; keys.len()],
            errors: Vec::new(),
            failed: vec![false; keys.len()],
            assumed: vec![false; keys.len()],
            degraded: Vec::new(),
            doubted: Vec::new(),
            unresolved: None,
            notes: 0,
            families: [FamilyMetric::default(); Kind::ALL.len()],
            stages: [StageMetric::default(); 4],
        }
    }

    /// An empty report over the same keys.
    #[must_use]
    pub(crate) fn blank(&self) -> Self {
        Self {
            matched: vec![false; self.matched.len()],
            confidence: vec![None; self.confidence.len()],
            value: vec![None; self.value.len()],
            failed: vec![false; self.failed.len()],
            assumed: vec![false; self.assumed.len()],
            ..Self::default()
        }
    }

    /// What asking models of this cost took.
    #[must_use]
    pub fn stage(&self, cost: Cost) -> &StageMetric {
        &self.stages[cost as usize]
    }

    /// Families with rules that were not evaluated, as they could no longer change the outcome.
    pub fn skipped(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(|&kind| self.families[kind as usize].skipped)
    }

    /// Records a match, in emission order; a second emission is ignored.
    pub fn emit(&mut self, key: Key) {
        self.assumed[key.index()] = false;
        let slot = &mut self.matched[key.index()];
        if !*slot {
            *slot = true;
            self.order.push(key);
        }
    }

    /// Records a match that nothing shows: evaluating `key` failed, and that counts as one. What
    /// was found stays found.
    pub fn assume(&mut self, key: Key) {
        if !self.is_matched(key) {
            self.emit(key);
            self.assumed[key.index()] = true;
        }
    }

    /// Takes a match back, its confidence too; values stay.
    pub fn withdraw(&mut self, key: Key) {
        self.matched[key.index()] = false;
        self.confidence[key.index()] = None;
        self.order.retain(|&other| other != key);
    }

    /// Stores a confidence (matched or not).
    pub fn set_confidence(&mut self, key: Key, confidence: f64) {
        self.confidence[key.index()] = Some(confidence);
    }

    /// Stores a raw value (matched or not).
    pub fn set_value(&mut self, key: Key, value: f64) {
        self.value[key.index()] = Some(value);
    }

    /// Records that evaluating `key` failed.
    pub fn fail(&mut self, key: Key, error: impl Into<String>) {
        self.failed[key.index()] = true;
        self.errors.push((key, error.into()));
    }

    /// `key` matched.
    #[must_use]
    pub fn is_matched(&self, key: Key) -> bool {
        self.matched[key.index()]
    }

    /// Records that the request fails, as nothing is known of `key`.
    pub fn refuse(&mut self, key: Key) {
        self.unresolved.get_or_insert(key);
    }

    /// The key that is unknown, if that fails the request.
    #[must_use]
    pub fn unresolved(&self) -> Option<Key> {
        self.unresolved
    }

    /// The stored confidence. A match without one counts 1.0 in decisions; that is the caller's
    /// rule.
    #[must_use]
    pub fn confidence(&self, key: Key) -> Option<f64> {
        self.confidence[key.index()]
    }

    /// The stored raw value.
    #[must_use]
    pub fn value(&self, key: Key) -> Option<f64> {
        self.value[key.index()]
    }

    /// The recorded failure of `key`.
    #[must_use]
    pub fn error(&self, key: Key) -> Option<&str> {
        self.errors
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, error)| error.as_str())
    }

    /// `key` matched, or did before its match was taken back, though nothing shows it.
    #[must_use]
    pub fn is_assumed(&self, key: Key) -> bool {
        self.assumed[key.index()]
    }

    /// Evaluating `key` failed.
    #[must_use]
    pub fn is_failed(&self, key: Key) -> bool {
        self.failed[key.index()]
    }

    /// `key` failed, and nothing was found that shows a match all the same.
    #[must_use]
    pub fn is_unknown(&self, key: Key) -> bool {
        self.is_failed(key) && (!self.is_matched(key) || self.is_assumed(key))
    }

    /// Something failed.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Notes that a family was not fully evaluated, and why in one word: `shed`, `timeout`,
    /// `truncated`...
    pub fn degrade(&mut self, kind: Kind, reason: &'static str) {
        if !self.degraded.contains(&(kind, reason)) {
            self.degraded.push((kind, reason));
        }
    }

    /// Notes why a family's result is what it is where that is no trouble of the family's: of no
    /// other key is anything uncertain for it.
    pub fn note(&mut self, kind: Kind, reason: &'static str) {
        if !self.degraded.contains(&(kind, reason)) {
            self.degraded.push((kind, reason));
            self.notes += 1;
        }
    }

    /// Records why `key` is not known for certain, as [`note`](Self::note) does.
    pub fn note_failure(&mut self, key: Key, kind: Kind, reason: &'static str, error: &str) {
        self.note(kind, reason);
        self.fail(key, error);
        self.notes += 1;
        self.doubt(&[key]);
    }

    /// Notes that nothing is certain of these keys, whatever was written: their rules failed, or
    /// read a part of the text only. Who relies on a miss must know.
    pub fn doubt(&mut self, keys: &[Key]) {
        self.doubted.extend_from_slice(keys);
    }

    /// Returns the keys whose facts are uncertain. A key may come twice.
    #[must_use]
    pub fn doubted(&self) -> &[Key] {
        &self.doubted
    }

    /// How many failures and partial evaluations were noted of a family as a whole: whether it adds
    /// one shows by the number.
    pub fn troubles(&self) -> usize {
        self.errors.len() + self.degraded.len() - self.notes
    }

    /// Families that were not fully evaluated, each with its reason.
    #[must_use]
    pub fn degraded(&self) -> &[(Kind, &'static str)] {
        &self.degraded
    }

    /// All failures.
    pub fn errors(&self) -> impl Iterator<Item = (Key, &str)> {
        self.errors
            .iter()
            .map(|(key, error)| (*key, error.as_str()))
    }

    /// Matches in emission order.
    pub fn matches(&self) -> impl Iterator<Item = Key> {
        self.order.iter().copied()
    }
}
