//! The devices as queries read them: compact rows in memory, one projection of a process, begun when the first query comes and
//! followed by what was written since ([`ferrohub_store::Changes`]). A query sees every write that was answered before it.
//!
//! It gets there by steps of a page each. Whoever waits may go between any two of them, and whoever comes next goes on from there: what
//! was read stays.
//!
//! Devices are many and alike, so their rows are packed and what a reader shows of them is put together when a query asks. All
//! other resources are few; they are shown as a GET shows them, and shown again when they were written, or something that they show
//! (`shown.rs`).

use super::packed::{Names, pack};
use super::partition::{Chunk, Partition, Slot};
use super::shown::Shown;
use crate::platform::Platform;
use crate::resources::tag;
use crate::tables::{AUTHORITIES, DEVICES, OPERATIONS, RESOURCES, TWINS};
use ferrohub_model::clock::Moment;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{GRAPH_DEVICES, GRAPH_FULL_TIME, GRAPH_HELD_BYTES};
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Page, Row, Table};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// How far everything is read, where it is not read yet.
    reading: Option<Reading>,
    /// Whether twins are in it.
    twins: bool,
    /// Where the store stood when it was asked for written twins last.
    twins_at: Option<u64>,
    /// Rows with these uids were written and are not taken over yet.
    behind: BTreeSet<Uuid>,
    names: Arc<Names>,
    homes: HashMap<Uuid, Home>,
    /// Number of the partition of a parent.
    numbers: BTreeMap<Of, u32>,
    /// The same the other way round.
    owners: Vec<Of>,
    partitions: Vec<Partition>,
    /// Uids of all resources that are no devices.
    others: BTreeSet<Uuid>,
    /// Of these, what is shown; `None` until everything is read.
    shown: Option<Arc<Shown>>,
    /// Those that are not shown yet.
    unshown: BTreeSet<Uuid>,
    /// Those that were written since they were shown.
    written: BTreeSet<Uuid>,
    /// Whether certificates of authorities were.
    issuers: bool,
    /// Until when nothing is read, because there was more than is held.
    full_until: Option<Moment>,
}

/// A place in the tables that are read.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// Number of the table, in [`TABLES`].
    table: usize,
    /// Key of the row that was read last.
    after: Option<String>,
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

/// What is read, in this order: what stands beside a device finds it there. The last one only once somebody asked for twins.
const TABLES: [&Table; 3] = [&RESOURCES, &DEVICES, &TWINS];
/// Number of [`TWINS`] in it.
const OF_TWINS: usize = 2;
/// Rows that are read in one step: ours, a few milliseconds of a thread that others share.
const STEP: usize = 2000;
/// Resources that are shown in one step: ours.
const SHOWN: usize = 256;

/// Tables of which it is asked what was written; [`TWINS`], once they are in it, on their own.
const FOLLOWED: &[&Table] = &[&RESOURCES, &DEVICES, &AUTHORITIES, &OPERATIONS];

/// What of documents no query may see, or none needs.
const NOT_OF_RESOURCES: &[&[&str]] = &[&["secrets"]];
const NOT_OF_IDENTITIES: &[&[&str]] =
    &[&["authentication", "sealedPrimaryKey"], &["authentication", "sealedSecondaryKey"], &["credentialId"]];
const NOT_OF_TWINS: &[&[&str]] = &[&["desired", "metadata"], &["reported", "metadata"], &["hadLastingSession"]];

fn full() -> Error {
    let message = format!(
        "Resource Graph holds at most {GRAPH_DEVICES} devices in {} MB, and there are more.",
        GRAPH_HELD_BYTES / (1024 * 1024)
    );
    Error::unavailable(message, u32::try_from(GRAPH_FULL_TIME.as_secs()).unwrap_or(u32::MAX))
}

impl Projection {
    /// Goes a step towards the store as it is now; true once it is as new as what was answered before this step began. With `twins`
    /// they are read too.
    ///
    /// # Errors
    /// When the store cannot be read, or has more devices than are held.
    pub(super) async fn step(&mut self, platform: &Platform, twins: bool) -> Result<bool> {
        if self.full_until.is_some_and(|until| platform.clock.monotonic() < until) {
            return Err(full());
        }
        self.twins |= twins;
        if self.twins {
            self.look_at_twins(platform).await?;
        }
        self.look(platform).await?;
        if !self.behind.is_empty() {
            self.follow(platform).await?;
        } else if let Some(place) = self.reading.clone() {
            self.reading = self.read(platform, place).await?;
        } else {
            self.show(platform).await?;
        }
        self.refuse_too_many(platform)?;
        Ok(self.behind.is_empty() && self.reading.is_none() && self.is_shown())
    }

