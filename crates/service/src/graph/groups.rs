//! Security groups: made, changed, deleted. Who is in them is in [`super::members`].

use super::applications::{display_name, object};
use super::members::bound;
use super::objects::{refuse_unbuilt, time, unknown};
use super::users::{bad, nickname, text, truth};
use super::{Answer, Graph, GraphRequest};
use crate::directory::{self, Relation};
use crate::platform::Change;
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Group, Principal, PrincipalKind};
use serde_json::{Value, json};
use std::sync::Arc;

const ACTED_UPON: &[&str] = &["displayName", "description", "mailNickname"];
/// Longest description: Graph's.
const DESCRIPTION_CHARS: usize = 1024;

impl Graph {
    /// A new group, with the members and owners that the body names.
    pub(super) async fn create_group(&self, request: &GraphRequest) -> Result<Answer> {
        let body = object(request)?;
        for name in ["displayName", "mailEnabled", "mailNickname", "securityEnabled"] {
            if body.get(name).is_none_or(Value::is_null) {
                return Err(bad(name, format!("A value is required for property '{name}' of resource 'Group'.")));
            }
        }
        for (name, wanted) in [("mailEnabled", false), ("securityEnabled", true)] {
            if truth(&body[name], name)? != wanted {
                return Err(bad(
                    name,
                    "Ferrohub has security groups only: mailEnabled is false, securityEnabled true.",
                ));
            }
        }
        let mut group = Principal {
            group: Some(Group::default()),
            made: self.platform.clock.unix_seconds(),
            ..Principal::new(
                PrincipalKind::Group,
                self.platform.random.uuid_v4().to_string(),
                String::new(),
                display_name(&body["displayName"])?,
            )
        };
        write(&mut group, body)?;
        refuse_unbuilt(body, &group_view(&group), ACTED_UPON)?;
        let mut change = Change::new();
        change.unit.put(directory::put(&group)?);
        for relation in [Relation::Member, Relation::Owner] {
            for id in bound(body, relation)? {
                self.bind(&group.id, relation, &id, &mut change).await?;
            }
        }
        self.platform.commit(change).await?;
        Ok((201, Some(group_view(&group))))
    }

    /// PATCH of a group: its names, and members and owners to add, all or nothing.
    pub(super) async fn update_group(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        let group = self.group(id).await?;
        let body = object(request)?;
        refuse_unbuilt(body, &group_view(&group), ACTED_UPON)?;
        let name = body.get("displayName").map(display_name).transpose()?;
        let targets =
            [Relation::Member, Relation::Owner].map(|relation| bound(body, relation).map(|ids| (relation, ids)));
        let targets = targets.into_iter().collect::<Result<Vec<_>>>()?;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| Error::conflict("Others change the group at the same time; try again.")).await?;
            let row = self.platform.store.get(&PRINCIPALS, &group.id).await?.ok_or_else(|| unknown(id))?;
            let mut group = Principal::clone(&*directory::from_row(&row)?);
            if let Some(name) = &name {
                group.display_name.clone_from(name);
            }
            write(&mut group, body)?;
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, group.id.clone(), row.version);
            change.unit.put(directory::put(&group)?);
            for (relation, ids) in &targets {
                for target in ids {
                    self.bind(&group.id, *relation, target, &mut change).await?;
                }
            }
            if self.platform.try_commit(change).await? {
                return Ok((204, None));
            }
        }
    }

    /// A group by object id.
    pub(super) async fn group(&self, id: &str) -> Result<Arc<Principal>> {
        let found = directory::by_id(self.platform.store.as_ref(), id).await?;
        found.filter(|found| found.kind == PrincipalKind::Group).ok_or_else(|| unknown(id))
    }
}

fn write(group: &mut Principal, body: &serde_json::Map<String, Value>) -> Result<()> {
    let about = group.group.get_or_insert_default();
    if let Some(sent) = body.get("mailNickname").filter(|sent| !sent.is_null()) {
        about.mail_nickname = nickname(sent)?;
    }
    match body.get("description") {
        None => {}
        Some(Value::Null) => about.description = None,
        Some(sent) => about.description = Some(text(sent, "description", DESCRIPTION_CHARS)?),
    }
    Ok(())
}

/// A group as Graph shows it.
pub(super) fn group_view(group: &Principal) -> Value {
    let nothing = Group::default();
    let about = group.group.as_ref().unwrap_or(&nothing);
    json!({
        "@odata.type": "#microsoft.graph.group",
        "id": group.id,
        "deletedDateTime": null,
        "classification": null,
        "createdDateTime": time(group.made),
        "description": about.description,
        "displayName": group.display_name,
        "expirationDateTime": null,
        "groupTypes": [],
        "isAssignableToRole": null,
        "mail": null,
        "mailEnabled": false,
        "mailNickname": about.mail_nickname,
        "membershipRule": null,
        "membershipRuleProcessingState": null,
        "onPremisesSyncEnabled": null,
        "proxyAddresses": [],
        "renewedDateTime": time(group.made),
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        "securityEnabled": true,
        "visibility": null
    })
}
