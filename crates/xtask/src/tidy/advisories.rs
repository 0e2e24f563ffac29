//! Packages that RustSec advises against because nobody maintains them.
//!
//! The database itself is a git repository and in no package registry, so `ci` asks `cargo audit`
//! where that is installed and can fetch it. This list holds without it: the advised packages that
//! a dependency is likely to bring, and the ones that we live with.

use std::collections::BTreeSet;

use super::Finding;

/// A package that is advised against and that we live with.
pub(crate) struct Exception {
    name: &'static str,
    /// The advisory, for `cargo audit --ignore`.
    pub(crate) id: &'static str,
    /// Who brings it, and why that does no harm.
    reason: &'static str,
}

/// Every exception. They are about upkeep; vulnerabilities are not excepted.
pub(crate) const EXCEPTIONS: [Exception; 2] = [
    Exception {
        name: "fxhash",
        id: "RUSTSEC-2025-0057",
        reason: "by bm25; a hash function without a fault, in maps of words of the document",
    },
    Exception {
        name: "paste",
        id: "RUSTSEC-2024-0436",
        reason: "by tokenizers; a macro that runs when we build, on its own sources",
    },
];

/// Packages without a maintainer, those of [`EXCEPTIONS`] included.
const UNMAINTAINED: [&str; 32] = [
    "adler",
    "ansi_term",
    "async-std",
    "atty",
    "backoff",
    "bincode",
    "buf_redux",
    "daemonize",
    "derivative",
    "dotenv",
    "encoding",
    "failure",
    "fxhash",
    "gcc",
    "instant",
    "json",
    "mach",
    "net2",
    "number_prefix",
    "paste",
    "proc-macro-error",
    "rust-crypto",
    "rustls-pemfile",
    "safemem",
    "serde_cbor",
    "serde_yml",
    "stdweb",
    "tempdir",
    "term_size",
    "users",
    "wee_alloc",
    "yaml-rust",
];

/// Checks the names of all packages of the graph.
pub(super) fn check(names: &BTreeSet<&str>) -> Vec<Finding> {
    let is_known = |name: &str| EXCEPTIONS.iter().any(|known| known.name == name);
    let advised = UNMAINTAINED
        .into_iter()
        .filter(|name| names.contains(name) && !is_known(name))
        .map(|name| {
            format!("Cargo.lock: {name} is no longer maintained; take another, or add an exception")
        });
    let gone = EXCEPTIONS
        .iter()
        .filter(|known| !names.contains(known.name))
        .map(|known| {
            let Exception { name, reason, .. } = known;
            format!("Cargo.lock: {name} is gone; its exception ({reason}) can go, too")
        });
    advised.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_exceptions_pass() {
        let check = |names: &[&str], expected: usize| {
            let names = names.iter().copied().collect();
            assert_eq!(super::check(&names).len(), expected, "{names:?}");
        };
        check(&["fxhash", "paste", "tokio"], 0);
        check(&["fxhash", "paste", "atty"], 1);
        check(&["paste"], 1);
    }

    #[test]
    fn every_exception_is_listed_with_its_advisory() {
        for known in &EXCEPTIONS {
            assert!(UNMAINTAINED.contains(&known.name), "{}", known.name);
            assert!(known.id.starts_with("RUSTSEC-"), "{}", known.id);
        }
    }
}
