//! Reads requests of Anthropic Messages. Results of tools, which this wire has among a user's
//! words, are turns of their own.

use super::{Known, Reading, effort, format, lose, settings};
use crate::gather;
use crate::json::{self, Kind};
use crate::kinds;
use crate::translate::loss::{Ledger, Lost};
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Image, Input, Mode, Output, Parameter, Part, Role,
    Shape, Takes, Thinking, Tool, Turn, Wish,
};
use crate::translate::request::object::{Object, elements, wrong};
use crate::translate::request::text::Text;

const SETTINGS: &[Known] = &[
    ("max_tokens", Parameter::MaxTokens, Kind::Number),
    ("temperature", Parameter::Temperature, Kind::Number),
    ("top_p", Parameter::TopP, Kind::Number),
    ("top_k", Parameter::TopK, Kind::Number),
];

const OWN: &[&str] = &["mcp_servers", "container"];

const HINTS: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "context_management",
    "inference_geo",
    "service_tier",
    "speed",
    "user_profile_id",
];

/// Reads what stands in the body.
pub(super) fn read<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let mut reading = Reading::new(ledger);
    if let Some(system) = object.take("system") {
        let place = object.at("system");
        let parts = reading.content(Some(system), place, Reading::block)?;
        conversation.turns.push(Turn {
            role: Role::System,
            place,
            parts,
        });
    }
    let place = object.at("messages");
    for (at, raw) in elements(object.need("messages")?, place)?
        .iter()
        .enumerate()
    {
        let place = place.element(at);
        reading.count(place)?;
        let message = Object::read(raw, place)?;
        reading.turns(message, &mut conversation.turns)?;
    }
    let place = object.at("tools");
    for (at, raw) in object.list("tools")?.into_iter().enumerate() {
        let tool = Object::read(raw, place.element(at))?;
        conversation.tools.extend(self::tool(tool, ledger)?);
    }
    choice(object, conversation, ledger)?;
    settings(object, SETTINGS, conversation, ledger)?;
    let place = object.at("stop_sequences");
    if let Some(raw) = object.take("stop_sequences") {
        super::stop_list(raw, place, conversation)?;
    }
    if let Some(thinking) = object.object("thinking")? {
        super::thinking_switch(thinking, &mut conversation.reasoning, ledger)?;
    }
    output_options(object, conversation, ledger)?;
    if let Some(mut metadata) = object.object("metadata")? {
        // It may name a device, and is longer than OpenAI takes.
        metadata.lose("user_id", Lost::Hint, ledger);
        metadata.rest(ledger);
    }
    object.lose("cache_control", Lost::CacheMark, ledger);
    lose(object, OWN, Lost::Parameter, ledger);
    lose(object, HINTS, Lost::Hint, ledger);
    Ok(())
}

fn output_options<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let mut wanted = object.object("output_format")?;
    if let Some(mut options) = object.object("output_config")? {
        conversation.reasoning.effort = effort(&mut options, "effort")?;
        wanted = options.object("format")?.or(wanted);
        options.rest(ledger);
    }
    let Some(mut wanted) = wanted else {
        return Ok(());
    };
    let place = wanted.place;
    match wanted.word("type")?.as_ref() {
        "json_schema" => {
            let shape = Shape::Schema {
                name: None,
                description: None,
                schema: wanted.need("schema")?,
                strict: Some(true),
            };
            conversation.format = format(place, shape);
        }
        _ => return Err(Unfit::at(wanted.at("type"), "must be json_schema")),
    }
    wanted.rest(ledger);
    Ok(())
}

