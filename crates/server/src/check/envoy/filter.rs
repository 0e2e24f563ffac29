//! Rules about the filter itself.

use super::{duration, error, warning};
use document::Problem;
use router::escalation::confidence::RUN_AT_LEAST_MS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Merit's own deadline where Envoy has one per message: it must come first, or Envoy answers 504
/// in our place.
const DEADLINE: Duration = Duration::from_millis(150);
const MESSAGE_TIMEOUT_DEFAULT: Duration = Duration::from_millis(200);

/// One ext_proc filter's configuration.
pub(super) struct Filter<'a> {
    path: &'a str,
    config: &'a Value,
}

impl<'a> Filter<'a> {
    pub(super) fn of(path: &'a str, config: &'a Value) -> Self {
        Self { path, config }
    }

    pub(super) fn check(&self, namespaces: &BTreeSet<String>) -> Vec<Problem> {
        let mut found = self.check_modes();
        found.extend(self.timeout());
        found.extend(self.metadata(namespaces));
        found.extend(self.attempt_metadata());
        found.extend(self.switches());
        found
    }

    /// Checks what the filter shows Merit of requests and answers.
    pub(super) fn check_modes(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        found.extend(self.request_body());
        found.extend(self.request_head_and_trailers());
        found.extend(self.response_body());
        found
    }

    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The cluster of Merit, if the filter uses one.
    pub(super) fn cluster(&self) -> Option<&'a str> {
        self.config
            .pointer("/grpc_service/envoy_grpc/cluster_name")?
            .as_str()
    }

    /// A gRPC stream stays open while the model generates.
    pub(super) fn holds_streams(&self) -> bool {
        let response = self.mode("response_body_mode") != "NONE"
            || self.mode("response_header_mode") != "SKIP";
        (self.mode("request_body_mode") == "BUFFERED" && !self.is_attempt()) || response
    }

    /// A processing mode as written, or as Envoy defaults it.
    fn mode(&self, key: &str) -> &'a str {
        let written = self
            .config
            .pointer("/processing_mode")
            .and_then(|modes| modes[key].as_str());
        let written = written.filter(|mode| *mode != "DEFAULT");
        written.unwrap_or(if key.ends_with("header_mode") {
            "SEND"
        } else if key.ends_with("body_mode") {
            "NONE"
        } else {
            "SKIP"
        })
    }

    fn mode_path(&self, key: &str) -> String {
        self.path(&format!("processing_mode.{key}"))
    }

    fn is_true(&self, key: &str) -> bool {
        self.config[key] == Value::Bool(true)
    }

    fn request_body(&self) -> Option<Problem> {
        let path = self.mode_path("request_body_mode");
        match self.mode("request_body_mode") {
            "STREAMED" => Some(error(
                path,
                "STREAMED cannot route: the headers have gone on before the body is known; use FULL_DUPLEX_STREAMED, or \
                 BUFFERED",
            )),
            "BUFFERED_PARTIAL" => Some(warning(
                path,
                "BUFFERED_PARTIAL routes only bodies below the buffer limit; larger ones are cut and get an error; use \
                 FULL_DUPLEX_STREAMED, or BUFFERED",
            )),
            "NONE" if !self.is_true("allow_mode_override") => Some(error(
                path,
                "NONE sends no body, so there is nothing to route on; use FULL_DUPLEX_STREAMED",
            )),
            _ => None,
        }
    }

    fn request_head_and_trailers(&self) -> Option<Problem> {
        if self.mode("request_header_mode") == "SKIP" {
            let message = "SKIP ignores the headers that Merit sets, so the default route is always taken; use SEND";
            return Some(error(self.mode_path("request_header_mode"), message));
        }
        let duplex = self.mode("request_body_mode") == "FULL_DUPLEX_STREAMED";
        (duplex && self.mode("request_trailer_mode") != "SEND").then(|| {
            error(
                self.mode_path("request_trailer_mode"),
                "FULL_DUPLEX_STREAMED needs SEND here, Envoy refuses it else",
            )
        })
    }

    fn response_body(&self) -> Option<Problem> {
        (self.mode("response_body_mode") == "BUFFERED").then(|| {
            let message =
                "BUFFERED holds a streamed answer back until its end; use NONE or STREAMED";
            warning(self.mode_path("response_body_mode"), message)
        })
    }

    /// A translation needs the whole of the answer, from its headers on, and must be let change it.
    pub(super) fn translation(&self, models: &[String]) -> Option<Problem> {
        let body = self.mode("response_body_mode");
        let is_changed = ["STREAMED", "FULL_DUPLEX_STREAMED", "BUFFERED"].contains(&body);
        let (key, mode) = if self.mode("response_header_mode") == "SKIP" {
            ("response_header_mode", "SKIP")
        } else if !is_changed {
            ("response_body_mode", body)
        } else {
            return None;
        };
        let (first, others) = models.split_first().filter(|_| !self.is_attempt())?;
        let others = match others.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "{mode} hides answers from Merit, so requests are not translated here: {first}{others} serves only clients of its own API, \
             and others get a 400 where no other candidate is left; show both, as envoy/observe.yaml does"
        );
        Some(warning(self.mode_path(key), message))
    }

    fn timeout(&self) -> Option<Problem> {
        if self.mode("request_body_mode") == "FULL_DUPLEX_STREAMED" {
            // Envoy sets no timer there.
            return None;
        }
        let timeout = self.config["message_timeout"]
            .as_str()
            .map_or(Some(MESSAGE_TIMEOUT_DEFAULT), duration)?;
        (!timeout.is_zero() && timeout <= DEADLINE).then(|| {
            let message = format!(
                "{timeout:?} is not above Merit's own deadline of {DEADLINE:?}: Envoy would answer 504 before Merit can"
            );
            warning(self.path("message_timeout"), message)
        })
    }

    /// A run of several models takes seconds, which only full duplex gives by itself.
    pub(super) fn run_time(&self) -> Option<Problem> {
        if self.mode("request_body_mode") == "FULL_DUPLEX_STREAMED" || self.is_attempt() {
            return None;
        }
        let timeout = self.config["message_timeout"]
            .as_str()
            .map_or(Some(MESSAGE_TIMEOUT_DEFAULT), duration)?;
        (!timeout.is_zero() && timeout < Duration::from_millis(RUN_AT_LEAST_MS)).then(|| {
            let message = format!(
                "{timeout:?} is too short for decisions that ask several models: their first candidate serves the request; \
                 use FULL_DUPLEX_STREAMED, or raise this and `global.server.extproc.buffered_deadline_ms`"
            );
            warning(self.path("message_timeout"), message)
        })
    }

    /// A filter of upstream attempts, which holds nothing.
    fn is_attempt(&self) -> bool {
        let metadata = self
            .config
            .pointer("/grpc_service/initial_metadata")
            .and_then(Value::as_array);
        metadata
            .into_iter()
            .flatten()
            .any(|pair| pair["key"] == "x-merit-attempt")
    }

    /// Returns the metadata namespaces of one kind: `forwarding_namespaces` or
    /// `receiving_namespaces`.
    fn namespaces(&self, kind: &str) -> BTreeSet<&'a str> {
        let written = &self.config["metadata_options"][kind]["untyped"];
        let written = written.as_array().into_iter().flatten();
        written.filter_map(Value::as_str).collect()
    }

    /// A filter of attempts needs Merit's own metadata, both ways.
    fn attempt_metadata(&self) -> Option<Problem> {
        let has = |kind: &str| self.namespaces(kind).contains("merit");
        let is_shown = has("forwarding_namespaces") && has("receiving_namespaces");
        (self.is_attempt() && !is_shown).then(|| {
            let message = "without `merit` among forwarding_namespaces and receiving_namespaces, backends get the headers that \
                           Merit needs for a second attempt (x-merit-fallback-…), and replies name the model that failed";
            warning(self.path("metadata_options"), message)
        })
    }

    /// Checks that Merit's metadata is received.
    pub(super) fn metadata(&self, namespaces: &BTreeSet<String>) -> Option<Problem> {
        if self.is_attempt() {
            return None;
        }
        let received = self.namespaces("receiving_namespaces");
        let path = self.path("metadata_options.receiving_namespaces.untyped");
        if received.is_empty() {
            let message = "no namespace is received: Envoy drops Merit's dynamic metadata silently";
            return Some(if namespaces.is_empty() {
                warning(path, message)
            } else {
                error(path, message)
            });
        }
        let missing = namespaces
            .iter()
            .find(|name| is_merits(name) && !received.contains(name.as_str()))?;
        Some(error(
            path,
            format!(
                "{missing:?} is read by this bootstrap but not received here: its values stay empty"
            ),
        ))
    }

    fn switches(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.config["route_cache_action"] == "RETAIN" {
            let message =
                "RETAIN wins over Merit's request to match routes again: the old route is used";
            found.push(error(self.path("route_cache_action"), message));
        }
        if self.is_true("observability_mode") {
            let message = "Envoy ignores replies in observability mode: nothing is routed";
            found.push(error(self.path("observability_mode"), message));
        }
        if self.is_true("disable_immediate_response") {
            let message = "Merit's own answers (errors, fast responses) become 500";
            found.push(error(self.path("disable_immediate_response"), message));
        }
        if self.is_true("failure_mode_allow") {
            let message = "requests pass unrouted and unchecked when Merit does not answer";
            found.push(warning(self.path("failure_mode_allow"), message));
        }
        found
    }
}

/// Namespaces of Envoy's own filters are filled by those filters.
fn is_merits(namespace: &str) -> bool {
    !namespace.starts_with("envoy.")
}
