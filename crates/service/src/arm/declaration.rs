//! How a resource type is declared. A type is one value of [`TypeDecl`] and one [`Behavior`];
//! the engine does the rest: ids, rights, ETags, tags, systemData, paging, operations, activity.

use super::context::{DeleteContext, ListContext, PutContext, SubContext};
use super::operation::{Lease, StoredOperation};
use super::schema::{PROVISIONING_STATE, Property};
pub use super::view::View;
use crate::authz::Actor;
use crate::platform::Platform;
use crate::resources::{Kind, Scope, Stored};
use crate::route::{self, RouteInfo, Wants};
use async_trait::async_trait;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::Value;
use uuid::Uuid;

/// A declared resource type. Start from [`TypeDecl::new`] and say what is different.
pub struct TypeDecl {
    /// Name, place and tag.
    pub kind: Kind,
    /// Whether the type has a location and tags of its own.
    pub tracked: bool,
    /// The api-versions of the type's family that are known, oldest first.
    pub family: &'static [&'static str],
    /// Views, oldest first.
    pub views: &'static [View],
    /// Whether every api-version up to the newest of the family is served, by the newest view: what Resource Manager's own
    /// types have had so many of that only those of the future are strange.
    pub any_version: bool,
    /// What names are legal.
    pub name: NameRule,
    /// Prefix under which names are unique over all subscriptions, ignoring case.
    pub global_name: Option<&'static str>,
    /// Action of the provider that says whether such a name is free.
    pub name_check: Option<&'static str>,
    /// The members of `properties`, all of them: any other is refused.
    pub properties: &'static [Property],
    /// Members beside `properties` that only this type has; they are not stored.
    pub beside: &'static [Property],
    /// Which identities resources may have.
    pub identity: IdentityRule,
    /// Whether resources have an `extendedLocation`, which never changes.
    pub extended_location: ExtendedLocationRule,
    /// Whether `sku` is stored.
    pub sku: bool,
    /// Whether only the server makes, changes and removes resources of the type: clients read them.
    pub read_only: bool,
    /// Success codes of PUT: created, replaced.
    pub put: (u16, u16),
    /// Success codes of DELETE: existed, did not exist; 404 as the second is an error.
    pub delete: (u16, u16),
    /// Whether a change and a delete must say by If-Match of which state they are: 412 without.
    pub needs_if_match: bool,
    /// Whether DELETE answers with what was deleted.
    pub delete_answers: bool,
    /// Whether resources of the type own others, so that a delete is a durable operation over the tree.
    pub tree: bool,
    /// Whether a resource is marked while it goes, so that nothing new is made in it or linked to it.
    pub marked: bool,
    /// Whether accepted actions are answered with `Azure-AsyncOperation` beside `Location`.
    pub action_status: bool,
    /// The type's path in actions of roles, where it is not its own.
    pub action_path: Option<&'static str>,
    /// What is served below a resource: method, and a path such as `IotHubKeys/{name}/listkeys`. Nothing else reaches
    /// [`Behavior::sub`].
    pub subs: &'static [(&'static str, &'static str)],
    /// Of these, what older api-versions do not have: the path, and the first that has it.
    pub newer_subs: &'static [(&'static str, &'static str)],
    /// Actions that roles name and no path serves, such as `assign`.
    pub further_actions: &'static [&'static str],
    /// Whether locks stand against writes of the type; only locks themselves are made and taken away past them.
    pub lockable: bool,
    /// Whether lists of the type take a `$filter`, which [`Behavior::list`] then obeys.
    pub filtered: bool,
    /// How many there are at most in Azure.
    pub quota: Option<Quota>,
    /// Whether there may be a million below one resource, so that who looks at everything leaves them out.
    pub numerous: bool,
    /// What is particular to the type.
    pub behavior: &'static dyn Behavior,
}

impl TypeDecl {
    /// A proxy resource in a group, with names of letters, digits and inner dashes and nothing to set.
    pub const fn new(kind: Kind, family: &'static [&'static str], views: &'static [View]) -> Self {
        Self {
            kind,
            tracked: false,
            family,
            views,
            any_version: false,
            name: NameRule { min: 3, max: 63, legal: inner_dashes, text: "letters, digits and inner '-'" },
            global_name: None,
            name_check: None,
            properties: &[PROVISIONING_STATE],
            beside: &[],
            identity: IdentityRule::No,
            extended_location: ExtendedLocationRule::No,
            sku: false,
            read_only: false,
            put: (201, 200),
            delete: (200, 204),
            needs_if_match: false,
            delete_answers: false,
            tree: false,
            marked: false,
            action_status: true,
            action_path: None,
            subs: &[],
            newer_subs: &[],
            further_actions: &[],
            lockable: true,
            filtered: false,
            quota: None,
            numerous: false,
            behavior: &Plain,
        }
    }
}

