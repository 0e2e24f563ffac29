//! One call: its questions, the windows that they need, and their answers.

use super::answer::{self, Row};
use super::counters::Counters;
use super::cut::{Cut, Piece};
use super::reading::{Reading, reading};
use super::unit::{Memory, Unit};
use crate::ask::{Answer, Entity, Failure, Outcome, Over, Priority, Question, Reply};
use crate::cache::Key;
use crate::composed::{Composed, Places};
use crate::language::Multilingual;
use crate::model::{ClassifierModel, EmbedderPair, Model, TaggerModel};
use crate::recognizers::Search;
use crate::window::Reach;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A call whose texts took so long to cut lets others have their turn.
const TURN: Duration = Duration::from_millis(10);

/// Takes the answers, once.
pub(super) type Done = Box<dyn FnOnce(Vec<Outcome>) + Send>;

/// A call on its way through the engine.
pub(super) struct Call {
    texts: Vec<TextOf>,
    asked: Vec<Asked>,
    /// When nobody listens any more; `None` for work without haste, which is never shed.
    pub(super) deadline: Option<Instant>,
    /// No request of a client waits for it.
    pub(super) is_background: bool,
    withdrawn: AtomicBool,
    cutting: Mutex<Cutting>,
    prepared: OnceLock<Prepared>,
    shed: OnceLock<Shed>,
    left: AtomicUsize,
    done: Mutex<Option<Done>>,
}

/// A text under a model, or under the two of a pair.
struct TextOf {
    /// Empty once nobody waits for answers about it: its windows may be read later, and the whole is
    /// held no longer than by its request.
    text: Mutex<Arc<str>>,
    /// Where the scalars of the composed form come from; nothing where the text came composed.
    places: Option<Places>,
    model: Arc<Model>,
    multilingual: Option<Arc<Multilingual>>,
    reach: Reach,
    recognize: bool,
}

/// A question, as the engine sees it.
enum Asked {
    Refused(Failure),
    Of {
        text: usize,
        wanted: Wanted,
        priority: Priority,
    },
}

pub(super) enum Wanted {
    Vector,
    VectorOfPair(Arc<EmbedderPair>),
    Labels(Arc<ClassifierModel>, Over),
    Entities(Arc<TaggerModel>),
    /// All windows with their static embeddings, to be fetched with [`Call::features`].
    Features,
}

/// Texts that are being cut.
#[derive(Default)]
struct Cutting {
    /// Of the texts that are cut.
    plans: Vec<Result<Plan, Failure>>,
    /// The next text's windows and the search through it, once begun.
    begun: Option<(Cut, Search)>,
}

