//! Whether a name that is unique over all subscriptions is free.

use super::declaration::TypeDecl;
use super::request::{ArmRequest, ArmResponse};
use crate::platform::Platform;
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Value, json};

/// Answers an action such as `checkNameAvailability` with whether a name of the type is free.
///
/// # Errors
/// A caller who reads no resource of the type anywhere; a body without a name.
pub(super) async fn answer(
    platform: &Platform,
    request: &ArmRequest,
    known: &Subscription,
    decl: &TypeDecl,
) -> Result<ArmResponse> {
    authorize(platform, request, known, decl)?;
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
    let taken = platform.store.find_one(&RESOURCES, "unique_name", &unique).await?.is_some();
    let body = if taken {
        json!({"nameAvailable": false, "reason": "AlreadyExists", "message": format!("The name '{name}' is taken. Names are unique over all subscriptions, ignoring case.")})
    } else {
        json!({"nameAvailable": true, "reason": "Invalid", "message": null})
    };
    Ok(ArmResponse::new(200, Some(body)))
}

/// Azure's own right, on the subscription. `az iot hub show` asks as well, so who may read resources of the type anywhere in
/// the subscription is let in too.
fn authorize(platform: &Platform, request: &ArmRequest, known: &Subscription, decl: &TypeDecl) -> Result<()> {
    let scope = ResourceId::subscription(&known.id.to_string());
    if platform.access().allows_within(request.actor.id(), &decl.action("read"), &scope) {
        return Ok(());
    }
    platform.authorize(&request.actor, &decl.name_check_action().unwrap_or_default(), &scope)
}
