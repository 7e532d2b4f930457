//! `GET .../resources`: tracked resources of every type in a subscription or group, page by page.

use super::declaration::TypeDecl;
use super::filter::ResourceFilter;
use super::query::{self, decode_token, next_link};
use super::read::envelope;
use super::render;
use super::request::{ArmRequest, ArmResponse};
use crate::platform::Platform;
use crate::resources::{self, Scope, Stored, root_of, tag};
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use serde_json::Value;
use uuid::Uuid;

/// Resources of one page (ARM: 1000).
const PAGE: usize = 1000;
/// Resources looked at for one page at most, so that a page of few matches stays cheap: ours.
const LOOKED_AT: usize = 5000;
/// Children read at once: ours.
const STEP: usize = 500;
/// What `$expand` adds to a listed resource.
const EXPANDABLE: &[&str] = &["createdTime", "changedTime", "provisioningState"];
/// Deepest level below a group: ours.
const DEPTH: usize = 8;

/// One page of what the caller may read, in ARM's generic shape.
pub(super) async fn answer(platform: &Platform, request: &ArmRequest, scope: &ResourceId) -> Result<ArmResponse> {
    query::check(request, &["$filter", "$expand", "$top", "$skipToken"])?;
    let filter = ResourceFilter::parse(request.query("$filter"))?;
    let expanded = query::expand(request, EXPANDABLE)?;
    let top = query::top(request)?.unwrap_or(PAGE).min(PAGE);
    let mut walk = Walk::start(platform, scope, request.query("$skipToken").filter(|token| !token.is_empty())).await?;
    let mut value = Vec::new();
    for _ in 0..LOOKED_AT {
        let Some(stored) = walk.next(platform).await? else { return Ok(envelope(value, None)) };
        if let Some(decl) = platform.types.tagged(stored.kind.tag)
            && is_listed(platform, request, decl, &stored)
            && filter.as_ref().is_none_or(|filter| filter.matches(&stored))
        {
            let mut doc = generic(platform, decl, &stored, &expanded).await?;
            // Who asks for a tag gets no tags back (reference: resource-manager.md section 10).
            if let (Some(map), true) = (doc.as_object_mut(), filter.as_ref().is_some_and(ResourceFilter::is_by_tag)) {
                map.shift_remove("tags");
            }
            value.push(doc);
        }
        if value.len() >= top {
            break;
        }
    }
    let token = walk.token();
    Ok(envelope(value, Some(next_link(request, &token))))
}

/// Goes through everything below a scope, parents before their children, and can go on where it stopped.
pub(super) struct Walk {
    /// From the scope down: what is walked below, and the `tag/name` of the last child taken.
    levels: Vec<Level>,
    /// Whether types of which there may be a million are left out.
    few: bool,
}

struct Level {
    uid: Uuid,
    id: ResourceId,
    after: Option<String>,
    /// Children read and not taken yet, last one first.
    ahead: Vec<Stored>,
}

impl Level {
    fn new(uid: Uuid, id: ResourceId, after: Option<String>) -> Self {
        Self { uid, id, after, ahead: Vec::new() }
    }
}

impl Walk {
    pub(super) async fn start(platform: &Platform, scope: &ResourceId, token: Option<&str>) -> Result<Self> {
        let uid = if scope.resource_group.is_some() {
            Some(resources::require(platform, scope).await?.uid)
        } else {
            root_of(scope)
        };
        let top = Level::new(uid.ok_or_else(|| resources::missing(scope))?, scope.clone(), None);
        let mut walk = Self { levels: vec![top], few: false };
        let Some(token) = token.map(decode_token).transpose()? else { return Ok(walk) };
        // `after` of the first level, then `uid after` of each one below it.
        for (depth, part) in token.split('\n').take(DEPTH).enumerate() {
            let (uid, after) = part.split_once(' ').unwrap_or(("", part));
            let after = Some(after.to_owned()).filter(|after| !after.is_empty());
            if depth == 0 {
                walk.levels[0].after = after;
                continue;
            }
            // What was deleted meanwhile is not walked any more.
            let Some(uid) = parse_uid_key(uid) else { break };
            let Some(stored) = resources::by_uid(platform, uid).await? else { break };
            if !stored.id.is_within(scope) {
                break;
            }
            walk.levels.push(Level::new(uid, stored.id, after));
        }
        Ok(walk)
    }

    /// The same, past all resources of types of which there may be a million, and what lies below them: none of them is read but a page.
    pub(super) fn without_numerous(self) -> Self {
        Self { few: true, ..self }
    }

    /// The next one; `None` after the last.
    pub(super) async fn next(&mut self, platform: &Platform) -> Result<Option<Stored>> {
        while let Some(level) = self.levels.last_mut() {
            if level.ahead.is_empty() {
                let (uid, after) = (level.uid, level.after.as_deref());
                level.ahead = resources::children_page(platform, uid, &level.id, None, after, STEP).await?;
                level.ahead.reverse();
            }
            let Some(stored) = level.ahead.pop() else {
                self.levels.pop();
                continue;
            };
            if self.few && platform.types.tagged(stored.kind.tag).is_some_and(|decl| decl.numerous) {
                let tag = stored.kind.tag;
                // The character behind the slash that ends a tag: the next page begins with the next type.
                level.after = Some(format!("{tag}0"));
                level.ahead.retain(|other| !other.is(tag));
                continue;
            }
            level.after = Some(format!("{}/{}", stored.kind.tag, stored.name().to_lowercase()));
            if self.levels.len() < DEPTH && platform.kinds.holds_others(stored.kind) {
                self.levels.push(Level::new(stored.uid, stored.id.clone(), None));
            }
            return Ok(Some(stored));
        }
        Ok(None)
    }

    fn token(&self) -> String {
        let part = |level: &Level| format!("{} {}", uid_key(level.uid), level.after.as_deref().unwrap_or_default());
        self.levels.iter().map(part).collect::<Vec<_>>().join("\n")
    }
}

fn is_listed(platform: &Platform, request: &ArmRequest, decl: &TypeDecl, stored: &Stored) -> bool {
    let tracked = decl.tracked && decl.kind.scope == Scope::InGroup && stored.kind.tag != tag::RESOURCE_GROUP;
    tracked && platform.authorize(&request.actor, &decl.action("read"), &stored.id).is_ok()
}

async fn generic(platform: &Platform, decl: &TypeDecl, stored: &Stored, expanded: &[&str]) -> Result<Value> {
    let mut doc = render::full(platform, decl, stored).await?;
    if let Some(map) = doc.as_object_mut() {
        map.shift_remove("properties");
        map.shift_remove("systemData");
        for name in expanded {
            let value = match *name {
                "createdTime" => stored.resource.system_data.created_at.as_str(),
                "changedTime" => stored.resource.system_data.last_modified_at.as_str(),
                _ => stored.resource.text(&["provisioningState"]).unwrap_or("Succeeded"),
            };
            map.insert((*name).to_owned(), value.into());
        }
    }
    Ok(doc)
}
