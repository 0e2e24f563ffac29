//! Two spellings of one document, one reader: keys that v0.4 renamed are read where the typed
//! document has them, and a document is told which spelling it has.

use super::verdicts::{self, Blocks, VERDICTS};
use document::{Moved, Places, Problem, Respelled, Severity, push_key};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A key that v0.4 renamed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rename {
    /// Path of the block that holds it.
    pub(super) block: &'static str,
    /// Its name before.
    pub(super) old: &'static str,
    /// Its name since.
    pub(super) new: &'static str,
    /// Which of the two the typed document has.
    pub(super) read: Spelling,
}

/// One of the two spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Before v0.4.
    Old,
    /// Since v0.4.
    New,
}

/// The keys that v0.4 renamed within their block.
pub(super) const RENAMES: [Rename; 3] = [
    Rename {
        block: "providers.defaults",
        old: "default_model",
        new: "model",
        read: Spelling::Old,
    },
    Rename {
        block: "providers.defaults",
        old: "default_reasoning_effort",
        new: "reasoning_effort",
        read: Spelling::Old,
    },
    Rename {
        block: "global.stores",
        old: "semantic_cache",
        new: "response_cache",
        read: Spelling::New,
    },
];

impl Rename {
    /// Returns the name that the typed document has, and the other.
    pub(super) fn names(&self) -> (&'static str, &'static str) {
        match self.read {
            Spelling::Old => (self.old, self.new),
            Spelling::New => (self.new, self.old),
        }
    }
}

/// Old keys whose newer form is not a name in the same block, as [`verdicts`] writes paths.
const OLD_FORMS: [&str; 11] = [
    "providers.defaults.reasoning_families",
    "providers.models[].reasoning_family",
    "providers.models[].backend_refs[].type",
    "routing.modelCards[].quality_score",
    "routing.decisions[].plugins[semantic-cache]",
    "routing.decisions[].plugins[semantic_cache]",
    "routing.decisions[].plugins[response-cache]",
    "routing.decisions[].plugins[tools].configuration.dynamic_retrieval=false",
    "routing.decisions[].plugins[tools].configuration.dynamic_retrieval=true",
    "global.model_catalog.modules.prompt_guard.protocol",
    "global.router.learning.state_store.backend=memory",
];

/// The benchmark by which an operator rates models.
const OPERATOR_RATING: &str = "vllm-sr/operator-rating@1.0.0";

/// Brings a document to the spelling of its type.
pub(super) fn respell(document: &mut Value) -> Respelled {
    let mut respelling = Respelling::default();
    for rename in &RENAMES {
        each_block(document, rename.block, &mut |path, block| {
            respelling.rename(path, block, rename);
        });
    }
    each_block(document, "providers.models[]", &mut |path, model| {
        respelling.provider_alone(path, model);
    });
    let store = "global.router.learning.state_store";
    each_block(document, store, &mut |_, store| {
        if store.get("backend") == Some(&Value::from("local")) {
            store.insert("backend".to_owned(), Value::from("memory"));
        }
    });
    for recipe in ["routing", "recipes[].routing"] {
        let plugins = format!("{recipe}.decisions[].plugins[].configuration");
        each_block(document, &plugins, &mut |path, plugin| {
            respelling.cache_controls(path, plugin);
            dynamic_retrieval(plugin);
        });
    }
    respelling.guard(document);
    respelling.ratings(document);
    respelling.done
}

#[derive(Default)]
struct Respelling {
    done: Respelled,
}

impl Respelling {
    /// Reads a key where the type has it, whichever name it is written by.
    fn rename(&mut self, path: &str, block: &mut Map<String, Value>, rename: &Rename) {
        let (read, other) = rename.names();
        let Some(value) = block.remove(other) else {
            return;
        };
        match block.get(read).filter(|own| !is_empty(own)) {
            Some(own) => {
                self.same(at(path, rename.old), &at(path, rename.new), *own == value);
            }
            None => {
                self.done.moved.push(Moved {
                    written: at(path, other),
                    read: at(path, read),
                });
                block.insert(read.to_owned(), value);
            }
        }
    }

    /// Says that one fact is written in both spellings.
    fn same(&mut self, older: String, newer: &str, is_equal: bool) {
        let (severity, how) = match is_equal {
            true => (Severity::Warning, "say the same thing"),
            false => (Severity::Error, "say the same thing differently"),
        };
        let message = format!("`{older}` and `{newer}` {how}: keep `{newer}`, the newer spelling");
        self.done
            .problems
            .push(Problem::new(severity, older, message));
    }

