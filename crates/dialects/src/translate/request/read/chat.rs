//! Reads requests of OpenAI's chat completions, with what vLLM and its like add.

use super::{Known, Reading, effort, format, lose, schema_format, settings};
use crate::json::Kind;
use crate::kinds::{self, folded};
use crate::translate::loss::{Ledger, Lost};
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Image, Input, Mode, Output, Parameter, Part, Role,
    Shape, Stop, Takes, Thinking, Tool, Turn, Wish,
};
use crate::translate::request::object::{Object, elements, wrong};
use crate::translate::request::place::Place;
use crate::translate::request::text::Text;

const SETTINGS: &[Known] = &[
    ("max_completion_tokens", Parameter::MaxTokens, Kind::Number),
    ("max_tokens", Parameter::MaxTokens, Kind::Number),
    ("temperature", Parameter::Temperature, Kind::Number),
    ("top_p", Parameter::TopP, Kind::Number),
    ("top_k", Parameter::TopK, Kind::Number),
    ("seed", Parameter::Seed, Kind::Number),
    (
        "frequency_penalty",
        Parameter::FrequencyPenalty,
        Kind::Number,
    ),
    ("presence_penalty", Parameter::PresencePenalty, Kind::Number),
    ("logit_bias", Parameter::LogitBias, Kind::Object),
    ("logprobs", Parameter::Logprobs, Kind::Boolean),
    ("top_logprobs", Parameter::TopLogprobs, Kind::Number),
    ("user", Parameter::User, Kind::String),
    (
        "safety_identifier",
        Parameter::SafetyIdentifier,
        Kind::String,
    ),
    ("prompt_cache_key", Parameter::PromptCacheKey, Kind::String),
    (
        "prompt_cache_retention",
        Parameter::PromptCacheRetention,
        Kind::String,
    ),
    ("metadata", Parameter::Metadata, Kind::Object),
    ("service_tier", Parameter::ServiceTier, Kind::String),
    ("store", Parameter::Store, Kind::Boolean),
    ("verbosity", Parameter::Verbosity, Kind::String),
];

/// Settings that only chat backends have.
const OWN: &[&str] = &[
    "audio",
    "best_of",
    "echo",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "length_penalty",
    "min_p",
    "min_tokens",
    "moderation",
    "prediction",
    "repetition_penalty",
    "stop_token_ids",
    "structured_outputs",
    "web_search_options",
];

/// Members about how a request is served.
const HINTS: &[&str] = &["cache_control", "cache_salt", "priority", "request_id"];

/// Reads what stands in the body.
pub(super) fn read<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let mut reading = Reading::new(ledger);
    let place = object.at("messages");
    for (at, raw) in elements(object.need("messages")?, place)?
        .iter()
        .enumerate()
    {
        let place = place.element(at);
        reading.count(place)?;
        let message = Object::read(raw, place)?;
        conversation.turns.extend(reading.message(message)?);
    }
    let place = object.at("tools");
    for (at, raw) in object.list("tools")?.into_iter().enumerate() {
        let tool = Object::read(raw, place.element(at))?;
        conversation.tools.extend(self::tool(tool, ledger)?);
    }
    if object.take("functions").is_some() || object.take("function_call").is_some() {
        return Err(Unfit::new(
            "functions and function_call are of the past, and not translated: use tools",
        ));
    }
    conversation.choice = choice(object, ledger)?;
    conversation.parallel_calls = super::parallel(object)?;
    settings(object, SETTINGS, conversation, ledger)?;
    stops(object, conversation)?;
    reasoning(object, conversation, ledger)?;
    response_format(object, conversation, ledger)?;
    if let Some(mut options) = object.object("stream_options")? {
        conversation.wants_usage = options.flag("include_usage")?.unwrap_or_default();
        options.lose("include_obfuscation", Lost::Hint, ledger);
        options.rest(ledger);
    }
    several(object)?;
    modalities(object, ledger)?;
    lose(object, OWN, Lost::Parameter, ledger);
    lose(object, HINTS, Lost::Hint, ledger);
    Ok(())
}

