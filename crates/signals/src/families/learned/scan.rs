//! Which texts of a request safety rules read, and what it means that one was not read.
//!
//! By default the evaluation text; `include_history` adds system, developer and assistant texts and
//! earlier user turns; Merit's own `scan` names the parts one by one, tool results among them. User
//! texts in which a client program wrote something are always read: otherwise imitating a client
//! would be a way around the rule. What is no turn's words (arguments of calls, parts of unknown
//! sorts) is read with the place where it stands.
//!
//! A part of a request is in one of four states. Text is read. Text that could have been read and
//! was not is *unread*: rules match. Attachments are *unreadable*: `on_unreadable` says what a rule
//! makes of them. What a provider sealed is *sealed*: it never matches.

use super::SignalInput;
use crate::catalog::modules::ClassifierModule;
use crate::report::{Key, SignalReport};
use dialects::{Media, Place};
use inference::ask::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A part of a request that a safety rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanScope {
    /// The user's current turn.
    Current,
    /// Earlier user turns.
    History,
    /// System, developer and assistant texts.
    System,
    /// Results of tool calls.
    ToolResults,
    /// Definitions of tools and of answers' formats.
    Definitions,
    /// Metadata, parameters, names and identifiers.
    Metadata,
}

/// What a rule makes of an attachment that it cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnreadable {
    /// It matches.
    Match,
    /// It does not.
    NoMatch,
}

/// Parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan(u8);

impl Scan {
    /// The current turn.
    pub(super) const CURRENT: Self = Self(1);
    const SYSTEM: Self = Self(2);
    /// Earlier turns.
    pub(super) const HISTORY: Self = Self(4);
    const TOOL_RESULTS: Self = Self(8);
    const WRAPPED: Self = Self(16);
    const DEFINITIONS: Self = Self(32);
    const METADATA: Self = Self(64);

    /// What a rule reads.
    pub(super) fn new(scan: &[ScanScope], include_history: bool) -> Self {
        let named = scan.iter().map(|scope| match scope {
            ScanScope::Current => Self::CURRENT,
            ScanScope::History => Self::HISTORY,
            ScanScope::System => Self::SYSTEM,
            ScanScope::ToolResults => Self::TOOL_RESULTS,
            ScanScope::Definitions => Self::DEFINITIONS,
            ScanScope::Metadata => Self::METADATA,
        });
        let usual = match (scan.is_empty(), include_history) {
            (false, _) => Self(0),
            (true, false) => Self::CURRENT,
            (true, true) => Self::CURRENT.and(Self::SYSTEM).and(Self::HISTORY),
        };
        named.fold(usual.and(Self::WRAPPED), Self::and)
    }

    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What all of several rules read together.
    pub(super) fn all(scopes: impl IntoIterator<Item = Self>) -> Self {
        scopes.into_iter().fold(Self(0), Self::and)
    }

    fn of(place: Place) -> Self {
        match place {
            Place::Current => Self::CURRENT,
            Place::History => Self::HISTORY,
            Place::System => Self::SYSTEM,
            Place::ToolResults => Self::TOOL_RESULTS,
            Place::Definitions => Self::DEFINITIONS,
            Place::Metadata => Self::METADATA,
        }
    }

    /// They have a part in common.
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A text and the parts in which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    pub(super) scope: Scan,
}

impl Part<'_> {
    /// The text as it is asked about; the evaluation text is shared with all other questions.
    pub(super) fn shared(&self, input: &SignalInput<'_>) -> Arc<str> {
        let whole = input.evaluation();
        if **whole == *self.text {
            whole.clone()
        } else {
            Arc::from(self.text)
        }
    }
}

/// The texts within `scope`, blank ones left out, each once.
pub(super) fn parts<'a>(input: &'a SignalInput<'_>, scope: Scan) -> Vec<Part<'a>> {
    let texts = &input.prompt.texts;
    let current = std::iter::once((&texts.evaluation, Scan::CURRENT));
    let system = texts.non_user.iter().map(|text| (text, Scan::SYSTEM));
    let history = texts.prior_user.iter().map(|text| (text, Scan::HISTORY));
    let wrapped = texts.passed_over.iter().map(|text| (text, Scan::WRAPPED));
    let results = texts
        .tool_results
        .iter()
        .map(|text| (text, Scan::TOOL_RESULTS));
    let asides = texts
        .asides
        .iter()
        .map(|aside| (&aside.text, Scan::of(aside.place)));
    let mut found: Vec<Part<'a>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (text, own) in current
        .chain(system)
        .chain(history)
        .chain(wrapped)
        .chain(results)
        .chain(asides)
    {
        if !own.meets(scope) || text.trim().is_empty() {
            continue;
        }
        let place = *places.entry(text.as_str()).or_insert(found.len());
        match found.get_mut(place) {
            Some(part) => part.scope = part.scope.and(own),
            None => found.push(Part { text, scope: own }),
        }
    }
    found
}

