//! The keywords of all rules of a recipe, collected for one search.

use super::super::{Building, pattern};
use super::patterns::{self, Pattern};
use super::search::WordSearch;
use super::{KeywordRule, KeywordSignal, Method, Rule, literal};
use std::sync::OnceLock;

/// Collects the keywords of all rules, so that one search finds them all.
#[derive(Default)]
pub(super) struct Joint {
    slots: usize,
    literals: literal::Builder,
    written: Vec<Written>,
    patterns: patterns::Builder,
    /// The first rule of each name and native method.
    native: Vec<(String, Method, usize)>,
}

impl Joint {
    /// Adds the keywords of a rule. Returns a slot for each.
    pub(super) fn literals(&mut self, rule: &KeywordRule) -> Vec<usize> {
        let mut slots = Vec::with_capacity(rule.keywords.len());
        for keyword in &rule.keywords {
            let slot = self
                .literals
                .slot(keyword, rule.case_sensitive, &mut self.slots);
            self.written.push(Written {
                text: keyword.clone(),
                case_sensitive: rule.case_sensitive,
                slot,
            });
            slots.push(slot);
        }
        slots
    }

    /// Adds the patterns of a rule that stands at `at`. Returns a slot for each.
    pub(super) fn regexes(
        &mut self,
        at: &str,
        rule: &KeywordRule,
        building: &mut Building<'_>,
    ) -> Vec<usize> {
        let mut slots = Vec::with_capacity(rule.keywords.len());
        for (index, keyword) in rule.keywords.iter().enumerate() {
            match pattern::checked(keyword, rule.case_sensitive) {
                Ok((compiled, without_case)) => {
                    let slot = self.slots;
                    slots.push(slot);
                    compiled.check_cost(&format!("{at}.keywords[{index}]"), building.findings);
                    self.patterns.add(Pattern { compiled, slot }, &without_case);
                    self.slots += 1;
                }
                Err(error) => building.findings.error(
                    format!("{at}.keywords[{index}]"),
                    format!("pattern `{keyword}`: {error}"),
                ),
            }
        }
        slots
    }

    /// Returns the first rule of the same name and native method, or the `index`th itself.
    pub(super) fn shared_with(&mut self, index: usize, rule: &KeywordRule) -> usize {
        if !matches!(rule.method, Method::Bm25 | Method::Ngram) {
            return index;
        }
        let first = self
            .native
            .iter()
            .find(|(name, method, _)| *name == rule.name && *method == rule.method);
        if let Some((_, _, first)) = first {
            return *first;
        }
        self.native
            .push((rule.name.clone(), rule.method.clone(), index));
        index
    }

    /// Compiles what was collected.
    pub(super) fn finish(self, rules: Vec<Rule>) -> Result<KeywordSignal, literal::BuildError> {
        let mut search = WordSearch::default();
        Ok(KeywordSignal {
            rules,
            slots: self.slots,
            literals: self.literals.finish(&mut search)?,
            patterns: self.patterns.finish(&mut search)?,
            search,
            written: self.written,
            seen: OnceLock::new(),
        })
    }
}

/// A literal keyword as a document writes it.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) case_sensitive: bool,
    pub(super) slot: usize,
}
