//! One call: its questions, the windows that they need, and their answers.

use super::counters::Counters;
use crate::ask::{Answer, Entity, Failure, Outcome, Over, Priority, Question, Reply, What};
use crate::cache::{Cache, Key, Known, Secret};
use crate::handle::Backing;
use crate::model::{ClassifierModel, Model, TaggerModel};
use crate::vector::{normalise, weighted_mean};
use crate::window::Segmentation;
use crate::{recognizers, spans};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Takes the answers, once.
pub(super) type Done = Box<dyn FnOnce(Vec<Outcome>) + Send>;

/// A call on its way through the engine.
pub(super) struct Call {
    texts: Vec<TextOf>,
    asked: Vec<Asked>,
    /// When nobody listens any more; `None` for work without haste, which is never shed.
    pub(super) deadline: Option<Instant>,
    withdrawn: AtomicBool,
    prepared: OnceLock<Prepared>,
    shed: OnceLock<Shed>,
    left: AtomicUsize,
    done: Mutex<Option<Done>>,
}

/// A text under a model.
struct TextOf {
    text: Arc<str>,
    model: Arc<Model>,
    recognize: bool,
}

/// A question, as the engine sees it.
enum Asked {
    Refused(Failure),
    Of { text: usize, wanted: Wanted, priority: Priority },
}

enum Wanted {
    Vector,
    Labels(Arc<ClassifierModel>, Over),
    Entities(Arc<TaggerModel>),
    /// All windows with their static embeddings, to be fetched with [`Call::features`].
    Features,
}

/// What is known once the texts are cut.
pub(super) struct Prepared {
    plans: Vec<Result<Plan, Failure>>,
    /// Windows to read; equal windows are one.
    pub(super) units: Vec<Unit>,
    /// Units that no cache answers, those for safety first.
    pub(super) todo: Vec<usize>,
    /// How many of them are for safety.
    pub(super) for_safety: usize,
}

struct Plan {
    segmentation: Segmentation,
    units: Vec<Option<usize>>,
    verified: Vec<Entity>,
}

/// A window to read.
pub(super) struct Unit {
    text: usize,
    window: usize,
    /// Identity of the window under its model.
    pub(super) key: Key,
    statics: bool,
    taggers: Vec<Arc<TaggerModel>>,
    safety: bool,
    result: OnceLock<Result<Read, Failure>>,
}

struct Read {
    known: Arc<Known>,
    entities: Vec<Arc<[Entity]>>,
}

/// How much of a call was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    Ordinary,
    All,
}

/// A window's features, for training.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowFeatures {
    /// The encoder's vector.
    pub pooled: Arc<[f32]>,
    /// Static embeddings, one after the other.
    pub statics: Arc<[f32]>,
    /// The text's own tokens in it.
    pub tokens: usize,
}

impl Call {
    pub(super) fn new(questions: &[Question], deadline: Option<Instant>, done: Done) -> Self {
        let mut call = Self::empty(deadline, done);
        let mut known = HashMap::new();
        for question in questions {
            let asked = call.take(question, &mut known);
            call.asked.push(asked);
        }
        call
    }

    /// A call for the features of all windows of these texts.
    pub(super) fn for_features(model: &Arc<Model>, texts: &[String], done: Done) -> Self {
        let mut call = Self::empty(None, done);
        for text in texts {
            call.asked.push(Asked::Of {
                text: call.texts.len(),
                wanted: Wanted::Features,
                priority: Priority::Ordinary,
            });
            call.texts.push(TextOf { text: text.as_str().into(), model: Arc::clone(model), recognize: false });
        }
        call
    }

    fn empty(deadline: Option<Instant>, done: Done) -> Self {
        Self {
            texts: Vec::new(),
            asked: Vec::new(),
            deadline,
            withdrawn: AtomicBool::new(false),
            prepared: OnceLock::new(),
            shed: OnceLock::new(),
            left: AtomicUsize::new(0),
            done: Mutex::new(Some(done)),
        }
    }

    fn take<'a>(&mut self, question: &'a Question, known: &mut HashMap<(&'a str, *const Model), usize>) -> Asked {
        let (wanted, model) = match wanted(&question.what) {
            Ok(found) => found,
            Err(failure) => return Asked::Refused(failure),
        };
        let text = *known.entry((&*question.text, Arc::as_ptr(&model))).or_insert_with(|| {
            self.texts.push(TextOf { text: Arc::clone(&question.text), model, recognize: false });
            self.texts.len() - 1
        });
        if let (Wanted::Entities(tagger), Some(of)) = (&wanted, self.texts.get_mut(text)) {
            of.recognize |= tagger.recognizers;
        }
        Asked::Of { text, wanted, priority: question.priority }
    }

    /// Bytes of all texts.
    pub(super) fn bytes(&self) -> usize {
        self.texts.iter().map(|of| of.text.len()).sum()
    }

