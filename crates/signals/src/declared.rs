//! What a recipe declares: rule names per family, in the order of the document.
//!
//! Made once per generation from the document; partitions, decisions, the used set and eval's
//! `unmatched_signals` read it.

use crate::report::Kind;
use crate::scope::Scope;

/// Declared names. For `authz` these are binding names, for `projection` mapping outputs, else rule
/// names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    names: [Vec<String>; Kind::ALL.len()],
    categories: Vec<(String, Vec<String>)>,
}

impl Declared {
    /// Collects what a recipe declares.
    #[must_use]
    pub fn of(scope: &Scope<'_>) -> Self {
        let mut declared = Self::default();
        for kind in Kind::ALL {
            let names = match kind {
                Kind::Projection => scope.names(kind),
                _ => scope.signals.rules(kind),
            };
            names.iter().for_each(|name| declared.push(kind, name));
        }
        let domains = scope.signals.domains.iter();
        declared.categories = domains
            .map(|rule| (rule.name.clone(), rule.mmlu_categories.clone()))
            .collect();
        declared
    }

    /// Declares `name`, after those declared before.
    pub fn push(&mut self, kind: Kind, name: &str) {
        self.names[kind as usize].push(name.to_owned());
    }

    /// Declares a domain and the categories (`mmlu_categories`) that a leaf of its name also
    /// matches.
    pub fn push_domain(&mut self, name: &str, categories: &[String]) {
        self.push(Kind::Domain, name);
        self.categories.push((name.to_owned(), categories.to_vec()));
    }

    /// The names of a family in declaration order.
    #[must_use]
    pub fn names(&self, kind: Kind) -> &[String] {
        &self.names[kind as usize]
    }

    /// `kind:name` is declared; names compare case-sensitively.
    #[must_use]
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        self.names(kind).iter().any(|declared| declared == name)
    }

    /// The categories of the domain of exactly this name; empty if there is none.
    #[must_use]
    pub fn categories(&self, domain: &str) -> &[String] {
        self.categories
            .iter()
            .find(|(name, _)| name == domain)
            .map_or(&[], |(_, categories)| categories)
    }
}
