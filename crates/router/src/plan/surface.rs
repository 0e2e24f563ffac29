//! The reply headers that tell a client what was decided: the reference's default and debug
//! surface, schema "2".

use super::Trace;
use conversation::learning::outcome::{LearningOutcome, LearningStep};
use conversation::learning::reference::Scope;
use signals::report::Kind;
use std::fmt::Write as _;

/// The version of the header contract.
pub const SCHEMA_VERSION: &str = "2";

/// Header names that Merit speaks in: removed when a client sends them, as they would fool a route
/// or pose as a verdict. The bootstraps in `envoy/` remove the same ones before the first route is
/// chosen.
const OWNED: [&str; 20] = [
    "x-selected-model",
    "x-gateway-model-name",
    "x-gateway-base-model-name",
    "x-ai-eg-model",
    "x-vsr-schema-version",
    "x-vsr-response-path",
    "x-vsr-applied-unknown-policy",
    "x-vsr-replay-id",
    "x-vsr-cache-hit",
    "x-vsr-fast-response",
    "x-vsr-response-warnings",
    "x-vsr-client-protocol",
    "x-vsr-upstream-protocol",
    "x-vsr-protocol-warnings",
    "x-vsr-session-phase",
    "x-vsr-injected-system-prompt",
    "x-vsr-cache-similarity",
    "x-vsr-context-token-count",
    "x-vsr-internal-auth",
    "x-vsr-fusion-depth",
];

/// Beginnings of further such names.
const OWNED_PREFIXES: [&str; 7] = [
    "x-vsr-selected-",
    "x-vsr-matched-",
    "x-vsr-learning-",
    "x-vsr-retention-",
    "x-vsr-tools-",
    "x-vsr-looper-",
    "x-merit-",
];

/// The header (lower case) is Merit's to set.
#[must_use]
pub fn is_owned(name: &str) -> bool {
    OWNED.contains(&name) || OWNED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Where a reply came from, as `x-vsr-response-path` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePath {
    /// A model.
    Upstream,
    /// A decision's fixed answer.
    FastResponse,
    /// A run of several models.
    Looper,
    /// Merit turned the request down.
    Error,
}

impl ResponsePath {
    /// The header value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::FastResponse => "fast_response",
            Self::Looper => "looper",
            Self::Error => "error",
        }
    }
}

