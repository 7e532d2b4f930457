//! Device Registry: hub device identities mirrored as ADR devices, and the rights that services need for it.
//!
//! A hub device of a linked hub has one ADR device with the same uid, and with it the same row key. Its name is the device
//! id where that is legal and free, else a slug with a hash; `externalDeviceId`, which carries the truth, is the hub's.

mod brought;
mod edge;
pub mod endpoint;
mod hub_side;
mod link;
mod mirror;
mod naming;
mod revoke;

pub use brought::{Batch, bring, release};
pub use edge::{
    AUTHORITY, DEVICES_WRITE, HUB_DEVICES_WRITE, IDENTITY, ISSUE_CERTIFICATE, NAMESPACE, NamespaceEdge, POLICIES_READ,
    REGISTRY_DEVICES_WRITE, check_hub_devices, check_issue, dps_edge, hub_edge, namespace_actor, outbound_principal,
};
pub use hub_side::{Followed, apply_to_hub, hub_device, show_hub_device, without_assigned};
pub(crate) use link::UNLINKING;
pub use link::{hold_link, hold_link_of, mark_unlinking};
pub use mirror::{DEVICE, POLICY, mirror_delete, mirror_new, mirror_presumed, mirror_put, remove_mirrored};
pub use revoke::{Revocation, revoke_device};
