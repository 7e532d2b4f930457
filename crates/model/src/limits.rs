//! Every limit of the product, with Azure's figure and its source where there is one.
//!
//! Here stands what a stranger can run into: sizes, counts, lengths, lifetimes, and times after which a peer is
//! given up. How an engine works inside (pauses, caches, batches) stays with the engine.

use std::time::Duration;

/// Longest request body that the HTTPS front door reads (ARM accepts 4 MB).
pub const HTTP_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most values in a JSON document that is read, members and elements together: each takes many times the bytes that it was sent with, so that
/// 4 MB of zeros were 60 in memory. Ours.
pub const JSON_VALUES: usize = 100_000;
/// Longest device-facing or service-facing data-plane body: 256 KB message plus JSON framing (IoT Hub docs).
pub const DATA_PLANE_BODY_BYTES: usize = 512 * 1024;
/// Longest form of a token request: ours (a client assertion has a few kilobytes).
pub const TOKEN_FORM_BYTES: usize = 64 * 1024;
/// Longest head of an HTTPS request: ours (tokens and twelve ARM segments stay far below).
pub const HTTP_HEAD_BYTES: usize = 32 * 1024;
/// Connections of one port whose peers have not proven who they are, all together: ours. Each holds a handshake or a head,
/// at most 100 KB.
pub const UNPROVEN_CONNECTIONS: usize = 2048;
/// The same from one address: ours (what 256 handshakes take is below what a fleet behind one address notices).
pub const UNPROVEN_CONNECTIONS_OF_ADDRESS: usize = 256;
/// Time after which a connection that has proven nothing gives way to another one of its address: ours.
pub const UNPROVEN_PATIENCE: Duration = Duration::from_secs(5);
/// Time after which a connection on which nobody proved anything takes no further request: ours.
pub const UNPROVEN_LIFE: Duration = Duration::from_secs(60);
/// Time for the body of a request whose credentials stand in it, a token request: ours.
pub const UNPROVEN_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of bodies of such requests, of all peers together and of one address: ours.
pub const UNPROVEN_BODIES_BYTES: (usize, usize) = (8 * 1024 * 1024, 1024 * 1024);
/// Bytes of bodies of requests whose credentials were found good, of all peers together and of one address: ours.
pub const BODIES_BYTES: (usize, usize) = (256 * 1024 * 1024, 64 * 1024 * 1024);
/// Rows that the failed requests of one caller make in an hour, beside as many that tell how often each was repeated: ours.
pub const FAILURES_OF_CALLER: usize = 50;
/// Events of the audit log that wait in one process to be written, before further ones are lost and counted: ours.
pub const AUDIT_WAITING: usize = 20_000;
/// Callers whose failed requests one process counts in an hour: ours.
pub const FAILING_CALLERS: usize = 1000;
/// Names of applications, policies and devices for which wrong credentials came of late: ours.
pub const GUESSED_NAMES: usize = 20_000;
/// Sessions of browsers that one person has at once; the oldest ends with the next: ours.
pub const SESSIONS_OF_A_PERSON: u64 = 100;
/// Chains of refresh tokens that one person has at once; the oldest ends with the next: ours.
pub const CHAINS_OF_A_PERSON: u64 = 1000;
/// Codes of devices that wait to be typed, of one client and of one address: ours.
pub const DEVICE_CODES: (usize, usize) = (1000, 20);
/// Time for the head of an HTTPS request, which is also how long an idle connection is kept: ours.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// Time for the body of an HTTPS request: ours.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most of a body over its limit that is read and thrown away, so that the client sees the refusal: ours.
pub const HTTP_DISCARD_BYTES: usize = 8 * 1024 * 1024;
/// Time for that: ours.
pub const HTTP_DISCARD_TIMEOUT: Duration = Duration::from_secs(2);
/// Time in which an HTTP peer must take at least a byte of what is written to it: ours.
pub const HTTP_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest head of a plain HTTP request (health, metrics, CRLs): ours.
pub const PLAIN_HEAD_BYTES: usize = 16 * 1024;
/// Time for that head, which is also how long an idle plain connection is kept: ours.
pub const PLAIN_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest MQTT packet the hub reads: 256 KB message limit plus topic and header (IoT Hub MQTT docs).
pub const MQTT_PACKET_BYTES: usize = 256 * 1024 + 16 * 1024;
/// Largest device-to-cloud message, payload and properties (IoT Hub quotas).
pub const TELEMETRY_BYTES: usize = 256 * 1024;
/// Largest MQTT packet before CONNECT was accepted: ours.
pub const MQTT_CONNECT_BYTES: usize = 16 * 1024;
/// Largest MQTT packet of a registration: ours; a CSR has 8 KB and DPS documents no limit for the payload.
pub const DPS_MQTT_PACKET_BYTES: usize = 64 * 1024;
/// Connections of one device that is being provisioned over MQTT: ours; a device needs one.
pub const CONNECTIONS_OF_APPLICANT: usize = 4;
/// Time after which such a connection ends, whatever it does: ours; a registration takes seconds.
pub const APPLICANT_LIFE: Duration = Duration::from_secs(600);
/// Answers that wait for an MQTT peer to read them before no more of its packets are taken: ours.
pub const MQTT_UNREAD_BYTES: usize = 256 * 1024;
/// Time a peer has to finish TLS and CONNECT: ours.
pub const CONNECT_TIMEOUT_SECONDS: u64 = 30;
/// Topic filters of one MQTT connection (IoT Hub documents 5; its SDKs use up to 7; ours is wider).
pub const MQTT_SUBSCRIPTIONS: usize = 32;
/// Unacknowledged publishes in work for one connection before its socket is no longer read: ours.
pub const MQTT_IN_FLIGHT: usize = 1024;
/// Bytes that wait for one MQTT connection before its socket is no longer read: ours, sixteen of the largest messages.
pub const MQTT_QUEUE_BYTES: usize = 16 * TELEMETRY_BYTES;
/// Time in which an MQTT peer must take what is written to it; one that does not read is dropped: ours.
pub const MQTT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest delay and duration of a fault that a device asks for, seconds: ours.
pub const FAULT_SECONDS: f64 = 600.0;
/// Longest keep-alive that the hub honours, seconds (IoT Hub MQTT docs: 29.45 minutes).
pub const MQTT_MAX_KEEP_ALIVE_SECONDS: u16 = 1767;
/// CSR length in base64 characters (IoT Hub certificate management: 8 KB).
pub const CSR_BASE64_BYTES: usize = 8 * 1024;
/// Renewals through the hub that are kept of one device, ended ones included: ours.
pub const RENEWALS_PER_DEVICE: usize = 8;
/// Time after which a renewal is dropped that the device did not fetch (IoT Hub: about 12 hours; certificates.md section 3).
pub const RENEWAL_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Renewals of one hub that wait to be carried out by one process before it refuses further ones: ours.
pub const RENEWALS_WAITING: usize = 5000;
/// Certificates that a TLS peer may present: ours.
pub const CHAIN_LENGTH: usize = 8;
/// Anchors of one verification: what a hub may have.
pub const CHAIN_ANCHORS: usize = CERTIFICATES_PER_HUB;
/// Anchors of one name that are tried for one certificate: ours.
pub const CHAIN_CANDIDATES: usize = 8;
/// Largest certificate in a presented chain, DER bytes: ours.
pub const CERTIFICATE_BYTES: usize = 16 * 1024;
/// Longest text of a certificate that somebody uploads, bytes: PEM of the largest one, and base64 around that.
pub const CERTIFICATE_TEXT_BYTES: usize = 2 * CERTIFICATE_BYTES + 1024;
/// Smallest RSA modulus accepted from a peer, bits (NIST SP 800-57 and the design: RSA >= 2048).
pub const RSA_MIN_BITS: usize = 2048;
/// Smallest RSA modulus of a certificate authority of ours, bits (NIST SP 800-57: as strong as P-256).
pub const CA_RSA_MIN_BITS: usize = 3072;
/// Largest RSA modulus accepted from a peer, bits: ours; what TLS libraries verify at all.
pub const RSA_MAX_BITS: usize = 8192;
/// Longest distinguished name as text, characters: ours.
pub const DISTINGUISHED_NAME_CHARS: usize = 512;
/// Longest common name, characters: the length of an IoT Hub device id (RFC 5280 says 64, Azure issues longer ones).
pub const COMMON_NAME_CHARS: usize = 128;
/// Longest CRL or issuer URL in a certificate, characters: ours.
pub const CERTIFICATE_URL_CHARS: usize = 1024;
/// Least years of a root (design: so that the longest leaf is never cut).
pub const ROOT_YEARS_MIN: u32 = 30;
/// Years of a root where none are given.
pub const ROOT_YEARS_DEFAULT: u32 = 40;
/// Least years of an issuing CA (design).
pub const ISSUING_YEARS_MIN: u32 = 15;
/// Years of an issuing CA where none are given.
pub const ISSUING_YEARS_DEFAULT: u32 = 20;
/// Most years of any CA: ours.
pub const CA_YEARS_MAX: u32 = 100;
/// Most days of the platform's own server certificate: ours.
pub const SERVER_CERTIFICATE_DAYS: u32 = 3650;
/// Most names of a server certificate: ours.
pub const SERVER_CERTIFICATE_NAMES: usize = 100;
/// Largest plaintext of one sealed value: ours (the largest secret is an RSA-4096 PKCS#8 of 2.4 KB).
pub const SEALED_PLAINTEXT_BYTES: usize = 64 * 1024;
/// Device twin: tags, bytes of JSON (IoT Hub docs: 8 KB).
pub const TWIN_TAGS_BYTES: usize = 8 * 1024;
/// Device twin: desired or reported, bytes of JSON (IoT Hub docs: 32 KB).
pub const TWIN_PROPERTIES_BYTES: usize = 32 * 1024;
/// Device twin: nesting depth (IoT Hub docs: 10).
pub const TWIN_DEPTH: usize = 10;
/// Device twin: key length in bytes (IoT Hub docs: 1 KB).
pub const TWIN_KEY_BYTES: usize = 1024;
/// Device twin: string value length in bytes (IoT Hub docs: 4 KB).
pub const TWIN_STRING_BYTES: usize = 4 * 1024;
/// Device twin: integers go from its negative to one less than it (IoT Hub docs).
pub const TWIN_INTEGER: i64 = 4_503_599_627_370_496;
/// Length of the model id that a device announces (DTDL version 2: an interface's DTMI has at most 128 characters).
pub const MODEL_ID_CHARS: usize = 128;
/// Layers of IoT Edge devices above one another (IoT Edge docs, nested edge: five).
pub const EDGE_LAYERS: usize = 5;
/// Device id length (IoT Hub docs: 128).
pub const DEVICE_ID_CHARS: usize = 128;
/// Longest ARM resource id, characters (ours; ARM documents limits for its parts only).
pub const RESOURCE_ID_CHARS: usize = 2048;
/// Characters of an enrollment group id (DPS docs: 128).
pub const ENROLLMENT_GROUP_ID_CHARS: usize = 128;
/// Enrollments that one bulk request writes (DPS service API: 10).
pub const BULK_ENROLLMENTS: usize = 10;
/// Longest `optionalDeviceInformation` of an individual enrollment as JSON text: ours, as much as the tags of a twin.
pub const OPTIONAL_DEVICE_INFORMATION_BYTES: usize = TWIN_TAGS_BYTES;
/// Longest `webhookUrl` of a custom allocation, characters: ours.
pub const WEBHOOK_URL_CHARS: usize = 2048;
/// Longest public key of a TPM in base64: ours (an RSA-2048 endorsement key has 422 characters).
pub const TPM_KEY_BASE64_BYTES: usize = 4096;
/// Longest initial twin as JSON text: the sum of the twin's own limits (8 KB of tags, 32 KB of desired properties).
pub const INITIAL_TWIN_BYTES: usize = TWIN_TAGS_BYTES + TWIN_PROPERTIES_BYTES;
/// Operations whose result a registration keeps: ours. A device that registers twice at once can poll both.
pub const REGISTRATION_OPERATIONS: usize = 8;
/// Rows of one page of an ARM list: ours.
pub const ARM_PAGE: usize = 200;
/// Sets of attributes of one registry device: ours.
pub const ATTRIBUTE_SETS: usize = 16;
/// Largest set of attributes, bytes of JSON: ours.
pub const ATTRIBUTE_SET_BYTES: usize = 8 * 1024;
/// Longest content of a schema version, characters: ours. A body as a whole has its own limit.
pub const SCHEMA_CONTENT_CHARS: usize = 1024 * 1024;
/// Longest `$filter` of a list, bytes: ours.
pub const FILTER_BYTES: usize = 4096;
/// Terms of one `$filter`: ours.
pub const FILTER_TERMS: usize = 200;
/// Parentheses of a `$filter` inside of one another: ours.
pub const FILTER_DEPTH: usize = 32;
/// Characters of one query over a hub's devices (IoT Hub docs: 8,192 for a query expression).
pub const HUB_QUERY_CHARS: usize = 8192;
/// Expressions of such a query inside of one another: ours (keeps parser, evaluator and drop off the stack's end).
pub const HUB_QUERY_DEPTH: usize = 64;
/// Values and steps of paths in such a query: ours.
pub const HUB_QUERY_TERMS: usize = 1000;
/// Rows of one page of a data-plane query (IoT Hub: 1000).
pub const QUERY_PAGE: usize = 1000;
/// Rules for addresses of one hub or provisioning service (IoT Hub: 100, portal.md; 10 before 2020).
pub const IP_RULES: usize = 100;
/// Namespaces of a subscription (Device Registry's documented limit); enforced only where the subscription asks for it.
pub const NAMESPACES_OF_SUBSCRIPTION: usize = 100;
/// Devices of a namespace (Device Registry's documented limit); enforced as that of namespaces.
pub const DEVICES_OF_NAMESPACE: usize = 10_000;
/// Subscriptions of an installation: ours.
pub const SUBSCRIPTIONS: usize = 100;
/// Resources that one request moves (Azure: 800).
pub const MOVED_RESOURCES: usize = 800;
/// Locks of one scope (Azure: 20).
pub const LOCKS_OF_SCOPE: usize = 20;
/// Tags of a resource (ARM: 50).
pub const TAGS: usize = 50;
/// Length of a tag name (ARM: 512).
pub const TAG_NAME_CHARS: usize = 512;
/// Length of a tag value (ARM: 256).
pub const TAG_VALUE_CHARS: usize = 256;
/// Bytes of a revocation list in one row: ours (as base64 in a document of [`STORE_DOCUMENT_BYTES`] at most).
pub const REVOCATION_LIST_PART_BYTES: usize = 1024 * 1024;
/// Rows of one revocation list: ours, enough for seven million revoked certificates, and one unit of work ([`UNIT_ROWS`]).
pub const REVOCATION_LIST_PARTS: usize = 256;
/// Leaf validity in days, least and most (seeds: 1 to 3650).
pub const LEAF_VALIDITY_DAYS: (u32, u32) = (1, 3650);
/// Leaf validity in days where none is given.
pub const LEAF_VALIDITY_DEFAULT_DAYS: u32 = 30;
/// Rows of one unit of work: ours (design).
pub const UNIT_ROWS: usize = 500;
/// Time for which what a probe for readiness found is taken for true: ours.
pub const READINESS_PROBE: Duration = Duration::from_secs(2);
/// Units waiting for the store's writer before it answers busy: ours.
pub const STORE_QUEUE: usize = 1024;
/// Bytes waiting for the log's writer before it answers busy: ours.
pub const LOG_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Connections that one process accepts at once: ours.
pub const CONNECTIONS: usize = 50_000;
/// Connections to health and metrics: a scraper, a probe and a person. Ours.
pub const HEALTH_CONNECTIONS: usize = 16;
/// Hubs linked to one DPS (DPS quotas: 50).
pub const LINKED_HUBS: usize = 50;
/// Answer of a webhook of custom allocation: ours.
pub const WEBHOOK_ANSWER_BYTES: usize = 32 * 1024;
/// Webhooks that one process asks at the same time; more registrations are told to come back. Ours.
pub const WEBHOOKS_AT_ONCE: usize = 256;
/// CA certificates of one DPS: ours, as for a hub (DPS quotas: 25).
pub const PROVISIONING_CERTIFICATES: usize = 200;
/// Days for which a certificate that has ended stays in the inventory: ours.
pub const ENDED_CERTIFICATE_DAYS: u32 = 30;
/// Entries of a revocation list that are read at a time: ours.
pub const REVOCATION_ROWS: usize = 5000;
/// Policies of one namespace: ours (Azure's preview: 1, later 3).
pub const POLICIES_PER_NAMESPACE: usize = 500;
/// CA certificates of one hub (IoT Hub: 25): ours, room for the present and a former CA of every policy.
pub const CERTIFICATES_PER_HUB: usize = 1000;
/// Longest key of a stored row, bytes of UTF-8: ours.
pub const STORE_KEY_BYTES: usize = 1024;
/// Longest value of a stored row's column, bytes of UTF-8: ours (PostgreSQL indexes about 2,700).
pub const STORE_COLUMN_BYTES: usize = 2048;
/// Largest stored document, bytes of JSON: ours (an ARM body is at most 4 MB).
pub const STORE_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// Rows that the store keeps in memory, bytes with what was parsed of them: ours.
pub const STORE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Queries of Resource Graph that run at once; a further one waits: ours (Azure: 15 in 5 s for each user). Two cores answer no
/// more of them sooner.
pub const GRAPH_RUNS: usize = 2;
/// Time that a query of Resource Graph runs, and that it waits for its turn: ours.
pub const GRAPH_TIME: Duration = Duration::from_secs(5);
/// Bytes that a query of Resource Graph holds while it runs: ours.
pub const GRAPH_BYTES: usize = 256 * 1024 * 1024;
/// Devices that Resource Graph holds in memory, each 0.3 to 0.7 KB: ours.
pub const GRAPH_DEVICES: usize = 3_000_000;
/// Bytes of devices that Resource Graph holds in memory, about: ours.
pub const GRAPH_HELD_BYTES: usize = 2 * 1024 * 1024 * 1024;
/// How long a query of Resource Graph waits until everything is read, which is begun by the first one after a start: ours; reading
/// goes on behind a query that has waited enough.
pub const GRAPH_PATIENCE: Duration = Duration::from_secs(30);
/// How long Resource Graph does not count devices again when there were more: ours.
pub const GRAPH_FULL_TIME: Duration = Duration::from_secs(60);
/// Rows that are read at a time where many are gone through: ours.
pub const READ_ROWS: usize = 500;
/// Rows of one page read from the store, and keys of one look-up: ours.
pub const STORE_PAGE: usize = 10_000;
/// Largest record of the event log, body, properties and framing: ours (256 KB message plus properties, with room).
pub const LOG_RECORD_BYTES: usize = 1024 * 1024;
/// Messages that wait for one subscriber of the bus before it is told that it lags: ours.
pub const BUS_QUEUE: usize = 256;
/// Longest SAS token text: ours (host, two encoded ids, signature and policy stay far below).
pub const SAS_TOKEN_BYTES: usize = 4 * 1024;
/// What one device may write in a second for long, bytes of messages and their number: ours (IoT Hub's largest unit, S3, takes 6,000 messages of
/// all devices together).
pub const DEVICE_WRITES_PER_SECOND: (u32, u32) = (4 * 1024 * 1024, 10_000);
/// For how long a device that was quiet may write as fast as it can, counted in time at that rate: ours.
pub const DEVICE_BURST: Duration = Duration::from_secs(16);
/// Changes of its reported properties that count like a second of that: ours.
pub const REPORTS_PER_SECOND: u32 = 200;
/// Time in which one registration, or one device that renews, may ask for one more certificate or assignment: ours.
pub const REGISTRATION_PERIOD: Duration = Duration::from_secs(10);
/// How many of these one that was quiet may have at once: ours.
pub const REGISTRATION_BURST: u32 = 60;
/// Devices, and registrations, whose use of this one process counts: ours.
pub const COUNTED_ALLOWANCES: usize = 100_000;
/// Seconds by which the clock of who signs a SAS token may be behind ours (issue reports of IoT Hub: five minutes).
pub const SAS_CLOCK_SKEW_SECONDS: i64 = 300;
/// Longest connection string: ours.
pub const CONNECTION_STRING_BYTES: usize = 4 * 1024;
/// Properties of one message, system and application together: ours (IoT Hub limits only their bytes).
pub const MESSAGE_PROPERTIES: usize = 1024;
/// Longest JMESPath expression, bytes: ours.
pub const JMESPATH_BYTES: usize = 64 * 1024;
/// Deepest JMESPath expression tree: ours (keeps parser, evaluator and drop off the stack's end).
pub const JMESPATH_DEPTH: usize = 128;
/// Work of one JMESPath search: bytes of memory for copies plus 16 for each step: ours.
pub const JMESPATH_BUDGET: usize = 256 * 1024 * 1024;
/// Bytes of a device's or an enrollment's symmetric key after base64, least and most (IoT Hub and DPS docs: 16 to 64).
pub const DEVICE_KEY_BYTES: (usize, usize) = (16, 64);
/// Hubs of one subscription, shown and not enforced (IoT Hub quotas: 50 paid ones).
pub const HUBS_OF_SUBSCRIPTION: usize = 50;
/// Provisioning services of one subscription, shown and not enforced (DPS quotas: 10).
pub const SERVICES_OF_SUBSCRIPTION: usize = 10;
/// Modules of one device (IoT Hub quotas: 50).
pub const MODULES_PER_DEVICE: usize = 50;
/// Length of a module's `managedBy`: ours.
pub const MANAGED_BY_CHARS: usize = 128;
/// Devices of one bulk operation (IoT Hub docs: 100).
pub const BULK_DEVICES: usize = 100;
/// Queries over devices that one process runs at the same time: ours.
pub const HUB_QUERIES_AT_ONCE: usize = 4;
/// How long a query waits for its turn before its client is told to come again: ours.
pub const HUB_QUERY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a query goes through devices for one page before it gives what it has: ours.
pub const HUB_QUERY_PAGE_TIME: Duration = Duration::from_secs(5);
/// How long a query that must see every device goes through them before it is refused: ours (clients wait a minute).
pub const HUB_QUERY_TIME: Duration = Duration::from_secs(30);
/// Bytes of one page of a query, as stored twins and as results, about: ours.
pub const HUB_QUERY_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Groups of one query: ours.
pub const HUB_QUERY_GROUPS: usize = 10_000;
/// How long the number of devices that are connected to other processes is not counted again: ours.
pub const CONNECTED_PERIOD: Duration = Duration::from_secs(5);
/// Entries after SELECT of one query: ours.
pub const HUB_QUERY_ITEMS: usize = 100;
/// Expressions after GROUP BY of one query: ours.
pub const HUB_QUERY_GROUP_BY: usize = 10;
/// Bytes of what is known of all groups of one query, about: ours.
pub const HUB_QUERY_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Values that results of one query are put in order by: ours (they stand in the continuation, which is a header).
pub const HUB_QUERY_ORDERS: usize = 4;
/// Characters of a text that results are put in order by: ours, for the same reason.
pub const HUB_QUERY_ORDER_CHARS: usize = 256;
/// Length of a device's `statusReason` (IoT Hub docs: 128).
pub const STATUS_REASON_CHARS: usize = 128;
/// Devices whose connection one process holds or has yet to write the end of; it lets no more in until the store has
/// taken some (IoT Hub quotas: 1,000,000 devices and modules per hub).
pub const PRESENCE_ENTRIES: usize = 1_000_000;
/// Time for which connects and disconnects are gathered before they are written: ours.
pub const PRESENCE_WRITE_PERIOD: Duration = Duration::from_secs(1);
/// How old the stored time of last activity of a connected device may be: ours.
pub const PRESENCE_ACTIVITY_PERIOD: Duration = Duration::from_secs(300);
/// For how long a process that fell silent still counts as holding its connections: ours.
pub const PRESENCE_LEASE: Duration = Duration::from_secs(30);
/// Verified access tokens that one process remembers: ours.
pub const VERIFIED_TOKENS: usize = 10_000;
/// Certificate authorities whose opened key and signed list one process keeps: ours (a namespace has one root and at
/// most 500 policies).
pub const OPEN_AUTHORITIES: usize = 512;
/// Data keys that one process holds open: ours.
pub const OPEN_DATA_KEYS: usize = 4096;
/// Hubs and provisioning services whose policies' opened keys one process keeps: ours.
pub const OPEN_POLICIES: usize = 1024;
/// Hubs whose trusted CAs one process remembers: ours.
pub const REMEMBERED_HUBS: usize = 1024;
/// Searches through the keys of many enrollment groups that one process makes at the same time: ours. A derived device key does not name its group.
pub const GROUP_SEARCHES: usize = 1;
/// Such searches in work or waiting before a device is told to come again: ours.
pub const WAITING_GROUP_SEARCHES: usize = 64;
/// Enrollment groups whose opened keys one process keeps: ours.
pub const OPEN_GROUPS: usize = 4096;
/// Provisioning services whose groups one process keeps ready for devices that it does not know: ours.
pub const GROUP_INDEXES: usize = 256;
/// Serial numbers of certificates that a process reserves with one commit: ours. Numbers of a block lie side by side in the store, so that a
/// commit of several certificates writes one or two pages of their index; those of a block of 1,024 filled a dozen.
pub const SERIALS_PER_BLOCK: usize = 128;
/// Verified chains that one process remembers: ours.
pub const VERIFIED_CHAINS: usize = 100_000;
/// Attempts of a write that keeps meeting a newer version before the caller is told to retry: ours. Of four writers in four
/// processes, one that is never preferred loses so often once in a hundred million times.
pub const CONFLICT_RETRIES: usize = 64;
/// Largest configuration file, bytes: ours.
pub const CONFIGURATION_FILE_BYTES: u64 = 64 * 1024;
/// Largest file of ours in the data folder, bytes: ours.
pub const DATA_FILE_BYTES: u64 = 1024 * 1024;
/// Largest file that the command line reads besides an argument's `@file`, bytes: ours.
pub const CLIENT_FILE_BYTES: u64 = 1024 * 1024;
/// Largest file that an argument's `@file` reads, bytes: ours (ARM takes bodies of 4 MB).
pub const CLIENT_ARGUMENT_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Largest response body that our client reads: ours (an ARM page of 200 resources is far below it).
pub const CLIENT_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
/// Pages of one list that our client follows: ours.
pub const CLIENT_LIST_PAGES: usize = 10_000;
/// Connections that `ferrohub proxy` carries at a time: ours.
pub const PROXY_CONNECTIONS: usize = 512;
/// Longest head of a request to `ferrohub proxy`, bytes: ours.
pub const PROXY_HEAD_BYTES: usize = 8 * 1024;
/// Validity of what `ferrohub proxy` shows under Azure's names, days; it is made anew at each start: ours.
pub const PROXY_CERTIFICATE_DAYS: u32 = 365;
/// Longest life of a secret that our command line asks for, years: ours.
pub const CLIENT_SECRET_YEARS: i64 = 100;
/// Messages from the server that wait for the simulated device to read them: ours.
pub const DEVICE_INCOMING_QUEUE: usize = 256;
/// Publishes and subscriptions of the simulated device that wait for its socket: ours.
pub const DEVICE_OUTGOING_QUEUE: usize = 64;
/// Changes of desired properties that wait for the simulated device; the oldest ones go first: ours.
pub const DEVICE_DESIRED_QUEUE: usize = 64;
/// Requests that wait for a PKCS#11 token: ours.
pub const TOKEN_QUEUE: usize = 1024;
/// How long a request waits for a PKCS#11 token: ours (devices give a registration some tens of seconds).
pub const TOKEN_PATIENCE: Duration = Duration::from_secs(20);
/// Longest text of a query of Resource Graph, bytes: ours (Azure names none; its portal's queries have a few kilobytes).
pub const KQL_BYTES: usize = 32 * 1024;
/// Deepest nesting of a query of Resource Graph: ours.
pub const KQL_DEPTH: usize = 64;
/// Most operators of a query: ours.
pub const KQL_OPERATORS: usize = 64;
/// Most columns that a query may carry: ours.
pub const KQL_COLUMNS: usize = 256;
/// Most names and numbers in all paths within columns, each with those before it (`a.b.c` has 1 + 2 + 3): ours.
pub const KQL_STEPS: usize = 4096;
/// Most regular expressions of a query: ours.
pub const KQL_PATTERNS: usize = 32;
/// Bytes of values that are computed before the first row: ours.
pub const KQL_PLAN_BYTES: usize = 16 * 1024 * 1024;
/// Most joins of a query (Resource Graph: 3).
pub const KQL_JOINS: usize = 3;
/// Most `mv-expand`s of a query (Resource Graph: 3).
pub const KQL_EXPANSIONS: usize = 3;
/// Passwords that one process hashes at once, each with 19 MiB and a processor: ours.
pub const PASSWORD_HASHES: usize = 2;
/// Longest password that is looked at, bytes: ours.
pub const PASSWORD_BYTES: usize = 1024;
/// Strangers that wait for the hash of a password in one process: ours. Each takes some tens of milliseconds, so the last one waits for about a
/// second.
pub const WAITING_HASHES: usize = 64;
/// The same from one address: ours.
pub const WAITING_HASHES_OF_ADDRESS: usize = 8;
/// Those who have proven who they are that wait for it: ours, as many.
pub const WAITING_HASHES_PROVEN: usize = 64;
/// Longest refresh token that is looked at, bytes: ours.
pub const REFRESH_TOKEN_BYTES: usize = 2048;
/// Wrong passwords for a name from one address that cost nothing: ours.
pub const FREE_GUESSES: u32 = 10;
/// Wrong passwords for a name from all strange addresses that cost nothing: ours, more than one address has.
pub const FREE_GUESSES_FROM_ANYWHERE: u32 = 30;
/// Wrong passwords from a strange address, whatever the names, that cost nothing: ours. One password that is tried with many names is
/// a guess as well.
pub const FREE_GUESSES_OF_ADDRESS: u32 = 100;
/// Familiar addresses of a person; the one that was seen longest ago goes: ours.
pub const FAMILIAR_ADDRESSES: usize = 16;
/// Most scopes of one role: ours.
pub const ROLE_SCOPES: usize = 500;
/// Longest role name (Azure: 128).
pub const ROLE_NAME_CHARS: usize = 128;
/// Most action texts of one role: ours.
pub const ROLE_ACTIONS: usize = 500;
/// Lines of the log that the refused of one address make in a minute: ours.
pub const REFUSED_LINES_OF_ADDRESS: u32 = 10;
/// The same of all addresses: ours.
pub const REFUSED_LINES: u32 = 200;
/// Longest sign-in name: Graph's.
pub const USER_NAME_CHARS: usize = 113;
/// Longest alias for mail: Graph's.
pub const NICKNAME_CHARS: usize = 64;
/// Longest name of a credential: ours.
pub const CREDENTIAL_NAME_CHARS: usize = 256;
/// Longest display name: Graph's 256.
pub const DISPLAY_NAME_CHARS: usize = 256;