    /// Whether nobody waits any more.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.withdrawn.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    pub(super) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.get()
    }

    /// Cuts the texts, and looks for what is known already.
    pub(super) fn prepare(&self, secret: Secret, cache: &Cache) -> &Prepared {
        self.prepared.get_or_init(|| {
            let plans = self.texts.iter().map(TextOf::plan).collect();
            let mut prepared = Prepared { plans, units: Vec::new(), todo: Vec::new(), for_safety: 0 };
            let mut known = HashMap::new();
            for turn in [Priority::Safety, Priority::Ordinary] {
                for asked in &self.asked {
                    if let Asked::Of { text, wanted, priority } = asked
                        && *priority == turn
                    {
                        prepared.add(self, *text, wanted, turn, (secret, &mut known));
                    }
                }
            }
            for (at, unit) in prepared.units.iter().enumerate() {
                let hit = unit.recall(self, &prepared.plans, secret, cache);
                cache.count(hit);
                if !hit {
                    prepared.todo.push(at);
                    prepared.for_safety += usize::from(unit.safety);
                }
            }
            prepared
        })
    }

    /// Says which part is turned away and how many units will be read. Answers at once if there are none.
    pub(super) fn expect(&self, shed: Option<Shed>, units: usize) {
        if let Some(shed) = shed {
            self.shed.get_or_init(|| shed);
        }
        self.left.store(units, Ordering::Release);
        if units == 0 {
            self.finish();
        }
    }

    /// Reads one window, from the cache if another call was faster.
    pub(super) fn read(&self, unit: usize, secret: Secret, cache: &Cache, counters: &Counters) {
        let Some((prepared, unit)) = self.unit(unit) else { return };
        if !unit.recall(self, &prepared.plans, secret, cache) {
            let read = unit.run(self, &prepared.plans, (secret, cache, counters));
            unit.result.get_or_init(|| read);
        }
    }

    /// A window is through, with the failure if nothing else came of it.
    pub(super) fn landed(&self, unit: usize, otherwise: Failure) {
        if let Some((_, unit)) = self.unit(unit) {
            unit.result.get_or_init(|| Err(otherwise));
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    /// What a unit is about: its model and the tokens of its run.
    pub(super) fn cost(&self, unit: usize) -> std::time::Duration {
        let tokens =
            self.unit(unit).and_then(|(prepared, unit)| Some((unit, unit.window(&prepared.plans)?.0.ids.len())));
        let expect = tokens.and_then(|(unit, tokens)| Some(self.texts.get(unit.text)?.model.pace.expect(tokens)));
        expect.unwrap_or_default()
    }

    fn unit(&self, unit: usize) -> Option<(&Prepared, &Unit)> {
        let prepared = self.prepared.get()?;
        Some((prepared, prepared.units.get(unit)?))
    }

    fn finish(&self) {
        let done = self.done.lock().ok().and_then(|mut done| done.take());
        if let Some(done) = done {
            done(self.outcomes());
        }
    }

    /// Answers as far as windows are read.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.asked.iter().map(|asked| self.outcome(asked)).collect()
    }

    fn outcome(&self, asked: &Asked) -> Outcome {
        let (text, wanted) = match asked {
            Asked::Refused(failure) => return Err(failure.clone()),
            Asked::Of { text, wanted, .. } => (*text, wanted),
        };
        let missing = || self.missing(asked);
        let prepared = self.prepared.get().ok_or_else(missing)?;
        let plan = prepared.plans.get(text).ok_or_else(missing)?.as_ref().map_err(Clone::clone)?;
        let of = self.texts.get(text).ok_or_else(missing)?;
        let rows = prepared.rows(plan, wanted, &missing)?;
        let answer = match wanted {
            Wanted::Vector => Answer::Vector(mean_vector(&rows, of.model.width)),
            Wanted::Labels(by, over) => Answer::Labels(labels(by, *over, &rows)),
            Wanted::Entities(by) => Answer::Entities(entities(by, &of.text, plan, &rows)),
            Wanted::Features => Answer::Labels(Vec::new()),
        };
        Ok(Reply { answer, truncated: plan.segmentation.truncated })
    }

    fn missing(&self, asked: &Asked) -> Failure {
        match (self.shed.get(), asked) {
            (Some(Shed::All), _) | (Some(Shed::Ordinary), Asked::Of { priority: Priority::Ordinary, .. }) => {
                Failure::Shed
            }
            _ => Failure::TimedOut,
        }
    }

    /// Features of each text's windows, once the call is answered.
    pub(super) fn features(&self) -> Result<Vec<Vec<WindowFeatures>>, Failure> {
        let prepared = self.prepared.get().ok_or(Failure::TimedOut)?;
        let plans = prepared.plans.iter().map(|plan| {
            let plan = plan.as_ref().map_err(Clone::clone)?;
            let rows = prepared.rows(plan, &Wanted::Features, &|| Failure::TimedOut)?;
            let features = rows.iter().map(|row| WindowFeatures {
                pooled: (*row.read.known.pooled).into(),
                statics: row.statics().into(),
                tokens: row.tokens,
            });
            Ok(features.collect())
        });
        plans.collect()
    }
}

