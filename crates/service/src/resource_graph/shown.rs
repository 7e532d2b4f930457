//! All resources that are no devices, as a GET shows them in their newest shape. What was written is shown again, and what shows
//! something of it: all that a row shows of others it points at, or they point at it. An operation counts as a resource that was
//! written, without being one.

use super::schema;
use crate::arm::render;
use crate::platform::Platform;
use crate::resources::{self, Scope, Stored, tag};
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::parse_uid_key;
use futures_util::future::join_all;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Resources that are read and shown at the same time: ours.
const AT_ONCE: usize = 16;

/// A resource.
pub(super) struct ShownRow {
    pub(super) uid: Uuid,
    pub(super) id: ResourceId,
    /// The right that reading it takes.
    pub(super) action: String,
    /// Number of its table.
    pub(super) table: usize,
    /// Its columns by name.
    pub(super) doc: Map<String, Json>,
}

/// What is known of a resource that is no device, shown or not.
#[derive(Clone)]
struct Known {
    id: ResourceId,
    tag: &'static str,
    parent: Uuid,
    /// What its row refers to, and the operations that it shows.
    refers: Vec<Uuid>,
}

/// The resources.
#[derive(Clone, Default)]
pub(super) struct Shown {
    /// In the order of their ids, so that pages follow each other.
    pub(super) rows: Vec<Arc<ShownRow>>,
    /// Ids of the parents of devices, and of certificate policies as devices name them.
    pub(super) ids: HashMap<Uuid, ResourceId>,
    by_uid: HashMap<Uuid, usize>,
    known: HashMap<Uuid, Known>,
}

/// What became of a resource since it was looked at last.
struct Read {
    uid: Uuid,
    /// `None` where it is gone.
    known: Option<Known>,
    named: Option<ResourceId>,
    row: Option<ShownRow>,
}

impl Shown {
    /// The same with the resources that have these uids, which were not shown before.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn with(&self, platform: &Platform, uids: &[Uuid]) -> Result<Self> {
        let mut shown = self.clone();
        shown.take_over(platform, uids).await?;
        Ok(shown)
    }

    /// The same after these resources were written, and with `issuers` certificates of authorities: they are shown again, and what
    /// shows something of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn after(&self, platform: &Platform, written: &BTreeSet<Uuid>, issuers: bool) -> Result<Self> {
        let mut shown = self.clone();
        let mut first = written.clone();
        if issuers {
            let is_issuer = |(_, known): &(&Uuid, &Known)| known.tag == tag::CERTIFICATE_AUTHORITY;
            first.extend(self.known.iter().filter(is_issuer).map(|(uid, _)| *uid));
        }
        let (mut batch, mut done): (Vec<Uuid>, BTreeSet<Uuid>) = (first.into_iter().collect(), BTreeSet::new());
        let mut written = true;
        while !batch.is_empty() {
            let moved = shown.take_over(platform, &batch).await?;
            done.extend(&batch);
            // What is only shown again is as it was, but for its id.
            let next = self.showing(&shown, if written { &batch } else { &moved }, &moved);
            batch = next.into_iter().filter(|uid| shown.known.contains_key(uid) && !done.contains(uid)).collect();
            written = false;
        }
        Ok(shown)
    }

    /// Whether a resource shows something of what has this uid.
    pub(super) fn refers_to(&self, uid: Uuid) -> bool {
        self.known.values().any(|known| known.refers.contains(&uid))
    }

    /// Those that show something of what was written, or of an id that changed; `now` stands after that.
    fn showing(&self, now: &Self, written: &[Uuid], moved: &[Uuid]) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        for uid in written {
            // Links show both of their ends, and an authority its policy; what was linked before shows that it is no more.
            for known in [self.known.get(uid), now.known.get(uid)].into_iter().flatten() {
                found.extend(known.refers.iter().copied().chain([known.parent]));
            }
        }
        now.add_referring(written, &mut found);
        if !moved.is_empty() {
            // An id stands in what lies below it, and in what shows a resource with its identity, which is another one's.
            let beside: Vec<Uuid> = found.iter().copied().collect();
            found.extend(
                beside.iter().filter_map(|uid| now.known.get(uid)).flat_map(|known| known.refers.iter().copied()),
            );
            now.add_referring(&beside, &mut found);
            for old in moved.iter().filter_map(|uid| self.known.get(uid)) {
                found.extend(now.known.iter().filter(|(_, known)| known.id.is_within(&old.id)).map(|(uid, _)| *uid));
            }
        }
        found
    }

    fn add_referring(&self, to: &[Uuid], found: &mut BTreeSet<Uuid>) {
        let to: HashSet<Uuid> = to.iter().copied().collect();
        let refers = |(_, known): &(&Uuid, &Known)| known.refers.iter().any(|uid| to.contains(uid));
        found.extend(self.known.iter().filter(refers).map(|(uid, _)| *uid));
    }

    /// Reads these resources again; gives those that have another id than before, or none.
    async fn take_over(&mut self, platform: &Platform, uids: &[Uuid]) -> Result<Vec<Uuid>> {
        let mut rows: HashMap<Uuid, Arc<ShownRow>> = self.rows.drain(..).map(|row| (row.uid, row)).collect();
        let mut moved = Vec::new();
        for some in uids.chunks(AT_ONCE) {
            for read in join_all(some.iter().map(|uid| read(platform, *uid))).await {
                let Read { uid, known, named, row } = read?;
                rows.remove(&uid);
                self.ids.remove(&uid);
                let before = self.known.remove(&uid);
                if before.map(|known| known.id) != known.as_ref().map(|known| known.id.clone()) {
                    moved.push(uid);
                }
                self.known.extend(known.map(|known| (uid, known)));
                self.ids.extend(named.map(|id| (uid, id)));
                rows.extend(row.map(|row| (uid, Arc::new(row))));
            }
        }
        self.rows = rows.into_values().collect();
        self.rows.sort_by_cached_key(|row| row.id.key());
        self.by_uid = self.rows.iter().enumerate().map(|(at, row)| (row.uid, at)).collect();
        Ok(moved)
    }

    /// The resource with this uid.
    pub(super) fn get(&self, uid: Uuid) -> Option<&ShownRow> {
        self.by_uid.get(&uid).map(|at| self.rows[*at].as_ref())
    }
}

