//! Reads the envelope of `POST /api/v1/eval`, which is near to a chat request but follows the rules
//! of a lenient typed decoder: keys match whatever their case, the last of duplicates wins, unknown
//! ones are ignored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::{self, Kind};
use crate::metadata;
use crate::meter::MESSAGE;
use crate::openai_chat::{self, ChatReader, Flavor};
use crate::prompt::{Prompt, Texts};
use crate::request::ReadOptions;
use crate::turns::{Role, context};

/// A request to evaluate signals without sending anything to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalRequest {
    /// What it says. `prompt.model` is the same as `requested_model`.
    pub prompt: Prompt,
    /// The recipe selector, trimmed; empty if absent.
    pub requested_model: String,
    /// A trace of every decision is wanted.
    pub trace: bool,
    /// `E`, trimmed: the answer's `original_text`.
    pub original_text: String,
}

/// A request that is answered with 400 and the code [`EvalError::CODE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Not JSON.
    #[error("failed to parse JSON: {reason}")]
    Json {
        /// Where and why.
        reason: String,
    },
    /// A field of the wrong type.
    #[error("failed to parse JSON: field {field} must be {wanted}, got {got}")]
    Type {
        /// The field's path.
        field: &'static str,
        /// The type it must have.
        wanted: &'static str,
        /// The type it has.
        got: String,
    },
    /// `metadata` exceeds its limits.
    #[error("invalid request facts: {reason}")]
    Facts {
        /// Which limit.
        reason: String,
    },
    /// Neither text nor usable messages nor metadata.
    #[error("text cannot be empty")]
    Empty,
}

impl EvalError {
    /// The error code in the answer.
    pub const CODE: &str = "INVALID_INPUT";
}

impl EvalRequest {
    /// Reads a request body; `trace_query` says that the query asks for the trace.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn parse(body: &[u8], trace_query: bool, options: &ReadOptions) -> Result<Self, EvalError> {
        let text = String::from_utf8_lossy(body);
        let envelope = Envelope::read(&text)?;
        let mut chat = ChatReader::new(Flavor::Eval, options);
        envelope.read_messages(&mut chat)?;
        openai_chat::envelope(&mut chat.turns, &mut chat.meter, |name| envelope.get(name));
        let metadata = envelope.metadata()?;
        let requested_model = envelope.text("model")?.trim().to_owned();
        let trace = trace_query || envelope.trace()?;
        let given = envelope.text("text")?;
        let mut prompt = Prompt {
            metadata,
            model: requested_model.clone(),
            ..Prompt::default()
        };
        settle(&mut prompt, chat, &given)?;
        Ok(Self {
            original_text: prompt.texts.evaluation.clone(),
            prompt,
            requested_model,
            trace,
        })
    }
}

/// Decides between messages and `text`, and fills the prompt.
fn settle(prompt: &mut Prompt, mut chat: ChatReader<'_>, given: &str) -> Result<(), EvalError> {
    let current = std::mem::take(&mut chat.untrimmed);
    let turns = &mut chat.turns;
    let asides = turns.asides(turns.user.len());
    let turn = turns.user.pop().unwrap_or_default();
    let promoted = turn.is_empty() && turns.image.is_none();
    let mut texts = Texts {
        evaluation: if promoted {
            turns.promoted().trim().to_owned()
        } else {
            turn.clone()
        },
        context: context(&turns.non_user, &turn),
        current,
        prior_user: std::mem::take(&mut turns.user),
        non_user: std::mem::take(&mut turns.non_user),
        assistant_replied: turns.assistant_replied,
        passed_over: std::mem::take(&mut turns.passed_over),
        tool_results: std::mem::take(&mut turns.tool_results),
        list: None,
        asides: asides.texts,
        unread: asides.unread,
        unreadable: asides.unreadable,
        sealed: asides.sealed,
    };
    let counters = turns.conversation;
    let spoken = counters.user + counters.assistant + counters.system + counters.tool > 0
        || counters.developer;
    let counted = spoken || counters.tool_definitions + counters.tool_calls + counters.images > 0;
    let worded = !texts.evaluation.is_empty() || !texts.current.is_empty() || turns.image.is_some();
    // Tools alone make no message usable: there must be one.
    let usable = chat.has_messages && (counted || worded);
    if usable {
        if texts.evaluation.is_empty() && !given.is_empty() {
            given.trim().clone_into(&mut texts.evaluation);
            if texts.context.trim().is_empty() {
                texts.context.clone_from(&texts.evaluation);
            }
            if texts.current.is_empty() {
                given.clone_into(&mut texts.current);
            }
            measure_text(&mut chat, given);
        }
    } else {
        if given.is_empty() && prompt.metadata.is_empty() {
            return Err(EvalError::Empty);
        }
        chat.turns.conversation = crate::Conversation {
            tool_definitions: counters.tool_definitions,
            ..Default::default()
        };
        chat.turns.count(Role::User);
        let trimmed = given.trim().to_owned();
        texts = Texts {
            evaluation: trimmed.clone(),
            context: trimmed,
            current: given.to_owned(),
            ..texts
        };
        measure_text(&mut chat, given);
    }
    prompt.texts = texts;
    prompt.conversation = chat.turns.conversation;
    prompt.image = chat.turns.image;
    prompt.tokens = chat.meter.facts;
    prompt.attached = chat.meter.attached;
    Ok(())
}

