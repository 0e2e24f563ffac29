//! Words of a request that a family does not read, where a boundary relies on the family.
//!
//! Families read the user's turn. What stands in an agent's wrapper or in parts that are no plain
//! text is not in it, and to imitate a wrapper would be a way around a boundary. So a family that a
//! boundary reaches reads those words too, and nothing is certain of the keys that then come out
//! differently: the boundary holds. Decisions see the turn alone, as without boundaries.

use super::slices::COPIED;
use super::{Signal, SignalError, SignalInput};
use crate::families::learned::{Head, Learned};
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::rules::{NumericPredicate, RuleNode};
use crate::scope::base;
use crate::used::UsedSet;
use dialects::{Place, Prompt, Texts};
use inference::ask::{Outcome, Question};
use inference::legible;
use std::borrow::Cow;
use std::collections::HashSet;

/// Texts that models are asked about, one by one. Of more nothing is certain.
const MOST: usize = 16;
/// Bytes of a request that is copied for each of them. Of a longer one nothing is certain.
const LONGEST: usize = 4 << 20;

/// The reason that a report and `x-merit-degraded` give.
pub(super) const UNREAD: &str = "unread";

/// Returns the texts beside the user's turn, blank ones left out, each once.
pub(super) fn texts<'a>(input: &SignalInput<'a>) -> Vec<&'a str> {
    let texts = &input.prompt.texts;
    let asides = texts
        .asides
        .iter()
        .filter(|aside| aside.place == Place::Current)
        .map(|aside| &aside.text);
    // The turn itself, which may be long, is compared and not hashed.
    let turn = texts.evaluation.as_str();
    let mut known = HashSet::new();
    texts
        .passed_over
        .iter()
        .chain(asides)
        .map(String::as_str)
        .filter(|text| !text.trim().is_empty() && *text != turn && known.insert(*text))
        .collect()
}

/// Tells whether text of the user's turn could have been read, and was not.
pub(super) fn is_unread(input: &SignalInput<'_>) -> bool {
    input.prompt.texts.unread.contains(&Place::Current)
}

/// Tells whether the user's turn and the texts beside it are more than is copied.
pub(super) fn is_too_long(input: &SignalInput<'_>) -> bool {
    let beside: usize = texts(input).iter().map(|text| text.len()).sum();
    input.prompt.texts.evaluation.len() + beside > COPIED
}

/// Returns the user's turn and the texts beside it as one text; `None` if nothing stands
/// beside it.
pub(super) fn joined(input: &SignalInput<'_>) -> Option<String> {
    let mut all = texts(input);
    if all.is_empty() {
        return None;
    }
    all.insert(0, &input.prompt.texts.evaluation);
    Some(all.join("\n"))
}

/// Evaluates a family on the user's turn with the texts beside it, and doubts what comes out
/// differently.
pub(super) fn reread_turn(
    signal: &dyn Signal,
    input: &SignalInput<'_>,
    watched: &[Watch],
    report: &mut SignalReport,
) -> Result<(), SignalError> {
    if texts(input).is_empty() && !is_unread(input) {
        return Ok(());
    }
    if is_unread(input) || is_too_long(input) {
        doubt(watched, report);
        return Ok(());
    }
    match joined(input) {
        Some(text) => reread(signal, input, text, watched, report),
        None => Ok(()),
    }
}

/// Evaluates a family as if `text` were the user's turn, and doubts what comes out differently or
/// is not certain then.
pub(super) fn reread(
    signal: &dyn Signal,
    input: &SignalInput<'_>,
    text: String,
    watched: &[Watch],
    report: &mut SignalReport,
) -> Result<(), SignalError> {
    let mut prompt = Prompt::default();
    prompt.texts.current.clone_from(&text);
    prompt.texts.evaluation = text;
    let mut other = report.blank();
    let again = SignalInput {
        until: input.until,
        ..SignalInput::whole(&prompt)
    };
    signal.evaluate(&again, &mut other)?;
    doubt_differences(watched, &other, report);
    let is_partly_read = |watch: &&Watch| other.doubted().contains(&watch.key);
    let partly: Vec<Watch> = watched.iter().filter(is_partly_read).cloned().collect();
    if let Some(first) = partly.first() {
        degrade(input, first.kind, report);
    }
    doubt(&partly, report);
    Ok(())
}

