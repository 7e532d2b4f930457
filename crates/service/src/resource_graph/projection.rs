//! The devices as queries read them: compact rows in memory, one projection of a process, made when the first query comes and
//! followed by what was written since ([`ferrohub_store::Changes`]). A query sees every write that was answered before it.
//!
//! Devices are many and alike, so their rows are packed and what a reader shows of them is put together when a query asks. All
//! other resources are few; they are shown as a GET shows them, and shown again when one of them changed (`shown.rs`).

use super::packed::{Names, pack};
use super::partition::{Chunk, Partition, Slot};
use super::shown::Shown;
use crate::platform::Platform;
use crate::resources::tag;
use crate::tables::{AUTHORITIES, DEVICES, RESOURCES, TWINS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{GRAPH_DEVICES, STORE_PAGE};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Pages, Row, Table};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Whose devices a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// Of the namespace with this uid.
    Namespace(Uuid),
    /// Of the hub with this uid.
    Hub(Uuid),
}

/// Where the rows of a device are.
#[derive(Debug, Clone, Copy, Default)]
struct Home {
    namespace: Option<u32>,
    hub: Option<u32>,
}

/// The projection.
#[derive(Default)]
pub(super) struct Projection {
    /// Where the store stood when it was looked at last; `None` before the first look.
    at: Option<u64>,
    /// Whether twins are in it.
    twins: bool,
    names: Arc<Names>,
    homes: HashMap<Uuid, Home>,
    /// Number of the partition of a parent.
    numbers: BTreeMap<Of, u32>,
    partitions: Vec<Partition>,
    /// Uids of all resources that are no devices.
    others: BTreeSet<Uuid>,
    shown: Option<Arc<Shown>>,
}

/// What a query reads: it stays as it is, whatever is written meanwhile.
pub(super) struct Snapshot {
    pub(super) names: Arc<Names>,
    /// The members that properties of devices have; rows have those of another generation beside them.
    pub(super) declared: Vec<&'static str>,
    pub(super) shown: Arc<Shown>,
    /// By parent, in the order of their uids.
    pub(super) devices: Vec<(Of, Vec<Arc<Chunk>>)>,
}

const FOLLOWED: &[&Table] = &[&RESOURCES, &DEVICES, &AUTHORITIES];
const FOLLOWED_WITH_TWINS: &[&Table] = &[&RESOURCES, &DEVICES, &AUTHORITIES, &TWINS];

/// What of documents no query may see, or none needs.
const NOT_OF_RESOURCES: &[&[&str]] = &[&["secrets"]];
const NOT_OF_IDENTITIES: &[&[&str]] =
    &[&["authentication", "sealedPrimaryKey"], &["authentication", "sealedSecondaryKey"], &["credentialId"]];
const NOT_OF_TWINS: &[&[&str]] = &[&["desired", "metadata"], &["reported", "metadata"], &["hadLastingSession"]];

impl Projection {
    /// Brings it up to what was answered before now, and gives what a query reads of it; `twins` says whether the query
    /// reads twins.
    ///
    /// # Errors
    /// When the store cannot be read, or has more devices than are held.
    pub(super) async fn snapshot(&mut self, platform: &Platform, twins: bool) -> Result<Snapshot> {
        if twins && !self.twins {
            self.twins = true;
            self.at = None;
        }
        let followed = if self.twins { FOLLOWED_WITH_TWINS } else { FOLLOWED };
        let changes = platform.store.changes(followed, self.at).await?;
        // Whatever ends this half-way makes the next query read everything.
        let known = self.at.take().and(changes.keys);
        match known {
            Some(keys) => self.follow(platform, keys).await?,
            None => self.load(platform).await?,
        }
        self.at = Some(changes.upto);
        let shown = match &self.shown {
            Some(shown) => Arc::clone(shown),
            None => Arc::clone(self.shown.insert(Arc::new(Shown::of(platform, &self.others).await?))),
        };
        let rows = |(of, number): (&Of, &u32)| (*of, self.partitions[*number as usize].chunks().to_vec());
        let devices = self.numbers.iter().map(rows).filter(|(_, chunks): &(_, Vec<_>)| !chunks.is_empty()).collect();
        let device = platform.types.tagged(tag::DEVICE).map_or(&[][..], |decl| decl.properties);
        let declared = device.iter().map(|property| property.name).collect();
        Ok(Snapshot { names: Arc::clone(&self.names), declared, shown, devices })
    }

