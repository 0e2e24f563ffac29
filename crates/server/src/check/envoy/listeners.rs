//! Rules about the listener that an ext_proc filter is part of, and about its routes.

use super::{duration, warning};
use document::Problem;
use router::plan::surface::is_owned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// Envoy's limit on a route that names none.
const ROUTE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// As long as the SDKs of providers wait for an answer.
const ANSWER: Duration = Duration::from_secs(600);
/// How long a model that reasons may send nothing, at least.
const SILENCE: Duration = Duration::from_secs(60);

/// One HTTP connection manager.
pub(super) struct Manager<'a> {
    path: &'a str,
    config: &'a Value,
}

impl<'a> Manager<'a> {
    pub(super) fn of(path: &'a str, config: &'a Value) -> Self {
        Self { path, config }
    }

    /// Tells whether the filter at `path` is one of its own.
    pub(super) fn has(&self, path: &str) -> bool {
        let inside = path.strip_prefix(self.path);
        inside.is_some_and(|rest| rest.starts_with(".http_filters["))
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        found.extend(self.early_removal());
        found.extend(self.escaped_slashes());
        found.extend(self.idle());
        for (path, route) in self.routes() {
            found.extend(timeouts(&path, route));
        }
        found.extend(self.retries());
        found
    }

    fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The routes that lead to a cluster.
    fn routes(&self) -> Vec<(String, &'a Value)> {
        let mut routes = Vec::new();
        super::walk(
            &self.config["route_config"],
            &self.at("route_config"),
            &mut |path, value| {
                if value.get("match").is_some() && value["route"].is_object() {
                    routes.push((format!("{path}.route"), &value["route"]));
                }
            },
        );
        routes
    }

    /// Headers of Merit's that routes match must be gone before the first route is chosen.
    fn early_removal(&self) -> Option<Problem> {
        let mut matched = BTreeSet::from(["x-selected-model"]);
        super::walk(&self.config["route_config"], "", &mut |_, value| {
            for header in value["match"]["headers"].as_array().into_iter().flatten() {
                matched.extend(header["name"].as_str().filter(|name| is_owned(name)));
            }
        });
        let removed = Removed::of(&self.config["early_header_mutation_extensions"]);
        matched.retain(|name| !removed.covers(name));
        if matched.is_empty() {
            return None;
        }
        let names: Vec<&str> = matched.into_iter().collect();
        let message = format!(
            "clients can send {} themselves, by which routes are chosen before Merit answers, and while it is down; \
             remove it here, as envoy/route.yaml does",
            names.join(" and ")
        );
        Some(warning(
            self.at("early_header_mutation_extensions"),
            message,
        ))
    }

    fn escaped_slashes(&self) -> Option<Problem> {
        let key = "path_with_escaped_slashes_action";
        let action = self.config[key].as_str().unwrap_or_default();
        let is_safe = action == "REJECT_REQUEST" || action.starts_with("UNESCAPE_");
        (!is_safe).then(|| {
            let message = "a path with `%2F` goes on as it is, and the backend may read another path than Merit did; \
                           set REJECT_REQUEST";
            warning(self.at(key), message)
        })
    }

    fn idle(&self) -> Option<Problem> {
        let key = "stream_idle_timeout";
        let limit = duration(self.config[key].as_str()?)?;
        is_short(limit, SILENCE).then(|| {
            let message = format!(
                "an answer that pauses for {limit:?} is cut, and models that reason pause for minutes"
            );
            warning(self.at(key), message)
        })
    }

    /// A model that goes silent is not tried elsewhere unless a try has a limit of its own.
    fn retries(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        super::walk(
            &self.config["route_config"],
            &self.at("route_config"),
            &mut |path, value| {
                let Some(policy) = value.get("retry_policy").filter(|it| it.is_object()) else {
                    return;
                };
                if policy["per_try_idle_timeout"].is_null() {
                    let message = "a backend that accepts a request and then says nothing is waited for, and never tried \
                               again elsewhere; set per_try_idle_timeout";
                    found.push(warning(format!("{path}.retry_policy"), message));
                }
            },
        );
        found
    }
}

fn timeouts(path: &str, route: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    match route["timeout"].as_str() {
        None => {
            let message = format!(
                "no timeout, so Envoy cuts every answer after its default of {ROUTE_TIMEOUT_DEFAULT:?}; set `timeout: 0s`"
            );
            found.push(warning(path.to_owned(), message));
        }
        Some(text) => {
            if let Some(limit) = duration(text).filter(|limit| is_short(*limit, ANSWER)) {
                let message = format!("cuts every answer after {limit:?}; set `timeout: 0s`");
                found.push(warning(format!("{path}.timeout"), message));
            }
        }
    }
    for (key, least) in [("idle_timeout", SILENCE), ("max_stream_duration", ANSWER)] {
        let written = match &route[key] {
            Value::Object(inner) => inner.get("max_stream_duration").and_then(Value::as_str),
            other => other.as_str(),
        };
        if let Some(limit) = written.and_then(duration).filter(|it| is_short(*it, least)) {
            let message = format!("cuts answers after {limit:?}");
            found.push(warning(format!("{path}.{key}"), message));
        }
    }
    found
}

/// 0 is no limit.
fn is_short(limit: Duration, least: Duration) -> bool {
    !limit.is_zero() && limit < least
}

/// The request headers that are removed before a route is chosen.
struct Removed<'a> {
    names: Vec<&'a str>,
    prefixes: Vec<&'a str>,
}

impl<'a> Removed<'a> {
    fn of(extensions: &'a Value) -> Self {
        let mut removed = Self {
            names: Vec::new(),
            prefixes: Vec::new(),
        };
        for extension in extensions.as_array().into_iter().flatten() {
            let mutations = extension["typed_config"]["mutations"].as_array();
            for mutation in mutations.into_iter().flatten() {
                let matcher = &mutation["remove_on_match"]["key_matcher"];
                removed.names.extend(mutation["remove"].as_str());
                removed.names.extend(matcher["exact"].as_str());
                removed.prefixes.extend(matcher["prefix"].as_str());
            }
        }
        removed
    }

    fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            || self
                .prefixes
                .iter()
                .any(|prefix| name.starts_with(&prefix.to_ascii_lowercase()))
    }
}
