//! What a document says less than it did: defaults that have changed since the first version that
//! served traffic, as far as they concern it.
//!
//! The table is the changelog's, which is built in. Here stands only which documents a row concerns.

use router::config::Document;
use selection::card::ModelDescriptions;
use selection::providers::wires::Wires;

const CHANGELOG: &str = include_str!("../../CHANGELOG.md");
/// In the last column of rows that are told here.
const TOLD_HERE: &str = "`check --changes`";

/// One changed default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// Its place in the table.
    place: usize,
    setting: &'static str,
    from: &'static str,
    to: &'static str,
    way_back: &'static str,
}

impl Change {
    /// Returns its place in the changelog's table.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Returns the change as one line for people.
    pub(super) fn line(&self) -> String {
        let Self {
            setting,
            from,
            to,
            way_back,
            ..
        } = self;
        format!("note: {setting}: was: {from}; is: {to}; way back: {way_back}")
    }
}

/// Returns the changes that concern a document.
pub(super) fn concerning(document: &Document) -> Vec<Change> {
    let concerns = |change: &Change| {
        CONCERNS
            .iter()
            .find(|(setting, _)| *setting == change.setting)
            .is_none_or(|(_, concerns)| concerns(document))
    };
    told_here().filter(concerns).collect()
}

fn told_here() -> impl Iterator<Item = Change> {
    rows()
        .enumerate()
        .filter_map(|(place, cells)| match cells[..] {
            [setting, from, to, way_back, TOLD_HERE] => Some(Change {
                place,
                setting,
                from,
                to,
                way_back,
            }),
            _ => None,
        })
}

/// Returns the cells of every row of a table in the changelog.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = CHANGELOG.lines();
    let inner = lines.filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    inner.map(|line| line.split(" | ").collect())
}

type Concerns = fn(&Document) -> bool;

/// Which documents a change concerns, by its setting; all others concern every document.
const CONCERNS: [(&str, Concerns); 26] = [
    ("`global.server.profile`", |it| profile(it) == "auto"),
    ("usage of chat streams", |it| profile(it) == "auto"),
    (
        "chat streams with `include_usage: false` under `profile: observe`",
        |it| profile(it) == "observe",
    ),
    (
        "a `system_prompt` plugin before a chat system message of several parts",
        |it| has_plugin(it, "system_prompt"),
    ),
    ("omitted `api_format` of a model", |it| {
        let mut models = it.providers.models.iter();
        models.any(|model| model.api_format.is_empty())
    }),
    (
        "`api_format` of a model and a client of another wire",
        |it| {
            let mut models = it.providers.models.iter();
            models.any(|model| !model.api_format.is_empty())
        },
    ),
    (
        "Responses requests to a model with `api_format: openai` that is not at OpenAI or Azure",
        |it| {
            let mut models = it.providers.models.iter();
            models.any(|it| it.api_format == "openai" && it.wires() == Wires::Chat)
        },
    ),
    ("`api_format: responses`", |it| {
        let mut models = it.providers.models.iter();
        models.any(|model| model.api_format == "responses")
    }),
    (
        "`chat_path` of a model with `api_format: anthropic`",
        |it| {
            let mut models = it.providers.models.iter();
            models.any(|model| {
                let mut backends = model.backend_refs.iter();
                model.api_format == "anthropic" && backends.any(|it| !it.chat_path.is_empty())
            })
        },
    ),
    ("candidates that cannot serve a request", |it| {
        it.model_cards()
            .any(|card| card.context_window_size > 0 || !card.capabilities.is_empty())
    }),
    (
        "candidates for requests with sounds, films or documents",
        |it| it.model_cards().any(|card| !card.capabilities.is_empty()),
    ),
    ("models that fail", |it| {
        it.global.server.pool.rest_after_errors > 0
    }),
    ("sessions", keeps_sessions),
    (
        "`global.router.sessions.switch_budget_percent`",
        keeps_sessions,
    ),
    ("`global.router.sessions.switch_lead`", keeps_sessions),
    (
        "a request body on a path that Merit does not read",
        is_guarded,
    ),
    (
        "rules on the user's turn that a boundary relies on, where text of it cannot be read (token ids, broken base64)",
        has_boundaries,
    ),
    (
        "text outside plain messages (arguments of calls, documents, output of hosted tools, unknown parts)",
        is_guarded,
    ),
    (
        "boundaries on keywords, language, structure, events, topics and other rules on the user's turn",
        has_boundaries,
    ),
    (
        "language of one to three words, and of a line of code",
        |it| signals(it, |signals| !signals.language.is_empty()),
    ),
    (
        "personal data: numbers beside letters of unspaced scripts, in other scripts' digits, over line breaks, in table cells",
        |it| signals(it, |signals| !signals.pii.is_empty()),
    ),
    ("pictures, sounds and films under a boundary on pii", |it| {
        has_boundaries(it) && signals(it, |signals| !signals.pii.is_empty())
    }),
    (
        "duplicate members, and members that differ from a known one by case only",
        has_boundaries,
    ),
    (
        "a list of texts (`input`, `prompt`, `documents`) under a boundary",
        has_boundaries,
    ),
    (
        "completions and token counts with `global.server.fallback.enabled`",
        |it| it.global.server.fallback.enabled,
    ),
    ("`context` estimate", |it| {
        signals(it, |signals| !signals.context.is_empty())
    }),
];

