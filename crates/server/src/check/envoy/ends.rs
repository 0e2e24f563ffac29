//! Rules about the clusters at the end of routes: whether a model's route leads to that model, and
//! whether others reach its cluster without Merit.

use super::clusters::Clusters;
use super::routes::Route;
use super::{error, is_a, walk, warning};
use crate::engine::Wanted;
use document::Problem;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const AGGREGATE: &str = "envoy.extensions.clusters.aggregate.v3.ClusterConfig";
const TCP_PROXY: &str = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
/// Aggregate clusters within each other that are looked into.
const DEEPEST: usize = 8;

/// Compares where the routes of chosen models lead with where documents say that the models are.
pub(super) fn check(
    path: &str,
    config: &Value,
    wanted: &Wanted,
    clusters: &Clusters<'_>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    let at = format!("{path}.route_config");
    for route in routes(&at, config) {
        let models = wanted.models.iter();
        let models: Vec<&str> = models
            .map(String::as_str)
            .filter(|model| route.is_for(&wanted.header, model))
            .collect();
        for (key, cluster) in targets(&route) {
            let at = format!("{}.route.{key}", route.path);
            if wanted.has_boundaries {
                found.extend(aggregate(&at, cluster, &models, clusters));
            }
            let served = places(cluster, clusters, DEEPEST);
            let wrong = models.iter();
            found.extend(wrong.filter_map(|model| of_another(&at, model, &served, wanted)));
        }
    }
    found
}

/// Reports endpoints of a model's route at which another model is.
fn of_another(
    at: &str,
    model: &str,
    served: &BTreeSet<String>,
    wanted: &Wanted,
) -> Option<Problem> {
    let own: BTreeSet<String> = wanted
        .places
        .get(model)?
        .iter()
        .map(|it| local(it))
        .collect();
    let mut others: BTreeMap<&str, &str> = BTreeMap::new();
    for place in served.iter().filter(|place| !own.contains(*place)) {
        let is_there = |places: &BTreeSet<String>| places.iter().any(|it| local(it) == *place);
        let there = wanted.places.iter().find(|(_, places)| is_there(places));
        others.extend(there.map(|(other, _)| (place.as_str(), other.as_str())));
    }
    if own.is_empty() || others.is_empty() {
        return None;
    }

    let others: Vec<String> = others
        .iter()
        .map(|(place, other)| format!("{place} is of `{other}`"))
        .collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let message = format!(
        "requests for `{model}` reach another model, whatever boundaries allow: {}; the document has `{model}` at {}",
        others.join(", "),
        own.join(", ")
    );
    Some(error(at.to_owned(), message))
}

/// Reports a cluster that stands for several.
fn aggregate(at: &str, cluster: &str, models: &[&str], clusters: &Clusters<'_>) -> Option<Problem> {
    let (_, config) = clusters.get(cluster)?;
    let parts = parts(config);
    (parts.len() > 1 && !models.is_empty()).then(|| {
        let message = format!(
            "`{cluster}` stands for several clusters ({}), and Envoy turns to the later ones by itself where the first fails: \
             all of them must serve this model at its place; `fallback` in the document asks boundaries again",
            parts.join(", ")
        );
        warning(at.to_owned(), message)
    })
}

/// The routes of a connection manager that lead to clusters.
fn routes<'a>(at: &str, config: &'a Value) -> Vec<Route<'a>> {
    let hosts = config["route_config"]["virtual_hosts"].as_array();
    let hosts = hosts.into_iter().flatten().enumerate();
    hosts
        .flat_map(|(host, config)| {
            let routes = config["routes"].as_array().into_iter().flatten();
            let at = format!("{at}.virtual_hosts[{host}]");
            let named = move |(index, route)| Route::of(format!("{at}.routes[{index}]"), route);
            routes.enumerate().map(named)
        })
        .filter(Route::leads_to_cluster)
        .collect()
}

