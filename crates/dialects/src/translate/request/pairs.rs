//! Puts results behind the calls that they answer, where each wire wants them, and takes what
//! answers nothing as words of the user's.

use std::borrow::Cow;
use std::collections::HashMap;

use super::neutral::{Body, Conversation, Output, Part, Role, Turn};
use super::text::Text;
use crate::translate::loss::{Ledger, Lost};

/// What becomes of a turn.
#[derive(Debug)]
enum Fate<'a> {
    Stays(Turn<'a>),
    /// An assistant's turn, with the results of its calls.
    Calls {
        turn: Turn<'a>,
        results: Vec<Part<'a>>,
    },
}

/// Pairs calls and results, and leaves out turns without content.
pub(super) fn pair(conversation: &mut Conversation<'_>, ledger: &mut Ledger) {
    let turns = std::mem::take(&mut conversation.turns);
    let mut fates: Vec<Fate<'_>> = Vec::with_capacity(turns.len());
    let mut open: HashMap<Box<str>, usize> = HashMap::new();
    for turn in turns {
        match turn.role {
            Role::Tool => results(turn, &mut fates, &mut open, ledger),
            _ if is_void(&turn) => ledger.lose(Lost::EmptyTurn, turn.place),
            Role::Assistant => {
                let calls = turn.parts.iter().filter_map(|part| match &part.body {
                    Body::Call(call) => Some(Cow::into_owned(call.id.decoded()).into_boxed_str()),
                    _ => None,
                });
                open.extend(calls.map(|id| (id, fates.len())));
                fates.push(Fate::Calls {
                    turn,
                    results: Vec::new(),
                });
            }
            _ => fates.push(Fate::Stays(turn)),
        }
    }
    for fate in fates {
        match fate {
            Fate::Stays(turn) => conversation.turns.push(turn),
            Fate::Calls { turn, results } => {
                let place = results.first().map(|part| part.place);
                conversation.turns.push(turn);
                if let Some(place) = place {
                    conversation.turns.push(Turn {
                        role: Role::Tool,
                        place,
                        parts: results,
                    });
                }
            }
        }
    }
}

/// Whether a turn says nothing. Clients send empty answers where one was cut.
fn is_void(turn: &Turn<'_>) -> bool {
    let is_empty = |part: &Part<'_>| part.as_text().is_some_and(Text::is_empty);
    turn.parts.is_empty() || (turn.role == Role::Assistant && turn.parts.iter().all(is_empty))
}

/// Gives the results of a turn to the calls that they answer.
fn results<'a>(
    turn: Turn<'a>,
    fates: &mut Vec<Fate<'a>>,
    open: &mut HashMap<Box<str>, usize>,
    ledger: &mut Ledger,
) {
    let mut orphans = Vec::new();
    let last = fates.len();
    for part in turn.parts {
        let Body::Result(output) = &part.body else {
            orphans.push(part);
            continue;
        };
        let answered = open.remove(output.id.decoded().as_ref());
        match answered.and_then(|at| Some((at, fates.get_mut(at)?))) {
            Some((at, Fate::Calls { results, .. })) => {
                if at + 1 != last {
                    ledger.lose(Lost::ResultMoved, part.place);
                }
                results.push(part);
            }
            _ => {
                ledger.lose(Lost::ResultOrphan, part.place);
                orphans.extend(orphan(part));
            }
        }
    }
    if !orphans.is_empty() {
        fates.push(Fate::Stays(Turn {
            role: Role::User,
            place: turn.place,
            parts: orphans,
        }));
    }
}

/// Returns a result as words of the user's.
fn orphan(part: Part<'_>) -> Vec<Part<'_>> {
    let Body::Result(output) = part.body else {
        return vec![part];
    };
    let mut parts = vec![Part::new(part.place, Body::Text(heading(&output)))];
    parts.extend(output.parts);
    parts
}

/// Returns the line that names the call of a result.
pub(super) fn heading(output: &Output<'_>) -> Text<'static> {
    let what = match output.is_error {
        true => "Error of the tool call",
        false => "Result of the tool call",
    };
    Text::spelled(&format!("{what} {}:", output.id.decoded()))
}
