//! How a resource type is declared. A type is one value of [`TypeDecl`] and one [`Behavior`];
//! the engine does the rest: ids, rights, ETags, tags, systemData, paging, operations, activity.

use super::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::platform::Platform;
use crate::resources::Stored;
use async_trait::async_trait;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use serde_json::Value;

/// A declared resource type.
pub struct TypeDecl {
    /// Provider namespace, canonical case.
    pub namespace: &'static str,
    /// Type path below the namespace, canonical case, outermost first.
    pub kinds: &'static [&'static str],
    /// The type's lower-cased full name, as the `kind` column holds it.
    pub key: &'static str,
    /// Where resources of the type live.
    pub scope: Scope,
    /// Whether the type has a location and tags of its own.
    pub tracked: bool,
    /// The only name a singleton may have.
    pub singleton: Option<&'static str>,
    /// Views, oldest first.
    pub views: &'static [View],
    /// Whether any syntactically valid api-version is served by the newest view.
    pub any_version: bool,
    /// What names are legal.
    pub name: NameRule,
    /// Prefix under which names are unique over all subscriptions, ignoring case.
    pub global_name: Option<&'static str>,
    /// Known members of `properties`; others are ignored on input.
    pub properties: &'static [&'static str],
    /// Dotted paths below `properties` that only the server writes.
    pub read_only: &'static [&'static str],
    /// Dotted paths below `properties` that cannot change after creation.
    pub create_only: &'static [&'static str],
    /// Which identities resources may have.
    pub identity: IdentityRule,
    /// Whether `sku` is stored.
    pub sku: bool,
    /// Success codes of PUT: created, replaced.
    pub put: (u16, u16),
    /// Success codes of DELETE: existed, did not exist.
    pub delete: (u16, u16),
    /// Whether resources of the type own others, so that a delete is a durable operation over the tree.
    pub tree: bool,
    /// Whether the collection also exists at subscription scope.
    pub subscription_list: bool,
    /// What is particular to the type.
    pub behavior: &'static dyn Behavior,
}

/// Where resources of a type live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The type is the resource group itself.
    Group,
    /// In a resource group, or below a resource that is.
    InGroup,
    /// On any scope, as an extension.
    Extension,
}

/// Which identities resources of a type may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityRule {
    /// None.
    No,
    /// System-assigned only.
    System,
    /// Both. The text joins the two words when both are set: IoT Hub writes a space after the comma, others do not.
    Both(&'static str),
}

/// One shape of a type, shared by some api-versions.
pub struct View {
    /// The api-versions, lower case, oldest first.
    pub versions: &'static [&'static str],
    /// Dotted paths from the resource's root that this shape does not know, such as `properties.deviceRegistry`.
    pub hidden: &'static [&'static str],
}

/// What names are legal.
pub struct NameRule {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Whether the characters are legal.
    pub legal: fn(&str) -> bool,
    /// The rule in words, completing "The name … is not valid: ".
    pub text: &'static str,
}

impl NameRule {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidResourceName` with the rule.
    pub fn check(&self, kind: &str, name: &str) -> Result<()> {
        let length = name.chars().count();
        if (self.min..=self.max).contains(&length) && (self.legal)(name) {
            return Ok(());
        }
        let shown: String = name.chars().take(100).collect();
        Err(Error::invalid(format!(
            "The name '{shown}' is not valid for a resource of type '{kind}': {} to {} characters, {}.",
            self.min, self.max, self.text
        ))
        .with_code("InvalidResourceName")
        .with_target("name"))
    }
}

/// What is particular to a type. Every method has a default, so that a plain type declares nothing.
#[async_trait]
pub trait Behavior: Send + Sync {
    /// Checks and completes `cx.resource` before it is written; may add rows to `cx.change`.
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Checks whether the resource may go, and adds what must go with it to `cx.change`.
    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Removes rows that hang on the resource, in units of their own; run again until it finds none.
    async fn purge(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        let _ = (platform, stored);
        Ok(())
    }

    /// The id under which a resource is stored that can be reached through several scopes.
    fn home(&self, platform: &Platform, id: &ResourceId) -> ResourceId {
        let _ = platform;
        id.clone()
    }

    /// Drops what this process holds in memory about the resource, once it is gone. Rows go in [`Behavior::before_delete`]
    /// or [`Behavior::purge`]: this is not run again after a crash.
    async fn after_delete(&self, platform: &Platform, stored: &Stored) -> Result<()> {
        let _ = (platform, stored);
        Ok(())
    }

    /// The error when a unique column of the row is taken; without one, the name is reported as taken.
    fn taken(&self, id: &ResourceId, column: &str) -> Option<Error> {
        let _ = (id, column);
        None
    }

    /// Adds what a view shows beyond the stored resource, such as computed members.
    async fn decorate(&self, platform: &Platform, resource: &Resource, view: &mut Value) -> Result<()> {
        let _ = (platform, resource, view);
        Ok(())
    }

    /// A resource that is not stored, such as a built-in role.
    async fn virtual_get(&self, platform: &Platform, id: &ResourceId) -> Result<Option<Resource>> {
        let _ = (platform, id);
        Ok(None)
    }

    /// Replaces the default listing.
    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Resource>>> {
        let _ = cx;
        Ok(None)
    }

    /// Answers an action (POST) or a sub-path (GET, PUT, DELETE) below the resource.
    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        let _ = cx;
        Ok(None)
    }
}

/// What a sub-path answered.
pub enum SubAnswer {
    /// An answer made at once.
    Done(u16, Option<Value>),
    /// A durable operation that was accepted; answered 202 with `Location`, and with `Azure-AsyncOperation` where asked for.
    Accepted {
        /// Id of the operation row, already committed.
        operation: String,
    },
}

/// A behaviour that adds nothing.
pub struct Plain;

#[async_trait]
impl Behavior for Plain {}

impl TypeDecl {
    /// Full type in canonical case.
    pub fn full(&self) -> String {
        format!("{}/{}", self.namespace, self.kinds.join("/"))
    }

    /// The action of a verb on this type, such as `Microsoft.Devices/IotHubs/write`.
    pub fn action(&self, verb: &str) -> String {
        match self.scope {
            Scope::Group => format!("Microsoft.Resources/subscriptions/resourceGroups/{verb}"),
            Scope::InGroup | Scope::Extension => format!("{}/{verb}", self.full()),
        }
    }

    /// All api-versions of the type, newest first.
    pub fn versions(&self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = self.views.iter().flat_map(|view| view.versions.iter().copied()).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }

    /// The view of an api-version: the one that names it, or the newest for a version newer than all known ones.
    ///
    /// # Errors
    /// `NoRegisteredProviderFound` listing what is served.
    pub fn view(&self, version: &ApiVersion, location: Option<&str>) -> Result<&'static View> {
        let views = self.views;
        if let Some(view) = views.iter().find(|view| view.versions.contains(&version.as_str())) {
            return Ok(view);
        }
        let newest = views.iter().flat_map(|v| v.versions.iter()).filter_map(|v| ApiVersion::parse(v).ok()).max();
        let newer = newest.is_some_and(|known| *version > known);
        match views.last() {
            Some(view) if self.any_version || newer => Ok(view),
            _ => Err(Error::invalid(format!(
                "No registered resource provider found for location '{}' and API version '{version}' for type '{}'. The supported api-versions are '{}'. The supported locations are '{}'.",
                location.unwrap_or("global"),
                self.kinds.join("/"),
                self.versions().join(", "),
                super::region::names().join(", ")
            ))
            .with_code("NoRegisteredProviderFound")),
        }
    }
}
