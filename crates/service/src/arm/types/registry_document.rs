//! What the engine adds to documents of the registry that are only kept: a uid, a state, a count of changes.

use crate::arm::declaration::{Behavior, NameRule, View, inner_dashes};
use crate::platform::Platform;
use crate::resources::Stored;
use async_trait::async_trait;
use ferrohub_model::error::Result;
use serde_json::Value;

/// Names of lower-case letters, digits and inner dashes (reference: device-registry-api.md section 2).
pub(super) const fn lower_name(max: usize) -> NameRule {
    NameRule {
        min: 3,
        max,
        legal: |name| inner_dashes(name) && !name.chars().any(|c| c.is_ascii_uppercase()),
        text: "lower-case letters, digits and inner '-' (^[a-z0-9][a-z0-9-]*[a-z0-9]$)",
    }
}

/// The behaviour of a document that is kept.
pub(super) struct Document {
    /// Whether it shows the uid of its row as `uuid`.
    pub(super) uuid: bool,
    /// Whether it shows when it changed last.
    pub(super) transition: bool,
}

#[async_trait]
impl Behavior for Document {
    async fn decorate(&self, _: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let properties = &mut doc["properties"];
        if self.uuid {
            properties["uuid"] = stored.uid.to_string().into();
        }
        if self.transition {
            properties["lastTransitionTime"] = stored.resource.system_data.last_modified_at.clone().into();
        }
        show_state(stored, properties);
        Ok(())
    }
}

/// `provisioningState`: what is stored while a resource goes, else that it is there.
pub(super) fn show_state(stored: &Stored, properties: &mut Value) {
    let state = stored.resource.text(&["provisioningState"]).unwrap_or("Succeeded");
    properties["provisioningState"] = state.into();
}
