//! What is watched of a twin: its versions, and what its ETag stands for.

use super::ledger::Versions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The parts of a twin that have a version.
pub(super) const WHOLE: &str = "version";
pub(super) const REVISION: &str = "etag";
const DESIRED: &str = "desired";
pub(super) const REPORTED: &str = "reported";

/// The versions of a twin: of the whole, of tags and desired properties, which the ETag says, and of the two sections.
pub(super) fn versions_of(twin: &Value) -> Versions {
    let number = |at: &str| twin.pointer(at).and_then(Value::as_u64).unwrap();
    let etag = STANDARD.decode(twin["etag"].as_str().unwrap()).unwrap();
    Versions::from([
        (WHOLE, number("/version")),
        (REVISION, u64::from_be_bytes(etag.try_into().unwrap())),
        (DESIRED, number("/properties/desired/$version")),
        (REPORTED, number("/properties/reported/$version")),
    ])
}

/// What the ETag of a twin stands for.
pub(super) fn state_of(twin: &Value) -> String {
    format!("{} {}", twin["tags"], twin["properties"]["desired"])
}
