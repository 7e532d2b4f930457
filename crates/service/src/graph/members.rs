//! Who belongs to what: members of groups, who have the group's roles, and owners of groups and applications, who may change them.

use super::applications::object;
use super::objects::{refuse_unknown, unknown};
use super::users::bad;
use super::{Answer, Graph, GraphRequest, query};
use crate::departure;
use crate::directory::{self, Relation, membership, membership_key};
use crate::platform::Change;
use crate::tables::{MEMBERSHIPS, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_wire::odata::Terms;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Objects that one request names: Graph's 20.
const BOUND: usize = 20;
/// Groups that one check names: Graph's 20.
const CHECKED: usize = 20;
/// What lists of directory objects are filtered by.
static TERMS: Terms =
    Terms { fields: &["id", "displayName", "appId", "userPrincipalName", "mailNickname"], marks: &[] };

impl Graph {
    /// What belongs to an object: `members` and `owners`.
    pub(super) async fn list_targets(
        &self,
        request: &GraphRequest,
        object: &str,
        relation: Relation,
    ) -> Result<Answer> {
        let ids = directory::targets_of(self.platform.store.as_ref(), object, relation).await?;
        self.answer_objects(request, ids).await
    }

    /// The members of a group, and those of the groups in it.
    pub(super) async fn list_transitive(&self, request: &GraphRequest, group: &str) -> Result<Answer> {
        let (mut all, mut next): (Vec<String>, usize) = (vec![group.to_owned()], 0);
        while let Some(id) = all.get(next).cloned() {
            for member in directory::targets_of(self.platform.store.as_ref(), &id, Relation::Member).await? {
                if !all.contains(&member) {
                    all.push(member);
                }
            }
            next += 1;
        }
        self.answer_objects(request, all.split_off(1)).await
    }

    /// The groups that somebody is in, directly or (`all`) also through others.
    pub(super) async fn list_groups_of(&self, request: &GraphRequest, id: &str, all: bool) -> Result<Answer> {
        let ids = match all {
            true => self.groups_of(id).await?,
            false => directory::objects_of(self.platform.store.as_ref(), id, Relation::Member).await?,
        };
        self.answer_objects(request, ids).await
    }

    /// What somebody owns.
    pub(super) async fn list_owned(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        let ids = directory::objects_of(self.platform.store.as_ref(), id, Relation::Owner).await?;
        self.answer_objects(request, ids).await
    }

    /// `getMemberGroups` and `getMemberObjects`: ids of all groups that somebody is in.
    pub(super) async fn member_groups(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        refuse_unknown(request.body.as_ref(), "", &["securityEnabledOnly"])?;
        Ok((
            200,
            Some(
                json!({"@odata.context": context(request, "Collection(Edm.String)"), "value": self.groups_of(id).await?}),
            ),
        ))
    }

    /// `checkMemberGroups` and `checkMemberObjects`: which of the named groups somebody is in.
    pub(super) async fn check_member_groups(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        refuse_unknown(request.body.as_ref(), "", &["groupIds", "ids"])?;
        let body = object(request)?;
        let list = body.get("groupIds").or_else(|| body.get("ids")).and_then(Value::as_array);
        let asked: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
        if asked.is_empty() || asked.len() > CHECKED {
            return Err(bad("groupIds", format!("'groupIds' names 1 to {CHECKED} groups.")));
        }
        let groups = self.groups_of(id).await?;
        let found: Vec<&str> =
            asked.into_iter().filter(|asked| groups.iter().any(|group| group.eq_ignore_ascii_case(asked))).collect();
        Ok((200, Some(json!({"@odata.context": context(request, "Collection(Edm.String)"), "value": found}))))
    }

    async fn groups_of(&self, id: &str) -> Result<Vec<String>> {
        self.platform.refresh_access().await?;
        Ok(self.platform.access().groups_of(id))
    }

    /// `POST …/$ref`: one more member or owner of `object`, whose row is `row`.
    pub(super) async fn add_ref(
        &self,
        request: &GraphRequest,
        row: &str,
        of: &str,
        relation: Relation,
    ) -> Result<Answer> {
        let sent = object(request)?.get("@odata.id");
        let id = sent.and_then(Value::as_str).and_then(id_of).ok_or_else(|| {
            bad("@odata.id", "'@odata.id' is the URL of a directory object, such as https://graph.microsoft.com/v1.0/directoryObjects/{id}.")
        })?;
        self.add_target(row, of, relation, &id).await?;
        Ok((204, None))
    }

    async fn add_target(&self, row: &str, of: &str, relation: Relation, id: &str) -> Result<()> {
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| Error::conflict("Others change the members at the same time; try again.")).await?;
            let mut change = Change::new();
            change.unit.expect_exists(&PRINCIPALS, row);
            self.bind(of, relation, id, &mut change).await?;
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
            if directory::by_id(self.platform.store.as_ref(), row).await?.is_none() {
                return Err(unknown(of));
            }
        }
    }

    /// Adds to `change` that the object with this id becomes a member or an owner of `of`.
    ///
    /// # Errors
    /// Graph's refusal of who is none, is one already, or is the group itself.
    pub(super) async fn bind(&self, of: &str, relation: Relation, id: &str, change: &mut Change) -> Result<()> {
        let target = self.target(id, relation).await?;
        if target.id == of {
            return Err(bad("@odata.id", "A group is no member of itself."));
        }
        let key = membership_key(of, relation, &target.id);
        if self.platform.store.get(&MEMBERSHIPS, &key).await?.is_some() {
            return Err(bad(
                "@odata.id",
                format!(
                    "One or more added object references already exist for the following modified properties: '{}'.",
                    relation.word()
                ),
            ));
        }
        change.unit.expect_exists(&PRINCIPALS, target.id.clone());
        change.unit.expect_absent(&MEMBERSHIPS, key);
        change.unit.put(membership(of, relation, &target.id)?);
        change.access |= relation == Relation::Member;
        Ok(())
    }

    /// `DELETE …/{target}/$ref`. A group that lends Owner to the last one keeps it.
    pub(super) async fn remove_ref(&self, of: &str, relation: Relation, target: &str) -> Result<Answer> {
        let target = Uuid::parse_str(target).map_err(|_| unknown(target))?.to_string();
        let key = membership_key(of, relation, &target);
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| Error::conflict("Others change the members at the same time; try again.")).await?;
            if self.platform.store.get(&MEMBERSHIPS, &key).await?.is_none() {
                return Err(unknown(&target));
            }
            let mut change = Change::new();
            if relation == Relation::Member {
                departure::check_principal(&self.platform, &target, Some(of), &mut change).await?;
            }
            change.unit.expect_exists(&MEMBERSHIPS, key.clone());
            change.unit.delete(&MEMBERSHIPS, key.clone());
            if self.platform.try_commit(change).await? {
                return Ok((204, None));
            }
        }
    }

    /// Whom a request names as a member or an owner.
    pub(super) async fn target(&self, id: &str, relation: Relation) -> Result<Arc<Principal>> {
        let found = directory::by_id(self.platform.store.as_ref(), id).await?.ok_or_else(|| unknown(id))?;
        if relation == Relation::Owner && found.kind == PrincipalKind::Group {
            return Err(bad("@odata.id", "An owner is a user or a service principal, not a group."));
        }
        Ok(found)
    }

    async fn answer_objects(&self, request: &GraphRequest, ids: Vec<String>) -> Result<Answer> {
        let list = query::List::of(request, "directoryObjects", &TERMS)?;
        list.answer(request, self.any_views(&ids).await?)
    }
}

