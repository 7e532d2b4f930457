//! The api-versions of Microsoft.DeviceRegistry.

/// Microsoft.DeviceRegistry's api-versions (reference: device-registry-api.md section 1).
pub(super) const REGISTRY_FAMILY: &[&str] = &[
    "2024-11-01",
    "2025-07-01-preview",
    "2025-10-01",
    "2025-11-01-preview",
    "2026-03-01-preview",
    "2026-04-01",
    "2026-11-01-preview",
    "2026-11-01",
    "2026-11-02-preview",
];

/// The first of those with certificate authorities, registry devices and links that are written on the namespace, which finds the address of a
/// messaging endpoint itself (reference: device-registry-api.md section 6). 2026-11-01, with which azure-iot 1.0 asks (reference: cli.md, G4),
/// and 2026-11-02-preview have the same shape.
pub(super) const NEWEST: &str = "2026-11-01-preview";
