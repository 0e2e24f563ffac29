//! From text to a document with every problem at its line.

use super::{Document, ranking, schema, spelling, verdicts};
use document::{Loaded, Places, Problem, has_errors, joined};
use serde_json::Value;

/// A document and everything that is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// The typed document without its faulty parts; `None` after a syntax error. Serve it only if
    /// there is no error.
    pub document: Option<Document>,
    /// The document as JSON, variables replaced, secrets in clear.
    pub value: Value,
    /// Everything found, in the order of the text.
    pub problems: Vec<Problem>,
    /// Where to find what later steps say.
    pub places: Places,
}

impl Checked {
    /// Tells whether nothing forbids serving the document.
    #[must_use]
    pub fn is_servable(&self) -> bool {
        self.document.is_some() && !has_errors(&self.problems)
    }
}

/// Reads a document and reports everything: form, sense, and what is not implemented.
#[must_use]
pub fn check(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Checked {
    let loaded = load(text, env);

    let mut later = Vec::new();
    if let Some(document) = &loaded.document {
        later = super::validate(document);
        later.extend(spelling::report(&loaded.written, &loaded.places));
        later.extend(ranking::report(&loaded.written, document));
        later.extend(verdicts::report(&loaded.written, document));
        later.extend(
            super::unimplemented(document)
                .into_iter()
                .map(Problem::from),
        );
    }

    Checked {
        problems: joined(loaded.problems, later, &loaded.places),
        document: loaded.document,
        value: loaded.value,
        places: loaded.places,
    }
}

/// Reads a document strictly, and says nothing of its sense.
#[must_use]
pub fn load(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Loaded<Document> {
    let mut loaded: Loaded<Document> = document::load(text, schema(), env);
    if let Some(document) = &mut loaded.document {
        document.ranking = ranking::of(&loaded.written, document);
    }
    loaded
}
