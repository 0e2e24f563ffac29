//! The engine without a runtime: sessions that wait at a gate and compute something simple.

mod languages;

use super::*;
use crate::ask::{Over, Reply};
use crate::backend::{Encoded, RunError, Session};
use crate::cache::Bounds;
use crate::handle::{Backing, Classifier, CosineMap, Cost, Tagger};
use crate::model::{ClassifierModel, Pace, Sessions, TaggerModel, TokensBy};
use crate::window::{self, Segmenter};
use futures_executor::block_on;
use futures_util::FutureExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Lets runs through while it is open.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, open: bool) {
        *self.open.lock().unwrap() = open;
        self.changed.notify_all();
    }

    fn pass(&self) {
        drop(
            self.changed
                .wait_while(self.open.lock().unwrap(), |open| !*open)
                .unwrap(),
        );
    }
}

/// Two numbers: how many tokens, and the first token. Token rows say `B-NAME` (label 1) of every
/// word `w7`.
struct Plain {
    gate: Arc<Gate>,
    seen: Sender<u32>,
}

impl Session for Plain {
    fn run(&mut self, windows: &[&[u32]], want_states: bool) -> Result<Vec<Encoded>, RunError> {
        let window = windows[0];
        self.seen.send(window[0]).unwrap();
        self.gate.pass();
        match window[0] {
            98 => return Err(RunError("no luck".into())),
            99 => panic!("asked for it"),
            _ => {}
        }
        let row = |at: usize, label: usize| {
            if (window[at] == 7) == (label == 1) {
                9.0
            } else {
                0.0
            }
        };
        let states = want_states
            .then(|| Array2::from_shape_fn((window.len(), 2), |(at, label)| row(at, label)));
        Ok(vec![Encoded {
            pooled: vec![window.len() as f32, window[0] as f32],
            states,
        }])
    }
}

struct Bed {
    engine: Engine,
    model: Arc<Model>,
    gate: Arc<Gate>,
    seen: Receiver<u32>,
}

fn bed(lanes: usize, queued_calls: usize) -> Bed {
    let (sender, seen) = channel();
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let settings = EngineSettings {
        lanes,
        queued_calls,
        cache: Bounds::default(),
    };
    Bed {
        engine: Engine::start(&settings).unwrap(),
        model: Arc::new(model("plain", lanes, &gate, &sender)),
        gate,
        seen,
    }
}

fn model(name: &str, lanes: usize, gate: &Arc<Gate>, seen: &Sender<u32>) -> Model {
    let session = |_| {
        Box::new(Plain {
            gate: Arc::clone(gate),
            seen: seen.clone(),
        }) as Box<dyn Session>
    };
    let bounds = window::Bounds {
        size: 4,
        overlap: 1,
        windows: 8,
        whole: 8,
    };
    Model {
        name: name.into(),
        digest: name.into(),
        width: 2,
        segmenter: Segmenter::new(window::tests::words(), "", bounds).unwrap(),
        statics: Vec::new(),
        sessions: Sessions::new((0..lanes).map(session).collect()),
        pace: Pace::default(),
    }
}

impl Bed {
    fn embedder(&self) -> Embedder {
        Embedder {
            name: "plain".into(),
            dimension: 2,
            cost: Cost::Encoder,
            scale: CosineMap::default(),
            digest: "plain".into(),
            backing: Some(Arc::clone(&self.model) as Backing),
        }
    }

    fn vector(&self, text: &str) -> Question {
        Question::new(text.into(), What::Vector(self.embedder()))
    }

    fn labels(&self, text: &str, over: Over) -> Question {
        let backing: Backing = Arc::new(ClassifierModel {
            model: Arc::clone(&self.model),
            head: None,
            multilingual: None,
        });
        let labels = ["many", "first"].map(Arc::from).into();
        let by = Classifier {
            name: "own".into(),
            labels,
            threshold: None,
            cost: Cost::Model,
            backing: Some(backing),
        };
        Question::new(text.into(), What::Labels(by, over))
    }

    fn entities(&self, text: &str) -> Question {
        self.entities_by(text, false)
    }

