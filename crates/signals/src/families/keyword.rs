//! Words and patterns in the whole evaluation text.
//!
//! Use it where wording decides: product names, commands, marks of urgency. Keywords are literal by
//! default, between word boundaries; `method: regex` takes RE2 patterns, `bm25` scores shared word
//! stems, `ngram` accepts near spellings, `fuzzy_match` adds an edit distance to literal and regex
//! keywords.
//!
//! ```yaml
//! routing:
//!   signals:
//!     keywords:
//!       - name: urgent
//!         operator: OR
//!         keywords: [urgent, asap, 紧急]
//!       - name: ticket
//!         operator: AND
//!         method: regex
//!         keywords: ['[A-Z]{2,5}-\d+']
//!         case_sensitive: true
//! ```
//!
//! Words, stems and groups of letters are made of the first MiB of a turn; behind it such rules read
//! nothing, which boundaries take for unknown.
//!
//! All literal keywords of all rules are one search, and so are the pieces that patterns demand: a
//! request's text is read once for each, however many rules there are, and by the patterns that it
//! may match.

mod bm25;
mod fuzzy;
mod gate;
mod joint;
mod literal;
mod ngram;
mod patterns;
mod search;
mod seen;
mod traps;

use super::{Building, Signal, SignalError, SignalInput, Watch, beside, ran};
use crate::report::{Key, Kind, SignalReport};
use bm25::{Bm25, Tokens};
use fuzzy::{Fuzzy, Words};
use inference::legible;
use joint::{Joint, Written};
pub(super) use literal::bounded_pattern;
use literal::{Bounded, Literals};
use ngram::Ngram;
use patterns::Patterns;
use schemars::JsonSchema;
use search::WordSearch;
use seen::{Literal, Seen};
use serde::{Deserialize, Serialize};
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::sync::OnceLock;

/// Nanoseconds per byte of text that rules take, measured on texts that make them slow.
const LITERALS: f64 = 30.0;
const BM25: f64 = 310.0;
const NGRAM: f64 = 100.0;
const FUZZY: f64 = 120.0;

/// A rule over keywords.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeywordRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `AND`, `OR` or `NOR`, upper case.
    pub operator: Option<Operator>,
    /// Keywords or, with `method: regex`, patterns.
    pub keywords: Vec<String>,
    /// Compare case.
    pub case_sensitive: bool,
    /// Empty (literal), `regex`, `bm25` or `ngram`.
    #[schemars(with = "String", extend("examples" = ["regex", "bm25", "ngram"]))]
    pub method: Method,
    /// Accept near spellings (literal and regex only).
    pub fuzzy_match: bool,
    /// Levenshtein distance; 0 means 2.
    pub fuzzy_threshold: u32,
    /// Score bound; 0 means 0.1.
    pub bm25_threshold: f32,
    /// Similarity bound; 0 means 0.4.
    pub ngram_threshold: f32,
    /// n; 0 means 3, at least 2.
    pub ngram_arity: u32,
}

/// How many of a rule's keywords must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "KeywordOperator")]
pub enum Operator {
    /// All of them.
    And,
    /// At least one.
    Or,
    /// None of them.
    Nor,
}

/// How keywords are looked for, in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub enum Method {
    /// As they are written.
    #[default]
    Literal,
    /// As RE2 patterns.
    Regex,
    /// By shared word stems.
    Bm25,
    /// By shared groups of letters.
    Ngram,
    /// No method. The reference passes over such a rule, so it is refused only where it is used.
    Unknown(String),
}

impl From<String> for Method {
    fn from(written: String) -> Self {
        match written.to_lowercase().as_str() {
            "" => Self::Literal,
            "regex" => Self::Regex,
            "bm25" => Self::Bm25,
            "ngram" => Self::Ngram,
            _ => Self::Unknown(written),
        }
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        match method {
            Method::Literal => Self::new(),
            Method::Regex => "regex".to_owned(),
            Method::Bm25 => "bm25".to_owned(),
            Method::Ngram => "ngram".to_owned(),
            Method::Unknown(written) => written,
        }
    }
}