/// Refuses several answers to one request.
fn several(object: &mut Object<'_>) -> Result<(), Unfit> {
    match object.take("n") {
        None | Some("1") => Ok(()),
        Some(_) => Err(Unfit::at(
            object.at("n"),
            "asks for several answers, and the backend gives one",
        )),
    }
}

/// Reads the kinds of answers: texts are what all backends give.
fn modalities(object: &mut Object<'_>, ledger: &mut Ledger) -> Result<(), Unfit> {
    let place = object.at("modalities");
    for (at, raw) in object.list("modalities")?.into_iter().enumerate() {
        if raw != "\"text\"" {
            ledger.lose(Lost::Parameter, place.element(at));
        }
    }
    Ok(())
}

impl<'l> Reading<'l> {
    fn message<'a>(&mut self, mut message: Object<'a>) -> Result<Option<Turn<'a>>, Unfit> {
        let role = message.need_text("role")?;
        let role = match kinds::Role::named(&role.decoded()) {
            kinds::Role::System => Role::System,
            kinds::Role::Developer => Role::Developer,
            kinds::Role::User => Role::User,
            kinds::Role::Assistant => Role::Assistant,
            kinds::Role::Tool => Role::Tool,
            kinds::Role::Other if role.raw() == "\"function\"" => {
                return Err(Unfit::at(
                    message.at("role"),
                    "is `function`, which is of the past, and not translated: use tools",
                ));
            }
            kinds::Role::Other => {
                self.ledger.lose(Lost::Role, message.at("role"));
                return Ok(None);
            }
        };
        message.lose("name", Lost::Name, self.ledger);
        let place = message.place;
        let content = message.take("content");
        let content_place = message.at("content");
        let mut parts = self.content(content, content_place, Self::chat_part)?;
        match role {
            Role::Tool => parts = vec![result(&mut message, parts)?],
            Role::Assistant => {
                let thinking = thinking(&mut message)?;
                parts.splice(0..0, thinking);
                if let Some(text) = message.text("refusal")? {
                    parts.push(Part::new(message.at("refusal"), Body::Refusal(text)));
                }
                self.calls(&mut message, &mut parts)?;
                lose(&mut message, &["audio"], Lost::Parameter, self.ledger);
                if message.take("annotations").is_some_and(|raw| raw != "[]") {
                    self.ledger
                        .lose(Lost::Annotations, message.at("annotations"));
                }
            }
            Role::System | Role::Developer | Role::User => {}
        }
        message.rest(self.ledger);
        Ok(Some(Turn { role, place, parts }))
    }

    fn calls<'a>(
        &mut self,
        message: &mut Object<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Unfit> {
        if message.take("function_call").is_some() {
            return Err(Unfit::at(
                message.at("function_call"),
                "is of the past, and not translated: use tool_calls",
            ));
        }
        let place = message.at("tool_calls");
        for (at, raw) in message.list("tool_calls")?.into_iter().enumerate() {
            let place = place.element(at);
            self.count(place)?;
            let mut call = Object::read(raw, place)?;
            let id = call.need_text("id")?;
            let (name, input) = match call.word("type")?.as_ref() {
                "" | "function" => {
                    let mut function = called(&mut call, "function")?;
                    let name = function.need_text("name")?;
                    let arguments = function.need_text("arguments")?;
                    function.rest(self.ledger);
                    (name, Input::Spelled(arguments))
                }
                "custom" => {
                    let mut custom = called(&mut call, "custom")?;
                    let name = custom.need_text("name")?;
                    let input = custom.need_text("input")?;
                    custom.rest(self.ledger);
                    (name, Input::Free(input))
                }
                _ => return Err(Unfit::at(call.at("type"), "is of an unknown type")),
            };
            // Some clients number calls of a stream, and send the number back.
            let _index = call.take("index");
            call.rest(self.ledger);
            let call = Call { id, name, input };
            parts.push(Part::new(place, Body::Call(Box::new(call))));
        }
        Ok(())
    }

    fn chat_part<'a>(
        &mut self,
        mut part: Object<'a>,
        raw: &'a str,
    ) -> Result<Option<Part<'a>>, Unfit> {
        let kind = part.word("type")?;
        match folded(&kind).as_ref() {
            "" | "text" | "input_text" | "output_text" => {
                let text = part.need_text("text")?;
                self.part(part, Body::Text(text))
            }
            "refusal" => {
                let text = part.need_text("refusal")?;
                self.part(part, Body::Refusal(text))
            }
            "image_url" | "input_image" => {
                let image = image(&mut part)?;
                self.part(part, Body::Image(Box::new(image)))
            }
            "input_audio" | "audio_url" | "video_url" => {
                Ok(Some(Part::new(part.place, Body::Media(raw))))
            }
            "file" => {
                let document = document(&mut part)?;
                self.part(part, Body::Document(Box::new(document)))
            }
            _ => {
                self.ledger.lose(Lost::PartType, part.place);
                Ok(None)
            }
        }
    }
}

