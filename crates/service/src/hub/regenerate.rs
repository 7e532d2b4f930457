//! New keys for many devices and modules in one request: `POST /devices/keys/regenerate` (reference: iot-hub-and-dps.md C.1).

use super::access::WRITE_DEVICE;
use super::bulk::{Failed, too_many};
use super::devices::check_match;
use super::identity::{self, ClientId, Credentials};
use super::{HubRef, HubService, contended};
use crate::authz::Actor;
use crate::platform::Change;
use ferrohub_model::device::{AuthenticationType, argument_invalid};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::BULK_DEVICES;
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_wire::etag::EtagCondition;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Devices whose keys are made at the same time: ours.
const AT_ONCE: usize = 16;

/// What became of a request for new keys.
#[derive(Debug, Clone)]
pub struct Regenerated {
    /// Which keys were meant, in IoT Hub's spelling.
    pub policy_key: &'static str,
    /// `{id, moduleId, primaryKey, secondaryKey}` of each whose keys are new; a key that stayed is null.
    pub rotated: Vec<Value>,
    /// The others.
    pub failed: Vec<Failed>,
}

/// Which keys are made anew.
#[derive(Debug, Clone, Copy)]
struct Which {
    word: &'static str,
    primary: bool,
    secondary: bool,
}

const WHICH: &[Which] = &[
    Which { word: "primaryKey", primary: true, secondary: false },
    Which { word: "secondaryKey", primary: false, secondary: true },
    Which { word: "both", primary: true, secondary: true },
];

impl HubService {
    /// Makes keys of devices and modules anew: the body's `policyKey` (`primaryKey`, `secondaryKey` or `both`) of each of its
    /// `devices`, where an entry has an `etag` only if that is the identity's still. Connections that rest on a former key end.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `InvalidPolicyKey` (400035); `ArgumentInvalid` (400004) for a body that is none,
    /// `TooManyDevices` (413002). No key is changed then.
    pub async fn regenerate_keys(&self, actor: &Actor, hub: &HubRef, body: &Value) -> Result<Regenerated> {
        self.authorize(actor, hub, &WRITE_DEVICE).await?;
        let which = which(body)?;
        let entries = entries(body)?;
        let (mut rotated, mut failed) = (Vec::new(), Vec::new());
        for entries in entries.chunks(AT_ONCE) {
            let outcomes = join_all(entries.iter().map(|entry| self.regenerate(hub, entry, which))).await;
            for (Entry { client, .. }, outcome) in entries.iter().zip(outcomes) {
                match outcome {
                    Ok(keys) => rotated.push(keys),
                    Err(error) => failed.push(Failed {
                        device_id: client.device_id.to_owned(),
                        module_id: client.module_id.map(str::to_owned),
                        error,
                    }),
                }
            }
        }
        Ok(Regenerated { policy_key: which.word, rotated, failed })
    }

    async fn regenerate(&self, hub: &HubRef, entry: &Entry<'_>, which: Which) -> Result<Value> {
        let client = entry.client;
        let fresh = |wanted: bool| wanted.then(|| generate_symmetric_key(self.platform.random.as_ref()).to_string());
        let (primary, secondary) = (fresh(which.primary), fresh(which.secondary));
        let _turn = self.platform.twin_turn(client.device_id).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The keys of '{client}'"))).await?;
            let was = self.require_device(hub, client).await?;
            check_match(&entry.condition, &was.device.etag)?;
            if was.device.authentication.kind != AuthenticationType::Sas {
                return Err(Error::invalid(format!(
                    "'{client}' has the authentication type '{}' and no keys.",
                    was.device.authentication.kind.as_str()
                ))
                .with_code("InvalidOperation")
                .with_iot_code(400_003));
            }
            let mut device = (*was.device).clone();
            let keys = Credentials::Keys { primary: primary.clone(), secondary: secondary.clone() };
            identity::set_credentials(&self.platform, &mut device, keys).await?;
            let mut change = Change::new();
            identity::add_update(&self.platform, &was, &mut device, &mut change)?;
            if self.platform.try_commit(change).await? {
                return Ok(json!({
                    "id": client.device_id,
                    "moduleId": client.module_id,
                    "primaryKey": primary,
                    "secondaryKey": secondary,
                }));
            }
        }
    }
}

fn which(body: &Value) -> Result<Which> {
    let word = body.get("policyKey").and_then(Value::as_str).unwrap_or_default();
    WHICH.iter().copied().find(|which| which.word.eq_ignore_ascii_case(word)).ok_or_else(|| {
        Error::invalid("The member 'policyKey' is 'primaryKey', 'secondaryKey' or 'both'.")
            .with_code("InvalidPolicyKey")
            .with_iot_code(400_035)
    })
}

/// A device or module whose keys are meant.
struct Entry<'a> {
    client: ClientId<'a>,
    /// The identity that it must still be.
    condition: EtagCondition,
}

/// Members of an entry, as IoT Hub spells them.
const MEMBERS: &[&str] = &["id", "moduleId", "etag"];

fn entries(body: &Value) -> Result<Vec<Entry<'_>>> {
    let known = |name: &&String| matches!(name.as_str(), "policyKey" | "devices");
    if let Some(name) = body.as_object().and_then(|map| map.keys().find(|name| !known(name))) {
        return Err(unknown(name, "the body", &["policyKey", "devices"]));
    }
    let list = body.get("devices").and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or_else(|| {
        argument_invalid(format!(
            "The member 'devices' is a list of 1 to {BULK_DEVICES} entries with an 'id', and a 'moduleId' for a module."
        ))
    })?;
    if list.len() > BULK_DEVICES {
        return Err(too_many(list.len()));
    }
    list.iter().enumerate().map(|(index, entry)| read(index, entry)).collect()
}

fn unknown(name: &str, place: &str, members: &[&str]) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    argument_invalid(format!("The member '{shown}' of {place} is not known; there are {}.", members.join(", ")))
}

fn read(index: usize, entry: &Value) -> Result<Entry<'_>> {
    let place = format!("the entry {index} of 'devices'");
    let map = entry.as_object().into_iter().flatten();
    if let Some((name, _)) = map.clone().find(|(name, _)| !MEMBERS.iter().any(|known| known.eq_ignore_ascii_case(name)))
    {
        return Err(unknown(name, &place, MEMBERS));
    }
    let text = |wanted: &str| match map.clone().find(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
        None | Some((_, Value::Null)) => Ok(None),
        Some((_, Value::String(text))) => Ok(Some(text.as_str())),
        Some(_) => Err(argument_invalid(format!("The member '{wanted}' of {place} is a text."))),
    };
    let Some(device_id) = text("id")? else {
        return Err(argument_invalid(format!("{place} has no 'id', which is the device id.")));
    };
    let etag = text("etag")?.filter(|etag| !etag.is_empty());
    let condition = etag.map_or(EtagCondition::Any, EtagCondition::parse);
    Ok(Entry { client: ClientId { device_id, module_id: text("moduleId")? }, condition })
}
