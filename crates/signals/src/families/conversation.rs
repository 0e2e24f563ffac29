//! Counts over messages and tools.
//!
//! Use it to tell an agent's loop from a chat: tool definitions, tool calls, an open tool cycle,
//! images.
//!
//! ```yaml
//! routing:
//!   signals:
//!     conversation:
//!       - name: tool_loop
//!         feature: {type: exists, source: {type: active_tool_loop}}
//!       - name: long_talk
//!         feature: {type: count, source: {type: message, role: user}}
//!         predicate: {gte: 5}
//! ```
//!
//! A `count` without predicate always matches, as in the reference.

use super::{Building, Signal, SignalError, SignalInput, Watch, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::rules::NumericPredicate;
use dialects::Conversation;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A count over messages and tools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What is counted.
    pub feature: ConversationFeature,
    /// Bounds of the count.
    pub predicate: Option<NumericPredicate>,
}

/// What a conversation rule counts.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationFeature {
    /// `count` or `exists`.
    #[serde(rename = "type")]
    pub kind: Option<ConversationTest>,
    /// What is counted.
    pub source: ConversationSource,
}

/// What is asked of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationTest {
    /// That it lies within the predicate; without one it always matches.
    Count,
    /// That it is above 0.
    Exists,
}

/// The counter of a conversation rule.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationSource {
    /// What is counted.
    #[serde(rename = "type")]
    pub kind: Option<Counter>,
    /// Role of `message`; omitted means all.
    pub role: Option<Role>,
}

/// Something that is counted in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConversationCounter")]
pub enum Counter {
    /// Messages, of one role or of all.
    Message,
    /// Definitions of tools.
    ToolDefinition,
    /// Calls of tools by the assistant.
    AssistantToolCall,
    /// Calls that have been answered.
    AssistantToolCycle,
    /// 1 while a call of a tool waits for the assistant to go on.
    ActiveToolLoop,
    /// Images.
    ImageContent,
    /// 1 where the client demands a tool call. Known, and not run: it is always 0.
    ToolChoiceRequired,
    /// 1 where the client forbids tool calls. Known, and not run: it is always 0.
    ToolChoiceNone,
    /// State of a workflow. Known, and not run: it is always 0.
    FlowToolState,
}

/// Role of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConversationRole")]
pub enum Role {
    /// Messages of the user.
    User,
    /// Messages of the assistant.
    Assistant,
    /// System messages.
    System,
    /// Results of tools.
    Tool,
    /// Developer messages, which count 1 at most.
    Developer,
    /// All but the user's.
    NonUser,
}

/// Compiles the conversation rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.conversation;
    if declared.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::Conversation, &rule.name);
        let at = building.scope.rule(Kind::Conversation, index);
        rules.extend(rule.compile(&at, key, building.findings));
    }
    Some(Box::new(ConversationSignal { rules }))
}

impl ConversationRule {
    fn compile(&self, at: &str, key: Key, findings: &mut Findings) -> Option<Rule> {
        let source = self.feature.source;
        if self.feature.kind.is_none() {
            findings.error(
                format!("{at}.feature.type"),
                "`type` is missing; known: count, exists",
            );
        }
        if source.kind.is_none() {
            findings.error(
                format!("{at}.feature.source.type"),
                "`type` is missing: what is to be counted",
            );
        }
        if source.role.is_some() && source.kind.is_some_and(|kind| kind != Counter::Message) {
            findings.warn(
                format!("{at}.feature.source.role"),
                "only a `message` source has a role",
            );
        }
        self.check_predicate(at, findings);

        Some(Rule {
            key,
            test: match self.feature.kind? {
                ConversationTest::Exists => Test::Exists,
                ConversationTest::Count => Test::Count(self.predicate),
            },
            counter: source.kind?,
            role: source.role,
        })
    }

