//! Enrollment groups, as the service API reads and writes them.

use super::access::{DELETE_GROUP, READ_ENROLLMENT, READ_GROUP, READ_MECHANISM, WRITE_GROUP, shown};
use super::page::{PageRequest, Paged};
use super::{DpsRef, ProvisioningService};
use crate::authz::Actor;
use crate::certificate;
use crate::platform::Change;
use crate::registry;
use crate::resources::{self, Stored, tag};
use crate::tables::{ENROLLMENT_GROUPS, RESOURCES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::{
    AllocationPolicy, EnrollmentGroup, GroupSettings, InitialTwin, RequestedKeys, SymmetricKeys, parse_group,
};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_model::twin::Twin;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_store::{Put, Row};
use ferrohub_wire::etag::EtagCondition;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

const PRIMARY: &str = "primary";
const SECONDARY: &str = "secondary";

impl ProvisioningService {
    /// An enrollment group, without its keys.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201).
    pub async fn group(&self, actor: &Actor, dps: &DpsRef, id: &str) -> Result<Value> {
        self.authorize(actor, dps, &READ_GROUP).await?;
        let row = self.group_row(dps, id).await?.ok_or_else(|| missing(dps, id))?;
        Ok(from_row(&row)?.view())
    }

    /// Creates an enrollment group, or replaces the one that `if_match` names, and returns it without its keys. Keys that the body does not name are
    /// kept, or generated for a new group.
    ///
    /// # Errors
    /// The refusal of an actor without the right; 409201 over an existing one without `if_match`; `PreconditionFailed` (412001) when it does not
    /// fit; `Invalid` (400004) naming the property, also for a credential policy that does not exist or a provisioning service that is linked to no namespace.
    pub async fn put_group(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        id: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Value> {
        self.authorize(actor, dps, &WRITE_GROUP).await?;
        let (settings, keys) = parse_group(id, body)?;
        check_hubs(dps, &settings)?;
        initial_twin(&settings, self.platform.now())?;
        let policy = self.check_policy(dps, &settings, body).await?;
        let _turn = self.platform.turn(&dps.row_key(id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let existing = self.group_row(dps, id).await?;
            if existing.is_some() && if_match.is_none() {
                return Err(already_there(dps, id));
            }
            check_match(if_match, existing.as_deref(), dps, id)?;
            let (group, mut change) = self.write_group(dps, id, settings.clone(), &keys, existing.as_deref()).await?;
            if let Some(policy) = &policy {
                change.unit.expect_exists(&RESOURCES, uid_key(*policy));
            }
            if self.platform.try_commit(change).await? {
                return Ok(group.view());
            }
        }
    }

    /// Deletes an enrollment group. Devices that registered through it keep their hub.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201); `PreconditionFailed` (412001) when
    /// `if_match` does not fit.
    pub async fn delete_group(&self, actor: &Actor, dps: &DpsRef, id: &str, if_match: Option<&str>) -> Result<()> {
        self.authorize(actor, dps, &DELETE_GROUP).await?;
        let _turn = self.platform.turn(&dps.row_key(id)).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let row = self.group_row(dps, id).await?.ok_or_else(|| missing(dps, id))?;
            check_match(if_match, Some(&row), dps, id)?;
            let mut change = Change::new();
            change.unit.expect_version(&ENROLLMENT_GROUPS, row.key.clone(), row.version);
            change.unit.delete(&ENROLLMENT_GROUPS, row.key.clone());
            Self::next_generation(dps, &mut change)?;
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    /// All enrollment groups, page by page. `body` is tolerated in any shape (the CLI sends a stringified dictionary),
    /// except that a query with a condition is refused rather than answered wrongly.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `Invalid` (400004) for a condition or a foreign continuation.
    pub async fn query_groups(
        &self,
        actor: &Actor,
        dps: &DpsRef,
        body: Option<&Value>,
        page: &PageRequest,
    ) -> Result<Paged> {
        self.authorize(actor, dps, &READ_GROUP).await?;
        refuse_condition(body)?;
        let prefix = dps.row_key("");
        let rows = self.platform.store.scan(&ENROLLMENT_GROUPS, &prefix, page.of_store(&prefix)?).await?;
        page.answer(&prefix, rows, |row| Ok(from_row(row)?.view()))
    }

    /// The attestation mechanism with its keys.
    ///
    /// # Errors
    /// The refusal of an actor without the right; `NotFound` (404201).
    pub async fn attestation_mechanism(&self, actor: &Actor, dps: &DpsRef, id: &str) -> Result<Value> {
        self.authorize(actor, dps, &READ_MECHANISM).await?;
        let row = self.group_row(dps, id).await?.ok_or_else(|| missing(dps, id))?;
        let group = from_row(&row)?;
        let (primary, secondary) = self.open_group_keys(&row.key, &group).await?;
        Ok(json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": *primary, "secondaryKey": *secondary}}))
    }

    /// Writes many enrollment groups at once: not built.
    ///
    /// # Errors
    /// The refusal of an actor without the right; else always `NotImplemented` (501000).
    pub async fn bulk_groups(&self, actor: &Actor, dps: &DpsRef) -> Result<Value> {
        self.authorize(actor, dps, &WRITE_GROUP).await?;
        Err(Error::not_implemented(
            "Bulk changes of enrollment groups are not built; write them one by one with PUT /enrollmentGroups/{id}.",
        )
        .with_iot_code(501_000))
    }

    /// What individual enrollments answer: they are not built.
    ///
    /// # Errors
    /// The refusal of an actor without the right; else always `NotImplemented` (501000).
    pub async fn individual_enrollments(&self, actor: &Actor, dps: &DpsRef) -> Result<Value> {
        self.authorize(actor, dps, &READ_ENROLLMENT).await?;
        Err(Error::not_implemented(
            "Individual enrollments are not built yet; use an enrollment group with symmetricKey attestation.",
        )
        .with_iot_code(501_000))
    }

    pub(super) async fn group_row(&self, dps: &DpsRef, id: &str) -> Result<Option<Arc<Row>>> {
        if id.is_empty() || id.len() > 256 || id.contains('\0') {
            return Ok(None);
        }
        Ok(self.platform.store.get(&ENROLLMENT_GROUPS, &dps.row_key(id)).await?)
    }

    /// The opened keys of a group, base64, primary first.
    pub(super) async fn open_group_keys(
        &self,
        key: &str,
        group: &EnrollmentGroup,
    ) -> Result<(Zeroizing<String>, Zeroizing<String>)> {
        Ok((
            self.open_key(key, PRIMARY, &group.keys.primary).await?,
            self.open_key(key, SECONDARY, &group.keys.secondary).await?,
        ))
    }

    async fn open_key(&self, key: &str, field: &str, sealed: &str) -> Result<Zeroizing<String>> {
        let owner = key.split('/').next().unwrap_or_default();
        let platform = &self.platform;
        let bytes =
            platform.keyring.open(platform.store.as_ref(), owner, ENROLLMENT_GROUPS.name, key, field, sealed).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::internal(format!("{field} key of enrollment group {key} is no text")))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    async fn write_group(
        &self,
        dps: &DpsRef,
        id: &str,
        settings: GroupSettings,
        requested: &RequestedKeys,
        existing: Option<&Row>,
    ) -> Result<(EnrollmentGroup, Change)> {
        let former = existing.map(from_row).transpose()?;
        let key = dps.row_key(id);
        let now = self.platform.now();
        let keys = SymmetricKeys {
            primary: self
                .seal_key(
                    dps,
                    &key,
                    PRIMARY,
                    requested.primary.as_deref(),
                    former.as_ref().map(|g| g.keys.primary.as_str()),
                )
                .await?,
            secondary: self
                .seal_key(
                    dps,
                    &key,
                    SECONDARY,
                    requested.secondary.as_deref(),
                    former.as_ref().map(|g| g.keys.secondary.as_str()),
                )
                .await?,
        };
        let group = EnrollmentGroup {
            id: former.as_ref().map_or_else(|| id.to_owned(), |former| former.id.clone()),
            settings,
            keys,
            created: former.as_ref().map_or(now, |former| former.created),
            updated: now,
            etag: self.new_etag(),
        };
        let mut change = Change::new();
        match existing {
            Some(row) => change.unit.expect_version(&ENROLLMENT_GROUPS, key.clone(), row.version),
            None => {
                self.take_room(dps, &mut change).await?;
                change.unit.expect_absent(&ENROLLMENT_GROUPS, key.clone())
            }
        };
        change.unit.expect_exists(&RESOURCES, dps.stored.key());
        change.unit.put(Put::new(&ENROLLMENT_GROUPS, key, Vec::new(), &group)?);
        Self::next_generation(dps, &mut change)?;
        Ok((group, change))
    }

    /// The sealed key: the requested one, else the former one, else a new one.
    async fn seal_key(
        &self,
        dps: &DpsRef,
        key: &str,
        field: &str,
        requested: Option<&str>,
        former: Option<&str>,
    ) -> Result<String> {
        let generated;
        let plain = match (requested, former) {
            (Some(requested), _) => requested,
            (None, Some(former)) => return Ok(former.to_owned()),
            (None, None) => {
                generated = generate_symmetric_key(self.platform.random.as_ref());
                generated.as_str()
            }
        };
        let platform = &self.platform;
        let owner = dps.stored.key();
        platform
            .keyring
            .seal(platform.store.as_ref(), &owner, ENROLLMENT_GROUPS.name, key, field, plain.as_bytes())
            .await
    }

    /// The credential policy that the settings name, checked to exist in the linked namespace.
    async fn check_policy(&self, dps: &DpsRef, settings: &GroupSettings, body: &Value) -> Result<Option<Uuid>> {
        let Some(name) = &settings.credential_policy_name else { return Ok(None) };
        let namespace = self.policy_namespace(dps, name).await?;
        if let Some(given) = body.get("namespaceName").and_then(Value::as_str)
            && !given.eq_ignore_ascii_case(namespace.name())
        {
            return Err(bad(format!(
                "namespaceName is '{}', but the provisioning service '{}' is linked to the namespace '{}'.",
                shown(given),
                dps.name,
                namespace.name()
            )));
        }
        if let Some(authority) = resources::get(&self.platform, &policy_id(&namespace.id, name)).await? {
            return Ok(Some(authority.uid));
        }
        Err(bad(self.unknown_policy(&namespace, name).await?))
    }

    /// The namespace in which a service's credential policies live.
    ///
    /// # Errors
    /// `Invalid` (400004) with the linking command where there is none.
    pub(super) async fn policy_namespace(&self, dps: &DpsRef, policy: &str) -> Result<Stored> {
        let namespace = match dps.stored.resource.link(registry::NAMESPACE) {
            Some(uid) => resources::by_uid(&self.platform, uid).await?,
            None => None,
        };
        namespace.ok_or_else(|| {
            bad(format!(
                "The credential policy '{policy}' needs a namespace, and the provisioning service '{0}' is linked to none. Link it: az iot dps update --name {0} --resource-group {1} --ns-resource-id '<id of the namespace>' --mi-user-assigned '<id of the identity>' --ns-identity-id '<id of the identity>'",
                dps.name,
                dps.stored.group()
            ))
        })
    }

    /// The sentence for a policy that does not exist: it lists those that do.
    pub(super) async fn unknown_policy(&self, namespace: &Stored, name: &str) -> Result<String> {
        let authorities =
            resources::children(&self.platform, namespace.uid, &namespace.id, Some(tag::CERTIFICATE_AUTHORITY));
        let mut known = Vec::new();
        for authority in authorities.await? {
            if certificate::policy_of(&self.platform, authority.uid).await?.is_some() {
                known.push(format!("'{}'", authority.name()));
            }
        }
        known.sort_unstable();
        known.truncate(20);
        let known = if known.is_empty() {
            format!(
                "it has none; create one: az iot adr ns policy create --namespace {} --resource-group {} --name {name}",
                namespace.name(),
                namespace.group()
            )
        } else {
            format!("it has {}", known.join(", "))
        };
        Ok(format!("The credential policy '{name}' does not exist in the namespace '{}': {known}.", namespace.name()))
    }

    /// A new entity tag in DPS's form: base64 of a quoted GUID.
    pub(super) fn new_etag(&self) -> String {
        STANDARD.encode(format!("\"{}\"", self.platform.random.uuid_v4()))
    }
}

/// The ARM id of a policy of the namespace's one credential.
pub(super) fn policy_id(namespace: &ResourceId, name: &str) -> ResourceId {
    namespace.child("credentials", "default").child("policies", name)
}

/// Parses a stored group.
pub(super) fn from_row(row: &Row) -> Result<Arc<EnrollmentGroup>> {
    Ok(row.parse()?)
}

/// The etag rule of the service API: no `If-Match` means no condition.
pub(super) fn precondition(if_match: Option<&str>, etag: Option<&str>, what: &str) -> Result<()> {
    match if_match {
        Some(value) if !EtagCondition::parse(value).allows_match(etag) => Err(Error::precondition(format!(
            "Precondition failed. {what} has another ETag than If-Match says; read it again and repeat the change."
        ))
        .with_iot_code(412_001)),
        _ => Ok(()),
    }
}

/// Documents say that a PUT without a condition replaces; users of the service are refused (reference: iot-hub-and-dps.md B.2).
fn already_there(dps: &DpsRef, id: &str) -> Error {
    Error::conflict(format!(
        "The provisioning service '{}' has an enrollment group '{}' already; send its etag in If-Match, or '*', to change it.",
        dps.name,
        shown(id)
    ))
    .with_code("EnrollmentGroupAlreadyExists")
    .with_iot_code(409_201)
}

fn check_match(if_match: Option<&str>, row: Option<&Row>, dps: &DpsRef, id: &str) -> Result<()> {
    let group = row.map(from_row).transpose()?;
    let etag = group.as_ref().map(|group| group.etag.as_str());
    precondition(if_match, etag, &format!("The enrollment group '{}' of '{}'", shown(id), dps.name))
}

fn check_hubs(dps: &DpsRef, settings: &GroupSettings) -> Result<()> {
    let linked = super::linked_hub::linked_hubs(dps);
    let named = settings.iot_hubs.iter().flatten().chain(&settings.iot_hub_host_name);
    for host in named {
        if !linked.iter().any(|hub| hub.host.eq_ignore_ascii_case(host)) {
            let known: Vec<&str> = linked.iter().map(|hub| hub.host.as_str()).collect();
            return Err(bad(format!(
                "The hub '{}' is not linked to the provisioning service '{}'; linked are: {}.",
                shown(host),
                dps.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
    }
    let count = settings.iot_hubs.as_ref().map_or(0, Vec::len);
    if settings.allocation_policy == Some(AllocationPolicy::Static)
        && settings.iot_hub_host_name.is_none()
        && count != 1
    {
        return Err(bad(
            "The allocation policy 'static' needs exactly one hub in iotHubs, or iotHubHostName.".to_owned()
        ));
    }
    Ok(())
}

/// The twin with which devices of a group start, under the twin's own rules.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the path and the limit.
pub(super) fn initial_twin(settings: &GroupSettings, now: Timestamp) -> Result<Twin> {
    let InitialTwin { tags, desired } = &settings.initial_twin;
    Twin::initial(Some(&Value::Object(tags.clone())), Some(&Value::Object(desired.clone())), &rfc3339(now))
}

/// Refuses a query that asks for less than all, or in an order: it would be answered wrongly.
pub(super) fn refuse_condition(body: Option<&Value>) -> Result<()> {
    let Some(body) = body else { return Ok(()) };
    let text = body
        .get("query")
        .map_or_else(|| body.to_string(), |query| query.as_str().map_or_else(|| query.to_string(), str::to_owned))
        .to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    // The CLI sends the text of a dictionary, of which only the query is looked at.
    let Some(start) = words.iter().position(|word| word.ends_with("select")) else {
        return match words.contains(&"where") {
            true => Err(not_all()),
            false => Ok(()),
        };
    };
    let plain = |word: &&str| word.trim_end_matches(|c: char| "'\"}])".contains(c)).to_owned();
    let rest: Vec<String> = words[start + 1..].iter().map(plain).filter(|word| !word.is_empty()).collect();
    match rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["*"] | ["*", "from", _] => Ok(()),
        _ => Err(not_all()),
    }
}

fn not_all() -> Error {
    bad("A query with a condition, an order or a choice of members is not built; query all: SELECT * FROM enrollmentGroups"
        .to_owned())
}

fn missing(dps: &DpsRef, id: &str) -> Error {
    Error::not_found(format!("The provisioning service '{}' has no enrollment group '{}'.", dps.name, shown(id)))
        .with_iot_code(404_201)
}

fn bad(message: String) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(400_004)
}

pub(super) fn contended(id: &str) -> Error {
    Error::unavailable(format!("'{}' is being changed by others all the time; try again in a second.", shown(id)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clis_mangled_query_is_tolerated_and_a_condition_is_not() {
        let mangled = json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"});
        for body in [
            None,
            Some(&mangled),
            Some(&json!({"query": "SELECT * FROM enrollmentGroups"})),
            Some(&json!(null)),
            Some(&json!([1])),
        ] {
            assert!(refuse_condition(body).is_ok(), "{body:?}");
        }
        for less in [
            "SELECT * FROM enrollmentGroups WHERE a = 1",
            "select deviceId from enrollmentGroups",
            "SELECT * FROM enrollmentGroups ORDER BY a",
            "SELECT TOP 3 * FROM enrollmentGroups",
        ] {
            let error = refuse_condition(Some(&json!({ "query": less }))).unwrap_err();
            assert_eq!(error.numeric_code(), 400_004, "{less}");
        }
        let mangled = json!({"query": "{'query': 'SELECT * FROM x WHERE a = 1'}"});
        assert!(refuse_condition(Some(&mangled)).is_err());
    }

    #[test]
    fn a_missing_condition_always_holds() {
        assert!(precondition(None, None, "x").is_ok() && precondition(Some("*"), Some("e"), "x").is_ok());
        assert!(precondition(Some("\"e\""), Some("e"), "x").is_ok());
        for (given, etag) in [(Some("*"), None), (Some("f"), Some("e"))] {
            assert_eq!(precondition(given, etag, "x").unwrap_err().numeric_code(), 412_001);
        }
    }
}
