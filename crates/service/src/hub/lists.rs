//! Lists of a hub's devices, and how many there are.

use super::access::{READ_DEVICE, READ_STATISTICS};
use super::{HubRef, HubService, admin, device_sessions, identity, parents, processes};
use crate::authz::Actor;
use crate::tables::{DEVICE_SESSIONS, DEVICES};
use ferrohub_model::device::{DeviceLive, devices_of};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{QUERY_PAGE, READ_ROWS};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Page, Pages};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

impl HubService {
    /// The first devices by id, with their keys, as `GET /devices` shows them: at most `top`, and IoT Hub's 1,000.
    ///
    /// # Errors
    /// The refusal of an actor without the right; when the store cannot be read.
    pub async fn list_devices(&self, actor: &Actor, hub: &HubRef, top: Option<usize>) -> Result<Vec<Value>> {
        self.authorize(actor, hub, &READ_DEVICE).await?;
        let most = top.unwrap_or(QUERY_PAGE).min(QUERY_PAGE);
        if most == 0 {
            return Ok(Vec::new());
        }
        let rows = self.platform.store.range(&DEVICES, "place", &devices_of(hub.uid), Page::first(most)).await?;
        let devices = rows.iter().map(|row| identity::passing(row)).collect::<Result<Vec<_>>>()?;
        let connections = device_sessions::connections(&self.platform, &devices).await?;
        let mut views = Vec::with_capacity(devices.len());
        for (device, connection) in devices.iter().zip(connections) {
            let keys = identity::open_keys(&self.platform, device).await?;
            let keys = keys.map(|(primary, secondary)| (primary.to_string(), secondary.to_string()));
            let parent_scope = parents::parent_scope(&self.platform, device).await?;
            views.push(device.view(&DeviceLive { keys, connection, parent_scope }));
        }
        Ok(views)
    }

    /// How many devices there are, and how many of them are enabled, as `GET /statistics/devices` shows it.
    ///
    /// # Errors
    /// The refusal of an actor without the right; when the store cannot be read.
    pub async fn device_statistics(&self, actor: &Actor, hub: &HubRef) -> Result<Value> {
        admin::statistics(&self.platform, actor, &hub.stored).await
    }

    /// How many devices are connected, as `GET /statistics/service` shows it. Modules do not count.
    ///
    /// # Errors
    /// The refusal of an actor without the right; when the store cannot be read.
    pub async fn service_statistics(&self, actor: &Actor, hub: &HubRef) -> Result<Value> {
        self.authorize(actor, hub, &READ_STATISTICS).await?;
        let store = self.platform.store.as_ref();
        // What this process holds, it knows; of the others the rows tell.
        let own = self.platform.presence.process();
        let mut connected: BTreeSet<Uuid> = self.platform.presence.connected().into_iter().collect();
        let living = processes::living(store, self.platform.now()).await?;
        for process in living.into_iter().filter(|process| *process != own) {
            let process = uid_key(process);
            let mut pages = Pages::find(store, &DEVICE_SESSIONS, "process", &process, READ_ROWS);
            while let Some(rows) = pages.next().await? {
                connected.extend(rows.iter().filter_map(|row| parse_uid_key(&row.key)));
            }
        }
        let (keys, prefix): (Vec<String>, _) = (connected.into_iter().map(uid_key).collect(), devices_of(hub.uid));
        let mut count = 0usize;
        for keys in keys.chunks(READ_ROWS) {
            let rows = store.get_many(&DEVICES, keys).await?;
            let is_here = |place: Option<&String>| place.is_some_and(|place| place.starts_with(&prefix));
            count += rows.iter().flatten().filter(|row| is_here(row.columns.first().and_then(Option::as_ref))).count();
        }
        Ok(json!({ "connectedDeviceCount": count }))
    }
}
