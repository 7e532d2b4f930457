//! `credentials/default/synchronization`: for each policy and each linked hub, whether the hub trusts the policy's CA, and what became
//! of the last synchronization. Azure shows nothing of it (ADR 0036).
//!
//! Whether a hub trusts a CA is never noted: the hub's entries say it. What is noted is when somebody last tried, and why it failed.

use super::authority::policy_id;
use super::linked_namespace::linked_hubs;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::query;
use crate::certificate::{self, AuthorityRecord, AuthorityState};
use crate::platform::{Change, Platform};
use crate::registry::AUTHORITY;
use crate::resources::{self, Stored, tag};
use crate::tables::{RESOURCES, SYNCHRONIZATIONS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{ARM_PAGE, READ_ROWS};
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::{Pages, Put};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Rows that are written, or go, in one unit: ours.
const ROWS: usize = 100;

/// What is done with a policy at a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Its CA is brought there.
    Bring,
    /// Its CAs are taken away from there.
    TakeAway,
}

impl Direction {
    /// The right of the namespace's identity on the hub.
    pub(super) fn right(self) -> &'static str {
        match self {
            Self::Bring => "Microsoft.Devices/IotHubs/certificates/write",
            Self::TakeAway => "Microsoft.Devices/IotHubs/certificates/delete",
        }
    }
}

/// What became of the last attempt at a policy and a hub.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    /// When, RFC 3339.
    at: String,
    /// Whether it was to take away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    undo: bool,
    /// Why it failed: code and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<(String, String)>,
}

/// What is to be noted of a hub.
pub(super) struct Notes {
    hub: Uuid,
    at: String,
    direction: Direction,
    notes: BTreeMap<Uuid, Noted>,
}

impl Notes {
    pub(super) fn new(platform: &Platform, hub: Uuid, direction: Direction) -> Self {
        Self { hub, at: rfc3339(platform.now()), direction, notes: BTreeMap::new() }
    }

    /// One of the certificates of an authority resource is there, or gone.
    pub(super) fn done(&mut self, owner: Uuid) {
        self.note(owner, None);
    }

    /// One of them could not be brought, or taken.
    pub(super) fn failed(&mut self, owner: Uuid, error: &Error) {
        self.note(owner, Some((error.code.to_owned(), error.message.clone())));
    }

    fn note(&mut self, owner: Uuid, error: Option<(String, String)>) {
        let noted = Noted { at: self.at.clone(), undo: self.direction == Direction::TakeAway, error };
        self.notes.insert(owner, noted);
    }

    pub(super) async fn write(self, platform: &Platform) -> Result<()> {
        let notes: Vec<(Uuid, Noted)> = self.notes.into_iter().collect();
        for notes in notes.chunks(ROWS) {
            let mut change = Change::new();
            for (owner, noted) in notes {
                change.unit.put(Put::new(&SYNCHRONIZATIONS, key(self.hub, *owner), Vec::new(), noted)?);
            }
            platform.commit(change).await?;
        }
        Ok(())
    }
}

fn key(hub: Uuid, authority: Uuid) -> String {
    format!("{}/{}", uid_key(hub), uid_key(authority))
}

/// One page of the states, by hub and policy.
pub(super) async fn list(cx: &SubContext<'_>) -> Result<SubAnswer> {
    query::check(cx.request, query::PAGED)?;
    let namespace = cx.id.parent().ok_or_else(|| Error::internal("a credential without namespace"))?;
    let namespace = resources::require(cx.platform, &namespace).await?;
    let mut policies: Vec<(Stored, Arc<AuthorityRecord>)> = Vec::new();
    let mut authorities = certificate::issuing_of_namespace(cx.platform, namespace.uid).await?;
    authorities.retain(|authority| authority.state == AuthorityState::Active);
    for authority in authorities {
        if let Some(policy) = resources::by_uid(cx.platform, authority.owner).await? {
            policies.push((policy, authority));
        }
    }
    policies.sort_by_key(|(policy, _)| policy.name().to_lowercase());
    let mut hubs = linked_hubs(cx.platform, &namespace).await?;
    hubs.sort_by_key(|hub| hub.name().to_lowercase());
    let all: Vec<(usize, usize)> =
        (0..hubs.len()).flat_map(|hub| (0..policies.len()).map(move |policy| (hub, policy))).collect();
    let (page, next) = query::page_of(cx.request, all, ARM_PAGE)?;
    let mut seen: HashMap<usize, Trusted> = HashMap::new();
    let mut value = Vec::with_capacity(page.len());
    for (hub, policy) in page {
        let trusted = match seen.remove(&hub) {
            Some(trusted) => trusted,
            None => Trusted::read(cx.platform, &hubs[hub]).await?,
        };
        let (resource, authority) = &policies[policy];
        value.push(shown(&namespace, &hubs[hub], resource, authority, &trusted));
        seen.insert(hub, trusted);
    }
    let mut body = json!({ "value": value });
    if let Some(next) = next {
        body["nextLink"] = next.into();
    }
    Ok(SubAnswer::Done(200, Some(body)))
}

