//! Credentials: the root CA of a namespace (`Microsoft.DeviceRegistry/namespaces/credentials/default`), and
//! `synchronize`, which brings the issuing CAs to the linked hubs.

use super::{hub_certificate, namespace};
use crate::arm::activity;
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Scope, SubAnswer, TypeDecl, View};
use crate::arm::operations::{self, Lease, Record};
use crate::authz::Actor;
use crate::certificate;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, kind};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::json;

/// The declaration.
pub static DECL: TypeDecl = TypeDecl {
    namespace: "Microsoft.DeviceRegistry",
    kinds: &["namespaces", "credentials"],
    key: kind::CREDENTIAL,
    scope: Scope::InGroup,
    tracked: true,
    singleton: Some("default"),
    views: &[View { versions: &["2025-11-01-preview", "2026-03-01-preview"], hidden: &["etag"] }],
    any_version: false,
    name: NameRule {
        min: 7,
        max: 7,
        legal: |name| name.eq_ignore_ascii_case("default"),
        text: "it is always 'default'",
    },
    global_name: None,
    properties: &[],
    read_only: &["provisioningState"],
    create_only: &[],
    identity: IdentityRule::No,
    sku: false,
    put: (201, 200),
    delete: (204, 204),
    tree: false,
    subscription_list: false,
    behavior: &Credential,
};

struct Credential;

#[async_trait]
impl Behavior for Credential {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        cx.resource.properties.insert("provisioningState".into(), "Succeeded".into());
        if let (true, Some(namespace)) = (cx.is_new(), cx.parent) {
            certificate::create_root(cx.platform, namespace, cx.id, &mut cx.change).await?;
        }
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        let mut policies = resources::all_where(cx.platform.store.as_ref(), "parent", &cx.id.key()).await?;
        policies.retain(|child| child.resource.kind.eq_ignore_ascii_case(kind::POLICY));
        if !policies.is_empty() {
            let names: Vec<&str> = policies.iter().map(|s| s.resource.name.as_str()).collect();
            return Err(Error::conflict(format!(
                "The credential of namespace '{0}' cannot be deleted while it has policies: {1}. Delete them first: az iot adr ns policy delete --namespace {0} --resource-group {2} --name '<policy>'",
                namespace_name(cx.id),
                names.join(", "),
                cx.id.resource_group.as_deref().unwrap_or_default()
            ))
            .with_code("CredentialInUse"));
        }
        certificate::remove_authority(cx.platform, cx.id, &mut cx.change).await
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if !cx.is("POST", &["synchronize"]) {
            return Ok(None);
        }
        let record = Record::new(cx.platform, cx.request, "synchronize", cx.id, 204, json!({}));
        let mut change = Change::new();
        let action = "Microsoft.DeviceRegistry/namespaces/credentials/synchronize/action";
        change.unit.put(activity::success_row(cx.platform, cx.request, cx.id, action, 202)?);
        let operation = operations::start(cx.platform, record, change).await?;
        // Synchronize is answered 202 always; by the first poll it is usually done.
        operations::drive_briefly(cx.platform, &operation).await?;
        Ok(Some(SubAnswer::Accepted { operation }))
    }
}

fn namespace_name(id: &ResourceId) -> String {
    id.parent().map(|parent| parent.name().to_string()).unwrap_or_default()
}

/// The steps of `synchronize`: one unit of work for each linked hub, safe to run again.
///
/// # Errors
/// The first refusal, after every hub was tried.
pub(crate) async fn run_synchronize(platform: &Platform, record: &Record, lease: &mut Lease) -> Result<()> {
    let credential = ResourceId::parse(&record.resource)?;
    let namespace_id = credential.parent().ok_or_else(|| Error::internal("a credential without namespace"))?;
    let namespace = resources::require(platform.store.as_ref(), &namespace_id).await?;
    let actor = namespace_actor(platform, &namespace).await?;
    let mut refused: Option<Error> = None;
    for hub in namespace::linked_hubs(platform, &namespace_id.key()).await? {
        lease.renew(platform).await?;
        if let Err(error) = synchronize_hub(platform, &namespace, &actor, &hub).await {
            refused.get_or_insert(error);
        }
    }
    refused.map_or(Ok(()), Err)
}

async fn namespace_actor(platform: &Platform, namespace: &Stored) -> Result<Actor> {
    match namespace.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.as_deref()) {
        Some(principal) => platform.identity_actor(principal).await,
        None => Err(Error::forbidden(format!(
            "The namespace '{}' has no system-assigned identity with which it could write to its hubs. Give it one: PUT it with \"identity\": {{\"type\": \"SystemAssigned\"}}.",
            namespace.resource.name
        ))
        .with_code("NamespaceIdentityMissing")),
    }
}

async fn synchronize_hub(platform: &Platform, namespace: &Stored, actor: &Actor, hub: &Stored) -> Result<()> {
    let hub_id = hub.id()?;
    platform.authorize(actor, "Microsoft.Devices/IotHubs/certificates/write", &hub_id)?;
    for authority in certificate::issuing_of_namespace(platform, namespace.resource.uid).await? {
        hub_certificate::bring(platform, actor, hub, &authority).await?;
    }
    Ok(())
}