    fn entities_by(&self, text: &str, recognizers: bool) -> Question {
        let by = TokensBy::Logits(["O", "B-NAME"].map(Arc::from).into());
        let tagger = TaggerModel {
            model: Arc::clone(&self.model),
            digest: "names".into(),
            by,
            recognizers,
            multilingual: None,
        };
        let backing: Backing = Arc::new(tagger);
        let by = Tagger {
            name: "names".into(),
            kinds: Arc::default(),
            cost: Cost::Model,
            backing: Some(backing),
        };
        Question::new(text.into(), What::Entities(by))
    }

    fn ask(&self, questions: &[Question]) -> Vec<Outcome> {
        block_on(self.engine.ask(questions, later()))
    }

    fn runs(&self) -> u64 {
        self.engine.statistics().runs
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Words `from..to`.
fn text(from: usize, to: usize) -> String {
    (from..to)
        .map(|word| format!("w{word}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn answers(outcomes: Vec<Outcome>) -> Vec<Answer> {
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().answer)
        .collect()
}

#[test]
fn questions_share_runs() {
    let bed = bed(2, 8);
    let long = text(1, 11);
    let names = bed.entities(&long);
    let questions = [
        bed.vector(&long),
        bed.labels(&long, Over::EachWindow),
        names,
        bed.labels(&long, Over::Sample),
    ];
    let answers = answers(bed.ask(&questions));
    assert_eq!(bed.runs(), 3);
    let Answer::Labels(rows) = &answers[1] else {
        panic!("{answers:?}")
    };
    assert_eq!(rows.len(), 3);
    let Answer::Entities(found) = &answers[2] else {
        panic!("{answers:?}")
    };
    // `w7` stands in two windows.
    assert_eq!(
        found
            .iter()
            .map(|entity| (entity.start, entity.end))
            .collect::<Vec<_>>(),
        [(18, 20)]
    );
    let Answer::Labels(one) = &answers[3] else {
        panic!("{answers:?}")
    };
    assert_eq!(one.len(), 1);
}

#[test]
fn a_vector_is_the_mean_by_tokens() {
    let bed = bed(1, 8);
    let Answer::Vector(vector) = &answers(bed.ask(&[bed.vector(&text(1, 7))]))[0] else {
        panic!("no vector")
    };
    // Windows w1..w4 and w4..w6: (4, 1) four times, (3, 4) three times.
    let (a, b) = (25.0 / 7.0, 16.0 / 7.0);
    let length = f32::hypot(a, b);
    assert!(
        (vector[0] - a / length).abs() < 1e-6 && (vector[1] - b / length).abs() < 1e-6,
        "{vector:?}"
    );
}

#[test]
fn a_later_turn_costs_its_new_windows() {
    let bed = bed(1, 8);
    bed.ask(&[bed.labels(&text(1, 14), Over::EachWindow)]);
    let before = bed.runs();
    bed.ask(&[bed.labels(&text(1, 17), Over::EachWindow)]);
    assert_eq!((before, bed.runs()), (4, 5));
}

#[test]
fn blank_and_long_texts() {
    let bed = bed(1, 8);
    let outcomes = bed.ask(&[
        bed.vector("  "),
        bed.labels("", Over::EachWindow),
        bed.entities(""),
    ]);
    let expected = [
        Answer::Vector([0.0, 0.0].into()),
        Answer::Labels(Vec::new()),
        Answer::Entities(Vec::new()),
    ];
    assert_eq!(answers(outcomes), expected);
    let replies: Vec<Reply> = bed
        .ask(&[bed.labels(&text(1, 60), Over::EachWindow)])
        .into_iter()
        .flatten()
        .collect();
    let Answer::Labels(rows) = &replies[0].answer else {
        panic!("no labels")
    };
    assert!(
        replies[0].truncated && rows.len() == 8,
        "{} {}",
        replies[0].truncated,
        rows.len()
    );
}

#[test]
fn equal_texts_of_two_calls_run_once() {
    let bed = bed(2, 8);
    bed.gate.set(false);
    let question = [bed.vector("w1 w2")];
    let mut first = bed.engine.ask(&question, later());
    let mut second = bed.engine.ask(&question, later());
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    bed.gate.set(true);
    assert_eq!(block_on(first), block_on(second));
    assert_eq!(bed.runs(), 1);
}

#[test]
fn answers_by_the_deadline() {
    let bed = bed(1, 8);
    bed.gate.set(false);
    let outcomes = block_on(bed.engine.ask(
        &[bed.vector("w1")],
        Instant::now() + Duration::from_millis(20),
    ));
    assert_eq!(outcomes, [Err(Failure::TimedOut)]);
    assert_eq!(bed.engine.statistics().timed_out, 1);
    bed.gate.set(true);
}

#[test]
fn what_is_read_by_the_deadline_is_answered() {
    let bed = bed(1, 8);
    bed.ask(&[bed.vector("w1")]);
    bed.gate.set(false);
    let questions = [bed.vector("w1"), bed.vector("w2")];
    let outcomes = block_on(
        bed.engine
            .ask(&questions, Instant::now() + Duration::from_millis(20)),
    );
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(Failure::TimedOut));
    bed.gate.set(true);
}

#[test]
fn sheds_what_would_come_too_late() {
    let bed = bed(1, 8);
    bed.model.pace.note(1, Duration::from_secs(600));
    let outcomes = bed.ask(&[bed.vector("w1")]);
    assert_eq!(outcomes, [Err(Failure::Shed)]);
    assert_eq!(bed.engine.statistics().shed, 1);
    // It is read all the same, for those who ask next.
    assert_eq!(bed.seen.recv(), Ok(1));
}

#[test]
fn a_conversation_too_long_for_a_deadline_is_whole_soon() {
    // One lane reads what is awaited before the rest.
    let bed = bed(1, 8);
    bed.model.pace.note(1, Duration::from_millis(100));
    let long = text(1, 25);
    let whole = [bed.labels(&long, Over::EachWindow).for_safety()];
    let brief = || Instant::now() + Duration::from_millis(250);
    let first = block_on(bed.engine.ask(&whole, brief()));
    assert_eq!(first, [Err(Failure::Shed)]);

    // Nobody waits for the rest, which is read at leisure: eight windows in all.
    let windows: Vec<u32> = (0..8).map(|_| bed.seen.recv().unwrap()).collect();
    assert_eq!(windows.len(), 8);
    let again = [bed.labels(&long, Over::EachWindow).for_safety()];
    assert!(bed.ask(&again)[0].is_ok());
    assert_eq!(bed.runs(), 8);
}

/// Calls that wait in a queue of their own, which no lane empties.
struct Waiting<'a> {
    bed: &'a Bed,
    queue: Queue,
}

impl Waiting<'_> {
    fn call(&self, question: Question) -> Arc<Call> {
        Arc::new(Call::new(&[question], Some(later()), Box::new(drop)))
    }