fn profile(document: &Document) -> &str {
    match document.global.server.profile.trim() {
        "" => "auto",
        profile => profile,
    }
}

fn has_plugin(document: &Document, name: &str) -> bool {
    let mut policies = document.policies();
    policies.any(|(_, _, routing)| {
        let mut plugins = routing.decisions.iter().flat_map(|it| &it.plugins);
        plugins.any(|plugin| plugin.kind().name == name)
    })
}

fn signals(document: &Document, has: fn(&signals::families::Signals) -> bool) -> bool {
    document
        .policies()
        .any(|(_, _, routing)| has(&routing.signals))
}

fn has_boundaries(document: &Document) -> bool {
    document
        .policies()
        .any(|(_, _, routing)| !routing.boundaries.is_empty())
}

/// The document has a boundary or a safety rule.
fn is_guarded(document: &Document) -> bool {
    let is_safety = |signals: &signals::families::Signals| {
        !(signals.jailbreak.is_empty() && signals.pii.is_empty())
    };
    has_boundaries(document) || signals(document, is_safety)
}

fn keeps_sessions(document: &Document) -> bool {
    document.global.router.sessions.mode != "off"
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "version: v0.3\nproviders: {models: [{name: a, api_format: openai}]}\n";

    fn settings(text: &str) -> Vec<&'static str> {
        let document = crate::engine::document(text);
        let changes = document
            .map(|document| concerning(&document))
            .unwrap_or_default();
        changes.iter().map(|change| change.setting).collect()
    }

    #[test]
    fn every_row_is_noted_or_needs_no_note() {
        let noted = [
            "yes",
            "`check --envoy`",
            "–",
            TOLD_HERE,
            "noted by `check`",
            "---",
        ];
        for cells in rows().filter(|cells| cells.len() == 5) {
            let last = cells[4];
            assert!(
                noted.contains(&last) || last.starts_with("yes, "),
                "{}: {last}",
                cells[0]
            );
        }
        assert!(told_here().count() > 20, "the table cannot be read");
    }

    #[test]
    fn every_condition_belongs_to_a_row() {
        let told: Vec<&str> = told_here().map(|change| change.setting).collect();
        for (setting, _) in CONCERNS {
            assert!(told.contains(&setting), "{setting}");
        }
    }

    #[test]
    fn a_document_hears_of_what_concerns_it() {
        let plain = settings(PLAIN);
        let boundary = "routing: {signals: {pii: [{name: p}]}, boundaries: [{name: b}]}\n";
        let guarded = settings(&format!("{PLAIN}{boundary}"));
        let observed = "global: {server: {profile: observe}, router: {sessions: {mode: off}}}\n";
        let observed = settings(&format!("{PLAIN}{observed}"));
        for (setting, expected) in [
            (
                "request bodies in gzip, deflate, br or zstd",
                [true, true, true],
            ),
            (
                "pictures, sounds and films under a boundary on pii",
                [false, true, false],
            ),
            ("usage of chat streams", [true, true, false]),
            ("sessions", [true, true, false]),
            ("omitted `api_format` of a model", [false, false, false]),
        ] {
            let found = [&plain, &guarded, &observed].map(|found| found.contains(&setting));
            assert_eq!(found, expected, "{setting}");
        }
        assert_eq!(settings("{"), Vec::<&str>::new());
    }
}