    /// Reads everything.
    async fn load(&mut self, platform: &Platform) -> Result<()> {
        *self = Self { twins: self.twins, ..Self::default() };
        let store = platform.store.as_ref();
        let mut tables: Vec<&'static Table> = vec![&RESOURCES, &DEVICES];
        if self.twins {
            tables.push(&TWINS);
        }
        for table in tables {
            let mut pages = Pages::scan(store, table, "", STORE_PAGE);
            while let Some(rows) = pages.next().await? {
                for row in rows {
                    let Some(uid) = parse_uid_key(&row.key) else { continue };
                    match table.name {
                        name if name == RESOURCES.name => self.put_resource(uid, &row)?,
                        name if name == DEVICES.name => self.put_identity(uid, &row)?,
                        _ => self.put_twin(uid, &row),
                    }
                }
                if self.homes.len() > GRAPH_DEVICES {
                    return Err(Error::unavailable(
                        format!("Resource Graph holds at most {GRAPH_DEVICES} devices, and there are more."),
                        60,
                    ));
                }
                // A long load lets others have the thread.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Takes over what was written since.
    async fn follow(&mut self, platform: &Platform, keys: Vec<(&'static str, String)>) -> Result<()> {
        let mut changed = HashSet::new();
        for (table, key) in keys {
            if table == AUTHORITIES.name {
                self.shown = None;
            } else if let Some(uid) = parse_uid_key(&key) {
                changed.insert(uid);
            }
        }
        let changed: Vec<Uuid> = changed.into_iter().collect();
        for some in changed.chunks(STORE_PAGE) {
            let keys: Vec<String> = some.iter().map(|uid| uid_key(*uid)).collect();
            let resources = platform.store.get_many(&RESOURCES, &keys).await?;
            let identities = platform.store.get_many(&DEVICES, &keys).await?;
            let twins = match self.twins {
                true => platform.store.get_many(&TWINS, &keys).await?,
                false => vec![None; keys.len()],
            };
            for (((uid, resource), identity), twin) in some.iter().zip(resources).zip(identities).zip(twins) {
                self.forget(*uid);
                if let Some(row) = resource {
                    self.put_resource(*uid, &row)?;
                }
                if let Some(row) = identity {
                    self.put_identity(*uid, &row)?;
                }
                if let Some(row) = twin {
                    self.put_twin(*uid, &row);
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn forget(&mut self, uid: Uuid) {
        if self.others.remove(&uid) {
            self.shown = None;
        }
        let Some(home) = self.homes.remove(&uid) else { return };
        for number in [home.namespace, home.hub].into_iter().flatten() {
            self.partitions[number as usize].remove(uid);
        }
    }

    fn partition(&mut self, of: Of) -> u32 {
        *self.numbers.entry(of).or_insert_with(|| {
            self.partitions.push(Partition::default());
            u32::try_from(self.partitions.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn packed(&mut self, row: &Row, without: &[&[&str]]) -> Result<Arc<[u8]>> {
        let bytes = pack(Arc::make_mut(&mut self.names), row.text(), without);
        bytes.map(Arc::from).ok_or_else(|| Error::internal(format!("row {} is no JSON", row.key)))
    }

    fn put_resource(&mut self, uid: Uuid, row: &Row) -> Result<()> {
        let mut place = row.columns.first().and_then(Option::as_deref).unwrap_or_default().splitn(3, '/');
        let parent = place.next().and_then(parse_uid_key);
        let (Some(parent), Some(tag::DEVICE)) = (parent, place.next()) else {
            self.others.insert(uid);
            self.shown = None;
            return Ok(());
        };
        let number = self.partition(Of::Namespace(parent));
        let doc = self.packed(row, NOT_OF_RESOURCES)?;
        let home = self.homes.entry(uid).or_default();
        home.namespace = Some(number);
        let identity = home.hub.and_then(|hub| self.partitions[hub as usize].get(uid));
        let hub = self.homes.get(&uid).and_then(|home| home.hub);
        let beside = identity.zip(hub).and_then(|(slot, hub)| Some((self.parent_of(hub)?, Arc::clone(&slot.doc))));
        self.partitions[number as usize].put(Slot { uid, doc, beside });
        Ok(())
    }

    fn parent_of(&self, number: u32) -> Option<Uuid> {
        self.numbers.iter().find(|(_, known)| **known == number).map(|(of, _)| match of {
            Of::Namespace(uid) | Of::Hub(uid) => *uid,
        })
    }

    fn put_identity(&mut self, uid: Uuid, row: &Row) -> Result<()> {
        let place = row.columns.first().and_then(Option::as_deref).and_then(|place| place.split_once('/'));
        let Some((Some(hub), device_id)) = place.map(|(hub, id)| (parse_uid_key(hub), id)) else { return Ok(()) };
        let number = self.partition(Of::Hub(hub));
        // The device id stands in the row's place only; here it is the first member.
        let text = row.text().trim_start();
        let rest = text.strip_prefix('{').unwrap_or(text);
        let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
        let id = serde_json::Value::from(device_id);
        let text = format!("{{\"deviceId\":{id}{comma}{rest}");
        let doc = pack(Arc::make_mut(&mut self.names), &text, NOT_OF_IDENTITIES);
        let doc: Arc<[u8]> =
            doc.map(Arc::from).ok_or_else(|| Error::internal(format!("row {} is no JSON", row.key)))?;
        let home = self.homes.entry(uid).or_default();
        home.hub = Some(number);
        if let Some(namespace) = home.namespace
            && let Some(slot) = self.partitions[namespace as usize].get_mut(uid)
        {
            slot.beside = Some((hub, Arc::clone(&doc)));
        }
        self.partitions[number as usize].put(Slot { uid, doc, beside: None });
        Ok(())
    }

    fn put_twin(&mut self, uid: Uuid, row: &Row) {
        let Some(hub) = self.homes.get(&uid).and_then(|home| home.hub) else { return };
        let Ok(doc) = self.packed(row, NOT_OF_TWINS) else { return };
        if let Some(slot) = self.partitions[hub as usize].get_mut(uid) {
            slot.beside = Some((uid, doc));
        }
    }
}