    /// A backend that is a provider alone means the provider's own API.
    fn provider_alone(&mut self, path: &str, model: &mut Map<String, Value>) {
        let has_format = model.get("api_format").is_some_and(|it| !is_empty(it));
        let backends = model.get("backend_refs").and_then(Value::as_array);
        let is_anthropic = |backend: &Value| {
            let is_at = |key: &str| backend.get(key).is_some_and(|it| !is_empty(it));
            backend.get("provider") == Some(&Value::from("anthropic"))
                && !is_at("endpoint")
                && !is_at("base_url")
        };
        let index = backends.into_iter().flatten().position(is_anthropic);
        let Some(index) = index.filter(|_| !has_format) else {
            return;
        };
        model.insert("api_format".to_owned(), Value::from("anthropic"));
        self.done.moved.push(Moved {
            written: format!("{path}.backend_refs[{index}].provider"),
            read: at(path, "api_format"),
        });
    }

    /// Reads the flat controls of a response cache in their block.
    fn cache_controls(&mut self, path: &str, plugin: &mut Map<String, Value>) {
        for (old, new) in [
            ("allow_request_controls", "enabled"),
            ("control_header", "header"),
        ] {
            let Some(value) = plugin.remove(old) else {
                continue;
            };
            let block = plugin
                .entry("request_controls")
                .or_insert_with(|| Value::Object(Map::new()));
            let Some(block) = block.as_object_mut() else {
                continue;
            };
            let newer = format!("{path}.request_controls.{new}");
            if let Some(other) = block.get(new) {
                self.same(at(path, old), &newer, *other == value);
                continue;
            }
            let message = format!("is old: write `request_controls.{new}`");
            let older = at(path, old);
            self.done.problems.push(Problem::warning(&older, message));
            self.done.moved.push(Moved {
                written: older,
                read: newer,
            });
            block.insert(new.to_owned(), value);
        }
    }

    /// Reads the guard's `backend` where the type has its `protocol` and the role of its model.
    fn guard(&mut self, document: &mut Value) {
        const GUARD: &str = "global.model_catalog.modules.prompt_guard";
        let mut named = None;
        each_block(document, GUARD, &mut |path, guard| {
            let backend = guard.get("backend").and_then(Value::as_object);
            let word = |key: &str| {
                let value = backend.and_then(|backend| backend.get(key))?;
                Some(value.as_str()?.to_owned()).filter(|word| !word.is_empty())
            };
            named = word("model");
            let Some(protocol) = word("protocol") else {
                return;
            };
            let newer = format!("{path}.backend.protocol");
            match guard.get("protocol").filter(|own| !is_empty(own)) {
                Some(own) => self.same(at(path, "protocol"), &newer, *own == *protocol),
                None => {
                    self.done.moved.push(Moved {
                        written: newer,
                        read: at(path, "protocol"),
                    });
                    guard.insert("protocol".to_owned(), Value::from(protocol));
                }
            }
        });
        if let Some(model) = named {
            self.guard_model(document, &model);
        }
    }

    /// Gives the model that the guard's `backend` names the role by which it is found.
    fn guard_model(&mut self, document: &mut Value, model: &str) {
        const MODEL: &str = "global.model_catalog.modules.prompt_guard.backend.model";
        let external = document.pointer_mut("/global/model_catalog/external");
        let external = external.and_then(Value::as_array_mut);
        let mut is_known = false;
        for (index, entry) in external.into_iter().flatten().enumerate() {
            let has = |key: &str, word: &str| entry.get(key) == Some(&Value::from(word));
            let (is_named, is_guard) = (has("name", model), has("model_role", "guardrail"));
            if is_named {
                is_known = true;
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("model_role".to_owned(), Value::from("guardrail"));
                }
            } else if is_guard {
                let message = format!(
                    "the guard asks `{model}`, but global.model_catalog.external[{index}] has the role `guardrail`"
                );
                self.done.problems.push(Problem::error(MODEL, message));
            }
        }
        if !is_known {
            let message = format!("no external model is called `{model}`");
            self.done.problems.push(Problem::error(MODEL, message));
        }
    }

    /// Reads the operator's ratings as the quality of the model cards.
    fn ratings(&mut self, document: &mut Value) {
        let records = document.pointer("/evaluation/records").cloned();
        let records = records.as_ref().and_then(Value::as_array);
        for (index, record) in records.into_iter().flatten().enumerate() {
            let is_rating = record.get("benchmark") == Some(&Value::from(OPERATOR_RATING));
            let effort = record
                .get("reasoning_effort")
                .filter(|word| !is_empty(word));
            let score = record.pointer("/metrics/score");
            let model = record.get("model").and_then(Value::as_str);
            if let (true, None, Some(score), Some(model)) = (is_rating, effort, score, model) {
                let written = format!("evaluation.records[{index}].metrics.score");
                self.rating(document, model, score, written);
            }
        }
    }

    fn rating(&mut self, document: &mut Value, model: &str, score: &Value, written: String) {
        let Some(routing) = object_at(document, "routing") else {
            return;
        };
        let cards = routing
            .entry("modelCards")
            .or_insert_with(|| Value::Array(Vec::new()));
        let Some(cards) = cards.as_array_mut() else {
            return;
        };
        let named = |card: &Value| card.get("name") == Some(&Value::from(model));
        let index = cards.iter().position(named).unwrap_or(cards.len());
        if index == cards.len() {
            cards.push(Value::Object(Map::from_iter([(
                "name".to_owned(),
                Value::from(model),
            )])));
        }
        let path = format!("routing.modelCards[{index}].quality_score");
        let Some(card) = cards.get_mut(index).and_then(Value::as_object_mut) else {
            return;
        };
        match card.get("quality_score") {
            Some(own) => self.same(path, &written, own.as_f64() == score.as_f64()),
            None => {
                card.insert("quality_score".to_owned(), score.clone());
                self.done.moved.push(Moved {
                    written,
                    read: path,
                });
            }
        }
    }
}