/// What a hub trusts of its namespace, and what was noted of it.
struct Trusted {
    /// Authority and SHA-256 thumbprint of the entries that were brought.
    entries: HashSet<(Uuid, String)>,
    notes: HashMap<String, Arc<Noted>>,
}

impl Trusted {
    async fn read(platform: &Platform, hub: &Stored) -> Result<Self> {
        let mut entries = HashSet::new();
        for entry in resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await? {
            if let Some(authority) = entry.resource.link(AUTHORITY)
                && let Some(text) = entry.resource.text(&["certificate"])
                && let Ok(certificate) = Certificate::from_pem_or_base64(text)
            {
                entries.insert((authority, certificate.sha256().to_ascii_uppercase()));
            }
        }
        let mut notes = HashMap::new();
        let prefix = format!("{}/", uid_key(hub.uid));
        let mut pages = Pages::scan(platform.store.as_ref(), &SYNCHRONIZATIONS, &prefix, READ_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                notes.insert(row.key.clone(), row.parse::<Noted>()?);
            }
        }
        Ok(Self { entries, notes })
    }
}

fn shown(namespace: &Stored, hub: &Stored, policy: &Stored, authority: &AuthorityRecord, trusted: &Trusted) -> Value {
    let noted = trusted.notes.get(&key(hub.uid, policy.uid));
    let there = trusted.entries.contains(&(policy.uid, authority.thumbprint.clone()));
    let failed = noted.is_some_and(|noted| noted.error.is_some());
    let undone = noted.is_some_and(|noted| noted.undo && noted.error.is_none());
    let state = match (there, failed, undone) {
        (true, ..) => "Synchronized",
        (false, true, _) => "Failed",
        (false, false, true) => "Undone",
        (false, false, false) => "Pending",
    };
    let mut shown = json!({
        "hub": hub.name(),
        "hubResourceId": hub.id.to_string(),
        "policy": policy.name(),
        "policyResourceId": policy_id(&namespace.id, policy.name()).to_string(),
        "certificateAuthorityResourceId": policy.id.to_string(),
        "thumbprint": authority.thumbprint,
        "state": state,
    });
    if let Some(noted) = noted {
        shown["lastAttempt"] = noted.at.clone().into();
        if let Some((code, message)) = &noted.error {
            shown["error"] = json!({"code": code, "message": message});
        }
    }
    if !there && trusted.entries.iter().any(|(owner, _)| *owner == policy.uid) {
        shown["trustsFormerCertificate"] = true.into();
    }
    shown
}

/// Removes what was noted of hubs and policies that are gone. Gives how many rows went.
///
/// # Errors
/// When the store fails; the rest is left for the next sweep.
pub(crate) async fn sweep(platform: &Platform) -> Result<usize> {
    let mut gone = 0;
    let mut pages = Pages::scan(platform.store.as_ref(), &SYNCHRONIZATIONS, "", ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        for row in rows {
            let uids: Vec<String> = row.key.split('/').map(str::to_owned).collect();
            let there = platform.store.get_many(&RESOURCES, &uids).await?;
            if there.iter().any(Option::is_none) {
                change.unit.delete(&SYNCHRONIZATIONS, row.key.clone());
            }
        }
        gone += change.unit.len();
        if !change.unit.is_empty() {
            platform.commit(change).await?;
        }
    }
    Ok(gone)
}
