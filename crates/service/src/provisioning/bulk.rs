//! Many enrollments at once: each for itself, and what went wrong with which (reference: iot-hub-and-dps.md B.1).

use super::access::{Needs, shown};
use super::enrollments::{bad, collection};
use super::shape::check_names;
use super::{DpsRef, ProvisioningService};
use crate::authz::Actor;
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::BULK_ENROLLMENTS;
use serde_json::{Value, json};

/// What is done with each enrollment of a bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    UpdateIfMatchETag,
    Delete,
}

/// The body of a bulk.
struct Bulk<'a> {
    mode: Mode,
    items: &'a [Value],
}

impl ProvisioningService {
    /// Writes or deletes up to [`BULK_ENROLLMENTS`] enrollments of a kind, one after the other; the answer says of which that failed and why.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `Invalid` (400004) for a body that is no bulk.
    pub async fn bulk_enrollments(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        version: Option<&str>,
        body: &Value,
    ) -> Result<Value> {
        // The right is asked for before the body is told to be wrong.
        let deletes = body.get("mode").and_then(Value::as_str).is_some_and(|mode| mode.eq_ignore_ascii_case("delete"));
        let needs = Needs::of(kind);
        self.authorize(actor, dps, if deletes { needs.delete } else { needs.write }).await?;
        let bulk = Bulk::parse(kind, body)?;
        let mut errors = Vec::new();
        for item in bulk.items {
            if let Err(error) = self.bulk_item(actor, dps, kind, version, bulk.mode, item).await {
                if error.http_status() >= 500 {
                    tracing::warn!(%error, dps = dps.name, "an enrollment of a bulk failed");
                }
                let id = item.get(kind.id_member()).cloned().unwrap_or_default();
                let mut entry = json!({"errorCode": error.numeric_code(), "errorStatus": error.message});
                entry[kind.id_member()] = id;
                errors.push(entry);
            }
        }
        Ok(json!({"isSuccessful": errors.is_empty(), "errors": errors}))
    }

    async fn bulk_item(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        kind: EnrollmentKind,
        version: Option<&str>,
        mode: Mode,
        item: &Value,
    ) -> Result<()> {
        let id = item.get(kind.id_member()).and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| bad(format!("The entry has no {}.", kind.id_member())))?;
        if mode == Mode::Delete {
            return self.delete_enrollment(actor, dps, kind, id, None).await;
        }
        check_names(version, item)?;
        let etag = item.get("etag").and_then(Value::as_str).filter(|etag| !etag.is_empty());
        let if_match = match mode {
            Mode::Create | Mode::Delete => None,
            Mode::Update => Some("*"),
            Mode::UpdateIfMatchETag => Some(etag.ok_or_else(|| {
                bad(format!("The entry '{}' has no etag, which the mode updateIfMatchETag needs.", shown(id)))
            })?),
        };
        if if_match.is_some() && self.enrollment_row(kind, dps, id).await?.is_none() {
            return Err(super::enrollment::missing(kind, dps, id));
        }
        self.put_enrollment(actor, dps, kind, id, item, if_match).await.map(drop)
    }
}

impl<'a> Bulk<'a> {
    fn parse(kind: EnrollmentKind, body: &'a Value) -> Result<Self> {
        let list = collection(kind);
        let members = body.as_object().ok_or_else(|| wrong(list, "the body is no JSON object"))?;
        if let Some(other) = members.keys().find(|name| *name != list && *name != "mode") {
            return Err(wrong(list, &format!("it has the member '{}'", shown(other))).with_target(shown(other)));
        }
        let word = members.get("mode").and_then(Value::as_str).unwrap_or_default();
        let mode = match word.to_ascii_lowercase().as_str() {
            "create" => Mode::Create,
            "update" => Mode::Update,
            "updateifmatchetag" => Mode::UpdateIfMatchETag,
            "delete" => Mode::Delete,
            _ => {
                return Err(bad(format!(
                    "The mode '{}' is unknown; use create, update, updateIfMatchETag or delete.",
                    shown(word)
                ))
                .with_target("mode"));
            }
        };
        let items = members.get(list).and_then(Value::as_array).ok_or_else(|| wrong(list, "it has no such list"))?;
        if items.is_empty() || items.len() > BULK_ENROLLMENTS {
            return Err(wrong(list, &format!("the list has {} entries", items.len())).with_target(list));
        }
        Ok(Self { mode, items })
    }
}

fn wrong(list: &str, why: &str) -> Error {
    bad(format!("A bulk is {{\"mode\": …, \"{list}\": […]}} with 1 to {BULK_ENROLLMENTS} enrollments, and {why}."))
}