/// A window that was read.
struct Row<'a> {
    unit: &'a Unit,
    read: &'a Read,
    window: usize,
    tokens: usize,
}

impl Row<'_> {
    fn statics(&self) -> &[f32] {
        self.read.known.statics.get().map_or(&[], |statics| statics)
    }
}

impl Prepared {
    fn add(
        &mut self,
        call: &Call,
        text: usize,
        wanted: &Wanted,
        priority: Priority,
        (secret, known): (Secret, &mut HashMap<Key, usize>),
    ) {
        let (Some(Ok(plan)), Some(of)) = (self.plans.get_mut(text), call.texts.get(text)) else { return };
        for window in wanted.windows(&plan.segmentation) {
            let Some(key) = plan.key(of, window, secret) else { continue };
            let at = *known.entry(key).or_insert(self.units.len());
            if at == self.units.len() {
                let safety = priority == Priority::Safety;
                let taggers = Vec::new();
                self.units.push(Unit { text, window, key, statics: false, taggers, safety, result: OnceLock::new() });
            }
            plan.units[window] = Some(at);
            self.units[at].want(wanted);
        }
    }

    fn rows<'a>(
        &'a self,
        plan: &'a Plan,
        wanted: &Wanted,
        missing: &dyn Fn() -> Failure,
    ) -> Result<Vec<Row<'a>>, Failure> {
        let row = |window: usize| {
            let unit =
                plan.units.get(window).copied().flatten().and_then(|unit| self.units.get(unit)).ok_or_else(missing)?;
            let read = unit.result.get().ok_or_else(missing)?.as_ref().map_err(Clone::clone)?;
            Ok(Row { unit, read, window, tokens: plan.segmentation.windows[window].tokens() })
        };
        wanted.windows(&plan.segmentation).into_iter().map(row).collect()
    }
}

impl TextOf {
    fn plan(&self) -> Result<Plan, Failure> {
        let segmentation = self.model.segmenter.segment(&self.text).map_err(|error| failed(&error))?;
        let units = vec![None; segmentation.windows.len()];
        let verified = if self.recognize { recognizers::find(&self.text) } else { Vec::new() };
        Ok(Plan { segmentation, units, verified })
    }
}

impl Plan {
    fn key(&self, of: &TextOf, window: usize, secret: Secret) -> Option<Key> {
        let window = self.segmentation.windows.get(window)?;
        let text = of.text.get(window.text.clone())?;
        let ids: Vec<u8> = window.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        Some(secret.key(&[of.model.digest.as_bytes(), &ids, text.as_bytes()]))
    }
}

impl Wanted {
    fn windows(&self, segmentation: &Segmentation) -> Vec<usize> {
        match self {
            Self::Vector | Self::Labels(_, Over::Sample) => segmentation.sample(),
            // Rules need no windows.
            Self::Entities(by) if by.is_rules_only() => Vec::new(),
            Self::Labels(_, Over::EachWindow) | Self::Entities(_) | Self::Features => {
                (0..segmentation.windows.len()).collect()
            }
        }
    }
}

impl Unit {
    fn want(&mut self, wanted: &Wanted) {
        match wanted {
            Wanted::Vector => {}
            Wanted::Labels(by, _) => self.statics |= by.head.as_ref().is_some_and(|head| head.card().statics() > 0),
            Wanted::Features => self.statics = true,
            Wanted::Entities(by) => {
                if !self.taggers.iter().any(|tagger| tagger.digest == by.digest) {
                    self.taggers.push(Arc::clone(by));
                }
            }
        }
    }