/// A boolean in place of the block means `enabled`.
fn dynamic_retrieval(plugin: &mut Map<String, Value>) {
    if let Some(value @ Value::Bool(_)) = plugin.get_mut("dynamic_retrieval") {
        let enabled = value.take();
        *value = Value::Object(Map::from_iter([("enabled".to_owned(), enabled)]));
    }
}

fn object_at<'a>(document: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let root = document.as_object_mut()?;
    let value = root.entry(key).or_insert_with(|| Value::Object(Map::new()));
    value.as_object_mut()
}

fn is_empty(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty)
}

fn at(path: &str, key: &str) -> String {
    let mut path = path.to_owned();
    push_key(&mut path, key);
    path
}

/// Calls `act` with the path and the fields of every block of a pattern like `a.b[].c`.
fn each_block(
    value: &mut Value,
    pattern: &str,
    act: &mut dyn FnMut(&str, &mut Map<String, Value>),
) {
    let steps: Vec<&str> = pattern.split('.').collect();
    descend(value, &steps, "", act);
}

fn descend(
    value: &mut Value,
    steps: &[&str],
    path: &str,
    act: &mut dyn FnMut(&str, &mut Map<String, Value>),
) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    let Some((step, rest)) = steps.split_first() else {
        return act(path, fields);
    };
    let key = step.strip_suffix("[]").unwrap_or(step);
    let path = at(path, key);
    match fields.get_mut(key) {
        Some(Value::Array(items)) if key != *step => {
            for (index, item) in items.iter_mut().enumerate() {
                descend(item, rest, &format!("{path}[{index}]"), act);
            }
        }
        Some(value) if key == *step => descend(value, rest, &path, act),
        _ => {}
    }
}

/// Says which spelling a document has, and what decided it; lists old keys of a new one.
pub(super) fn report(written: &Value, places: &Places) -> Vec<Problem> {
    let line = |path: &String| places.locate(path).unwrap_or_default();
    let mut new: Vec<String> = new_keys(written);
    new.sort_by_key(line);
    let Some(first) = new.into_iter().next() else {
        let message = "the document is in the old spelling: it has no key of v0.4";
        return vec![Problem::new(Severity::Note, "version", message)];
    };

    let message =
        "decides that the document is in the new spelling, of v0.4: it is the first key of that";
    let mut problems = vec![Problem::new(Severity::Note, first, message)];
    let mut old = old_keys(written);
    old.sort_by_key(line);
    if let Some(first) = old.first().cloned() {
        let mut seen = BTreeSet::new();
        let keys = old.iter().map(|path| document::pattern(path));
        let keys: Vec<String> = keys.filter(|key| seen.insert(key.clone())).collect();
        let message = format!(
            "old spelling in a document of the new one: {}; `merit migrate` rewrites it",
            keys.join(", ")
        );
        problems.push(Problem::warning(first, message));
    }
    problems
}

/// Tells whether a document has a key of v0.4.
pub(super) fn is_new(written: &Value) -> bool {
    !new_keys(written).is_empty()
}

/// Tells whether a document has a key that v0.4 writes in another way.
pub(super) fn is_old(written: &Value) -> bool {
    !old_keys(written).is_empty()
}

/// Returns the places of all keys of v0.4.
fn new_keys(written: &Value) -> Vec<String> {
    let rows = VERDICTS.iter().map(|row| row.path);
    let found = verdicts::occurrences(written, rows, Blocks::All);
    let old = old_keys(written);
    let places = found.into_values().flatten();
    places.filter(|path| !old.contains(path)).collect()
}

/// Returns the places of all keys that v0.4 writes in another way.
fn old_keys(written: &Value) -> Vec<String> {
    let renamed = RENAMES
        .iter()
        .map(|rename| verdicts::below(rename.block, rename.old));
    let others = OLD_FORMS.iter().map(|row| (*row).to_owned());
    let rows: Vec<String> = renamed.chain(others).collect();
    let rows = rows.iter().map(String::as_str);
    let found = verdicts::occurrences(written, rows, Blocks::All);
    found.into_values().flatten().collect()
}
