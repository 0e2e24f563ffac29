//! Algorithms and plugins of a decision: their own files say what is wrong with them.

use super::Scope;
use crate::algorithms::{Algorithm, first_router_dc};
use crate::config::decisions::Decision;
use crate::plugins;
use document::Findings;
use selection::algorithms;
use selection::algorithms::method::Checking;
use std::collections::BTreeMap;

pub(super) fn check(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    if let Some(algorithm) = &decision.algorithm {
        self::algorithm(scope, path, decision, algorithm, findings);
    }
    plugins(scope, path, decision, findings);
}

fn algorithm(
    scope: &Scope<'_>,
    path: &str,
    decision: &Decision,
    algorithm: &Algorithm,
    findings: &mut Findings,
) {
    let decisions = scope.routing.decisions.iter();
    let algorithms = decisions.filter_map(|it| Some((&*it.name, it.algorithm.as_ref()?)));
    let global = &scope.document.global;
    let mut checking = Checking {
        path: &format!("{path}.algorithm"),
        model_refs: &decision.model_refs,
        models: scope.document,
        process: global.router.model_selection.as_ref(),
        router_dc: first_router_dc(algorithms),
        buffered_deadline_ms: global.server.extproc.buffered_deadline_ms,
        findings,
    };
    algorithm.check(&mut checking);
}

fn plugins(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, plugin) in decision.plugins.iter().enumerate() {
        let path = format!("{path}.plugins[{index}]");
        plugin.check(&mut plugins::Checking {
            path: &format!("{path}.configuration"),
            routing_headers: &scope.document.global.server.routing_headers,
            findings,
        });
        if plugin.is_enabled()
            && let Some(other) = first.insert(plugin.name(), index)
        {
            let message = format!(
                "`{}` is configured twice, first in plugins[{other}]; only the first acts",
                plugin.name()
            );
            findings.warn(path, message);
        }
    }
}

/// Checks the scores of a recipe's domains, which `static` reads.
pub(super) fn scores(scope: &Scope<'_>, findings: &mut Findings) {
    let decisions = scope.routing.decisions.iter();
    let names: Vec<&str> = decisions.map(|decision| &*decision.name).collect();
    algorithms::r#static::check_scores(&scope.signals, &names, scope.document, findings);
}