    /// What a query reads of it.
    pub(super) fn snapshot(&self, platform: &Platform) -> Snapshot {
        let rows = |(of, number): (&Of, &u32)| (*of, self.partitions[*number as usize].chunks().to_vec());
        let devices = self.numbers.iter().map(rows).filter(|(_, chunks): &(_, Vec<_>)| !chunks.is_empty()).collect();
        let device = platform.types.tagged(tag::DEVICE).map_or(&[][..], |decl| decl.properties);
        let declared = device.iter().map(|property| property.name).collect();
        let shown = self.shown.clone().unwrap_or_default();
        Snapshot { names: Arc::clone(&self.names), declared, shown, devices }
    }

    /// How many devices are in it.
    pub(super) fn devices(&self) -> usize {
        self.homes.len()
    }

    /// Notes what was written since the last look, also in the midst of a long reading: a store remembers so much and no more. What it does
    /// not remember is read again from the beginning.
    async fn look(&mut self, platform: &Platform) -> Result<()> {
        let changes = platform.store.changes(FOLLOWED, self.at).await?;
        match self.at.and(changes.keys) {
            Some(keys) => keys.iter().for_each(|(table, key)| self.note(table, key)),
            None => {
                let (twins, twins_at) = (self.twins, self.twins_at);
                *self = Self { twins, twins_at, reading: Some(Reading::default()), ..Self::default() };
            }
        }
        self.at = Some(changes.upto);
        Ok(())
    }

    fn note(&mut self, table: &str, key: &str) {
        if table == AUTHORITIES.name {
            self.issuers = true;
        } else if table == OPERATIONS.name {
            let shown = |id: &Uuid| self.shown.as_ref().is_some_and(|shown| shown.refers_to(*id));
            self.written.extend(Uuid::parse_str(key).ok().filter(shown));
        } else {
            self.behind.extend(parse_uid_key(key));
        }
    }

    /// The same for twins. They are asked for on their own: the first time, and whenever too many were written to be remembered, only
    /// they are read.
    async fn look_at_twins(&mut self, platform: &Platform) -> Result<()> {
        let changes = platform.store.changes(&[&TWINS], self.twins_at).await?;
        match (self.twins_at.and(changes.keys), &self.reading) {
            (Some(keys), _) => self.behind.extend(keys.iter().filter_map(|(_, key)| parse_uid_key(key))),
            // Where everything is being read, theirs are the last table.
            (None, Some(reading)) if reading.table < OF_TWINS => {}
            (None, _) => self.reading = Some(Reading { table: OF_TWINS, after: None }),
        }
        self.twins_at = Some(changes.upto);
        Ok(())
    }

    /// Reads a page; gives the place behind it, `None` when everything is read.
    async fn read(&mut self, platform: &Platform, place: Reading) -> Result<Option<Reading>> {
        let tables = if self.twins { TABLES.len() } else { OF_TWINS };
        let Some(table) = TABLES[..tables].get(place.table).copied() else {
            if self.shown.is_none() {
                self.shown = Some(Arc::default());
                self.unshown = self.others.clone();
            }
            return Ok(None);
        };
        let rows = platform.store.scan(table, "", Page { after: place.after, limit: STEP }).await?;
        for row in &rows {
            let Some(uid) = parse_uid_key(&row.key) else { continue };
            match table.name {
                name if name == RESOURCES.name => self.put_resource(uid, row)?,
                name if name == DEVICES.name => self.put_identity(uid, row)?,
                _ => self.put_twin(uid, row),
            }
        }
        Ok(Some(match rows.last() {
            Some(last) if rows.len() == STEP => Reading { table: place.table, after: Some(last.key.clone()) },
            _ => Reading { table: place.table + 1, after: None },
        }))
    }

