//! Which paths Merit reads, and which others may carry a body past a policy that restricts text.
//!
//! ```yaml
//! global:
//!   server:
//!     path_prefixes: [/openai, /team-a/llm]
//!     passthrough: [{host: tools.example.com, methods: [POST], path: /upload/**}]
//! ```

use dialects::{Dialect, Endpoint, PathPattern, Paths};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests that pass unread, body or not, although the policy has a boundary or a safety rule:
/// those of other services behind the same gateway. A path that Merit reads cannot be listed.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Passthrough {
    /// Host of the request without its port, or `*.example.com` for all hosts below one. Omitted
    /// means every host.
    pub host: String,
    /// Methods of the request; omitted means all.
    pub methods: Vec<String>,
    /// Path of the request, without its query: `*` stands for one segment, `**` at the end for any
    /// number of them.
    pub path: String,
}

/// The paths that Merit reads, and the exceptions among all others. Ready for use.
#[derive(Debug, Clone, Default)]
pub struct KnownPaths {
    endpoints: Paths,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Clone)]
struct Exception {
    host: Host,
    methods: Vec<String>,
    path: PathPattern,
}

#[derive(Debug, Clone)]
enum Host {
    Any,
    Exact(String),
    /// All hosts that end in this, which begins with a dot.
    Below(String),
}

impl KnownPaths {
    pub(crate) fn build(
        prefixes: &[String],
        passthrough: &[Passthrough],
        findings: &mut Findings,
    ) -> Option<Self> {
        let endpoints = Paths::new(prefixes)
            .map_err(|error| findings.error("global.server.path_prefixes", error.to_string()))
            .ok()?;
        let mut exceptions = Vec::new();
        for (index, written) in passthrough.iter().enumerate() {
            let path = format!("global.server.passthrough[{index}].path");
            let pattern = match PathPattern::parse(&written.path) {
                Ok(pattern) => pattern,
                Err(error) => {
                    findings.error(path, error.to_string());
                    continue;
                }
            };
            if let Some(read) = endpoints.read_and_covered(&pattern) {
                let message = format!(
                    "covers {read}, which Merit reads: prompts there would pass the policy unseen; name the paths of the other service"
                );
                findings.error(path, message);
            }
            exceptions.push(Exception {
                host: Host::parse(&written.host),
                methods: written
                    .methods
                    .iter()
                    .map(|method| method.trim().to_ascii_uppercase())
                    .collect(),
                path: pattern,
            });
        }
        Some(Self {
            endpoints,
            exceptions,
        })
    }

    /// Reads what a request asks for.
    #[must_use]
    pub fn endpoint(&self, method: &str, path: &str) -> Endpoint {
        self.endpoints.endpoint(method, path)
    }

    /// Returns the deployment that a path names; it is the request's model.
    #[must_use]
    pub fn deployment(&self, path: &str) -> Option<String> {
        self.endpoints.deployment(path)
    }

    /// Returns the same path with another deployment, unless it is spelled in an unusual way.
    #[must_use]
    pub fn with_deployment(&self, path: &str, deployment: &str) -> Option<String> {
        self.endpoints.with_deployment(path, deployment)
    }

    /// Returns the path of the same request on another wire.
    #[must_use]
    pub fn on_wire(&self, path: &str, dialect: Dialect) -> String {
        self.endpoints.on_wire(path, dialect)
    }

    /// Tells whether an exception lets the request pass unread. What Merit reads is never excepted.
    #[must_use]
    pub fn excepts(&self, authority: &str, method: &str, path: &str) -> bool {
        let host = host_of(authority);
        self.exceptions.iter().any(|it| {
            let has_method = it.methods.is_empty() || it.methods.iter().any(|own| own == method);
            has_method && it.host.is(&host) && it.path.matches(path)
        })
    }

