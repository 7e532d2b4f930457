//! What a resource type is to whoever reads and writes rows: its name, where its resources lie, and the tag under which
//! rows know it. A type declares its [`Kind`]; everything else about it is the ARM engine's.

use super::Stored;
use crate::platform::Platform;
use async_trait::async_trait;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::{ResourceId, Segment};

/// Tags of the types that services look at by name. A tag stands in stored rows: it never changes.
pub mod tag {
    /// Resource groups.
    pub const RESOURCE_GROUP: &str = "rg";
    /// Role definitions.
    pub const ROLE_DEFINITION: &str = "rd";
    /// Role assignments.
    pub const ROLE_ASSIGNMENT: &str = "ra";
    /// Management locks.
    pub const LOCK: &str = "lk";
    /// User-assigned identities.
    pub const USER_ASSIGNED_IDENTITY: &str = "id";
    /// Device Registry namespaces.
    pub const NAMESPACE: &str = "ns";
    /// Certificate authorities, root and issuing.
    pub const CERTIFICATE_AUTHORITY: &str = "ca";
    /// Certificate policies: the leaf settings of an issuing authority.
    pub const CERTIFICATE_POLICY: &str = "cp";
    /// Assets in a resource group.
    pub const ASSET: &str = "as";
    /// Endpoint profiles of assets in a resource group.
    pub const ASSET_ENDPOINT_PROFILE: &str = "aep";
    /// Assets of a namespace.
    pub const NAMESPACE_ASSET: &str = "nas";
    /// Assets that discovery found.
    pub const DISCOVERED_ASSET: &str = "das";
    /// Devices that discovery found.
    pub const DISCOVERED_DEVICE: &str = "ddv";
    /// Schema registries.
    pub const SCHEMA_REGISTRY: &str = "sr";
    /// Schemas of a registry.
    pub const SCHEMA: &str = "sc";
    /// Versions of a schema.
    pub const SCHEMA_VERSION: &str = "sv";
    /// Billing containers, which have no rows.
    pub const BILLING_CONTAINER: &str = "bc";
    /// ADR devices.
    pub const DEVICE: &str = "dv";
    /// IoT hubs.
    pub const IOT_HUB: &str = "hub";
    /// CA certificates of a hub.
    pub const HUB_CERTIFICATE: &str = "hc";
    /// Provisioning services.
    pub const PROVISIONING_SERVICE: &str = "dps";
    /// CA certificates of a provisioning service.
    pub const PROVISIONING_CERTIFICATE: &str = "pc";
}

/// Where resources of a type live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The type is the resource group itself.
    Group,
    /// In a resource group, or below a resource that is.
    InGroup,
    /// In a subscription, outside of its groups.
    InSubscription,
    /// On any scope, as an extension.
    Extension,
}

/// The part of a type's declaration that rows and ids need.
pub struct Kind {
    /// Short text under which rows know the type: 2 to 8 lower-case letters and digits, unique, unchangeable.
    pub tag: &'static str,
    /// Provider namespace, canonical case.
    pub provider: &'static str,
    /// Type path below the provider, canonical case, outermost first.
    pub path: &'static [&'static str],
    /// Where resources of the type live.
    pub scope: Scope,
    /// Whether resources of the type are listed over a whole subscription.
    pub listed: bool,
    /// Whether there is only one, with a name of its own.
    pub singleton: bool,
    /// Whether `properties.version` counts how often a resource was written.
    pub counted: bool,
    /// How the type shows rows of another one; `None` for a type that has rows of its own.
    pub face: Option<&'static dyn Face>,
}

/// A type without rows: another generation's picture of rows that some other type stores.
#[async_trait]
pub trait Face: Send + Sync {
    /// The resource that stands behind `name` below `parent`, with its own id; `None` where there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn behind(&self, platform: &Platform, parent: &Stored, name: &str) -> Result<Option<Stored>>;

    /// The tag of the type of which it shows every row, one by one and under its name, below the same parent; `None` where a
    /// type shows rows otherwise, and lists them itself.
    fn every(&self) -> Option<&'static str> {
        None
    }

    /// Whether `stored` is seen through this type, and under which id; `None` where it is not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn id_of(&self, platform: &Platform, stored: &Stored) -> Result<Option<ResourceId>>;
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
}

