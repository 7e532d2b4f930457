//! Which key store a namespace wants for the keys of its authorities: a tag, which every client of Azure can set.

use ferrohub_model::error::{Error, Result};
use serde_json::{Map, Value};

/// Name of the tag. As with all tags, its case does not matter.
pub const TAG: &str = "ferrohub-key-store";

/// The key store that these tags name.
pub fn of(tags: Option<&Map<String, Value>>) -> Option<&str> {
    tags?.iter().find(|(name, _)| name.eq_ignore_ascii_case(TAG)).and_then(|(_, value)| value.as_str())
}

/// Refuses to take the choice away without another one. Clients replace tags as a whole, and who only adds a note must not
/// thereby send the next key of the namespace elsewhere.
///
/// # Errors
/// `InvalidPropertyValue` naming the tag to send along.
pub(crate) fn keep(former: Option<&Map<String, Value>>, tags: Option<&Map<String, Value>>) -> Result<()> {
    match (of(former), of(tags)) {
        (Some(name), None) => Err(Error::invalid_property(
            format!("tags.{TAG}"),
            format!(
                "The tag '{TAG}' says where this namespace's keys are made and cannot just be dropped: send it along ('{TAG}={name}'), or choose another key store with it ('{TAG}={}').",
                super::ENGINE
            ),
        )),
        _ => Ok(()),
    }
}

pub(super) fn unknown(name: &str, known: &[&str]) -> Error {
    Error::invalid_property(
        format!("tags.{TAG}"),
        format!(
            "The tag '{TAG}' says '{name}', and this server has no such key store; it has '{}'.{}",
            known.join("' and '"),
            if known.len() == 1 { " Its operator adds a PKCS#11 token in the configuration file." } else { "" }
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tag_is_found_whatever_its_case_and_not_dropped() {
        let tags = |value: Value| value.as_object().cloned();
        let chosen = tags(json!({"site": "7", "Ferrohub-Key-Store": "pkcs11"}));
        assert_eq!(of(chosen.as_ref()), Some("pkcs11"));
        assert_eq!(of(tags(json!({"site": "7"})).as_ref()), None);
        let error = keep(chosen.as_ref(), None).unwrap_err();
        assert!(error.message.contains("'ferrohub-key-store=pkcs11'"), "{error}");
        keep(chosen.as_ref(), tags(json!({TAG: "sealed"})).as_ref()).unwrap();
        keep(None, None).unwrap();
        assert!(unknown("hsm", &["sealed"]).message.contains("configuration"));
        assert!(unknown("hsm", &["sealed", "pkcs11"]).message.contains("'sealed' and 'pkcs11'"));
    }
}
