//! Giving a device its hub: identity, twin, ADR device and certificate, as one unit of work.

use super::allocate::{Decided, allocate};
use super::attest::Attested;
use super::enrollment_parts::initial_twin;
use super::policy::policy_id;
use super::register::Applicant;
use super::{DpsRef, ProvisioningService};
use crate::certificate::{self, IssueRequest, issue_leaf};
use crate::hub::HubRef;
use crate::hub::identity::{self, Credentials, DeviceRef, DeviceSpec, StoredDevice};
use crate::hub::twins;
use crate::platform::Change;
use crate::registry::{self, NamespaceEdge};
use crate::resources::{self, Stored};
use crate::tables::RESOURCES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device::{DeviceIdentity, DeviceStatus};
use ferrohub_model::enrollment::EnrollmentSettings;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::registration::{Assignment, Substatus};
use ferrohub_model::time::rfc3339;
use ferrohub_pki::csr::CertificateRequest;
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// What a registration comes to; `change` lacks only the registration's own row.
pub(super) struct Assigned {
    pub(super) assignment: Assignment,
    pub(super) issued: Option<IssuedChain>,
    pub(super) change: Change,
}

/// A device's new certificate, base64 DER, and the ids of the authorities above it.
pub(super) struct IssuedChain {
    pub(super) leaf: String,
    pub(super) authorities: [Uuid; 2],
}

/// A policy from which the device's certificate comes.
struct Issuing<'a> {
    csr: &'a CertificateRequest,
    namespace: &'a Stored,
    authority: Stored,
    policy: Stored,
}

/// Where the device stands before and after.
struct Place {
    hub: HubRef,
    /// The hub that it leaves, where it had another one.
    former: Option<Former>,
    /// Its identity at `hub`.
    present: Option<StoredDevice>,
    /// Whether nobody was asked: it is taken for new.
    presumed: bool,
}

impl Place {
    /// Whether the device is nowhere yet.
    fn is_new(&self) -> bool {
        self.present.is_none() && self.former.as_ref().is_none_or(|former| former.0.is_none())
    }
}

/// What a device leaves behind at another hub, if it is still there.
struct Former(Option<StoredDevice>);

impl ProvisioningService {
    /// Decides everything about a registration and builds the unit of work; nothing but a serial number is written.
    ///
    /// # Errors
    /// The device's failure (400208, 400209, 403000 and others) or a fault of ours.
    pub(super) async fn assign(
        &self,
        dps: &DpsRef,
        attested: &Attested,
        applicant: &Applicant<'_>,
        had: Option<&Assignment>,
    ) -> Result<Assigned> {
        let settings = attested.settings();
        // An enrollment that names another device than before is for another device.
        let named = attested.device_id();
        let had = had.filter(|had| named.is_none_or(|named| had.device_id == named));
        let latencies = self.latencies(dps, settings).await?;
        let decided = Decided { answer: applicant.answer, latencies: &latencies };
        let host = allocate(dps, settings, applicant.id, had.map(|had| had.hub_host.as_str()), &decided)?;
        let answer = applicant.answer.and_then(|answer| answer.as_ref().ok());
        let settings = &match answer.and_then(|answer| answer.initial_twin.clone()) {
            Some(initial_twin) => Cow::Owned(EnrollmentSettings { initial_twin, ..settings.clone() }),
            None => Cow::Borrowed(settings),
        };
        let hub = self.open_hub(dps, &host).await?;
        let mut change = Change::new();
        // The version, not only the existence: a hub made anew under the same name is another hub.
        registry::hold_link(&hub.stored, &mut change)?;
        let edge = self.edge(dps, &hub).await?;
        let issuing = match (&settings.credential_policy_name, applicant.csr) {
            (Some(name), Some(csr)) => Some(self.issuing(dps, &hub, edge.as_ref(), name, csr, &mut change).await?),
            _ => None,
        };
        let device_id = had.map_or(named.unwrap_or(applicant.id), |had| had.device_id.as_str());
        let place = match applicant.presumed_new {
            true => Place { hub, former: None, present: None, presumed: true },
            false => self.place(hub, device_id, had).await?,
        };
        self.refuse_other_namespace(&place, had).await?;
        let mut device = self.identity(&place, device_id, attested, issuing.as_ref()).await?;
        self.mirror(edge.as_ref(), &place, &device, issuing.as_ref(), &mut change).await?;
        let substatus = self.write_rows(&place, settings, had, &mut device, &mut change).await?;
        let issued = match &issuing {
            Some(issuing) => Some(self.issue(issuing, applicant.id, &device, &mut change).await?),
            None => None,
        };
        let assignment = Assignment {
            hub_host: place.hub.host.clone(),
            hub: place.hub.uid,
            device_id: device.device_id,
            device: device.uid,
            substatus,
            payload: match answer {
                Some(answer) => answer.payload.clone(),
                None => had.and_then(|had| had.payload.clone()),
            },
        };
        Ok(Assigned { assignment, issued, change })
    }

