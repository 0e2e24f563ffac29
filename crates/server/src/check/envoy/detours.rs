//! Rules about what takes a request past Merit, or past the model that Merit chose: filters that a
//! route switches off or changes, copies of requests, and routes to one of several clusters.

use super::filter::Filter;
use super::routes::Route;
use super::{EXT_PROC, below, error, is_a, warning};
use crate::engine::Wanted;
use document::Problem;
use router::plan::surface::is_owned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The header of chosen models, where no document says another.
const HEADER: &str = "x-selected-model";

/// Checks the routes of a connection manager that requests to models take. `namespaces` are those
/// of the metadata that the bootstrap reads.
pub(super) fn check(
    path: &str,
    config: &Value,
    wanted: &Wanted,
    namespaces: &BTreeSet<String>,
) -> Vec<Problem> {
    let header = match wanted.header.as_str() {
        "" => HEADER,
        header => header,
    };
    let looking = Looking {
        header,
        filters: filters(config),
        namespaces,
    };
    let at = format!("{path}.route_config");
    let table = &config["route_config"];
    let hosts = table["virtual_hosts"].as_array();
    let mut found = Vec::new();
    let mut is_used = false;
    for (index, host) in hosts.into_iter().flatten().enumerate() {
        let at = format!("{at}.virtual_hosts[{index}]");
        let routes = looking.model_routes(&at, host);
        is_used |= !routes.is_empty();
        if !routes.is_empty() {
            found.extend(looking.level(&at, host));
        }
        for route in routes {
            found.extend(looking.route(&route));
        }
    }
    if is_used {
        found.extend(looking.level(&at, table));
        found.extend(switched_off(path, config, table));
    }
    found
}

/// Finds ext_proc filters that are off from the start, where no route switches them on.
fn switched_off(path: &str, config: &Value, table: &Value) -> Vec<Problem> {
    let filters = config["http_filters"].as_array().into_iter().flatten();
    let off = filters.enumerate().filter(|(_, filter)| {
        let is_ext_proc = |config| is_a(config, EXT_PROC);
        let name = filter["name"].as_str().unwrap_or_default();
        filter["disabled"] == true
            && filter["typed_config"].as_object().is_some_and(is_ext_proc)
            && !is_configured_below(table, name)
    });
    off.map(|(index, _)| {
        let message = "the filter is off, and no route switches it on, so requests go to models without Merit; leave `disabled` out";
        error(format!("{path}.http_filters[{index}].disabled"), message)
    })
    .collect()
}

/// Tells whether some route, host or table has settings of its own for a filter.
fn is_configured_below(part: &Value, filter: &str) -> bool {
    match part {
        Value::Object(members) => {
            let own = members.get("typed_per_filter_config");
            own.is_some_and(|own| own.get(filter).is_some())
                || members
                    .values()
                    .any(|part| is_configured_below(part, filter))
        }
        Value::Array(parts) => parts.iter().any(|part| is_configured_below(part, filter)),
        _ => false,
    }
}

/// The ext_proc filters of a connection manager, by their names.
fn filters(config: &Value) -> BTreeMap<&str, &Value> {
    let filters = config["http_filters"].as_array().into_iter().flatten();
    filters
        .filter(|filter| {
            let config = filter["typed_config"].as_object();
            config.is_some_and(|config| is_a(config, EXT_PROC))
        })
        .filter_map(|filter| Some((filter["name"].as_str()?, &filter["typed_config"])))
        .collect()
}

/// What is looked for.
struct Looking<'a> {
    /// The header that names the chosen model.
    header: &'a str,
    filters: BTreeMap<&'a str, &'a Value>,
    namespaces: &'a BTreeSet<String>,
}