fn called<'a>(call: &mut Object<'a>, name: &'static str) -> Result<Object<'a>, Unfit> {
    Object::read(call.need(name)?, call.at(name))
}

/// Reads reasoning that chat backends put beside an answer.
fn thinking<'a>(message: &mut Object<'a>) -> Result<Option<Part<'a>>, Unfit> {
    for name in ["reasoning_content", "reasoning"] {
        let place = message.at(name);
        if let Some(text) = message.text(name)?.filter(|text| !text.is_empty()) {
            let thinking = Thinking {
                texts: vec![text],
                is_sealed: false,
            };
            return Ok(Some(Part::new(place, Body::Thinking(Box::new(thinking)))));
        }
    }
    Ok(None)
}

fn result<'a>(message: &mut Object<'a>, parts: Vec<Part<'a>>) -> Result<Part<'a>, Unfit> {
    let output = Output {
        id: message.need_text("tool_call_id")?,
        parts,
        is_error: false,
        is_free: false,
    };
    Ok(Part::new(message.place, Body::Result(Box::new(output))))
}

fn image<'a>(part: &mut Object<'a>) -> Result<Image<'a>, Unfit> {
    let raw = part.need("image_url")?;
    let place = part.at("image_url");
    if Kind::of(raw) == Kind::String {
        return Ok(Image {
            source: media::of_url(raw, place)?,
            detail: part.text("detail")?,
        });
    }
    let mut image = Object::read(raw, place)?;
    Ok(Image {
        source: media::of_url(image.need("url")?, image.at("url"))?,
        detail: image.text("detail")?,
    })
}

fn document<'a>(part: &mut Object<'a>) -> Result<Document<'a>, Unfit> {
    let mut file = Object::read(part.need("file")?, part.at("file"))?;
    if file.take("file_id").is_some() {
        return Err(media::stored(file.at("file_id")));
    }
    Ok(Document {
        source: media::of_url(file.need("file_data")?, file.at("file_data"))?,
        title: file.text("filename")?,
    })
}

/// Reads a tool.
fn tool<'a>(mut tool: Object<'a>, ledger: &mut Ledger) -> Result<Option<Tool<'a>>, Unfit> {
    let place = tool.place;
    let cache = tool.take("cache_control");
    let (mut inner, is_free) = match tool.word("type")?.as_ref() {
        "" | "function" => (called(&mut tool, "function")?, false),
        "custom" => (called(&mut tool, "custom")?, true),
        _ => {
            ledger.lose(Lost::ServerTool, place);
            return Ok(None);
        }
    };
    tool.rest(ledger);
    let found = Tool {
        place,
        name: inner.need_text("name")?,
        description: inner.text("description")?,
        cache,
        takes: if is_free {
            Takes::Free {
                format: inner.take("format"),
            }
        } else {
            Takes::Schema {
                schema: inner.take("parameters"),
                strict: inner.flag("strict")?,
            }
        },
    };
    inner.rest(ledger);
    Ok(Some(found))
}

