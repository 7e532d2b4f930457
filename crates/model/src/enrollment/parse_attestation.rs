//! Reading the `attestation` of an enrollment's body.

use super::{
    EnrollmentKind, Pair, RequestedAttestation, RequestedCertificate, RequestedKeys, RequestedX509, TpmKeys, bad,
    check_key, object, only, shown, text,
};
use crate::error::Result;
use crate::limits::{CERTIFICATE_TEXT_BYTES, TPM_KEY_BASE64_BYTES};
use serde_json::Value;

/// Longest name of a certificate of a provisioning service (reference: resource-manager.md; hubs have the same rule).
const REFERENCE_CHARS: usize = 64;

/// Reads the member that a type of attestation has for itself.
type Reader = fn(EnrollmentKind, &Value) -> Result<RequestedAttestation>;

impl RequestedAttestation {
    /// Reads the member `attestation`, which must be there.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the member, never a key.
    pub(super) fn parse(kind: EnrollmentKind, body: &Value) -> Result<Self> {
        let Some(attestation) = object(body, "attestation")? else {
            return Err(bad(
                "attestation",
                format!("The {} has no attestation; give {{\"type\": \"symmetricKey\"}}.", kind.word()),
            ));
        };
        only(attestation, "attestation.", &[&["type", "symmetricKey", "x509", "tpm"]])?;
        let named = text(attestation, "type")?.unwrap_or("symmetricKey");
        let (word, parsed): (&str, Reader) = match named.to_ascii_lowercase().as_str() {
            "symmetrickey" => ("symmetricKey", |_, given| parse_keys(given)),
            "x509" => ("x509", parse_x509),
            "tpm" if kind == EnrollmentKind::Individual => ("tpm", |_, given| parse_tpm(given)),
            "tpm" => {
                return Err(bad(
                    "attestation.type",
                    "The attestation type 'tpm' is not possible for an enrollment group; use symmetricKey or x509."
                        .into(),
                ));
            }
            _ => {
                return Err(bad(
                    "attestation.type",
                    format!("The attestation type '{}' is unknown; use symmetricKey, x509 or tpm.", shown(named)),
                ));
            }
        };
        for other in ["symmetricKey", "x509", "tpm"].into_iter().filter(|other| *other != word) {
            if !is_empty(attestation.get(other)) {
                return Err(bad(
                    &format!("attestation.{other}"),
                    format!("attestation.{other} does not go with the attestation type '{word}'; leave it out."),
                ));
            }
        }
        parsed(kind, object(attestation, word)?.unwrap_or(&Value::Null))
    }
}

/// Whether a member says nothing: some clients send all three kinds and fill one.
fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Object(members)) => members.values().all(|member| is_empty(Some(member))),
        Some(_) => false,
    }
}

fn parse_keys(given: &Value) -> Result<RequestedAttestation> {
    only(given, "attestation.symmetricKey.", &[&["primaryKey", "secondaryKey"]])?;
    let key = |name: &str| -> Result<Option<String>> {
        let Some(key) = text(given, name)?.filter(|key| !key.is_empty()) else { return Ok(None) };
        check_key(name, key)?;
        Ok(Some(key.to_owned()))
    };
    let keys = RequestedKeys { primary: key("primaryKey")?, secondary: key("secondaryKey")? };
    Ok(RequestedAttestation::SymmetricKey(keys))
}

fn parse_tpm(given: &Value) -> Result<RequestedAttestation> {
    only(given, "attestation.tpm.", &[&["endorsementKey", "storageRootKey"]])?;
    let key = |name: &str| -> Result<Option<String>> {
        let Some(key) = text(given, name)?.filter(|key| !key.is_empty()) else { return Ok(None) };
        if key.len() > TPM_KEY_BASE64_BYTES {
            return Err(bad(
                &format!("attestation.tpm.{name}"),
                format!("attestation.tpm.{name} is longer than {TPM_KEY_BASE64_BYTES} characters."),
            ));
        }
        Ok(Some(key.to_owned()))
    };
    let endorsement_key = key("endorsementKey")?.ok_or_else(|| {
        bad("attestation.tpm.endorsementKey", "The attestation type 'tpm' needs an endorsementKey.".into())
    })?;
    Ok(RequestedAttestation::Tpm(TpmKeys { endorsement_key, storage_root_key: key("storageRootKey")? }))
}

