//! Writes requests of Anthropic Messages.

use super::{Writing, effort_of, free, texts};
use crate::json::{self, Kind};
use crate::translate::loss::Lost;
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Image, Input, Mode, Output, Parameter, Part, Role,
    Setting, Shape, Source, Takes, Tool, Turn,
};
use crate::translate::request::object::wrong;
use crate::translate::request::place::Place;
use crate::translate::request::text::Text;

/// The limit of tokens where the client gives none: this wire requires one.
const MAX_TOKENS: &str = "4096";

/// How deep arguments may nest.
const MAX_DEPTH: usize = 128;

impl Writing<'_> {
    /// Writes a whole request.
    pub(super) fn messages(&mut self, conversation: &Conversation<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.member("model", conversation.model.raw());
        let is_system = |turn: &&Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
        let (mut system, mut turns): (Vec<_>, Vec<_>) =
            conversation.turns.iter().partition(is_system);
        self.moved(conversation);
        if turns.is_empty()
            && let Some(last) = system.pop()
        {
            self.lose(Lost::SystemAsUser, last.place);
            turns.push(last);
        }
        self.messages_system(&system)?;
        self.out.key("messages");
        self.out.begin('[');
        let start = self.out.len();
        let mut rest = turns.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let mut parts: Vec<&Part<'_>> = first.parts.iter().collect();
            // What the user says to results stands with them.
            if first.role == Role::Tool
                && let Some((next, after)) = rest.split_first()
                && next.role == Role::User
            {
                parts.extend(&next.parts);
                rest = after;
            }
            self.messages_turn(first, &parts)?;
        }
        if self.out.len() == start {
            return Err(Unfit::new("the request has no message with content"));
        }
        self.out.end(']');
        self.messages_tools(conversation)?;
        self.messages_settings(conversation);
        if conversation.streams {
            self.out.member("stream", "true");
        }
        self.out.end('}');
        Ok(())
    }

    /// Lists system texts that leave their place, and developers that become systems.
    fn moved(&mut self, conversation: &Conversation<'_>) {
        let mut is_begin = true;
        for turn in &conversation.turns {
            match turn.role {
                Role::Developer => self.lose(Lost::Developer, turn.place),
                Role::System => {}
                _ => {
                    is_begin = false;
                    continue;
                }
            }
            if !is_begin {
                self.lose(Lost::SystemMoved, turn.place);
            }
        }
    }

    fn messages_system(&mut self, turns: &[&Turn<'_>]) -> Result<(), Unfit> {
        let parts: Vec<&Part<'_>> = turns.iter().flat_map(|turn| &turn.parts).collect();
        let before = self.out.len();
        self.out.key("system");
        if !self.messages_content(&parts)? {
            self.out.back(before);
        }
        Ok(())
    }

    fn messages_turn(&mut self, turn: &Turn<'_>, parts: &[&Part<'_>]) -> Result<(), Unfit> {
        let before = self.out.len();
        self.out.begin('{');
        let role = match turn.role {
            Role::Assistant => "assistant",
            _ => "user",
        };
        self.out.word("role", role);
        self.out.key("content");
        if self.messages_content(parts)? {
            self.out.end('}');
        } else {
            self.out.back(before);
            self.lose(Lost::EmptyTurn, turn.place);
        }
        Ok(())
    }

    /// Writes content, and tells whether there is any.
    fn messages_content(&mut self, parts: &[&Part<'_>]) -> Result<bool, Unfit> {
        if let [part] = parts
            && part.cache.is_none()
            && let Some(text) = part.as_text()
            && !text.is_blank()
        {
            self.out.raw(text.raw());
            return Ok(true);
        }
        self.out.begin('[');
        let start = self.out.len();
        for part in parts {
            self.messages_block(part)?;
        }
        let is_written = self.out.len() > start;
        self.out.end(']');
        Ok(is_written)
    }

    fn messages_block(&mut self, part: &Part<'_>) -> Result<(), Unfit> {
        match &part.body {
            Body::Text(text) => self.messages_text(text, part),
            Body::Refusal(text) => {
                self.lose(Lost::Refusal, part.place);
                self.messages_text(text, part);
            }
            Body::Image(image) => self.messages_image(image, part)?,
            Body::Document(document) => self.messages_document(document, part)?,
            Body::Media(_) => {
                let why = "is of a type that the backend does not take";
                return Err(Unfit::at(part.place, why));
            }
            Body::Thinking(thinking) => self.lose_thinking(thinking.is_sealed, part.place),
            Body::Call(call) => self.messages_call(call, part)?,
            Body::Result(output) => self.messages_result(output, part)?,
        }
        Ok(())
    }

    fn messages_text(&mut self, text: &Text<'_>, part: &Part<'_>) {
        // Chat clients put an empty text beside calls; nobody misses it.
        if text.is_empty() {
            return;
        }
        if text.is_blank() {
            return self.lose(Lost::BlankText, part.place);
        }
        self.out.begin('{');
        self.out.word("type", "text");
        self.out.member("text", text.raw());
        self.mark(part.cache);
        self.out.end('}');
    }

    fn mark(&mut self, cache: Option<&str>) {
        if let Some(cache) = cache {
            self.out.member("cache_control", cache);
        }
    }

    fn messages_image(&mut self, image: &Image<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        media::check_picture(image, part.place)?;
        if image
            .detail
            .as_ref()
            .is_some_and(|detail| detail.raw() != "\"auto\"")
        {
            self.lose(Lost::Detail, part.place);
        }
        self.out.begin('{');
        self.out.word("type", "image");
        self.source(&image.source);
        self.mark(part.cache);
        self.out.end('}');
        Ok(())
    }

    fn source(&mut self, source: &Source<'_>) {
        self.out.key("source");
        self.out.begin('{');
        match source {
            Source::Url(url) => {
                self.out.word("type", "url");
                self.out.member("url", url.raw());
            }
            Source::Base64 { media_type, data } => {
                let media_type = match media_type.to_ascii_lowercase() {
                    jpeg if jpeg == "image/jpg" => "image/jpeg".to_owned(),
                    other => other,
                };
                self.out.word("type", "base64");
                self.out.word("media_type", &media_type);
                self.out.word("data", data);
            }
        }
        self.out.end('}');
    }

    fn messages_document(&mut self, document: &Document<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.word("type", "document");
        match media::as_text(&document.source) {
            Some(text) => {
                self.out.key("source");
                self.out.begin('{');
                self.out.word("type", "text");
                self.out.word("media_type", "text/plain");
                self.out.word("data", &text);
                self.out.end('}');
            }
            None => {
                media::check_document(document, part.place)?;
                self.source(&document.source);
            }
        }
        if let Some(title) = &document.title {
            self.out.member("title", title.raw());
        }
        self.mark(part.cache);
        self.out.end('}');
        Ok(())
    }

    fn messages_call(&mut self, call: &Call<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.word("type", "tool_use");
        self.call_id("id", &call.id, part.place);
        self.out.member("name", call.name.raw());
        self.out.key("input");
        match &call.input {
            Input::Object(raw) => self.out.raw(raw),
            Input::Free(text) => {
                self.lose(Lost::CustomCall, part.place);
                self.out.raw(&free(text));
            }
            Input::Spelled(text) if text.is_blank() => self.out.raw("{}"),
            Input::Spelled(text) => {
                let arguments = text.decoded();
                let depth = json::each_member(&arguments, |_, _| {});
                if depth.is_ok_and(|depth| depth <= MAX_DEPTH) {
                    self.out.raw(arguments.trim());
                } else {
                    let why = "has arguments that are no JSON object";
                    return Err(Unfit::at(part.place, why));
                }
            }
        }
        self.mark(part.cache);
        self.out.end('}');
        Ok(())
    }

    /// Writes a call's id in the letters that this wire takes.
    fn call_id(&mut self, name: &str, id: &Text<'_>, place: Place) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let decoded = id.decoded();
        if decoded.chars().all(is_plain) {
            return self.out.member(name, id.raw());
        }
        self.lose(Lost::CallId, place);
        let mut spelled = String::with_capacity(decoded.len() + 8);
        for letter in decoded.chars() {
            match is_plain(letter) {
                true => spelled.push(letter),
                false => spelled.push_str(&format!("_{:x}_", u32::from(letter))),
            }
        }
        self.out.word(name, &spelled);
    }

    fn messages_result(&mut self, output: &Output<'_>, part: &Part<'_>) -> Result<(), Unfit> {
        self.out.begin('{');
        self.out.word("type", "tool_result");
        self.call_id("tool_use_id", &output.id, part.place);
        let texts = texts(output);
        let before = self.out.len();
        self.out.key("content");
        match (texts.as_slice(), output.parts.as_slice()) {
            ([text], [inner]) if inner.cache.is_none() => self.out.raw(text.raw()),
            _ => {
                let parts: Vec<&Part<'_>> = output.parts.iter().collect();
                if !self.messages_content(&parts)? {
                    self.out.back(before);
                }
            }
        }
        if output.is_error {
            self.out.flag("is_error", true);
        }
        self.mark(part.cache);
        self.out.end('}');
        Ok(())
    }

    fn messages_tools(&mut self, conversation: &Conversation<'_>) -> Result<(), Unfit> {
        let tools = &conversation.tools;
        if tools.is_empty() {
            return Ok(());
        }
        self.out.key("tools");
        self.out.begin('[');
        for tool in tools {
            self.messages_tool(tool)?;
        }
        self.out.end(']');
        let parallel = conversation.parallel_calls.as_ref();
        let is_single = parallel.is_some_and(|parallel| !parallel.value);
        self.messages_choice(conversation.choice.as_ref(), is_single);
        Ok(())
    }

    fn messages_tool(&mut self, tool: &Tool<'_>) -> Result<(), Unfit> {
        let Takes::Schema { schema, strict } = tool.takes else {
            return Ok(());
        };
        self.out.begin('{');
        self.out.member("name", tool.name.raw());
        if let Some(description) = &tool.description {
            self.out.member("description", description.raw());
        }
        self.out.key("input_schema");
        match schema {
            None => self.out.raw(r#"{"type":"object","properties":{}}"#),
            Some(raw) if Kind::of(raw) != Kind::Object => {
                return Err(wrong(tool.place, raw, "a tool whose schema is an object"));
            }
            Some(raw) => self.schema(raw, tool.place),
        }
        if let Some(strict) = strict {
            self.out.flag("strict", strict);
        }
        self.mark(tool.cache);
        self.out.end('}');
        Ok(())
    }

    /// Writes a tool's schema, whose type this wire wants to be said.
    fn schema(&mut self, raw: &str, place: Place) {
        let mut has_type = false;
        json::members(raw, |name, _| has_type |= name == "type");
        if has_type {
            return self.out.raw(raw);
        }
        self.lose(Lost::Schema, place);
        let inner = raw.strip_prefix('{').unwrap_or_default().trim_start();
        let comma = if inner.starts_with('}') { "" } else { "," };
        self.out
            .raw(&format!("{{\"type\":\"object\"{comma}{inner}"));
    }

    fn messages_choice(&mut self, choice: Option<&Choice<'_>>, is_single: bool) {
        let (word, name) = match choice.map(|choice| &choice.mode) {
            None if !is_single => return,
            None | Some(Mode::Auto) => ("auto", None),
            Some(Mode::None) => ("none", None),
            Some(Mode::Required) => ("any", None),
            Some(Mode::Named(name)) => ("tool", Some(name)),
        };
        self.out.key("tool_choice");
        self.out.begin('{');
        self.out.word("type", word);
        if let Some(name) = name {
            self.out.member("name", name.raw());
        }
        if is_single && word != "none" {
            self.out.flag("disable_parallel_tool_use", true);
        }
        self.out.end('}');
    }

    fn messages_settings(&mut self, conversation: &Conversation<'_>) {
        let thinks = self.messages_reasoning(conversation);
        if conversation.setting(Parameter::MaxTokens).is_none() {
            self.lose(Lost::MaxTokensDefault, Place::top("max_tokens"));
            self.out.member("max_tokens", MAX_TOKENS);
        }
        let mut user = None;
        for setting in &conversation.settings {
            match setting.parameter {
                Parameter::MaxTokens => self.out.member("max_tokens", setting.value),
                Parameter::Temperature | Parameter::TopP | Parameter::TopK => {
                    self.sampling(setting, thinks);
                }
                Parameter::User if user.is_none() => user = Some(setting.value),
                // No log probabilities is what one gets.
                Parameter::Logprobs if setting.value == "false" => {}
                _ => self.setting(setting, None),
            }
        }
        if let Some(user) = user {
            self.out.key("metadata");
            self.out.begin('{');
            self.out.member("user_id", user);
            self.out.end('}');
        }
        let mut stops = Vec::new();
        for stop in &conversation.stops {
            match stop.text.is_blank() {
                true => self.lose(Lost::BlankStop, stop.place),
                false => stops.push(stop.text.raw()),
            }
        }
        if !stops.is_empty() {
            self.out.key("stop_sequences");
            self.out.begin('[');
            for stop in stops {
                self.out.raw(stop);
            }
            self.out.end(']');
        }
    }

    /// Writes a setting of sampling, unless reasoning forbids it.
    fn sampling(&mut self, setting: &Setting<'_>, thinks: bool) {
        let value: f64 = setting.value.parse().unwrap_or(1.0);
        let (name, is_free) = match setting.parameter {
            Parameter::Temperature => ("temperature", value >= 1.0),
            Parameter::TopP => ("top_p", value >= 0.95),
            _ => ("top_k", false),
        };
        if thinks && !is_free {
            return self.lose(Lost::SamplingConflict, setting.place);
        }
        if name == "temperature" && value > 1.0 {
            self.lose(Lost::Temperature, setting.place);
            return self.out.member(name, "1");
        }
        self.out.member(name, setting.value);
    }

    /// Writes what is said of reasoning and of the answer's form; tells whether the model thinks.
    fn messages_reasoning(&mut self, conversation: &Conversation<'_>) -> bool {
        let reasoning = &conversation.reasoning;
        let mut effort = reasoning.effort.as_ref().map(|wish| {
            let asked = wish.value.decoded().into_owned();
            (known_effort(&asked), asked, wish.place)
        });
        let is_off = reasoning.switch.as_ref().is_some_and(|wish| !wish.value)
            || effort.as_ref().is_some_and(|(_, asked, _)| asked == "none");
        if let Some((known, asked, place)) = &effort
            && *known != asked
            && asked != "none"
        {
            self.lose(Lost::Effort, *place);
        }
        effort = effort.filter(|(_, asked, _)| asked != "none");
        let mut word = effort.map(|(known, _, _)| known);
        if let Some(budget) = &reasoning.budget {
            self.lose(Lost::ReasoningBudget, budget.place);
            word = word.or_else(|| Some(effort_of(budget.value)));
        }
        let is_forced = conversation
            .choice
            .as_ref()
            .is_some_and(|choice| matches!(choice.mode, Mode::Required | Mode::Named(_)));
        let wants = !is_off && (word.is_some() || reasoning.switch.is_some());
        let thinks = wants && !is_forced;
        if is_off {
            self.out.member("thinking", r#"{"type":"disabled"}"#);
        } else if thinks {
            self.out.member("thinking", r#"{"type":"adaptive"}"#);
        } else if wants && let Some(choice) = &conversation.choice {
            self.lose(Lost::ReasoningConflict, choice.place);
        }
        self.output_config(conversation, word);
        thinks
    }

    fn output_config(&mut self, conversation: &Conversation<'_>, effort: Option<&str>) {
        let schema = match conversation.format.as_ref() {
            None => None,
            Some(format) => match &format.shape {
                Shape::Json => {
                    self.lose(Lost::FormatMode, format.place);
                    None
                }
                Shape::Schema { schema, .. } => {
                    self.lose(Lost::FormatName, format.place);
                    Some(*schema)
                }
            },
        };
        if schema.is_none() && effort.is_none() {
            return;
        }
        self.out.key("output_config");
        self.out.begin('{');
        if let Some(effort) = effort {
            self.out.word("effort", effort);
        }
        if let Some(schema) = schema {
            self.out.key("format");
            self.out.begin('{');
            self.out.word("type", "json_schema");
            self.out.member("schema", schema);
            self.out.end('}');
        }
        self.out.end('}');
    }
}

/// Returns the effort that this wire knows and is nearest.
fn known_effort(asked: &str) -> &'static str {
    match asked {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "xhigh" | "max" => "max",
        _ => "high",
    }
}
