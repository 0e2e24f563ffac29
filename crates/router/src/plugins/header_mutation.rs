//! Sets and removes request headers on their way upstream.
//!
//! ```yaml
//! plugins:
//!   - type: header_mutation
//!     configuration:
//!       add: [{name: x-tenant-tier, value: premium}]
//!       delete: [x-debug-trace]
//! ```

use super::{Action, Plugin, PluginInput};
use crate::config::plugins::HeaderMutation as Config;
use crate::plan::{Edits, HeaderOp};
use async_trait::async_trait;

struct HeaderMutation {
    edits: Vec<HeaderOp>,
}

/// `add`, then `update` (both set), then `delete`. Always on: the type has no `enabled`.
pub(super) fn build(config: &Config) -> Option<Box<dyn Plugin>> {
    let sets = config.add.iter().chain(&config.update);
    let sets = sets.map(|header| {
        HeaderOp::Set(
            header.name.to_ascii_lowercase().into(),
            header.value.as_str().into(),
        )
    });
    let removals = config
        .delete
        .iter()
        .map(|name| HeaderOp::Remove(name.to_ascii_lowercase().into()));
    Some(Box::new(HeaderMutation {
        edits: sets.chain(removals).collect(),
    }))
}

#[async_trait]
impl Plugin for HeaderMutation {
    fn name(&self) -> &'static str {
        "header_mutation"
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