/// Evaluates a family on `text` as a reader sees it, and doubts what comes out differently than in
/// the user's turn. The `phrases` among the watched keys are literal texts, which are the same
/// whatever white space stands between their words.
pub(super) fn reread_legible(
    signal: &dyn Signal,
    input: &SignalInput<'_>,
    text: &str,
    watched: &[Watch],
    phrases: &[Watch],
    report: &mut SignalReport,
) -> Result<(), SignalError> {
    let turn = input.prompt.texts.evaluation.as_str();
    let read = legible::text(text);
    if *read != *turn {
        reread(signal, input, read.clone().into_owned(), watched, report)?;
    }
    if phrases.is_empty() {
        return Ok(());
    }
    match legible::on_one_line(&read) {
        Cow::Owned(line) => reread(signal, input, line, phrases, report),
        Cow::Borrowed(_) => Ok(()),
    }
}

/// Returns those of the watched keys that some rule writes which reads phrases.
pub(super) fn of_phrases(watched: &[Watch], phrases: &[Key]) -> Vec<Watch> {
    let is_phrase = |watch: &&Watch| phrases.contains(&watch.key);
    watched.iter().filter(is_phrase).cloned().collect()
}

/// Doubts the watched keys of one family that differ between two reports.
pub(super) fn doubt_differences(
    watched: &[Watch],
    other: &SignalReport,
    report: &mut SignalReport,
) {
    let differs = |watch: &&Watch| watch.differs(report, other);
    let differing: Vec<Watch> = watched.iter().filter(differs).cloned().collect();
    doubt(&differing, report);
}

/// Notes that a family did not read all of its text, and whether it had no time to.
pub(super) fn degrade(input: &SignalInput<'_>, kind: Kind, report: &mut SignalReport) {
    report.degrade(kind, UNREAD);
    if input.is_late() {
        report.degrade(kind, "timeout");
    }
}

/// Notes that nothing is certain of these keys of one family.
pub(super) fn doubt(watched: &[Watch], report: &mut SignalReport) {
    let Some(first) = watched.first() else { return };
    let keys: Vec<Key> = watched.iter().map(|watch| watch.key).collect();
    report.doubt(&keys);
    report.degrade(first.kind, UNREAD);
}

/// A key that a boundary relies on.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(super) key: Key,
    kind: Kind,
    relies_on: Reliance,
}

/// What a boundary reads of a key besides whether it matched.
#[derive(Debug, Clone)]
enum Reliance {
    /// Whether the number satisfies these.
    Predicates(Vec<NumericPredicate>),
    /// The number, as an input of scores.
    Number,
}

impl Watch {
    fn differs(&self, report: &SignalReport, other: &SignalReport) -> bool {
        let number = |report: &SignalReport| {
            report
                .value(self.key)
                .or_else(|| report.confidence(self.key))
        };
        let (here, there) = (number(report), number(other));
        let holds = |predicate: &NumericPredicate, number: Option<f64>| {
            number.is_some_and(|number| predicate.holds(number))
        };
        report.is_matched(self.key) != other.is_matched(self.key)
            || match &self.relies_on {
                Reliance::Number => here != there,
                Reliance::Predicates(predicates) => predicates
                    .iter()
                    .any(|predicate| holds(predicate, here) != holds(predicate, there)),
            }
    }
}

/// Returns the keys of a family that boundaries rely on. `used` are all names that their `trees`
/// reach.
pub fn watched<'a>(
    kind: Kind,
    keys: &Keys,
    used: &UsedSet,
    trees: impl Iterator<Item = &'a RuleNode>,
) -> Vec<Watch> {
    let mut leaves = Vec::new();
    trees.for_each(|tree| collect(kind, tree, &mut leaves));
    let watch = |key: Key| {
        let name = keys.name(key);
        let direct = leaves.iter().filter(|leaf| leaf.names(name));
        let predicates: Vec<_> = direct.clone().filter_map(|leaf| leaf.predicate).collect();
        let relies_on = if direct.count() > 0 || kind == Kind::Domain {
            Reliance::Predicates(predicates)
        } else {
            Reliance::Number
        };
        // A topic stands for several labels, a knowledge base for groups and metrics.
        let is_reached = matches!(kind, Kind::Domain | Kind::Kb)
            || used.contains(kind, name)
            || used.contains(kind, base(name));
        is_reached.then_some(Watch {
            key,
            kind,
            relies_on,
        })
    };
    keys.iter()
        .filter(|key| keys.kind(*key) == kind)
        .filter_map(watch)
        .collect()
}

