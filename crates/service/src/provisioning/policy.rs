//! The credential policy that an enrollment names, and the namespace in which it lives.

use super::access::shown;
use super::enrollments::bad;
use super::{DpsRef, ProvisioningService};
use crate::certificate;
use crate::registry;
use crate::resources::{self, Stored, tag};
use ferrohub_model::enrollment::PolicyName;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use uuid::Uuid;

impl ProvisioningService {
    /// The credential policy that an enrollment names, checked to exist in the linked namespace: the uid of its authority, and the
    /// authority's name as it is written there.
    pub(super) async fn check_policy(&self, dps: &DpsRef, named: &PolicyName) -> Result<(Uuid, String)> {
        let namespace = self.policy_namespace(dps, &named.authority).await?;
        let is_it = |given: &Option<String>, is: Option<&str>| {
            given.as_deref().is_none_or(|given| is.is_some_and(|is| is.eq_ignore_ascii_case(given)))
        };
        let scope = named.scope.clone().unzip();
        if !is_it(&named.namespace, Some(namespace.name()))
            || !is_it(&scope.0, namespace.id.subscription.as_deref())
            || !is_it(&scope.1, namespace.id.resource_group.as_deref())
        {
            return Err(bad(format!(
                "The enrollment names a policy of the namespace '{}', but the provisioning service '{}' is linked to '{}'.",
                shown(named.namespace.as_deref().unwrap_or_default()),
                dps.name,
                namespace.id
            ))
            .with_target("namespaceName"));
        }
        let Some(authority) = resources::get(&self.platform, &policy_id(&namespace.id, &named.authority)).await? else {
            return Err(bad(self.unknown_policy(&namespace, &named.authority).await?));
        };
        if let Some(policy) = &named.policy {
            let own = certificate::policy_of(&self.platform, authority.uid).await?;
            let own = own.as_ref().map(Stored::name).unwrap_or_default();
            if !own.eq_ignore_ascii_case(policy) {
                return Err(bad(format!(
                    "The certificate authority '{}' of the namespace '{}' has no certificate policy '{}'; it has '{own}'.",
                    named.authority,
                    namespace.name(),
                    shown(policy)
                ))
                .with_target("certificatePolicyName"));
            }
        }
        Ok((authority.uid, named.authority.clone()))
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
}

/// The ARM id of a policy of the namespace's one credential.
pub(super) fn policy_id(namespace: &ResourceId, name: &str) -> ResourceId {
    namespace.child("credentials", "default").child("policies", name)
}
