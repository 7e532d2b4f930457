//! Lists of a hub's devices, and how many there are.

use super::access::{READ_DEVICE, READ_STATISTICS};
use super::{HubRef, HubService, admin, device_sessions, identity, parents, processes};
use crate::authz::Actor;
use crate::platform::Platform;
use crate::tables::{DEVICE_SESSIONS, DEVICES};
use ferrohub_model::clock::Moment;
use ferrohub_model::device::{DeviceLive, devices_of};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{CONNECTED_PERIOD, QUERY_PAGE, READ_ROWS};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Page, Pages};
use serde_json::{Value, json};
use std::collections::HashMap;
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

    /// How many devices are connected, as `GET /statistics/service` shows it. Modules do not count; what other
    /// processes hold is counted every few seconds.
    ///
    /// # Errors
    /// The refusal of an actor without the right; when the store cannot be read.
    pub async fn service_statistics(&self, actor: &Actor, hub: &HubRef) -> Result<Value> {
        self.authorize(actor, hub, &READ_STATISTICS).await?;
        let elsewhere = self.elsewhere.lock().await.of(&self.platform, hub.uid).await?;
        Ok(json!({ "connectedDeviceCount": self.platform.presence.connected_of(hub.uid) + elsewhere }))
    }
}

/// How many devices of each hub are connected to other processes. Their rows say no hub, so all are gone through at once, and
/// then not for a while.
#[derive(Default)]
pub(super) struct Elsewhere {
    at: Option<Moment>,
    counts: HashMap<Uuid, usize>,
}

impl Elsewhere {
    async fn of(&mut self, platform: &Platform, hub: Uuid) -> Result<usize> {
        let now = platform.clock.monotonic();
        if self.at.is_none_or(|at| now.since(at) >= CONNECTED_PERIOD) {
            self.at = None;
            self.counts.clear();
            let own = platform.presence.process();
            let living = processes::living(platform.store.as_ref(), platform.now()).await?;
            for process in living.into_iter().filter(|process| *process != own) {
                self.count(platform, process).await?;
                self.at = Some(now);
            }
        }
        Ok(self.counts.get(&hub).copied().unwrap_or(0))
    }

    async fn count(&mut self, platform: &Platform, process: Uuid) -> Result<()> {
        let store = platform.store.as_ref();
        let process = uid_key(process);
        let mut pages = Pages::find(store, &DEVICE_SESSIONS, "process", &process, READ_ROWS);
        while let Some(rows) = pages.next().await? {
            // What this process holds, it knows better.
            let is_elsewhere = |key: &&str| parse_uid_key(key).is_some_and(|uid| !platform.presence.knows(uid));
            let keys: Vec<String> =
                rows.iter().map(|row| row.key.as_str()).filter(is_elsewhere).map(str::to_owned).collect();
            for row in store.get_many(&DEVICES, &keys).await?.into_iter().flatten() {
                let place = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
                // Places of modules begin otherwise.
                if let Some(hub) = place.split_once('/').and_then(|(hub, _)| parse_uid_key(hub)) {
                    *self.counts.entry(hub).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}
