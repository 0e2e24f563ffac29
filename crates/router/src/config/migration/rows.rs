//! Rows of one key each.

use super::{Migration, beside};
use crate::config::renames::{BACKEND_TYPE, DEAD, GUARD_PROTOCOL, RENAMED};
use document::Unedited;
use serde_json::{Value, json};

/// Gives keys their new names. Where both names say the same, the old one goes.
pub(super) fn renamed(migration: &mut Migration) -> Result<(), Unedited> {
    for renamed in RENAMED {
        for path in migration.draft.matching(renamed.old) {
            let new = beside(&path, renamed.new);
            if !migration.has(&new) {
                migration.note(&path, format!("is now {new}"));
                migration.draft.rename(&path, renamed.new)?;
            } else if renamed.old == BACKEND_TYPE {
                migration.note(&path, format!("is gone; {new} says it"));
                migration.draft.remove(&path)?;
            } else if migration.value(&path) == migration.value(&new) {
                migration.note(&path, format!("is gone; {new} says the same"));
                migration.draft.remove(&path)?;
            } else {
                return Err(Unedited::at(&path, &format!("{new} says something else")));
            }
        }
    }
    Ok(())
}

/// Writes how a remote guard is reached as its backend.
pub(super) fn guard(migration: &mut Migration) -> Result<(), Unedited> {
    let path = GUARD_PROTOCOL;
    if !migration.has(path) {
        return Ok(());
    }
    let protocol = migration.text(path).unwrap_or_default().trim().to_owned();
    let contract = match protocol.as_str() {
        "" => {
            migration.note(path, "is gone; it was empty");
            return migration.draft.remove(path);
        }
        "http_chat" => "label_decision.v1",
        "http_classify" => "label_distribution.v1",
        _ => {
            return Err(Unedited::at(
                path,
                "it is neither http_chat nor http_classify",
            ));
        }
    };
    if migration.has(&beside(path, "backend")) {
        return Err(Unedited::at(path, "`backend` stands beside it"));
    }
    let model = guard_model(migration)?;

    let backend = json!({"protocol": protocol, "contract": contract, "model": model});
    migration.note(path, format!("is now {}", beside(path, "backend")));
    migration.draft.rename(path, "backend")?;
    migration.draft.set(&beside(path, "backend"), &backend)
}

/// Returns the name of the one external guard, which gets a name if it has none.
fn guard_model(migration: &mut Migration) -> Result<String, Unedited> {
    const UNNAMED: &str = "guardrail_classifier";
    let externals = migration.draft.matching("global.model_catalog.external[]");
    let role = |path: &String| {
        let role = migration.text(&format!("{path}.model_role"));
        role.is_some_and(|role| role.trim() == "guardrail")
    };
    let guards: Vec<String> = externals
        .iter()
        .filter(|path| role(path))
        .cloned()
        .collect();
    let [guard] = guards.as_slice() else {
        let why = "it needs exactly one external model with `model_role: guardrail`";
        return Err(Unedited::at(GUARD_PROTOCOL, why));
    };

    let name = format!("{guard}.name");
    match migration.text(&name).filter(|name| !name.is_empty()) {
        Some(name) => Ok(name.to_owned()),
        None => {
            let is_taken = externals
                .iter()
                .any(|path| migration.text(&format!("{path}.name")) == Some(UNNAMED));
            if is_taken || migration.has(&name) {
                return Err(Unedited::at(guard, "it has no name, and needs one"));
            }
            migration.note(guard, format!("is now called {UNNAMED}"));
            migration
                .draft
                .insert(guard, "name", &Value::from(UNNAMED))?;
            Ok(UNNAMED.to_owned())
        }
    }
}

/// Writes the store of learned state that is in the process as `local`.
pub(super) fn state_store(migration: &mut Migration) -> Result<(), Unedited> {
    let path = "global.router.learning.state_store.backend";
    if migration.text(path) != Some("memory") {
        return Ok(());
    }
    migration.note(path, "is now local");
    migration.draft.set(path, &Value::from("local"))
}

/// Takes keys away that never decided anything, if that is asked for.
pub(super) fn dead(migration: &mut Migration) -> Result<(), Unedited> {
    if !migration.drop_dead {
        return Ok(());
    }
    for path in DEAD {
        if migration.has(path) {
            migration.note(path, "is gone; it has no effect since v0.4");
            migration.draft.remove(path)?;
        }
    }
    Ok(())
}
