//! What whoever holds the data folder of a stopped server may do: get back in with a fresh secret for an Owner of the subscription, and
//! exchange the key that signs tokens.

use crate::arm::activity::{self, Origin};
use crate::arm::types::Types;
use crate::authn;
use crate::authz::Actor;
use crate::bootstrap::{self, OWNER, OwnerCredential, new_owner, owner_secret};
use crate::directory;
use crate::keyring::Keyring;
use crate::owner_person;
use crate::platform::{Change, Engines, Platform, Settings};
use crate::tables::META;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::Principal;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::seal::MasterKey;
use std::sync::Arc;

/// What the activity log calls whoever did this.
const BY: &str = "owner-reset";

/// Makes the owner of `owner.json` good again, whatever was done to it: its principal is made anew where it was deleted, all
/// of its secrets are replaced by a new one, and it is given Owner over the subscription where it is not. So is the person whom links
/// sign in, where there is one. Other owners stay. The activity log tells of it.
///
/// # Errors
/// `NotFound` when there is no installation in the store; a wrong master key; when the store fails.
pub async fn reset_owner(engines: &Engines, master_key: MasterKey) -> Result<OwnerCredential> {
    let platform = opened(engines, master_key).await?;
    let mut change = Change::new();
    let (secret, text) = owner_secret(engines);
    let owner = match known_owner(&platform).await? {
        Some(owner) => Principal { secrets: vec![secret], disabled: false, ..Principal::clone(&owner) },
        None => {
            let owner = new_owner(engines.random.as_ref(), secret);
            change.unit.put(bootstrap::meta(OWNER, &owner.id)?);
            owner
        }
    };
    change.unit.put(directory::put(&owner)?);
    let subscription = ResourceId::subscription(&platform.tenancy.subscription_id);
    let actor = Actor::worker_for(BY);
    let correlation = platform.new_id();
    let origin = Origin::service(&actor, correlation, correlation);
    change.unit.put(activity::of_service(&platform, &origin, &subscription, "Ferrohub/owner/reset/action")?);
    owner_person::make_owner(&platform, &owner, &origin, &mut change).await?;
    if let Some(person) = owner_person::known(&platform).await? {
        let person = Principal { disabled: false, ..Principal::clone(&person) };
        change.unit.put(directory::put(&person)?);
        owner_person::make_owner(&platform, &person, &origin, &mut change).await?;
    }
    platform.commit(change).await?;
    Ok(OwnerCredential::of(&platform.tenancy, &owner, &text))
}

/// Has another key sign tokens from now on; with `revoke` no token of before counts any more, else until they end. The activity log
/// tells of it.
///
/// # Errors
/// As [`reset_owner`].
pub async fn rotate_signing_key(engines: &Engines, master_key: MasterKey, revoke: bool) -> Result<()> {
    let platform = opened(engines, master_key).await?;
    let mut change = Change::new();
    let actor = Actor::worker_for("signing-key-rotate");
    let correlation = platform.new_id();
    let origin = Origin::service(&actor, correlation, correlation);
    let subscription = ResourceId::subscription(&platform.tenancy.subscription_id);
    change.unit.put(activity::of_service(&platform, &origin, &subscription, "Ferrohub/signingKey/rotate/action")?);
    if authn::rotate_keys(&platform, revoke, change).await? {
        return Ok(());
    }
    Err(Error::conflict("The server never started with this data folder, or another process changes its keys."))
}

/// The platform over a data folder that nobody else uses.
async fn opened(engines: &Engines, master_key: MasterKey) -> Result<Arc<Platform>> {
    let store = engines.store.as_ref();
    let tenancy = bootstrap::tenancy(store).await?;
    let tenancy = tenancy.ok_or_else(|| Error::not_found("There is no installation in this data folder."))?;
    let keyring = Arc::new(Keyring::new(master_key, engines.random.clone()));
    if let Some(row) = store.get(&META, "master-check").await? {
        keyring.verify_check_value(&row.parse::<String>()?)?;
    }
    // Host names are of no account here.
    let settings = Settings { domain: "localhost".into(), pki_url: None };
    Platform::open(engines.clone(), keyring, settings, tenancy, Types::built_in()).await
}

async fn known_owner(platform: &Platform) -> Result<Option<Arc<Principal>>> {
    let Some(row) = platform.store.get(&META, OWNER).await? else { return Ok(None) };
    directory::by_id(platform.store.as_ref(), &row.parse::<String>()?).await
}
