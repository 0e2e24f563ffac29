//! Rules about the routes of chosen models: each has one, and a model without one is served by
//! nobody.

use super::error;
use crate::engine::Wanted;
use document::Problem;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// Compares the routes of a connection manager with the models that documents route to. A manager
/// without routes of its own gets them from elsewhere, which is not looked at.
pub(super) fn check(path: &str, config: &Value, wanted: &Wanted) -> Vec<Problem> {
    let hosts = config["route_config"]["virtual_hosts"].as_array();
    let Some(hosts) = hosts.filter(|_| !wanted.models.is_empty()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let path = format!("{path}.route_config.virtual_hosts[{index}]");
        let routes: Vec<Route<'_>> = host["routes"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(index, route)| Route::of(format!("{path}.routes[{index}]"), route))
            .collect();
        found.extend(unrouted(&path, &routes, wanted));
        found.extend(catch_all(&routes, wanted));
    }
    found
}

/// Reports models that no route leads to.
fn unrouted(path: &str, routes: &[Route<'_>], wanted: &Wanted) -> Option<Problem> {
    let header = wanted.header.as_str();
    let names: Vec<String> = wanted
        .models
        .iter()
        .filter(|model| {
            let mut routes = routes.iter().filter(|route| route.leads_to_cluster());
            !routes.any(|route| route.is_for(header, model))
        })
        .map(|model| format!("`{model}`"))
        .collect();
    (!names.is_empty()).then(|| {
        let message = format!(
            "no route for the chosen model {}: add one that matches {header} exactly",
            names.join(", ")
        );
        error(format!("{path}.routes"), message)
    })
}

/// Reports the routes that a chosen model without a route of its own would take, by one of its
/// paths.
fn catch_all(routes: &[Route<'_>], wanted: &Wanted) -> Vec<Problem> {
    /// No model is called so.
    const NOBODY: &str = "\u{1}";
    let mut taken: BTreeMap<usize, &Route<'_>> = BTreeMap::new();
    for path in dialects::routed_paths() {
        for (index, route) in routes.iter().enumerate() {
            // One with further conditions may let requests pass to those behind it.
            if route.may_take(&path, &wanted.header, NOBODY) && route.leads_to_cluster() {
                taken.insert(index, route);
            }
            if route.takes(&path, &wanted.header, NOBODY) {
                break;
            }
        }
    }
    let report = |taken: &Route<'_>| {
        let message = format!(
            "serves every chosen model that has no route of its own, whatever boundaries allow; match only where {} is \
             absent (`present_match: false`), after a route that answers 503 where it is present",
            wanted.header
        );
        error(format!("{}.match", taken.path), message)
    };
    taken.into_values().map(report).collect()
}

/// One route.
pub(super) struct Route<'a> {
    pub(super) path: String,
    pub(super) config: &'a Value,
}

impl<'a> Route<'a> {
    pub(super) fn of(path: String, config: &'a Value) -> Self {
        Self { path, config }
    }

    pub(super) fn leads_to_cluster(&self) -> bool {
        self.config["route"].is_object()
    }

