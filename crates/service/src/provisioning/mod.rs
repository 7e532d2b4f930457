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
mod attest_tpm;
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
mod webhook;

pub use access::{NEEDS, rights_enough_for};
pub use attest_tpm::TpmChallenge;
pub(crate) use enrollment::{expect_none_refers, that_refer_to};
pub use ferrohub_model::enrollment::EnrollmentKind;
pub use locate::DpsRef;
pub use page::{PageRequest, Paged};
pub use register::{DeviceCaller, OperationStatus, RegisterRequest};
pub use shape::check_names;
pub use upkeep::purge;
pub use webhook::{WEBHOOK_PATIENCE, WEBHOOK_PAUSE, WEBHOOK_TRIES, WebhookFault, Webhooks};

use crate::authn::Authenticator;
use crate::platform::Platform;
use crate::stripes::Stripes;
use ferrohub_model::limits::WEBHOOKS_AT_ONCE;
use group_keys::GroupCache;
use std::sync::Arc;
use tokio::sync::Semaphore;

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
    webhooks: Option<Arc<dyn Webhooks>>,
    asking: Semaphore,
}

impl ProvisioningService {
    /// A service over `platform` that lets `authenticator` look at bearer tokens, tells devices to wait
    /// [`RETRY_AFTER_SECONDS`] and asks no webhooks.
    pub fn new(platform: Arc<Platform>, authenticator: Arc<Authenticator>) -> Self {
        Self {
            platform,
            authenticator,
            groups: GroupCache::default(),
            retry_after_seconds: RETRY_AFTER_SECONDS,
            registering: Stripes::new(REGISTRATION_LOCKS),
            webhooks: None,
            asking: Semaphore::new(WEBHOOKS_AT_ONCE),
        }
    }

    /// The same, asking webhooks through `webhooks`.
    #[must_use]
    pub fn with_webhooks(self, webhooks: Option<Arc<dyn Webhooks>>) -> Self {
        Self { webhooks, ..self }
    }
}