/// A leaf of a boundary's tree.
struct Leaf<'a> {
    name: &'a str,
    label: &'a str,
    predicate: Option<NumericPredicate>,
}

impl Leaf<'_> {
    /// Whether it reads a key, by the key's name.
    fn names(&self, name: &str) -> bool {
        if self.label.is_empty() {
            return self.name.eq_ignore_ascii_case(name);
        }
        name.rsplit_once(':')
            .is_some_and(|(rule, label)| rule == self.name && label == self.label)
    }
}

fn collect<'a>(kind: Kind, node: &'a RuleNode, leaves: &mut Vec<Leaf<'a>>) {
    if Kind::parse(&node.kind) == Some(kind) {
        leaves.push(Leaf {
            name: node.name.trim(),
            label: node.label.trim(),
            predicate: node.predicate,
        });
    }
    node.conditions
        .iter()
        .for_each(|child| collect(kind, child, leaves));
}

/// A group of learned rules that a boundary reaches.
pub struct Bounding {
    group: Box<dyn Learned>,
    watched: Vec<Watch>,
}

impl Bounding {
    /// Lets a group read the words beside the turn too; `watched` are keys of its family.
    pub fn new(group: Box<dyn Learned>, mut watched: Vec<Watch>) -> Self {
        watched.retain(|watch| group.keys().contains(&watch.key));
        Self { group, watched }
    }

    /// Returns the request with each text beside the turn in the turn's place, at most [`MOST`], as
    /// far as families that read the turn look at it; nothing of a request that is too long to be
    /// copied so often.
    fn others(&self, input: &SignalInput<'_>) -> Vec<Prompt> {
        if is_large(input.prompt) {
            return Vec::new();
        }
        let own = &input.prompt.texts;
        let earlier: &[String] = match self.group.kind() {
            Kind::Reask => &own.prior_user,
            _ => &[],
        };
        let other = |text: &str| Prompt {
            texts: Texts {
                evaluation: text.to_owned(),
                current: text.to_owned(),
                prior_user: earlier.to_vec(),
                assistant_replied: own.assistant_replied,
                ..Texts::default()
            },
            ..Prompt::default()
        };
        texts(input).into_iter().take(MOST).map(other).collect()
    }
}

impl Learned for Bounding {
    fn head(&self) -> &Head {
        self.group.head()
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        let mut questions = self.group.questions(input);
        for other in self.others(input) {
            questions.extend(
                self.group
                    .questions(&SignalInput::new(&other, input.identity)),
            );
        }
        questions
    }

    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let (own, mut rest) = split(answers, self.group.questions(input).len());
        self.group.conclude(input, own, report);

        for other in self.others(input) {
            let input = SignalInput::new(&other, input.identity);
            let own;
            (own, rest) = split(rest, self.group.questions(&input).len());
            let mut read = report.blank();
            self.group.conclude(&input, own, &mut read);
            doubt_differences(&self.watched, &read, report);
        }
        let beside = texts(input).len();
        let are_left_out = beside > 0 && is_large(input.prompt);
        if beside > MOST || are_left_out || is_unread(input) {
            doubt(&self.watched, report);
        }
    }
}

/// Tells whether the texts of a request are longer than [`LONGEST`].
fn is_large(prompt: &Prompt) -> bool {
    let texts = &prompt.texts;
    let lists = [
        &texts.prior_user,
        &texts.non_user,
        &texts.passed_over,
        &texts.tool_results,
    ];
    let lists = lists.into_iter().flatten().map(String::len);
    let asides = texts.asides.iter().map(|aside| aside.text.len());
    texts.evaluation.len() + lists.chain(asides).sum::<usize>() > LONGEST
}

/// The answers of `count` questions, and the others.
fn split(answers: &[Outcome], count: usize) -> (&[Outcome], &[Outcome]) {
    answers.split_at(count.min(answers.len()))
}
