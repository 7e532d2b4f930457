//! What assets, endpoint profiles and what was discovered are made of (reference: device-registry-api.md sections 4 and 14):
//! checked, kept and shown. Ferrohub has no Azure IoT Operations instance that would act on them.

use crate::arm::schema::{Check, Property, descriptive};
use jiff::Timestamp;

pub(super) const OF_OPERATIONS: &str = "what Azure IoT Operations would act on; there is no such instance here";
/// Longest text of one member: ours.
pub(super) const TEXT: Check = Check::Text(4096);
/// Longest configuration, a JSON document as a text: ours.
pub(super) const CONFIGURATION: Check = Check::Text(64 * 1024);
/// Largest `attributes` object, bytes of JSON: ours.
pub(super) const ATTRIBUTES: Check = Check::Object(64 * 1024);
/// Entries of a list, such as the data points of a dataset: ours. A body as a whole has its own limit.
pub(super) const ENTRIES: usize = 1000;
pub(super) const TEXTS: Check = Check::Each(&TEXT, ENTRIES);
/// An integer of 64 bits from 0 on.
pub(super) const COUNT: Check = Check::Integer(0, i64::MAX);
const SECONDS: Check = Check::Integer(0, i32::MAX as i64);
const TIME: Check = Check::Matches(is_time, "a time such as 2026-04-02T07:59:00Z");

fn is_time(text: &str) -> bool {
    text.len() <= 40 && text.parse::<Timestamp>().is_ok()
}

/// A member that is kept for Azure IoT Operations.
pub(super) const fn kept(name: &'static str, check: Check) -> Property {
    descriptive(name, check, OF_OPERATIONS)
}

/// When something was last seen by discovery.
pub(super) const LAST_UPDATED: Property = kept("lastUpdatedOn", TIME);
/// The device and its endpoint that an asset is reached through. As in Azure it need not exist.
pub(super) const DEVICE_REF: Check =
    Check::Members(&[kept("deviceName", TEXT).required(), kept("endpointName", TEXT).required()]);
/// A topic of an asset in a resource group.
pub(super) const TOPIC: Check = Check::Members(&[kept("path", TEXT).required(), kept("retain", RETAIN)]);
const RETAIN: Check = Check::OneOf(&["Keep", "Never"]);

const MQTT: (&str, &[Property]) = (
    "Mqtt",
    &[kept(
        "configuration",
        Check::Members(&[
            kept("topic", TEXT).required(),
            kept("retain", RETAIN),
            kept("qos", Check::OneOf(&["Qos0", "Qos1"])),
            kept("ttl", COUNT),
        ]),
    )
    .required()],
);
const STORAGE: (&str, &[Property]) =
    ("Storage", &[kept("configuration", Check::Members(&[kept("path", TEXT).required()])).required()]);
const STATE_STORE: (&str, &[Property]) =
    ("BrokerStateStore", &[kept("configuration", Check::Members(&[kept("key", TEXT).required()])).required()]);
const DATASET_TARGET: Property = kept("target", Check::OneOf(&["Mqtt", "BrokerStateStore", "Storage"])).required();
const EVENT_TARGET: Property = kept("target", Check::OneOf(&["Mqtt", "Storage"])).required();

/// Where the values of a dataset go.
pub(super) const DATASET_DESTINATIONS: Check =
    Check::Each(&Check::Shapes(&DATASET_TARGET, &[MQTT, STATE_STORE, STORAGE]), ENTRIES);
/// Where events and streams go.
pub(super) const EVENT_DESTINATIONS: Check = Check::Each(&Check::Shapes(&EVENT_TARGET, &[MQTT, STORAGE]), ENTRIES);

