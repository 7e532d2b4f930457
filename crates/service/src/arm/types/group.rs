//! Groups of registry devices (`Microsoft.DeviceRegistry/namespaces/groups`): those for which a filter holds.
//!
//! Nobody keeps the members: they are looked up when somebody asks, so that a group always says what is so now. A refresh notes
//! its time. Device Update, whose jobs Azure runs over groups, is not part of Ferrohub.

use super::authority::{AUTHORITY_NAME, is_authority_name};
use super::registry_device;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use crate::arm::activity;
use crate::arm::context::{PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::operations;
use crate::arm::query::{decode_token, encode_token};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only};
use crate::platform::{Change, Platform};
use crate::resources::{self, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{FILTER_BYTES, QUERY_PAGE};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_wire::group_filter::GroupFilter;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 3, max: 63, legal: is_authority_name, text: AUTHORITY_NAME },
    properties: PROPERTIES,
    delete: (204, 204),
    action_status: false,
    subs: &[("POST", LIST), ("POST", COUNT), ("POST", REFRESH)],
    behavior: &Group,
    ..TypeDecl::new(
        Kind::new("grp", "Microsoft.DeviceRegistry", &["namespaces", "groups"]),
        REGISTRY_FAMILY,
        &[View::hiding(NEWEST, None, &["etag"])],
    )
};

const LIST: &str = "listMembers";
const COUNT: &str = "countMembers";
const REFRESH: &str = "refreshMembers";
const TYPE: &str = "groupType";
const FILTER: &str = "queryFilter";
/// When the members were last looked up for good.
const REFRESHED: &str = "lastMembershipRefreshTime";
/// What a group's properties are (reference: device-registry-api.md section 6).
const PROPERTIES: &[Property] = &[
    acted(TYPE, Check::OneOf(&["RegistryDevice"])).create_only(),
    acted(FILTER, Check::Text(FILTER_BYTES)).create_only(),
    descriptive("displayName", Check::Text(256), "a name for people"),
    descriptive("description", Check::Text(1024), "a note of its author"),
    read_only("membershipState"),
    read_only(REFRESHED),
    read_only("uuid"),
    PROVISIONING_STATE,
];
/// Devices read at once: ours.
const STEP: usize = 500;
/// Devices that are looked at for one page of members at most: ours.
const LOOKED_AT: usize = 20_000;
/// How long members are counted: ours.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a filter can ask about a member of a device.
fn knows(member: &[String]) -> bool {
    let steps: Vec<&str> = member.iter().map(String::as_str).collect();
    match steps.as_slice() {
        ["name" | "location"] | ["tags", _] => true,
        ["properties", name] => registry_device::knows(name),
        ["attributes", _, ..] => true,
        _ => false,
    }
}

struct Group;

#[async_trait]
impl Behavior for Group {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let needs = |name: &str, what: &str| {
            Error::invalid_property(format!("properties.{name}"), format!("A group needs a '{name}': {what}."))
        };
        if cx.resource.text(&[TYPE]).is_none() {
            return Err(needs(TYPE, "RegistryDevice"));
        }
        let filter = cx.resource.text(&[FILTER]).ok_or_else(|| needs(FILTER, "'*' for all devices, or a condition"))?;
        GroupFilter::parse(filter, knows)?;
        let refreshed = match cx.existing.and_then(|stored| stored.resource.text(&[REFRESHED])) {
            Some(refreshed) => refreshed.to_owned(),
            None => rfc3339(cx.platform.now()),
        };
        let properties = &mut cx.resource.properties;
        properties.insert(TYPE.into(), "RegistryDevice".into());
        properties.insert(REFRESHED.into(), refreshed.into());
        properties.insert("provisioningState".into(), "Succeeded".into());
        Ok(())
    }

    async fn decorate(&self, _platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        doc["properties"]["uuid"] = stored.uid.to_string().into();
        doc["properties"]["membershipState"] = "Ready".into();
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &[LIST]) {
            return list(cx).await.map(Some);
        }
        if cx.is("POST", &[COUNT]) {
            refuse_body(cx, COUNT)?;
            let count = timeout(cx.platform.clock.as_ref(), PATIENCE, count(cx)).await.map_err(|_| {
                Error::unavailable("Counting the members takes too long; list them page by page.", 60)
            })??;
            return Ok(Some(SubAnswer::Done(200, Some(json!({ "count": count })))));
        }
        if cx.is("POST", &[REFRESH]) {
            refuse_body(cx, REFRESH)?;
            return refresh(cx).await.map(Some);
        }
        Ok(None)
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        let id = ResourceId::parse(&record.resource)?;
        let mut attempts = platform.attempts();
        loop {
            attempts.begin(|| Error::unavailable("The group is changed by many at once.", 1)).await?;
            // A group that is gone needs no refresh.
            let Some(stored) = resources::get(platform, &id).await? else { return Ok(()) };
            let mut resource = stored.resource.as_ref().clone();
            resource.properties.insert(REFRESHED.into(), rfc3339(platform.now()).into());
            let mut change = Change::new();
            resources::rewrite(&stored, resource, &mut change)?;
            if platform.try_commit(change).await? {
                return lease.renew(platform).await;
            }
        }
    }
}