    fn window<'a>(&self, plans: &'a [Result<Plan, Failure>]) -> Option<(&'a crate::window::Window, &'a Plan)> {
        let plan = plans.get(self.text)?.as_ref().ok()?;
        Some((plan.segmentation.windows.get(self.window)?, plan))
    }

    fn text<'a>(&self, call: &'a Call, window: &crate::window::Window) -> &'a str {
        call.texts.get(self.text).and_then(|of| of.text.get(window.text.clone())).unwrap_or_default()
    }

    /// Answers from the cache. What is cheap to add is added: static embeddings need no run.
    fn recall(&self, call: &Call, plans: &[Result<Plan, Failure>], secret: Secret, cache: &Cache) -> bool {
        let entities: Option<Vec<_>> = self.taggers.iter().map(|by| cache.entities(self.under(by, secret))).collect();
        let (Some(entities), Some(known)) = (entities, cache.window(self.key)) else { return false };
        if self.statics && known.statics.get().is_none() {
            let Some((window, _)) = self.window(plans) else { return false };
            let Some(of) = call.texts.get(self.text) else { return false };
            let Ok(statics) = of.model.statics(self.text(call, window)) else { return false };
            known.statics.get_or_init(|| statics);
        }
        self.result.get_or_init(|| Ok(Read { known, entities }));
        true
    }

    fn run(
        &self,
        call: &Call,
        plans: &[Result<Plan, Failure>],
        (secret, cache, counters): (Secret, &Cache, &Counters),
    ) -> Result<Read, Failure> {
        let lost = || Failure::Failed("the window is lost".into());
        let (window, _) = self.window(plans).ok_or_else(lost)?;
        let model = &call.texts.get(self.text).ok_or_else(lost)?.model;
        let text = self.text(call, window);
        let begin = Instant::now();
        let encoded = model.run(window, !self.taggers.is_empty());
        counters.ran(window.ids.len(), begin.elapsed(), encoded.is_ok());
        let encoded = encoded.map_err(|error| failed(&error))?;
        let known = Arc::new(Known { pooled: encoded.pooled.into(), statics: OnceLock::new() });
        if self.statics {
            let statics = model.statics(text).map_err(|error| failed(&error))?;
            known.statics.get_or_init(|| statics);
        }
        cache.keep_window(self.key, Arc::clone(&known));
        let mut entities = Vec::with_capacity(self.taggers.len());
        for by in &self.taggers {
            let states =
                encoded.states.as_ref().ok_or_else(|| Failure::Failed("the graph gave no token states".into()))?;
            let found: Arc<[Entity]> = by.tag(text, window, states.view()).into();
            cache.keep_entities(self.under(by, secret), Arc::clone(&found));
            entities.push(found);
        }
        Ok(Read { known, entities })
    }

    fn under(&self, by: &TaggerModel, secret: Secret) -> Key {
        secret.key(&[&self.key.to_le_bytes(), by.digest.as_bytes()])
    }
}

fn wanted(what: &What) -> Result<(Wanted, Arc<Model>), Failure> {
    match what {
        What::Vector(by) => Ok((Wanted::Vector, behind::<Model>(by.backing.as_ref())?)),
        What::Labels(by, over) => {
            let by = behind::<ClassifierModel>(by.backing.as_ref())?;
            let model = Arc::clone(&by.model);
            Ok((Wanted::Labels(by, *over), model))
        }
        What::Entities(by) => {
            let by = behind::<TaggerModel>(by.backing.as_ref())?;
            let model = Arc::clone(&by.model);
            Ok((Wanted::Entities(by), model))
        }
    }
}

fn behind<T: Send + Sync + 'static>(backing: Option<&Backing>) -> Result<Arc<T>, Failure> {
    let backing = backing.ok_or(Failure::Unready)?;
    Arc::clone(backing).downcast().map_err(|_| Failure::Failed("the handle is of another engine".into()))
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string().into())
}

fn mean_vector(rows: &[Row<'_>], width: usize) -> Arc<[f32]> {
    let mut mean = weighted_mean(rows.iter().map(|row| (&*row.read.known.pooled, row.tokens as f32)));
    mean.resize(width, 0.0);
    normalise(&mut mean);
    mean.into()
}

fn labels(by: &ClassifierModel, over: Over, rows: &[Row<'_>]) -> Vec<Arc<[f32]>> {
    let of = |row: &Row<'_>| by.probabilities(&row.read.known.pooled, row.statics());
    match (over, rows) {
        (_, []) => Vec::new(),
        (Over::EachWindow, rows) => rows.iter().map(|row| of(row).into()).collect(),
        (Over::Sample, rows) => {
            let each: Vec<_> = rows.iter().map(|row| (of(row), row.tokens as f32)).collect();
            vec![weighted_mean(each.iter().map(|(row, weight)| (row.as_slice(), *weight))).into()]
        }
    }
}

fn entities(by: &TaggerModel, text: &str, plan: &Plan, rows: &[Row<'_>]) -> Vec<Entity> {
    let scalars = spans::Scalars::new(text);
    let mut found = Vec::new();
    for row in rows {
        let Some(at) = row.unit.taggers.iter().position(|tagger| tagger.digest == by.digest) else { continue };
        let Some(window) = plan.segmentation.windows.get(row.window) else { continue };
        let begin = scalars.at(window.text.start);
        let moved = |entity: &Entity| Entity { start: entity.start + begin, end: entity.end + begin, ..entity.clone() };
        found.extend(row.read.entities.get(at).iter().flat_map(|found| found.iter()).map(moved));
    }
    let verified: &[Entity] = if by.recognizers { &plan.verified } else { &[] };
    spans::union(verified, found)
}