    /// Takes over some of what was written since.
    async fn follow(&mut self, platform: &Platform) -> Result<()> {
        let some: Vec<Uuid> = self.behind.iter().copied().take(STEP).collect();
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
            self.behind.remove(uid);
        }
        Ok(())
    }

    /// Shows some of what is not shown, or was written since.
    async fn show(&mut self, platform: &Platform) -> Result<()> {
        let Some(shown) = &self.shown else { return Ok(()) };
        if !self.unshown.is_empty() {
            let some: Vec<Uuid> = self.unshown.iter().copied().take(SHOWN).collect();
            self.shown = Some(Arc::new(shown.with(platform, &some).await?));
            self.unshown.retain(|uid| some.binary_search(uid).is_err());
        } else if !self.is_shown() {
            let some: BTreeSet<Uuid> = self.written.iter().copied().take(SHOWN).collect();
            self.shown = Some(Arc::new(shown.after(platform, &some, self.issuers).await?));
            self.written.retain(|uid| !some.contains(uid));
            self.issuers = false;
        }
        Ok(())
    }

    fn is_shown(&self) -> bool {
        self.shown.is_some() && self.unshown.is_empty() && self.written.is_empty() && !self.issuers
    }

    /// Lets go of everything where there are more devices than are held, and for a while does not look again.
    fn refuse_too_many(&mut self, platform: &Platform) -> Result<()> {
        let bytes = self.partitions.iter().map(Partition::bytes).sum::<usize>();
        if self.homes.len() <= GRAPH_DEVICES && bytes <= GRAPH_HELD_BYTES {
            return Ok(());
        }
        let full_until = Some(platform.clock.monotonic() + GRAPH_FULL_TIME);
        *self = Self { twins: self.twins, full_until, ..Self::default() };
        Err(full())
    }

    fn forget(&mut self, uid: Uuid) {
        if self.others.remove(&uid) && self.shown.is_some() {
            self.written.insert(uid);
        }
        let Some(home) = self.homes.remove(&uid) else { return };
        for number in [home.namespace, home.hub].into_iter().flatten() {
            self.partitions[number as usize].remove(uid);
        }
    }

    fn partition(&mut self, of: Of) -> u32 {
        *self.numbers.entry(of).or_insert_with(|| {
            self.partitions.push(Partition::default());
            self.owners.push(of);
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
            // Before anything is shown there is nothing to show again.
            if self.shown.is_some() {
                self.written.insert(uid);
            }
            return Ok(());
        };
        let number = self.partition(Of::Namespace(parent));
        let doc = self.packed(row, NOT_OF_RESOURCES)?;
        let home = self.homes.entry(uid).or_default();
        // Read a second time, it may be elsewhere by now.
        if let Some(former) = home.namespace.replace(number).filter(|former| *former != number) {
            self.partitions[former as usize].remove(uid);
        }
        let home = self.homes.get(&uid).copied().unwrap_or_default();
        let identity = home.hub.and_then(|hub| self.partitions[hub as usize].get(uid));
        let beside = identity.zip(home.hub).and_then(|(slot, hub)| Some((self.parent_of(hub)?, Arc::clone(&slot.doc))));
        self.partitions[number as usize].put(Slot { uid, doc, beside });
        Ok(())
    }

    fn parent_of(&self, number: u32) -> Option<Uuid> {
        self.owners.get(number as usize).map(|of| match of {
            Of::Namespace(uid) | Of::Hub(uid) => *uid,
        })
    }

    fn put_identity(&mut self, uid: Uuid, row: &Row) -> Result<()> {
        let place = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
        let Some((hub, device_id)) = device_at(place) else { return Ok(()) };
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
        let former = home.hub.replace(number).filter(|former| *former != number);
        let namespace = home.namespace;
        if let Some(former) = former {
            self.partitions[former as usize].remove(uid);
        }
        if let Some(namespace) = namespace {
            self.partitions[namespace as usize].set_beside(uid, (hub, Arc::clone(&doc)));
        }
        let twin = self.partitions[number as usize].get(uid).and_then(|slot| slot.beside.clone());
        self.partitions[number as usize].put(Slot { uid, doc, beside: twin });
        Ok(())
    }

    fn put_twin(&mut self, uid: Uuid, row: &Row) {
        let Some(hub) = self.homes.get(&uid).and_then(|home| home.hub) else { return };
        let Ok(doc) = self.packed(row, NOT_OF_TWINS) else { return };
        self.partitions[hub as usize].set_beside(uid, (uid, doc));
    }
}

/// The hub and the id of the device whose identity has its row at `place`; `None` for that of a module, which no table of Resource
/// Graph has.
fn device_at(place: &str) -> Option<(Uuid, &str)> {
    let (hub, device_id) = place.split_once('/')?;
    Some((parse_uid_key(hub)?, device_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::device::{device_place, module_place};

    #[test]
    fn a_place_is_that_of_a_device_or_of_a_module() {
        let hub = Uuid::from_u128(7);
        let place = device_place(hub, "pump:1").unwrap();
        assert_eq!(device_at(&place), Some((hub, "pump:1")));
        assert_eq!(device_at(&module_place(hub, "pump:1", "m").unwrap()), None);
    }
}
