//! Sets and removes request headers on their way upstream.
//!
//! ```yaml
//! plugins:
//!   - type: header_mutation
//!     configuration:
//!       add: [{name: x-tenant-tier, value: premium}]
//!       delete: [x-debug-trace]
//! ```

use super::{Action, Checking, Configuration, Plugin, PluginInput, Turn};
use crate::plan::{Edits, HeaderOp};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Change headers of the request sent upstream, after all that the router sets itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderMutation")]
pub struct HeaderMutationConfig {
    /// Headers to set.
    pub add: Vec<HeaderValue>,
    /// Headers to set, after those of `add`.
    pub update: Vec<HeaderValue>,
    /// Names of headers to remove, last.
    pub delete: Vec<String>,
}

/// A header and its value.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValue {
    /// Name.
    pub name: String,
    /// Value.
    #[schemars(extend("writeOnly" = true))]
    pub value: String,
}

/// Always on: the type has no `enabled`.
impl Configuration for HeaderMutationConfig {
    const NAME: &'static str = "header_mutation";
    const TURN: Option<Turn> = Some(Turn::Headers);

    fn request_headers(&self) -> Vec<&str> {
        let set = self.add.iter().chain(&self.update);
        set.map(|header| header.name.as_str())
            .chain(self.delete.iter().map(String::as_str))
            .collect()
    }

    fn check(&self, checking: &mut Checking<'_>) {
        for (index, header) in self.add.iter().enumerate() {
            check_name(&format!("add[{index}]"), &header.name, checking);
        }
        for (index, header) in self.update.iter().enumerate() {
            check_name(&format!("update[{index}]"), &header.name, checking);
        }
        for (index, name) in self.delete.iter().enumerate() {
            check_name(&format!("delete[{index}]"), name, checking);
        }

        for (index, header) in self.add.iter().chain(&self.update).enumerate() {
            if http::HeaderValue::from_str(&header.value).is_err() {
                let message = format!(
                    "the value of header {} (`{}`) cannot be sent",
                    index + 1,
                    header.name
                );
                checking.findings.error(checking.path, message);
            }
        }
    }

    /// Sets `add`, then `update`, then removes `delete`.
    fn build(&self) -> Option<Box<dyn Plugin>> {
        let sets = self.add.iter().chain(&self.update);
        let sets = sets.map(|header| {
            HeaderOp::Set(
                header.name.to_ascii_lowercase().into(),
                header.value.as_str().into(),
            )
        });
        let removals = self
            .delete
            .iter()
            .map(|name| HeaderOp::Remove(name.to_ascii_lowercase().into()));
        Some(Box::new(HeaderMutation {
            edits: sets.chain(removals).collect(),
        }))
    }
}

/// Reports a name that no header can have, and one that the gateway routes by.
fn check_name(key: &str, name: &str, checking: &mut Checking<'_>) {
    let path = format!("{}.{key}", checking.path);
    let mut routing = checking.routing_headers.iter();
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("`{name}` is no header name");
        checking.findings.error(path, message);
    } else if routing.any(|own| own.eq_ignore_ascii_case(name)) {
        let message = format!(
            "overrides the routing header `{name}`, so the request may go to another model than the one chosen"
        );
        checking.findings.warn(path, message);
    }
}

struct HeaderMutation {
    edits: Vec<HeaderOp>,
}

#[async_trait]
impl Plugin for HeaderMutation {
    fn name(&self) -> &'static str {
        HeaderMutationConfig::NAME
    }

    fn headers(&self) -> &[HeaderOp] {
        &self.edits
    }

    async fn on_request(&self, _input: &PluginInput<'_>) -> Action {
        Action::Edit(Edits {
            headers: self.edits.clone(),
            ..Edits::default()
        })
    }
}