/// Returns where text stands that nobody read.
pub(super) fn unread_places(input: &SignalInput<'_>) -> impl Iterator<Item = Scan> {
    input.prompt.texts.unread.iter().copied().map(Scan::of)
}

/// Returns what is attached within `scope`.
fn attached(input: &SignalInput<'_>, scope: Scan) -> impl Iterator<Item = Media> {
    let unreadable = input.prompt.texts.unreadable.iter();
    unreadable
        .filter(move |(place, _)| Scan::of(*place).meets(scope))
        .map(|(_, media)| *media)
}

/// What a rule makes of the attachments in its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The request has no attachments, or they do not count.
    Passed,
    /// The rule does not match, and a boundary takes it for unknown.
    Doubted,
    /// The rule matches.
    Matched,
}

/// Decides what a rule makes of the attachments in its texts. Unless the rule says so, documents
/// match, and pictures, sounds and films count for boundaries.
pub(super) fn unreadable(
    input: &SignalInput<'_>,
    scope: Scan,
    on_unreadable: Option<OnUnreadable>,
) -> Unreadable {
    let mut attached = attached(input, scope).peekable();
    if attached.peek().is_none() {
        return Unreadable::Passed;
    }
    match on_unreadable {
        Some(OnUnreadable::Match) => Unreadable::Matched,
        Some(OnUnreadable::NoMatch) => Unreadable::Passed,
        None if attached.any(|media| media == Media::Document) => Unreadable::Matched,
        None => Unreadable::Doubted,
    }
}

/// Whether something that a provider sealed stands within `scope`.
pub(super) fn is_sealed(input: &SignalInput<'_>, scope: Scan) -> bool {
    let mut sealed = input.prompt.texts.sealed.iter().copied();
    sealed.any(|place| Scan::of(place).meets(scope))
}

/// What was not read counts as found: the safe side, unless the document says otherwise.
pub(super) fn blocks(module: Option<&ClassifierModule>) -> bool {
    module.is_none_or(|module| module.on_error.trim() != "allow")
}

/// The end of a text that was not read, as an error.
pub(super) fn truncation(outcome: Option<&Outcome>) -> Option<String> {
    outcome
        .is_some_and(|outcome| outcome.as_ref().is_ok_and(|reply| reply.truncated))
        .then(|| "truncated".to_owned())
}

/// A rule found nothing in what was read of its texts, but not all of it was.
pub(super) fn unread(key: Key, error: &str, blocks: bool, report: &mut SignalReport) {
    report.fail(key, error);
    if blocks {
        report.assume(key);
        report.set_confidence(key, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialects::Prompt;

    fn check(scan: &[ScanScope], include_history: bool, expected: &[&str]) {
        let mut prompt = Prompt::default();
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        prompt.texts.evaluation = "now".into();
        prompt.texts.non_user = list(&["sys", "reply", "sys", ""]);
        prompt.texts.prior_user = list(&["before", "now", "  "]);
        prompt.texts.passed_over = list(&["<wrap>"]);
        prompt.texts.tool_results = list(&["result", "reply"]);
        let input = SignalInput::new(&prompt, None);
        let scope = Scan::new(scan, include_history);
        let found: Vec<&str> = parts(&input, scope).iter().map(|part| part.text).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rules_read_what_they_name() {
        check(&[], false, &["now", "<wrap>"]);
        check(&[], true, &["now", "sys", "reply", "before", "<wrap>"]);
        check(&[ScanScope::Current], true, &["now", "<wrap>"]);
        check(
            &[ScanScope::ToolResults],
            false,
            &["<wrap>", "result", "reply"],
        );
        check(
            &[ScanScope::System, ScanScope::ToolResults],
            false,
            &["sys", "reply", "<wrap>", "result"],
        );
        check(
            &[ScanScope::History, ScanScope::Current],
            false,
            &["now", "before", "<wrap>"],
        );
    }

    #[test]
    fn a_text_in_two_parts_belongs_to_both() {
        let mut prompt = Prompt::default();
        prompt.texts.evaluation = "same".into();
        prompt.texts.tool_results = vec!["same".into()];
        let input = SignalInput::new(&prompt, None);
        let all = Scan::all([
            Scan::new(&[], false),
            Scan::new(&[ScanScope::ToolResults], false),
        ]);
        let found = parts(&input, all);
        assert_eq!(found.len(), 1);
        assert!(found[0].scope.meets(Scan::TOOL_RESULTS) && found[0].scope.meets(Scan::CURRENT));
    }
}