/// The clusters to which a route leads, with the keys that name them.
fn targets<'a>(route: &Route<'a>) -> Vec<(String, &'a str)> {
    let action = &route.config["route"];
    let one = action["cluster"].as_str();
    let one = one.map(|cluster| ("cluster".to_owned(), cluster));
    let several = action["weighted_clusters"]["clusters"].as_array();
    let several = several.into_iter().flatten().enumerate();
    let several = several.filter_map(|(index, cluster)| {
        let key = format!("weighted_clusters.clusters[{index}].name");
        Some((key, cluster["name"].as_str()?))
    });
    one.into_iter().chain(several).collect()
}

/// The names of the clusters for which an aggregate one stands.
fn parts(cluster: &Value) -> Vec<&str> {
    let config = &cluster["cluster_type"]["typed_config"];
    let is_aggregate = config.as_object().is_some_and(|it| is_a(it, AGGREGATE));
    let parts = config["clusters"].as_array().filter(|_| is_aggregate);
    parts
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Where a cluster leads, `host:port`.
fn places(cluster: &str, clusters: &Clusters<'_>, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some((_, config)) = clusters.get(cluster).filter(|_| depth > 0) else {
        return found;
    };
    walk(&config["load_assignment"], "", &mut |_, value| {
        let address = &value["socket_address"];
        let host = address["address"].as_str();
        let port = address["port_value"].as_u64();
        let place = host.zip(port).map(|(host, port)| format!("{host}:{port}"));
        found.extend(place.map(|place| local(&place.to_ascii_lowercase())));
    });
    for part in parts(config) {
        found.extend(places(part, clusters, depth - 1));
    }
    found
}

/// One name for this machine.
fn local(place: &str) -> String {
    match place.rsplit_once(':') {
        Some(("localhost" | "::1", port)) => format!("127.0.0.1:{port}"),
        _ => place.to_owned(),
    }
}

/// Reports what leads to the clusters of models without asking Merit. `asks_merit` tells of a
/// manager, by its path, whether it has Merit's filter.
pub(super) fn side_doors(
    document: &Value,
    managers: &[(String, Value)],
    asks_merit: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let (asking, others): (Vec<_>, Vec<_>) =
        managers.iter().partition(|(path, _)| asks_merit(path));
    let mut of_models = BTreeSet::new();
    for (path, config) in asking {
        for route in routes(path, config) {
            of_models.extend(targets(&route).into_iter().map(|(_, name)| name));
        }
    }

    let mut found = Vec::new();
    for (path, config) in others {
        for route in routes(&format!("{path}.route_config"), config) {
            for (key, cluster) in targets(&route) {
                let at = format!("{}.route.{key}", route.path);
                found.extend(of_models.contains(cluster).then(|| side_door(at, cluster)));
            }
        }
    }
    walk(document, "", &mut |path, value| {
        let is_proxy = value.as_object().is_some_and(|it| is_a(it, TCP_PROXY));
        let cluster = value["cluster"].as_str().filter(|_| is_proxy);
        let cluster = cluster.filter(|cluster| of_models.contains(cluster));
        found.extend(cluster.map(|cluster| side_door(format!("{path}.cluster"), cluster)));
    });
    found
}

fn side_door(at: String, cluster: &str) -> Problem {
    let message = format!(
        "leads to `{cluster}`, which serves models, without asking Merit: requests that come in here are neither read nor \
         bound; add Merit's filter, or keep this listener from clients"
    );
    warning(at, message)
}

#[cfg(test)]
mod tests {
    use super::super::EXT_PROC;
    use super::super::listeners::MANAGER;
    use super::*;
    use serde_json::json;