    fn read(&self, question: Question) {
        let call = self.call(question);
        call.prepare(&self.bed.engine.shared.memory);
        self.queue.admit(&call, &Counters::default());
    }

    /// The first tokens of what is read next; 0 for a text that is cut.
    fn order(&self, takes: usize) -> Vec<u32> {
        let memory = &self.bed.engine.shared.memory;
        let first = |work| match work {
            Some(queue::Work::Read(reading)) => {
                reading
                    .call
                    .read(reading.unit, memory, &Counters::default());
                self.bed.seen.recv().unwrap()
            }
            Some(queue::Work::Prepare(_)) => 0,
            None => panic!("the queue is closed"),
        };
        (0..takes).map(|_| first(self.queue.next())).collect()
    }
}

#[test]
fn cutting_and_reading_take_turns() {
    let bed = bed(1, 8);
    let waiting = Waiting {
        bed: &bed,
        queue: Queue::new(8, 1),
    };
    waiting.read(bed.labels(&text(1, 14), Over::EachWindow));
    for word in ["w30", "w40"] {
        let call = waiting.call(bed.vector(word));
        assert!(waiting.queue.enter(call));
    }
    assert_eq!(waiting.order(1), [0]);
    // It took as long as two windows take.
    waiting.queue.has_cut(Duration::from_millis(20));
    assert_eq!(waiting.order(1), [1]);
    waiting.queue.has_read(Duration::from_millis(10));
    assert_eq!(waiting.order(1), [4]);
    waiting.queue.has_read(Duration::from_millis(10));
    assert_eq!(waiting.order(2), [0, 7]);
}