/// Datasets of an asset in a namespace.
pub(super) const DATASETS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("datasetConfiguration", CONFIGURATION),
        kept("destinations", DATASET_DESTINATIONS),
        kept(
            "dataPoints",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("dataSource", TEXT).required(),
                    kept("dataPointConfiguration", CONFIGURATION),
                    kept("typeRef", TEXT),
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);
/// Groups of events of an asset in a namespace.
pub(super) const EVENT_GROUPS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("eventGroupConfiguration", CONFIGURATION),
        kept("defaultDestinations", EVENT_DESTINATIONS),
        kept(
            "events",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("dataSource", TEXT),
                    kept("eventConfiguration", CONFIGURATION),
                    kept("destinations", EVENT_DESTINATIONS),
                    kept("typeRef", TEXT),
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);
/// Streams of an asset in a namespace.
pub(super) const STREAMS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("streamConfiguration", CONFIGURATION),
        kept("typeRef", TEXT),
        kept("destinations", EVENT_DESTINATIONS),
    ]),
    ENTRIES,
);
const ACTION_TYPE: Check = Check::OneOf(&["Call", "Read", "Write"]);
/// Groups of actions of an asset in a namespace.
pub(super) const MANAGEMENT_GROUPS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("managementGroupConfiguration", CONFIGURATION),
        kept("defaultTopic", TEXT),
        kept("defaultTimeoutInSeconds", SECONDS),
        kept(
            "actions",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("targetUri", TEXT).required(),
                    kept("actionType", ACTION_TYPE),
                    kept("actionConfiguration", CONFIGURATION),
                    kept("topic", TEXT),
                    kept("timeoutInSeconds", SECONDS),
                    kept("typeRef", TEXT),
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);

/// The same four as discovery reports them: each entry says when it was last seen.
pub(super) const DISCOVERED_DATASETS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("datasetConfiguration", CONFIGURATION),
        kept("destinations", DATASET_DESTINATIONS),
        LAST_UPDATED,
        kept(
            "dataPoints",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("dataSource", TEXT).required(),
                    kept("dataPointConfiguration", CONFIGURATION),
                    kept("typeRef", TEXT),
                    LAST_UPDATED,
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);
/// Discovered groups of events.
pub(super) const DISCOVERED_EVENT_GROUPS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("eventGroupConfiguration", CONFIGURATION),
        kept("defaultDestinations", EVENT_DESTINATIONS),
        LAST_UPDATED,
        kept(
            "events",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("dataSource", TEXT),
                    kept("eventConfiguration", CONFIGURATION),
                    kept("destinations", EVENT_DESTINATIONS),
                    kept("typeRef", TEXT),
                    LAST_UPDATED,
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);
/// Discovered streams.
pub(super) const DISCOVERED_STREAMS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("streamConfiguration", CONFIGURATION),
        kept("typeRef", TEXT),
        kept("destinations", EVENT_DESTINATIONS),
        LAST_UPDATED,
    ]),
    ENTRIES,
);
/// Discovered groups of actions.
pub(super) const DISCOVERED_MANAGEMENT_GROUPS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("dataSource", TEXT),
        kept("typeRef", TEXT),
        kept("managementGroupConfiguration", CONFIGURATION),
        kept("defaultTopic", TEXT),
        kept("defaultTimeoutInSeconds", SECONDS),
        LAST_UPDATED,
        kept(
            "actions",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("targetUri", TEXT).required(),
                    kept("actionType", ACTION_TYPE),
                    kept("actionConfiguration", CONFIGURATION),
                    kept("topic", TEXT),
                    kept("timeoutInSeconds", SECONDS),
                    kept("typeRef", TEXT),
                    LAST_UPDATED,
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);

/// Names of a secret store in which Azure IoT Operations would look up what opens an endpoint; the secrets are not here.
const USER_NAME: Property = kept(
    "usernamePasswordCredentials",
    Check::Members(&[kept("usernameSecretName", TEXT).required(), kept("passwordSecretName", TEXT).required()]),
);
const METHOD: Property = kept("method", METHODS).required();
/// How an endpoint lets its callers in.
pub(super) const METHODS: Check = Check::OneOf(&["Anonymous", "Certificate", "UsernamePassword"]);
/// How Azure IoT Operations would log in to a device.
pub(super) const HOST_AUTHENTICATION: Check = Check::Members(&[
    METHOD,
    USER_NAME,
    kept(
        "x509Credentials",
        Check::Members(&[
            kept("certificateSecretName", TEXT).required(),
            kept("keySecretName", TEXT),
            kept("intermediateCertificatesSecretName", TEXT),
        ]),
    ),
]);
/// The same of an endpoint profile.
pub(super) const AUTHENTICATION: Check = Check::Members(&[
    METHOD,
    USER_NAME,
    kept("x509Credentials", Check::Members(&[kept("certificateSecretName", TEXT).required()])),
]);
/// Where a device sends.
pub(super) const OUTBOUND: Check = Check::Members(&[kept("endpointType", TEXT), kept("address", TEXT).required()]);
