//! Directory principals: people, groups, applications and managed identities that may hold roles.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What kind of principal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// An application's service principal.
    ServicePrincipal,
    /// The identity of a resource, or a user-assigned identity.
    ManagedIdentity,
    /// An application whose service principal was deleted: nobody can act as it, and its row is kept under the
    /// application's object id.
    Application,
    /// A group: its members have its roles. Nobody signs in as one.
    Group,
}

impl PrincipalKind {
    /// What role assignments call it (`principalType`).
    pub fn role_word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServicePrincipal | Self::ManagedIdentity | Self::Application => "ServicePrincipal",
        }
    }

    /// Graph's type of it.
    pub fn graph_word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::ServicePrincipal | Self::ManagedIdentity => "servicePrincipal",
            Self::Application => "application",
        }
    }
}

/// What a person signs in with, and what is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The name that it signs in with, such as `ann@plant.example` (`userPrincipalName`).
    pub name: String,
    /// Alias for mail.
    pub mail_nickname: String,
    /// The password's argon2id hash made by `ferrohub_pki::password`; empty where there is none.
    pub password: String,
    /// Whether the password only counts once somebody set another one.
    pub must_change: bool,
    /// Further members that are kept and shown, such as `jobTitle`.
    pub facts: BTreeMap<String, String>,
}

/// What is told of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// Alias for mail.
    pub mail_nickname: String,
    /// A note of whoever made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A secret of an application: its salted hash and when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// Id of the secret, shown in listings.
    pub key_id: String,
    /// Salted hash made by `ferrohub_pki::key::hash_secret`.
    pub hash: String,
    /// Unix seconds after which the secret is refused.
    pub expires: i64,
    /// What is shown of it besides.
    #[serde(flatten)]
    pub label: CredentialLabel,
}

/// A certificate of an application: it signs in with assertions that the certificate's key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateCredential {
    /// Id of the credential, shown in listings.
    pub key_id: String,
    /// DER of the certificate, base64.
    pub certificate: String,
    /// Unix seconds after which it is refused.
    pub expires: i64,
    /// What is shown of it besides.
    #[serde(flatten)]
    pub label: CredentialLabel,
}

/// What secrets and certificates of an application have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialLabel {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Unix seconds from which it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<i64>,
    /// The first characters of a secret, by which people know it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it was given to the service principal and not to its application: it goes with that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_principal: bool,
}

/// A principal of the directory, stored under its object id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Object id (lower-case GUID).
    pub id: String,
    /// Application (client) id, lower-case GUID; people and groups have none.
    pub app_id: String,
    /// Name for people.
    pub display_name: String,
    /// Kind of principal.
    pub kind: PrincipalKind,
    /// Internal id of the resource whose identity this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Uuid>,
    /// Object id of the application object, for service principals made through Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_object_id: Option<String>,
    /// Secrets of the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ClientSecret>,
    /// Certificates of the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateCredential>,
    /// Whether it may not sign in, and its tokens count for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Unix seconds at which it was made; 0 in rows that are older than the member.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made: i64,
    /// How often everything that it was given has ended: with another password, with a revocation, by being disabled. Sessions, links and
    /// tokens say the number that they were given under, and count under no other one. A time would not do: what is given in the second
    /// of a revocation, or by a process whose clock is ahead, would outlive it.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u64,
    /// The person, for a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The group, for a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_first(generation: &u64) -> bool {
    *generation == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(seconds: &i64) -> bool {
    *seconds == 0
}

impl Principal {
    /// A principal with nothing but its names.
    pub fn new(kind: PrincipalKind, id: String, app_id: String, display_name: String) -> Self {
        Self {
            id,
            app_id,
            display_name,
            kind,
            resource: None,
            application_object_id: None,
            secrets: Vec::new(),
            certificates: Vec::new(),
            disabled: false,
            made: 0,
            generation: 0,
            user: None,
            group: None,
        }
    }

    /// Gives a person another password by its stored form; what was given under the one before ends, and so does that it must be
    /// changed.
    pub fn set_password(&mut self, hash: &str) {
        let user = self.user.get_or_insert_default();
        hash.clone_into(&mut user.password);
        user.must_change = false;
        self.end_what_was_given();
    }

    /// No session, link or token that it was given until now counts any more.
    pub fn end_what_was_given(&mut self) {
        self.generation += 1;
    }

    /// What messages and stamps call it: a person's sign-in name, a group's name, else the application id, as Azure does.
    pub fn name(&self) -> &str {
        match (&self.user, self.kind) {
            (Some(user), _) => &user.name,
            (None, PrincipalKind::User | PrincipalKind::Group) => &self.display_name,
            _ => &self.app_id,
        }
    }
}
