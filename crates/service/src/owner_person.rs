//! The person who owns the installation in a browser, as the application of `owner.json` does in programs. It is made with the first link
//! that signs it in, has no password until it chooses one, and is what `ferrohub owner link` is for.

use crate::arm::activity::{self, Origin};
use crate::arm::types::{ROLE_ASSIGNMENT, role_assignment_lookup};
use crate::authz::builtin;
use crate::bootstrap::{meta, owner_assignment};
use crate::directory;
use crate::platform::{Change, Platform};
use crate::resources;
use crate::tables::{META, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Principal, PrincipalKind, User};
use std::sync::Arc;
use uuid::Uuid;

/// Key in `META` of the row that says which person it is.
const OWNER_PERSON: &str = "owner-person";
/// What stands before the `@` of its name.
const ALIAS: &str = "owner";

/// The person, where one was made and is still there.
///
/// # Errors
/// When the store fails.
pub(crate) async fn known(platform: &Platform) -> Result<Option<Arc<Principal>>> {
    let Some(row) = platform.store.get(&META, OWNER_PERSON).await? else { return Ok(None) };
    let found = directory::by_id(platform.store.as_ref(), &row.parse::<String>()?).await?;
    Ok(found.filter(|found| found.kind == PrincipalKind::User))
}

/// Adds a new person, who is Owner of the subscription, to `change`.
///
/// # Errors
/// `Conflict` where somebody else has the name; when the store fails.
pub(crate) async fn make(platform: &Platform, origin: &Origin<'_>, change: &mut Change) -> Result<Arc<Principal>> {
    let name = format!("{ALIAS}@{}", platform.settings.domain);
    if directory::by_user_name(platform.store.as_ref(), &name).await?.is_some() {
        return Err(Error::conflict(format!(
            "The name '{name}' of the installation's own person is somebody else's already. Make a link for that person, or another one: ferrohub owner link --user {name}"
        )));
    }
    let user = User { name, mail_nickname: ALIAS.into(), ..User::default() };
    let id = platform.random.uuid_v4().to_string();
    let person = Principal {
        user: Some(user),
        made: platform.clock.unix_seconds(),
        ..Principal::new(PrincipalKind::User, id, String::new(), "Owner".into())
    };
    // Two who make it at the same time meet at this row.
    match platform.store.get(&META, OWNER_PERSON).await? {
        Some(row) => change.unit.expect_version(&META, OWNER_PERSON, row.version),
        None => change.unit.expect_absent(&META, OWNER_PERSON),
    };
    change.unit.put(meta(OWNER_PERSON, &person.id)?);
    change.unit.expect_absent(&PRINCIPALS, person.id.clone());
    change.unit.put(directory::put(&person)?);
    make_owner(platform, &person, origin, change).await?;
    Ok(Arc::new(person))
}

/// Adds Owner of the subscription for `principal`, with its row of the activity log, to `change`, where it is not Owner yet.
///
/// # Errors
/// When the store fails.
pub(crate) async fn make_owner(
    platform: &Platform,
    principal: &Principal,
    origin: &Origin<'_>,
    change: &mut Change,
) -> Result<()> {
    let subscription = &platform.tenancy.subscription_id;
    let above =
        Uuid::parse_str(subscription).map_err(|e| Error::internal(format!("subscription {subscription}: {e}")))?;
    let lookup = role_assignment_lookup(above, &principal.id, builtin::OWNER);
    if resources::by_lookup(platform, "lookup", &lookup).await?.is_some() {
        return Ok(());
    }
    let by = (origin.actor.name(), origin.actor.kind_name());
    let (id, row) = owner_assignment(platform.into(), &platform.tenancy, principal, by)?;
    change.unit.put(row);
    change.unit.put(activity::of_service(platform, origin, &id, &format!("{}/write", ROLE_ASSIGNMENT.full()))?);
    change.access = true;
    Ok(())
}