impl Kind {
    /// The least that a type says about itself.
    pub const fn new(tag: &'static str, provider: &'static str, path: &'static [&'static str]) -> Self {
        Self { tag, provider, path, scope: Scope::InGroup, listed: false, singleton: false, counted: false, face: None }
    }

    /// Full type in canonical case.
    pub fn full(&self) -> String {
        format!("{}/{}", self.provider, self.path.join("/"))
    }

    /// Whether the type lies below another resource of its provider.
    pub fn is_nested(&self) -> bool {
        self.path.len() > 1
    }

    /// The paths of a collection and of a resource of the type, as routes write them.
    pub(crate) fn patterns(&self) -> (String, String) {
        const GROUP: &str = "/subscriptions/{subscription}/resourceGroups/{resourceGroup}";
        let root = match self.scope {
            Scope::Group => return (GROUP.replace("/{resourceGroup}", ""), GROUP.to_owned()),
            Scope::InGroup => GROUP,
            Scope::InSubscription => "/subscriptions/{subscription}",
            Scope::Extension => "/{scope}",
        };
        let mut path = format!("{root}/providers/{}", self.provider);
        let mut collection = path.clone();
        for kind in self.path {
            collection = format!("{path}/{kind}");
            path = format!("{collection}/{{{}}}", kind.strip_suffix('s').unwrap_or(kind));
        }
        (collection, path)
    }

    /// Whether the last type of these segments of a provider's part is this one.
    fn fits(&self, namespace: &str, segments: &[Segment]) -> bool {
        self.path.len() == segments.len()
            && self.provider.eq_ignore_ascii_case(namespace)
            && self.path.iter().zip(segments).all(|(own, given)| own.eq_ignore_ascii_case(&given.kind))
    }

    /// The id of the resource `name` of this type below `parent`.
    pub fn child_of(&self, parent: &ResourceId, name: &str) -> ResourceId {
        match self.scope {
            Scope::Group => ResourceId { resource_group: Some(name.to_owned()), ..parent.clone() },
            Scope::InGroup if self.is_nested() => parent.child(self.path[self.path.len() - 1], name),
            Scope::InGroup | Scope::InSubscription | Scope::Extension => {
                parent.resource(self.provider, self.path[0], name)
            }
        }
    }
}

/// All types that this installation knows.
pub struct Kinds(Vec<&'static Kind>);

impl Kinds {
    /// The types in `all`.
    pub fn new(all: Vec<&'static Kind>) -> Self {
        for (index, kind) in all.iter().enumerate() {
            assert!(
                (2..=8).contains(&kind.tag.len()) && all.iter().skip(index + 1).all(|other| other.tag != kind.tag),
                "the tag '{}' of '{}' is not 2 to 8 characters of its own",
                kind.tag,
                kind.full()
            );
        }
        Self(all)
    }

    /// The type with this tag.
    pub fn tagged(&self, tag: &str) -> Option<&'static Kind> {
        self.0.iter().copied().find(|kind| kind.tag == tag)
    }

    /// The type of what `id` names.
    pub fn of(&self, id: &ResourceId) -> Option<&'static Kind> {
        match id.providers.last() {
            Some(provider) => self.below(&provider.namespace, &provider.segments),
            None if id.resource_group.is_some() => self.group(),
            None => None,
        }
    }

    /// The type of resource groups.
    pub fn group(&self) -> Option<&'static Kind> {
        self.0.iter().copied().find(|kind| kind.scope == Scope::Group)
    }

    /// The type that these segments of a provider's part name.
    pub fn below(&self, namespace: &str, segments: &[Segment]) -> Option<&'static Kind> {
        self.0.iter().copied().find(|kind| kind.scope != Scope::Group && kind.fits(namespace, segments))
    }

    /// Whether resources of other types lie below those of `kind`; roles, which may lie anywhere, apart.
    pub fn holds_others(&self, kind: &Kind) -> bool {
        kind.scope == Scope::Group || self.nested_in(kind).next().is_some()
    }

    /// The types whose rows may lie below those of `kind`.
    pub(crate) fn below_rows_of(&self, kind: &Kind) -> impl Iterator<Item = &'static Kind> {
        self.0.iter().copied().filter(|other| other.scope == Scope::Extension).chain(self.nested_in(kind))
    }

    /// The same without those that lie on any scope.
    fn nested_in(&self, kind: &Kind) -> impl Iterator<Item = &'static Kind> {
        self.0.iter().copied().filter(move |other| {
            let nested = other.provider == kind.provider
                && other.path.len() == kind.path.len() + 1
                && other.path.starts_with(kind.path);
            let in_group = kind.scope == Scope::Group && other.scope == Scope::InGroup && !other.is_nested();
            other.face.is_none() && (nested || in_group)
        })
    }

    /// The types that show rows of others.
    pub fn faces(&self) -> impl Iterator<Item = &'static dyn Face> {
        self.0.iter().filter_map(|kind| kind.face)
    }
}
