//! Which provisioning service is meant.

use super::ProvisioningService;
use super::access::unauthorized;
use super::linked_hub::{LinkedHub, offered_hubs};
use crate::platform::Change;
use crate::registry;
use crate::resources::{self, Stored, tag};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::network::{Peer, Target, closed_to};
use ferrohub_model::resource_id::ResourceId;
use uuid::Uuid;

/// Second label of every provisioning host name.
const HOST_LABEL: &str = "azure-devices-provisioning";

/// A provisioning service as it stood when it was looked up.
#[derive(Debug, Clone)]
pub struct DpsRef {
    /// Its uid.
    pub uid: Uuid,
    /// Its ARM id.
    pub(crate) id: ResourceId,
    /// Its name.
    pub name: String,
    /// The resource.
    pub(crate) stored: Stored,
    /// The hubs that its namespace offers it.
    pub(super) offered: Vec<LinkedHub>,
    /// That namespace.
    namespace: Option<Stored>,
}

impl DpsRef {
    /// Makes `change` hold only as long as the service, and what its namespace offers it, are as they were read.
    pub(super) fn expect_unchanged(&self, change: &mut Change) {
        for read in std::iter::once(&self.stored).chain(&self.namespace) {
            change.unit.expect_version(&RESOURCES, read.key(), read.version);
        }
    }

    /// Refuses a peer whose address the service does not let in. Azure's answer does not mention the rule; ours is in the log
    /// with it.
    pub(super) fn let_in(&self, peer: Peer, target: Target) -> Result<()> {
        let Some(closed) = closed_to(&self.stored.resource.properties, peer, target) else { return Ok(()) };
        let text = format!("The provisioning service '{}' cannot be reached from this address.", self.name);
        Err(unauthorized(text).with_context(format!("{peer:?}: {closed:?}")))
    }

    /// Key of a row that belongs to this service and is named by a person, ignoring case.
    pub(super) fn row_key(&self, name: &str) -> String {
        format!("{}/{}", self.stored.key(), name.to_ascii_lowercase())
    }
}

impl ProvisioningService {
    /// The service whose service API has this host name, for a request of `peer`; a port is ignored.
    ///
    /// # Errors
    /// `NotFound` (404201) naming the host; 401002 where the service does not let the peer in.
    pub async fn dps_by_host(&self, host: &str, peer: Peer) -> Result<DpsRef> {
        let name = host.split(':').next().unwrap_or_default();
        let mut labels = name.split('.');
        let first = labels.next().unwrap_or_default().to_lowercase();
        if labels.next().is_some_and(|label| label.eq_ignore_ascii_case(HOST_LABEL))
            && let Some(dps) = self.find("unique_name", &format!("provisioningservices/{first}")).await?
        {
            dps.let_in(peer, Target::ServiceApi)?;
            return Ok(dps);
        }
        let shown: String = name.chars().take(255).collect();
        Err(Error::not_found(format!("There is no provisioning service with the host name '{shown}'."))
            .with_iot_code(404_201))
    }

    /// The service with this id scope, ignoring case.
    ///
    /// # Errors
    /// `NotFound` (404201) naming the id scope.
    pub async fn dps_by_scope(&self, id_scope: &str) -> Result<DpsRef> {
        if let Some(dps) = self.find("lookup", &format!("scope/{}", id_scope.to_ascii_uppercase())).await? {
            return Ok(dps);
        }
        let shown: String = id_scope.chars().take(64).collect();
        Err(Error::not_found(format!(
            "The id scope '{shown}' is unknown. The provisioning service shows its own: az iot dps show --name '<name>' --query properties.idScope"
        ))
        .with_iot_code(404_201))
    }

    async fn find(&self, column: &'static str, value: &str) -> Result<Option<DpsRef>> {
        let found = resources::by_lookup(&self.platform, column, value).await?;
        let Some(found) = found.filter(|found| found.is(tag::PROVISIONING_SERVICE)) else { return Ok(None) };
        let namespace = match found.resource.link(registry::NAMESPACE) {
            Some(namespace) => resources::by_uid(&self.platform, namespace).await?,
            None => None,
        };
        let offered = match &namespace {
            Some(namespace) => offered_hubs(&self.platform, namespace).await?,
            None => Vec::new(),
        };
        let (uid, id, name) = (found.uid, found.id.clone(), found.name().to_owned());
        Ok(Some(DpsRef { uid, id, name, stored: found, offered, namespace }))
    }
}
