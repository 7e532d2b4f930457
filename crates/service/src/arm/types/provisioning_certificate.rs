//! CA certificates of a provisioning service (`Microsoft.Devices/provisioningServices/certificates`): enrollments name a
//! verified one in `caReferences`.

use super::provisioning_service::{FAMILY, FIRST};
use super::uploaded::{self, Upload};
use crate::arm::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, SubAnswer, TypeDecl, View};
use crate::provisioning::{expect_none_refers, that_refer_to};
use crate::resources::{self, Kind, Stored, tag};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::PROVISIONING_CERTIFICATES;
use serde_json::{Value, json};

const KIND: Kind =
    Kind::new(tag::PROVISIONING_CERTIFICATE, "Microsoft.Devices", &["provisioningServices", "certificates"]);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    name: uploaded::NAME,
    properties: &[
        uploaded::CERTIFICATE,
        uploaded::IS_VERIFIED,
        uploaded::SUBJECT,
        uploaded::EXPIRY,
        uploaded::THUMBPRINT,
        uploaded::CREATED,
        uploaded::UPDATED,
        uploaded::VERIFICATION_CODE,
    ],
    needs_if_match: true,
    // Clients take nothing else, whether it is new or not.
    put: (200, 200),
    subs: uploaded::SUBS,
    behavior: &ProvisioningCertificate,
    ..TypeDecl::new(
        KIND,
        FAMILY,
        &[View { from: from_root, ..View::hiding(FIRST, None, &["location", "systemData", uploaded::CODE_PATH]) }],
    )
};

/// Up to 2021-10-15 `certificate` and `isVerified` stand beside `properties` in a PUT (reference: cli.md), and clients of
/// later api-versions write so too.
fn from_root(doc: &mut Value) {
    let Some(root) = doc.as_object_mut() else { return };
    for name in ["certificate", "isVerified"] {
        let properties = root.get("properties").filter(|properties| !properties.is_null());
        // Said twice, or beside what is no object, it stays where it is, to be refused.
        if properties.is_some_and(|properties| !properties.is_object() || properties.get(name).is_some()) {
            continue;
        }
        let Some(value) = root.shift_remove(name) else { continue };
        let properties = root.entry("properties").or_insert(Value::Null);
        if properties.is_null() {
            *properties = json!({});
        }
        properties[name] = value;
    }
}

struct ProvisioningCertificate;

#[async_trait]
impl Behavior for ProvisioningCertificate {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let service = cx.parent.ok_or_else(|| Error::internal("a certificate without a provisioning service"))?;
        let mut upload = Upload::read(cx.platform, &cx.resource)?;
        if upload.text.contains("-----BEGIN") {
            // Clients read the member as base64.
            upload.text = STANDARD.encode(&upload.text);
        }
        if cx.is_new() {
            let siblings = resources::children(cx.platform, service.uid, &service.id, Some(KIND.tag)).await?;
            if siblings.len() >= PROVISIONING_CERTIFICATES {
                return Err(Error::conflict(format!(
                    "A provisioning service has at most {PROVISIONING_CERTIFICATES} certificates; delete one first."
                ))
                .with_code("QuotaExceeded"));
            }
        }
        uploaded::put(cx, &upload);
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        if cx.cascade {
            return Ok(());
        }
        let (service, name) = (cx.stored.parent, cx.stored.name());
        let users = that_refer_to(cx.platform, service, name).await?;
        if !users.is_empty() {
            return Err(Error::conflict(format!(
                "The certificate '{name}' cannot be deleted while enrollments refer to it: {}. Give them another certificate first, or delete them.",
                users.join(", ")
            )));
        }
        expect_none_refers(service, name, &mut cx.change);
        Ok(())
    }

    /// The list is not paged: `{"value": [...]}` whole, as `az iot dps certificate list` expects it.
    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let Some(service) = cx.parent else { return Ok(None) };
        resources::children(cx.platform, service.uid, &service.id, Some(KIND.tag)).await.map(Some)
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["generateVerificationCode"]) {
            return uploaded::generate_code(cx).await.map(Some);
        }
        if cx.is("POST", &["verify"]) {
            return uploaded::verify(cx, None).await.map(Some);
        }
        Ok(None)
    }
}
