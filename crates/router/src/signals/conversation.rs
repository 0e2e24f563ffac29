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

use super::{Problem, Signal, SignalError, SignalInput, check_predicate, ran};
use crate::config::signals::{ConversationRule, ConversationSource, NumericPredicate};
use crate::report::{Key, Keys, Kind, SignalReport};
use dialects::Conversation;

/// Compiles the conversation rules; nothing without rules.
pub(super) fn build(
    rules: &[ConversationRule],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if rules.is_empty() {
        return None;
    }
    let compile = |(at, rule): (usize, &ConversationRule)| {
        let path = format!("routing.signals.conversation[{at}]");
        let test = Test::build(&path, rule, problems);
        let counter = Counter::build(
            &format!("{path}.feature.source"),
            &rule.feature.source,
            problems,
        );
        Some(Rule {
            key: keys.intern(Kind::Conversation, &rule.name),
            counter: counter?,
            test: test?,
        })
    };
    let rules = rules.iter().enumerate().filter_map(compile).collect();
    Some(Box::new(ConversationSignal { rules }))
}

/// The conversation family of one recipe.
struct ConversationSignal {
    rules: Vec<Rule>,
}

struct Rule {
    key: Key,
    counter: Counter,
    test: Test,
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Exists,
    Count(Option<NumericPredicate>),
}

impl Test {
    fn build(path: &str, rule: &ConversationRule, problems: &mut Vec<Problem>) -> Option<Self> {
        check_predicate(path, rule.predicate, problems);
        match rule.feature.kind.as_str() {
            "exists" => Some(Self::Exists),
            "count" => Some(Self::Count(rule.predicate)),
            _ => {
                let path = format!("{path}.feature.type");
                problems.push(Problem {
                    path,
                    message: "must be count or exists".into(),
                });
                None
            }
        }
    }

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

#[derive(Debug, Clone, Copy)]
enum Counter {
    User,
    Assistant,
    System,
    Tool,
    Developer,
    NonUser,
    AnyMessage,
    ToolDefinition,
    AssistantToolCall,
    AssistantToolCycle,
    ActiveToolLoop,
    ImageContent,
}

impl Counter {
    fn build(path: &str, source: &ConversationSource, problems: &mut Vec<Problem>) -> Option<Self> {
        let counter = match (source.kind.as_str(), source.role.as_str()) {
            ("message", role) => return Self::of_role(role, path, problems),
            ("tool_definition", _) => Self::ToolDefinition,
            ("assistant_tool_call", _) => Self::AssistantToolCall,
            ("assistant_tool_cycle", _) => Self::AssistantToolCycle,
            ("active_tool_loop", _) => Self::ActiveToolLoop,
            ("image_content", _) => Self::ImageContent,
            _ => {
                let message = "must be message, tool_definition, assistant_tool_call, assistant_tool_cycle, \
                               active_tool_loop or image_content";
                problems.push(Problem {
                    path: format!("{path}.type"),
                    message: message.into(),
                });
                return None;
            }
        };
        Some(counter)
    }

    fn of_role(role: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(match role {
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "system" => Self::System,
            "tool" => Self::Tool,
            "developer" => Self::Developer,
            "non_user" => Self::NonUser,
            "" => Self::AnyMessage,
            _ => {
                let message = "must be user, assistant, system, tool, developer or non_user; leave it out for all";
                problems.push(Problem {
                    path: format!("{path}.role"),
                    message: message.into(),
                });
                return None;
            }
        })
    }

    fn read(self, facts: &Conversation) -> u64 {
        let non_user = facts.assistant + facts.system + facts.tool + u64::from(facts.developer);
        match self {
            Self::User => facts.user,
            Self::Assistant => facts.assistant,
            Self::System => facts.system,
            Self::Tool | Self::AssistantToolCycle => facts.tool,
            Self::Developer => u64::from(facts.developer),
            Self::NonUser => non_user,
            Self::AnyMessage => non_user + facts.user,
            Self::ToolDefinition => facts.tool_definitions,
            Self::AssistantToolCall => facts.tool_calls,
            Self::ActiveToolLoop => u64::from(
                facts.last_is_tool_result
                    || facts.last_user_follows_tool
                    || facts.tool_calls > facts.tool,
            ),
            Self::ImageContent => facts.images,
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
            let (value, matched) = rule
                .test
                .apply(rule.counter.read(&input.prompt.conversation));
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::signals::ConversationFeature;
    use dialects::Prompt;

    fn rule(
        test: &str,
        kind: &str,
        role: &str,
        predicate: Option<NumericPredicate>,
    ) -> ConversationRule {
        let source = ConversationSource {
            kind: kind.into(),
            role: role.into(),
        };
        let feature = ConversationFeature {
            kind: test.into(),
            source,
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
        let (mut keys, mut problems) = (Keys::default(), Vec::new());
        let signal = build(std::slice::from_ref(rule), &mut keys, &mut problems).unwrap();
        assert_eq!(problems, []);
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
            (rule("Count", "message", "", None), "feature.type"),
            (rule("count", "messages", "", None), "feature.source.type"),
            (
                rule("count", "message", "function", None),
                "feature.source.role",
            ),
            (
                rule("count", "message", "", Some(NumericPredicate::default())),
                "predicate",
            ),
        ] {
            let mut problems = Vec::new();
            build(&[rule], &mut Keys::default(), &mut problems);
            let paths: Vec<_> = problems
                .iter()
                .map(|problem| problem.path.as_str())
                .collect();
            assert_eq!(paths, [format!("routing.signals.conversation[0].{tail}")]);
        }
    }
}
