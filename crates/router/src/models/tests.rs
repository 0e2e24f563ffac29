//! What a backend reference becomes on the wire.

use super::*;

fn build(backend: BackendRef, api_format: &str) -> Arc<Model> {
    let model = ProviderModel {
        name: "m".into(),
        provider_model_id: "m-upstream".into(),
        api_format: api_format.into(),
        external_model_ids: [("openai".to_owned(), "m-openai".to_owned())].into(),
        backend_refs: vec![backend],
        ..ProviderModel::default()
    };
    let providers = Providers {
        models: vec![model],
        ..Providers::default()
    };
    let env = |name: &str| (name == "KEY").then(|| "s3cret".to_owned());
    let models = Models::build(&providers, &env, &mut Findings::default());
    models.get("m").unwrap().clone()
}

fn check(backend: BackendRef, api_format: &str, expected: &str) {
    let model = build(backend, api_format);
    let mut lines = vec![
        format!("id {}", model.upstream_id),
        format!("{:?}", model.credential),
    ];
    lines.extend(model.headers.iter().map(|op| match op {
        HeaderOp::Set(name, value) => format!("{name}: {value}"),
        HeaderOp::Remove(name) => format!("-{name}"),
    }));
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn a_local_backend_keeps_the_callers_credential() {
    check(
        BackendRef {
            endpoint: "127.0.0.1:8000".into(),
            ..BackendRef::default()
        },
        "",
        "id m-upstream\nCallers",
    );
}

#[test]
fn openai_with_key_and_path() {
    let backend = BackendRef {
        base_url: "https://api.example.com/v1".into(),
        provider: "openai".into(),
        api_key_env: "KEY".into(),
        chat_path: "/chat/completions".into(),
        extra_headers: [("X-Tenant".to_owned(), "t".to_owned())].into(),
        ..BackendRef::default()
    };
    check(
        backend,
        "openai",
        "id m-openai\nOurs\n-x-api-key\n-api-key\n-x-goog-api-key\n-proxy-authorization\n-cookie\nauthorization: Bearer s3cret\nx-tenant: t\n\
         :path: /v1/chat/completions",
    );
}

#[test]
fn anthropic_uses_its_own_header() {
    let backend = BackendRef {
        api_key: "k".into(),
        ..BackendRef::default()
    };
    check(
        backend,
        "anthropic",
        "id m-upstream\nOurs\n-authorization\n-api-key\n-x-goog-api-key\n-proxy-authorization\n-cookie\nx-api-key: k",
    );
}

#[test]
fn a_provider_is_known_by_its_host() {
    #[track_caller]
    fn check(base_url: &str, endpoint: &str, provider: &str, expected: &str) {
        let backend = BackendRef {
            base_url: base_url.into(),
            endpoint: endpoint.into(),
            provider: provider.into(),
            api_key: "k".into(),
            ..BackendRef::default()
        };
        let model = build(backend, "");
        let set = model.headers.iter().find_map(|op| match op {
            HeaderOp::Set(name, value) => Some(format!("{name}: {value}")),
            HeaderOp::Remove(_) => None,
        });
        assert_eq!(set.as_deref(), Some(expected), "{base_url}{endpoint}");
    }
    check("https://api.anthropic.com", "", "", "x-api-key: k");
    check("", "api.anthropic.com:443", "", "x-api-key: k");
    check("", "ours.openai.azure.com:443", "", "api-key: k");
    check("", "api.openai.com:443", "", "authorization: Bearer k");
    check("", "127.0.0.1:8000", "", "authorization: Bearer k");
    check(
        "",
        "api.anthropic.com:443",
        "openai",
        "authorization: Bearer k",
    );
}

#[test]
fn a_configured_header_and_prefix_win() {
    let backend = BackendRef {
        api_key: "k".into(),
        auth_header: "X-Auth".into(),
        auth_prefix: "Token".into(),
        ..BackendRef::default()
    };
    check(
        backend,
        "",
        "id m-upstream\nOurs\n-authorization\n-x-api-key\n-api-key\n-x-goog-api-key\n-proxy-authorization\n-cookie\nx-auth: Token k",
    );
}

#[test]
fn a_missing_variable_is_named() {
    let backend = BackendRef {
        api_key_env: "NOT_SET".into(),
        ..BackendRef::default()
    };
    check(
        backend,
        "",
        "id m-upstream\nMissing { variable: \"NOT_SET\" }",
    );
}

#[test]
fn a_credential_among_extra_headers_is_one() {
    let backend = BackendRef {
        extra_headers: [("X-Api-Key".to_owned(), "k".to_owned())].into(),
        ..BackendRef::default()
    };
    let removed =
        "-authorization\n-x-api-key\n-api-key\n-x-goog-api-key\n-proxy-authorization\n-cookie";
    check(
        backend,
        "",
        &format!("id m-upstream\nOurs\n{removed}\nx-api-key: k"),
    );
}

#[test]
fn a_mounted_secrets_line_feed_is_not_part_of_it() {
    let backend = BackendRef {
        api_key: "k\n".into(),
        ..BackendRef::default()
    };
    let model = build(backend, "");
    assert!(
        model.headers.contains(&set("authorization", "Bearer k")),
        "{:?}",
        model.headers
    );
}
