//! Many devices in one request: `POST /devices` (reference: iot-hub-and-dps.md C.1, C.2). Each entry is a write of its own, which
//! holds or fails by itself; what failed is told in a list.

use super::access::{DELETE_DEVICE, WRITE_DEVICE, WRITE_TWIN_IN_BULK};
use super::devices::Wish;
use super::identity::ClientId;
use super::{HubRef, HubService};
use crate::authz::Actor;
use ferrohub_model::device::{DevicePut, ModulePut, argument_invalid};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::BULK_DEVICES;
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::Twin;
use ferrohub_wire::etag::EtagCondition;
use futures_util::future::join_all;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Entries that are written at the same time: ours. One commit of the store takes them all.
const AT_ONCE: usize = 16;

/// An entry of a request about many devices that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Device id, as it was sent.
    pub device_id: String,
    /// Module id, where one was sent.
    pub module_id: Option<String>,
    /// Why.
    pub error: Error,
}

/// What an entry wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    UpdateIfMatch,
    CreateOrUpdate,
    CreateOrUpdateIfMatch,
    Delete,
    DeleteIfMatch,
    UpdateTwin,
    UpdateTwinIfMatch,
}

const MODES: &[(&str, Mode)] = &[
    ("create", Mode::Create),
    ("update", Mode::Update),
    ("updateIfMatchETag", Mode::UpdateIfMatch),
    ("createOrUpdate", Mode::CreateOrUpdate),
    ("createOrUpdateIfMatchETag", Mode::CreateOrUpdateIfMatch),
    ("delete", Mode::Delete),
    ("deleteIfMatchETag", Mode::DeleteIfMatch),
    ("updateTwin", Mode::UpdateTwin),
    ("updateTwinIfMatchETag", Mode::UpdateTwinIfMatch),
];

/// One entry of the request.
struct Entry<'a> {
    device_id: &'a str,
    module_id: Option<&'a str>,
    mode: Mode,
    body: &'a Map<String, Value>,
}

/// Members of an entry that are not the identity's own.
const BESIDE: &[&str] = &["id", "importMode", "tags", "properties", "eTag", "twinETag"];

impl HubService {
    /// Carries out the entries of a `POST /devices`, and gives those that failed.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `ArgumentInvalid` (400004) for a body that is no list of entries with ids and known
    /// modes, `TooManyDevices` (413002). Nothing is written then.
    pub async fn bulk(&self, actor: &Actor, hub: &HubRef, body: &Value) -> Result<Vec<Failed>> {
        self.authorize(actor, hub, &WRITE_DEVICE).await?;
        let entries = entries(body)?;
        if entries.iter().any(|entry| matches!(entry.mode, Mode::Delete | Mode::DeleteIfMatch)) {
            self.authorize(actor, hub, &DELETE_DEVICE).await?;
        }
        if entries.iter().any(Entry::writes_twin) {
            self.authorize(actor, hub, &WRITE_TWIN_IN_BULK).await?;
        }
        let mut seen = HashSet::new();
        let mut failed = Vec::new();
        for entries in entries.chunks(AT_ONCE) {
            let twice: Vec<bool> =
                entries.iter().map(|entry| !seen.insert((entry.device_id, entry.module_id))).collect();
            let outcomes = join_all(entries.iter().zip(&twice).map(async |(entry, twice)| match twice {
                true => Err(defined_twice(entry)),
                false => self.carry_out(actor, hub, entry).await,
            }))
            .await;
            for (entry, outcome) in entries.iter().zip(outcomes) {
                failed.extend(outcome.err().map(|error| entry.failed(error)));
            }
        }
        Ok(failed)
    }

    async fn carry_out(&self, actor: &Actor, hub: &HubRef, entry: &Entry<'_>) -> Result<()> {
        let client = ClientId { device_id: entry.device_id, module_id: entry.module_id };
        let any = || EtagCondition::Any;
        match entry.mode {
            Mode::Create => self.write_entry(hub, entry, &Wish::New).await,
            Mode::Update => self.write_entry(hub, entry, &Wish::Present(any())).await,
            Mode::UpdateIfMatch => self.write_entry(hub, entry, &Wish::Present(entry.etag("eTag")?)).await,
            Mode::CreateOrUpdate => self.write_entry(hub, entry, &Wish::Either(any())).await,
            Mode::CreateOrUpdateIfMatch => {
                // What is new has no etag yet.
                let condition =
                    if entry.member("eTag").is_some_and(|tag| !tag.is_null()) { entry.etag("eTag")? } else { any() };
                self.write_entry(hub, entry, &Wish::Either(condition)).await
            }
            Mode::Delete => self.remove_entry(actor, hub, client, None).await,
            Mode::DeleteIfMatch => self.remove_entry(actor, hub, client, Some(entry.etag("eTag")?)).await,
            Mode::UpdateTwin => self.write_twin_of(hub, entry, None).await,
            Mode::UpdateTwinIfMatch => self.write_twin_of(hub, entry, Some(entry.etag_text("twinETag")?)).await,
        }
    }

