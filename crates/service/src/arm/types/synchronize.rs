//! `credentials/default/synchronize`: brings the issuing CAs of a namespace to its linked hubs.
//!
//! Azure's request has no body and takes all of both. Ours may have one, `{"policies": [..], "hubs": [..]}`, which names those that are
//! taken, by name or id; what became of each hub stands in `operations` of the operation's status, and, where there was a body,
//! in the answer at its `Location`. `undoSynchronize` is ours, has the same body and takes the entries away again.

use super::hub_certificate;
use super::linked_namespace::linked_hubs;
use super::synchronization::{Direction, Notes};
use crate::arm::activity;
use crate::arm::context::SubContext;
use crate::arm::operation::{Lease, Step, StoredOperation};
use crate::certificate::{self, AuthorityState};
use crate::platform::Platform;
use crate::registry;
use crate::resources::{self, Stored};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Most names in one list of a body: ours.
const NAMES: usize = 1000;
/// Member of an operation's input that says that it undoes.
const UNDO: &str = "undo";

/// Which policies and hubs are taken; `None` for all.
pub(super) struct Wanted {
    direction: Direction,
    policies: Option<Vec<Uuid>>,
    hubs: Option<Vec<Uuid>>,
}

impl Wanted {
    /// Reads the body of a request; every name must be one of this namespace's.
    pub(super) async fn read(cx: &SubContext<'_>, direction: Direction) -> Result<Self> {
        let none = Map::new();
        let body = match cx.body {
            None | Some(Value::Null) => &none,
            Some(Value::Object(body)) => body,
            Some(_) => return Err(bad("", "The body of a synchronization is a JSON object, or there is none.")),
        };
        if let Some(name) = body.keys().find(|name| !["policies", "hubs"].contains(&name.as_str())) {
            let shown: String = name.chars().take(80).collect();
            return Err(bad(
                name,
                format!(
                    "A synchronization knows no '{shown}'. Known are 'policies' and 'hubs', lists of names or ids; without them all are taken."
                ),
            ));
        }
        let (policies, hubs) = (names(body, "policies")?, names(body, "hubs")?);
        let mut wanted = Self { direction, policies: None, hubs: None };
        if policies.is_none() && direction == Direction::TakeAway {
            return Err(bad(
                "policies",
                "What is to be undone is named: 'policies' is a list of names or ids. 'hubs' is one too; without it all linked hubs are meant.",
            ));
        }
        if policies.is_none() && hubs.is_none() {
            return Ok(wanted);
        }
        let namespace = cx.id.parent().ok_or_else(|| Error::internal("a credential without namespace"))?;
        let namespace = resources::require(cx.platform, &namespace).await?;
        if let Some(names) = policies {
            let mut known = Vec::new();
            let issuing = certificate::issuing_of_namespace(cx.platform, namespace.uid).await?;
            // Several authorities may be of one policy.
            let owners: BTreeSet<Uuid> = issuing.iter().map(|record| record.owner).collect();
            for owner in owners {
                known.extend(resources::by_uid(cx.platform, owner).await?);
            }
            wanted.policies =
                Some(chosen(cx.platform, &names, &known, "policies", "a policy of this namespace").await?);
        }
        if let Some(names) = hubs {
            let known = linked_hubs(cx.platform, &namespace).await?;
            wanted.hubs =
                Some(chosen(cx.platform, &names, &known, "hubs", "a hub that is linked to this namespace").await?);
        }
        Ok(wanted)
    }

    /// One policy, by the uid of its authority, at these hubs.
    pub(super) fn one(owner: Uuid, hubs: Option<Vec<Uuid>>) -> Self {
        Self { direction: Direction::Bring, policies: Some(vec![owner]), hubs }
    }

    /// Notes them in the input of an operation.
    pub(super) fn write(&self, input: &mut Value) {
        if self.direction == Direction::TakeAway {
            input[UNDO] = true.into();
        }
        for (name, list) in [("policies", &self.policies), ("hubs", &self.hubs)] {
            if let Some(list) = list {
                input[name] = list.iter().map(|uid| Value::from(uid_key(*uid))).collect();
            }
        }
    }

    fn of(input: &Value) -> Self {
        let list = |name: &str| {
            let list = input.get(name).and_then(Value::as_array)?;
            Some(list.iter().filter_map(Value::as_str).filter_map(parse_uid_key).collect())
        };
        let direction = match input.get(UNDO).and_then(Value::as_bool) {
            Some(true) => Direction::TakeAway,
            _ => Direction::Bring,
        };
        Self { direction, policies: list("policies"), hubs: list("hubs") }
    }
}

fn bad(at: &str, text: impl Into<String>) -> Error {
    Error::invalid(text).with_code("InvalidRequestContent").with_target(at)
}