    fn check_predicate(&self, at: &str, findings: &mut Findings) {
        let path = format!("{at}.predicate");
        let Some(predicate) = self.predicate else {
            if self.feature.kind == Some(ConversationTest::Count) {
                findings.warn(at, "`count` without a predicate always matches, even at 0");
            }
            return;
        };
        if self.feature.kind == Some(ConversationTest::Exists) {
            findings.warn(&path, "`exists` reads no predicate; use `count`");
        } else {
            predicate.check(&path, findings);
        }

        let needs_two = predicate.gt.is_some_and(|bound| bound >= 1.0)
            || predicate.gte.is_some_and(|bound| bound > 1.0);
        if self.feature.source.role == Some(Role::Developer) && needs_two {
            findings.warn(
                path,
                "developer messages count 1 at most, so this never matches",
            );
        }
    }
}

/// The conversation family of one recipe.
struct ConversationSignal {
    rules: Vec<Rule>,
}

struct Rule {
    key: Key,
    counter: Counter,
    role: Option<Role>,
    test: Test,
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Exists,
    Count(Option<NumericPredicate>),
}

impl Test {
    /// The stored value and whether it matches.
    fn apply(self, raw: u64) -> (f64, bool) {
        match self {
            Self::Exists => (f64::from(u8::from(raw > 0)), raw > 0),
            Self::Count(predicate) => (
                raw as f64,
                predicate.is_none_or(|predicate| predicate.holds(raw as f64)),
            ),
        }
    }
}

impl Rule {
    fn count(&self, facts: &Conversation) -> u64 {
        match self.counter {
            Counter::Message => Role::count(self.role, facts),
            Counter::ToolDefinition => facts.tool_definitions,
            Counter::AssistantToolCall => facts.tool_calls,
            Counter::AssistantToolCycle => facts.tool,
            Counter::ActiveToolLoop => u64::from(
                facts.last_is_tool_result
                    || facts.last_user_follows_tool
                    || facts.tool_calls > facts.tool,
            ),
            Counter::ImageContent => facts.images,
            Counter::ToolChoiceRequired | Counter::ToolChoiceNone | Counter::FlowToolState => 0,
        }
    }
}

impl Role {
    fn count(role: Option<Self>, facts: &Conversation) -> u64 {
        let non_user = facts.assistant + facts.system + facts.tool + u64::from(facts.developer);
        match role {
            Some(Self::User) => facts.user,
            Some(Self::Assistant) => facts.assistant,
            Some(Self::System) => facts.system,
            Some(Self::Tool) => facts.tool,
            Some(Self::Developer) => u64::from(facts.developer),
            Some(Self::NonUser) => non_user,
            None => non_user + facts.user,
        }
    }
}

impl Signal for ConversationSignal {
    fn kind(&self) -> Kind {
        Kind::Conversation
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let mut best: f64 = 0.0;
        for rule in &self.rules {
            let (value, matched) = rule.test.apply(rule.count(&input.prompt.conversation));
            let confidence = f64::from(u8::from(matched));
            report.set_value(rule.key, value);
            report.set_confidence(rule.key, confidence);
            if matched {
                report.emit(rule.key);
            }
            best = best.max(confidence);
        }
        ran(report, Kind::Conversation, best);
        Ok(())
    }

    /// Messages and tools are counted wherever they stand.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::{compiled, errors};
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::Prompt;
    use serde::de::DeserializeOwned;

