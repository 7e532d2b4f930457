//! The api-versions that this command line sends.

/// Resource groups, resources, providers.
pub(crate) const RESOURCES: &str = "2024-11-01";
/// Subscriptions and locations.
pub(crate) const SUBSCRIPTIONS: &str = "2022-12-01";
/// Role definitions.
pub(crate) const ROLE_DEFINITIONS: &str = "2022-05-01-preview";
/// Role assignments.
pub(crate) const ROLE_ASSIGNMENTS: &str = "2022-04-01";
/// User-assigned identities.
pub(crate) const IDENTITIES: &str = "2025-05-31-preview";
/// Device registry: the generation with credentials and policies.
pub(crate) const REGISTRY: &str = "2026-03-01-preview";
/// Device registry: the generation with certificate authorities.
pub(crate) const AUTHORITIES: &str = "2026-11-02-preview";
/// Schema registries, schemas and their versions: the first that takes an outbound identity, JSON-LD and names of 64
/// characters, and all that the ones before it take.
pub(crate) const SCHEMAS: &str = AUTHORITIES;
/// IoT hubs: the first with the namespace link.
pub(crate) const HUB: &str = "2025-08-01-preview";
/// Device Provisioning Services: the first with the namespace link.
pub(crate) const DPS: &str = "2025-02-01-preview";
/// A hub's data plane.
pub(crate) const HUB_DATA: &str = "2021-04-12";
/// A provisioning service's data plane: the first with credential policies.
pub(crate) const DPS_DATA: &str = "2025-07-01-preview";
/// `/metadata/endpoints`.
pub(crate) const METADATA: &str = "2022-09-01";
/// Management locks.
pub(crate) const LOCKS: &str = "2016-09-01";
/// The activity log.
pub(crate) const ACTIVITY: &str = "2015-04-01";
/// Resource Graph.
pub(crate) const RESOURCE_GRAPH: &str = "2021-03-01";
