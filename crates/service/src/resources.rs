//! Reading stored ARM resources, for every service that needs one.

use crate::authz::{AccessSnapshot, Assignment, RoleDefinition};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use ferrohub_store::{Page, Put, Row, Store};

/// Lower-cased type names, as the `kind` column holds them.
pub mod kind {
    /// Resource groups.
    pub const RESOURCE_GROUP: &str = "microsoft.resources/resourcegroups";
    /// Role definitions.
    pub const ROLE_DEFINITION: &str = "microsoft.authorization/roledefinitions";
    /// Role assignments.
    pub const ROLE_ASSIGNMENT: &str = "microsoft.authorization/roleassignments";
    /// User-assigned identities.
    pub const USER_ASSIGNED_IDENTITY: &str = "microsoft.managedidentity/userassignedidentities";
    /// Device Registry namespaces.
    pub const NAMESPACE: &str = "microsoft.deviceregistry/namespaces";
    /// Credentials (the root CA of a namespace).
    pub const CREDENTIAL: &str = "microsoft.deviceregistry/namespaces/credentials";
    /// Policies (issuing CAs with their leaf settings).
    pub const POLICY: &str = "microsoft.deviceregistry/namespaces/credentials/policies";
    /// ADR devices.
    pub const DEVICE: &str = "microsoft.deviceregistry/namespaces/devices";
    /// IoT hubs.
    pub const IOT_HUB: &str = "microsoft.devices/iothubs";
    /// CA certificates of a hub.
    pub const HUB_CERTIFICATE: &str = "microsoft.devices/iothubs/certificates";
    /// Provisioning services.
    pub const PROVISIONING_SERVICE: &str = "microsoft.devices/provisioningservices";
}

/// A stored resource with the row version that a writer must expect.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The resource.
    pub resource: Resource,
    /// Version of its row.
    pub version: u64,
}

impl Stored {
    /// The parsed id.
    ///
    /// # Errors
    /// Internal, when the stored id does not parse.
    pub fn id(&self) -> Result<ResourceId> {
        ResourceId::parse(&self.resource.id).map_err(|e| Error::internal(format!("stored id: {e}")))
    }
}

/// Parses a row of [`RESOURCES`].
///
/// # Errors
/// Internal, when the document does not parse.
pub fn from_row(row: &Row) -> Result<Stored> {
    let resource = row.parse::<Resource>()?;
    Ok(Stored { resource: (*resource).clone(), version: row.version })
}

/// A resource by id.
///
/// # Errors
/// When the store cannot be read.
pub async fn get(store: &dyn Store, id: &ResourceId) -> Result<Option<Stored>> {
    store.get(&RESOURCES, &id.key()).await?.as_deref().map(from_row).transpose()
}

/// A resource by id that must exist.
///
/// # Errors
/// `ResourceNotFound` with Azure's text.
pub async fn require(store: &dyn Store, id: &ResourceId) -> Result<Stored> {
    get(store, id).await?.ok_or_else(|| missing(id))
}

/// Azure's text for a resource that does not exist.
pub fn missing(id: &ResourceId) -> Error {
    match (&id.resource_group, id.providers.is_empty()) {
        (Some(group), true) => {
            Error::not_found(format!("Resource group '{group}' could not be found.")).with_code("ResourceGroupNotFound")
        }
        (group, _) => Error::not_found(format!(
            "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            id.resource_type(),
            id.name(),
            group.as_deref().unwrap_or("<null>")
        )),
    }
}

/// All rows whose `column` has `value`, page by page.
///
/// # Errors
/// When the store cannot be read.
pub async fn all_where(store: &dyn Store, column: &'static str, value: &str) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let rows = store.find(&RESOURCES, column, value, Page { after: after.take(), limit: 500 }).await?;
        let full = rows.len() == 500;
        after = rows.last().map(|row| row.key.clone());
        for row in rows {
            found.push(from_row(&row)?);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Reads the roles.
///
/// # Errors
/// When the store cannot be read.
pub async fn load_access(store: &dyn Store) -> Result<AccessSnapshot> {
    let mut definitions = Vec::new();
    for stored in all_where(store, "kind", kind::ROLE_DEFINITION).await? {
        definitions.push(role_definition(&stored.resource)?);
    }
    let mut assignments = Vec::new();
    for stored in all_where(store, "kind", kind::ROLE_ASSIGNMENT).await? {
        assignments.extend(role_assignment(&stored.resource));
    }
    Ok(AccessSnapshot::new(definitions, assignments))
}

fn role_definition(resource: &Resource) -> Result<RoleDefinition> {
    let permissions: Vec<Permission> = match resource.properties.get("permissions") {
        Some(value) => {
            serde_json::from_value(value.clone()).map_err(|e| Error::internal(format!("role {}: {e}", resource.id)))?
        }
        None => Vec::new(),
    };
    Ok(RoleDefinition {
        guid: resource.name.to_ascii_lowercase(),
        name: resource.text(&["roleName"]).unwrap_or_default().into(),
        permissions,
        assignable: resource
            .properties
            .get("assignableScopes")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|scope| Some(ResourceId::parse(scope.as_str()?).ok()?.key()))
            .collect(),
    })
}

fn role_assignment(resource: &Resource) -> Option<Assignment> {
    let role = resource.text(&["roleDefinitionId"])?.rsplit('/').next()?.to_ascii_lowercase();
    Some(Assignment {
        scope: resource.text(&["scope"])?.to_lowercase(),
        principal: resource.text(&["principalId"])?.to_ascii_lowercase(),
        role,
    })
}

/// Columns of a resource row that do not follow from the resource itself.
#[derive(Debug, Clone, Default)]
pub struct RowExtra {
    /// Name that must be unique beyond its scope, such as `iothubs/hub1`.
    pub unique_name: Option<String>,
    /// Lower-cased id of what this resource is linked to.
    pub link: Option<String>,
    /// What the data planes search by.
    pub lookup: Option<String>,
}

impl RowExtra {
    /// The extra columns as a row holds them, to carry them over to the next version.
    pub fn of(row: &Row) -> Self {
        let column = |index: usize| row.columns.get(index).cloned().flatten();
        Self { unique_name: column(4), link: column(5), lookup: column(6) }
    }
}

/// The row that stores `resource`.
///
/// # Errors
/// Internal, when the id does not parse or the document does not serialize.
pub fn put(resource: &Resource, extra: RowExtra) -> Result<Put> {
    let id = ResourceId::parse(&resource.id).map_err(|e| Error::internal(format!("resource id: {e}")))?;
    let group =
        id.subscription.as_deref().zip(id.resource_group.as_deref()).map(|(s, g)| ResourceId::group(s, g).key());
    let columns = vec![
        id.subscription.as_deref().map(str::to_lowercase),
        group,
        Some(resource.kind.to_lowercase()),
        id.parent().map(|parent| parent.key()),
        extra.unique_name,
        extra.link,
        extra.lookup,
    ];
    Ok(Put::new(&RESOURCES, id.key(), columns, resource)?)
}
