//! The identity as which a namespace or schema registry calls others: `properties.outboundIdentity`.

use super::args::Args;
use super::failure::{Failure, Result};
use super::identities::Identities;
use super::options::rooted;
use serde_json::{Value, json};

/// The options that name it.
pub(crate) const OPTIONS: &str =
    "--outbound-system-assigned-mi/--omi-sa 3st # Call others as its own identity; false: as none that is named.
--outbound-user-assigned-mi/--omi-ua # Call others as this user-assigned identity.";

/// As whom a resource calls others, as far as the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// They do not say.
    Unsaid,
    /// As nobody.
    Nobody,
    /// As its own identity.
    Own,
    /// As the user-assigned identity of this id.
    User(String),
}

impl Outbound {
    /// What the options say.
    ///
    /// # Errors
    /// Both options, or an empty id.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        args.refuse_empty(&["--outbound-user-assigned-mi"])?;
        match (args.switch("--outbound-system-assigned-mi"), args.text("--outbound-user-assigned-mi")) {
            (Some(_), Some(_)) => Err(Failure::error(
                "--outbound-system-assigned-mi and --outbound-user-assigned-mi exclude each other: there is one outbound identity. Give one of them.",
            )),
            (Some(true), None) => Ok(Self::Own),
            (Some(false), None) => Ok(Self::Nobody),
            (None, Some(id)) => Ok(Self::User(rooted(id))),
            (None, None) => Ok(Self::Unsaid),
        }
    }

    /// The property; `None` where the options do not say.
    pub(crate) fn body(&self) -> Option<Value> {
        match self {
            Self::Unsaid => None,
            Self::Nobody => Some(Value::Null),
            Self::Own => Some(json!({"type": "SystemAssigned"})),
            Self::User(id) => Some(json!({"type": "UserAssigned", "userAssignedIdentity": id})),
        }
    }

    /// The property in a PATCH, which leaves what it does not name: where it was a user-assigned identity, its id goes.
    pub(crate) fn patch(&self) -> Option<Value> {
        match self {
            Self::Own => Some(json!({"type": "SystemAssigned", "userAssignedIdentity": null})),
            _ => self.body(),
        }
    }

    /// Whether it is one of these identities.
    pub(crate) fn is_among(&self, identities: &Identities) -> bool {
        match self {
            Self::Unsaid | Self::Nobody => true,
            Self::Own => identities.own,
            Self::User(id) => identities.has(id),
        }
    }

    /// These identities, and it among them.
    pub(crate) fn attached(&self, mut identities: Identities) -> Identities {
        match self {
            _ if self.is_among(&identities) => {}
            Self::User(id) => identities.users.push(id.clone()),
            _ => identities.own = true,
        }
        identities
    }
}
