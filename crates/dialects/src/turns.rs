//! Gathers who said what, message by message, into the texts and counters that signals read.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use std::borrow::Cow;
use std::ops::Range;

use crate::attachments::Media;
use crate::gather::{self, Gathered};
use crate::json;
use crate::prompt::{Aside, Continuity, Conversation, Place, Texts};
use crate::request::ReadOptions;
use crate::vocabulary::is_identifier;

pub(crate) use crate::kinds::Role;

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
    /// Where the texts of a list stand in the user's turn.
    pub(crate) list: Option<Vec<Range<usize>>>,
    /// What readers of the request would disagree about.
    pub(crate) ambiguity: Option<String>,
    beside: Vec<Beside>,
    step: Step,
    wants_definitions: bool,
    wants_metadata: bool,
}

/// Texts that a list of definitions makes at most; in a longer list neighbours are one text.
const DEFINITIONS_MAX: usize = 256;

/// What stands beside the turns' words.
#[derive(Debug)]
struct Beside {
    owner: Owner,
    /// User texts that came before its message.
    after: usize,
    found: Gathered,
}

/// What a text beside the turns belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A message of this role.
    Message(Role),
    /// The request.
    Request(Place),
}

/// The texts that stand beside the turns, by their places.
#[derive(Debug, Default)]
pub(crate) struct Asides {
    pub(crate) texts: Vec<Aside>,
    pub(crate) unread: Vec<Place>,
    pub(crate) unreadable: Vec<(Place, Media)>,
    pub(crate) sealed: Vec<Place>,
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
    /// Begins to read a request; what no rule asks for is not kept.
    pub(crate) fn new(options: &ReadOptions) -> Self {
        Self {
            wants_definitions: options.definitions,
            wants_metadata: options.metadata,
            ..Self::default()
        }
    }

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

    /// Keeps a text of a message: what was said goes to `said`, what a client program wrote into
    /// the user's text is passed over. Returns what is attached within the text.
    pub(crate) fn keep(
        &mut self,
        role: Role,
        said: &mut Said,
        text: Cow<'_, str>,
        options: &ReadOptions,
    ) -> Gathered {
        let mut found = Gathered::default();
        let text = match gather::without_data_uris(&text) {
            Some((rest, attachments)) => {
                found.opaque = text.len() - rest.len();
                found.attachments = attachments;
                Cow::Owned(rest)
            }
            None => text,
        };
        match role {
            Role::User => self.keep_user(said, text, options),
            Role::Tool | Role::Other => self.note(role, Gathered::plain(text)),
            Role::Assistant | Role::System | Role::Developer => said.add(text),
        }
        let attached = Gathered {
            attachments: found.attachments.clone(),
            ..Gathered::default()
        };
        self.note(role, attached);
        found
    }

    fn keep_user(&mut self, said: &mut Said, text: Cow<'_, str>, options: &ReadOptions) {
        let found = options.wrappers.words(&text);
        if !found.is_wrapped {
            return said.add(found.words);
        }
        said.add(found.words);
        self.continuity.ends_with_wrapper = true;
        self.passed_over.push(text.into_owned());
    }

    /// Keeps what readers of an object would disagree about; the first of all is told.
    pub(crate) fn ambiguous(&mut self, ambiguity: Option<String>) {
        if self.ambiguity.is_none() {
            self.ambiguity = ambiguity;
        }
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
    pub(crate) fn result(&mut self, found: Gathered) {
        self.stand(Step::Result);
        self.output(found);
    }

    /// Keeps what a tool of the provider's own gave.
    pub(crate) fn output(&mut self, mut found: Gathered) {
        let text = std::mem::take(&mut found.text);
        if !text.is_empty() {
            self.tool_results.push(text);
        }
        self.note(Role::Tool, found);
    }

    /// Keeps what stands in a message of `role` beside its words.
    pub(crate) fn note(&mut self, role: Role, found: Gathered) {
        self.keep_beside(Owner::Message(role), found);
    }

    /// Keeps a name or an identifier that stands in a message of `role`.
    pub(crate) fn name(&mut self, role: Role, raw: Option<&str>) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        let is_plain = |name: Cow<'_, str>| is_identifier(&name);
        if self.wants_metadata || !json::string(raw).is_some_and(is_plain) {
            self.note(role, gather::name(raw));
        }
    }

