//! What the parameters of a request ask for. Unknown parameters are ignored.

use std::ops::Range;

use super::Answer;
use crate::ledger::LedgerKey;
use crate::record::{Moment, WireTime};
use crate::store::{CacheStatus, Filter, Paging};

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

/// What a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Which records.
    pub filter: Filter,
    /// Which page of them.
    pub paging: Paging,
    /// Bodies, prompts and traces come along.
    pub show_details: bool,
}

impl List {
    /// Reads a list's parameters.
    ///
    /// # Errors
    /// The answer to a parameter that makes no sense.
    pub fn read(parameters: &[(String, String)]) -> Result<Self, Answer> {
        let limit = match value(parameters, "limit") {
            None => LIMIT,
            Some(text) => match text.parse::<i64>() {
                Ok(limit) if limit > 0 => usize::try_from(limit).unwrap_or(LIMIT_MAX),
                _ => return Err(invalid("limit", "a whole number above 0")),
            },
        };
        let offset = match value(parameters, "offset") {
            None => 0,
            Some(text) => match text.parse::<i64>().map(usize::try_from) {
                Ok(Ok(offset)) => offset,
                _ => return Err(invalid("offset", "a whole number, 0 or above")),
            },
        };
        Ok(Self {
            filter: filter(parameters)?,
            paging: Paging {
                limit: limit.min(LIMIT_MAX),
                offset,
            },
            show_details: match value(parameters, "showDetails") {
                None => false,
                Some(text) => {
                    truth(text).ok_or_else(|| invalid("showDetails", "`true` or `false`"))?
                }
            },
        })
    }
}

/// Reads the parameters that say which records are asked for.
///
/// # Errors
/// The answer to a parameter that makes no sense.
pub fn filter(parameters: &[(String, String)]) -> Result<Filter, Answer> {
    let text = |name| value(parameters, name).map(str::to_owned);
    let cache_status = match value(parameters, "cache_status") {
        None | Some("all") => CacheStatus::All,
        Some("cached") => CacheStatus::Cached,
        Some("streamed") => CacheStatus::Streamed,
        Some(_) => return Err(invalid("cache_status", "`all`, `cached` or `streamed`")),
    };
    Ok(Filter {
        search: text("search").unwrap_or_default(),
        recipe: text("recipe"),
        decision: text("decision"),
        model: text("model"),
        session_id: text("session_id"),
        cache_status,
    })
}

/// Reads the session that a trajectory is asked of.
///
/// # Errors
/// The answer to a request that names none.
pub fn session(parameters: &[(String, String)]) -> Result<String, Answer> {
    value(parameters, "session_id")
        .map(str::to_owned)
        .ok_or_else(|| Answer::error(400, "session_id is required"))
}

/// What a ledger is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// What it is broken down by.
    pub by: LedgerKey,
    /// When the requests were seen.
    pub times: Range<Moment>,
}

impl Ledger {
    /// Reads `by` (`caller`, `session`, `decision`, `model`, `request`; nothing: one row for each
    /// currency), `from` and `to` (RFC 3339; the second one is no part of the range).
    ///
    /// # Errors
    /// The answer to a parameter that makes no sense.
    pub fn read(parameters: &[(String, String)]) -> Result<Self, Answer> {
        let by = match value(parameters, "by") {
            None => LedgerKey::All,
            Some("caller") => LedgerKey::Caller,
            Some("session") => LedgerKey::Session,
            Some("decision") => LedgerKey::Decision,
            Some("model") => LedgerKey::Model,
            Some("request") => LedgerKey::Request,
            Some(_) => {
                let words = "`caller`, `session`, `decision`, `model` or `request`";
                return Err(invalid("by", words));
            }
        };
        let time = |name, otherwise| match value(parameters, name) {
            None => Ok(otherwise),
            Some(text) => text
                .parse::<WireTime>()
                .map(|time| Moment::from(&time))
                .map_err(|_| invalid(name, "a time like 2026-12-01T00:00:00Z")),
        };
        let times = time("from", Moment::default())?..time("to", Moment::MAX)?;
        Ok(Self { by, times })
    }
}

/// Returns a parameter without blanks around it; an empty one is none.
fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = parameters.iter().filter(|(other, _)| other == name);
    found
        .next()
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn invalid(name: &str, expected: &str) -> Answer {
    Answer::error(400, &format!("{name} must be {expected}"))
}