/// Header names are static; values are made per request.
pub type ReplyHeader = (&'static str, String);

impl Trace {
    /// Headers that every reply carries, whatever its status.
    #[must_use]
    pub fn always(path: ResponsePath) -> [ReplyHeader; 2] {
        [
            ("x-vsr-schema-version", SCHEMA_VERSION.to_owned()),
            ("x-vsr-response-path", path.as_str().to_owned()),
        ]
    }

    /// The final routing facts (2xx only). A fixed answer names neither model, confidence nor
    /// algorithm.
    #[must_use]
    pub fn routing(&self, path: ResponsePath) -> Vec<ReplyHeader> {
        let mut headers = Vec::with_capacity(6);
        push(
            &mut headers,
            "x-vsr-selected-recipe",
            self.recipe.as_deref(),
        );
        push(
            &mut headers,
            "x-vsr-selected-decision",
            self.decision.as_deref(),
        );
        if path != ResponsePath::FastResponse {
            if let (Some(_), Some(confidence)) = (&self.decision, self.confidence) {
                headers.push(("x-vsr-selected-confidence", format!("{confidence:.4}")));
            }
            push(&mut headers, "x-vsr-selected-algorithm", self.algorithm);
            push(&mut headers, "x-vsr-selected-model", self.model.as_deref());
        }
        if let (ResponsePath::Upstream, Some(learned)) = (path, &self.learned) {
            push(
                &mut headers,
                "x-merit-request-id",
                learned.request_id.as_deref(),
            );
        }
        headers.extend(self.applied_unknown());
        if !self.degraded.is_empty() {
            headers.push(("x-merit-degraded", self.degraded.join(",")));
        }
        if path == ResponsePath::Upstream {
            let state = self
                .session
                .as_ref()
                .and_then(|session| session.turn_state.as_deref());
            push(
                &mut headers,
                conversation::session::turn_state::HEADER,
                state,
            );
        }
        headers
    }

    /// Names the decisions that a failure leaves open, with what that means for each: on refusals
    /// for that reason, too.
    #[must_use]
    pub fn applied_unknown(&self) -> Option<ReplyHeader> {
        let listed = || ("x-vsr-applied-unknown-policy", self.unknown.join(","));
        (!self.unknown.is_empty()).then(listed)
    }

    /// What `x-vsr-debug: true` adds.
    #[must_use]
    pub fn debug(&self) -> Vec<ReplyHeader> {
        let mut headers = Vec::with_capacity(10);
        push(&mut headers, "x-vsr-client-protocol", Some(self.protocol));
        push(&mut headers, "x-vsr-upstream-protocol", Some(self.upstream));
        push(
            &mut headers,
            "x-vsr-selected-category",
            self.category.as_deref(),
        );
        push(
            &mut headers,
            "x-vsr-selected-reasoning",
            self.reasoning.map(|on| if on { "on" } else { "off" }),
        );
        if let Some(learned) = &self.learned {
            headers.extend(learning(learned));
        }
        headers.push((
            "x-vsr-injected-system-prompt",
            self.injected_system_prompt.to_string(),
        ));
        for kind in Kind::ALL {
            if let Some(name) = kind.family().header {
                let names = self.matched_names(kind);
                push(
                    &mut headers,
                    name,
                    (!names.is_empty()).then_some(names.as_str()),
                );
            }
        }
        push(&mut headers, "x-merit-boundaries", Some(&self.boundaries()));
        push(&mut headers, "x-merit-dropped", Some(&self.dropped()));
        if self.context_tokens > 0 {
            headers.push(("x-vsr-context-token-count", self.context_tokens.to_string()));
        }
        if let Some(session) = &self.session {
            headers.push(("x-vsr-session-phase", session.phase.as_str().to_owned()));
            headers.push(("x-merit-session", session.to_string()));
        }
        headers
    }

    /// Names of the boundaries that hold, comma-separated.
    #[must_use]
    pub fn boundaries(&self) -> String {
        self.verdict
            .names()
            .map(|name| &**name)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Models that were not considered, `model=barrier`, comma-separated.
    #[must_use]
    pub fn dropped(&self) -> String {
        let dropped = self
            .dropped
            .iter()
            .map(|dropped| format!("{}={}", dropped.model, dropped.by));
        dropped.collect::<Vec<_>>().join(",")
    }

    fn matched_names(&self, kind: Kind) -> String {
        let mut list = String::new();
        for (_, name) in self.matched.iter().filter(|(family, _)| *family == kind) {
            let separator = if list.is_empty() { "" } else { "," };
            if write!(list, "{separator}{name}").is_err() {
                break;
            }
        }
        list
    }
}

/// What learning did, each header a list by part.
fn learning(outcome: &LearningOutcome) -> impl Iterator<Item = ReplyHeader> {
    let list = |word: &dyn Fn(&LearningStep) -> Option<&'static str>| {
        let pairs = outcome
            .steps
            .iter()
            .filter_map(|step| Some(format!("{}={}", step.part.as_str(), word(step)?)));
        pairs.collect::<Vec<_>>().join(",")
    };
    let methods: Vec<&str> = outcome
        .steps
        .iter()
        .map(|step| step.part.as_str())
        .collect();
    let headers = [
        ("x-vsr-learning-methods", methods.join(",")),
        (
            "x-vsr-learning-actions",
            list(&|step| Some(step.action.as_str())),
        ),
        (
            "x-vsr-learning-scopes",
            list(&|step| step.scope.map(Scope::as_str)),
        ),
        (
            "x-vsr-learning-reasons",
            list(&|step| Some(step.reason.as_str())),
        ),
        (
            "x-vsr-learning-modes",
            list(&|step| Some(step.mode.as_str())),
        ),
    ];
    headers.into_iter().filter(|(_, value)| !value.is_empty())
}

fn push(headers: &mut Vec<ReplyHeader>, name: &'static str, value: Option<&str>) {
    if let Some(value) = value.filter(|text| !text.is_empty()) {
        headers.push((name, value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        Trace {
            recipe: Some("default".into()),
            decision: Some("deep".into()),
            confidence: Some(0.5),
            algorithm: Some("single"),
            model: Some("large".into()),
            reasoning: Some(true),
            matched: vec![
                (Kind::Keyword, "a".into()),
                (Kind::Metadata, "hidden".into()),
                (Kind::Keyword, "b".into()),
                (Kind::Projection, "hard".into()),
            ],
            context_tokens: 12,
            ..Trace::default()
        }
    }

    fn check(headers: &[ReplyHeader], expected: &str) {
        let text = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(text, expected);
    }

    #[test]
    fn routing_facts_of_a_model_reply() {
        check(
            &trace().routing(ResponsePath::Upstream),
            "x-vsr-selected-recipe: default\nx-vsr-selected-decision: deep\nx-vsr-selected-confidence: 0.5000\n\
             x-vsr-selected-algorithm: single\nx-vsr-selected-model: large",
        );
    }

    #[test]
    fn decisions_that_a_failure_leaves_open_are_named() {
        let trace = Trace {
            confidence: None,
            unknown: vec!["a=no_match".into(), "deep=match".into()],
            ..trace()
        };
        check(
            &trace.routing(ResponsePath::Upstream),
            "x-vsr-selected-recipe: default\nx-vsr-selected-decision: deep\n\
             x-vsr-selected-algorithm: single\nx-vsr-selected-model: large\n\
             x-vsr-applied-unknown-policy: a=no_match,deep=match",
        );
    }

    #[test]
    fn a_fixed_answer_names_no_model() {
        check(
            &trace().routing(ResponsePath::FastResponse),
            "x-vsr-selected-recipe: default\nx-vsr-selected-decision: deep",
        );
    }

    #[test]
    fn passthrough_shows_the_model_alone() {
        let trace = Trace {
            model: Some("gpt".into()),
            confidence: Some(0.0),
            ..Trace::default()
        };
        check(
            &trace.routing(ResponsePath::Upstream),
            "x-vsr-selected-model: gpt",
        );
    }

    #[test]
    fn the_bootstraps_remove_what_is_owned() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy");
        for file in [
            "route.yaml",
            "observe.yaml",
            "buffered.yaml",
            "escalate.yaml",
            "fallback.yaml",
        ] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            for name in OWNED {
                assert!(
                    text.contains(&format!("- remove: {name}\n")),
                    "{file} does not remove {name}"
                );
            }
            for prefix in OWNED_PREFIXES {
                assert!(
                    text.contains(&format!("prefix: {prefix},")),
                    "{file} does not remove {prefix}*"
                );
            }
        }
        assert!(
            is_owned("x-vsr-matched-pii")
                && !is_owned("x-vsr-debug")
                && !is_owned("x-vsr-cache-control")
        );
    }

    #[test]
    fn debug_lists_families_in_order() {
        check(
            &trace().debug(),
            "x-vsr-selected-reasoning: on\nx-vsr-injected-system-prompt: false\nx-vsr-matched-keywords: a,b\n\
             x-vsr-matched-projections: hard\nx-vsr-context-token-count: 12",
        );
    }
}