/// A text, the encoder or pair that reads it, and how far it is read.
type TextKey<'a> = (&'a str, *const Model, Option<*const Multilingual>, Reach);

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
    cut: Cut,
    keys: Vec<Key>,
    units: Vec<Option<usize>>,
    /// What rules found; `None` if they did not come to the text's end in time.
    verified: Option<Vec<Entity>>,
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
        let in_background = |question: &Question| question.priority == Priority::Background;
        call.is_background = !questions.is_empty() && questions.iter().all(in_background);
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
            let of = TextOf::new(&text.as_str().into(), Arc::clone(model), None, Reach::Whole);
            call.texts.push(of);
        }
        call
    }

    fn empty(deadline: Option<Instant>, done: Done) -> Self {
        Self {
            texts: Vec::new(),
            asked: Vec::new(),
            deadline,
            is_background: false,
            withdrawn: AtomicBool::new(false),
            cutting: Mutex::default(),
            prepared: OnceLock::new(),
            shed: OnceLock::new(),
            left: AtomicUsize::new(0),
            done: Mutex::new(Some(done)),
        }
    }

    fn take<'a>(
        &mut self,
        question: &'a Question,
        known: &mut HashMap<TextKey<'a>, usize>,
    ) -> Asked {
        let Reading {
            wanted,
            model,
            multilingual,
        } = match reading(&question.what) {
            Ok(found) => found,
            Err(failure) => return Asked::Refused(failure),
        };
        // A text that is short enough is cut once for all questions.
        let reach = if model.segmenter.is_long(&question.text) {
            wanted.reach()
        } else {
            Reach::Whole
        };
        let text = *known
            .entry((
                &*question.text,
                Arc::as_ptr(&model),
                multilingual.as_ref().map(Arc::as_ptr),
                reach,
            ))
            .or_insert_with(|| {
                let of = TextOf::new(&question.text, model, multilingual, reach);
                self.texts.push(of);
                self.texts.len() - 1
            });
        if let (Wanted::Entities(tagger), Some(of)) = (&wanted, self.texts.get_mut(text)) {
            of.recognize |= tagger.recognizers;
        }
        Asked::Of {
            text,
            wanted,
            priority: question.priority,
        }
    }

    /// Bytes of all texts.
    pub(super) fn bytes(&self) -> usize {
        self.texts.iter().map(|of| of.text().len()).sum()
    }

    /// Whether no text waits for an encoder that is still being opened.
    pub(super) fn is_ready(&self) -> bool {
        let mut pairs = self.texts.iter().filter_map(|of| of.multilingual.as_ref());
        pairs.all(|multilingual| multilingual.is_open())
    }

    /// Whether nobody waits any more.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.withdrawn.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether its answer has become due, as opposed to being unwanted.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Notes that nobody waits for the answers, and lets go of the texts.
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
        self.texts.iter().for_each(TextOf::forget);
    }

    pub(super) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.get()
    }

    /// Cuts the texts, and looks for what is known already.
    pub(super) fn prepare(&self, memory: &Memory) {
        while !self.prepare_on(memory) {}
    }

    /// Cuts texts for one turn, and looks for what is known already once all are cut. Returns
    /// whether they are, or never will be.
    pub(super) fn prepare_on(&self, memory: &Memory) -> bool {
        // A panic while they were cut leaves nothing to go on with.
        let Ok(mut cutting) = self.cutting.lock() else {
            return true;
        };
        let until = Instant::now() + TURN;
        while let Some(of) = self.texts.get(cutting.plans.len()) {
            // A text that was let go of belongs to a dead call: it is taken before that is asked.
            let text = of.text();
            cutting.go_on(of, &text, self.is_dead(Instant::now()), memory);
            if Instant::now() >= until {
                return false;
            }
        }
        let plans = std::mem::take(&mut cutting.plans);
        self.plan(plans, memory);
        true
    }

    fn plan(&self, plans: Vec<Result<Plan, Failure>>, memory: &Memory) {
        self.prepared.get_or_init(|| {
            let mut prepared = Prepared {
                plans,
                units: Vec::new(),
                todo: Vec::new(),
                for_safety: 0,
            };
            let mut known = HashMap::new();
            // Those for safety come first, so that what they share with others is read early too.
            for turn in [Priority::Safety, Priority::Ordinary, Priority::Background] {
                for asked in self
                    .asked
                    .iter()
                    .filter(|asked| asked.priority() == Some(turn))
                {
                    prepared.add(&self.texts, asked, &mut known);
                }
            }
            prepared.recall(memory);
            prepared
        });
    }

    /// Says which part is turned away and how many units will be read. Answers at once if there are
    /// none.
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
    pub(super) fn read(&self, unit: usize, memory: &Memory, counters: &Counters) {
        if let Some(unit) = self.unit(unit).filter(|unit| !unit.recall(memory)) {
            unit.end(unit.run(memory, counters));
        }
    }

    /// A window is through, with the failure if nothing else came of it. The answer waits for it if
    /// it `is_awaited`.
    pub(super) fn landed(&self, unit: usize, is_awaited: bool, otherwise: Failure) {
        if let Some(unit) = self.unit(unit) {
            unit.end(Err(otherwise));
        }
        if is_awaited && self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    fn unit(&self, unit: usize) -> Option<&Unit> {
        self.prepared.get()?.units.get(unit)
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
        let plan = prepared
            .plans
            .get(text)
            .ok_or_else(missing)?
            .as_ref()
            .map_err(Clone::clone)?;
        let of = self.texts.get(text).ok_or_else(missing)?;
        let rows = prepared.rows(plan, wanted, &missing)?;
        let text = of.text();
        if text.is_empty() && !plan.cut.windows.is_empty() {
            return Err(missing());
        }
        let answer = match wanted {
            Wanted::Vector => Answer::Vector(answer::vector(&rows, of.model.width)),
            Wanted::VectorOfPair(by) => Answer::Vector(answer::vector_of_pair(&rows, by)),
            Wanted::Labels(by, over) => Answer::Labels(answer::labels(by, *over, &rows)),
            Wanted::Entities(by) => {
                let verified = plan.verified.as_deref().ok_or_else(missing)?;
                Answer::Entities(of.placed(answer::entities(by, &text, verified, &rows)))
            }
            Wanted::Features => Answer::Labels(Vec::new()),
        };
        Ok(Reply {
            answer,
            truncated: plan.cut.truncated,
        })
    }

    fn missing(&self, asked: &Asked) -> Failure {
        match (self.shed.get(), asked) {
            (Some(Shed::All), _)
            | (
                Some(Shed::Ordinary),
                Asked::Of {
                    priority: Priority::Ordinary | Priority::Background,
                    ..
                },
            ) => Failure::Shed,
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
                statics: row.read.statics().into(),
                tokens: row.window.tokens(),
            });
            Ok(features.collect())
        });
        plans.collect()
    }
}

