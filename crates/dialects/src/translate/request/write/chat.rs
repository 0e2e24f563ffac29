//! Writes requests of OpenAI's chat completions.

use super::{Writing, texts};
use crate::translate::loss::Lost;
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Input, Mode, Output, Parameter, Part, Role, Shape,
    Takes, Tool, Turn,
};
use crate::translate::request::pairs::heading;
use crate::translate::request::text::Text;

/// Stop sequences that OpenAI takes.
const MOST_STOPS: usize = 4;

impl Writing<'_> {
    /// Writes a whole request.
    pub(super) fn chat(&mut self, conversation: &Conversation<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.member("model", conversation.model.raw());
        self.out.key("messages");
        self.out.begin('[');
        for turn in &conversation.turns {
            self.chat_turn(turn)?;
        }
        self.out.end(']');
        self.chat_tools(conversation);
        for setting in &conversation.settings {
            let name = self.chat_name(setting.parameter);
            self.setting(setting, name);
        }
        self.chat_stops(conversation);
        self.chat_reasoning(conversation);
        self.chat_format(conversation);
        if conversation.streams {
            self.out.member("stream", "true");
            self.out
                .member("stream_options", r#"{"include_usage":true}"#);
        }
        self.out.end('}');
        Ok(())
    }

    fn chat_name(&self, parameter: Parameter) -> Option<&'static str> {
        Some(match parameter {
            Parameter::MaxTokens if self.backend.is_vllm => "max_tokens",
            Parameter::MaxTokens => "max_completion_tokens",
            Parameter::Temperature => "temperature",
            Parameter::TopP => "top_p",
            Parameter::TopK => self.backend.is_vllm.then_some("top_k")?,
            Parameter::Seed => "seed",
            Parameter::FrequencyPenalty => "frequency_penalty",
            Parameter::PresencePenalty => "presence_penalty",
            Parameter::LogitBias => "logit_bias",
            Parameter::Logprobs => "logprobs",
            Parameter::TopLogprobs => "top_logprobs",
            Parameter::User => "user",
            Parameter::SafetyIdentifier => "safety_identifier",
            Parameter::PromptCacheKey => "prompt_cache_key",
            Parameter::PromptCacheRetention => "prompt_cache_retention",
            Parameter::Metadata => "metadata",
            Parameter::ServiceTier => "service_tier",
            Parameter::Store => return None,
            Parameter::Verbosity => "verbosity",
        })
    }

    fn chat_turn(&mut self, turn: &Turn<'_>) -> Result<(), Unfit> {
        let role = match turn.role {
            Role::Tool => return self.chat_results(turn),
            Role::Assistant => return self.chat_answer(turn),
            Role::System => "system",
            Role::Developer if self.backend.is_vllm => {
                self.lose(Lost::Developer, turn.place);
                "system"
            }
            Role::Developer => "developer",
            Role::User => "user",
        };
        self.out.begin('{');
        self.out.word("role", role);
        let parts: Vec<&Part<'_>> = turn.parts.iter().collect();
        self.chat_content(&parts)?;
        self.out.end('}');
        Ok(())
    }

    fn chat_content(&mut self, parts: &[&Part<'_>]) -> Result<(), Unfit> {
        self.out.key("content");
        if let [part] = parts
            && let Some(text) = part.as_text()
        {
            self.unmark(part.cache, part.place);
            self.out.raw(text.raw());
            return Ok(());
        }
        self.out.begin('[');
        for part in parts {
            self.unmark(part.cache, part.place);
            self.chat_part(part)?;
        }
        self.out.end(']');
        Ok(())
    }

    fn chat_part(&mut self, part: &Part<'_>) -> Result<(), Unfit> {
        match &part.body {
            Body::Text(text) => {
                self.out.begin('{');
                self.out.word("type", "text");
                self.out.member("text", text.raw());
                self.out.end('}');
            }
            Body::Refusal(text) => {
                self.out.begin('{');
                self.out.word("type", "refusal");
                self.out.member("refusal", text.raw());
                self.out.end('}');
            }
            Body::Image(image) => {
                self.out.begin('{');
                self.out.word("type", "image_url");
                self.out.key("image_url");
                self.out.begin('{');
                self.out.key("url");
                self.out.url(&image.source);
                if let Some(detail) = &image.detail {
                    self.out.member("detail", detail.raw());
                }
                self.out.end('}');
                self.out.end('}');
            }
            Body::Document(document) => self.chat_document(document, part)?,
            Body::Media(raw) => self.out.raw(raw),
            Body::Thinking(thinking) => self.lose_thinking(thinking.is_sealed, part.place),
            Body::Call(_) | Body::Result(_) => {
                return Err(Unfit::at(part.place, "has no place in this message"));
            }
        }
        Ok(())
    }

    fn chat_document(&mut self, document: &Document<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        if let Some(text) = media::as_text(&document.source) {
            self.lose(Lost::DocumentText, part.place);
            let text = titled(document, &text);
            self.out.begin('{');
            self.out.word("type", "text");
            self.out.word("text", &text);
            self.out.end('}');
            return Ok(());
        }
        if self.backend.is_vllm || media::is_url(&document.source) {
            let why = "is a document, which the backend does not take";
            return Err(Unfit::at(part.place, why));
        }
        self.out.begin('{');
        self.out.word("type", "file");
        self.out.key("file");
        self.out.begin('{');
        match &document.title {
            Some(title) => self.out.member("filename", title.raw()),
            None => self.out.word("filename", "document.pdf"),
        }
        self.out.key("file_data");
        self.out.url(&document.source);
        self.out.end('}');
        self.out.end('}');
        Ok(())
    }

    /// Writes an assistant's turn: reasoning and content, then calls.
    fn chat_answer(&mut self, turn: &Turn<'_>) -> Result<(), Unfit> {
        let (mut content, mut calls, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_reordered = false;
        for part in &turn.parts {
            match &part.body {
                Body::Call(call) => calls.push((call.as_ref(), part)),
                Body::Thinking(thinking) => {
                    let replays = self.backend.replays_reasoning && !thinking.is_sealed;
                    if !replays || thinking.texts.is_empty() {
                        self.lose_thinking(thinking.is_sealed, part.place);
                        continue;
                    }
                    is_reordered |= !content.is_empty() || !calls.is_empty();
                    thoughts.extend(&thinking.texts);
                }
                _ => {
                    is_reordered |= !calls.is_empty();
                    content.push(part);
                }
            }
        }
        if is_reordered {
            self.lose(Lost::Reordered, turn.place);
        }
        if content.is_empty() && calls.is_empty() && thoughts.is_empty() {
            return Ok(());
        }
        self.out.begin('{');
        self.out.word("role", "assistant");
        if !thoughts.is_empty() {
            let text = Text::joined(&thoughts, "\\n");
            self.out.member("reasoning_content", text.raw());
        }
        match content.is_empty() {
            true => self
                .out
                .member("content", if calls.is_empty() { "\"\"" } else { "null" }),
            false => self.chat_content(&content)?,
        }
        if !calls.is_empty() {
            self.out.key("tool_calls");
            self.out.begin('[');
            for (call, part) in calls {
                self.chat_call(call, part);
            }
            self.out.end(']');
        }
        self.out.end('}');
        Ok(())
    }

    fn chat_call(&mut self, call: &Call<'_>, part: &Part<'_>) {
        self.unmark(part.cache, part.place);
        self.out.begin('{');
        self.out.member("id", call.id.raw());
        match &call.input {
            Input::Free(text) if !self.backend.is_vllm => {
                self.out.word("type", "custom");
                self.out.key("custom");
                self.out.begin('{');
                self.out.member("name", call.name.raw());
                self.out.member("input", text.raw());
            }
            input => {
                self.out.word("type", "function");
                self.out.key("function");
                self.out.begin('{');
                self.out.member("name", call.name.raw());
                self.arguments(input, part.place);
            }
        }
        self.out.end('}');
        self.out.end('}');
    }

    /// Writes results, each a message, and then what such messages cannot hold.
    fn chat_results(&mut self, turn: &Turn<'_>) -> Result<(), Unfit> {
        let mut beside = Vec::new();
        for part in &turn.parts {
            let Body::Result(output) = &part.body else {
                continue;
            };
            self.unmark(part.cache, part.place);
            self.chat_result(output, part);
            let others = output.parts.iter().filter(|part| part.as_text().is_none());
            let others: Vec<&Part<'_>> = others.collect();
            if !others.is_empty() {
                self.lose(Lost::ResultPartMoved, part.place);
                beside.push((Part::new(part.place, Body::Text(heading(output))), others));
            }
        }
        if beside.is_empty() {
            return Ok(());
        }
        let parts = beside
            .iter()
            .flat_map(|(heading, others)| std::iter::once(heading).chain(others.iter().copied()));
        let parts: Vec<&Part<'_>> = parts.collect();
        self.out.begin('{');
        self.out.word("role", "user");
        self.chat_content(&parts)?;
        self.out.end('}');
        Ok(())
    }

    fn chat_result(&mut self, output: &Output<'_>, part: &Part<'_>) {
        let texts = texts(output);
        if texts.len() > 1 {
            self.lose(Lost::ResultJoined, part.place);
        }
        let mut text = Text::joined(&texts, "\\n");
        if output.is_error {
            self.lose(Lost::ResultError, part.place);
            text = text.after("Error: ");
        }
        for inner in output.parts.iter().filter(|part| part.as_text().is_some()) {
            self.unmark(inner.cache, inner.place);
        }
        self.out.begin('{');
        self.out.word("role", "tool");
        self.out.member("tool_call_id", output.id.raw());
        self.out.member("content", text.raw());
        self.out.end('}');
    }

    fn chat_tools(&mut self, conversation: &Conversation<'_>) {
        if !conversation.tools.is_empty() {
            self.out.key("tools");
            self.out.begin('[');
            for tool in &conversation.tools {
                self.chat_tool(tool);
            }
            self.out.end(']');
        }
        if let Some(choice) = &conversation.choice {
            self.chat_choice(choice, &conversation.tools);
        }
        if let Some(parallel) = &conversation.parallel_calls {
            self.out.flag("parallel_tool_calls", parallel.value);
        }
    }

    fn chat_tool(&mut self, tool: &Tool<'_>) {
        self.unmark(tool.cache, tool.place);
        let kind = match tool.takes {
            Takes::Schema { .. } => "function",
            Takes::Free { .. } => "custom",
        };
        self.out.begin('{');
        self.out.word("type", kind);
        self.out.key(kind);
        self.out.begin('{');
        self.tool_members(tool, "parameters");
        self.out.end('}');
        self.out.end('}');
    }

    fn chat_choice(&mut self, choice: &Choice<'_>, tools: &[Tool<'_>]) {
        self.out.key("tool_choice");
        match &choice.mode {
            Mode::Auto => self.out.text("auto"),
            Mode::None => self.out.text("none"),
            Mode::Required => self.out.text("required"),
            Mode::Named(name) => {
                let kind = super::kind(name, tools);
                self.out.begin('{');
                self.out.word("type", kind);
                self.out.key(kind);
                self.out.begin('{');
                self.out.member("name", name.raw());
                self.out.end('}');
                self.out.end('}');
            }
        }
    }

    fn chat_stops(&mut self, conversation: &Conversation<'_>) {
        let most = match self.backend.is_vllm {
            true => usize::MAX,
            false => MOST_STOPS,
        };
        let stops = &conversation.stops;
        if !stops.is_empty() {
            self.out.key("stop");
            self.out.begin('[');
            for stop in stops.iter().take(most) {
                self.out.raw(stop.text.raw());
            }
            self.out.end(']');
        }
        for stop in stops.iter().skip(most) {
            self.lose(Lost::Stops, stop.place);
        }
    }

    fn chat_reasoning(&mut self, conversation: &Conversation<'_>) {
        let reasoning = &conversation.reasoning;
        if let Some(effort) = self.effort_word(reasoning) {
            self.out.word("reasoning_effort", &effort);
        }
        let Some(switch) = &reasoning.switch else {
            return;
        };
        if self.backend.is_vllm {
            self.out.key("chat_template_kwargs");
            self.out.begin('{');
            // Families of models differ in the name, and a template ignores what it does not use.
            self.out.flag("enable_thinking", switch.value);
            self.out.flag("thinking", switch.value);
            self.out.end('}');
        } else if reasoning.effort.is_none() && reasoning.budget.is_none() || !switch.value {
            self.lose(Lost::ReasoningSwitch, switch.place);
        }
    }

    fn chat_format(&mut self, conversation: &Conversation<'_>) {
        let Some(format) = &conversation.format else {
            return;
        };
        self.out.key("response_format");
        self.out.begin('{');
        match &format.shape {
            Shape::Json => self.out.word("type", "json_object"),
            shape @ Shape::Schema { .. } => {
                self.out.word("type", "json_schema");
                self.out.key("json_schema");
                self.out.begin('{');
                self.schema_members(shape);
                self.out.end('}');
            }
        }
        self.out.end('}');
    }
}

/// Returns a document's text after its title.
fn titled(document: &Document<'_>, text: &str) -> String {
    match &document.title {
        Some(title) => format!("{}\n\n{text}", title.decoded()),
        None => text.to_owned(),
    }
}
