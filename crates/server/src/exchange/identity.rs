//! Who asks: what an authentication filter before us found out, else headers that the operator
//! trusts.

use extproc::RequestHead;
use router::generation::Settings;
use serde_json::Value;
use signals::families::Identity;

/// Where Envoy's authentication filters leave what they found. Under `jwt_authn` each provider's
/// claims lie one level down.
const NAMESPACES: [&str; 2] = [
    "envoy.filters.http.ext_authz",
    "envoy.filters.http.jwt_authn",
];

/// Metadata keys that name a user, after the configured header's name.
const USER_KEYS: [&str; 2] = ["user_id", "sub"];

/// The caller's identity; empty where no trusted source names one.
pub(super) fn of(head: &RequestHead, settings: &Settings) -> Identity {
    let authenticated = NAMESPACES
        .iter()
        .filter_map(|namespace| head.metadata.get(*namespace));
    for found in authenticated {
        let claims = std::iter::once(found).chain(nested(found));
        if let Some(identity) = claims
            .filter_map(|claims| from_claims(claims, settings))
            .next()
        {
            return identity;
        }
    }
    let trusted = |name: &str| {
        let listed = settings.trusted_headers.iter().any(|header| header == name);
        if listed { only(head, name) } else { None }
    };
    Identity {
        user: trusted(&settings.user_header)
            .unwrap_or_default()
            .trim()
            .to_owned(),
        groups: split(trusted(&settings.groups_header).unwrap_or_default()),
    }
}

/// A header that stands there twice has two authors, and one of them may be the client.
fn only<'a>(head: &'a RequestHead, name: &str) -> Option<&'a str> {
    let mut values = head.headers.iter().filter(|(other, _)| *other == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => std::str::from_utf8(value).ok(),
        _ => None,
    }
}

fn nested(found: &Value) -> impl Iterator<Item = &Value> {
    found
        .as_object()
        .into_iter()
        .flat_map(|claims| claims.values())
        .filter(|claims| claims.is_object())
}

fn from_claims(claims: &Value, settings: &Settings) -> Option<Identity> {
    let keys = std::iter::once(settings.user_header.as_str()).chain(USER_KEYS);
    let user = keys
        .filter_map(|key| claims.get(key)?.as_str())
        .map(str::trim)
        .find(|user| !user.is_empty())?;
    let groups = claims
        .get(&settings.groups_header)
        .or_else(|| claims.get("groups"));
    let groups = match groups {
        Some(Value::String(list)) => split(list),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .flat_map(split)
            .collect(),
        _ => Vec::new(),
    };
    Some(Identity {
        user: user.to_owned(),
        groups,
    })
}

fn split(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use extproc::Headers;
    use serde_json::json;

    fn settings(trusted: &[&str]) -> Settings {
        Settings {
            full: false,
            default_model: None,
            routing_headers: Vec::new(),
            clear_route_cache: true,
            profile: router::generation::Profile::Auto,
            skip_processing: false,
            fail_open: false,
            user_header: "x-authz-user-id".into(),
            groups_header: "x-authz-user-groups".into(),
            trusted_headers: trusted.iter().map(|name| (*name).to_owned()).collect(),
            debug_principals: Vec::new(),
            paths: router::config::paths::KnownPaths::default(),
            reading: dialects::ReadOptions::default(),
            restore_model: false,
            runs: router::generation::Runs::default(),
        }
    }

    fn check(trusted: &[&str], metadata: Value, expected: (&str, &[&str])) {
        let headers = [
            ("x-authz-user-id", "ada"),
            ("x-authz-user-groups", "dev, ,ops"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
        let metadata = metadata
            .as_object()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect();
        let head = RequestHead {
            headers: Headers::new(headers.into()),
            metadata,
            ..RequestHead::default()
        };
        let found = of(&head, &settings(trusted));
        assert_eq!(
            (found.user.as_str(), found.groups.as_slice()),
            (
                expected.0,
                &*expected
                    .1
                    .iter()
                    .map(|group| (*group).to_owned())
                    .collect::<Vec<_>>()
            )
        );
    }

    #[test]
    fn sources_in_order_of_trust() {
        let both = ["x-authz-user-id", "x-authz-user-groups"];
        check(&[], json!({}), ("", &[]));
        check(&both, json!({}), ("ada", &["dev", "ops"]));
        check(&both[..1], json!({}), ("ada", &[]));
        let jwt = json!({"envoy.filters.http.jwt_authn": {"payload": {"sub": "bob", "groups": ["a", "b,c"]}}});
        check(&both, jwt, ("bob", &["a", "b", "c"]));
        let authz = json!({"envoy.filters.http.ext_authz": {"x-authz-user-id": "eve", "x-authz-user-groups": "g"}});
        check(&[], authz, ("eve", &["g"]));
        check(&[], json!({"somebody.else": {"sub": "mallory"}}), ("", &[]));
    }
}
