//! The part of a document from which one recipe's signals are made.

use crate::catalog::ModelCatalog;
use crate::families::Signals;
use crate::projection::section::Projections;
use crate::report::Kind;
use document::suggestion;
use inference::catalog::{Task, labels};

/// The signals and projections that a recipe declares, and the models that they are read by.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Path of the recipe's block, for example `recipes[0].routing`.
    pub path: &'a str,
    /// Signal rules by family.
    pub signals: &'a Signals,
    /// Signals derived from signals.
    pub projections: &'a Projections,
    /// The models that signals use.
    pub models: &'a ModelCatalog,
}

impl<'a> Scope<'a> {
    /// Returns a path inside the recipe.
    #[must_use]
    pub fn at(&self, rest: &str) -> String {
        format!("{}.{rest}", self.path)
    }

    /// Returns the path of a rule: the `index`th of its family.
    #[must_use]
    pub fn rule(&self, kind: Kind, index: usize) -> String {
        format!("{}.signals.{}[{index}]", self.path, kind.section())
    }

    /// Returns the names that a rule leaf of this family can have, as declared.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<&'a str> {
        if kind == Kind::Projection {
            let outputs = self.projections.mappings.iter().flat_map(|it| &it.outputs);
            return outputs.map(|output| output.name.as_str()).collect();
        }
        self.signals.names(kind)
    }

    /// Returns what is wrong with the name of a leaf or of an input, if anything.
    #[must_use]
    pub fn unknown_name(&self, kind: Kind, name: &str) -> Option<String> {
        let known = self.names(kind);
        let (bare, level) = match kind {
            Kind::Complexity => (
                base(name),
                name.strip_prefix(base(name)).unwrap_or_default(),
            ),
            _ => (name, ""),
        };
        if kind == Kind::Complexity && !matches!(level, ":hard" | ":medium" | ":easy") {
            let bare = if known.contains(&name) { name } else { bare };
            return Some(format!(
                "a complexity signal has a level: write `{bare}:hard`, `{bare}:medium` or `{bare}:easy`"
            ));
        }

        let built_in = kind == Kind::Domain && labels(Task::Domain).contains(&bare);
        if known.contains(&bare) || built_in {
            return None;
        }

        let bindings = &self.signals.role_bindings;
        if kind == Kind::Authz
            && let Some(binding) = bindings.iter().find(|binding| binding.name == name)
        {
            return Some(format!(
                "`{name}` is the name of a binding; a rule names the role, here `{}`",
                binding.role
            ));
        }
        let hint = suggestion(bare, known);
        Some(format!(
            "no {} signal is called `{bare}`{hint}",
            kind.as_str()
        ))
    }
}

/// Returns the rule name of a leaf like `rule:hard`.
#[must_use]
pub fn base(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(base, _)| base)
}
