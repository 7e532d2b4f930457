//! Secrets and certificates of applications and service principals: given, listed, taken away.

use super::applications::{is_hidden, refuse_fixed};
use super::objects::{refuse_unknown, unknown};
use super::{Answer, Graph, GraphRequest};
use crate::departure;
use crate::directory;
use crate::platform::Change;
use crate::tables::PRINCIPALS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CREDENTIAL_NAME_CHARS;
use ferrohub_model::principal::{CertificateCredential, ClientSecret, CredentialLabel, Principal};
use ferrohub_model::time::rfc3339;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::key;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Secrets of one application, and its certificates: ours.
const CREDENTIALS: usize = 20;
/// Life of a secret where none is given, seconds (Graph: 2 years; `az` asks for one).
const SECRET_SECONDS: i64 = 365 * 24 * 3600;

/// Members of a secret: acted upon, or shown and put back by clients.
const PASSWORD_MEMBERS: &[&str] =
    &["displayName", "startDateTime", "endDateTime", "keyId", "hint", "secretText", "customKeyIdentifier"];
/// Members of a certificate, likewise.
const CERTIFICATE_MEMBERS: &[&str] =
    &["displayName", "startDateTime", "endDateTime", "keyId", "key", "type", "usage", "customKeyIdentifier"];

/// The two objects of Graph that share a principal's row, each with credentials of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The application.
    Application,
    /// Its service principal.
    Principal,
}

impl Holder {
    /// Whether a credential is this one's.
    pub(super) fn holds(self, label: &CredentialLabel) -> bool {
        label.of_principal == (self == Self::Principal)
    }
}

impl Graph {
    /// A new secret, whose text is told once.
    pub(super) async fn add_password(
        &self,
        request: &GraphRequest,
        principal: &Principal,
        holder: Holder,
    ) -> Result<Answer> {
        refuse_fixed(principal)?;
        refuse_unknown(request.body.as_ref(), "", &["passwordCredential"])?;
        let credential = request.body.as_ref().and_then(|b| b.get("passwordCredential"));
        refuse_unknown(credential, "passwordCredential", PASSWORD_MEMBERS)?;
        let text = |name: &str| credential.and_then(|c| c.get(name)).and_then(Value::as_str);
        let now = self.platform.clock.unix_seconds();
        let expires = match text("endDateTime") {
            Some(end) => seconds(end, "passwordCredential.endDateTime")?,
            None => now + SECRET_SECONDS,
        };
        let starts = match text("startDateTime") {
            Some(start) => seconds(start, "passwordCredential.startDateTime")?,
            None => now,
        };
        let secret = key::generate_client_secret(self.platform.random.as_ref());
        let stored = ClientSecret {
            key_id: self.platform.random.uuid_v4().to_string(),
            hash: key::hash_secret(&secret, self.platform.random.as_ref()),
            expires,
            label: CredentialLabel {
                display_name: name(text("displayName"))?,
                starts: Some(starts),
                hint: secret.get(..3).map(str::to_owned),
                of_principal: holder == Holder::Principal,
            },
        };
        let mut answer = password_view(&stored);
        answer["secretText"] = secret.as_str().into();
        self.change(&principal.id, |principal| {
            if principal.secrets.len() >= CREDENTIALS {
                return Err(Error::conflict(format!(
                    "An application has at most {CREDENTIALS} secrets; remove one first."
                )));
            }
            principal.secrets.push(stored.clone());
            Ok(())
        })
        .await?;
        Ok((200, Some(answer)))
    }

    /// Takes a secret away by its `keyId`.
    pub(super) async fn remove_password(
        &self,
        request: &GraphRequest,
        principal: &Principal,
        holder: Holder,
    ) -> Result<Answer> {
        refuse_unknown(request.body.as_ref(), "", &["keyId"])?;
        let id = request.body.as_ref().and_then(|body| body.get("keyId")).and_then(Value::as_str).unwrap_or_default();
        let named = |secret: &ClientSecret| holder.holds(&secret.label) && secret.key_id.eq_ignore_ascii_case(id);
        self.change(&principal.id, |principal| {
            if !principal.secrets.iter().any(named) {
                return Err(Error::invalid_property("keyId", "No password credential found with keyId."));
            }
            principal.secrets.retain(|secret| !named(secret));
            Ok(())
        })
        .await?;
        Ok((204, None))
    }

    /// Changes a principal's row with `edit`, again if somebody else was faster.
    pub(super) async fn change(&self, id: &str, edit: impl Fn(&mut Principal) -> Result<()>) -> Result<Principal> {
        let contended = || Error::conflict("The application is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let Some(row) = self.platform.store.get(&PRINCIPALS, id).await? else { return Err(unknown(id)) };
            let version = row.version;
            let mut principal = Principal::clone(&*directory::from_row(&row)?);
            let was_disabled = principal.disabled;
            edit(&mut principal)?;
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, id, version);
            if principal.disabled && !was_disabled {
                departure::check_principal(&self.platform, id, None, &mut change).await?;
            }
            if principal.id != id {
                change.unit.delete(&PRINCIPALS, id.to_owned());
            }
            change.unit.put(directory::put(&principal)?);
            if self.platform.try_commit(change).await? {
                return Ok(principal);
            }
        }
    }
}

