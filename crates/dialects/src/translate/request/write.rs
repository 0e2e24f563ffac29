//! Writes requests: a file a wire, and what they share.

mod chat;
mod messages;
mod responses;

use super::Unfit;
use super::neutral::{
    Choice, Conversation, Input, Mode, Output, Parameter, Part, Reasoning, Setting, Shape, Takes,
    Tool,
};
use super::out::Out;
use super::place::Place;
use super::text::Text;
use crate::endpoint::Dialect;
use crate::translate::Backend;
use crate::translate::loss::{Ledger, Lost};

/// Writes a request for a backend; `bytes` is the length of the client's.
pub(super) fn write(
    mut conversation: Conversation<'_>,
    backend: Backend,
    bytes: usize,
    ledger: &mut Ledger,
) -> Result<String, Unfit> {
    tools(&mut conversation, backend, ledger)?;
    let mut writing = Writing {
        out: Out::with_capacity(bytes + bytes / 4 + 256),
        backend,
        ledger,
    };
    match backend.dialect {
        Dialect::OpenAiChat => writing.chat(&conversation)?,
        Dialect::OpenAiResponses => writing.responses(&conversation)?,
        Dialect::AnthropicMessages => writing.messages(&conversation)?,
    }
    Ok(writing.out.finish())
}

/// What a writer has at hand.
struct Writing<'l> {
    out: Out,
    backend: Backend,
    ledger: &'l mut Ledger,
}

impl Writing<'_> {
    /// Lists the mark of a part that a wire without marks gets.
    fn unmark(&mut self, cache: Option<&str>, place: Place) {
        if cache.is_some() {
            self.ledger
                .lose(Lost::CacheMark, place.member("cache_control"));
        }
    }

    /// Lists what is lost at a place.
    fn lose(&mut self, lost: Lost, place: Place) {
        self.ledger.lose(lost, place);
    }

    /// Lists reasoning that does not go back.
    fn lose_thinking(&mut self, is_sealed: bool, place: Place) {
        let lost = match is_sealed {
            true => Lost::Sealed,
            false => Lost::Thinking,
        };
        self.ledger.lose(lost, place);
    }

    /// Writes a setting under a name, or lists it.
    fn setting(&mut self, setting: &Setting<'_>, name: Option<&str>) {
        match name {
            Some(name) => self.out.member(name, setting.value),
            // Nothing is stored elsewhere unless somebody asks for it.
            None if setting.parameter == Parameter::Store && setting.value == "false" => {}
            None => self.ledger.lose(without(setting), setting.place),
        }
    }

    /// Writes what both OpenAI wires say of a tool.
    fn tool_members(&mut self, tool: &Tool<'_>, schema_name: &str) {
        self.out.member("name", tool.name.raw());
        if let Some(description) = &tool.description {
            self.out.member("description", description.raw());
        }
        match &tool.takes {
            Takes::Schema { schema, strict } => {
                if let Some(schema) = schema {
                    self.out.member(schema_name, schema);
                }
                if let Some(strict) = strict {
                    self.out.flag("strict", *strict);
                }
            }
            Takes::Free { format } => {
                if let Some(format) = format {
                    self.out.member("format", format);
                }
            }
        }
    }

    /// Writes what both OpenAI wires say of an answer's schema.
    fn schema_members(&mut self, shape: &Shape<'_>) {
        let Shape::Schema {
            name,
            description,
            schema,
            strict,
        } = shape
        else {
            return;
        };
        match name {
            Some(name) => self.out.member("name", name.raw()),
            None => self.out.word("name", "answer"),
        }
        if let Some(description) = description {
            self.out.member("description", description.raw());
        }
        self.out.member("schema", schema);
        if let Some(strict) = strict {
            self.out.flag("strict", *strict);
        }
    }

    /// Returns the effort of reasoning in the words of OpenAI.
    fn effort_word(&mut self, reasoning: &Reasoning<'_>) -> Option<String> {
        if let Some(budget) = &reasoning.budget {
            self.ledger.lose(Lost::ReasoningBudget, budget.place);
        }
        let Some(effort) = &reasoning.effort else {
            let budget = reasoning.budget.as_ref()?;
            return Some(effort_of(budget.value).to_owned());
        };
        let asked = effort.value.decoded();
        let word = match (asked.as_ref(), self.backend.is_vllm) {
            ("max" | "xhigh", true) => "high",
            ("minimal", true) => "low",
            ("max", false) => "xhigh",
            (other, _) => other,
        };
        if word != asked {
            self.ledger.lose(Lost::Effort, effort.place);
        }
        Some(word.to_owned())
    }

    /// Writes the arguments of a call as both OpenAI wires have them: JSON in a string.
    fn arguments(&mut self, input: &Input<'_>, place: Place) {
        self.out.key("arguments");
        match input {
            Input::Spelled(text) if text.is_empty() => self.out.raw("\"{}\""),
            Input::Spelled(text) => self.out.raw(text.raw()),
            Input::Object(raw) => self.out.text(raw),
            Input::Free(text) => {
                self.ledger.lose(Lost::CustomCall, place);
                self.out.text(&free(text));
            }
        }
    }
}