    /// Returns the entry by which the paths below `path` would pass unread; `None` where Merit
    /// reads some of them.
    #[must_use]
    pub fn suggest(&self, authority: &str, method: &str, path: &str) -> Option<String> {
        let pattern = format!("{path}/**");
        let parsed = PathPattern::parse(&pattern).ok()?;
        if self.endpoints.read_and_covered(&parsed).is_some() {
            return None;
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
        let host: String = host_of(authority).chars().take(64).collect();
        let host = Some(host).filter(|host| !host.is_empty() && host.chars().all(is_plain));
        let host = host.map_or(String::new(), |host| format!("host: {host}, "));
        Some(format!(
            "global.server.passthrough: [{{{host}methods: [{method}], path: {pattern}}}]"
        ))
    }
}

impl Host {
    fn parse(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        match text.strip_prefix('*') {
            _ if text.is_empty() => Self::Any,
            Some("") => Self::Any,
            Some(below) if below.starts_with('.') => Self::Below(below.to_owned()),
            _ => Self::Exact(text),
        }
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own == host,
            Self::Below(end) => host.ends_with(end.as_str()),
        }
    }
}

/// Returns the host of an authority, without its port.
fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: &str, methods: &[&str], path: &str) -> Passthrough {
        Passthrough {
            host: host.to_owned(),
            methods: methods.iter().map(|&it| it.to_owned()).collect(),
            path: path.to_owned(),
        }
    }

    fn build(prefixes: &[&str], entries: &[Passthrough]) -> (Option<KnownPaths>, Vec<String>) {
        let mut findings = Findings::default();
        let prefixes: Vec<String> = prefixes.iter().map(|&it| it.to_owned()).collect();
        let built = KnownPaths::build(&prefixes, entries, &mut findings);
        let problems = findings.into_problems();
        (built, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn exceptions_go_by_host_method_and_path() {
        let entries = [
            entry("tools.example.com", &["post"], "/upload/**"),
            entry("*.files.example", &[], "/put"),
            entry("", &["PUT"], "/any/*"),
        ];
        let (built, problems) = build(&[], &entries);
        assert_eq!(problems, [""; 0]);
        let built = built.unwrap();
        for (authority, method, path, expected) in [
            ("tools.example.com", "POST", "/upload/x", true),
            ("Tools.example.com:8443", "POST", "/Upload/x?y", true),
            ("tools.example.com", "PUT", "/upload/x", false),
            ("other.example.com", "POST", "/upload/x", false),
            ("tools.example.com", "POST", "/upload/../invocations", false),
            ("a.files.example", "POST", "/put", true),
            ("files.example", "POST", "/put", false),
            ("[::1]:80", "PUT", "/any/x", true),
        ] {
            assert_eq!(
                built.excepts(authority, method, path),
                expected,
                "{authority} {method} {path}"
            );
        }
    }

    #[test]
    fn what_is_read_cannot_be_excepted() {
        let at = |end: &str| format!("error: global.server.passthrough[0].path: {end}");
        for (prefixes, path, expected) in [
            (&[][..], "/**", at("covers /v1/chat/completions")),
            (&[], "/v1/responses", at("covers /v1/responses")),
            (&["/llm"], "/llm/**", at("covers /llm/v1/chat/completions")),
            (&[], "upload", at("a path pattern begins with `/`")),
            (&[], "", at("a path pattern begins with `/`")),
            (
                &["llm"],
                "/x",
                "error: global.server.path_prefixes: a prefix begins".to_owned(),
            ),
        ] {
            let (_, problems) = build(prefixes, &[entry("a.example", &["PUT"], path)]);
            assert_eq!(problems.len(), 1, "{path}: {problems:?}");
            assert!(problems[0].starts_with(&expected), "{path}: {problems:?}");
        }
    }

    #[test]
    fn the_entry_to_add_is_one_that_check_accepts() {
        let known = KnownPaths::default();
        assert_eq!(
            known.suggest("tools.example.com:443", "POST", "/upload/x"),
            Some("global.server.passthrough: [{host: tools.example.com, methods: [POST], path: /upload/x/**}]".to_owned())
        );
        assert_eq!(
            known.suggest("a b", "PUT", "/x").as_deref(),
            Some("global.server.passthrough: [{methods: [PUT], path: /x/**}]")
        );
        assert_eq!(known.suggest("a", "POST", "/v1/responses"), None);
    }
}