async fn refresh(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let action = DECL.action(&format!("{REFRESH}/action"));
    let (row, begun) = activity::begin(cx.platform, cx.request, cx.id, &action)?;
    let record = StoredOperation::new(cx.platform, begun, DECL.kind.tag, REFRESH, cx.id, 204, json!({}));
    let mut change = Change::new();
    change.unit.put(row);
    let operation = operations::start(cx.platform, record, change).await?;
    operations::drive_briefly(cx.platform, &operation).await?;
    Ok(SubAnswer::Accepted { operation })
}

fn bad(at: &str, text: impl Into<String>) -> Error {
    Error::invalid(text).with_code("InvalidRequestContent").with_target(at)
}

fn refuse_body(cx: &SubContext<'_>, action: &str) -> Result<()> {
    match cx.body {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(members)) if members.is_empty() => Ok(()),
        Some(_) => Err(bad("", format!("'{action}' has no body."))),
    }
}

/// The devices of a group's namespace, one after another, and which of them are members.
struct Members<'a> {
    platform: &'a Platform,
    namespace: Stored,
    filter: GroupFilter,
    after: Option<String>,
}

impl<'a> Members<'a> {
    async fn of(cx: &SubContext<'a>, after: Option<String>) -> Result<Self> {
        let namespace = resources::by_uid(cx.platform, cx.stored.parent).await?;
        let namespace = namespace.ok_or_else(|| resources::missing(cx.id))?;
        let filter = GroupFilter::parse(cx.stored.resource.text(&[FILTER]).unwrap_or_default(), knows)?;
        Ok(Self { platform: cx.platform, namespace, filter, after })
    }

    /// The next devices, each with whether it is a member; none at the end.
    async fn next(&mut self) -> Result<Vec<(Stored, bool)>> {
        let (parent, above, after) = (self.namespace.uid, &self.namespace.id, self.after.as_deref());
        let page = resources::children_page(self.platform, parent, above, Some(tag::DEVICE), after, STEP).await?;
        let mut found = Vec::with_capacity(page.len());
        for stored in page {
            let member = match &self.filter {
                GroupFilter::All => true,
                filter => filter.matches(&registry_device::summary(self.platform, &stored).await?),
            };
            found.push((stored, member));
        }
        if let Some((last, _)) = found.last() {
            self.after = Some(last.name().to_lowercase());
        }
        Ok(found)
    }
}

async fn count(cx: &SubContext<'_>) -> Result<u64> {
    let mut members = Members::of(cx, None).await?;
    let mut count = 0;
    loop {
        let found = members.next().await?;
        if found.is_empty() {
            return Ok(count);
        }
        count += found.iter().filter(|(_, member)| *member).count() as u64;
        tokio::task::yield_now().await;
    }
}

async fn list(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let (size, after) = wanted(cx.body)?;
    let mut members = Members::of(cx, after).await?;
    let mut listed = Vec::new();
    let mut looked_at = 0;
    loop {
        let found = members.next().await?;
        if found.is_empty() {
            return Ok(SubAnswer::Done(200, Some(json!({ "members": listed }))));
        }
        looked_at += found.len();
        for (stored, _) in found.into_iter().filter(|(_, member)| *member) {
            let id = members.namespace.id.child(registry_device::SEGMENT, stored.name());
            listed.push(json!({"id": id.to_string()}));
            if listed.len() == size {
                return Ok(page(&listed, &stored.name().to_lowercase()));
            }
        }
        if looked_at >= LOOKED_AT {
            return Ok(page(&listed, members.after.as_deref().unwrap_or_default()));
        }
        tokio::task::yield_now().await;
    }
}

/// A page that is not the last one; it may have no members, where many devices were looked at that are none.
fn page(listed: &[Value], after: &str) -> SubAnswer {
    SubAnswer::Done(200, Some(json!({"members": listed, "skipToken": encode_token(after)})))
}

/// How many members a page has, and behind which device it begins.
fn wanted(body: Option<&Value>) -> Result<(usize, Option<String>)> {
    let none = Map::new();
    let body = match body {
        None | Some(Value::Null) => &none,
        Some(Value::Object(body)) => body,
        Some(_) => return Err(bad("", format!("The body of '{LIST}' is a JSON object, or there is none."))),
    };
    if let Some(name) = body.keys().find(|name| !["pageSize", "skipToken"].contains(&name.as_str())) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(bad(&shown, format!("'{LIST}' knows no '{shown}'; it knows 'pageSize' and 'skipToken'.")));
    }
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let size = match given("pageSize") {
        None => QUERY_PAGE,
        Some(value) => value
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=QUERY_PAGE).contains(size))
            .ok_or_else(|| bad("pageSize", format!("'pageSize' is a whole number from 1 to {QUERY_PAGE}.")))?,
    };
    let after = match given("skipToken") {
        None => None,
        Some(Value::String(token)) => Some(decode_token(token)?),
        Some(_) => return Err(bad("skipToken", "'skipToken' is a text: the one of the page before.")),
    };
    Ok((size, after))
}