fn parse_x509(kind: EnrollmentKind, given: &Value) -> Result<RequestedAttestation> {
    const FORMS: [&str; 3] = ["clientCertificates", "signingCertificates", "caReferences"];
    only(given, "attestation.x509.", &[&FORMS])?;
    let own = match kind {
        EnrollmentKind::Group => "signingCertificates",
        EnrollmentKind::Individual => "clientCertificates",
    };
    let there: Vec<&str> = FORMS.into_iter().filter(|form| !is_empty(given.get(form))).collect();
    let form = match there.as_slice() {
        [form] if *form == own || *form == "caReferences" => *form,
        [] => {
            return Err(bad(
                "attestation.x509",
                format!("The attestation type 'x509' needs {own} or caReferences in attestation.x509."),
            ));
        }
        [form] => {
            return Err(bad(
                &format!("attestation.x509.{form}"),
                format!("An {} has no {form}; it takes {own} or caReferences.", kind.word()),
            ));
        }
        _ => {
            return Err(bad(
                "attestation.x509",
                format!("attestation.x509 has {}; give one of them.", there.join(" and ")),
            ));
        }
    };
    let path = format!("attestation.x509.{form}");
    let given = object(given, form)?.unwrap_or(&Value::Null);
    only(given, &format!("{path}."), &[&["primary", "secondary"]])?;
    let x509 = match form {
        "caReferences" => RequestedX509::CaReferences(pair(given, &path, reference)?),
        "signingCertificates" => RequestedX509::SigningCertificates(pair(given, &path, certificate)?),
        _ => RequestedX509::ClientCertificates(pair(given, &path, certificate)?),
    };
    Ok(RequestedAttestation::X509(x509))
}

fn pair<T>(given: &Value, path: &str, read: fn(&Value, &str) -> Result<T>) -> Result<Pair<T>> {
    let side = |name: &str| -> Result<Option<T>> {
        let Some(value) = given.get(name).filter(|value| !is_empty(Some(value))) else { return Ok(None) };
        read(value, &format!("{path}.{name}")).map(Some)
    };
    Ok(Pair { primary: side("primary")?, secondary: side("secondary")? })
}

