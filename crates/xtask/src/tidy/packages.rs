//! The packages of other people: their licences, those that we refuse, and those that are there
//! twice. What `cargo deny` checks, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::{advisories, licence};

/// Packages that may not be in the graph, by whatever way, and why.
const REFUSED: [(&str, &str); 14] = [
    ("aws-lc-rs", "a second cryptography library; ring is ours"),
    ("aws-lc-sys", "a second cryptography library; ring is ours"),
    (
        "openssl",
        "TLS is rustls, so that the image needs no library",
    ),
    (
        "openssl-sys",
        "TLS is rustls, so that the image needs no library",
    ),
    (
        "native-tls",
        "TLS is rustls, so that the image needs no library",
    ),
    (
        "reqwest",
        "the HTTP client is hyper, with our own connector",
    ),
    ("ureq", "the HTTP client is hyper, with our own connector"),
    ("hf-hub", "nothing is downloaded at run time"),
    (
        "onig",
        "a C library; tokenizers reads patterns with fancy-regex",
    ),
    (
        "onig_sys",
        "a C library; tokenizers reads patterns with fancy-regex",
    ),
    ("async-std", "a second runtime, no longer maintained"),
    (
        "serde_yaml",
        "no longer maintained; documents are read by granit-parser",
    ),
    (
        "yaml-rust",
        "no longer maintained; documents are read by granit-parser",
    ),
    ("git2", "a C library for what the command `git` does"),
];

/// A package that is in the graph in several versions, because others ask for them.
struct Duplicate {
    name: &'static str,
    versions: usize,
    reason: &'static str,
}

/// Every duplicate, with the packages that keep the older versions. A new one is a reviewed line
/// here.
const DUPLICATES: [Duplicate; 23] = [
    Duplicate {
        name: "base64",
        versions: 3,
        reason: "0.13 by spm_precompiled (tokenizers), 0.23 by pem (rcgen, tests only)",
    },
    Duplicate {
        name: "bit-set",
        versions: 2,
        reason: "0.11 by antlr4rust (cel, tests only)",
    },
    Duplicate {
        name: "bit-vec",
        versions: 3,
        reason: "0.9 by yasna (rcgen) and 0.10 by antlr4rust (cel), both tests only",
    },
    Duplicate {
        name: "block-buffer",
        versions: 2,
        reason: "0.12 by digest 0.11",
    },
    Duplicate {
        name: "const-oid",
        versions: 2,
        reason: "0.10 by digest 0.11",
    },
    Duplicate {
        name: "cpufeatures",
        versions: 2,
        reason: "0.2 by sha2 0.10, 0.3 by chacha20 (proptest, tests only)",
    },
    Duplicate {
        name: "crypto-common",
        versions: 2,
        reason: "0.2 by digest 0.11",
    },
    Duplicate {
        name: "digest",
        versions: 2,
        reason: "0.11 by sha2 0.11 and hmac 0.13",
    },
    Duplicate {
        name: "fallible-iterator",
        versions: 2,
        reason: "0.2 by postgres-protocol",
    },
    Duplicate {
        name: "fancy-regex",
        versions: 2,
        reason: "0.17 by tokenizers, 0.20 by jsonschema (tests only)",
    },
    Duplicate {
        name: "foldhash",
        versions: 2,
        reason: "0.1 by hashbrown 0.15",
    },
    Duplicate {
        name: "getrandom",
        versions: 3,
        reason: "0.2 by ring, 0.3 by ours, ahash and rand 0.9, 0.4 by tempfile (tests only)",
    },
    Duplicate {
        name: "hashbrown",
        versions: 3,
        reason: "0.15 by cached (tokenizers), 0.16 by safetensors",
    },
    Duplicate {
        name: "hmac",
        versions: 2,
        reason: "0.13 by postgres-protocol",
    },
    Duplicate {
        name: "itertools",
        versions: 3,
        reason: "0.13 by criterion, 0.14 by tokenizers, 0.15 by prost-derive",
    },
    Duplicate {
        name: "phf",
        versions: 2,
        reason: "0.12 by chrono-tz (cel, tests only)",
    },
    Duplicate {
        name: "phf_shared",
        versions: 2,
        reason: "0.12 by chrono-tz (cel, tests only)",
    },
    Duplicate {
        name: "rand",
        versions: 2,
        reason: "0.9 by tokenizers and opentelemetry_sdk, 0.10 by proptest (tests only)",
    },
    Duplicate {
        name: "rand_core",
        versions: 2,
        reason: "follows rand",
    },
    Duplicate {
        name: "sha2",
        versions: 2,
        reason: "0.11 by postgres-protocol",
    },
    Duplicate {
        name: "syn",
        versions: 2,
        reason: "2 by derive_builder and monostate (tokenizers) and others; builds only",
    },
    Duplicate {
        name: "synstructure",
        versions: 2,
        reason: "0.13 by asn1-rs-derive (rcgen, tests only)",
    },
    Duplicate {
        name: "unicode-width",
        versions: 2,
        reason: "0.1 by miette (protox, builds only)",
    },
];

