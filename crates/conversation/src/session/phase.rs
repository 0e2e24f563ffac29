//! What part of a conversation a request is.
//!
//! A tool loop is one piece of work: the model that began it ends it. A helper request (an agent's
//! title generator) is no part of the conversation and moves nothing. A compaction reads the whole
//! prefix once more, which only its own model has in cache.

use dialects::Prompt;
use regex::RegexSet;

/// What part of a conversation a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// The user says something.
    #[default]
    UserTurn,
    /// The assistant has just got results of its tools.
    ToolLoop,
    /// An agent's own question beside the conversation: a title, a topic.
    Helper,
    /// The agent asks for a summary to go on with.
    Compaction,
}

impl Phase {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserTurn => "user_turn",
            Self::ToolLoop => "tool_loop",
            Self::Helper => "helper",
            Self::Compaction => "compaction",
        }
    }

    /// Reads the phase from the header `x-inferoa-request-class`, if it is there, and from the
    /// request itself.
    #[must_use]
    pub fn of(prompt: &Prompt, class: Option<&str>, texts: &PhaseTexts) -> Self {
        match class.map(str::trim) {
            Some("compaction") => return Self::Compaction,
            Some("tool") => return Self::ToolLoop,
            _ => {}
        }
        if texts.compaction.is_match(prompt.last_user()) {
            Self::Compaction
        } else if prompt.continuity.tool_loop {
            Self::ToolLoop
        } else if is_helper(prompt, texts) {
            Self::Helper
        } else {
            Self::UserTurn
        }
    }
}

/// Returns whether a system prompt says so and nothing is there that only a conversation has.
fn is_helper(prompt: &Prompt, texts: &PhaseTexts) -> bool {
    let bare = prompt.conversation.tool_definitions == 0 && prompt.conversation.assistant == 0;
    bare && texts.helper.is_match(prompt.system())
}

/// Texts by which agents' own requests are told.
#[derive(Debug, Clone)]
pub struct PhaseTexts {
    helper: RegexSet,
    compaction: RegexSet,
}

impl PhaseTexts {
    /// Compiles patterns: of helpers' system prompts, and of the last user text of compactions.
    ///
    /// # Errors
    /// The key and what is wrong there.
    pub fn new(
        helper: &[String],
        compaction: &[String],
    ) -> Result<Self, (&'static str, regex::Error)> {
        Ok(Self {
            helper: RegexSet::new(helper).map_err(|error| ("helper_patterns", error))?,
            compaction: RegexSet::new(compaction)
                .map_err(|error| ("compaction_patterns", error))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::settings::Sessions;
    use bytes::Bytes;
    use dialects::{Dialect, ReadOptions, Request};

    fn check(class: Option<&str>, body: &str, expected: Phase) {
        let settings = Sessions::default();
        let texts =
            PhaseTexts::new(&settings.helper_patterns, &settings.compaction_patterns).unwrap();
        let body = Bytes::from(format!(r#"{{"model":"auto",{body}}}"#));
        let request =
            Request::parse(Dialect::OpenAiChat, body.clone(), &ReadOptions::default()).unwrap();
        assert_eq!(
            Phase::of(request.prompt(), class, &texts),
            expected,
            "{class:?} {body:?}"
        );
    }

    #[test]
    fn phases() {
        let title = r#"{"role":"system","content":"You are a title generator. You output ONLY a thread title."}"#;
        let user = r#"{"role":"user","content":"Fix it"}"#;
        let tool = r#"{"role":"tool","tool_call_id":"c","content":"1"}"#;
        let tools = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
        check(None, &format!(r#""messages":[{user}]"#), Phase::UserTurn);
        check(
            Some("interactive"),
            &format!(r#""messages":[{user}]"#),
            Phase::UserTurn,
        );
        check(
            Some("compaction"),
            &format!(r#""messages":[{user},{tool}]"#),
            Phase::Compaction,
        );
        check(
            Some("tool"),
            &format!(r#""messages":[{user}]"#),
            Phase::ToolLoop,
        );
        check(
            None,
            &format!(r#""messages":[{user},{tool}]"#),
            Phase::ToolLoop,
        );
        check(
            None,
            &format!(r#""messages":[{user},{tool},{user}]"#),
            Phase::ToolLoop,
        );
        check(
            None,
            &format!(r#""messages":[{title},{user}]"#),
            Phase::Helper,
        );
        check(
            None,
            &format!(r#""messages":[{title},{user}],{tools}"#),
            Phase::UserTurn,
        );
        let request = r#"{"role":"user","content":"<context.compaction.request>\nSummarise"}"#;
        check(
            None,
            &format!(r#""messages":[{user},{tool},{request}]"#),
            Phase::Compaction,
        );
    }
}