fn reference(value: &Value, path: &str) -> Result<String> {
    let legal = |name: &&str| {
        name.len() <= REFERENCE_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    value.as_str().filter(legal).map(str::to_owned).ok_or_else(|| {
        bad(
            path,
            format!(
                "{path} is the name of a certificate of the provisioning service: up to {REFERENCE_CHARS} letters, digits, '-', '.' and '_'."
            ),
        )
    })
}

fn certificate(value: &Value, path: &str) -> Result<RequestedCertificate> {
    if !value.is_object() {
        return Err(bad(path, format!("{path} is a JSON object with the member certificate.")));
    }
    only(value, &format!("{path}."), &[&["certificate", "info"]])?;
    let at = |error: crate::error::Error| error.with_target(format!("{path}.certificate"));
    if let Some(text) = text(value, "certificate").map_err(at)?.filter(|text| !text.trim().is_empty()) {
        if text.len() > CERTIFICATE_TEXT_BYTES {
            return Err(bad(
                &format!("{path}.certificate"),
                format!("{path}.certificate has {} bytes; at most {CERTIFICATE_TEXT_BYTES} are accepted.", text.len()),
            ));
        }
        return Ok(RequestedCertificate::Text(text.to_owned()));
    }
    let print = value.pointer("/info/sha256Thumbprint").and_then(Value::as_str).filter(|print| print.len() == 64);
    match print {
        Some(print) => Ok(RequestedCertificate::Kept(print.to_ascii_uppercase())),
        None => Err(bad(
            &format!("{path}.certificate"),
            format!("{path}.certificate is missing: give the certificate as PEM or base64 of its DER."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(kind: EnrollmentKind, attestation: Value) -> Result<RequestedAttestation> {
        RequestedAttestation::parse(kind, &json!({"attestation": attestation}))
    }

    #[test]
    fn each_kind_takes_its_own_attestations() {
        use EnrollmentKind::{Group, Individual};
        let one = |text: &str| Pair { primary: Some(RequestedCertificate::Text(text.into())), secondary: None };
        let signing = json!({"type": "x509", "tpm": null, "symmetricKey": {}, "x509": {"clientCertificates": null, "signingCertificates": {"primary": {"certificate": "PEM", "info": null}, "secondary": null}}});
        let signing_read = RequestedAttestation::X509(RequestedX509::SigningCertificates(one("PEM")));
        assert_eq!(parse(Group, signing.clone()).unwrap(), signing_read);
        assert!(parse(Individual, signing).is_err());
        let kept = json!({"type": "x509", "x509": {"clientCertificates": {"secondary": {"info": {"sha256Thumbprint": "ab".repeat(32)}}}}});
        let pair = Pair { primary: None, secondary: Some(RequestedCertificate::Kept("AB".repeat(32))) };
        assert_eq!(
            parse(Individual, kept).unwrap(),
            RequestedAttestation::X509(RequestedX509::ClientCertificates(pair))
        );
        let references = json!({"type": "X509", "x509": {"caReferences": {"primary": "root-1", "secondary": ""}}});
        for kind in [Group, Individual] {
            let names = Pair { primary: Some("root-1".to_owned()), secondary: None };
            let read = parse(kind, references.clone()).unwrap();
            assert_eq!(read, RequestedAttestation::X509(RequestedX509::CaReferences(names)));
        }
        let tpm = json!({"type": "tpm", "tpm": {"endorsementKey": "EK"}});
        let keys = TpmKeys { endorsement_key: "EK".into(), storage_root_key: None };
        assert_eq!(parse(Individual, tpm.clone()).unwrap(), RequestedAttestation::Tpm(keys));
        assert!(parse(Group, tpm).is_err());
    }

    #[test]
    fn wrong_attestations_are_named() {
        for (attestation, target) in [
            (json!({"symmetricKey": "x"}), "symmetricKey"),
            (json!({"type": "magic"}), "attestation.type"),
            (json!({"symmetricKey": {"primaryKey": "c2hvcnQ="}}), "primaryKey"),
            (json!({"type": "tpm", "tpm": {}}), "attestation.tpm.endorsementKey"),
            (json!({"type": "tpm", "tpm": {"endorsementKey": "x".repeat(9000)}}), "attestation.tpm.endorsementKey"),
            (json!({"type": "x509"}), "attestation.x509"),
            (json!({"type": "x509", "x509": {"caReferences": {}}}), "attestation.x509"),
            (
                json!({"type": "x509", "x509": {"caReferences": {"primary": "a/b"}}}),
                "attestation.x509.caReferences.primary",
            ),
            (
                json!({"type": "x509", "x509": {"clientCertificates": {"primary": "PEM"}}}),
                "attestation.x509.clientCertificates.primary",
            ),
            (
                json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"info": {"x": 1}}}}}),
                "attestation.x509.clientCertificates.primary.certificate",
            ),
            (
                json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "x".repeat(70_000)}}}}),
                "attestation.x509.clientCertificates.primary.certificate",
            ),
            (
                json!({"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": "x"}}}}),
                "attestation.x509.signingCertificates",
            ),
            (
                json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "x"}}, "caReferences": {"primary": "x"}}}),
                "attestation.x509",
            ),
            (json!({"type": "x509", "symmetricKey": {"primaryKey": "x"}}), "attestation.symmetricKey"),
        ] {
            let error = parse(EnrollmentKind::Individual, attestation.clone()).unwrap_err();
            assert_eq!((error.numeric_code(), error.target.as_deref()), (400_004, Some(target)), "{attestation}");
        }
    }
}