    fn headers(&self) -> impl Iterator<Item = &'a Value> {
        self.config["match"]["headers"]
            .as_array()
            .into_iter()
            .flatten()
    }

    /// Returns whether the route asks for this model by name, alone or with a group of others.
    pub(super) fn is_for(&self, header: &str, model: &str) -> bool {
        self.headers()
            .filter(|matcher| names(matcher, header))
            .any(|matcher| asks_for_a_value(matcher) && accepts(matcher, model))
    }

    /// Returns whether a request for this model, without any other header that routes match, takes
    /// the route.
    fn takes(&self, path: &str, header: &str, model: &str) -> bool {
        let asks_for_absence =
            |matcher: &Value| matcher["present_match"] == false || matcher["invert_match"] == true;
        let mut others = self.headers().filter(|matcher| !names(matcher, header));
        self.may_take(path, header, model) && others.all(asks_for_absence)
    }

    /// Returns whether a request for this model takes the route if its other headers are such.
    fn may_take(&self, path: &str, header: &str, model: &str) -> bool {
        let mut own = self.headers().filter(|matcher| names(matcher, header));
        self.is_for_path(path) && own.all(|matcher| accepts(matcher, model))
    }

    /// Returns whether the route looks at a header.
    pub(super) fn reads(&self, header: &str) -> bool {
        self.headers().any(|matcher| names(matcher, header))
    }

    /// Returns whether the route takes requests whatever their path.
    pub(super) fn takes_every_path(&self) -> bool {
        self.is_for_path("/")
    }

    pub(super) fn is_for_path(&self, path: &str) -> bool {
        let asked = &self.config["match"];
        if let Some(prefix) = asked["prefix"].as_str() {
            path.starts_with(prefix)
        } else if let Some(prefix) = asked["path_separated_prefix"].as_str() {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        } else if let Some(exact) = asked["path"].as_str() {
            path == exact
        } else if let Some(text) = asked["safe_regex"]["regex"].as_str() {
            is_match(text, path)
        } else {
            // What is matched otherwise may be any path.
            true
        }
    }
}

fn names(matcher: &Value, header: &str) -> bool {
    matcher["name"]
        .as_str()
        .is_some_and(|name| name.eq_ignore_ascii_case(header))
}

/// Any value satisfies a matcher that asks only whether the header is there.
fn asks_for_a_value(matcher: &Value) -> bool {
    text_matcher(matcher).is_some() && matcher["invert_match"] != true
}

/// Returns what is compared, and how: `exact`, `prefix`, `suffix`, `contains` or a regular
/// expression, in the present spelling or an older one.
fn text_matcher(matcher: &Value) -> Option<(&'static str, &str)> {
    let present = &matcher["string_match"];
    for (kind, older) in [
        ("exact", "exact_match"),
        ("prefix", "prefix_match"),
        ("suffix", "suffix_match"),
        ("contains", "contains_match"),
    ] {
        let written = present[kind].as_str().or_else(|| matcher[older].as_str());
        if let Some(text) = written {
            return Some((kind, text));
        }
    }
    let regex = present["safe_regex"]["regex"]
        .as_str()
        .or_else(|| matcher["safe_regex_match"]["regex"].as_str());
    regex.map(|text| ("regex", text))
}

/// Returns whether the header with this value satisfies a matcher.
fn accepts(matcher: &Value, value: &str) -> bool {
    let is_inverted = matcher["invert_match"] == true;
    let accepted = match text_matcher(matcher) {
        Some(("exact", text)) => value == text,
        Some(("prefix", text)) => value.starts_with(text),
        Some(("suffix", text)) => value.ends_with(text),
        Some(("contains", text)) => value.contains(text),
        // Envoy matches the whole value. What it reads otherwise than this crate is left alone.
        Some((_, text)) => is_match(text, value),
        None => matcher["present_match"] != false,
    };
    accepted != is_inverted
}