    async fn write_entry(&self, hub: &HubRef, entry: &Entry<'_>, wish: &Wish) -> Result<()> {
        let twin = match entry.has_twin() {
            true => {
                let (tags, desired) = (entry.body.get("tags"), entry.desired());
                Some(Twin::initial(tags, desired, &rfc3339(self.platform.now()))?)
            }
            false => None,
        };
        let body = entry.identity();
        let new = match entry.module_id {
            None => {
                let wanted = DevicePut::parse(entry.device_id, &body)?;
                self.write_device(hub, entry.device_id, &wanted, wish, twin.as_ref()).await?.1
            }
            Some(module_id) => {
                let wanted = ModulePut::parse(entry.device_id, module_id, &body)?;
                let client = ClientId::module(entry.device_id, module_id);
                self.write_module(hub, client, &wanted, wish, twin.as_ref()).await?.1
            }
        };
        // The twin of what was there already is a write of its own, as IoT Hub's pages have it.
        if twin.is_some() && !new { self.write_twin_of(hub, entry, None).await } else { Ok(()) }
    }

    async fn remove_entry(
        &self,
        actor: &Actor,
        hub: &HubRef,
        client: ClientId<'_>,
        condition: Option<EtagCondition>,
    ) -> Result<()> {
        match client.module_id {
            None => self.remove_device(actor, hub, client.device_id, condition).await,
            Some(_) => self.remove_module(hub, client, condition).await,
        }
    }

    /// Tags and desired properties replace those that are there, where they are given.
    async fn write_twin_of(&self, hub: &HubRef, entry: &Entry<'_>, if_match: Option<&str>) -> Result<()> {
        let body = Value::Object(entry.body.clone());
        let client = ClientId { device_id: entry.device_id, module_id: entry.module_id };
        self.change_twin(hub, client, if_match, |twin, now| twin.replace(&body, now)).await.map(drop)
    }
}

impl Entry<'_> {
    fn member(&self, name: &str) -> Option<&Value> {
        self.body.iter().find(|(member, _)| member.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn etag_text(&self, name: &str) -> Result<&str> {
        self.member(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| {
            argument_invalid(format!("The member '{name}' is missing; an import mode with IfMatchETag goes by it."))
        })
    }

    fn etag(&self, name: &str) -> Result<EtagCondition> {
        self.etag_text(name).map(EtagCondition::parse)
    }

    /// Whether it says something of the twin.
    fn has_twin(&self) -> bool {
        [self.body.get("tags"), self.desired()].into_iter().flatten().any(|value| !value.is_null())
    }

    /// Whether it writes a twin, be it that of a new identity.
    fn writes_twin(&self) -> bool {
        match self.mode {
            Mode::UpdateTwin | Mode::UpdateTwinIfMatch => true,
            Mode::Delete | Mode::DeleteIfMatch => false,
            _ => self.has_twin(),
        }
    }

    fn desired(&self) -> Option<&Value> {
        self.body.get("properties").and_then(|properties| properties.get("desired"))
    }

    /// The members that are the identity's.
    fn identity(&self) -> Value {
        let beside = |name: &String| BESIDE.iter().any(|known| known.eq_ignore_ascii_case(name));
        let own =
            self.body.iter().filter(|(name, _)| !beside(name) && (self.module_id.is_some() || *name != "moduleId"));
        Value::Object(own.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn failed(&self, error: Error) -> Failed {
        Failed { device_id: self.device_id.to_owned(), module_id: self.module_id.map(str::to_owned), error }
    }
}

fn entries(body: &Value) -> Result<Vec<Entry<'_>>> {
    let list = body.as_array().filter(|list| !list.is_empty()).ok_or_else(|| {
        argument_invalid(format!(
            "The body is a list of 1 to {BULK_DEVICES} devices, each with an 'id' and an 'importMode'."
        ))
    })?;
    if list.len() > BULK_DEVICES {
        return Err(too_many(list.len()));
    }
    list.iter().enumerate().map(|(index, entry)| read(index, entry)).collect()
}

fn read(index: usize, entry: &Value) -> Result<Entry<'_>> {
    let body = entry.as_object().ok_or_else(|| argument_invalid(format!("The entry {index} is no JSON object.")))?;
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(argument_invalid(format!("The member '{name}' of the entry {index} is a text."))),
    };
    let Some(device_id) = text("id")? else {
        return Err(argument_invalid(format!("The entry {index} has no 'id'; it is the device id.")));
    };
    let mode = match text("importMode")? {
        None => Mode::CreateOrUpdate,
        Some(word) => {
            let known = MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            known.map(|(_, mode)| *mode).ok_or_else(|| {
                let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
                let word: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
                argument_invalid(format!(
                    "The import mode '{word}' of the entry {index} is none; there are {}.",
                    names.join(", ")
                ))
            })?
        }
    };
    Ok(Entry { device_id, module_id: text("moduleId")?, mode, body })
}

/// `TooManyDevices` (413002).
pub(super) fn too_many(count: usize) -> Error {
    let text = format!("The request is about {count} devices; at most {BULK_DEVICES} are taken at once.");
    Error::new(ErrorKind::TooLarge, "TooManyDevices", text).with_iot_code(413_002)
}

fn defined_twice(entry: &Entry<'_>) -> Error {
    let text =
        format!("The device '{}' stands in the request more than once; only the first entry counts.", entry.device_id);
    Error::invalid(text).with_code("DeviceDefinedMultipleTimes").with_iot_code(400_011)
}
