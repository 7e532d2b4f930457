//! Device Registry: hub device identities mirrored as ADR devices, and the rights that services need for it.
//!
//! A hub device of a linked hub has one ADR device with the same uid. Its name is the device id where that is
//! legal and free, else a slug with a hash; `externalDeviceId` carries the truth. The row's `lookup` is
//! `{namespace uid}/{hub uid}/{device id}`, its `link` the hub's id, by which the devices of a hub are found.

mod edge;
mod enabled;
mod mirror;
mod naming;

pub use edge::{DEVICES_WRITE, ISSUE_CERTIFICATE, NamespaceEdge, POLICIES_READ, check_issue, dps_edge, hub_edge};
pub use enabled::{apply_enabled, hub_device_exists};
pub(crate) use mirror::mirror_move;
pub use mirror::{lookup_key, mirror_delete, mirror_put, mirrored};
