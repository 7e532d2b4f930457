//! JSON bodies and the query language over them.

use crate::utf8;
use ferrohub_model::device::{DevicePut, EdgeScope};
use ferrohub_model::enrollment::{EnrollmentKind, EnrollmentPut};
use ferrohub_model::limits;
use ferrohub_model::twin::Twin;
use ferrohub_wire::jmespath;
use serde_json::Value;

const NOW: &str = "2026-11-20T10:00:00.0000000Z";

pub(crate) fn device_put(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    let Ok(put) = DevicePut::parse("d", &body) else { return };
    let _ = format!("{put:?}");
    let given = put.device_scope.iter().chain(put.parent_scopes.iter().flatten());
    for scope in given.filter_map(|scope| EdgeScope::parse(scope)) {
        assert_eq!(EdgeScope::parse(&scope.to_string()), Some(scope));
    }
}

pub(crate) fn enrollment_group(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    for kind in [EnrollmentKind::Group, EnrollmentKind::Individual] {
        if let Ok(put) = EnrollmentPut::parse(kind, "g", &body) {
            let _ = format!("{put:?}");
        }
    }
}

/// First line an expression, the rest a JSON value.
pub(crate) fn jmespath(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let (expression, value) = text.split_once('\n').unwrap_or((text, "{}"));
    match jmespath::compile(expression) {
        Ok(compiled) => {
            let value = serde_json::from_str(value).unwrap_or(Value::Null);
            // The same question has the same answer.
            assert_eq!(compiled.search(&value), compiled.search(&value));
        }
        Err(error) => assert!(error.offset <= expression.len() && !error.message.is_empty()),
    }
}

/// A list of bodies, applied in turn as a service's patch, a device's report and a replacement.
pub(crate) fn twin(data: &[u8]) {
    let Ok(Value::Array(bodies)) = serde_json::from_slice::<Value>(data) else { return };
    let mut twin = Twin::new(NOW);
    for (turn, body) in bodies.iter().enumerate() {
        let before = twin.clone();
        let done = match turn % 3 {
            0 => twin.patch(body, NOW).map(|change| change.map(|change| change.version)),
            1 => twin.patch_reported(body, NOW).map(Some),
            _ => twin.replace(body, NOW).map(|change| change.map(|change| change.version)),
        };
        match done {
            Err(_) => assert_eq!(twin, before, "a refused change left a trace"),
            Ok(version) => {
                assert!(twin.version >= before.version && twin.revision >= before.revision);
                assert!(version.is_none() || twin.version > before.version);
            }
        }
        within_limits(&twin);
    }
    let text = serde_json::to_string(&twin).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Twin>(&text).ok().as_ref(), Some(&twin), "{text}");
}

fn within_limits(twin: &Twin) {
    let bytes = |value: &serde_json::Map<String, Value>| serde_json::to_vec(value).map_or(0, |text| text.len());
    // Keys and values are counted without the JSON around them, so a text may be longer than its limit, but not without bound.
    assert!(bytes(&twin.tags) <= 8 * limits::TWIN_TAGS_BYTES);
    assert!(bytes(&twin.desired.properties) <= 8 * limits::TWIN_PROPERTIES_BYTES);
    assert!(bytes(&twin.reported.properties) <= 8 * limits::TWIN_PROPERTIES_BYTES);
}