/// Compiles the keyword rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.keywords;
    if declared.is_empty() {
        return None;
    }

    let mut joint = Joint::default();
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        rules.push(rule.compile(index, building, &mut joint));
    }

    match joint.finish(rules) {
        Ok(signal) => Some(Box::new(signal)),
        Err(error) => {
            let path = building.scope.at("signals.keywords");
            building.findings.error(path, error.to_string());
            None
        }
    }
}

impl KeywordRule {
    /// Compiles the `index`th rule; its keywords go to `joint`, where all rules search at once.
    fn compile(&self, index: usize, building: &mut Building<'_>, joint: &mut Joint) -> Rule {
        let at = building.scope.rule(Kind::Keyword, index);
        let key = building.keys.intern(Kind::Keyword, &self.name);
        if self.operator.is_none() {
            building.findings.error(
                format!("{at}.operator"),
                "the operator is `AND`, `OR` or `NOR`, in upper case",
            );
        }
        if let Method::Unknown(_) = self.method {
            let used = (building.deps.used)(Kind::Keyword, &self.name);
            self.check_unknown_method(&at, used, building.findings);
            return Rule::never(key, index);
        }
        self.check_traps(&at, building.findings);

        Rule {
            key,
            operator: self.operator.unwrap_or(Operator::Or),
            keywords: self.keywords.len(),
            matcher: self.matcher(&at, building, joint),
            shared_with: joint.shared_with(index, self),
            has_phrases: self.has_phrases(),
        }
    }

    /// Tells whether some keyword is words with white space between them. Patterns say themselves
    /// what stands between words, and literal keywords are searched as a reader sees them.
    fn has_phrases(&self) -> bool {
        let is_phrase = |keyword: &String| keyword.trim().contains(char::is_whitespace);
        let is_native = matches!(self.method, Method::Bm25 | Method::Ngram);
        (is_native || self.fuzzy_match) && self.keywords.iter().any(is_phrase)
    }

    fn matcher(&self, at: &str, building: &mut Building<'_>, joint: &mut Joint) -> Matcher {
        let fuzzy = self
            .fuzzy_match
            .then(|| Fuzzy::new(&self.keywords, self.fuzzy_threshold));
        match self.method {
            Method::Literal | Method::Unknown(_) => Matcher::Joint {
                slots: joint.literals(self),
                fuzzy,
            },
            Method::Regex => Matcher::Joint {
                slots: joint.regexes(at, self, building),
                fuzzy,
            },
            Method::Bm25 => Matcher::Bm25(Bm25::new(
                &self.keywords,
                self.case_sensitive,
                self.bm25_threshold,
            )),
            Method::Ngram => Matcher::Ngram(Ngram::new(self)),
        }
    }
}

/// The keyword family of one recipe.
struct KeywordSignal {
    rules: Vec<Rule>,
    /// Slots of the literal keywords and patterns of all rules.
    slots: usize,
    search: WordSearch<Target>,
    literals: Literals,
    patterns: Patterns,
    /// The literal keywords.
    written: Vec<Written>,
    /// Made of `written` when a boundary first asks; nothing where it cannot be.
    seen: OnceLock<Option<Seen>>,
}

/// What a literal is searched for.
enum Target {
    /// A rule has it as keyword.
    Keyword(Bounded),
    /// The pattern of this number demands it.
    Piece(usize),
}

struct Rule {
    key: Key,
    operator: Operator,
    keywords: usize,
    matcher: Matcher,
    /// The first rule of the same name and native method: their results are one.
    shared_with: usize,
    /// White space within a keyword stands for any.
    has_phrases: bool,
}

enum Matcher {
    /// Literal keywords or patterns: one slot each.
    Joint {
        slots: Vec<usize>,
        fuzzy: Option<Fuzzy>,
    },
    Bm25(Bm25),
    Ngram(Ngram),
}

impl Operator {
    fn holds(self, found: usize, of: usize) -> bool {
        match self {
            Self::And => found == of,
            Self::Or => found > 0,
            Self::Nor => found == 0,
        }
    }
}

impl Signal for KeywordSignal {
    fn kind(&self) -> Kind {
        Kind::Keyword
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        self.evaluate_with(&[], input, report)
    }

