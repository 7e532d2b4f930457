//! Name checks of hubs and provisioning services.

use super::declaration::TypeDecl;
use super::types;
use super::{ArmRequest, ArmResponse};
use crate::platform::Platform;
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_store::Page;
use serde_json::{Value, json};

/// Answers `checkNameAvailability` (hubs) or `checkProvisioningServiceNameAvailability`.
///
/// # Errors
/// A body without a name.
pub(super) async fn answer(platform: &Platform, request: &ArmRequest, word: &str) -> Result<ArmResponse> {
    let decl: &TypeDecl = if word.eq_ignore_ascii_case("checkNameAvailability") {
        &types::iot_hub::DECL
    } else {
        &types::provisioning_service::DECL
    };
    let name = request.body.as_ref().and_then(|body| body.get("name")).and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Error::invalid_property("name", "The body needs a 'name'."));
    }
    if let Err(error) = decl.name.check(&decl.full(), name) {
        return Ok(ArmResponse::new(
            200,
            Some(json!({"nameAvailable": false, "reason": "Invalid", "message": error.message})),
        ));
    }
    let unique = format!("{}/{}", decl.global_name.unwrap_or_default(), name.to_lowercase());
    let taken = !platform.store.find(&RESOURCES, "unique_name", &unique, Page::first(1)).await?.is_empty();
    let body = if taken {
        json!({"nameAvailable": false, "reason": "AlreadyExists", "message": format!("The name '{name}' is taken. Names are unique over all subscriptions, ignoring case.")})
    } else {
        json!({"nameAvailable": true, "reason": "Invalid", "message": null})
    };
    Ok(ArmResponse::new(200, Some(body)))
}