fn choice<'a>(object: &mut Object<'a>, ledger: &mut Ledger) -> Result<Option<Choice<'a>>, Unfit> {
    let place = object.at("tool_choice");
    let Some(raw) = object.take("tool_choice") else {
        return Ok(None);
    };
    if let Some(word) = Text::of(raw) {
        return super::choice_word(&word, place).map(Some);
    }
    let mut choice = Object::read(raw, place)?;
    let kind = choice.word("type")?;
    let (mode, allowed) = match kind.as_ref() {
        "function" => (Mode::Named(chosen(&mut choice, "function")?), None),
        "custom" => (Mode::Named(chosen(&mut choice, "custom")?), None),
        "allowed_tools" => {
            let mut among = called(&mut choice, "allowed_tools")?;
            let mode = among.need_text("mode")?;
            let mode = super::choice_word(&mode, place)?.mode;
            let place = among.at("tools");
            let mut names = Vec::new();
            for (at, raw) in among.list("tools")?.into_iter().enumerate() {
                let mut tool = Object::read(raw, place.element(at))?;
                let name = match tool.word("type")?.as_ref() {
                    "custom" => chosen(&mut tool, "custom")?,
                    _ => chosen(&mut tool, "function")?,
                };
                names.push(name);
            }
            (mode, Some(names))
        }
        _ => return Err(Unfit::at(choice.at("type"), "is of an unknown type")),
    };
    choice.rest(ledger);
    Ok(Some(Choice {
        place,
        mode,
        allowed,
    }))
}

fn chosen<'a>(choice: &mut Object<'a>, name: &'static str) -> Result<Text<'a>, Unfit> {
    called(choice, name)?.need_text("name")
}

fn stops<'a>(object: &mut Object<'a>, conversation: &mut Conversation<'a>) -> Result<(), Unfit> {
    let place = object.at("stop");
    let Some(raw) = object.take("stop") else {
        return Ok(());
    };
    if let Some(text) = Text::of(raw) {
        conversation.stops.push(Stop { place, text });
        return Ok(());
    }
    super::stop_list(raw, place, conversation)
}

/// Reads what is said of reasoning, in any provider's words.
fn reasoning<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let wishes = &mut conversation.reasoning;
    wishes.effort = effort(object, "reasoning_effort")?;
    if let Some(mut reasoning) = object.object("reasoning")? {
        if wishes.effort.is_none() {
            wishes.effort = effort(&mut reasoning, "effort")?;
        }
        let place = reasoning.at("enabled");
        wishes.switch = reasoning
            .flag("enabled")?
            .map(|value| Wish { place, value });
        wishes.budget = super::budget(&mut reasoning, "max_tokens")?;
        reasoning.lose("exclude", Lost::Hint, ledger);
        reasoning.rest(ledger);
    }
    if let Some(thinking) = object.object("thinking")? {
        super::thinking_switch(thinking, wishes, ledger)?;
    }
    if let Some(mut template) = object.object("chat_template_kwargs")? {
        for name in ["thinking", "enable_thinking"] {
            let place = template.at(name);
            if let Some(value) = template.flag(name)? {
                wishes.switch = Some(Wish { place, value });
            }
        }
        template.rest(ledger);
    }
    for name in ["enable_thinking", "think"] {
        let place = object.at(name);
        if let Some(raw @ ("true" | "false")) = object.take(name) {
            let value = raw == "true";
            wishes.switch = Some(Wish { place, value });
        }
    }
    Ok(())
}

fn response_format<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let place: Place = object.at("response_format");
    let Some(mut wanted) = object.object("response_format")? else {
        return Ok(());
    };
    conversation.format = match wanted.word("type")?.as_ref() {
        "text" | "" => None,
        "json_object" => format(place, Shape::Json),
        "json_schema" => {
            let mut schema = called(&mut wanted, "json_schema")?;
            let shape = schema_format(&mut schema)?;
            schema.rest(ledger);
            format(place, shape)
        }
        kind => {
            let raw = format!("\"{kind}\"");
            return Err(wrong(
                wanted.at("type"),
                &raw,
                "text, json_object or json_schema",
            ));
        }
    };
    wanted.rest(ledger);
    Ok(())
}
