//! `namespaces/{n}/certificates`: the certificates that a namespace's issuing authorities gave to devices, read only.
//!
//! Azure has no such list (ADR 0036). Options of the query narrow it: `deviceId`, `serialNumber`, `issuer`, `state`,
//! `expiresBefore`; `$top` and `$skipToken` page it. They are shown by issuer, and of each in the order in which they end.

use super::linked_namespace::{linked_hubs, linked_services};
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::query::{self, decode_token, next_link};
use crate::certificate::{
    self, AuthorityRecord, CertificateRecord, Standing, Wanted, inventory_page, issued_by_serial, kept, of_namespace,
};
use crate::hub::identity;
use crate::platform::Platform;
use crate::resources::{self, tag};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::ARM_PAGE;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::name::SubjectName;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Below a namespace.
pub(super) const SEGMENT: &str = "certificates";
const TYPE: &str = "Microsoft.DeviceRegistry/namespaces/certificates";
/// Member with a certificate and those above it, PEM; of one certificate only, and as long as it is kept for its device.
const CHAIN: &str = "certificateChain";
/// Hex digits of a serial number (RFC 5280: 20 octets; ours have 32 digits).
const SERIAL_DIGITS: usize = 40;
const OPTIONS: [&str; 8] =
    ["api-version", "deviceId", "serialNumber", "issuer", "state", "expiresBefore", "$top", "$skipToken"];

/// One page of the list.
pub(super) async fn list(cx: &SubContext<'_>) -> Result<SubAnswer> {
    query::check(cx.request, query::PAGED)?;
    refuse_unknown(cx)?;
    let top = query::top(cx.request)?.unwrap_or(ARM_PAGE).min(ARM_PAGE);
    let after = option(cx, "$skipToken").map(decode_token).transpose()?;
    let wanted = wanted(cx).await?;
    let (found, next) = inventory_page(cx.platform, &wanted, after.as_deref(), top).await?;
    let mut shown = Shown::new(cx, wanted.issuers);
    let mut value = Vec::with_capacity(found.len());
    for record in &found {
        value.push(shown.document(record).await?);
    }
    let mut body = json!({ "value": value });
    if let Some(next) = next {
        body["nextLink"] = next_link(cx.request, &next).into();
    }
    Ok(SubAnswer::Done(200, Some(body)))
}

/// One certificate.
pub(super) async fn show(cx: &SubContext<'_>, serial: &str) -> Result<SubAnswer> {
    query::check(cx.request, &[])?;
    let issuers = of_namespace(cx.platform, cx.stored.uid).await?;
    let found = issued_by_serial(cx.platform, &serial_number(serial)?).await?;
    let found = found.filter(|record| issuers.iter().any(|issuer| issuer.id == record.issuer));
    let Some(record) = found else {
        let shown: String = serial.chars().take(SERIAL_DIGITS).collect();
        return Err(Error::not_found(format!(
            "The namespace '{}' issued no certificate with the serial number '{shown}', or it ended long ago.",
            cx.stored.name()
        ))
        .with_code("ResourceNotFound"));
    };
    let mut shown = Shown::new(cx, issuers).document(&record).await?;
    if let Some(leaf) = kept(cx.platform, &linked_services(cx.platform, cx.stored).await?, &record).await? {
        shown["properties"][CHAIN] = chain(cx.platform, &leaf, &record.chain).await?.into();
    }
    Ok(SubAnswer::Done(200, Some(shown)))
}

/// A certificate and those above it, PEM.
async fn chain(platform: &Platform, leaf: &Certificate, above: &[Uuid]) -> Result<String> {
    let mut text = leaf.to_pem();
    for id in above {
        if let Some(authority) = certificate::authority(platform, *id).await? {
            text.push_str(&Certificate::from_der(&authority.certificate_der)?.to_pem());
        }
    }
    Ok(text)
}

fn option<'a>(cx: &SubContext<'a>, name: &str) -> Option<&'a str> {
    cx.request.query(name).filter(|text| !text.is_empty())
}

fn bad(name: &str, text: impl Into<String>) -> Error {
    Error::invalid(text).with_code("InvalidQueryParameter").with_target(name)
}

fn shown_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

fn refuse_unknown(cx: &SubContext<'_>) -> Result<()> {
    let unknown = |name: &str| !OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(name));
    match cx.request.query.iter().find(|(name, _)| unknown(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let shown = shown_text(name);
            let known = OPTIONS[1..].join(", ");
            Err(bad(&shown, format!("The query option '{shown}' is not served here; there are {known}.")))
        }
    }
}

async fn wanted(cx: &SubContext<'_>) -> Result<Wanted> {
    let all = of_namespace(cx.platform, cx.stored.uid).await?;
    let issuers = match option(cx, "issuer") {
        Some(text) => named(cx, all, text).await?,
        None => all,
    };
    let standing = option(cx, "state").map(|text| {
        let known = Standing::ALL.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        let words = Standing::ALL.map(|(word, _)| word).join(", ");
        let refusal = || bad("state", format!("'{}' is no state; there are {words}.", shown_text(text)));
        known.map(|(_, standing)| standing).ok_or_else(refusal)
    });
    let ends_before = option(cx, "expiresBefore").map(|text| {
        text.parse::<Timestamp>().map_err(|_| {
            bad("expiresBefore", format!("'{}' is no time such as 2027-01-31T00:00:00Z.", shown_text(text)))
        })
    });
    let devices = match option(cx, "deviceId") {
        Some(id) => Some(devices(cx, id).await?),
        None => None,
    };
    Ok(Wanted {
        issuers,
        devices,
        serial: option(cx, "serialNumber").map(serial_number).transpose()?,
        standing: standing.transpose()?,
        ends_before: ends_before.transpose()?,
    })
}