/// The estimate sees `text` as one more user message.
fn measure_text(chat: &mut ChatReader<'_>, text: &str) {
    chat.meter.framing(MESSAGE);
    chat.meter.text_bytes("user".len() + text.len());
}

/// The known top-level fields as raw JSON, `null` ones left out.
struct Envelope<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Self, EvalError> {
        let mut fields = Vec::new();
        json::each_member(text, |key, raw| {
            fields.push((json::folded_key(&key).into_owned().into(), raw))
        })
        .map_err(|_| EvalError::Json {
            reason: json::complaint(text),
        })?;
        let envelope = Self(fields);
        for (list, wanted) in [
            ("messages", "array"),
            ("tools", "array"),
            ("functions", "array"),
        ] {
            envelope.typed(list, Kind::Array, wanted)?;
        }
        Ok(envelope)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        // A `null` leaves what an earlier duplicate has set, as it sets nothing.
        self.0
            .iter()
            .rev()
            .find(|(key, raw)| key == name && *raw != "null")
            .map(|(_, raw)| *raw)
    }

    fn typed(
        &self,
        field: &'static str,
        kind: Kind,
        wanted: &'static str,
    ) -> Result<Option<&'a str>, EvalError> {
        self.get(field)
            .map(|raw| require(field, raw, kind, wanted))
            .transpose()
    }

    fn text(&self, field: &'static str) -> Result<Cow<'a, str>, EvalError> {
        Ok(self
            .typed(field, Kind::String, "string")?
            .and_then(json::string)
            .unwrap_or_default())
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, EvalError> {
        let Some(raw) = self.typed("metadata", Kind::Object, "object")? else {
            return Ok(BTreeMap::new());
        };
        metadata::read(raw, metadata::Null::Empty).map_err(|error| match error {
            metadata::MetadataError::Type { kind, .. } => EvalError::Type {
                field: "metadata",
                wanted: "object of strings",
                got: kind.to_string(),
            },
            limit => EvalError::Facts {
                reason: limit.to_string(),
            },
        })
    }

    fn trace(&self) -> Result<bool, EvalError> {
        let Some(options) = self.typed("options", Kind::Object, "object")? else {
            return Ok(false);
        };
        let mut trace = false;
        let mut wrong = None;
        json::members(options, |key, raw| {
            let (field, kind, wanted) = match json::folded_key(&key).as_ref() {
                "trace" => ("options.trace", Kind::Boolean, "boolean"),
                "return_probabilities" => {
                    ("options.return_probabilities", Kind::Boolean, "boolean")
                }
                "include_explanation" => ("options.include_explanation", Kind::Boolean, "boolean"),
                "evaluate_all_signals" => {
                    ("options.evaluate_all_signals", Kind::Boolean, "boolean")
                }
                "confidence_threshold" => ("options.confidence_threshold", Kind::Number, "number"),
                _ => return,
            };
            match require(field, raw, kind, wanted) {
                _ if raw == "null" => {}
                Ok(raw) if field == "options.trace" => trace = raw == "true",
                Ok(_) => {}
                Err(error) => wrong = wrong.take().or(Some(error)),
            }
        });
        wrong.map_or(Ok(trace), Err)
    }

    fn read_messages(&self, chat: &mut ChatReader<'_>) -> Result<(), EvalError> {
        let Some(messages) = self.get("messages") else {
            return Ok(());
        };
        let mut wrong = None;
        json::elements(messages, |raw| {
            match check_message(raw) {
                // `null` decodes to a message with nothing in it.
                Ok(()) if raw == "null" => chat.message("{}"),
                Ok(()) => chat.message(raw),
                Err(error) => wrong = wrong.take().or(Some(error)),
            }
        });
        wrong.map_or(Ok(()), Err)
    }
}

/// A message's fields must have the types that the envelope declares.
fn check_message(raw: &str) -> Result<(), EvalError> {
    if raw == "null" {
        return Ok(());
    }
    require("messages", raw, Kind::Object, "object")?;
    let mut wrong = None;
    json::members(raw, |key, value| {
        let (field, kind, wanted) = match json::folded_key(&key).as_ref() {
            "role" => ("messages.role", Kind::String, "string"),
            "name" => ("messages.name", Kind::String, "string"),
            "tool_call_id" => ("messages.tool_call_id", Kind::String, "string"),
            "tool_calls" => ("messages.tool_calls", Kind::Array, "array"),
            _ => return,
        };
        if value != "null" {
            wrong = wrong.take().or(require(field, value, kind, wanted).err());
        }
    });
    wrong.map_or(Ok(()), Err)
}

fn require<'a>(
    field: &'static str,
    raw: &'a str,
    kind: Kind,
    wanted: &'static str,
) -> Result<&'a str, EvalError> {
    let got = Kind::of(raw);
    if got == kind {
        Ok(raw)
    } else {
        Err(EvalError::Type {
            field,
            wanted,
            got: got.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
