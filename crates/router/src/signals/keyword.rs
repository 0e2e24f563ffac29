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
//! All literal keywords of all rules are one search, and so are the pieces that patterns demand: a
//! request's text is read once for each, however many rules there are, and by the patterns that it
//! may match.

mod bm25;
mod fuzzy;
mod gate;
mod literal;
mod ngram;
mod patterns;
mod search;

use super::pattern;
use super::{Problem, Signal, SignalError, SignalInput, ran};
use crate::config::signals::KeywordRule;
use crate::report::{Key, Keys, Kind, SignalReport};
use bm25::{Bm25, Tokens};
use fuzzy::{Fuzzy, Words};
pub(super) use literal::bounded_pattern;
use literal::{Bounded, Literals};
use ngram::Ngram;
use patterns::{Pattern, Patterns};
use search::WordSearch;
use std::cell::OnceCell;

/// Compiles the keyword rules; nothing without rules.
pub(super) fn build(
    rules: &[KeywordRule],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if rules.is_empty() {
        return None;
    }
    let mut builder = Builder::default();
    let rules = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| builder.rule(at, rule, keys, problems))
        .collect();
    match builder.finish(rules) {
        Ok(signal) => Some(Box::new(signal)),
        Err(error) => {
            problems.push(Problem {
                path: "routing.signals.keywords".into(),
                message: error.to_string(),
            });
            None
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
    method: Method,
    /// The first rule of the same name and native method: their results are one.
    shared_with: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Nor,
}

enum Method {
    /// Literal keywords or patterns: one slot each.
    Joint {
        slots: Vec<usize>,
        fuzzy: Option<Fuzzy>,
    },
    Bm25(Bm25),
    Ngram(Ngram),
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "AND" => Some(Self::And),
            "OR" => Some(Self::Or),
            "NOR" => Some(Self::Nor),
            _ => None,
        }
    }

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
        let reading = Reading::new(input);
        let mut hits = vec![false; self.slots];
        let mut possible = self.patterns.open();
        self.search
            .find(reading.text, |target, place| match target {
                Target::Keyword(keyword) => keyword.mark(reading.text, place, &mut hits),
                Target::Piece(pattern) => possible[*pattern] = true,
            });
        self.literals.mark(reading.text, &mut hits);
        self.patterns.mark(&reading, possible, &mut hits);
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
        ran(report, Kind::Keyword, 1.0);
        Ok(())
    }
}

impl Rule {
    fn matches(&self, hits: &[bool], reading: &Reading<'_>) -> bool {
        let found = match &self.method {
            Method::Joint { slots, fuzzy: None } => {
                slots.iter().filter(|slot| hits[**slot]).count()
            }
            Method::Joint {
                slots,
                fuzzy: Some(fuzzy),
            } => {
                let near = |at: usize| {
                    fuzzy.matches(at, reading.words.get_or_init(|| Words::of(reading.text)))
                };
                slots
                    .iter()
                    .enumerate()
                    .filter(|(at, slot)| hits[**slot] || near(*at))
                    .count()
            }
            Method::Bm25(index) => index.count(reading.tokens(index)),
            Method::Ngram(index) => index.count(reading.native()),
        };
        self.operator.holds(found, self.keywords)
    }
}

/// One request's text, and what is made of it on demand and once.
struct Reading<'a> {
    text: &'a str,
    input: &'a SignalInput<'a>,
    words: OnceCell<Words>,
    tokens: OnceCell<Tokens>,
    raw_tokens: OnceCell<Tokens>,
}

impl<'a> Reading<'a> {
    fn new(input: &'a SignalInput<'a>) -> Self {
        Self {
            text: &input.prompt.texts.evaluation,
            input,
            words: OnceCell::new(),
            tokens: OnceCell::new(),
            raw_tokens: OnceCell::new(),
        }
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
        cell.get_or_init(|| index.tokenize(self.native()))
    }
}

fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// Collects the keywords of all rules while the rules are built.
#[derive(Default)]
struct Builder {
    slots: usize,
    literals: literal::Builder,
    patterns: patterns::Builder,
    native: Vec<(String, &'static str, usize)>,
}

impl Builder {
    fn rule(
        &mut self,
        at: usize,
        rule: &KeywordRule,
        keys: &mut Keys,
        problems: &mut Vec<Problem>,
    ) -> Rule {
        let path = format!("routing.signals.keywords[{at}]");
        let operator = Operator::parse(&rule.operator).unwrap_or_else(|| {
            let message = format!(
                "operator `{}` is none of AND, OR, NOR (upper case)",
                rule.operator
            );
            problems.push(Problem {
                path: format!("{path}.operator"),
                message,
            });
            Operator::Or
        });
        Rule {
            key: keys.intern(Kind::Keyword, &rule.name),
            operator,
            keywords: rule.keywords.len(),
            method: self.method(&path, rule, problems),
            shared_with: self.shared_with(at, rule),
        }
    }

    fn method(&mut self, path: &str, rule: &KeywordRule, problems: &mut Vec<Problem>) -> Method {
        let fuzzy = rule
            .fuzzy_match
            .then(|| Fuzzy::new(&rule.keywords, rule.fuzzy_threshold));
        let method = rule.method.to_lowercase();
        match method.as_str() {
            "" => Method::Joint {
                slots: rule
                    .keywords
                    .iter()
                    .map(|word| self.literal(word, rule))
                    .collect(),
                fuzzy,
            },
            "regex" => Method::Joint {
                slots: self.regexes(path, rule, problems),
                fuzzy,
            },
            "bm25" => Method::Bm25(Bm25::new(
                &rule.keywords,
                rule.case_sensitive,
                rule.bm25_threshold,
            )),
            "ngram" => Method::Ngram(Ngram::new(rule)),
            _ => {
                let message = format!(
                    "method `{}` is none of regex, bm25, ngram; leave it out for literal keywords, and for near \
                     spellings of those set fuzzy_match: true",
                    rule.method
                );
                problems.push(Problem {
                    path: format!("{path}.method"),
                    message,
                });
                Method::Joint {
                    slots: Vec::new(),
                    fuzzy: None,
                }
            }
        }
    }

    fn literal(&mut self, keyword: &str, rule: &KeywordRule) -> usize {
        self.literals
            .slot(keyword, rule.case_sensitive, &mut self.slots)
    }

    fn regexes(
        &mut self,
        path: &str,
        rule: &KeywordRule,
        problems: &mut Vec<Problem>,
    ) -> Vec<usize> {
        let mut slots = Vec::with_capacity(rule.keywords.len());
        for (at, keyword) in rule.keywords.iter().enumerate() {
            match pattern::checked(keyword, rule.case_sensitive) {
                Ok((regex, without_case)) => {
                    let slot = self.slots;
                    slots.push(slot);
                    self.patterns.add(Pattern { regex, slot }, &without_case);
                    self.slots += 1;
                }
                Err(error) => {
                    let path = format!("{path}.keywords[{at}]");
                    problems.push(Problem {
                        path,
                        message: format!("pattern `{keyword}`: {error}"),
                    });
                }
            }
        }
        slots
    }

    fn shared_with(&mut self, at: usize, rule: &KeywordRule) -> usize {
        let method = match rule.method.to_lowercase().as_str() {
            "bm25" => "bm25",
            "ngram" => "ngram",
            _ => return at,
        };
        let first = self
            .native
            .iter()
            .find(|(name, other, _)| *name == rule.name && *other == method);
        if let Some((_, _, first)) = first {
            return *first;
        }
        self.native.push((rule.name.clone(), method, at));
        at
    }

    fn finish(self, rules: Vec<Rule>) -> Result<KeywordSignal, literal::BuildError> {
        let mut search = WordSearch::default();
        Ok(KeywordSignal {
            rules,
            slots: self.slots,
            literals: self.literals.finish(&mut search)?,
            patterns: self.patterns.finish(&mut search)?,
            search,
        })
    }
}

#[cfg(test)]
mod tests;