#[test]
fn a_long_text_is_cut_in_several_turns() {
    let bed = bed(1, 8);
    let long = "w1 4111 1111 1111 1111 ".repeat(12_000);
    let question = bed.entities_by(&long, true);
    let call = Call::new(
        std::slice::from_ref(&question),
        Some(later()),
        Box::new(drop),
    );
    let memory = &bed.engine.shared.memory;
    assert!(!call.prepare_on(memory) && call.prepared().is_none());
    while !call.prepare_on(memory) {}
    assert!(call.prepared().is_some());

    let found = answers(bed.ask(&[question]));
    let [Answer::Entities(found)] = found.as_slice() else {
        panic!("{found:?}")
    };
    let cards = found.iter().filter(|it| &*it.kind == "CREDIT_CARD");
    assert_eq!(cards.count(), 12_000);
}

#[test]
fn long_texts_are_cut_between_others() {
    let bed = bed(1, 8);
    let waiting = Waiting {
        bed: &bed,
        queue: Queue::new(8, 1),
    };
    let calls: Vec<_> = (0..5).map(|_| waiting.call(bed.vector("w1"))).collect();
    for call in &calls[..3] {
        assert!(waiting.queue.enter(Arc::clone(call)));
    }
    for call in &calls[3..] {
        waiting.queue.cut_on(Arc::clone(call));
    }
    let next = || match waiting.queue.next() {
        Some(queue::Work::Prepare(call)) => calls.iter().position(|it| Arc::ptr_eq(it, &call)),
        _ => None,
    };
    let order: Vec<_> = (0..5).filter_map(|_| next()).collect();
    assert_eq!(order, [0, 3, 1, 4, 2]);
}

#[test]
fn background_work_has_a_small_share() {
    let bed = bed(1, 8);
    let waiting = Waiting {
        bed: &bed,
        queue: Queue::new(8, 1),
    };
    let background = text(31, 45);
    waiting.read(bed.labels(&background, Over::EachWindow).in_background());
    waiting.read(bed.labels(&text(1, 25), Over::EachWindow).for_safety());
    waiting.read(bed.labels(&text(51, 56), Over::EachWindow));
    assert_eq!(
        waiting.order(14),
        [1, 4, 7, 10, 13, 16, 19, 22, 31, 51, 54, 34, 37, 40]
    );
}

#[test]
fn safety_is_shed_last() {
    let bed = bed(1, 8);
    bed.gate.set(false);
    bed.model.pace.note(1, Duration::from_secs(25));
    let early = [bed.vector("w1 w2")];
    let mut first = bed.engine.ask(&early, later());
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bed.seen.recv(), Ok(1));
    let early = [bed.vector("w3 w4")];
    let mut second = bed.engine.ask(&early, later());
    assert!((&mut second).now_or_never().is_none());
    // The line is now as long as the deadline is far.
    let questions = [bed.vector("w5"), bed.vector("w6").for_safety()];
    let mut third = bed.engine.ask(&questions, later());
    assert!((&mut third).now_or_never().is_none());
    bed.gate.set(true);
    let outcomes = block_on(third);
    assert_eq!(outcomes[0], Err(Failure::Shed));
    assert!(outcomes[1].is_ok());
    assert!(block_on(second)[0].is_ok() && block_on(first)[0].is_ok());
    // Safety went before what had waited longer; what was shed comes when nothing else waits.
    let order: Vec<u32> = (0..3).map(|_| bed.seen.recv().unwrap()).collect();
    assert_eq!(order, [6, 3, 5]);
}

