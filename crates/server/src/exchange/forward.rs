//! A plan as edits that Envoy understands.

use crate::engine::Generation;
use extproc::BodyReply;
use extproc::{HeaderEdit, HeaderEdits, Metadata, RequestHead};
use http::HeaderValue;
use router::generation::Settings;
use router::pipeline::fallback;
use router::plan::surface::{ReplyHeader, is_owned};
use router::plan::{BodyEdit, Forward, HeaderOp};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The namespace of our dynamic metadata.
pub(crate) const NAMESPACE: &str = "merit";
/// Its key by which Envoy's access log tells which request it is about.
pub(crate) const DISPATCH: &str = "dispatch";
/// Its key under which the gateway keeps what a second attempt needs, by the names of the headers.
pub(crate) const FALLBACK: &str = "fallback";

/// The request asks to be left alone, and the operator lets it.
pub(super) fn skips(serving: &Generation, head: &RequestHead) -> bool {
    serving.router.settings.skip_processing
        && head.headers.get("x-vsr-skip-processing") == Some("true")
}

/// A request that is not ours to route: only headers that would fool a route are taken off.
/// Envoy has chosen a route by them already, so it must choose again.
pub(super) fn untouched(serving: &Generation, head: &RequestHead) -> BodyReply {
    let headers = strip(serving, head);
    BodyReply {
        clear_route_cache: !headers.is_empty(),
        headers,
        ..BodyReply::default()
    }
}

/// Removes what a client sent of the headers that Merit owns, and of per-user provider keys.
pub(super) fn strip(serving: &Generation, head: &RequestHead) -> HeaderEdits {
    strip_names(&serving.router.settings.routing_headers, head)
}

fn strip_names(routing_headers: &[Arc<str>], head: &RequestHead) -> HeaderEdits {
    let ours = |name: &str| {
        is_owned(name)
            || routing_headers.iter().any(|own| **own == *name)
            || name == "x-vsr-skip-processing"
            || (name.starts_with("x-user-") && name.ends_with("-key"))
    };
    head.headers
        .iter()
        .filter(|(name, _)| ours(name))
        .map(|(name, _)| HeaderEdit::Remove(name.to_owned()))
        .collect()
}

/// All header edits of a forwarded request, in the order in which they must be made.
pub(super) fn headers(
    serving: &Generation,
    head: &RequestHead,
    ops: &[HeaderOp],
    trace: HeaderEdits,
    dispatch: u64,
) -> HeaderEdits {
    let mut edits = strip(serving, head);
    edits.extend(trace);
    let mut edits = merged(edits, ops);
    let may_fall_back =
        |edit: &HeaderEdit| matches!(edit, HeaderEdit::Set(name, _) if name == fallback::MODEL);
    if edits.iter().any(may_fall_back) {
        edits.push(HeaderEdit::Set(
            fallback::DISPATCH.to_owned(),
            dispatch.to_string().into(),
        ));
    }
    edits
}

/// Returns the edit by which a path is that of the backend's wire, and one that names a deployment
/// names the chosen model, where the plan has no path of its own.
///
/// # Errors
/// What the client is told: the path cannot be changed.
pub(super) fn path(
    settings: &Settings,
    head: &RequestHead,
    forward: &Forward,
) -> Result<Option<HeaderEdit>, &'static str> {
    const PATH: &str = ":path";
    let path = head.headers.get(PATH).unwrap_or_default();
    let has_own = forward.headers().iter().any(|op| op.name() == PATH);
    if let Some(translation) = forward.translation() {
        let path = settings.paths.on_wire(path, translation.backend.dialect);
        return Ok((!has_own).then(|| HeaderEdit::Set(PATH.to_owned(), path.into())));
    }
    let model = forward.body().iter().rev().find_map(|edit| match edit {
        BodyEdit::Model(id) => Some(id),
        _ => None,
    });
    let (Some(named), Some(model)) = (settings.paths.deployment(path), model) else {
        return Ok(None);
    };
    if has_own || *named == **model {
        return Ok(None);
    }
    match settings.paths.with_deployment(path, model) {
        Some(path) => Ok(Some(HeaderEdit::Set(PATH.to_owned(), path.into()))),
        None => Err(
            "the path names a deployment in a spelling in which another model cannot take its place; \
             write /openai/deployments/NAME/…",
        ),
    }
}