impl<'l> Reading<'l> {
    /// Reads a message: the turns that it amounts to.
    fn turns<'a>(
        &mut self,
        mut message: Object<'a>,
        turns: &mut Vec<Turn<'a>>,
    ) -> Result<(), Unfit> {
        let role = message.need_text("role")?;
        let role = match kinds::Role::named(&role.decoded()) {
            kinds::Role::System | kinds::Role::Developer => Role::System,
            kinds::Role::User => Role::User,
            kinds::Role::Assistant => Role::Assistant,
            kinds::Role::Tool | kinds::Role::Other => {
                self.ledger.lose(Lost::Role, message.at("role"));
                return Ok(());
            }
        };
        let place = message.place;
        let content = message.need("content")?;
        let parts = self.content(Some(content), message.at("content"), Self::block)?;
        message.rest(self.ledger);
        let is_result = |part: &Part<'_>| matches!(part.body, Body::Result(_));
        let (results, words): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
        let has_results = !results.is_empty();
        if has_results {
            turns.push(Turn {
                role: Role::Tool,
                place,
                parts: results,
            });
        }
        if !has_results || !words.is_empty() {
            turns.push(Turn {
                role,
                place,
                parts: words,
            });
        }
        Ok(())
    }

    fn block<'a>(
        &mut self,
        mut block: Object<'a>,
        raw: &'a str,
    ) -> Result<Option<Part<'a>>, Unfit> {
        let kind = block.word("type")?;
        let body = match kind.as_ref() {
            "text" => {
                if block
                    .take("citations")
                    .is_some_and(|raw| !json::is_empty_array(raw))
                {
                    self.ledger.lose(Lost::Annotations, block.at("citations"));
                }
                Body::Text(block.need_text("text")?)
            }
            "image" => self.image(&mut block)?,
            "document" => self.document(&mut block)?,
            "tool_use" => call(&mut block)?,
            "tool_result" => self.tool_result(&mut block)?,
            "thinking" => {
                let text = block.text("thinking")?.filter(|text| !text.is_empty());
                let seal = block.text("signature")?;
                Body::Thinking(Box::new(Thinking {
                    texts: text.into_iter().collect(),
                    is_sealed: seal.is_some_and(|seal| !seal.is_empty()),
                }))
            }
            "redacted_thinking" => {
                let _sealed = block.take("data");
                Body::Thinking(Box::new(Thinking {
                    texts: Vec::new(),
                    is_sealed: true,
                }))
            }
            kind if kind == "search_result"
                || kind.ends_with("tool_use")
                || kind.ends_with("_tool_result") =>
            {
                self.ledger.lose(Lost::ServerCall, block.place);
                let text = format!("[{kind}] {}", gather::text(raw).text);
                let text = Body::Text(Text::spelled(&text));
                return Ok(Some(Part::new(block.place, text)));
            }
            _ => {
                self.ledger.lose(Lost::BlockType, block.place);
                return Ok(None);
            }
        };
        self.part(block, body)
    }

    fn image<'a>(&mut self, block: &mut Object<'a>) -> Result<Body<'a>, Unfit> {
        let mut source = Object::read(block.need("source")?, block.at("source"))?;
        let kind = source.word("type")?;
        let Some(found) = media::of_source(&kind, &mut source)? else {
            return Err(Unfit::at(source.at("type"), "must be base64 or url"));
        };
        source.rest(self.ledger);
        Ok(Body::Image(Box::new(Image {
            source: found,
            detail: None,
        })))
    }

    fn document<'a>(&mut self, block: &mut Object<'a>) -> Result<Body<'a>, Unfit> {
        let mut source = Object::read(block.need("source")?, block.at("source"))?;
        let title = block.text("title")?;
        let details = &["context", "citations"];
        lose(block, details, Lost::DocumentDetail, self.ledger);
        let kind = source.word("type")?;
        if let Some(source) = media::of_source(&kind, &mut source)? {
            let document = Document { source, title };
            return Ok(Body::Document(Box::new(document)));
        }
        self.ledger.lose(Lost::DocumentText, block.place);
        let text = match kind.as_ref() {
            "text" => {
                let _always_plain = source.take("media_type");
                source.need_text("data")?
            }
            "content" => {
                let content = source.take("content");
                let parts = self.content(content, source.at("content"), Self::block)?;
                let texts: Option<Vec<&Text<'_>>> = parts.iter().map(Part::as_text).collect();
                let why = "has more than texts, which the backend does not take";
                let texts = texts.ok_or_else(|| Unfit::at(source.at("content"), why))?;
                Text::joined(&texts, "\\n")
            }
            _ => return Err(Unfit::at(source.at("type"), "is of an unknown type")),
        };
        source.rest(self.ledger);
        Ok(Body::Text(match title {
            Some(title) => Text::joined(&[&title, &text], "\\n\\n"),
            None => text,
        }))
    }

    fn tool_result<'a>(&mut self, block: &mut Object<'a>) -> Result<Body<'a>, Unfit> {
        let id = block.need_text("tool_use_id")?;
        let is_error = block.flag("is_error")?.unwrap_or_default();
        let content = block.take("content");
        let parts = self.content(content, block.at("content"), Self::inner_block)?;
        Ok(Body::Result(Box::new(Output {
            id,
            parts,
            is_error,
            is_free: false,
        })))
    }

    /// Reads a block within a result, which is never a result or a call itself.
    fn inner_block<'a>(
        &mut self,
        block: Object<'a>,
        raw: &'a str,
    ) -> Result<Option<Part<'a>>, Unfit> {
        let place = block.place;
        let part = self.block(block, raw)?;
        match part.as_ref().map(|part| &part.body) {
            Some(Body::Text(_) | Body::Image(_) | Body::Document(_)) | None => Ok(part),
            Some(_) => Err(Unfit::at(place, "is of a type that has no place here")),
        }
    }
}

fn call<'a>(block: &mut Object<'a>) -> Result<Body<'a>, Unfit> {
    let input = block.need("input")?;
    if Kind::of(input) != Kind::Object {
        return Err(wrong(block.at("input"), input, "an object"));
    }
    // Which code of the provider's called it: always the model itself, elsewhere.
    let _caller = block.take("caller");
    Ok(Body::Call(Box::new(Call {
        id: block.need_text("id")?,
        name: block.need_text("name")?,
        input: Input::Object(input),
    })))
}

fn tool<'a>(mut tool: Object<'a>, ledger: &mut Ledger) -> Result<Option<Tool<'a>>, Unfit> {
    let place = tool.place;
    let kind = tool.word("type")?;
    if !kind.is_empty() && kind != "custom" {
        ledger.lose(Lost::ServerTool, place);
        return Ok(None);
    }
    let found = Tool {
        place,
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        cache: tool.take("cache_control"),
        takes: Takes::Schema {
            schema: tool.take("input_schema"),
            strict: tool.flag("strict")?,
        },
    };
    tool.rest(ledger);
    Ok(Some(found))
}

fn choice<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let Some(mut choice) = object.object("tool_choice")? else {
        return Ok(());
    };
    let mode = match choice.word("type")?.as_ref() {
        "auto" => Mode::Auto,
        "any" => Mode::Required,
        "none" => Mode::None,
        "tool" => Mode::Named(choice.need_text("name")?),
        _ => {
            return Err(Unfit::at(
                choice.at("type"),
                "must be auto, any, none or tool",
            ));
        }
    };
    let single_place = choice.at("disable_parallel_tool_use");
    let is_single = choice.flag("disable_parallel_tool_use")?;
    conversation.parallel_calls = is_single.map(|is_single| Wish {
        place: single_place,
        value: !is_single,
    });
    let place = choice.place;
    choice.rest(ledger);
    conversation.choice = Some(Choice {
        place,
        mode,
        allowed: None,
    });
    Ok(())
}
