//! What a hub's properties are (reference: iot-hub-and-dps.md G.1, device-registry-api.md section 8).

use super::{consumer_groups, keys};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only, unbuilt};
use ferrohub_model::limits::IP_RULES;
use serde_json::{Value, json};

/// SKUs and their tiers; GEN2 lived in 2025-08-01-preview (reference: device-registry-api.md section 8).
pub(super) const SKUS: &[(&str, &str)] = &[
    ("F1", "Free"),
    ("B1", "Basic"),
    ("B2", "Basic"),
    ("B3", "Basic"),
    ("S1", "Standard"),
    ("S2", "Standard"),
    ("S3", "Standard"),
    ("GEN2", "Generation2"),
];

/// Longest text of a comment: ours.
const COMMENTS_CHARS: usize = 4096;

const NO_UPLOAD: &str =
    "Ferrohub has no file upload, so it asks for no storage account and would keep its key for nothing.";
const NO_UPLOAD_NOTICE: &str = "Ferrohub has no file upload, and so no notifications of it.";
const NO_COMMANDS: &str = "Ferrohub has no cloud-to-device messages.";
const NO_ROUTES: &str = "Ferrohub keeps messages in the hub's own event log and routes them nowhere else.";
const NO_OUTBOUND: &str = "A hub of Ferrohub opens no connections of its own that could be restricted.";
const NO_KEY_VAULT: &str = "Ferrohub seals keys under the master key of its data folder and asks no key vault.";
const OTHER_RULES: &str = "Ferrohub lets addresses in by 'ipFilterRules' and 'publicNetworkAccess'; say it there.";
const NO_MQTT_5: &str = "Ferrohub speaks MQTT 3.1.1.";
const NO_STREAMS: &str = "Ferrohub has no device streams.";
const NO_PRIVATE_ENDPOINTS: &str = "Ferrohub has no private endpoints.";
const EITHER_FAMILY: &str = "The addresses that the server listens on (--listen) say which families are served.";

/// Durations that Azure's service and `az` fill in where nobody asked for one (reference: cli.md section 8).
const LOCKS: &[&str] = &["PT5S", "PT1M"];
const HOUR: &[&str] = &["PT1H"];
const TEN: Check = Check::Integer(10, 10);

const FEEDBACK: &[Property] = &[
    unbuilt("lockDurationAsIso8601", Check::OneOf(LOCKS), NO_COMMANDS),
    unbuilt("ttlAsIso8601", Check::OneOf(HOUR), NO_COMMANDS),
    unbuilt("maxDeliveryCount", TEN, NO_COMMANDS),
];
const NOTIFICATIONS: &[Property] = &[
    unbuilt("lockDurationAsIso8601", Check::OneOf(LOCKS), NO_UPLOAD_NOTICE),
    unbuilt("ttlAsIso8601", Check::OneOf(HOUR), NO_UPLOAD_NOTICE),
    unbuilt("maxDeliveryCount", TEN, NO_UPLOAD_NOTICE),
];
const STORAGE: Check = Check::Members(&[
    unbuilt("sasTtlAsIso8601", Check::OneOf(HOUR), NO_UPLOAD),
    unbuilt("connectionString", Check::Off, NO_UPLOAD),
    unbuilt("containerName", Check::Off, NO_UPLOAD),
    unbuilt("authenticationType", Check::OneOf(&["keyBased"]), NO_UPLOAD),
    unbuilt("identity", Check::Off, NO_UPLOAD),
]);
const ENDPOINTS: &[Property] = &[
    unbuilt("serviceBusQueues", Check::Off, NO_ROUTES),
    unbuilt("serviceBusTopics", Check::Off, NO_ROUTES),
    unbuilt("eventHubs", Check::Off, NO_ROUTES),
    unbuilt("storageContainers", Check::Off, NO_ROUTES),
    unbuilt("cosmosDBSqlContainers", Check::Off, NO_ROUTES),
    unbuilt("cosmosDBSqlCollections", Check::Off, NO_ROUTES),
    unbuilt("eventStreams", Check::Off, NO_ROUTES),
];
const FALLBACK: &[Property] = &[
    unbuilt("name", Check::OneOf(&["$fallback"]), NO_ROUTES),
    unbuilt("source", Check::OneOf(&["DeviceMessages"]), NO_ROUTES),
    unbuilt("condition", Check::OneOf(&["true"]), NO_ROUTES),
    unbuilt("endpointNames", Check::Texts(&["events"]), NO_ROUTES),
    acted("isEnabled", Check::Bool),
];
const ROUTING: &[Property] = &[
    acted("endpoints", Check::Members(ENDPOINTS)),
    unbuilt("routes", Check::Off, NO_ROUTES),
    acted("fallbackRoute", Check::Members(FALLBACK)),
    unbuilt("enrichments", Check::Off, NO_ROUTES),
];
const EVENTS: &[Property] = &[
    acted("retentionTimeInDays", Check::Own),
    acted("partitionCount", Check::Own),
    read_only("partitionIds"),
    read_only("path"),
    read_only("endpoint"),
];
const NETWORK_RULES: &[Property] = &[
    unbuilt("defaultAction", Check::OneOf(&["Allow"]), OTHER_RULES),
    unbuilt("applyToBuiltInEventHubEndpoint", Check::Off, OTHER_RULES),
    unbuilt("ipRules", Check::Off, OTHER_RULES),
];
const IP_RULE: Check =
    Check::Members(&[acted("filterName", Check::Own), acted("action", Check::Own), acted("ipMask", Check::Own)]);