    /// A word as the document writes it; an empty one is left out.
    fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
        (!text.is_empty()).then(|| serde_json::from_value(text.into()).unwrap())
    }

    fn rule(
        test: &str,
        kind: &str,
        role: &str,
        predicate: Option<NumericPredicate>,
    ) -> ConversationRule {
        let feature = ConversationFeature {
            kind: word(test),
            source: ConversationSource {
                kind: word(kind),
                role: word(role),
            },
        };
        ConversationRule {
            name: "r".into(),
            feature,
            predicate,
            ..ConversationRule::default()
        }
    }

    #[track_caller]
    fn check(rule: &ConversationRule, facts: Conversation, expected: (f64, bool)) {
        let mut keys = Keys::default();
        let signals = Signals {
            conversation: vec![rule.clone()],
            ..Signals::default()
        };
        let signal = compiled(&signals, &mut keys, &Deps::default());
        let prompt = Prompt {
            conversation: facts,
            ..Prompt::default()
        };
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(&prompt, None), &mut report)
            .unwrap();
        let key = keys.get(Kind::Conversation, "r").unwrap();
        assert_eq!(
            (report.value(key), report.is_matched(key)),
            (Some(expected.0), expected.1),
            "{:?}",
            rule.feature
        );
        assert_eq!(
            report.confidence(key),
            Some(f64::from(u8::from(expected.1)))
        );
    }

    /// Example D of the token estimate: a user, an assistant with one call, its result, one tool
    /// definition.
    fn tool_cycle() -> Conversation {
        Conversation {
            user: 1,
            assistant: 1,
            tool: 1,
            tool_calls: 1,
            tool_definitions: 1,
            last_is_tool_result: true,
            ..Conversation::default()
        }
    }

    #[test]
    fn counters() {
        let at_least = Some(NumericPredicate {
            gte: Some(1.0),
            ..NumericPredicate::default()
        });
        for (kind, role, value) in [
            ("message", "user", 1.0),
            ("message", "assistant", 1.0),
            ("message", "system", 0.0),
            ("message", "tool", 1.0),
            ("message", "developer", 0.0),
            ("message", "non_user", 2.0),
            ("message", "", 3.0),
            ("tool_definition", "", 1.0),
            ("assistant_tool_call", "", 1.0),
            ("assistant_tool_cycle", "", 1.0),
            ("active_tool_loop", "", 1.0),
            ("image_content", "", 0.0),
        ] {
            check(
                &rule("count", kind, role, at_least),
                tool_cycle(),
                (value, value >= 1.0),
            );
            check(
                &rule("count", kind, role, None),
                tool_cycle(),
                (value, true),
            );
            check(
                &rule("exists", kind, role, None),
                tool_cycle(),
                (value.min(1.0), value >= 1.0),
            );
        }
        let developer = Conversation {
            developer: true,
            ..tool_cycle()
        };
        check(
            &rule("count", "message", "non_user", None),
            developer,
            (3.0, true),
        );
        check(
            &rule("count", "message", "developer", None),
            developer,
            (1.0, true),
        );
    }

    #[test]
    fn a_tool_loop_is_active_until_the_assistant_answers() {
        let active = rule("exists", "active_tool_loop", "", None);
        check(&active, tool_cycle(), (1.0, true));
        let then_user = Conversation {
            user: 2,
            last_is_tool_result: false,
            last_user_follows_tool: true,
            ..tool_cycle()
        };
        check(&active, then_user, (1.0, true));
        let then_assistant = Conversation {
            assistant: 2,
            last_is_tool_result: false,
            ..tool_cycle()
        };
        check(&active, then_assistant, (0.0, false));
        check(
            &active,
            Conversation {
                tool_calls: 2,
                ..then_assistant
            },
            (1.0, true),
        );
    }

    #[test]
    fn a_bare_text_counts_one_user() {
        let facts = Conversation {
            user: 1,
            tool_definitions: 1,
            ..Conversation::default()
        };
        check(&rule("count", "message", "", None), facts, (1.0, true));
        check(
            &rule("count", "tool_definition", "", None),
            facts,
            (1.0, true),
        );
    }

    #[test]
    fn problems() {
        for (rule, tail) in [
            (rule("", "message", "", None), "feature.type"),
            (rule("count", "", "", None), "feature.source.type"),
            (
                rule("count", "message", "", Some(NumericPredicate::default())),
                "predicate",
            ),
        ] {
            let signals = Signals {
                conversation: vec![rule],
                ..Signals::default()
            };
            assert_eq!(errors(&signals), [format!("conversation[0].{tail}")]);
        }
    }

    #[test]
    fn words_are_exact() {
        for text in ["Count", "messages", "function"] {
            let text = serde_json::Value::from(text);
            assert!(serde_json::from_value::<ConversationTest>(text.clone()).is_err());
            assert!(serde_json::from_value::<Counter>(text.clone()).is_err());
            assert!(serde_json::from_value::<Role>(text).is_err());
        }
    }
}