/// One package of the graph.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    licence: Option<&'a str>,
}

/// Checks the whole graph of `cargo metadata`, our own packages included.
pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo lists no packages")?;
    let packages: Vec<Package> = packages.iter().map(read).collect::<Result<_>>()?;

    let mut findings: Vec<Finding> = packages.iter().filter_map(wrong_licence).collect();
    findings.extend(packages.iter().filter_map(refused));
    findings.extend(duplicates(&packages));
    let names = packages.iter().map(|package| package.name).collect();
    findings.extend(advisories::check(&names));
    Ok(findings)
}

fn read(package: &Value) -> Result<Package<'_>> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    Ok(Package {
        name: text("name").context("a package without a name")?,
        version: text("version").context("a package without a version")?,
        licence: text("license"),
    })
}

fn wrong_licence(package: &Package) -> Option<Finding> {
    let Package {
        name,
        version,
        licence,
    } = package;
    match licence {
        Some(licence) if licence::allows(licence) => None,
        Some(licence) => Some(format!(
            "Cargo.lock: {name} {version} is under `{licence}`, which tidy's list does not allow"
        )),
        None => Some(format!("Cargo.lock: {name} {version} names no licence")),
    }
}

fn refused(package: &Package) -> Option<Finding> {
    let (name, reason) = REFUSED.iter().find(|(name, _)| *name == package.name)?;
    Some(format!("Cargo.lock: {name} is refused: {reason}"))
}

fn duplicates(packages: &[Package]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let more = versions.iter().filter_map(|(name, found)| {
        let known = DUPLICATES.iter().find(|known| known.name == *name);
        let allowed = known.map_or(1, |known| known.versions);
        let listed = found.iter().copied().collect::<Vec<_>>().join(", ");
        (found.len() > allowed).then(|| {
            format!("Cargo.lock: {name} is there in {listed}; tidy's list allows {allowed}")
        })
    });
    let fewer = DUPLICATES.iter().filter_map(|known| {
        let found = versions.get(known.name).map_or(0, BTreeSet::len);
        (found < known.versions).then(|| {
            format!(
                "Cargo.lock: {} is there in {found} versions; tidy's list still says {} ({})",
                known.name, known.versions, known.reason
            )
        })
    });
    more.chain(fewer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package<'a>(name: &'a str, version: &'a str, licence: &'a str) -> Package<'a> {
        Package {
            name,
            version,
            licence: Some(licence),
        }
    }

    #[test]
    fn licences_and_refused_packages_are_found() {
        assert!(wrong_licence(&package("a", "1", "MIT OR GPL-3.0")).is_none());
        assert!(wrong_licence(&package("a", "1", "GPL-3.0")).is_some());
        let silent = Package {
            licence: None,
            ..package("a", "1", "")
        };
        assert!(wrong_licence(&silent).is_some());
        assert!(refused(&package("openssl", "0.10", "Apache-2.0")).is_some());
        assert!(refused(&package("ring", "0.17", "ISC")).is_none());
    }

    #[test]
    fn more_and_fewer_versions_than_listed_are_found() {
        let listed = DUPLICATES.iter().flat_map(|known| {
            let numbers = ["1", "2", "3", "4"].into_iter().take(known.versions);
            numbers.map(|version| package(known.name, version, "MIT"))
        });
        let mut packages: Vec<Package> = listed.collect();
        assert!(duplicates(&packages).is_empty());

        packages.push(package("new", "1", "MIT"));
        packages.push(package("new", "2", "MIT"));
        assert_eq!(duplicates(&packages).len(), 1);

        packages.remove(0);
        assert_eq!(duplicates(&packages).len(), 2);
    }
}
