//! `global.server.pool`, and whether algorithms that measure have something to measure.
//!
//! Latency and load come from responses that Merit sees (profile `observe`, or `auto` where the
//! gateway shows them), from Envoy's access log (time to the first byte and load, no time per
//! token) or from the models' own metrics. A document of the reference names none of these and was
//! servable, so what `auto` may bring or an algorithm does without is a warning; an error is only
//! what was written to be measured while every source is ruled out.

use super::Scope;
use super::models::known_model;
use crate::algorithms::Algorithm;
use crate::config::Document;
use crate::config::decisions::Decision;
use crate::config::pool::PoolSettings;
use document::Findings;
use selection::algorithms::method::{Measured, Need};

/// Samples that may be kept of each model: they are sorted with every response.
const SAMPLES_MAX: u32 = 100_000;
/// Pages of metrics.
const PAGES_MAX: usize = 1_024;

pub(super) fn settings(document: &Document, findings: &mut Findings) {
    let pool = &document.global.server.pool;
    let path = "global.server.pool";
    if !(1..=SAMPLES_MAX).contains(&pool.samples) {
        findings.error(
            format!("{path}.samples"),
            format!("must be 1 to {SAMPLES_MAX}"),
        );
    }
    if pool.scrape_interval_ms < 100 {
        findings.error(format!("{path}.scrape_interval_ms"), "must be 100 or more");
    }
    if pool.rest_after_errors > 0 && pool.rest_seconds == 0 {
        findings.error(
            format!("{path}.rest_seconds"),
            "must be above 0; `rest_after_errors: 0` never rests a model",
        );
    }
    if pool.rest_max_seconds < pool.rest_seconds {
        findings.warn(
            format!("{path}.rest_max_seconds"),
            "is shorter than `rest_seconds`, which counts then",
        );
    }
    if pool.scrape.len() > PAGES_MAX {
        findings.error(
            format!("{path}.scrape"),
            format!("has more than {PAGES_MAX} pages"),
        );
    }
    for (index, target) in pool.scrape.iter().enumerate() {
        let path = format!("{path}.scrape[{index}]");
        if target.model.trim().is_empty() {
            findings.error(&path, "`model` is missing");
        }
        known_model(
            document,
            &format!("{path}.model"),
            target.model.trim(),
            findings,
        );
        let url = target.url.trim();
        let host = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            findings.error(
                format!("{path}.url"),
                "must be a URL that begins with http:// or https://",
            );
        }
    }
}

/// Warns of, or refuses, a decision whose algorithm has nothing to measure by.
pub(super) fn sources(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    if decision.model_refs.len() < 2 {
        return;
    }
    let server = &scope.document.global.server;
    let sources = Sources {
        may_see: server.profile != "route",
        sees: server.profile == "observe",
        logged: server.pool.access_log,
        scraped: scrapes(&server.pool, decision),
    };
    let live = scope
        .document
        .policies()
        .any(|(name, at, _)| at == scope.signals.path && scope.document.is_live(name));
    let algorithm = decision.algorithm.as_ref();
    for need in algorithm.map(Algorithm::measures).unwrap_or_default() {
        let Some(verdict) = sources.lack(&need) else {
            continue;
        };
        let path = format!("{path}.algorithm.{}", need.path);
        let message = format!("{} {verdict}", need.what);
        if need.is_written && live && !sources.may(need.figure) {
            findings.error(path, message);
        } else {
            findings.warn(path, message);
        }
    }
}

fn scrapes(pool: &PoolSettings, decision: &Decision) -> bool {
    pool.scrape.iter().any(|target| {
        decision
            .model_refs
            .iter()
            .any(|candidate| candidate.model == target.model.trim())
    })
}

/// Where figures may come from.
struct Sources {
    may_see: bool,
    sees: bool,
    logged: bool,
    scraped: bool,
}

impl Sources {
    /// Some gateway could bring the figure under this document.
    fn may(&self, figure: Measured) -> bool {
        self.may_see || self.scraped || (self.logged && figure != Measured::PerToken)
    }

    /// Why the figure is missing, or may be.
    fn lack(&self, need: &Need) -> Option<String> {
        if self.sees || self.scraped || (self.logged && need.figure != Measured::PerToken) {
            return None;
        }
        let log = if need.figure == Measured::PerToken {
            "name the models' metrics in `global.server.pool.scrape` (the access log tells no tokens)"
        } else {
            "set `global.server.pool.access_log`, name the models' metrics in `global.server.pool.scrape`"
        };
        Some(if self.may_see {
            format!(
                "is measured only where the gateway shows responses: {log}, or set `global.server.profile: observe`"
            )
        } else {
            format!("is measured by nothing: {log}, or observe responses (`global.server.profile`)")
        })
    }
}