/// The members of `properties`.
pub(super) const PROPERTIES: &[Property] = &[
    keys::POLICIES_PROPERTY,
    acted("disableLocalAuth", Check::Bool),
    acted("disableDeviceSAS", Check::Bool),
    acted("disableModuleSAS", Check::Bool),
    unbuilt("restrictOutboundNetworkAccess", Check::Off, NO_OUTBOUND),
    unbuilt("allowedFqdnList", Check::Off, NO_OUTBOUND),
    acted("publicNetworkAccess", Check::OneOf(&["Enabled", "Disabled"])),
    acted("ipFilterRules", Check::Each(&IP_RULE, IP_RULES)),
    acted("networkRuleSets", Check::Members(NETWORK_RULES)),
    acted("minTlsVersion", Check::OneOf(&["1.2", "1.3"])).create_only(),
    acted("eventHubEndpoints", Check::Members(&[acted("events", Check::Members(EVENTS))])),
    acted("routing", Check::Members(ROUTING)),
    acted("storageEndpoints", Check::Named(&STORAGE, 10)),
    acted("messagingEndpoints", Check::Members(&[acted("fileNotifications", Check::Members(NOTIFICATIONS))])),
    unbuilt("enableFileUploadNotifications", Check::Off, NO_UPLOAD_NOTICE),
    acted(
        "cloudToDevice",
        Check::Members(&[
            unbuilt("maxDeliveryCount", TEN, NO_COMMANDS),
            unbuilt("defaultTtlAsIso8601", Check::OneOf(HOUR), NO_COMMANDS),
            acted("feedback", Check::Members(FEEDBACK)),
        ]),
    ),
    descriptive("comments", Check::Text(COMMENTS_CHARS), "a note of its owner"),
    descriptive(
        "features",
        Check::OneOf(&["None", "DeviceManagement"]),
        "a switch of 2016 that changes nothing in Azure either",
    ),
    unbuilt("encryption", Check::Off, NO_KEY_VAULT),
    descriptive(
        "enableDataResidency",
        Check::Bool,
        "whether data may be copied to another region; Ferrohub never copies any out of its data folder",
    ),
    acted(
        "rootCertificate",
        Check::Members(&[
            descriptive(
                "enableRootCertificateV2",
                Check::Bool,
                "which of Azure's two public roots signs the server's certificate; here it is always the installation's own",
            ),
            read_only("lastUpdatedTimeUtc"),
        ]),
    ),
    unbuilt("ipVersion", Check::OneOf(&["ipv4ipv6"]), EITHER_FAMILY),
    acted(
        "deviceRegistry",
        Check::Members(&[
            acted("namespaceResourceId", Check::Text(1024)),
            acted(
                "identity",
                Check::Members(&[acted("type", Check::Own), acted("userAssignedIdentity", Check::Text(1024))]),
            ),
            read_only("namespaceUuid"),
            read_only("dataPlaneHostName"),
            read_only("linkingProperties"),
        ]),
    ),
    unbuilt("connectionProfile", Check::OneOf(&["Classic"]), NO_MQTT_5),
    unbuilt("mqttV5Settings", Check::Off, NO_MQTT_5),
    unbuilt("deviceStreams", Check::Off, NO_STREAMS),
    unbuilt("privateEndpointConnections", Check::Off, NO_PRIVATE_ENDPOINTS),
    consumer_groups::PROPERTY,
    PROVISIONING_STATE,
    read_only("state"),
    read_only("hostName"),
    read_only("deviceHostName"),
    read_only("serviceHostName"),
    read_only("iotHubDetails"),
    read_only("locations"),
];

/// What Azure fills in for members that were not sent (reference: cli.md section 8).
pub(super) fn defaults() -> [(&'static str, Value); 9] {
    [
        ("ipFilterRules", json!([])),
        (
            "routing",
            json!({
                "endpoints": {"serviceBusQueues": [], "serviceBusTopics": [], "eventHubs": [], "storageContainers": [], "cosmosDBSqlContainers": []},
                "routes": [],
                "fallbackRoute": {"name": "$fallback", "source": "DeviceMessages", "condition": "true", "endpointNames": ["events"], "isEnabled": true}
            }),
        ),
        (
            "storageEndpoints",
            json!({"$default": {"sasTtlAsIso8601": "PT1H", "connectionString": "", "containerName": ""}}),
        ),
        (
            "messagingEndpoints",
            json!({"fileNotifications": {"lockDurationAsIso8601": "PT1M", "ttlAsIso8601": "PT1H", "maxDeliveryCount": 10}}),
        ),
        ("enableFileUploadNotifications", json!(false)),
        (
            "cloudToDevice",
            json!({"maxDeliveryCount": 10, "defaultTtlAsIso8601": "PT1H", "feedback": {"lockDurationAsIso8601": "PT1M", "ttlAsIso8601": "PT1H", "maxDeliveryCount": 10}}),
        ),
        ("features", json!("None")),
        ("disableLocalAuth", json!(false)),
        ("enableDataResidency", json!(false)),
    ]
}
