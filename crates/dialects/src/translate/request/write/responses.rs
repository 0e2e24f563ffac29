//! Writes requests of OpenAI Responses.

use super::{Writing, texts};
use crate::translate::loss::Lost;
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Input, Mode, Output, Parameter, Part, Role, Shape,
    Takes, Thinking, Tool, Turn,
};
use crate::translate::request::text::Text;

/// The least limit of tokens that OpenAI takes here.
const LEAST_TOKENS: u64 = 16;

impl Writing<'_> {
    /// Writes a whole request.
    pub(super) fn responses(&mut self, conversation: &Conversation<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.member("model", conversation.model.raw());
        let mut turns = conversation.turns.as_slice();
        if let Some((first, rest)) = turns.split_first()
            && let Some(part) = instructions(first)
            && let Some(text) = part.as_text()
        {
            self.unmark(part.cache, part.place);
            self.out.member("instructions", text.raw());
            turns = rest;
        }
        self.out.key("input");
        self.out.begin('[');
        for turn in turns {
            self.responses_turn(turn)?;
        }
        self.out.end(']');
        self.responses_tools(conversation);
        for setting in &conversation.settings {
            self.responses_setting(setting);
        }
        for stop in &conversation.stops {
            self.lose(Lost::Parameter, stop.place);
        }
        self.responses_reasoning(conversation);
        self.responses_text(conversation);
        // This wire stores what nobody tells it not to, and its client did not ask for that.
        let store = conversation.setting(Parameter::Store);
        let stores = store.is_some_and(|setting| setting.value == "true");
        self.out.flag("store", stores);
        if conversation.streams {
            self.out.member("stream", "true");
        }
        self.out.end('}');
        Ok(())
    }

    fn responses_setting(&mut self, setting: &super::Setting<'_>) {
        let name = match setting.parameter {
            Parameter::MaxTokens => {
                if setting
                    .value
                    .parse()
                    .is_ok_and(|tokens: u64| tokens < LEAST_TOKENS)
                {
                    self.lose(Lost::MaxTokensRaised, setting.place);
                    return self.out.member("max_output_tokens", "16");
                }
                "max_output_tokens"
            }
            Parameter::Logprobs => {
                if setting.value == "true" {
                    let included = r#"["message.output_text.logprobs"]"#;
                    self.out.member("include", included);
                }
                return;
            }
            Parameter::Temperature => "temperature",
            Parameter::TopP => "top_p",
            Parameter::TopLogprobs => "top_logprobs",
            Parameter::User => "user",
            Parameter::SafetyIdentifier => "safety_identifier",
            Parameter::PromptCacheKey => "prompt_cache_key",
            Parameter::PromptCacheRetention => "prompt_cache_retention",
            Parameter::Metadata => "metadata",
            Parameter::ServiceTier => "service_tier",
            // Both stand elsewhere.
            Parameter::Store | Parameter::Verbosity => return,
            Parameter::TopK
            | Parameter::Seed
            | Parameter::FrequencyPenalty
            | Parameter::PresencePenalty
            | Parameter::LogitBias => return self.setting(setting, None),
        };
        self.setting(setting, Some(name));
    }

    fn responses_turn(&mut self, turn: &Turn<'_>) -> Result<(), Unfit> {
        let role = match turn.role {
            Role::Tool => {
                for part in &turn.parts {
                    self.responses_result(part)?;
                }
                return Ok(());
            }
            Role::Assistant => return self.responses_answer(turn),
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
        };
        let parts: Vec<&Part<'_>> = turn.parts.iter().collect();
        self.responses_message(role, &parts)
    }

    fn responses_message(&mut self, role: &str, parts: &[&Part<'_>]) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.word("type", "message");
        self.out.word("role", role);
        self.out.key("content");
        self.responses_content(parts, role == "assistant")?;
        self.out.end('}');
        Ok(())
    }

    fn responses_content(&mut self, parts: &[&Part<'_>], is_answer: bool) -> Result<(), Unfit> {
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
            self.responses_part(part, is_answer)?;
        }
        self.out.end(']');
        Ok(())
    }

    fn responses_part(&mut self, part: &Part<'_>, is_answer: bool) -> Result<(), Unfit> {
        match &part.body {
            Body::Text(text) if is_answer => {
                self.out.begin('{');
                self.out.word("type", "output_text");
                self.out.member("text", text.raw());
                self.out.member("annotations", "[]");
                self.out.end('}');
            }
            Body::Text(text) => {
                self.out.begin('{');
                self.out.word("type", "input_text");
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
                self.out.word("type", "input_image");
                self.out.key("image_url");
                self.out.url(&image.source);
                match &image.detail {
                    Some(detail) => self.out.member("detail", detail.raw()),
                    None => self.out.word("detail", "auto"),
                }
                self.out.end('}');
            }
            Body::Document(document) => self.responses_document(document),
            Body::Media(raw) if raw.contains("\"input_audio\"") => self.out.raw(raw),
            Body::Media(_) => {
                let why = "is of a type that the backend does not take";
                return Err(Unfit::at(part.place, why));
            }
            Body::Thinking(_) | Body::Call(_) | Body::Result(_) => {
                return Err(Unfit::at(part.place, "has no place in this message"));
            }
        }
        Ok(())
    }

    fn responses_document(&mut self, document: &Document<'_>) {
        self.out.begin('{');
        self.out.word("type", "input_file");
        let is_url = media::is_url(&document.source);
        match &document.title {
            Some(title) => self.out.member("filename", title.raw()),
            None if is_url => {}
            None => self.out.word("filename", "document.pdf"),
        }
        self.out.key(if is_url { "file_url" } else { "file_data" });
        self.out.url(&document.source);
        self.out.end('}');
    }

    /// Writes the items of an assistant's turn, in its order.
    fn responses_answer(&mut self, turn: &Turn<'_>) -> Result<(), Unfit> {
        let mut words: Vec<&Part<'_>> = Vec::new();
        for part in &turn.parts {
            if !matches!(part.body, Body::Thinking(_) | Body::Call(_)) {
                words.push(part);
                continue;
            }
            self.responses_words(&mut words)?;
            match &part.body {
                Body::Thinking(thinking) => self.responses_thinking(thinking, part),
                Body::Call(call) => self.responses_call(call, part),
                _ => {}
            }
        }
        self.responses_words(&mut words)
    }

    fn responses_words(&mut self, words: &mut Vec<&Part<'_>>) -> Result<(), Unfit> {
        let is_text = |part: &&Part<'_>| matches!(&part.body, Body::Text(text) if text.is_empty());
        // Chat clients put an empty text before calls.
        if !words.iter().all(is_text) {
            self.responses_message("assistant", words)?;
        }
        words.clear();
        Ok(())
    }

    fn responses_thinking(&mut self, thinking: &Thinking<'_>, part: &Part<'_>) {
        let replays = self.backend.replays_reasoning && !thinking.is_sealed;
        if !replays || thinking.texts.is_empty() {
            return self.lose_thinking(thinking.is_sealed, part.place);
        }
        self.out.begin('{');
        self.out.word("type", "reasoning");
        self.out.member("summary", "[]");
        self.out.key("content");
        self.out.begin('[');
        for text in &thinking.texts {
            self.out.begin('{');
            self.out.word("type", "reasoning_text");
            self.out.member("text", text.raw());
            self.out.end('}');
        }
        self.out.end(']');
        self.out.end('}');
    }

    fn responses_call(&mut self, call: &Call<'_>, part: &Part<'_>) {
        self.unmark(part.cache, part.place);
        self.out.begin('{');
        let kind = match call.input {
            Input::Free(_) => "custom_tool_call",
            _ => "function_call",
        };
        self.out.word("type", kind);
        self.out.member("call_id", call.id.raw());
        self.out.member("name", call.name.raw());
        match &call.input {
            Input::Free(text) => self.out.member("input", text.raw()),
            input => self.arguments(input, part.place),
        }
        self.out.end('}');
    }

    fn responses_result(&mut self, part: &Part<'_>) -> Result<(), Unfit> {
        let Body::Result(output) = &part.body else {
            return Ok(());
        };
        self.unmark(part.cache, part.place);
        self.out.begin('{');
        let kind = match output.is_free {
            true => "custom_tool_call_output",
            false => "function_call_output",
        };
        self.out.word("type", kind);
        self.out.member("call_id", output.id.raw());
        self.out.key("output");
        self.responses_output(output, part)?;
        self.out.end('}');
        Ok(())
    }

    fn responses_output(&mut self, output: &Output<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        if output.is_error {
            self.lose(Lost::ResultError, part.place);
        }
        let texts = texts(output);
        if output.parts.len() == texts.len() && texts.len() < 2 {
            for inner in &output.parts {
                self.unmark(inner.cache, inner.place);
            }
            let text = Text::joined(&texts, "");
            match output.is_error {
                true => self.out.raw(text.after("Error: ").raw()),
                false => self.out.raw(text.raw()),
            }
            return Ok(());
        }
        let heading = Part::new(part.place, Body::Text(Text::spelled("Error:")));
        let heading = output.is_error.then_some(&heading);
        let parts: Vec<&Part<'_>> = heading.into_iter().chain(&output.parts).collect();
        self.responses_content(&parts, false)
    }

    fn responses_tools(&mut self, conversation: &Conversation<'_>) {
        let tools = &conversation.tools;
        if !tools.is_empty() {
            self.out.key("tools");
            self.out.begin('[');
            for tool in tools {
                self.responses_tool(tool);
            }
            self.out.end(']');
        }
        if let Some(choice) = &conversation.choice {
            self.responses_choice(choice, tools);
        }
        if let Some(parallel) = &conversation.parallel_calls {
            self.out.flag("parallel_tool_calls", parallel.value);
        }
    }

    fn responses_tool(&mut self, tool: &Tool<'_>) {
        self.unmark(tool.cache, tool.place);
        self.out.begin('{');
        match &tool.takes {
            Takes::Free { .. } => {
                self.out.word("type", "custom");
                self.tool_members(tool, "parameters");
            }
            Takes::Schema { schema, strict } => {
                self.out.word("type", "function");
                self.tool_members(tool, "parameters");
                // Here both must stand, and strictness is what nobody says otherwise.
                if schema.is_none() {
                    self.out
                        .member("parameters", r#"{"type":"object","properties":{}}"#);
                }
                if strict.is_none() {
                    self.out.flag("strict", false);
                }
            }
        }
        self.out.end('}');
    }

    fn responses_choice(&mut self, choice: &Choice<'_>, tools: &[Tool<'_>]) {
        self.out.key("tool_choice");
        match &choice.mode {
            Mode::Auto => self.out.text("auto"),
            Mode::None => self.out.text("none"),
            Mode::Required => self.out.text("required"),
            Mode::Named(name) => {
                self.out.begin('{');
                self.out.word("type", super::kind(name, tools));
                self.out.member("name", name.raw());
                self.out.end('}');
            }
        }
    }

    fn responses_reasoning(&mut self, conversation: &Conversation<'_>) {
        let reasoning = &conversation.reasoning;
        let effort = self.effort_word(reasoning);
        if let Some(switch) = &reasoning.switch
            && (effort.is_none() || !switch.value)
        {
            self.lose(Lost::ReasoningSwitch, switch.place);
        }
        if let Some(effort) = effort {
            self.out.key("reasoning");
            self.out.begin('{');
            self.out.word("effort", &effort);
            self.out.end('}');
        }
    }

    fn responses_text(&mut self, conversation: &Conversation<'_>) {
        let verbosity = conversation.setting(Parameter::Verbosity);
        if verbosity.is_none() && conversation.format.is_none() {
            return;
        }
        self.out.key("text");
        self.out.begin('{');
        if let Some(format) = &conversation.format {
            self.out.key("format");
            self.out.begin('{');
            match &format.shape {
                Shape::Json => self.out.word("type", "json_object"),
                shape @ Shape::Schema { .. } => {
                    self.out.word("type", "json_schema");
                    self.schema_members(shape);
                }
            }
            self.out.end('}');
        }
        if let Some(verbosity) = verbosity {
            self.out.member("verbosity", verbosity.value);
        }
        self.out.end('}');
    }
}

/// Returns the part of a turn that can stand as instructions: one system text.
fn instructions<'t, 'a>(turn: &'t Turn<'a>) -> Option<&'t Part<'a>> {
    match turn.parts.as_slice() {
        [part] if turn.role == Role::System => part.as_text().map(|_| part),
        _ => None,
    }
}
