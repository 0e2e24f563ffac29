//! Rewrites an object's members in its text.

use std::borrow::Cow;

use crate::json;
use crate::request::{Member, Request, span};

/// What happens to one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The value becomes this JSON text.
    Set(String),
    Remove,
}

/// The text of a JSON object and where its members' values lie.
pub(crate) struct Object<'t> {
    text: &'t str,
    members: Cow<'t, [Member]>,
}

impl<'t> Object<'t> {
    /// The whole body.
    pub(crate) fn of(request: &'t Request) -> Self {
        Self {
            text: request.text(),
            members: Cow::Borrowed(request.members()),
        }
    }

    /// A valid JSON object's text.
    pub(crate) fn read(text: &'t str) -> Self {
        let mut members = Vec::new();
        json::members(text, |name, raw| {
            members.push(Member {
                name: name.as_ref().into(),
                value: span(text, raw),
            })
        });
        Self {
            text,
            members: Cow::Owned(members),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member's raw value; of duplicates the last.
    pub(crate) fn get(&self, name: &str) -> Option<&'t str> {
        let member = self
            .members
            .iter()
            .rev()
            .find(|member| member.name.as_ref() == name)?;
        self.text.get(member.value.clone())
    }

    /// Returns the text after the changes. No two changes name the same member.
    pub(crate) fn splice(&self, changes: &[(String, Change)]) -> String {
        let mut copy = Copy {
            text: self.text,
            copied: 0,
            out: String::with_capacity(self.text.len() + 128),
        };
        let open = self.text.find('{').map_or(0, |at| at + 1);
        let mut previous_end = open;
        let mut kept = false;
        for member in self.members.iter() {
            let change = changes
                .iter()
                .find(|(name, _)| *name == *member.name)
                .map(|(_, change)| change);
            if change == Some(&Change::Remove) {
                // A removed member takes the comma before it along; before the first kept one there
                // is none to take.
                if kept {
                    copy.up_to(previous_end);
                    copy.skip_to(member.value.end);
                }
            } else if !kept {
                kept = true;
                if previous_end > open {
                    copy.up_to(open);
                    copy.skip_to(self.after_comma(previous_end));
                }
            }
            if let Some(Change::Set(raw)) = change {
                copy.up_to(member.value.start);
                copy.out.push_str(raw);
                copy.skip_to(member.value.end);
            }
            previous_end = member.value.end;
        }
        if !kept {
            copy.up_to(open);
        }
        copy.skip_or_copy_to(previous_end, kept);
        for (name, change) in changes {
            if let Change::Set(raw) = change
                && self.members.iter().all(|member| *member.name != **name)
            {
                if std::mem::replace(&mut kept, true) {
                    copy.out.push(',');
                }
                copy.out.push_str(&json::quote(name));
                copy.out.push(':');
                copy.out.push_str(raw);
            }
        }
        copy.up_to(self.text.len());
        copy.out
    }

    fn after_comma(&self, value_end: usize) -> usize {
        let rest = self.text.get(value_end..).unwrap_or_default();
        rest.find(',').map_or(value_end, |at| value_end + at + 1)
    }
}

/// Copies a text forward, leaving spans out.
struct Copy<'t> {
    text: &'t str,
    copied: usize,
    out: String,
}

impl Copy<'_> {
    fn up_to(&mut self, end: usize) {
        self.out
            .push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = self.copied.max(end);
    }

    fn skip_to(&mut self, end: usize) {
        self.copied = self.copied.max(end);
    }

    fn skip_or_copy_to(&mut self, end: usize, copy: bool) {
        if copy {
            self.up_to(end)
        } else {
            self.skip_to(end)
        }
    }
}