/// Reads a resource, and shows it where queries see its type.
async fn read(platform: &Platform, uid: Uuid) -> Result<Read> {
    let mut read = Read { uid, known: None, named: None, row: None };
    let Some(stored) = resources::by_uid(platform, uid).await? else { return Ok(read) };
    let Some(decl) = platform.types.tagged(stored.kind.tag) else { return Ok(read) };
    let mut refers = refers(&stored);
    refers.extend(decl.behavior.shown_operations(&stored));
    read.known = Some(Known { id: stored.id.clone(), tag: stored.kind.tag, parent: stored.parent, refers });
    read.named = match stored.is(tag::CERTIFICATE_POLICY) {
        // Devices name a policy as the generation does that has policies on devices.
        true => resources::ids_of(platform, uid).await?.pop(),
        false => Some(stored.id.clone()),
    };
    let table = match decl.kind.scope {
        Scope::Group => schema::CONTAINERS,
        Scope::Extension if decl.kind.provider == "Microsoft.Authorization" => schema::AUTHORIZATION,
        Scope::InGroup if decl.tracked => schema::RESOURCES,
        Scope::InGroup | Scope::InSubscription | Scope::Extension => return Ok(read),
    };
    let Some(view) = decl.views.last() else { return Ok(read) };
    let doc = render::render(platform, decl, view, &stored).await?;
    let doc = columns(platform, &stored.id, doc);
    read.row = Some(ShownRow { uid, action: decl.action("read"), table, doc, id: stored.id });
    Ok(read)
}

/// The resources that a row points at.
fn refers(stored: &Stored) -> Vec<Uuid> {
    let mut all: Vec<Uuid> = stored.resource.links.values().map(|reference| reference.uid).collect();
    let identity = stored.resource.identity.iter().flat_map(|identity| &identity.user_assigned);
    all.extend(identity.map(|assigned| assigned.uid));
    let columns = [&stored.extra.link, &stored.extra.lookup].into_iter().flatten();
    all.extend(columns.filter_map(|text| parse_uid_key(text.rsplit('/').next()?)));
    all
}

/// The columns of a resource out of what a GET shows.
pub(super) fn columns(platform: &Platform, id: &ResourceId, doc: Json) -> Map<String, Json> {
    let Json::Object(mut doc) = doc else { return Map::new() };
    for gone in ["etag", "resourcegroup", "subscriptionid"] {
        doc.shift_remove(gone);
    }
    if let Some(Json::String(kind)) = doc.get_mut("type") {
        *kind = match id.providers.is_empty() {
            true => "microsoft.resources/subscriptions/resourcegroups".to_owned(),
            false => kind.to_lowercase(),
        };
    }
    doc.insert("tenantId".into(), platform.tenancy.tenant_id.clone().into());
    doc.insert("resourceGroup".into(), id.resource_group.as_deref().unwrap_or_default().to_lowercase().into());
    doc.insert("subscriptionId".into(), id.subscription.clone().unwrap_or_default().into());
    doc
}