/// Whether `name` has only ASCII letters, digits and '-', starting and ending with a letter or digit.
pub fn inner_dashes(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// How many resources of a type Azure lets a subscription have, or each resource above them.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Name among the usages of the provider, such as `namespaces`.
    pub name: &'static str,
    /// The same in words.
    pub words: &'static str,
    /// Azure's limit.
    pub most: usize,
    /// What the resource above is called, in each of which they are counted; `None`: in the subscription.
    pub above: Option<&'static str>,
    /// Whether it holds where a subscription asks for it; else it is only shown.
    pub holds: bool,
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

/// Whether resources of a type have an `extendedLocation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendedLocationRule {
    /// They have none.
    No,
    /// They may have one.
    May,
    /// They must have one.
    Must,
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

/// How a resource is shown to whoever asks for it through one of several scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Under its own id.
    AsStored,
    /// Under this one.
    As(ResourceId),
    /// Not at all: through that scope there is none.
    Not,
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

    /// Removes rows that hang on the resource, for the actor who deletes it, in units of their own; run again until it finds none.
    async fn purge(&self, platform: &Platform, actor: &Actor, stored: &Stored) -> Result<()> {
        let _ = (platform, actor, stored);
        Ok(())
    }

    /// The id under which a resource is stored that can be reached through several scopes; `None` for the one it was asked by.
    fn home(&self, platform: &Platform, id: &ResourceId) -> Option<ResourceId> {
        let _ = (platform, id);
        None
    }

    /// The scope at which a right on `id` is asked for, where that is not the id.
    fn asked_at(&self, platform: &Platform, id: &ResourceId) -> Option<ResourceId> {
        let _ = (platform, id);
        None
    }

    /// Under which id a resource is shown to whoever asks by `asked`, the id or the scope of a path.
    fn shown(&self, asked: &ResourceId, stored: &Stored) -> Shown {
        let _ = (asked, stored);
        Shown::AsStored
    }

    /// Type and parent under which a new resource of a type without rows is stored; `None` for a type with rows.
    async fn stored_as(&self, platform: &Platform, parent: &Stored) -> Result<Option<(&'static Kind, Stored)>> {
        let _ = (platform, parent);
        Ok(None)
    }

    /// What uses the resource from outside of what is about to go; one reason each.
    async fn held_by(&self, platform: &Platform, stored: &Stored, going: &ResourceId) -> Result<Vec<String>> {
        let _ = (platform, stored, going);
        Ok(Vec::new())
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

    /// Adds what a view shows beyond the stored document: references as ids, computed members. What `shape` hides is taken away
    /// afterwards, and need not be made.
    async fn decorate(&self, platform: &Platform, stored: &Stored, shape: &View, view: &mut Value) -> Result<()> {
        let _ = (platform, stored, shape, view);
        Ok(())
    }

    /// The operations of which [`Behavior::decorate`] shows how far they are: whoever keeps what was shown looks at them too.
    fn shown_operations(&self, stored: &Stored) -> Vec<Uuid> {
        let _ = stored;
        Vec::new()
    }

    /// A resource that is not stored, such as a built-in role.
    async fn virtual_get(&self, platform: &Platform, id: &ResourceId) -> Result<Option<Stored>> {
        let _ = (platform, id);
        Ok(None)
    }

    /// Replaces the default listing.
    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let _ = cx;
        Ok(None)
    }

    /// Answers an action (POST) or a sub-path (GET, PUT, DELETE) below the resource.
    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        let _ = cx;
        Ok(None)
    }

    /// Carries out a durable operation of the type, or what is left of it; safe to run again.
    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        let _ = (platform, lease);
        Err(Error::internal(format!("operation {} is of unknown kind {}", record.id, record.kind)))
    }
}

