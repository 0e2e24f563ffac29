//! Recognizers: entities that rules can find and mostly verify.

use crate::ask::Entity;

/// Entities of `text`, in order of their start, without overlaps.
#[must_use]
pub fn find(_text: &str) -> Vec<Entity> {
    Vec::new()
}

/// The entities of rules and of a token head as one list in order of their start. What a rule found stands; what the head found
/// and overlaps with it gives way.
#[must_use]
pub fn merge(recognized: Vec<Entity>, tagged: Vec<Entity>) -> Vec<Entity> {
    let overlaps = |entity: &Entity| recognized.iter().any(|rule| rule.start < entity.end && entity.start < rule.end);
    let mut merged: Vec<Entity> = tagged.into_iter().filter(|entity| !overlaps(entity)).collect();
    merged.extend(recognized);
    merged.sort_by_key(|entity| (entity.start, entity.end));
    merged
}
