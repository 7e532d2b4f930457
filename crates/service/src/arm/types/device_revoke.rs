//! `devices/{device}/revoke`: takes all certificates of a device away, and with `disable` its access
//! (reference: device-registry-api.md section 4, certificates.md section 4).
//!
//! The device is out with the unit that accepts the request. What remains, the rows of its certificates, which the revocation
//! lists are made from, is a durable operation.

use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::{activity, operations};
use crate::certificate;
use crate::platform::{Change, Platform};
use crate::registry::{self, Revocation};
use crate::resources;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The action's name.
pub(super) const REVOKE: &str = "revoke";

/// Accepts a revocation: 202, and at the `Location` `{"result": "Succeeded"}`. Without a certificate to take away the answer
/// says so at once.
pub(super) async fn answer(cx: &SubContext<'_>, tag: &str) -> Result<SubAnswer> {
    let asked = Asked {
        disable: wants_disabled(cx.body)?,
        action: "Microsoft.DeviceRegistry/namespaces/devices/revoke/action",
        ended: (200, Some(json!({"result": "Succeeded"}))),
    };
    match accept(cx, tag, &asked).await? {
        Some(operation) => Ok(SubAnswer::Accepted { operation }),
        None => Ok(SubAnswer::Done(200, Some(nothing_to_revoke(cx)))),
    }
}

/// What is asked of a revocation, and what its end says.
pub(super) struct Asked {
    /// Whether the device is disabled too.
    pub(super) disable: bool,
    /// The action for the activity log.
    pub(super) action: &'static str,
    /// Status and body at the `Location`.
    pub(super) ended: (u16, Option<Value>),
}

/// Takes the certificates of the device away, and answers the operation that finishes it; `None` where there is nothing to take.
pub(super) async fn accept(cx: &SubContext<'_>, tag: &str, asked: &Asked) -> Result<Option<String>> {
    let platform = cx.platform;
    // The turn of whoever writes the identity at the hub.
    let device_id = registry::hub_device(platform, cx.stored.uid).await?.map(|device| device.device_id.clone());
    let _turn = platform.twin_turn(device_id.as_deref().unwrap_or_default()).await;
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| contended(cx)).await?;
        let stored = resources::by_uid(platform, cx.stored.uid).await?.ok_or_else(|| resources::missing(cx.id))?;
        let mut change = Change::new();
        let revoked = registry::revoke_device(platform, cx.actor, &stored, asked.disable, &mut change).await?;
        let Some(Revocation { credential }) = revoked else { return Ok(None) };
        let input = json!({
            "device": uid_key(stored.uid),
            "credential": credential.map(uid_key),
            "at": platform.now(),
        });
        let (row, begun) = activity::begin(platform, cx.request, cx.id, asked.action)?;
        let mut record = StoredOperation::new(platform, begun, tag, REVOKE, cx.id, asked.ended.0, input);
        record.result.clone_from(&asked.ended.1);
        change.unit.put(row);
        change.unit.put(record.put()?);
        if platform.try_commit(change).await? {
            metrics::counter!("ferrohub_devices_revoked_total").increment(1);
            operations::drive_briefly(platform, &record.id).await?;
            return Ok(Some(record.id));
        }
    }
}

/// Revokes the rows of what the device had.
pub(super) async fn run(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    let uid = |member: &str| record.input.get(member).and_then(Value::as_str).and_then(parse_uid_key);
    let at = record.input.get("at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(device), Some(at)) = (uid("device"), at) else {
        return Err(Error::internal(format!("operation {} does not say what is revoked", record.id)));
    };
    if let Some(credential) = uid("credential") {
        certificate::revoke_credential(platform, device, credential, at).await?;
    }
    lease.renew(platform).await
}

fn contended(cx: &SubContext<'_>) -> Error {
    Error::unavailable(
        format!("The device '{}' is being changed by many at once; try again in a second.", cx.id.name()),
        1,
    )
}

fn wants_disabled(body: Option<&Value>) -> Result<bool> {
    let bad = |at: &str, text: String| Err(Error::invalid(text).with_code("InvalidRequestContent").with_target(at));
    let body = match body {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Object(body)) => body,
        Some(_) => return bad("", "The body of a revocation is a JSON object, or there is none.".into()),
    };
    if let Some(name) = body.keys().find(|name| *name != "disable") {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        return bad(name, format!("A revocation knows no '{shown}'; it knows 'disable'."));
    }
    match body.get("disable") {
        None => Ok(false),
        Some(Value::Bool(disable)) => Ok(*disable),
        Some(_) => bad("disable", "'disable' is true or false; leave it out for false.".into()),
    }
}

fn nothing_to_revoke(cx: &SubContext<'_>) -> Value {
    let text = format!(
        "No active credential: the device '{}' has no certificate of a policy of this namespace.",
        cx.id.name()
    );
    json!({"result": "Failed", "error": {"code": "404", "message": text, "details": []}})
}