/// A serial number as rows have it; openssl's colons, spaces and capitals are taken.
fn serial_number(text: &str) -> Result<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    match !digits.is_empty() && digits.len() <= SERIAL_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err(bad(
            "serialNumber",
            format!("'{}' is no serial number: 1 to {SERIAL_DIGITS} hex digits.", shown_text(text)),
        )),
    }
}

/// The authorities that are meant: by the name or id of their resource (a policy's name is its authority's), their subject
/// or their thumbprint.
async fn named(cx: &SubContext<'_>, all: Vec<Arc<AuthorityRecord>>, text: &str) -> Result<Vec<Arc<AuthorityRecord>>> {
    let id = match text.starts_with('/') {
        true => ResourceId::parse(text)?,
        false => cx.id.child("certificateAuthorities", text),
    };
    let resource = resources::get(cx.platform, &id).await?.filter(|found| found.is(tag::CERTIFICATE_AUTHORITY));
    let subject = SubjectName::parse(text).ok();
    let meant = |record: &AuthorityRecord| {
        resource.as_ref().is_some_and(|found| found.uid == record.owner)
            || record.thumbprint.eq_ignore_ascii_case(text)
            || subject
                .as_ref()
                .is_some_and(|subject| SubjectName::parse(&record.subject).is_ok_and(|other| other.matches(subject)))
    };
    let found: Vec<Arc<AuthorityRecord>> = all.into_iter().filter(|record| meant(record)).collect();
    if found.is_empty() {
        return Err(bad(
            "issuer",
            format!(
                "The namespace '{}' has and had no certificate authority '{}'. Give the name or id of a policy or authority, or the subject or thumbprint of its certificate.",
                cx.stored.name(),
                shown_text(text)
            ),
        ));
    }
    Ok(found)
}

/// The uids of the devices that are called so: as identities of the namespace's hubs, or in the registry.
async fn devices(cx: &SubContext<'_>, id: &str) -> Result<Vec<Uuid>> {
    let mut found = Vec::new();
    for hub in linked_hubs(cx.platform, cx.stored).await? {
        match identity::load(cx.platform.store.as_ref(), hub.uid, id).await {
            Ok(stored) => found.extend(stored.map(|stored| stored.device.uid)),
            // What is no device id names no device.
            Err(error) if error.kind == ErrorKind::Invalid => {}
            Err(error) => return Err(error),
        }
    }
    if let Ok(path) = ResourceId::parse(&cx.id.child("devices", id).to_string())
        && let Some(device) = resources::get(cx.platform, &path).await?
        && !found.contains(&device.uid)
    {
        found.push(device.uid);
    }
    Ok(found)
}

/// Certificates as they are shown, with the ids of their authorities looked up once.
struct Shown<'a> {
    platform: &'a Platform,
    namespace: &'a ResourceId,
    issuers: HashMap<Uuid, Arc<AuthorityRecord>>,
    ids: HashMap<Uuid, Option<String>>,
}

impl<'a> Shown<'a> {
    fn new(cx: &SubContext<'a>, issuers: Vec<Arc<AuthorityRecord>>) -> Self {
        let issuers = issuers.into_iter().map(|record| (record.id, record)).collect();
        Self { platform: cx.platform, namespace: cx.id, issuers, ids: HashMap::new() }
    }

    async fn document(&mut self, record: &CertificateRecord) -> Result<Value> {
        let mut issuer = json!({});
        let mut standing = None;
        if let Some(authority) = self.issuers.get(&record.issuer).cloned() {
            standing = Some(Standing::of(record, &authority, self.platform.now()));
            if let Some(revoked) = authority.revoked {
                issuer["revoked"] = rfc3339(revoked).into();
            }
            issuer["subject"] = authority.subject.clone().into();
            issuer["thumbprint"] = authority.thumbprint.clone().into();
            if let Some(id) = self.id_of(authority.owner).await? {
                issuer["certificateAuthorityResourceId"] = id.into();
            }
        }
        let mut properties = json!({
            "serialNumber": record.serial,
            "deviceId": record.subject,
            "issuer": issuer,
            "state": standing.map(Standing::as_str),
            "validityNotBefore": rfc3339(record.not_before),
            "validityNotAfter": rfc3339(record.not_after),
            "issued": rfc3339(record.created),
            "thumbprint": record.sha256,
        });
        if let Some(device) = resources::id_of(self.platform, record.device).await? {
            properties["deviceResourceId"] = device.to_string().into();
        }
        if let Some(revoked) = record.revoked {
            properties["revoked"] = rfc3339(revoked).into();
        }
        Ok(json!({
            "id": self.namespace.child(SEGMENT, &record.serial).to_string(),
            "name": record.serial,
            "type": TYPE,
            "properties": properties,
        }))
    }

    /// The id of an authority's resource; none where it was deleted.
    async fn id_of(&mut self, owner: Uuid) -> Result<Option<String>> {
        if let Some(known) = self.ids.get(&owner) {
            return Ok(known.clone());
        }
        let id = resources::id_of(self.platform, owner).await?.map(|id| id.to_string());
        self.ids.insert(owner, id.clone());
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_as_openssl_prints_them() {
        assert_eq!(serial_number("4A:bc 01").unwrap(), "4abc01");
        for wrong in ["", "::", "xyz", &"a".repeat(41), "12\n"] {
            assert_eq!(serial_number(wrong).unwrap_err().target.as_deref(), Some("serialNumber"), "{wrong}");
        }
    }
}