    fn pace(&self) -> f64 {
        let rules: f64 = self.rules.iter().map(Rule::pace).sum();
        LITERALS + self.patterns.pace() + rules
    }

    /// Reads the turn as a reader sees it, with the words beside it and those behind U+0000.
    fn doubt_unread(
        &self,
        input: &SignalInput<'_>,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        if beside::is_unread(input) {
            beside::doubt(watched, report);
            return Ok(());
        }
        let turn = &input.prompt.texts.evaluation;
        let phrases = beside::of_phrases(watched, &self.phrases());
        if beside::is_too_long(input) {
            let is_as_read = legible::is_legible(turn) && !turn.contains('\0');
            if !is_as_read || !beside::texts(input).is_empty() {
                beside::doubt(watched, report);
                return Ok(());
            }
            self.doubt_seen(input, turn, watched, report)?;
            return beside::reread_legible(self, input, turn, watched, &phrases, report);
        }
        let joined = beside::joined(input);
        let all = joined.as_ref().unwrap_or(turn);
        self.doubt_seen(input, all, watched, report)?;
        // What nobody sees may stand within a word or between two.
        let apart = legible::apart(all);
        for written in std::iter::once(all).chain(&apart) {
            beside::reread_legible(self, input, written, watched, &phrases, report)?;
        }
        Ok(())
    }
}

impl KeywordSignal {
    /// Evaluates the rules as if the keywords of `seen` slots were found too.
    fn evaluate_with(
        &self,
        seen: &[usize],
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let mut reading = Reading::new(input);
        let is_late = || input.is_late();
        let mut hits = vec![false; self.slots];
        seen.iter().for_each(|slot| hits[*slot] = true);
        let mut possible = self.patterns.open();
        let is_read = self
            .search
            .find(reading.text, is_late, |target, place| match target {
                Target::Keyword(keyword) => keyword.mark(reading.text, place, &mut hits),
                Target::Piece(pattern) => possible[*pattern] = true,
            });
        reading.is_cut = !is_read || is_late();
        if !reading.is_cut {
            let literals = self.literals.mark(reading.text, is_late, &mut hits);
            let patterns = self.patterns.mark(&reading, possible, &mut hits);
            reading.unread = literals.into_iter().chain(patterns).collect();
        }
        let mut matched: Vec<bool> = self
            .rules
            .iter()
            .map(|rule| rule.matches(&hits, &reading))
            .collect();
        for (at, rule) in self.rules.iter().enumerate() {
            if matched[at] {
                matched[rule.shared_with] = true;
            }
        }
        for (_, rule) in matched
            .iter()
            .zip(&self.rules)
            .filter(|(matched, _)| **matched)
        {
            report.emit(rule.key);
        }

        let partly = reading.partly.into_inner();
        if !partly.is_empty() {
            report.doubt(&partly);
            beside::degrade(input, Kind::Keyword, report);
        }
        ran(report, Kind::Keyword, 1.0);
        Ok(())
    }

    /// Doubts the watched keys that come out differently with the literal keywords that a reader
    /// sees in `text`.
    fn doubt_seen(
        &self,
        input: &SignalInput<'_>,
        text: &str,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        if self.written.is_empty() {
            return Ok(());
        }
        let Some(seen) = self.seen.get_or_init(|| self.build_seen()) else {
            beside::doubt(watched, report);
            return Ok(());
        };
        if !seen.reads_more(text) {
            return Ok(());
        }
        let mut hits = vec![false; self.slots];
        if !seen.mark(text, || input.is_late(), &mut hits) {
            beside::degrade(input, Kind::Keyword, report);
            beside::doubt(watched, report);
        }
        let slots: Vec<usize> = (0..self.slots).filter(|slot| hits[*slot]).collect();
        if slots.is_empty() {
            return Ok(());
        }
        let mut other = report.blank();
        self.evaluate_with(&slots, input, &mut other)?;
        beside::doubt_differences(watched, &other, report);
        Ok(())
    }

    fn build_seen(&self) -> Option<Seen> {
        let literals = self.written.iter().map(|written| Literal {
            text: &written.text,
            case_sensitive: written.case_sensitive,
            slot: written.slot,
        });
        Seen::build(literals).ok()
    }