/// A list of names of a body.
fn names(body: &Map<String, Value>, member: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = body.get(member).filter(|value| !value.is_null()) else { return Ok(None) };
    let list = value.as_array().filter(|list| (1..=NAMES).contains(&list.len()));
    let texts: Option<Vec<String>> =
        list.and_then(|list| list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect());
    let rule = format!("'{member}' is a list of 1 to {NAMES} names or ids; without it all are taken.");
    texts.map(Some).ok_or_else(|| bad(member, rule))
}

/// The uids of what is named; each must be one of `known`.
async fn chosen(platform: &Platform, names: &[String], known: &[Stored], at: &str, what: &str) -> Result<Vec<Uuid>> {
    let mut found = Vec::new();
    for name in names {
        let meant = match name.starts_with('/') {
            true => resources::get(platform, &ResourceId::parse(name)?).await?.map(|stored| stored.uid),
            false => known.iter().find(|stored| stored.name().eq_ignore_ascii_case(name)).map(|stored| stored.uid),
        };
        let Some(uid) = meant.filter(|uid| known.iter().any(|stored| stored.uid == *uid)) else {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(300).collect();
            let there: Vec<&str> = known.iter().map(Stored::name).collect();
            let there = if there.is_empty() { "none".into() } else { there.join(", ") };
            return Err(bad(at, format!("'{shown}' is not {what}. There are: {there}.")));
        };
        found.push(uid);
    }
    Ok(found)
}

/// The steps: one unit of work for each linked hub, safe to run again. Every hub is tried; the error is the first refusal, with
/// those of all hubs as its details.
pub(super) async fn run(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    let credential = ResourceId::parse(&record.resource)?;
    let namespace_id = credential.parent().ok_or_else(|| Error::internal("a credential without namespace"))?;
    let namespace = resources::require(platform, &namespace_id).await?;
    let wanted = Wanted::of(&record.input);
    bring(platform, &namespace, record, lease, &wanted).await
}

/// Brings what is wanted to the hubs of a namespace, as the namespace's identity.
pub(super) async fn bring(
    platform: &Platform,
    namespace: &Stored,
    record: &StoredOperation,
    lease: &mut Lease,
    wanted: &Wanted,
) -> Result<()> {
    let actor = registry::namespace_actor(platform, namespace).await?;
    let cause = |name: &str| {
        let text = record.input.get(name).and_then(Value::as_str);
        text.and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_default()
    };
    let origin = activity::Origin::service(&actor, cause("request"), cause("correlation"));
    let mut hubs = linked_hubs(platform, namespace).await?;
    hubs.retain(|hub| wanted.hubs.as_ref().is_none_or(|wanted| wanted.contains(&hub.uid)));
    hubs.sort_by_key(|hub| hub.name().to_lowercase());
    let (mut steps, mut refused): (Vec<Step>, Vec<Error>) = (Vec::new(), Vec::new());
    for hub in hubs {
        lease.renew(platform).await?;
        let outcome = synchronize_hub(platform, namespace, &origin, &hub, wanted).await;
        steps.push(Step::of(&hub.id, outcome.as_ref().err()));
        if let Err(error) = outcome {
            // What passes by itself comes first: the whole is tried again then.
            let passes = matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal);
            refused.insert(if passes { 0 } else { refused.len() }, error);
        }
    }
    lease.record.steps = steps;
    let mut refused = refused.into_iter();
    let Some(mut first) = refused.next() else { return Ok(()) };
    let others: Vec<Error> = refused.collect();
    if !others.is_empty() {
        let all = std::iter::once(&first).chain(&others);
        first.details = all.map(|error| (error.code.to_owned(), error.message.clone())).collect();
    }
    Err(first)
}

async fn synchronize_hub(
    platform: &Platform,
    namespace: &Stored,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    wanted: &Wanted,
) -> Result<()> {
    let mut authorities = certificate::of_namespace(platform, namespace.uid).await?;
    authorities.retain(|authority| {
        let meant = wanted.policies.as_ref().is_none_or(|wanted| wanted.contains(&authority.owner));
        meant
            && !authority.left
            && (authority.is_trusted() || authority.is_issuing() && authority.state == AuthorityState::Revoked)
    });
    let mut notes = Notes::new(platform, hub.uid, wanted.direction);
    if let Err(error) = platform.authorize(origin.actor, wanted.direction.right(), &hub.id) {
        authorities.iter().for_each(|authority| notes.failed(authority.owner, &error));
        notes.write(platform).await?;
        return Err(error);
    }
    for authority in authorities {
        let done = match wanted.direction {
            Direction::Bring if authority.is_trusted() => {
                hub_certificate::bring(platform, origin, hub, &authority).await
            }
            Direction::Bring => hub_certificate::take_away(platform, origin, hub, &authority).await,
            Direction::TakeAway => hub_certificate::take_away_all(platform, origin, hub, authority.owner).await,
        };
        if let Err(error) = done {
            notes.failed(authority.owner, &error);
            notes.write(platform).await?;
            return Err(error);
        }
        notes.done(authority.owner);
    }
    notes.write(platform).await
}
