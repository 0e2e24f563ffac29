//! Reads objects of a body whose JSON has been checked, and says what is wrong with one.

use std::borrow::Cow;
use std::fmt::Display;

use super::Unfit;
use super::place::Place;
use super::text::Text;
use crate::json::{self, Kind};
use crate::translate::loss::{Ledger, Lost};

/// An object and where it stands. What is taken out of it has been read; the rest is listed.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) place: Place,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads an object.
    pub(super) fn read(raw: &'a str, place: Place) -> Result<Self, Unfit> {
        if Kind::of(raw) != Kind::Object {
            return Err(wrong(place, raw, "an object"));
        }
        let mut members = Vec::new();
        json::members(raw, |name, value| members.push((name, value)));
        Ok(Self { place, members })
    }

    /// Takes a member out; of equal ones the last. One that is `null` is none.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a str> {
        let at = self.members.iter().rposition(|(known, _)| known == name)?;
        let (_, value) = self.members.remove(at);
        json::present(Some(value))
    }

    /// Takes out a member that must be there.
    pub(super) fn need(&mut self, name: &'static str) -> Result<&'a str, Unfit> {
        self.take(name)
            .ok_or_else(|| Unfit::at(self.at(name), "is missing"))
    }

    /// Takes out a text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<Text<'a>>, Unfit> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        let text = Text::of(raw).ok_or_else(|| wrong(self.at(name), raw, "a string"))?;
        Ok(Some(text))
    }

    /// Takes out a text that must be there.
    pub(super) fn need_text(&mut self, name: &'static str) -> Result<Text<'a>, Unfit> {
        self.text(name)?
            .ok_or_else(|| Unfit::at(self.at(name), "is missing"))
    }

    /// Takes out a word as it is meant; empty if there is none.
    pub(super) fn word(&mut self, name: &'static str) -> Result<Cow<'a, str>, Unfit> {
        let Some(raw) = self.take(name) else {
            return Ok(Cow::Borrowed(""));
        };
        json::string(raw).ok_or_else(|| wrong(self.at(name), raw, "a string"))
    }

    /// Takes out a boolean.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Unfit> {
        match self.take(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(raw) => Err(wrong(self.at(name), raw, "a boolean")),
        }
    }

    /// Takes out an object.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Object<'a>>, Unfit> {
        let raw = self.take(name);
        raw.map(|raw| Self::read(raw, self.at(name))).transpose()
    }

    /// Takes out a list.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Vec<&'a str>, Unfit> {
        let raw = self.take(name);
        raw.map_or(Ok(Vec::new()), |raw| elements(raw, self.at(name)))
    }

    /// Takes out a member that the other wire has no word for, and lists it.
    pub(super) fn lose(&mut self, name: &'static str, lost: Lost, ledger: &mut Ledger) {
        if self.take(name).is_some() {
            ledger.lose(lost, self.at(name));
        }
    }

    /// Lists what was not taken.
    pub(super) fn rest(self, ledger: &mut Ledger) {
        for (name, value) in &self.members {
            if json::present(Some(value)).is_some() {
                ledger.lose(Lost::Unknown, self.place.named(name));
            }
        }
    }

    /// Returns where a member stands.
    pub(super) fn at(&self, name: &'static str) -> Place {
        self.place.member(name)
    }
}

/// Returns the elements of a list.
pub(super) fn elements(raw: &str, place: Place) -> Result<Vec<&str>, Unfit> {
    if Kind::of(raw) != Kind::Array {
        return Err(wrong(place, raw, "an array"));
    }
    let mut found = Vec::new();
    json::elements(raw, |element| found.push(element));
    Ok(found)
}

/// Says that a value is of another kind than its place wants.
pub(super) fn wrong(place: impl Display, raw: &str, wanted: &str) -> Unfit {
    Unfit::at(place, &format!("must be {wanted}, not {}", Kind::of(raw)))
}
