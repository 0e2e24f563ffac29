//! Rows of `routing.modelCards`: what is known of a model's quality moves to `evaluation`.

use super::Migration;
use crate::config::renames::OPERATOR_RATING;
use document::Unedited;
use serde_json::{Value, json};
use std::collections::HashMap;

const CARDS: &str = "routing.modelCards";
const RECORDS: &str = "evaluation.records";

/// Moves evaluations and quality scores of cards to records, and drops cards that say nothing more.
pub(super) fn records(migration: &mut Migration) -> Result<(), Unedited> {
    let cards = migration.draft.matching("routing.modelCards[]");
    for card in &cards {
        evaluations(migration, card)?;
    }
    for card in &cards {
        quality(migration, card)?;
    }

    // From the end, so that the places of those before stay.
    for card in cards.iter().rev() {
        let old = ["evaluations", "quality_score"].map(|key| format!("{card}.{key}"));
        let written: Vec<&String> = old.iter().filter(|path| migration.has(path)).collect();
        let keys = migration
            .draft
            .at(card)
            .map_or(0, |it| it.entries().count());
        let rest = keys.saturating_sub(written.len());
        if !written.is_empty() && rest == 1 && migration.has(&format!("{card}.name")) {
            migration.note(card, "is gone; nothing but its name was left");
            migration.draft.remove(card)?;
            continue;
        }
        for path in written {
            migration.draft.remove(path)?;
        }
    }
    Ok(())
}

fn evaluations(migration: &mut Migration, card: &str) -> Result<(), Unedited> {
    let path = format!("{card}.evaluations");
    let Some(value) = migration.value(&path) else {
        return Ok(());
    };
    let name = name(migration, card)?;
    let items = value.as_array().cloned().unwrap_or_default();
    for mut record in items {
        let Some(fields) = record.as_object_mut() else {
            return Err(Unedited::at(&path, "an item is no mapping"));
        };
        let model = fields.insert("model".to_owned(), Value::from(name.as_str()));
        if model.is_some_and(|model| model != name.as_str()) {
            return Err(Unedited::at(&path, "an item names another model"));
        }
        add(migration, &path, &record)?;
    }
    migration.note(&path, format!("is now in {RECORDS}"));
    Ok(())
}

fn quality(migration: &mut Migration, card: &str) -> Result<(), Unedited> {
    let path = format!("{card}.quality_score");
    let Some(score) = migration.value(&path) else {
        return Ok(());
    };
    if score.is_null() {
        return Ok(());
    }
    let name = name(migration, card)?;
    let record = json!({"model": name, "benchmark": OPERATOR_RATING, "metrics": {"score": score}});
    add(migration, &path, &record)?;
    migration.note(
        &path,
        format!("is now a record of {OPERATOR_RATING} in {RECORDS}"),
    );
    Ok(())
}

fn name(migration: &Migration, card: &str) -> Result<String, Unedited> {
    let name = migration.text(&format!("{card}.name"));
    let name = name.filter(|name| !name.is_empty());
    Ok(name
        .ok_or_else(|| Unedited::at(card, "it has no name"))?
        .to_owned())
}

/// Adds a record, unless it is there.
fn add(migration: &mut Migration, path: &str, record: &Value) -> Result<(), Unedited> {
    let known = migration.value(RECORDS).unwrap_or_default();
    let mut known = known.as_array().into_iter().flatten();
    match known.find(|other| subject(other) == subject(record)) {
        None => {}
        Some(other) if other == record => return Ok(()),
        Some(_) => {
            return Err(Unedited::at(
                path,
                &format!("{RECORDS} has another value for it"),
            ));
        }
    }
    let part = |path: &str| migration.draft.at(path);
    if part(RECORDS).is_some_and(|it| it.is_list()) {
        migration.draft.push(RECORDS, record)
    } else if part(RECORDS).is_some() {
        migration.draft.set(RECORDS, &json!([record]))
    } else if part("evaluation").is_some_and(|it| it.is_mapping()) {
        migration
            .draft
            .insert("evaluation", "records", &json!([record]))
    } else if part("evaluation").is_some() {
        migration
            .draft
            .set("evaluation", &json!({"records": [record]}))
    } else {
        migration
            .draft
            .insert("", "evaluation", &json!({"records": [record]}))
    }
}

/// Returns what a record is about.
fn subject(record: &Value) -> [&Value; 4] {
    [
        "model",
        "benchmark",
        "benchmark_profile",
        "reasoning_effort",
    ]
    .map(|key| &record[key])
}

/// Names cards and records of models of the catalog by their id.
pub(super) fn catalog(migration: &mut Migration) -> Result<(), Unedited> {
    let models = migration.draft.matching("providers.models[]");
    let ids: HashMap<String, String> = models
        .iter()
        .filter_map(|model| {
            let name = migration.text(&format!("{model}.name"))?;
            let id = migration.text(&format!("{model}.catalog"))?;
            Some((name.to_owned(), id.to_owned()))
        })
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    for (list, key) in [(CARDS, "name"), (RECORDS, "model")] {
        for item in migration.draft.matching(&format!("{list}[]")) {
            let path = format!("{item}.{key}");
            let id = migration
                .text(&path)
                .and_then(|name| ids.get(name))
                .cloned();
            if let Some(id) = id.filter(|id| migration.text(&path) != Some(id)) {
                migration.note(&path, format!("is now {id}"));
                migration.draft.set(&path, &Value::from(id))?;
            }
        }
    }
    merge_cards(migration)?;
    merge_records(migration)
}

/// Makes one card of those of one name.
fn merge_cards(migration: &mut Migration) -> Result<(), Unedited> {
    let cards = migration.draft.matching("routing.modelCards[]");
    for (index, card) in cards.iter().enumerate().rev() {
        let name = migration.text(&format!("{card}.name")).map(str::to_owned);
        let first = cards
            .iter()
            .take(index)
            .find(|first| migration.text(&format!("{first}.name")) == name.as_deref());
        let Some(first) = first.filter(|_| name.is_some()) else {
            continue;
        };
        let value = migration.value(card).unwrap_or_default();
        for (key, value) in value.as_object().into_iter().flatten() {
            match migration.value(&format!("{first}.{key}")) {
                None => migration.draft.insert(first, key, value)?,
                Some(same) if same == *value => {}
                Some(_) => {
                    let why =
                        format!("`{key}` differs from that of {first}, which has the same id");
                    return Err(Unedited::at(card, &why));
                }
            }
        }
        migration.note(card, format!("is now one with {first}"));
        migration.draft.remove(card)?;
    }
    Ok(())
}

/// Makes one record of those that say the same of one subject.
fn merge_records(migration: &mut Migration) -> Result<(), Unedited> {
    let records = migration.value(RECORDS).unwrap_or_default();
    let records = records.as_array().cloned().unwrap_or_default();
    for (index, record) in records.iter().enumerate().rev() {
        let mut before = records.iter().take(index);
        let path = format!("{RECORDS}[{index}]");
        match before.find(|other| subject(other) == subject(record)) {
            Some(same) if same == record => {
                migration.note(&path, "is gone; it stood twice");
                migration.draft.remove(&path)?;
            }
            Some(_) => return Err(Unedited::at(&path, "another record of its model differs")),
            None => {}
        }
    }
    Ok(())
}