/// Replaces the certificates of `holder` by those of `keyCredentials`. One that is there already is known by its `keyId`
/// and may be sent without its certificate, as Graph never shows that.
pub(super) fn set_certificates(principal: &mut Principal, holder: Holder, sent: &Value) -> Result<()> {
    let path = "keyCredentials";
    let sent = sent.as_array().ok_or_else(|| Error::invalid_property(path, "'keyCredentials' is a list."))?;
    if sent.len() > CREDENTIALS {
        return Err(Error::invalid_property(
            path,
            format!("An application has at most {CREDENTIALS} certificates; remove one first."),
        ));
    }
    let mut kept: Vec<CertificateCredential> = Vec::with_capacity(sent.len());
    for entry in sent {
        refuse_unknown(Some(entry), path, CERTIFICATE_MEMBERS)?;
        let id = entry.get("keyId").and_then(Value::as_str).unwrap_or_default();
        let known = principal.certificates.iter().find(|c| holder.holds(&c.label) && c.key_id.eq_ignore_ascii_case(id));
        let credential = match (entry.get("key").and_then(Value::as_str), known) {
            (None, Some(known)) => known.clone(),
            (None, None) => {
                return Err(Error::invalid_property(
                    "keyCredentials.key",
                    "'key' is missing: the certificate in base64. It may be left out for a credential that is there already.",
                ));
            }
            (Some(key), _) => certificate(entry, id, key, holder)?,
        };
        if kept.iter().any(|other| other.key_id == credential.key_id) {
            return Err(Error::invalid_property("keyCredentials.keyId", format!("The key id '{id}' occurs twice.")));
        }
        kept.push(credential);
    }
    principal.certificates.retain(|certificate| !holder.holds(&certificate.label));
    principal.certificates.append(&mut kept);
    Ok(())
}

fn certificate(entry: &Value, id: &str, key: &str, holder: Holder) -> Result<CertificateCredential> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let id = uuid::Uuid::parse_str(id)
        .map_err(|_| Error::invalid_property("keyCredentials.keyId", "'keyId' is a GUID of the client's choice."))?;
    for (name, wanted) in [("type", "AsymmetricX509Cert"), ("usage", "Verify")] {
        if !text(name).is_some_and(|sent| sent.eq_ignore_ascii_case(wanted)) {
            return Err(Error::invalid_property(
                format!("keyCredentials.{name}"),
                format!("Ferrohub takes certificates that verify assertions: '{name}' is '{wanted}'."),
            ));
        }
    }
    let parsed = Certificate::from_pem_or_base64(key)
        .map_err(|error| Error::invalid_property("keyCredentials.key", error.message))?;
    if !matches!(parsed.key_kind(), Ok(KeyKind::Rsa(bits)) if bits >= 2048) {
        return Err(Error::invalid_property(
            "keyCredentials.key",
            "The certificate's key must be RSA of 2048 bits or more: Entra takes RS256 and PS256 assertions only.",
        ));
    }
    let (first, last) = (parsed.not_before().as_second(), parsed.not_after().as_second());
    let starts = text("startDateTime").map(|start| seconds(start, "keyCredentials.startDateTime")).transpose()?;
    let expires = text("endDateTime").map(|end| seconds(end, "keyCredentials.endDateTime")).transpose()?;
    let expires = expires.unwrap_or(last);
    if expires > last {
        return Err(Error::invalid_property(
            "keyCredentials.endDateTime",
            format!("Key credential end date is invalid: the certificate ends at {}.", time(last)),
        ));
    }
    Ok(CertificateCredential {
        key_id: id.to_string(),
        certificate: STANDARD.encode(parsed.der()),
        expires,
        label: CredentialLabel {
            display_name: name(text("displayName").or(parsed.common_name()))?,
            starts: Some(starts.unwrap_or(first).max(first)),
            hint: None,
            of_principal: holder == Holder::Principal,
        },
    })
}

fn name(text: Option<&str>) -> Result<Option<String>> {
    match text {
        Some(text) if text.chars().count() > CREDENTIAL_NAME_CHARS || text.chars().any(is_hidden) => {
            Err(Error::invalid_property(
                "displayName",
                format!(
                    "The name of a credential has at most {CREDENTIAL_NAME_CHARS} characters, none of them a control character."
                ),
            ))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn seconds(text: &str, path: &str) -> Result<i64> {
    let time = text.parse::<Timestamp>();
    time.map(Timestamp::as_second)
        .map_err(|_| Error::invalid_property(path, "A time such as 2027-01-31T00:00:00Z is expected."))
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(rfc3339).unwrap_or_default()
}

/// A secret as Graph shows it: never its text.
pub(super) fn password_view(secret: &ClientSecret) -> Value {
    json!({
        "customKeyIdentifier": null,
        "displayName": secret.label.display_name,
        "endDateTime": time(secret.expires),
        "hint": secret.label.hint,
        "keyId": secret.key_id,
        "secretText": null,
        "startDateTime": secret.label.starts.map(time)
    })
}

/// A certificate as Graph lists it: by its SHA-1 thumbprint, without its bytes.
pub(super) fn certificate_view(credential: &CertificateCredential) -> Value {
    let parsed = STANDARD.decode(&credential.certificate).ok().and_then(|der| Certificate::from_der(&der).ok());
    json!({
        "customKeyIdentifier": parsed.as_ref().map(Certificate::sha1),
        "displayName": credential.label.display_name,
        "endDateTime": time(credential.expires),
        "key": null,
        "keyId": credential.key_id,
        "startDateTime": credential.label.starts.map(time),
        "type": "AsymmetricX509Cert",
        "usage": "Verify"
    })
}