    /// Returns the keys of rules that look for phrases.
    fn phrases(&self) -> Vec<Key> {
        let rules = self.rules.iter().filter(|rule| rule.has_phrases);
        rules.map(|rule| rule.key).collect()
    }
}

impl Rule {
    /// Nanoseconds per byte of text, beside what all rules do together.
    fn pace(&self) -> f64 {
        match &self.matcher {
            Matcher::Joint { fuzzy: None, .. } => 0.0,
            Matcher::Joint { fuzzy: Some(_), .. } => FUZZY,
            Matcher::Bm25(_) => BM25,
            Matcher::Ngram(_) => NGRAM,
        }
    }

    /// A rule that finds nothing.
    fn never(key: Key, index: usize) -> Self {
        Self {
            key,
            operator: Operator::Or,
            keywords: 0,
            matcher: Matcher::Joint {
                slots: Vec::new(),
                fuzzy: None,
            },
            shared_with: index,
            has_phrases: false,
        }
    }

    fn matches(&self, hits: &[bool], reading: &Reading<'_>) -> bool {
        let (found, is_all) = match &self.matcher {
            Matcher::Joint { slots, fuzzy } => {
                let (found, is_all) = match fuzzy {
                    None => (slots.iter().filter(|slot| hits[**slot]).count(), true),
                    Some(fuzzy) => near(slots, fuzzy, hits, reading),
                };
                let is_unread = |slot: &usize| reading.unread.contains(slot);
                (
                    found,
                    is_all && !reading.is_cut && !slots.iter().any(is_unread),
                )
            }
            Matcher::Bm25(index) => {
                let tokens = reading.tokens(index);
                (index.count(tokens), tokens.are_all)
            }
            Matcher::Ngram(index) => index.count(reading.native(), || reading.input.is_late()),
        };
        if !is_all {
            reading.partly.borrow_mut().push(self.key);
        }
        self.operator.holds(found, self.keywords)
    }
}

/// Counts the keywords that are found, or near a word; and tells whether all was read.
fn near(slots: &[usize], fuzzy: &Fuzzy, hits: &[bool], reading: &Reading<'_>) -> (usize, bool) {
    let mut found = 0;
    let mut is_all = true;
    for (at, slot) in slots.iter().enumerate() {
        if hits[*slot] {
            found += 1;
            continue;
        }
        if reading.input.is_late() {
            is_all = false;
            continue;
        }
        let words = reading.words();
        is_all &= words.are_all;
        found += usize::from(fuzzy.matches(at, words));
    }
    (found, is_all)
}

/// One request's text, and what is made of it on demand and once.
struct Reading<'a> {
    text: &'a str,
    input: &'a SignalInput<'a>,
    words: OnceCell<Words>,
    tokens: OnceCell<Tokens>,
    raw_tokens: OnceCell<Tokens>,
    /// It became too late while literals were looked for.
    is_cut: bool,
    /// Slots of patterns that the text was not read for to its end.
    unread: HashSet<usize>,
    /// Rules that part of the text was not read for.
    partly: RefCell<Vec<Key>>,
}

impl<'a> Reading<'a> {
    fn new(input: &'a SignalInput<'a>) -> Self {
        Self {
            text: &input.prompt.texts.evaluation,
            input,
            words: OnceCell::new(),
            tokens: OnceCell::new(),
            raw_tokens: OnceCell::new(),
            is_cut: false,
            unread: HashSet::new(),
            partly: RefCell::default(),
        }
    }

    fn words(&self) -> &Words {
        self.words
            .get_or_init(|| Words::of(self.text, || self.input.is_late()))
    }

    fn lower(&self) -> &str {
        self.input.lower()
    }

    /// What the native methods see: all before U+0000.
    fn native(&self) -> &'a str {
        before_nul(self.text)
    }

    fn tokens(&self, index: &Bm25) -> &Tokens {
        let cell = if index.lowers() {
            &self.tokens
        } else {
            &self.raw_tokens
        };
        cell.get_or_init(|| index.tokenize(self.native(), || self.input.is_late()))
    }
}

fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