    /// Keeps a definition: of an answer's format, or of tools. Each tool of a list is a text of its
    /// own, so that what is known of it stays known when the list changes around it.
    pub(crate) fn define(&mut self, raw: Option<&str>) {
        let Some(raw) = json::present(raw).filter(|_| self.wants_definitions) else {
            return;
        };
        let mut tools = Vec::new();
        json::elements(raw, |tool| tools.push(tool));
        if tools.is_empty() {
            let found = gather::arguments(raw);
            self.keep_beside(Owner::Request(Place::Definitions), found);
            return;
        }

        let together = tools.len().div_ceil(DEFINITIONS_MAX);
        for tools in tools.chunks(together) {
            let found = gather::arguments(&format!("[{}]", tools.join(",")));
            self.keep_beside(Owner::Request(Place::Definitions), found);
        }
    }

    /// Keeps metadata, or a parameter of the request.
    pub(crate) fn describe(&mut self, raw: &str) {
        if self.wants_metadata {
            let found = gather::arguments(raw);
            self.keep_beside(Owner::Request(Place::Metadata), found);
        }
    }

    fn keep_beside(&mut self, owner: Owner, mut found: Gathered) {
        if !self.wants_metadata {
            found.names.clear();
        }
        if !found.is_empty() {
            let after = self.user.len();
            self.beside.push(Beside {
                owner,
                after,
                found,
            });
        }
    }

    /// Gives what stands beside the turns its places, where `users` user texts were said.
    pub(crate) fn asides(&mut self, users: usize) -> Asides {
        let (mut asides, mut names) = (Asides::default(), Vec::new());
        for Beside {
            owner,
            after,
            found,
        } in std::mem::take(&mut self.beside)
        {
            let own: [Place; 1];
            let places: &[Place] = match owner {
                Owner::Message(Role::User) if after + 1 >= users => &[Place::Current],
                Owner::Message(Role::User) => &[Place::History],
                Owner::Message(Role::Assistant | Role::System | Role::Developer) => {
                    &[Place::System]
                }
                Owner::Message(Role::Tool) => &[Place::ToolResults],
                // Whose words these are is for the backend to say.
                Owner::Message(Role::Other) => &Place::MESSAGES,
                Owner::Request(place) => {
                    own = [place];
                    &own
                }
            };
            for &place in places {
                asides.add(place, &found);
            }
            names.extend(found.names);
        }
        if !names.is_empty() {
            let (place, text) = (Place::Metadata, names.join("\n"));
            asides.texts.push(Aside { place, text });
        }
        asides
    }

    /// The texts as the wire defines them: the last user text is the turn.
    pub(crate) fn into_texts(mut self) -> Texts {
        let asides = self.asides(self.user.len());
        let current = self.user.pop().unwrap_or_default();
        let evaluation = if current.is_empty() {
            self.promoted()
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
            list: self.list,
            asides: asides.texts,
            unread: asides.unread,
            unreadable: asides.unreadable,
            sealed: asides.sealed,
        }
    }

    /// What stands in for the turn where the user says nothing: all that others say, unless a
    /// client program spoke in the user's place, which asks for nothing.
    pub(crate) fn promoted(&self) -> String {
        if self.passed_over.is_empty() {
            self.non_user.join(" ")
        } else {
            String::new()
        }
    }
}

impl Asides {
    fn add(&mut self, place: Place, found: &Gathered) {
        if !found.text.is_empty() {
            let text = found.text.clone();
            self.texts.push(Aside { place, text });
        }
        if found.unread && !self.unread.contains(&place) {
            self.unread.push(place);
        }
        if found.sealed && !self.sealed.contains(&place) {
            self.sealed.push(place);
        }
        for attachment in &found.attachments {
            let unreadable = (place, attachment.media);
            if !self.unreadable.contains(&unreadable) {
                self.unreadable.push(unreadable);
            }
        }
    }
}

/// Returns whether a character shows nothing: whitespace, controls, the blank of Braille, and what
/// Unicode leaves out of a text that is shown.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || c == '\u{2800}'
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
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

/// The texts of one message's content, parts joined by one space unless they bring their own.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// The first acceptable inline image.
    pub(crate) image: Option<String>,
}

impl Said {
    /// Begins with a text.
    pub(crate) fn of(text: String) -> Self {
        Self { text, image: None }
    }

    /// Adds a part's text; an empty one is no part.
    pub(crate) fn add(&mut self, text: Cow<'_, str>) {
        if text.is_empty() {
            return;
        }
        if self.text.is_empty() {
            self.text = text.into_owned();
            return;
        }
        // Splitting a text at its spaces changes nothing, wherever these go.
        if !self.text.ends_with(char::is_whitespace) && !text.starts_with(char::is_whitespace) {
            self.text.push(' ');
        }
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
