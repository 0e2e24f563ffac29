//! Gathers who said what, message by message, into the texts and counters that signals read.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json;
use crate::prompt::{Aside, Continuity, Conversation, Place, Texts};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
    Developer,
    Tool,
    /// Any other role: no text, no count, but it is the last message's role.
    Other,
}

impl Role {
    /// The role of exactly this name.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "system" => Self::System,
            "developer" => Self::Developer,
            "tool" => Self::Tool,
            _ => Self::Other,
        }
    }
}

/// Texts and counters so far.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pub(crate) user: Vec<String>,
    pub(crate) non_user: Vec<String>,
    pub(crate) passed_over: Vec<String>,
    pub(crate) tool_results: Vec<String>,
    pub(crate) assistant_replied: bool,
    pub(crate) conversation: Conversation,
    pub(crate) image: Option<String>,
    pub(crate) continuity: Continuity,
    beside: Vec<Beside>,
    step: Step,
}

/// What stands beside the turns' words.
#[derive(Debug)]
struct Beside {
    role: Role,
    /// User texts that came before its message.
    after: usize,
    found: Gathered,
}

/// Where in a tool loop the last message stands; system messages do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Outside,
    Result,
    /// A user message right after a result.
    After,
}

impl Turns {
    /// Counts one message of `role`, which becomes the last one.
    pub(crate) fn count(&mut self, role: Role) {
        let counters = &mut self.conversation;
        match role {
            Role::User => counters.user += 1,
            Role::Assistant => counters.assistant += 1,
            Role::System => counters.system += 1,
            Role::Tool => counters.tool += 1,
            Role::Developer => counters.developer = true,
            Role::Other => {}
        }
        counters.last_user_follows_tool = role == Role::User && counters.last_is_tool_result;
        counters.last_is_tool_result = role == Role::Tool;
        let step = match (role, self.step) {
            (Role::Tool, _) => Step::Result,
            (Role::System | Role::Developer, step) => step,
            (Role::User, Step::Result) => Step::After,
            _ => Step::Outside,
        };
        self.stand(step);
    }

    fn stand(&mut self, step: Step) {
        self.step = step;
        self.continuity.tool_loop = step != Step::Outside;
    }

    /// A user text that a wrapper pattern covers.
    pub(crate) fn pass_over(&mut self, text: Cow<'_, str>) {
        self.continuity.ends_with_wrapper = true;
        self.passed_over.push(text.into_owned());
    }

    /// The user message just counted carries tool results: it is one tool message as well.
    pub(crate) fn carries_tool_results(&mut self) {
        self.conversation.tool += 1;
        self.conversation.last_is_tool_result = true;
        self.conversation.last_user_follows_tool = false;
        self.stand(Step::Result);
    }

    /// Keeps a message's text. One without anything to see is no text; tool and unknown roles have
    /// none.
    pub(crate) fn say(&mut self, role: Role, text: String) {
        if text.chars().all(is_blank) {
            return;
        }
        self.continuity.opens_with_system |=
            self.non_user.is_empty() && matches!(role, Role::System | Role::Developer);
        match role {
            Role::User => {
                self.continuity.ends_with_wrapper = false;
                self.user.push(text);
            }
            Role::Assistant => {
                self.assistant_replied = true;
                self.non_user.push(text);
            }
            Role::System | Role::Developer => self.non_user.push(text),
            Role::Tool | Role::Other => {}
        }
    }

    /// Keeps the text of a tool result, which ends with the message that carries it. It is nobody's
    /// turn.
    pub(crate) fn result(&mut self, raw: Option<&str>) {
        self.stand(Step::Result);
        self.output(raw);
    }

    /// Keeps what a tool of the provider's own gave.
    pub(crate) fn output(&mut self, raw: Option<&str>) {
        let Some(raw) = raw else { return };
        let mut found = match json::string(raw) {
            Some(text) => Gathered::of(text),
            None => gather::text(raw),
        };
        let text = std::mem::take(&mut found.text);
        if !text.is_empty() {
            self.tool_results.push(text);
        }
        self.note(Role::Tool, found);
    }