impl Prepared {
    fn add(&mut self, texts: &[TextOf], asked: &Asked, known: &mut HashMap<Key, usize>) {
        let Asked::Of {
            text,
            wanted,
            priority,
        } = asked
        else {
            return;
        };
        let (Some(Ok(plan)), Some(of)) = (self.plans.get_mut(*text), texts.get(*text)) else {
            return;
        };
        for &window in wanted.windows(&plan.cut) {
            let (Some(&key), Some(piece)) = (plan.keys.get(window), plan.cut.windows.get(window))
            else {
                continue;
            };
            let at = *known.entry(key).or_insert(self.units.len());
            if at == self.units.len() {
                let is_for_safety = *priority == Priority::Safety;
                let (model, window) = (Arc::clone(&piece.model), Arc::clone(&piece.window));
                let unit = Unit::new(key, model, &of.text(), window, is_for_safety);
                self.units.push(unit);
            }
            plan.units[window] = Some(at);
            match wanted {
                Wanted::Vector | Wanted::VectorOfPair(_) => {}
                Wanted::Labels(by, _) => self.units[at].want_statics(by.wants_statics()),
                Wanted::Features => self.units[at].want_statics(true),
                Wanted::Entities(by) => self.units[at].want_entities(by),
            }
        }
    }

    /// Answers units from the cache, and lists the others.
    fn recall(&mut self, memory: &Memory) {
        for (at, unit) in self.units.iter().enumerate() {
            let hit = unit.recall(memory);
            memory.cache.count(hit);
            if !hit {
                self.todo.push(at);
                self.for_safety += usize::from(unit.is_for_safety());
            }
        }
    }

    fn rows<'a>(
        &'a self,
        plan: &'a Plan,
        wanted: &Wanted,
        missing: &dyn Fn() -> Failure,
    ) -> Result<Vec<Row<'a>>, Failure> {
        let row = |at: usize| {
            let unit = plan
                .units
                .get(at)
                .copied()
                .flatten()
                .and_then(|unit| self.units.get(unit))
                .ok_or_else(missing)?;
            let read = unit.read().ok_or_else(missing)?.map_err(Clone::clone)?;
            Ok(Row {
                unit,
                read,
                window: &plan.cut.windows.get(at).ok_or_else(missing)?.window,
            })
        };
        wanted
            .windows(&plan.cut)
            .iter()
            .map(|at| row(*at))
            .collect()
    }
}

impl Asked {
    fn priority(&self) -> Option<Priority> {
        match self {
            Self::Refused(_) => None,
            Self::Of { priority, .. } => Some(*priority),
        }
    }
}

impl Cutting {
    /// Cuts the next text, or searches it for one slice more, unless that `is_over`.
    fn go_on(&mut self, of: &TextOf, text: &Arc<str>, is_over: bool, memory: &Memory) {
        let (cut, mut search) = match self.begun.take() {
            Some(begun) => begun,
            None => match of.cut(text) {
                Ok(cut) => (cut, Search::default()),
                Err(failure) => return self.plans.push(Err(failure)),
            },
        };
        let verified = if !of.recognize {
            Some(Vec::new())
        } else if is_over {
            None
        } else if search.read_on(text) {
            Some(search.found)
        } else {
            self.begun = Some((cut, search));
            return;
        };
        self.plans.push(Ok(of.plan(text, cut, verified, memory)));
    }
}

impl TextOf {
    /// Takes a text in composed form.
    fn new(
        text: &Arc<str>,
        model: Arc<Model>,
        multilingual: Option<Arc<Multilingual>>,
        reach: Reach,
    ) -> Self {
        let (text, places) = match Composed::of(text) {
            None => (Arc::clone(text), None),
            Some(composed) => (composed.text.into(), Some(composed.places)),
        };
        Self {
            text: Mutex::new(text),
            places,
            model,
            multilingual,
            reach,
            recognize: false,
        }
    }

    /// Moves entities of the composed form to their places in the text.
    fn placed(&self, mut found: Vec<Entity>) -> Vec<Entity> {
        if let Some(places) = &self.places {
            for entity in &mut found {
                (entity.start, entity.end) = places.origin(entity.start, entity.end);
            }
        }
        found
    }

    fn text(&self) -> Arc<str> {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&text)
    }

    fn forget(&self) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        *text = Arc::default();
    }

    fn cut(&self, text: &str) -> Result<Cut, Failure> {
        let multilingual = self.multilingual.as_deref();
        Cut::new(text, &self.model, multilingual, self.reach)
    }

    fn plan(&self, text: &str, cut: Cut, verified: Option<Vec<Entity>>, memory: &Memory) -> Plan {
        let key = |piece: &Piece| memory.key(&piece.model, text, &piece.window);
        Plan {
            units: vec![None; cut.windows.len()],
            keys: cut.windows.iter().map(key).collect(),
            cut,
            verified,
        }
    }
}

impl Wanted {
    fn reach(&self) -> Reach {
        match self {
            Self::Vector | Self::VectorOfPair(_) | Self::Labels(_, Over::Sample) => Reach::Sample,
            Self::Labels(_, Over::EachWindow) | Self::Entities(_) | Self::Features => Reach::Whole,
        }
    }

    /// Places of the windows that it reads.
    fn windows<'a>(&self, cut: &'a Cut) -> &'a [usize] {
        match self {
            Self::Vector | Self::VectorOfPair(_) | Self::Labels(_, Over::Sample) => &cut.sample,
            // Rules need no windows.
            Self::Entities(by) if by.is_rules_only() => &[],
            Self::Labels(_, Over::EachWindow) | Self::Entities(_) | Self::Features => &cut.each,
        }
    }
}
