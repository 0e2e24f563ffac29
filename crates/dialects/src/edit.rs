//! Edits of a request body as spans over its original bytes: what is not edited stays identical,
//! byte for byte, so that prefix caches downstream keep hitting.

mod cache_marks;
mod params;
mod splice;
mod system_prompt;
mod thinking;

use bytes::Bytes;

pub use cache_marks::CacheMarks;
pub use params::{RequestParams, known_params};
pub use system_prompt::PromptMode;

use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::request::Request;
use splice::{Change, Object};

/// A list of edits of top-level members. Of several edits of one member the last wins; a member
/// that is set but not there is appended to the object; one that stands there twice is edited in
/// both places.
///
/// Methods that depend on the current value take the request and see the edits made before them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    changes: Vec<(String, Change)>,
}

impl Edits {
    /// No edits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Writes the model's name.
    pub fn set_model(&mut self, name: &str) {
        self.set("model", json::quote(name));
    }

    /// Sets a member to `raw`, which must be valid JSON.
    pub fn set(&mut self, name: &str, raw: impl Into<String>) {
        self.change(name, Change::Set(raw.into()));
    }

    /// Removes a member, wherever it stands.
    pub fn remove(&mut self, name: &str) {
        self.change(name, Change::Remove);
    }

    /// Sets a member of a member (`chat_template_kwargs.thinking`); the others in it survive. An
    /// outer value that is no object is replaced by one.
    pub fn set_in(&mut self, request: &Request, outer: &str, name: &str, raw: impl Into<String>) {
        let changes = [(name.to_owned(), Change::Set(raw.into()))];
        let current = self
            .current(request, outer)
            .filter(|raw| Kind::of(raw) == Kind::Object)
            .unwrap_or("{}");
        let edited = Object::read(current).splice(&changes);
        self.set(outer, edited);
    }

    /// Returns whether a member stands in the body after the edits so far, and is not null.
    #[must_use]
    pub fn has(&self, request: &Request, name: &str) -> bool {
        json::present(self.current(request, name)).is_some()
    }

    /// Returns whether a member of a member stands in the body after the edits so far, and is not
    /// null.
    #[must_use]
    pub fn has_in(&self, request: &Request, outer: &str, name: &str) -> bool {
        let object = self
            .current(request, outer)
            .filter(|raw| Kind::of(raw) == Kind::Object);
        object.is_some_and(|raw| json::present(Object::read(raw).get(name)).is_some())
    }

    /// Removes a member of a member, if it is there; an outer object left empty goes as well.
    pub fn remove_in(&mut self, request: &Request, outer: &str, name: &str) {
        let Some(current) = self.current(request, outer) else {
            return;
        };
        let object = Object::read(current);
        if object.get(name).is_none() {
            return;
        }
        let edited = object.splice(&[(name.to_owned(), Change::Remove)]);
        if Object::read(&edited).is_empty() {
            self.remove(outer)
        } else {
            self.set(outer, edited)
        }
    }

    /// Asks a chat backend to report usage at the end of a stream. Changes nothing on the other
    /// wires, which always report it, for requests that do not stream, and where the client has
    /// said whether it wants the usage.
    pub fn ensure_stream_usage(&mut self, request: &Request) {
        if request.dialect() != Dialect::OpenAiChat || !request.prompt().stream {
            return;
        }
        let says = |raw: &str| {
            let wants = Object::read(raw).get("include_usage");
            json::present(wants).map(str::to_owned)
        };
        let options = json::present(self.current(request, "stream_options"));
        // An edit may have taken away what the client said.
        let declined = request
            .member("stream_options")
            .is_some_and(|raw| says(raw).as_deref() == Some("false"));
        match options {
            Some(options) if Kind::of(options) != Kind::Object => {}
            Some(options) if says(options).is_some() => {}
            _ if declined => {}
            _ => self.set_in(request, "stream_options", "include_usage", "true"),
        }
    }

    /// Puts a system prompt before the request's own, or in its place.
    pub fn insert_system_prompt(&mut self, request: &Request, mode: PromptMode, text: &str) {
        system_prompt::insert(self, request, mode, text);
    }

    /// Marks what Anthropic should cache, unless the caller marks something.
    pub fn mark_cache(&mut self, request: &Request, marks: CacheMarks) {
        cache_marks::mark(self, request, marks);
    }

    /// Removes the assistant's thinking that bears no signature, and turns that are left empty.
    pub fn drop_unsigned_thinking(&mut self, request: &Request) {
        thinking::drop_unsigned(self, request);
    }

    /// Applies an operator's limits on parameters, after all other edits of them.
    pub fn limit_params(&mut self, request: &Request, params: &RequestParams) {
        params::limit(self, request, params);
    }

    /// The raw value that a member has after the edits so far.
    #[must_use]
    pub fn current<'a>(&'a self, request: &'a Request, name: &str) -> Option<&'a str> {
        match self.changes.iter().find(|(changed, _)| changed == name) {
            Some((_, Change::Set(raw))) => Some(raw),
            Some((_, Change::Remove)) => None,
            None => request.member(name),
        }
    }

    /// Removes the members that are unknown to the wire and to `params`; what is set later stays.
    pub fn strip_unknown(&mut self, request: &Request, params: &RequestParams) {
        params::strip(self, request, params);
    }

    /// Returns the members that `other` leaves in another state than these edits, with the raw
    /// values that these edits leave; `None` where the member is not there.
    #[must_use]
    pub fn unlike<'a>(
        &'a self,
        other: &'a Self,
        request: &'a Request,
    ) -> Vec<(&'a str, Option<&'a str>)> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in other.changes.iter().chain(&self.changes) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
            .into_iter()
            .map(|name| (name, self.current(request, name)))
            .filter(|&(name, value)| value != other.current(request, name))
            .collect()
    }

    /// The edited body. Without edits it is the original, not a copy.
    #[must_use]
    pub fn apply(&self, request: &Request) -> Bytes {
        if self.is_empty() {
            return request.body().clone();
        }
        Object::of(request).splice(&self.changes).into()
    }

    fn change(&mut self, name: &str, change: Change) {
        match self.changes.iter_mut().find(|(changed, _)| changed == name) {
            Some((_, old)) => *old = change,
            None => self.changes.push((name.to_owned(), change)),
        }
    }

    /// Names of the members that stand in the body after the edits so far.
    fn names<'a>(&'a self, request: &'a Request) -> Vec<&'a str> {
        let original = request.members().iter().map(|member| member.name.as_ref());
        let set = self.changes.iter().map(|(name, _)| name.as_str());
        original
            .chain(set)
            .filter(|name| self.current(request, name).is_some())
            .collect()
    }
}

#[cfg(test)]
mod tests;
