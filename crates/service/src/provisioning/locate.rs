//! Which provisioning service is meant.

use super::ProvisioningService;
use super::access::unauthorized;
use super::linked_hub::{LinkedHub, offered_hubs};
use crate::resources::{self, Stored, tag};
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
}

impl DpsRef {
    fn of(stored: Stored, offered: Vec<LinkedHub>) -> Self {
        Self { uid: stored.uid, id: stored.id.clone(), name: stored.name().to_owned(), stored, offered }
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
        let legal = !id_scope.is_empty() && id_scope.len() <= 64 && id_scope.bytes().all(|b| b.is_ascii_alphanumeric());
        if legal && let Some(dps) = self.find("lookup", &format!("scope/{}", id_scope.to_ascii_uppercase())).await? {
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
        let offered = offered_hubs(&self.platform, &found).await?;
        Ok(Some(DpsRef::of(found, offered)))
    }
}