#[test]
fn a_full_line_sheds() {
    let bed = bed(1, 1);
    bed.gate.set(false);
    let questions = ["w1", "w2", "w3"].map(|text| [bed.vector(text)]);
    let mut first = bed.engine.ask(&questions[0], later());
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bed.seen.recv(), Ok(1));
    let mut second = bed.engine.ask(&questions[1], later());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(bed.engine.statistics().queued, 1);
    assert_eq!(bed.ask(&questions[2]), [Err(Failure::Shed)]);
    bed.gate.set(true);
    assert!(block_on(first)[0].is_ok() && block_on(second)[0].is_ok());
}

#[test]
fn who_goes_away_is_not_read_for() {
    let bed = bed(1, 8);
    bed.gate.set(false);
    let questions = ["w1", "w2", "w3"].map(|text| [bed.vector(text)]);
    let mut first = bed.engine.ask(&questions[0], later());
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bed.seen.recv(), Ok(1));
    let mut second = bed.engine.ask(&questions[1], later());
    assert!((&mut second).now_or_never().is_none());
    drop(second);
    bed.gate.set(true);
    assert!(bed.ask(&questions[2])[0].is_ok());
    assert_eq!(bed.seen.try_iter().collect::<Vec<_>>(), [3]);
}

#[test]
fn short_texts_do_not_wait_for_long_ones() {
    let bed = bed(1, 8);
    bed.gate.set(false);
    let long = [bed.labels(&text(1, 20), Over::EachWindow)];
    let mut first = bed.engine.ask(&long, later());
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bed.seen.recv(), Ok(1));
    let short = [bed.vector("w50")];
    let mut second = bed.engine.ask(&short, later());
    assert!((&mut second).now_or_never().is_none());
    bed.gate.set(true);
    assert!(block_on(first)[0].is_ok() && block_on(second)[0].is_ok());
    assert_eq!(
        bed.seen.try_iter().collect::<Vec<_>>(),
        [4, 50, 7, 10, 13, 16]
    );
}

#[test]
fn failures_stay_with_their_question() {
    let bed = bed(1, 8);
    let outcomes = bed.ask(&[bed.vector("w98"), bed.vector("w99"), bed.vector("w1")]);
    assert_eq!(outcomes[0], Err(Failure::Failed("no luck".into())));
    assert_eq!(
        outcomes[1],
        Err(Failure::Failed("the model panicked".into()))
    );
    assert!(outcomes[2].is_ok());
    let handle = Embedder {
        backing: None,
        ..bed.embedder()
    };
    assert_eq!(
        bed.ask(&[Question::new("w1".into(), What::Vector(handle))]),
        [Err(Failure::Unready)]
    );
}

#[test]
fn features_are_of_every_window() {
    let bed = bed(2, 1);
    let features = bed
        .engine
        .features(&bed.embedder(), &[text(1, 7), String::new(), text(1, 3)])
        .unwrap();
    let tokens: Vec<Vec<usize>> = features
        .iter()
        .map(|rows| rows.iter().map(|row| row.tokens).collect())
        .collect();
    assert_eq!(tokens, [vec![4, 3], vec![], vec![2]]);
    assert_eq!(*features[2][0].pooled, [2.0, 1.0]);
    let states = bed.engine.states(&bed.embedder(), &text(5, 11)).unwrap();
    assert_eq!(states[1].0, [(9, 11), (12, 14), (15, 18)]);
    assert_eq!(states[1].1.nrows(), 3);
}

#[test]
fn a_text_is_read_in_composed_form() {
    let bed = bed(1, 8);
    let outcomes = bed.ask(&[
        bed.vector("w1 é 한"),
        bed.vector("w1 e\u{301} \u{1112}\u{1161}\u{11AB}"),
    ]);
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(bed.runs(), 1);

    let question = bed.entities_by("w1 cafe\u{301} anna@example.org w2", true);
    let Answer::Entities(found) = &answers(bed.ask(&[question]))[0] else {
        panic!("no entities")
    };
    let mail = found.iter().find(|entity| &*entity.kind == "EMAIL_ADDRESS");
    assert_eq!(mail.map(|mail| (mail.start, mail.end)), Some((9, 25)));
}