/// What a sub-path answered.
pub enum SubAnswer {
    /// An answer made at once.
    Done(u16, Option<Value>),
    /// The same, of what was written to the activity log already, or is none of its rows.
    Written(u16, Option<Value>),
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
        self.kind.full()
    }

    /// The action of a verb on this type, such as `Microsoft.Devices/IotHubs/write`.
    pub fn action(&self, verb: &str) -> String {
        match self.action_path {
            Some(path) => format!("{path}/{verb}"),
            None => format!("{}/{verb}", self.full()),
        }
    }

    /// Every action of roles that the type knows: read, write, delete, and those of its sub-paths.
    pub fn actions(&self) -> Vec<String> {
        let verbs: &[&str] = if self.read_only { &["read"] } else { &["read", "write", "delete"] };
        let mut all: Vec<String> = verbs.iter().map(|verb| self.action(verb)).collect();
        all.extend(self.sub_actions());
        all
    }

    /// The action, on a subscription, of asking whether a name of the type is free; `None` where nobody asks that.
    pub fn name_check_action(&self) -> Option<String> {
        self.name_check.map(|word| format!("{}/{word}/action", self.kind.provider))
    }

    /// The actions beside read, write and delete.
    pub fn sub_actions(&self) -> Vec<String> {
        let served = self.subs.iter().map(|(method, path)| {
            let tail: Vec<String> = path.split('/').map(str::to_owned).collect();
            self.sub_action(method, &tail)
        });
        served.chain(self.further_actions.iter().map(|name| self.action(&format!("{name}/action")))).collect()
    }

    /// The action of a request below a resource: the kinds in its path are every other segment, as in
    /// `IotHubKeys/{name}/listkeys`.
    pub fn sub_action(&self, method: &str, tail: &[String]) -> String {
        let kinds: Vec<&str> = tail.iter().step_by(2).map(String::as_str).collect();
        let verb = match method {
            "POST" => "action",
            "GET" | "HEAD" => "read",
            "DELETE" => "delete",
            _ => "write",
        };
        self.action(&format!("{}/{verb}", kinds.join("/")))
    }

    /// The first api-version that has a path below a resource, where older ones of the type do not have it.
    pub fn first_with(&self, tail: &[String]) -> Option<&'static str> {
        self.newer_subs.iter().find(|(path, _)| route::captures(path, tail).is_some()).map(|(_, first)| *first)
    }

    /// Whether a path below a resource is served.
    pub fn serves(&self, method: &str, tail: &[String]) -> bool {
        self.subs.iter().any(|(served, path)| *served == method && route::captures(path, tail).is_some())
    }

    /// The error for an api-version that does not have a path below the type's resources.
    pub(super) fn too_old(&self, version: &ApiVersion, tail: &[String], first: &str) -> Error {
        Error::invalid(format!(
            "The api-version '{version}' of '{}' has no '{}'; it came with '{first}'.",
            self.full(),
            tail.join("/")
        ))
        .with_code("NoRegisteredProviderFound")
    }

    /// The routes of the type, with `{scope}` where an extension stands on another resource.
    pub fn routes(&self) -> Vec<RouteInfo> {
        let row = |method: &str, path: String| RouteInfo {
            plane: "arm",
            method: method.to_owned(),
            path,
            wants: Wants::Right,
        };
        let (collection, resource) = self.kind.patterns();
        let mut all = vec![row("GET", collection.clone())];
        if self.kind.listed && self.kind.scope == Scope::InGroup {
            all.push(row("GET", collection.replace("/resourceGroups/{resourceGroup}", "")));
        }
        let methods: &[&str] =
            if self.read_only { &["GET", "HEAD"] } else { &["GET", "HEAD", "PUT", "PATCH", "DELETE"] };
        all.extend(methods.iter().map(|method| row(method, resource.clone())));
        all.extend(self.subs.iter().map(|(method, tail)| row(method, format!("{resource}/{tail}"))));
        all
    }

    /// All api-versions of the type, newest first.
    pub fn versions(&self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = self
            .family
            .iter()
            .copied()
            .filter(|version| ApiVersion::parse(version).is_ok_and(|version| self.view_of(&version).is_some()))
            .collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }

    fn view_of(&self, version: &ApiVersion) -> Option<&'static View> {
        self.views.iter().find(|view| view.covers(version))
    }

    /// The view of an api-version of the family that has the type. A version that nobody knows has no shape to be answered in.
    ///
    /// # Errors
    /// `NoRegisteredProviderFound` listing what is served, for Resource Manager's own types `InvalidApiVersionParameter`.
    pub fn view(&self, version: &ApiVersion, location: Option<&str>) -> Result<&'static View> {
        if self.family.contains(&version.as_str())
            && let Some(view) = self.view_of(version)
        {
            return Ok(view);
        }
        let known = self.any_version && self.family.iter().any(|known| version.cmp_declared(known).is_le());
        match self.views.last() {
            Some(view) if known => Ok(view),
            _ if self.kind.scope == Scope::Group => Err(Error::invalid(format!(
                "The api-version '{version}' is invalid. The supported versions are '{}'.",
                self.versions().join(",")
            ))
            .with_code("InvalidApiVersionParameter")),
            _ => Err(Error::invalid(format!(
                "No registered resource provider found for location '{}' and API version '{version}' for type '{}'. The supported api-versions are '{}'. The supported locations are '{}'.",
                location.unwrap_or("global"),
                self.kind.path.join("/"),
                self.versions().join(", "),
                super::region::names().join(", ")
            ))
            .with_code("NoRegisteredProviderFound")),
        }
    }

    /// Whether the type lies on any scope, as an extension.
    pub fn is_extension(&self) -> bool {
        self.kind.scope == Scope::Extension
    }
}