impl Looking<'_> {
    /// Returns the routes of a host that requests to models take. A host that has no model's routes
    /// serves something else, unless a path says otherwise.
    fn model_routes<'v>(&self, at: &str, host: &'v Value) -> Vec<Route<'v>> {
        let routes = host["routes"].as_array().into_iter().flatten().enumerate();
        let routes: Vec<Route<'v>> = routes
            .map(|(index, route)| Route::of(format!("{at}.routes[{index}]"), route))
            .collect();
        let is_of_models = routes.iter().any(|route| route.reads(self.header));
        let paths = dialects::routed_paths();
        let is_taken = |route: &Route<'_>| {
            let takes_paths = paths.iter().any(|path| route.is_for_path(path));
            takes_paths && (is_of_models || !route.takes_every_path())
        };
        routes
            .into_iter()
            .filter(|route| route.leads_to_cluster() && is_taken(route))
            .collect()
    }

    fn route(&self, route: &Route<'_>) -> Vec<Problem> {
        let mut found = self.level(&route.path, route.config);
        let action = &route.config["route"];
        let at = format!("{}.route", route.path);
        found.extend(mirrors(&at, action));
        found.extend(self.clusters(&at, route));
        let weighted = action["weighted_clusters"]["clusters"].as_array();
        for (index, cluster) in weighted.into_iter().flatten().enumerate() {
            let at = format!("{at}.weighted_clusters.clusters[{index}]");
            found.extend(self.per_filter(&at, cluster));
        }
        found
    }

    /// What a table of routes, a host or a route says for all requests that it takes.
    fn level(&self, at: &str, config: &Value) -> Vec<Problem> {
        let mut found = self.per_filter(at, config);
        found.extend(mirrors(at, config));
        found
    }

    /// A chosen model has a cluster of its own.
    fn clusters(&self, at: &str, route: &Route<'_>) -> Option<Problem> {
        let action = &route.config["route"];
        if let Some(header) = action["cluster_header"].as_str() {
            let message = format!(
                "the cluster is the one that the header {header} names, whatever model was chosen and whatever boundaries \
                 allow; name the model's cluster"
            );
            let is_chosen = header.eq_ignore_ascii_case(self.header);
            return (!is_chosen).then(|| warning(format!("{at}.cluster_header"), message));
        }
        let clusters = action["weighted_clusters"]["clusters"].as_array();
        let served = clusters
            .into_iter()
            .flatten()
            .filter(|cluster| cluster["weight"] != 0);
        let names: BTreeSet<&str> = served
            .filter_map(|cluster| {
                cluster["name"]
                    .as_str()
                    .or(cluster["cluster_header"].as_str())
            })
            .collect();
        (names.len() > 1 && route.reads(self.header)).then(|| {
            let names: Vec<&str> = names.into_iter().collect();
            let message = format!(
                "requests for one chosen model go to several clusters ({}), with its name, its key and what boundaries allow \
                 for it: all of them must serve this model at its place; let a decision's `weighted` algorithm share \
                 requests among models",
                names.join(", ")
            );
            warning(format!("{at}.weighted_clusters"), message)
        })
    }

    /// Settings of Merit's filters for some requests only.
    fn per_filter(&self, at: &str, config: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        let at = format!("{at}.typed_per_filter_config");
        for (name, base) in &self.filters {
            let written = &config["typed_per_filter_config"][*name];
            let at = below(&at, name);
            // The settings themselves, or wrapped for a filter that is off elsewhere.
            found.extend(self.settings(&at, written, base));
            found.extend(self.settings(&format!("{at}.config"), &written["config"], base));
        }
        found
    }

    fn settings(&self, at: &str, written: &Value, base: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        if written["disabled"] == true {
            let message = "Merit is not asked about requests that take this: they pass unread and unrouted, and no boundary \
                           holds for them; leave it out where requests go to models";
            found.push(error(format!("{at}.disabled"), message));
        }
        let at = format!("{at}.overrides");
        let overrides = &written["overrides"];
        let Some(given) = overrides.as_object() else {
            return found;
        };
        let mut merged = base.clone();
        for (key, value) in given {
            merged[key.as_str()] = value.clone();
        }
        let filter = Filter::of(&at, &merged);
        if given.contains_key("processing_mode") {
            found.extend(filter.check_modes());
        }
        if given.contains_key("metadata_options") {
            found.extend(filter.metadata(self.namespaces));
        }
        let cluster = |config: &Value| {
            let name = config.pointer("/grpc_service/envoy_grpc/cluster_name");
            name.or(config.pointer("/grpc_service/google_grpc/target_uri"))
                .cloned()
        };
        if given.contains_key("grpc_service") && cluster(&merged) != cluster(base) {
            let message = "another service than the filter's own is asked about these requests: it must be Merit, with the \
                           same policy";
            found.push(warning(format!("{at}.grpc_service"), message));
        }
        if overrides["failure_mode_allow"] == json!(true) {
            let message = "requests pass unrouted and unchecked when Merit does not answer";
            found.push(warning(format!("{at}.failure_mode_allow"), message));
        }
        found
    }
}