    fn cluster(name: &str, address: &str, port: u64) -> Value {
        json!({"name": name, "load_assignment": {"endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        ]}]}})
    }

    fn route(model: &str, action: Value) -> Value {
        let header = json!({"name": "x-selected-model", "string_match": {"exact": model}});
        json!({"match": {"prefix": "/", "headers": [header]}, "route": action})
    }

    fn wanted() -> Wanted {
        let at = |places: &[&str]| places.iter().map(|it| (*it).to_owned()).collect();
        Wanted {
            header: "x-selected-model".to_owned(),
            models: vec!["small".to_owned(), "large".to_owned()],
            places: BTreeMap::from([
                ("small".to_owned(), at(&["localhost:8000"])),
                (
                    "large".to_owned(),
                    at(&["large.example:443", "127.0.0.1:8001"]),
                ),
            ]),
            has_boundaries: true,
            ..Wanted::default()
        }
    }

    #[track_caller]
    fn check_targets(small: Value, expected: &[&str]) {
        let aggregate = |parts: Value| {
            json!({"name": "both", "cluster_type": {"typed_config": {
                "@type": format!("type.googleapis.com/{AGGREGATE}"), "clusters": parts}}})
        };
        let document = json!({"static_resources": {"clusters": [
            cluster("small", "127.0.0.1", 8000), cluster("large", "Large.example", 443),
            cluster("elsewhere", "10.0.0.1", 8000), aggregate(json!(["small", "large"])),
        ]}});
        let config = json!({"route_config": {"virtual_hosts": [{"routes": [
            route("small", small.clone()), route("large", json!({"cluster": "large"}))
        ]}]}});
        let found = check("m", &config, &wanted(), &Clusters::of(&document));
        let found: Vec<String> = found
            .iter()
            .map(|it| format!("{} {}: {}", it.severity, it.path, it.message))
            .collect();
        assert_eq!(found.len(), expected.len(), "{small}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            let mut words = expected.split('|');
            assert!(words.all(|word| found.contains(word)), "{small}: {found}");
        }
    }

    #[test]
    fn a_models_route_leads_to_the_model() {
        let of_large = "error m.route_config.virtual_hosts[0].routes[0].route|`small` reach another model|large.example:443 is of `large`|at 127.0.0.1:8000";
        for (action, expected) in [
            (json!({"cluster": "small"}), &[][..]),
            (json!({"cluster": "large"}), &[of_large]),
            (json!({"cluster": "elsewhere"}), &[]),
            (json!({"cluster": "of_no_bootstrap"}), &[]),
            (
                json!({"weighted_clusters": {"clusters": [{"name": "small", "weight": 9}, {"name": "large", "weight": 1}]}}),
                &["clusters[1].name|large.example:443"],
            ),
            (
                json!({"cluster": "both"}),
                &["warning|several clusters (small, large)", of_large],
            ),
        ] {
            check_targets(action, expected);
        }
    }

    #[test]
    fn no_other_listener_reaches_models() {
        let manager = |filters: Value, cluster: &str| {
            json!({"@type": format!("type.googleapis.com/{MANAGER}"), "http_filters": filters,
                "route_config": {"virtual_hosts": [{"routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": cluster}}]}]}})
        };
        let merit = json!([{"typed_config": {"@type": format!("type.googleapis.com/{EXT_PROC}")}}]);
        let proxy = |cluster: &str| json!({"@type": format!("type.googleapis.com/{TCP_PROXY}"), "cluster": cluster});
        for (second, expected) in [
            (manager(merit.clone(), "small"), &[][..]),
            (manager(json!([]), "other"), &[]),
            (
                manager(json!([]), "small"),
                &["l[1].route_config.virtual_hosts[0].routes[0].route.cluster"],
            ),
            (proxy("small"), &["l[1].cluster"]),
            (proxy("other"), &[]),
        ] {
            let first = manager(merit.clone(), "small");
            let document = json!({"l": [first, second]});
            let mut managers = vec![("l[0]".to_owned(), first)];
            if second.get("http_filters").is_some() {
                managers.push(("l[1]".to_owned(), second.clone()));
            }
            let asks = |path: &str| path == "l[0]" || second["http_filters"] == merit;
            let found = side_doors(&document, &managers, asks);
            let found: Vec<&str> = found.iter().map(|it| &*it.path).collect();
            assert_eq!(found, expected, "{second}");
        }
    }
}