/// Edits of a plan after these, one a name.
pub(super) fn merged(mut edits: HeaderEdits, later: &[HeaderOp]) -> HeaderEdits {
    // Envoy applies removals after sets: what a later edit sets must not also be removed.
    let mut planned: Vec<HeaderEdit> = Vec::with_capacity(later.len());
    for op in later {
        let edit = match op {
            HeaderOp::Set(name, value) => {
                HeaderEdit::Set(name.to_string(), value.as_bytes().to_vec().into())
            }
            HeaderOp::Remove(name) => HeaderEdit::Remove(name.to_string()),
        };
        planned.retain(|earlier| name_of(earlier) != name_of(&edit));
        planned.push(edit);
    }
    edits.retain(|earlier| {
        !planned
            .iter()
            .any(|later| name_of(later) == name_of(earlier))
    });
    edits.append(&mut planned);
    edits
}

fn name_of(edit: &HeaderEdit) -> &str {
    match edit {
        HeaderEdit::Set(name, _) | HeaderEdit::Remove(name) => name,
    }
}

/// Reply headers as dynamic metadata, for gateways that write them onto the response themselves;
/// the request's id, as text: a number would be a double there; and what `edits` tell of a second
/// attempt.
pub(super) fn metadata(headers: &[ReplyHeader], id: u64, edits: &HeaderEdits) -> Metadata {
    let id = (DISPATCH.to_owned(), Value::from(format!("{id:016x}")));
    let told = edits.iter().filter_map(|edit| match edit {
        HeaderEdit::Set(name, value) if fallback::OWN.contains(&name.as_str()) => {
            let value = String::from_utf8_lossy(value);
            Some((name.clone(), Value::from(value.into_owned())))
        }
        _ => None,
    });
    let told: Map<String, Value> = told.collect();
    let attempt = (!told.is_empty()).then(|| (FALLBACK.to_owned(), Value::Object(told)));
    in_namespace(entries(headers).chain([id]).chain(attempt))
}

/// The same for a request that is not counted, so that Envoy's access log does not tell its end.
pub(super) fn shown(headers: &[ReplyHeader]) -> Metadata {
    in_namespace(entries(headers))
}

fn entries(headers: &[ReplyHeader]) -> impl Iterator<Item = (String, Value)> {
    let fit = headers
        .iter()
        .filter(|(_, value)| HeaderValue::from_str(value).is_ok());
    fit.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
}

fn in_namespace(entries: impl Iterator<Item = (String, Value)>) -> Metadata {
    let entries = entries.collect::<Map<_, _>>();
    Metadata::from([(NAMESPACE.to_owned(), Value::Object(entries))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use extproc::Headers;

    fn check(sent: &[(&str, &str)], planned: &[HeaderOp], expected: &str) {
        let sent = sent
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_string().into()))
            .collect();
        let head = RequestHead {
            headers: Headers::new(sent),
            ..RequestHead::default()
        };
        let mut stripped = strip_names(&["x-model-choice".into()], &head);
        stripped.push(HeaderEdit::Set("traceparent".into(), "t".into()));
        let edits = merged(stripped, planned);
        let lines: Vec<String> = edits
            .iter()
            .map(|edit| match edit {
                HeaderEdit::Set(name, value) => {
                    format!("{name}={}", String::from_utf8_lossy(value))
                }
                HeaderEdit::Remove(name) => format!("-{name}"),
            })
            .collect();
        assert_eq!(lines.join(" "), expected);
    }

    fn set(name: &str, value: &str) -> HeaderOp {
        HeaderOp::Set(name.into(), value.into())
    }

    #[test]
    fn spoofed_headers_go_and_ours_stay() {
        check(
            &[
                ("x-selected-model", "spoof"),
                ("x-ai-eg-model", "spoof"),
                ("x-user-openai-key", "k"),
                ("x-model-choice", "s"),
                ("accept", "*/*"),
            ],
            &[set("x-selected-model", "small")],
            "-x-ai-eg-model -x-user-openai-key -x-model-choice traceparent=t x-selected-model=small",
        );
    }

    #[test]
    fn the_last_edit_of_a_name_wins() {
        check(
            &[],
            &[
                set("a", "1"),
                HeaderOp::Remove("b".into()),
                set("a", "2"),
                set("b", "3"),
            ],
            "traceparent=t a=2 b=3",
        );
        check(
            &[],
            &[set("a", "1"), HeaderOp::Remove("a".into())],
            "traceparent=t -a",
        );
    }
}
