//! The keys that sign tokens: one signs, and those before it still verify until the last token under them has ended.
//!
//! The row in `META` says which they are, and every use compares its version, so that all processes sign with the same key and
//! forget a former one at the same time. A private key is destroyed as soon as another one signs; its public half stays.

use super::signing::{SigningKey, Verifier, header, refused};
use super::{SKEW_SECONDS, TOKEN_SECONDS};
use crate::bootstrap::{OWNER_SCOPE, meta};
use crate::key_store::KeyUse;
use crate::platform::{Change, Platform};
use crate::tables::META;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_store::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Key in `META` of the row with the signing keys.
pub(crate) const SIGNING_KEY: &str = "signing-key";
/// Days for which a key signs: ours. Entra changes its keys every few weeks.
const DAYS: i64 = 90;

/// The row: which key signs, and which signed before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredKeys {
    /// The private key that signs.
    pub(crate) key: KeyReference,
    /// Unix seconds since when; 0 in rows that are older than the member.
    #[serde(default)]
    pub(crate) since: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<Former>,
}

/// A key that signed before.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Former {
    /// SubjectPublicKeyInfo, base64 of DER.
    public: String,
    /// Unix seconds at which the last token under it has ended.
    until: i64,
}

impl StoredKeys {
    /// The row of a key that signs from `since` on.
    pub(crate) fn new(key: KeyReference, since: i64) -> Self {
        Self { key, since, former: Vec::new() }
    }

    fn of(row: &Row) -> Result<Self> {
        Ok(Self::clone(&*row.parse::<Self>()?))
    }
}

/// The keys as one version of the row has them.
struct Set {
    version: u64,
    signs: Arc<SigningKey>,
    former: Vec<(Verifier, i64)>,
}

/// The keys of an installation, as this process knows them.
pub(super) struct SigningKeys {
    platform: Arc<Platform>,
    set: ArcSwap<Set>,
    reload: Mutex<()>,
}

impl SigningKeys {
    /// The keys over `platform`; `first` signs where the installation has no row of its own.
    pub(super) fn new(platform: Arc<Platform>, first: SigningKey) -> Self {
        let set = Set { version: 0, signs: Arc::new(first), former: Vec::new() };
        Self { platform, set: ArcSwap::from_pointee(set), reload: Mutex::new(()) }
    }

    /// Makes sure that the keys in memory are those of the store; whether they were others.
    ///
    /// # Errors
    /// When the store cannot be read, or the key not be opened.
    pub(super) async fn refresh(&self) -> Result<bool> {
        if self.row().await?.is_none_or(|row| row.version == self.set.load().version) {
            return Ok(false);
        }
        let _turn = self.reload.lock().await;
        let Some(row) = self.row().await?.filter(|row| row.version != self.set.load().version) else {
            return Ok(false);
        };
        let stored = StoredKeys::of(&row)?;
        let signs = Arc::new(SigningKey::new(self.platform.keys.open(&stored.key).await?)?);
        let mut former = Vec::with_capacity(stored.former.len());
        for Former { public, until } in stored.former {
            former.push((Verifier::new(&public_key(&public)?)?, until));
        }
        self.set.store(Arc::new(Set { version: row.version, signs, former }));
        Ok(true)
    }

    async fn row(&self) -> Result<Option<Arc<Row>>> {
        Ok(self.platform.store.get(&META, SIGNING_KEY).await?)
    }

    /// A signed token with `claims`.
    ///
    /// # Errors
    /// As [`SigningKeys::refresh`]; the signer's.
    pub(super) async fn sign(&self, claims: &impl Serialize) -> Result<String> {
        self.refresh().await?;
        let signs = Arc::clone(&self.set.load().signs);
        signs.sign(claims).await
    }

    /// The claims of a token of ours, whose times and audience are the caller's to check.
    ///
    /// # Errors
    /// `InvalidAuthenticationToken`.
    pub(super) fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<C> {
        let header = header(token)?;
        let set = self.set.load();
        if set.signs.verifier().is_named(&header) {
            return set.signs.verifier().verify(token);
        }
        let now = self.platform.clock.unix_seconds();
        let former = set.former.iter().find(|(verifier, until)| *until > now && verifier.is_named(&header));
        former.ok_or_else(refused)?.0.verify(token)
    }

    /// The JSON Web Key Set: the key that signs, then those that still verify.
    ///
    /// # Errors
    /// As [`SigningKeys::refresh`].
    pub(super) async fn jwks(&self) -> Result<Value> {
        self.refresh().await?;
        let (set, now) = (self.set.load(), self.platform.clock.unix_seconds());
        let former = set.former.iter().filter(|(_, until)| *until > now).map(|(verifier, _)| verifier.jwk());
        let keys: Vec<&Value> = std::iter::once(set.signs.verifier().jwk()).chain(former).collect();
        Ok(json!({ "keys": keys }))
    }
}

fn public_key(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|error| Error::internal(format!("former token signing key: {error}")))
}

/// Has another key sign tokens from now on. The one before still verifies until its last token has ended; with `revoke` no token of
/// before counts any more. `false` where another process did it at the same time, or where there is no installation.
///
/// # Errors
/// When the store fails, or no key can be made.
pub(crate) async fn rotate(platform: &Platform, revoke: bool, mut change: Change) -> Result<bool> {
    let Some(row) = platform.store.get(&META, SIGNING_KEY).await? else { return Ok(false) };
    let was = StoredKeys::of(&row)?;
    let now = platform.clock.unix_seconds();
    let mut former = Vec::new();
    if !revoke {
        former = was.former.into_iter().filter(|former| former.until > now).collect();
        let public = SigningKey::new(platform.keys.open(&was.key).await?)?;
        let public = STANDARD.encode(public.public_key_info());
        // A process that looked just before signs one more with it.
        former.push(Former { public, until: now + TOKEN_SECONDS + SKEW_SECONDS });
    }
    change.unit.expect_version(&META, SIGNING_KEY, row.version);
    let (key, _) = platform.keys.generate(KeyUse::Signing, OWNER_SCOPE, SigningKey::KIND, &mut change.unit).await?;
    platform.keys.give_up(&was.key, &mut change.unit)?;
    change.unit.put(meta(SIGNING_KEY, &StoredKeys { key, since: now, former })?);
    platform.try_commit(change).await
}

/// Rotates the key where it has signed for [`DAYS`] at `now`, the settled time. How many were.
///
/// # Errors
/// As [`rotate`].
pub(crate) async fn rotate_old(platform: &Platform, now: jiff::Timestamp) -> Result<usize> {
    let Some(row) = platform.store.get(&META, SIGNING_KEY).await? else { return Ok(0) };
    if now.as_second() - StoredKeys::of(&row)?.since < DAYS * 24 * 3600 {
        return Ok(0);
    }
    Ok(usize::from(rotate(platform, false, Change::new()).await?))
}