/// Copies of requests, which no boundary is asked about.
fn mirrors(at: &str, config: &Value) -> Vec<Problem> {
    let policies = config["request_mirror_policies"].as_array();
    let policies = policies.into_iter().flatten().enumerate();
    let sends = |policy: &Value| {
        let share = &policy["runtime_fraction"];
        share["default_value"]["numerator"] != 0 || !share["runtime_key"].is_null()
    };
    policies
        .filter(|(_, policy)| sends(policy))
        .map(|(index, policy)| {
            let target = policy["cluster"].as_str().or(policy["cluster_header"].as_str());
            let message = format!(
                "a copy of every request, with its prompt and the credential of the chosen model, goes to `{}`, whatever \
                 boundaries allow",
                target.unwrap_or_default()
            );
            warning(format!("{at}.request_mirror_policies[{index}]"), message)
        })
        .collect()
}

/// Filters that run code or ask services, and may change any header.
const FREE: [&str; 6] = [
    "envoy.extensions.filters.http.lua.v3.Lua",
    "envoy.extensions.filters.http.wasm.v3.Wasm",
    "envoy.extensions.filters.http.golang.v3alpha.Config",
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    "envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig",
];

/// Warns of filters behind Merit's that can change the headers by which routes are chosen.
pub(super) fn later_filters(path: &str, config: &Value) -> Vec<Problem> {
    let filters = config["http_filters"].as_array().into_iter().flatten();
    let kind_is = |filter: &Value, kind: &str| {
        let config = filter["typed_config"].as_object();
        config.is_some_and(|config| is_a(config, kind))
    };
    let later = filters
        .enumerate()
        .skip_while(|(_, filter)| !kind_is(filter, EXT_PROC));
    let changes = |filter: &Value| {
        FREE.iter().any(|kind| kind_is(filter, kind))
            || (kind_is(filter, HEADER_MUTATION) && changes_owned(&filter["typed_config"]))
    };
    later
        .filter(|(_, filter)| filter["disabled"] != true && changes(filter))
        .map(|(index, filter)| {
            let name = filter["name"].as_str().unwrap_or_default();
            let message = format!(
                "`{name}` stands behind Merit and can change the headers by which routes are chosen, whatever boundaries allow; \
                 put it before Merit's filter"
            );
            warning(format!("{path}.http_filters[{index}]"), message)
        })
        .collect()
}

const HEADER_MUTATION: &str = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";

