//! Which requests of browsers the API answers.
//!
//! A browser sends requests for any page that its user happens to have open, to addresses that only
//! the user's machine reaches. Two rules keep such pages out; both are asked before the token.
//!
//! **Whose page asks.** A request that another site caused is refused, reading and writing alike.
//! Browsers say so in `Sec-Fetch-Site`, which no page can forge; where it is missing (plain HTTP to
//! a host that is not loopback), `Origin` must name the host that the request went to. Following a
//! link to Merit is no such request: nothing can be changed by it, and the other site sees nothing
//! of the answer.
//!
//! **Which name was asked for.** A page whose name was pointed at loopback after it was loaded (DNS
//! rebinding) is no other site to its browser, and its requests may say nothing of where they come
//! from. So without a token, `Host` must be an address or a name that no DNS server can give away:
//! `localhost`. Such a listener is on loopback in any case (`trust`), where `kubectl port-forward`,
//! tunnels and scripts say `localhost` or an address. With a token every name is fine, such as that
//! of a Service or of an ingress: what the other page lacks is the token. Probes are always
//! answered, whatever host they state.

use super::{Endpoint, Refusal};
use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The rules of one listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    /// Callers show a token.
    pub(super) has_token: bool,
}

impl Guard {
    /// Passes the request on, or refuses it with 403.
    pub(super) async fn pass(self, request: Request, next: Next) -> Response {
        match self.check(&request) {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        }
    }

    fn check(self, request: &Request) -> Result<(), Refusal> {
        let path = request.uri().path();
        let is_probe = Endpoint::ALL
            .iter()
            .any(|endpoint| endpoint.is_open() && endpoint.path() == path);
        if is_probe {
            return Ok(());
        }
        let host = host(request);
        if !self.has_token && !host.is_none_or(is_own) {
            return Err(Refusal::foreign_host(host.unwrap_or_default()));
        }
        if is_foreign(request, host) {
            return Err(Refusal::foreign_origin());
        }
        Ok(())
    }
}

/// Returns the host that the request went to, with its port; `None` if it says nothing, as HTTP/1.0
/// may.
fn host(request: &Request) -> Option<&str> {
    text(request.headers(), HOST.as_str())
        .or_else(|| request.uri().authority().map(Authority::as_str))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is not ASCII is no name of ours, and must not pass for a missing header.
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or("?").trim())
}

/// Tells whether nobody else can have the host's name resolved.
fn is_own(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if host.contains('@') {
        return false;
    }
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            name == "localhost" || name.ends_with(".localhost") || name.parse::<Ipv4Addr>().is_ok()
        }
    }
}

/// Tells whether a page of another site caused the request.
fn is_foreign(request: &Request, host: Option<&str>) -> bool {
    let headers = request.headers();
    match text(headers, "sec-fetch-site") {
        Some("same-origin" | "none") => false,
        Some(_) => !follows_link(request),
        None => {
            let origin = text(headers, ORIGIN.as_str());
            origin.is_some_and(|origin| !is_of(origin, host))
        }
    }
}

/// Tells whether a person opened the address in a window of its own.
fn follows_link(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && text(headers, "sec-fetch-mode") == Some("navigate")
        && text(headers, "sec-fetch-dest") == Some("document")
}

/// Tells whether an origin is that of the host. Default ports may be left out on both sides.
fn is_of(origin: &str, host: Option<&str>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |authority: &str| {
        let lower = authority.to_ascii_lowercase();
        lower.strip_suffix(default).unwrap_or(&lower).to_owned()
    };
    host.is_some_and(|host| bare(host) == bare(authority))
}

#[cfg(test)]
mod tests;
