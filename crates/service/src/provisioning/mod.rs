//! The Device Provisioning Service: enrollments for its operators, registration for devices.
//!
//! A registration is decided and written in one unit of work while the register request waits; the first
//! answer is `assigning` all the same, because clients insist on a poll, and the poll reads the row.

pub(crate) mod access;
mod allocate;
mod assign;
mod attest;
mod attest_chain;
mod attest_key;
mod bulk;
mod enrollment;
mod enrollment_parts;
mod enrollments;
mod group_keys;
pub(crate) mod linked_hub;
mod locate;
mod page;
mod policy;
mod query;
mod register;
mod registrations;
mod shape;
mod upkeep;

pub use access::{NEEDS, rights_enough_for};
pub use ferrohub_model::enrollment::EnrollmentKind;
pub use locate::DpsRef;
pub use page::{PageRequest, Paged};
pub use register::{DeviceCaller, OperationStatus, RegisterRequest};
pub use shape::check_names;
pub use upkeep::purge;

use crate::authn::Authenticator;
use crate::platform::Platform;
use crate::stripes::Stripes;
use group_keys::GroupCache;
use std::sync::Arc;

/// Seconds that a device is told to wait before it polls: ours (Azure's samples say 3). The result is there
/// before the answer is, so waiting longer would only delay the device.
pub const RETRY_AFTER_SECONDS: u32 = 1;
/// Locks over which registrations are spread, so that equal ids do not race each other in one process: ours.
const REGISTRATION_LOCKS: usize = 1024;

/// The provisioning service.
pub struct ProvisioningService {
    platform: Arc<Platform>,
    authenticator: Arc<Authenticator>,
    groups: GroupCache,
    retry_after_seconds: u32,
    registering: Stripes,
}

impl ProvisioningService {
    /// A service over `platform` that lets `authenticator` look at bearer tokens and tells devices to wait
    /// [`RETRY_AFTER_SECONDS`].
    pub fn new(platform: Arc<Platform>, authenticator: Arc<Authenticator>) -> Self {
        Self::with_retry_after(platform, authenticator, RETRY_AFTER_SECONDS)
    }

    /// A service that tells devices to wait so many seconds, 1 to 3.
    pub fn with_retry_after(platform: Arc<Platform>, authenticator: Arc<Authenticator>, seconds: u32) -> Self {
        Self {
            platform,
            authenticator,
            groups: GroupCache::default(),
            retry_after_seconds: seconds.clamp(1, 3),
            registering: Stripes::new(REGISTRATION_LOCKS),
        }
    }
}