    /// Keeps what stands in a message of `role`, and is none of its words.
    pub(crate) fn note(&mut self, role: Role, found: Gathered) {
        if found.has_file || !found.text.is_empty() {
            let after = self.user.len();
            self.beside.push(Beside { role, after, found });
        }
    }

    /// Gives what stands beside the turns its places, where `users` user texts were said.
    pub(crate) fn asides(&mut self, users: usize) -> (Vec<Aside>, Vec<Place>) {
        let (mut asides, mut unread) = (Vec::new(), Vec::new());
        for Beside { role, after, found } in std::mem::take(&mut self.beside) {
            let places: &[Place] = match role {
                Role::User if after + 1 >= users => &[Place::Current],
                Role::User => &[Place::History],
                Role::Assistant | Role::System | Role::Developer => &[Place::System],
                Role::Tool => &[Place::ToolResults],
                // Whose words these are is for the backend to say.
                Role::Other => &Place::ALL,
            };
            for &place in places {
                if found.has_file && !unread.contains(&place) {
                    unread.push(place);
                }
                if !found.text.is_empty() {
                    let text = found.text.clone();
                    asides.push(Aside { place, text });
                }
            }
        }
        (asides, unread)
    }

    /// The texts as the wire defines them: the last user text is the turn.
    pub(crate) fn into_texts(mut self) -> Texts {
        let (asides, unread) = self.asides(self.user.len());
        let current = self.user.pop().unwrap_or_default();
        let evaluation = if current.is_empty() {
            self.non_user.join(" ")
        } else {
            current.clone()
        };
        Texts {
            context: context(&self.non_user, &current),
            evaluation,
            current,
            prior_user: self.user,
            non_user: self.non_user,
            assistant_replied: self.assistant_replied,
            passed_over: self.passed_over,
            tool_results: self.tool_results,
            asides,
            unread,
        }
    }
}

/// A character that shows nothing: whitespace, control and format characters, fillers.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// `C`: all non-user texts and the user's turn, joined by one space.
pub(crate) fn context(non_user: &[String], turn: &str) -> String {
    let mut context = String::with_capacity(
        non_user.iter().map(|text| text.len() + 1).sum::<usize>() + turn.len(),
    );
    for text in non_user
        .iter()
        .map(String::as_str)
        .chain((!turn.is_empty()).then_some(turn))
    {
        if !context.is_empty() {
            context.push(' ');
        }
        context.push_str(text);
    }
    context
}

/// The texts of one message's content, parts joined by one space.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// The first acceptable inline image.
    pub(crate) image: Option<String>,
}

impl Said {
    /// Adds a part's text; an empty one is no part.
    pub(crate) fn add(&mut self, text: Cow<'_, str>) {
        if text.is_empty() {
            return;
        }
        if self.text.is_empty() {
            self.text = text.into_owned();
            return;
        }
        self.text.push(' ');
        self.text.push_str(&text);
    }
}

/// The image types that may be looked at.
const IMAGE_TYPES: [&str; 5] = [
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/gif",
    "image/webp",
];

/// Splits an acceptable `data:` URI of a base64 image into its prefix (`data:image/png;base64,`)
/// and its payload.
pub(crate) fn inline_image(uri: &str) -> Option<(&str, &str)> {
    let (prefix, payload) = uri.split_at_checked(uri.find(',')? + 1)?;
    let rest = prefix
        .split_at_checked("data:".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("data:"))?
        .1;
    let (kind, marker) = rest.split_once(';')?;
    let known = IMAGE_TYPES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind));
    (known && marker.eq_ignore_ascii_case("base64,") && !payload.is_empty())
        .then_some((prefix, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base64_images_of_known_types_are_inline_images() {
        let cases = [
            (
                "data:image/png;base64,AA",
                Some(("data:image/png;base64,", "AA")),
            ),
            (
                "DATA:Image/JPG;BASE64,AA",
                Some(("DATA:Image/JPG;BASE64,", "AA")),
            ),
            ("data:image/png;base64,", None),
            ("data:image/svg+xml;base64,AA", None),
            ("data:image/png,AA", None),
            ("https://x/y.png", None),
            ("", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(inline_image(uri), expected, "{uri}");
        }
    }
}
