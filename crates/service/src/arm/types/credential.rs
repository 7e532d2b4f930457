//! Credentials: the root CA of a namespace as 2025-11-01-preview and 2026-03-01-preview show it
//! (`Microsoft.DeviceRegistry/namespaces/credentials/default`), and `synchronize`, which brings the issuing CAs to the
//! linked hubs ([`super::synchronize`]). The row behind it is the namespace's root certificate authority.

use super::authority::{self, CREDENTIAL, is_root, issuing_beside, write_root};
use super::registry_versions::REGISTRY_FAMILY;
use super::synchronization::Direction;
use super::{root_rotation, synchronization, synchronize};
use crate::arm::activity;
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::operations;
use crate::certificate;
use crate::platform::{Change, Platform};
use crate::resources::{self, Face, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value, json};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule {
        min: 7,
        max: 7,
        legal: |name| name.eq_ignore_ascii_case(CREDENTIAL),
        text: "it is always 'default'",
    },
    delete: (204, 204),
    action_status: false,
    subs: &[("POST", SYNCHRONIZE), ("POST", UNDO), ("GET", SYNCHRONIZATION), ("POST", root_rotation::ACTION)],
    behavior: &Credential,
    ..TypeDecl::new(
        Kind {
            singleton: true,
            face: Some(&Credential),
            ..Kind::new("cr", "Microsoft.DeviceRegistry", &["namespaces", "credentials"])
        },
        REGISTRY_FAMILY,
        &[View::hiding("2025-11-01-preview", Some("2026-03-01-preview"), &["etag"])],
    )
};

/// Name of the root certificate authority behind a credential that was made as one.
const ROOT_NAME: &str = "default-root";
pub(super) const SYNCHRONIZE: &str = "synchronize";
/// Takes the policies that it names off hubs: ours.
const UNDO: &str = "undoSynchronize";
/// Where policies and hubs stand: ours.
const SYNCHRONIZATION: &str = "synchronization";

struct Credential;

#[async_trait]
impl Face for Credential {
    async fn behind(&self, platform: &Platform, parent: &Stored, name: &str) -> Result<Option<Stored>> {
        if !name.eq_ignore_ascii_case(CREDENTIAL) {
            return Ok(None);
        }
        authority::root(platform, parent.uid).await
    }

    async fn id_of(&self, _platform: &Platform, stored: &Stored) -> Result<Option<ResourceId>> {
        let shown = stored.is(tag::CERTIFICATE_AUTHORITY) && is_root(stored);
        Ok(stored.id.parent().filter(|_| shown).map(|namespace| namespace.child("credentials", CREDENTIAL)))
    }
}

#[async_trait]
impl Behavior for Credential {
    async fn stored_as(&self, _platform: &Platform, parent: &Stored) -> Result<Option<(&'static Kind, Stored)>> {
        Ok(Some((&authority::KIND, parent.clone())))
    }

    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let namespace = cx.parent.ok_or_else(|| Error::internal("a credential without namespace"))?;
        if cx.is_new() {
            // Policies are authorities beside it, and 'default' is what the first of them is called.
            cx.resource.name = ROOT_NAME.into();
        }
        write_root(cx, namespace, None).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        let issued = match cx.cascade {
            true => resources::linked(cx.platform, &cx.stored.key()).await?,
            // Under a root of somebody else too: nobody would see them any more.
            false => issuing_beside(cx.platform, cx.stored).await?,
        };
        if !issued.is_empty() {
            let names: Vec<&str> = issued.iter().map(Stored::name).collect();
            return Err(Error::conflict(format!(
                "The credential of namespace '{0}' cannot be deleted while it has policies: {1}. Delete them first: az iot adr ns policy delete --namespace {0} --resource-group {2} --name '<policy>'",
                namespace_name(cx.id),
                names.join(", "),
                cx.id.resource_group.as_deref().unwrap_or_default()
            ))
            .with_code("CredentialInUse"));
        }
        certificate::retire(cx.platform, cx.stored.uid, &mut cx.change).await
    }

    async fn decorate(&self, _platform: &Platform, _stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        doc["name"] = CREDENTIAL.into();
        let mut shown = Map::new();
        shown.insert("provisioningState".into(), doc["properties"]["provisioningState"].clone());
        doc["properties"] = Value::Object(shown);
        Ok(())
    }

    async fn list(&self, cx: &crate::arm::context::ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let Some(namespace) = cx.parent else { return Ok(None) };
        let found = resources::get(cx.platform, &namespace.id.child("credentials", CREDENTIAL)).await?;
        Ok(Some(found.into_iter().collect()))
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("GET", &[SYNCHRONIZATION]) {
            return synchronization::list(cx).await.map(Some);
        }
        if cx.is("POST", &[root_rotation::ACTION]) {
            return root_rotation::rotate(cx, &DECL.action("rotate/action")).await.map(Some);
        }
        let (name, direction) = match cx.is("POST", &[SYNCHRONIZE]) {
            true => (SYNCHRONIZE, Direction::Bring),
            false if cx.is("POST", &[UNDO]) => (UNDO, Direction::TakeAway),
            false => return Ok(None),
        };
        let wanted = synchronize::Wanted::read(cx, direction).await?;
        let mut input = json!({"request": cx.request.request_id, "correlation": cx.request.correlation_id});
        wanted.write(&mut input);
        let (row, begun) = activity::begin(cx.platform, cx.request, cx.id, &DECL.action(&format!("{name}/action")))?;
        let record = StoredOperation::new(cx.platform, begun, DECL.kind.tag, name, cx.id, 204, input);
        let mut change = Change::new();
        change.unit.put(row);
        let operation = operations::start(cx.platform, record, change).await?;
        // Synchronize is answered 202 always; by the first poll it is usually done.
        operations::drive_briefly(cx.platform, &operation).await?;
        Ok(Some(SubAnswer::Accepted { operation }))
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        synchronize::run(platform, record, lease).await
    }
}

fn namespace_name(id: &ResourceId) -> String {
    id.parent().map(|parent| parent.name().to_string()).unwrap_or_default()
}