fn is_match(regex: &str, value: &str) -> bool {
    Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exact(model: &str) -> Value {
        json!({"name": "x-selected-model", "string_match": {"exact": model}})
    }

    fn to(headers: Value) -> Value {
        json!({"match": {"prefix": "/", "headers": headers}, "route": {"cluster": "c"}})
    }

    fn check_routes(routes: Value, expected: &[&str]) {
        let wanted = Wanted {
            header: "x-selected-model".to_owned(),
            models: vec!["small".to_owned(), "large".to_owned()],
            ..Wanted::default()
        };
        let config = json!({"route_config": {"virtual_hosts": [{"routes": routes}]}});
        let found: Vec<String> = check("m", &config, &wanted)
            .into_iter()
            .map(|problem| format!("{} {}", problem.path, problem.message))
            .collect();
        assert_eq!(found.len(), expected.len(), "{routes}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{routes}: {found}");
        }
    }

    #[test]
    fn every_model_has_a_route_and_others_have_none() {
        let present = json!({"name": "X-Selected-Model", "present_match": true});
        let absent = json!({"name": "x-selected-model", "present_match": false});
        let pair = json!({"name": "x-merit-fallback-model", "string_match": {"exact": "large"}});
        let unserved =
            json!({"match": {"prefix": "/", "headers": [present]}, "direct_response": {}});
        let sound = [
            to(json!([exact("small")])),
            to(json!([exact("large")])),
            unserved.clone(),
            to(json!([absent])),
        ];
        check_routes(json!(sound), &[]);

        // Behind the 503 no route takes a chosen model.
        let posted = json!({"name": ":method", "string_match": {"exact": "POST"}});
        let behind = [&sound[..3], &[to(json!([posted]))]].concat();
        check_routes(json!(behind), &[]);

        // The 503 is not needed where nothing else takes what is left.
        check_routes(
            json!([
                to(json!([exact("small")])),
                to(json!([exact("large")])),
                to(json!([absent]))
            ]),
            &[],
        );
        let regex = json!({"name": "x-selected-model", "string_match": {"safe_regex": {"regex": "small|large"}}});
        check_routes(json!([to(json!([regex])), to(json!([absent]))]), &[]);
        let older = json!({"name": "x-selected-model", "prefix_match": "s"});
        check_routes(
            json!([
                to(json!([older])),
                to(json!([exact("large"), pair])),
                unserved
            ]),
            &[],
        );

        check_routes(
            json!([to(json!([exact("small")])), unserved, to(json!([absent]))]),
            &["no route for the chosen model `large`"],
        );
        // As bootstraps were once shipped: the last route takes everything.
        check_routes(
            json!([to(json!([exact("small")])), to(json!([]))]),
            &[
                "no route for the chosen model `large`",
                "routes[1].match serves every chosen model",
            ],
        );
        let not_small = json!({"name": "x-selected-model", "string_match": {"exact": "small"}, "invert_match": true});
        check_routes(
            json!([
                to(json!([exact("small")])),
                to(json!([exact("large")])),
                to(json!([not_small]))
            ]),
            &["routes[2].match serves every chosen model"],
        );
        check_routes(
            json!([
                to(json!([exact("small")])),
                to(json!([exact("large")])),
                to(json!([present]))
            ]),
            &["routes[2].match serves every chosen model"],
        );
    }

    #[test]
    fn routes_by_path_or_by_other_headers_are_catch_alls_too() {
        let absent = json!({"name": "x-selected-model", "present_match": false});
        let with = |first: Value| {
            json!([
                first,
                to(json!([exact("small")])),
                to(json!([exact("large")])),
                to(json!([absent]))
            ])
        };
        let route = |matched: Value| json!({"match": matched, "route": {"cluster": "c"}});
        let taken: &[&str] = &["routes[0].match serves every chosen model"];
        for (matched, expected) in [
            (json!({"prefix": "/v1/"}), taken),
            (json!({"path_separated_prefix": "/v1"}), taken),
            (json!({"path": "/v1/embeddings"}), taken),
            (json!({"safe_regex": {"regex": ".*"}}), taken),
            (
                json!({"prefix": "/", "headers": [{"name": "content-type", "present_match": true}]}),
                taken,
            ),
            (
                json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}),
                taken,
            ),
            (json!({"prefix": "/grafana"}), &[]),
            (json!({"path": "/v1/embeddings", "headers": [absent]}), &[]),
        ] {
            check_routes(with(route(matched)), expected);
        }
    }

    #[test]
    fn routes_from_elsewhere_are_left_alone() {
        let wanted = Wanted {
            models: vec!["small".to_owned()],
            ..Wanted::default()
        };
        assert_eq!(check("m", &json!({"rds": {}}), &wanted), []);
        let none = Wanted::default();
        let config = json!({"route_config": {"virtual_hosts": [{"routes": [to(json!([]))]}]}});
        assert_eq!(check("m", &config, &none), []);
    }
}
