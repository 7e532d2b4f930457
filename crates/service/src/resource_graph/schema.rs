//! The tables that queries see and their columns.

use ferrohub_wire::kql::{ColumnInfo, Schema, TableInfo, Type};

const fn column(name: &'static str, kind: Type) -> ColumnInfo {
    ColumnInfo { name, kind }
}

/// Columns of every table of resources (reference: resource-manager.md section 13).
pub(super) const COLUMNS: &[ColumnInfo] = &[
    column("id", Type::String),
    column("name", Type::String),
    column("type", Type::String),
    column("tenantId", Type::String),
    column("kind", Type::String),
    column("location", Type::String),
    column("resourceGroup", Type::String),
    column("subscriptionId", Type::String),
    column("managedBy", Type::String),
    column("sku", Type::Dynamic),
    column("plan", Type::Dynamic),
    column("properties", Type::Dynamic),
    column("tags", Type::Dynamic),
    column("identity", Type::Dynamic),
    column("zones", Type::Dynamic),
    column("extendedLocation", Type::Dynamic),
    column("systemData", Type::Dynamic),
];

/// Numbers of columns in [`COLUMNS`].
pub(super) const ID: usize = 0;
pub(super) const NAME: usize = 1;
pub(super) const TYPE: usize = 2;
pub(super) const TENANT: usize = 3;
pub(super) const LOCATION: usize = 5;
pub(super) const GROUP: usize = 6;
pub(super) const SUBSCRIPTION: usize = 7;
pub(super) const PROPERTIES: usize = 11;
pub(super) const TAGS: usize = 12;
pub(super) const SYSTEM_DATA: usize = 16;

/// Columns of the devices of hubs: ours, since Azure's graph does not have them.
pub(super) const HUB_DEVICE_COLUMNS: &[ColumnInfo] = &[
    column("id", Type::String),
    column("name", Type::String),
    column("type", Type::String),
    column("tenantId", Type::String),
    column("hub", Type::String),
    column("location", Type::String),
    column("resourceGroup", Type::String),
    column("subscriptionId", Type::String),
    column("hubId", Type::String),
    column("status", Type::String),
    column("authenticationType", Type::String),
    column("properties", Type::Dynamic),
    column("tags", Type::Dynamic),
];

/// Numbers of columns in [`HUB_DEVICE_COLUMNS`], beside those that it shares with [`COLUMNS`].
pub(super) const HUB: usize = 4;
pub(super) const HUB_ID: usize = 8;
pub(super) const STATUS: usize = 9;
pub(super) const AUTHENTICATION: usize = 10;

/// Numbers of tables in [`SCHEMA`].
pub(super) const RESOURCES: usize = 0;
pub(super) const CONTAINERS: usize = 1;
pub(super) const AUTHORIZATION: usize = 2;
pub(super) const HUB_DEVICES: usize = 3;

/// The tables.
pub(super) static SCHEMA: Schema = Schema {
    tables: &[
        TableInfo { name: "resources", columns: COLUMNS },
        TableInfo { name: "resourcecontainers", columns: COLUMNS },
        TableInfo { name: "authorizationresources", columns: COLUMNS },
        TableInfo { name: "iothubdevices", columns: HUB_DEVICE_COLUMNS },
    ],
};

/// Full type of devices of a namespace, as the graph writes types.
pub(super) const DEVICE_TYPE: &str = "microsoft.deviceregistry/namespaces/devices";
/// Full type of devices of a hub, as the graph writes types.
pub(super) const HUB_DEVICE_TYPE: &str = "microsoft.devices/iothubs/devices";