/// Returns the effort that is nearest to a budget of tokens.
fn effort_of(budget: u64) -> &'static str {
    match budget {
        0..=2047 => "low",
        2048..=8191 => "medium",
        _ => "high",
    }
}

/// Returns the type of the tool of a name.
fn kind(name: &Text<'_>, tools: &[Tool<'_>]) -> &'static str {
    let name = name.decoded();
    let tool = tools.iter().find(|tool| tool.name.decoded() == name);
    match tool.map(|tool| &tool.takes) {
        Some(Takes::Free { .. }) => "custom",
        _ => "function",
    }
}

/// Returns the arguments of a function that stands for a tool with free text.
fn free(text: &Text<'_>) -> String {
    format!("{{\"input\":{}}}", text.raw())
}

/// Returns how much it matters that a setting is left out.
fn without(setting: &Setting<'_>) -> Lost {
    match setting.parameter {
        Parameter::User
        | Parameter::SafetyIdentifier
        | Parameter::PromptCacheKey
        | Parameter::PromptCacheRetention
        | Parameter::Metadata
        | Parameter::ServiceTier
        | Parameter::Store => Lost::Hint,
        _ => Lost::Parameter,
    }
}

/// Leaves out tools that the backend does not take or that the model may not choose, and choices that
/// have nothing to choose from.
fn tools(
    conversation: &mut Conversation<'_>,
    backend: Backend,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let takes_text = match backend.dialect {
        Dialect::OpenAiChat => !backend.is_vllm,
        Dialect::OpenAiResponses => true,
        Dialect::AnthropicMessages => false,
    };
    conversation.tools.retain(|tool| {
        let stays = takes_text || matches!(tool.takes, Takes::Schema { .. });
        if !stays {
            ledger.lose(Lost::CustomTool, tool.place);
        }
        stays
    });
    choose(conversation, ledger)?;
    if conversation.tools.is_empty()
        && let Some(parallel) = conversation.parallel_calls.take()
        && !parallel.value
    {
        ledger.lose(Lost::ChoiceAlone, parallel.place);
    }
    Ok(())
}

/// Leaves out the tools among which the model may not choose, and a choice without any.
fn choose(conversation: &mut Conversation<'_>, ledger: &mut Ledger) -> Result<(), Unfit> {
    let Some(choice) = &conversation.choice else {
        return Ok(());
    };
    if let Some(allowed) = &choice.allowed {
        let before = conversation.tools.len();
        let names: std::collections::HashSet<_> = allowed.iter().map(Text::decoded).collect();
        let is_allowed = |tool: &Tool<'_>| names.contains(&tool.name.decoded());
        conversation.tools.retain(is_allowed);
        if conversation.tools.len() != before {
            ledger.lose(Lost::AllowedTools, choice.place);
        }
    }
    if has_choice(choice, &conversation.tools)? {
        return Ok(());
    }
    ledger.lose(Lost::ChoiceAlone, choice.place);
    conversation.choice = None;
    Ok(())
}

/// Tells whether there is something to choose from.
///
/// # Errors
/// A tool must be called that is not there.
fn has_choice(choice: &Choice<'_>, tools: &[Tool<'_>]) -> Result<bool, Unfit> {
    let forced = "wants a call of a tool that the backend does not get";
    match &choice.mode {
        Mode::Named(name) => {
            let name = name.decoded();
            let is_there = tools.iter().any(|tool| tool.name.decoded() == name);
            let missing = || Unfit::at(choice.place, forced);
            is_there.then_some(true).ok_or_else(missing)
        }
        Mode::Required if tools.is_empty() => Err(Unfit::at(choice.place, forced)),
        _ => Ok(!tools.is_empty()),
    }
}

/// Returns the texts of a result; the other parts are pictures and documents.
fn texts<'o, 'a>(output: &'o Output<'a>) -> Vec<&'o Text<'a>> {
    output.parts.iter().filter_map(Part::as_text).collect()
}