fn context(request: &GraphRequest, what: &str) -> String {
    format!("{}/v1.0/$metadata#{what}", request.base_url)
}

/// Object ids in `members@odata.bind` or `owners@odata.bind`.
pub(super) fn bound(body: &Map<String, Value>, relation: Relation) -> Result<Vec<String>> {
    let path = format!("{}@odata.bind", relation.word());
    let Some(sent) = body.get(&path).filter(|sent| !sent.is_null()) else { return Ok(Vec::new()) };
    let refused = || bad(&path, format!("'{path}' is a list of at most {BOUND} URLs of directory objects."));
    let list = sent.as_array().filter(|list| list.len() <= BOUND).ok_or_else(refused)?;
    let mut ids: Vec<String> = Vec::with_capacity(list.len());
    for url in list {
        let id = url.as_str().and_then(id_of).ok_or_else(refused)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The object id at the end of a URL, such as `…/directoryObjects/{id}` or `…/users('{id}')`.
fn id_of(url: &str) -> Option<String> {
    let last = url.trim_end_matches('/').rsplit('/').next()?;
    let last = last.split_once("('").and_then(|(_, rest)| rest.strip_suffix("')")).unwrap_or(last);
    Uuid::parse_str(last).ok().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_by_url() {
        let id = "11111111-1111-4111-8111-111111111111";
        for url in [
            format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}"),
            format!("https://localhost:8443/graph/v1.0/users('{id}')"),
            id.to_uppercase(),
        ] {
            assert_eq!(id_of(&url).as_deref(), Some(id), "{url}");
        }
        for bad in ["", "https://x/v1.0/users/ann@x", "directoryObjects"] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }
}