/// Tells whether a filter sets or removes request headers of Merit's.
fn changes_owned(config: &Value) -> bool {
    let mutations = config["mutations"]["request_mutations"].as_array();
    mutations.into_iter().flatten().any(|mutation| {
        let removed = mutation["remove"].as_str();
        let set = mutation["append"]["header"]["key"].as_str();
        let names = removed.into_iter().chain(set);
        let mut names = names.map(str::to_ascii_lowercase);
        names.any(|name| is_owned(&name)) || mutation.get("remove_on_match").is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str =
        "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute";

    /// A manager whose only host has a route of `small` and a last one; `change` goes into the first
    /// of them.
    fn manager(level: &str, change: &Value, matched: Value) -> Value {
        let mut config = json!({
            "http_filters": [
                {"name": "merit", "typed_config": {
                    "@type": format!("type.googleapis.com/{EXT_PROC}"),
                    "grpc_service": {"envoy_grpc": {"cluster_name": "merit"}},
                    "processing_mode": {"request_header_mode": "SEND", "request_body_mode": "FULL_DUPLEX_STREAMED", "request_trailer_mode": "SEND"},
                    "metadata_options": {"receiving_namespaces": {"untyped": ["merit"]}}
                }},
                {"name": "other", "typed_config": {}}
            ],
            "route_config": {"virtual_hosts": [{"routes": [
                {"match": matched, "route": {"cluster": "small"}},
                {"match": {"prefix": "/", "headers": [{"name": "x-selected-model", "present_match": false}]}, "route": {"cluster": "small"}}
            ]}]}
        });
        let target = config.pointer_mut(level).unwrap();
        for (key, value) in change.as_object().unwrap() {
            target[key] = value.clone();
        }
        config
    }

    const ROUTE: &str = "/route_config/virtual_hosts/0/routes/0";

    #[track_caller]
    fn check_at(level: &str, change: Value, expected: &[&str]) {
        let of_small = json!({"prefix": "/", "headers": [{"name": "x-selected-model", "exact_match": "small"}]});
        check_match(of_small, level, change, expected);
    }

    #[track_caller]
    fn check_match(matched: Value, level: &str, change: Value, expected: &[&str]) {
        let config = manager(level, &change, matched);
        let namespaces = BTreeSet::from(["merit".to_owned()]);
        let found: Vec<String> = check("m", &config, &Wanted::default(), &namespaces)
            .iter()
            .map(|it| format!("{} {}: {}", it.severity, it.path, it.message))
            .collect();
        assert_eq!(found.len(), expected.len(), "{change}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            let mut words = expected.split('|');
            assert!(words.all(|word| found.contains(word)), "{change}: {found}");
        }
    }

    fn per_route(settings: Value) -> Value {
        let mut settings = settings;
        settings["@type"] = json!(TYPE);
        json!({"typed_per_filter_config": {"merit": settings}})
    }

    #[test]
    fn filters_behind_merit_change_no_routing_headers() {
        let filter = |kind: &str, more: Value| {
            let mut config = json!({"@type": format!("type.googleapis.com/{kind}")});
            for (key, value) in more.as_object().unwrap() {
                config[key.as_str()] = value.clone();
            }
            json!({"name": "f", "typed_config": config})
        };
        let mutation = |mutation: Value| {
            filter(
                HEADER_MUTATION,
                json!({"mutations": {"request_mutations": [mutation]}}),
            )
        };
        let off = |mut filter: Value| {
            filter["disabled"] = json!(true);
            filter
        };
        for (other, is_told) in [
            (filter(FREE[0], json!({})), true),
            (filter(FREE[1], json!({})), true),
            (filter(FREE[4], json!({})), true),
            (off(filter(FREE[0], json!({}))), false),
            (mutation(json!({"remove": "x-selected-model"})), true),
            (
                mutation(json!({"append": {"header": {"key": "X-Merit-Attempt", "value": "1"}}})),
                true,
            ),
            (
                mutation(json!({"append": {"header": {"key": "x-mine", "value": "1"}}})),
                false,
            ),
            (
                filter("envoy.extensions.filters.http.router.v3.Router", json!({})),
                false,
            ),
        ] {
            let merit = filter(EXT_PROC, json!({}));
            let behind = json!({"http_filters": [merit, other]});
            let before = json!({"http_filters": [other, merit]});
            let told: Vec<String> = later_filters("m", &behind)
                .into_iter()
                .map(|it| it.path)
                .collect();
            let expected = if is_told {
                vec!["m.http_filters[1]"]
            } else {
                vec![]
            };
            assert_eq!(told, expected, "{other}");
            assert!(later_filters("m", &before).is_empty(), "{other}");
        }
    }

    #[test]
    fn filters_that_some_requests_do_not_pass() {
        let off = per_route(json!({"disabled": true}));
        for level in [ROUTE, "/route_config/virtual_hosts/0", "/route_config"] {
            check_at(
                level,
                off.clone(),
                &["error|typed_per_filter_config.merit.disabled"],
            );
        }
        let wrapped = json!({"typed_per_filter_config": {"merit": {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true}}});
        check_at(ROUTE, wrapped, &["error|merit.disabled"]);
        let inner = json!({"typed_per_filter_config": {"merit": {"config": {"@type": TYPE, "disabled": true}}}});
        check_at(ROUTE, inner, &["error|merit.config.disabled"]);
        let other = json!({"typed_per_filter_config": {"other": {"disabled": true}}});
        check_at(ROUTE, other, &[]);
        check_at(ROUTE, per_route(json!({"disabled": false})), &[]);
        check_at(
            "/http_filters/0",
            json!({"disabled": true}),
            &["error|m.http_filters[0].disabled|no route switches it on"],
        );
        check_at("/http_filters/1", json!({"disabled": true}), &[]);
        let weighted = json!({"weighted_clusters": {"clusters": [
            {"name": "small", "weight": 1, "typed_per_filter_config": {"merit": {"disabled": true}}}]}});
        check_at(
            &format!("{ROUTE}/route"),
            weighted,
            &["error|weighted_clusters.clusters[0].typed_per_filter_config.merit.disabled"],
        );
    }

    #[test]
    fn filters_that_some_requests_pass_otherwise() {
        for (overrides, expected) in [
            (json!({"request_attributes": ["a"]}), &[][..]),
            (
                json!({"processing_mode": {"request_body_mode": "NONE"}}),
                &["error|overrides.processing_mode.request_body_mode"],
            ),
            (
                json!({"processing_mode": {"request_header_mode": "SKIP", "request_body_mode": "BUFFERED"}}),
                &["error|overrides.processing_mode.request_header_mode"],
            ),
            (
                json!({"processing_mode": {"request_body_mode": "BUFFERED"}}),
                &[],
            ),
            (
                json!({"metadata_options": {"receiving_namespaces": {"untyped": ["x"]}}}),
                &["error|overrides.metadata_options"],
            ),
            (
                json!({"grpc_service": {"envoy_grpc": {"cluster_name": "merit"}}}),
                &[],
            ),
            (
                json!({"grpc_service": {"envoy_grpc": {"cluster_name": "x"}}}),
                &["warning|overrides.grpc_service"],
            ),
            (
                json!({"failure_mode_allow": true}),
                &["warning|overrides.failure_mode_allow"],
            ),
        ] {
            check_at(ROUTE, per_route(json!({"overrides": overrides})), expected);
        }
    }

    #[test]
    fn copies_of_requests() {
        let mirror = |policy: Value| json!({"request_mirror_policies": [policy]});
        let action = format!("{ROUTE}/route");
        for level in [&action, "/route_config/virtual_hosts/0", "/route_config"] {
            check_at(
                level,
                mirror(json!({"cluster": "shadow"})),
                &["warning|request_mirror_policies[0]|`shadow`"],
            );
        }
        let share = |numerator: u32| {
            mirror(
                json!({"cluster": "shadow", "runtime_fraction": {"default_value": {"numerator": numerator}}}),
            )
        };
        check_at(&action, share(1), &["warning|`shadow`"]);
        check_at(&action, share(0), &[]);
    }

    #[test]
    fn routes_to_one_of_several_clusters() {
        let action = format!("{ROUTE}/route");
        let weighted = |clusters: Value| json!({"weighted_clusters": {"clusters": clusters}});
        for (change, expected) in [
            (
                weighted(json!([{"name": "a", "weight": 9}, {"name": "b", "weight": 1}])),
                &["warning|route.weighted_clusters|(a, b)"][..],
            ),
            (
                weighted(json!([{"name": "a", "weight": 9}, {"name": "b", "weight": 0}])),
                &[],
            ),
            (weighted(json!([{"name": "a", "weight": 9}])), &[]),
            (json!({"cluster_header": "x-selected-model"}), &[]),
            (
                json!({"cluster_header": "x-where"}),
                &["warning|route.cluster_header|x-where"],
            ),
        ] {
            check_at(&action, change, expected);
        }
    }

    #[test]
    fn routes_of_other_services_are_left_alone() {
        let off = per_route(json!({"disabled": true}));
        for (matched, expected) in [
            (json!({"prefix": "/grafana"}), &[][..]),
            (json!({"path": "/healthz"}), &[]),
            (json!({"prefix": "/v1/embeddings"}), &["error|disabled"]),
            (
                json!({"safe_regex": {"regex": "/v1/.*"}}),
                &["error|disabled"],
            ),
            (json!({"prefix": "/"}), &["error|disabled"]),
        ] {
            check_match(matched, ROUTE, off.clone(), expected);
        }

        // A host without any model's routes.
        for (matched, expected) in [
            (json!({"prefix": "/"}), &[][..]),
            (json!({"prefix": "/v1"}), &["error|disabled"]),
        ] {
            let mut config = manager(ROUTE, &off, matched);
            let routes = config
                .pointer_mut("/route_config/virtual_hosts/0/routes")
                .unwrap();
            routes.as_array_mut().unwrap().truncate(1);
            let found = check("m", &config, &Wanted::default(), &BTreeSet::new());
            assert_eq!(found.len(), expected.len(), "{found:?}");
        }
        let none = json!({"match": {"prefix": "/v1"}, "direct_response": {"status": 404}});
        let mut config = manager(ROUTE, &off, json!({"prefix": "/v1"}));
        config["route_config"]["virtual_hosts"][0]["routes"][0] = none;
        assert_eq!(
            check("m", &config, &Wanted::default(), &BTreeSet::new()),
            []
        );
    }
}
