//! Where a private key of the installation lives: what rows hold instead of the key.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The name of a key in a key store. It is chosen before the key is made, and it is no secret: an engine needs nothing
/// else to find the key (a PKCS#11 engine makes `id` the object's CKA_ID in its token).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyReference {
    /// The engine that holds it.
    pub engine: String,
    /// Whose key it is: uid of a namespace, or `platform`. A key opens only under the scope that it was made for.
    pub scope: String,
    /// The key's own id.
    pub id: Uuid,
    /// Whether the engine may give the key out: only the key of the TLS listener, which must lie in its memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exportable: bool,
}

impl fmt::Display for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.engine, self.scope, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_its_document() {
        let mut reference = KeyReference {
            engine: "sealed".into(),
            scope: "platform".into(),
            id: Uuid::from_u128(7),
            exportable: false,
        };
        assert!(serde_json::to_value(&reference).unwrap().get("exportable").is_none());
        for exportable in [false, true] {
            reference.exportable = exportable;
            let doc = serde_json::to_value(&reference).unwrap();
            assert_eq!(serde_json::from_value::<KeyReference>(doc).unwrap(), reference);
        }
        assert_eq!(reference.to_string(), "sealed:platform/00000000-0000-0000-0000-000000000007");
    }
}