    /// As whom the device is mirrored: the provisioning service in its own namespace, else the hub in the hub's. `None`
    /// for a hub without a namespace.
    async fn edge(&self, dps: &DpsRef, hub: &HubRef) -> Result<Option<NamespaceEdge>> {
        let Some(namespace) = namespace_of(hub) else { return Ok(None) };
        if dps.stored.resource.link(registry::NAMESPACE) == Some(namespace) {
            return registry::dps_edge(&self.platform, &dps.stored).await;
        }
        registry::hub_edge(&self.platform, &hub.stored).await
    }

    /// Checks that a certificate of `policy` may be issued for a device of `hub`, whose edge is the service's own where both
    /// are linked to one namespace.
    async fn issuing<'a>(
        &self,
        dps: &DpsRef,
        hub: &HubRef,
        edge: Option<&'a NamespaceEdge>,
        policy: &str,
        csr: &'a CertificateRequest,
        change: &mut Change,
    ) -> Result<Issuing<'a>> {
        let linked = dps.stored.resource.link(registry::NAMESPACE);
        if linked.is_none() || namespace_of(hub) != linked {
            let own = self.policy_namespace(dps, policy).await?;
            return Err(Error::invalid(format!(
                "The hub '{}' is not linked to the namespace '{}', so it would never trust a certificate of the policy '{policy}'. Let the enrollment choose a hub of that namespace (iotHubs), or leave the credential policy out.",
                hub.host,
                own.name()
            ))
            .with_iot_code(400_209));
        }
        let edge = edge.ok_or_else(|| Error::internal("a hub with a namespace has no edge to it"))?;
        let policy_id = policy_id(&edge.id, policy);
        registry::check_issue(&self.platform, edge, &policy_id)?;
        let Some(authority) = resources::get(&self.platform, &policy_id).await? else {
            return Err(Error::not_found(self.unknown_policy(&edge.namespace, policy).await?).with_iot_code(404_000));
        };
        let leaf = certificate::policy_of(&self.platform, authority.uid).await?;
        let leaf = leaf.ok_or_else(|| Error::internal(format!("'{policy_id}' lost its certificate policy")))?;
        change.unit.expect_exists(&RESOURCES, leaf.key());
        Ok(Issuing { csr, namespace: &edge.namespace, authority, policy: leaf })
    }

    async fn place(&self, hub: HubRef, device_id: &str, had: Option<&Assignment>) -> Result<Place> {
        let store = self.platform.store.as_ref();
        let present = identity::load(store, hub.uid, device_id).await?;
        let former = match had.filter(|had| had.hub != hub.uid) {
            Some(had) => Some(Former(identity::load(store, had.hub, device_id).await?)),
            None => None,
        };
        Ok(Place { hub, former, present, presumed: false })
    }

    /// A device belongs to one namespace for good (reference/certificates.md section 5): it moves between hubs of the same one.
    async fn refuse_other_namespace(&self, place: &Place, had: Option<&Assignment>) -> Result<()> {
        let leaves = place.former.as_ref().and_then(|former| former.0.as_ref());
        let (Some(StoredDevice { device, .. }), Some(had)) = (leaves, had) else { return Ok(()) };
        let Some(former) = resources::by_uid(&self.platform, had.hub).await? else { return Ok(()) };
        let former = HubRef::of(former);
        let same = match (namespace_of(&former), namespace_of(&place.hub)) {
            (Some(left), Some(right)) => left == right,
            (left, _) => left.is_none(),
        };
        if same {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "The device '{}' belongs to the namespace of the hub '{}', and the hub '{}' is not linked to it. Delete the device at its former hub first: az iot hub device-identity delete --hub-name {} --device-id '{0}'",
            device.device_id, former.host, place.hub.host, former.name
        ))
        .with_iot_code(409_000))
    }

    /// The identity as it will stand: the present one, the one that moves here, or a new one.
    async fn identity(
        &self,
        place: &Place,
        device_id: &str,
        attested: &Attested,
        issuing: Option<&Issuing<'_>>,
    ) -> Result<DeviceIdentity> {
        let credentials = match issuing {
            Some(_) => Credentials::CertificateAuthority,
            None => attested.hub_credentials(),
        };
        // A chain of the device's own carries no credential id of ours.
        let foreign = issuing.is_none() && matches!(credentials, Credentials::CertificateAuthority);
        let moving = place.former.as_ref().and_then(|former| former.0.as_ref());
        let mut device = match (&place.present, moving) {
            (Some(present), _) => {
                let mut device = (*present.device).clone();
                identity::set_credentials(&self.platform, &mut device, credentials).await?;
                device
            }
            (None, moving) => {
                let mut spec = DeviceSpec::new(device_id, credentials);
                spec.iot_edge = attested.settings().iot_edge;
                if let Some(StoredDevice { device: was, .. }) = moving {
                    spec.status = was.status;
                    spec.status_reason.clone_from(&was.status_reason);
                    spec.credential_id = was.credential_id;
                    spec.uid = Some(was.uid);
                }
                identity::draft(&self.platform, &place.hub, spec).await?
            }
        };
        device.own_chain = foreign;
        if foreign {
            (device.credential_id, device.policy) = (None, None);
        }
        if let Some(issuing) = issuing {
            // Whoever disables a device keeps it from new certificates too (reference: device-registry-api.md section 4, Revoke).
            if device.status == DeviceStatus::Disabled {
                return Err(Error::forbidden(format!(
                    "The device '{device_id}' is disabled at the hub '{}' and gets no certificate; enable it first: {}",
                    place.hub.name,
                    identity::enabling(&place.hub.name, device_id)
                ))
                .with_iot_code(403_012));
            }
            device.credential_id = Some(device.credential_id.unwrap_or_else(|| self.platform.random.uuid_v4()));
            device.policy = Some(issuing.policy.uid);
            // It gets one of its policy at once.
            device.former_policies.clear();
        }
        Ok(device)
    }

    async fn mirror(
        &self,
        edge: Option<&NamespaceEdge>,
        place: &Place,
        device: &DeviceIdentity,
        issuing: Option<&Issuing<'_>>,
        change: &mut Change,
    ) -> Result<()> {
        let Some(edge) = edge else { return Ok(()) };
        let policy = issuing.map(|issuing| issuing.policy.uid);
        let (platform, actor, namespace) = (self.platform.as_ref(), &edge.actor, &edge.namespace);
        // A device that moves between hubs keeps its uid, and with it its ADR device.
        if place.presumed {
            registry::mirror_presumed(platform, actor, namespace, device, policy, change)?;
        } else if place.is_new() {
            registry::mirror_new(platform, actor, namespace, device, policy, change).await?;
        } else {
            registry::mirror_put(platform, actor, namespace, device, policy, change).await?;
        }
        Ok(())
    }

    /// Adds identity and twin, and takes away what the device leaves behind.
    async fn write_rows(
        &self,
        place: &Place,
        settings: &EnrollmentSettings,
        had: Option<&Assignment>,
        device: &mut DeviceIdentity,
        change: &mut Change,
    ) -> Result<Substatus> {
        let store = self.platform.store.as_ref();
        let now = self.platform.now();
        let resets =
            !settings.reprovision_policy.migrate_device_data && settings.reprovision_policy.update_hub_assignment;
        let fresh = Arc::new(initial_twin(settings, now)?);
        if let Some(present) = &place.present {
            identity::add_update(&self.platform, present, device, change)?;
            self.leave(place, change).await?;
            // The hub's own: made by hand, or left by a registration that was deleted. It is taken over (ADR 0029).
            let Some(had) = had else { return Ok(Substatus::ReprovisionedToInitialAssignment) };
            if !resets {
                let stays = !settings.reprovision_policy.migrate_device_data;
                return Ok(if stays { had.substatus } else { Substatus::DeviceDataMigrated });
            }
            if let Some(was) = twins::load(store, device.uid).await? {
                let mut twin = (*was.twin).clone();
                let body = json!({"tags": settings.initial_twin.tags, "properties": {"desired": settings.initial_twin.desired}});
                let desired = twin.replace(&body, &rfc3339(now))?;
                twins::add_change(DeviceRef::of(device), &was, &twin, desired.as_ref(), change)?;
            }
            return Ok(Substatus::DeviceDataReset);
        }
        // The rows of the former place go before those of the new one come under the same key.
        self.leave(place, change).await?;
        let moved = match place.former.as_ref().filter(|former| former.0.is_some()) {
            Some(_) => twins::load(store, device.uid).await?,
            None => None,
        };
        let (twin, substatus) = match moved {
            Some(was) if !resets => (was.twin, Substatus::DeviceDataMigrated),
            Some(_) => (fresh, Substatus::DeviceDataReset),
            None => (fresh, Substatus::InitialAssignment),
        };
        identity::add_create(&self.platform, device, &twin, change)?;
        Ok(substatus)
    }

    /// The device goes from its former hub, with the modules that it has there.
    async fn leave(&self, place: &Place, change: &mut Change) -> Result<()> {
        match place.former.as_ref().and_then(|former| former.0.as_ref()) {
            Some(was) => identity::add_delete(&self.platform, was, change).await,
            None => Ok(()),
        }
    }

    async fn issue(
        &self,
        issuing: &Issuing<'_>,
        registration_id: &str,
        device: &DeviceIdentity,
        change: &mut Change,
    ) -> Result<IssuedChain> {
        let credential_id = device
            .credential_id
            .ok_or_else(|| Error::internal("a device without a credential id gets a certificate"))?;
        let issued = issue_leaf(
            &self.platform,
            IssueRequest {
                namespace: issuing.namespace,
                authority: &issuing.authority,
                policy: &issuing.policy,
                csr: issuing.csr,
                registration_id,
                device_id: &device.device_id,
                device_uid: device.uid,
                credential_id,
            },
        )
        .await?;
        change.unit.append(issued.unit);
        Ok(IssuedChain { leaf: STANDARD.encode(&issued.leaf_der), authorities: issued.authorities })
    }
}

fn namespace_of(hub: &HubRef) -> Option<Uuid> {
    hub.stored.resource.link(registry::NAMESPACE)
}
